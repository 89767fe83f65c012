"""FocalClassifier in ONNX: labels of users, weights, missing values, and the process that scores."""

import doctest
import importlib

import numpy as np
import pytest
from engines import both_engines, lightgbm_classifier, patience, xgboost_classifier
from onnx_scores import assert_alike, assert_scores_of, onnx, scores
from problems import PROBLEMS
from programs import run_in_new_process

from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalClassifier, FocalLoss, PowerCrossEntropy
from gbm_focal.onnx import to_onnx


def problem(kind="binary", rows=2000):
    X, y = PROBLEMS[kind]()
    X, y = X[:rows].astype(np.float32), y[:rows].astype(int)
    X[::7, 0] = np.nan
    return X, y


def random_losses(seed):
    random = np.random.default_rng(seed)
    alpha = [None, "balanced", "effective"][seed % 3]
    gammas = random.uniform(0, [4, 3, 4]).tolist()
    return [
        FocalLoss(gammas[0], alpha),
        AsymmetricLoss(*gammas[1:], float(10 ** random.uniform(-3, -0.7)), alpha),
        BalancedCrossEntropy(alpha),
        PowerCrossEntropy(float(random.uniform(0.5, 3)), alpha),
    ]


@both_engines
@pytest.mark.parametrize("kind", PROBLEMS)
@pytest.mark.parametrize("seed", range(10))
def test_probabilities_and_labels(engine, kind, seed):
    X, y = problem(kind, 400)
    for loss in random_losses(seed):
        model = FocalClassifier(engine(n_estimators=3), loss).fit(X, y)
        assert_scores_of(model, to_onnx(model), X)


@both_engines
@pytest.mark.parametrize(
    ("names", "pos_label"),
    [(["ok", "fraud"], None), (["ok", "fraud"], "fraud"), ([3, -7], None), ([3, -7], -7)],
    ids=str,
)
def test_labels_are_the_users_own(engine, names, pos_label):
    X, y = problem()
    model = FocalClassifier(engine(), FocalLoss(2, 0.7), pos_label=pos_label).fit(X, np.array(names)[y])
    assert_scores_of(model, to_onnx(model), X)


@both_engines
@pytest.mark.parametrize("dtype", ["U9", object, "i4", "u1"])
def test_types_of_labels(engine, dtype):
    X, y = problem("classes")
    names = np.array(["é", "b", "c", "d"] if dtype in ("U9", object) else [7, 3, 5, 200]).astype(dtype)
    model = FocalClassifier(engine(), AsymmetricLoss()).fit(X, names[y])
    graph = to_onnx(model)
    assert_scores_of(model, graph, X)
    assert set(scores(graph, X)[0].tolist()) <= set(names.tolist())


@both_engines
def test_weights_of_classes_and_samples(engine):
    X, y = problem()
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
    model = FocalClassifier(engine(), FocalLoss(2, "balanced"), class_weight={0: 1, 1: 5})
    model.fit(X, y, sample_weight=weight)
    assert_scores_of(model, to_onnx(model), X)


@both_engines
@pytest.mark.parametrize("alpha", ["balanced", 0.9])
def test_another_base_rate(engine, alpha):
    X, y = problem()
    trained = FocalClassifier(engine(), AsymmetricLoss(1, 2, 0.02, alpha), class_weight={0: 1, 1: 5}).fit(X, y)
    model = trained.at_base_rate(0.001)
    graph = to_onnx(model)
    assert_scores_of(model, graph, X)
    same = np.array_equal(scores(graph, X)[0], scores(to_onnx(trained), X)[0])
    assert same == (alpha == "balanced")  # which follows the base rate, and a number does not


@both_engines
def test_early_stopping(engine):
    X, y = problem()
    parameters = {"n_estimators": 80, "learning_rate": 0.9, **patience(engine, 3)}
    model = FocalClassifier(engine(**parameters)).fit(X[:1000], y[:1000], eval_set=[(X[1000:], y[1000:])])
    assert model.best_iteration_ < 60
    assert_scores_of(model, to_onnx(model), X)


@both_engines
def test_model_that_was_saved_and_loaded(engine, tmp_path):
    X, y = problem()
    model = FocalClassifier(engine(), FocalLoss(2), pos_label="fraud").fit(X, np.array(["ok", "fraud"])[y])
    model.save_model(tmp_path / "model.zip")
    loaded = FocalClassifier.load_model(tmp_path / "model.zip")
    assert to_onnx(loaded).SerializeToString() == to_onnx(model).SerializeToString()


@pytest.mark.parametrize(
    "classifier",
    [
        xgboost_classifier(enable_categorical=True),
        xgboost_classifier(enable_categorical=True, max_cat_to_onehot=1),
        lightgbm_classifier(min_data_per_group=5, cat_smooth=1),
    ],
    ids=["xgboost", "xgboost, sets", "lightgbm"],
)
def test_categories_of_a_data_frame_are_codes(classifier):
    pandas = pytest.importorskip("pandas")
    X, _ = problem()
    random = np.random.default_rng(0)
    words = random.choice(["cash", "chip", "stripe", "web"], len(X))
    y = random.random(len(X)) < 0.05 + 0.5 * np.isin(words, ["chip", "web"]) * (X[:, 1] > 0)
    frame = pandas.DataFrame(X, columns=list("abcdef"))
    frame["how"] = pandas.Categorical(np.where(random.random(len(X)) < 0.1, None, words))
    model = FocalClassifier(classifier).fit(frame, y.astype(int))
    codes = frame["how"].cat.codes.to_numpy(np.float32)
    codes[codes < 0] = np.nan
    _, probabilities = scores(to_onnx(model), np.column_stack([X, codes]))
    assert_alike(probabilities, model.predict_proba(frame))


def test_another_number_for_missing_values():
    X, y = problem()
    X = np.where(np.isnan(X) | (np.random.default_rng(0).random(X.shape) < 0.2), np.float32(-999.25), X)
    model = FocalClassifier(xgboost_classifier(missing=-999.25)).fit(X, y)
    assert_scores_of(model, to_onnx(model), X)


def test_long_training_in_float32():
    X, y = problem()
    model = FocalClassifier(lightgbm_classifier(n_estimators=500, learning_rate=0.04)).fit(X, y)
    assert_scores_of(model, to_onnx(model), X)


def test_example_in_the_docstring():
    results = doctest.testmod(importlib.import_module("gbm_focal.onnx.export"))
    assert (results.attempted, results.failed) == (6, 0)


@pytest.mark.parametrize("opset", [13, np.int64(17), onnx.defs.onnx_opset_version()])
def test_versions_of_the_operators(opset):
    X, y = problem("classes")
    graph = to_onnx(FocalClassifier(xgboost_classifier(), AsymmetricLoss()).fit(X, y), target_opset=opset)
    assert {entry.domain: entry.version for entry in graph.opset_import} == {"": opset, "ai.onnx.ml": 1}


def test_it_scores_where_nothing_of_ours_is_installed(tmp_path):
    X, y = problem()
    model = FocalClassifier(xgboost_classifier(), FocalLoss(2, "balanced"), pos_label="fraud")
    model.fit(X, np.array(["ok", "fraud"])[y])
    onnx.save(to_onnx(model), tmp_path / "model.onnx")
    np.save(tmp_path / "X.npy", X)
    run_in_new_process(
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('gbm_focal', 'xgboost', 'lightgbm', 'sklearn', 'skl2onnx', 'onnx'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "import numpy as np, onnxruntime\n"
        "session = onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])\n"
        "label, probabilities = session.run(['label', 'probabilities'], {'X': np.load(sys.argv[2])})\n"
        "np.save(sys.argv[3], np.column_stack([label == 'fraud', probabilities]))",
        *(tmp_path / name for name in ("model.onnx", "X.npy", "scores.npy")),
    )
    fraud, *probabilities = np.load(tmp_path / "scores.npy").T
    np.testing.assert_array_equal(fraud, model.predict(X) == "fraud")
    np.testing.assert_allclose(np.transpose(probabilities), model.predict_proba(X), atol=1e-6)
