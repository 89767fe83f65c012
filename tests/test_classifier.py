"""FocalClassifier as a scikit-learn user meets it."""

import datetime
import decimal
import json
import pickle
import zipfile
from inspect import signature

import joblib
import numpy as np
import pandas as pd
import pytest
from problems import rare_positives, run_in_new_process
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.metrics import average_precision_score, get_scorer, log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from test_multiclass import classes_problem

from gbm_focal import (
    AsymmetricLoss,
    BalancedCrossEntropy,
    ConstantSchedule,
    CosineSchedule,
    FocalClassifier,
    FocalLoss,
    LinearSchedule,
)

xgb = pytest.importorskip("xgboost")
lgb = pytest.importorskip("lightgbm")


def xgboost_classifier(**parameters):
    return xgb.XGBClassifier(**{"n_estimators": 15, "max_depth": 3, "n_jobs": 1, "random_state": 0, **parameters})


def lightgbm_classifier(**parameters):
    return lgb.LGBMClassifier(
        **{"n_estimators": 15, "max_depth": 3, "n_jobs": 1, "random_state": 0, "verbosity": -1, **parameters}
    )


ENGINES = [xgboost_classifier, lightgbm_classifier]
both_engines = pytest.mark.parametrize("engine", ENGINES, ids=["xgboost", "lightgbm"])


def labels_problem(n=3000, seed=0):
    """Three labels a row, of very different rates."""
    X, y, _, _ = rare_positives(n, seed)
    random = np.random.default_rng(seed)
    other = X[:, 0] - X[:, 4] + random.normal(size=n) > 0
    third = X[:, 1] + X[:, 5] + random.normal(size=n) > 2.5
    return X, np.column_stack([y, other, third]).astype(int)


PROBLEMS = {
    "binary": lambda: rare_positives()[:2],
    "classes": lambda: classes_problem(4000)[:2],
    "labels": labels_problem,
}


# ---- scikit-learn's own checks ----

ROUNDING = "XGBoost sums weighted gradients in float32, so that repeated rows differ from weights by 1e-8"
# Whether 1e-8 is seen is chance, of the processor and the loss. (scikit-learn can be told so from 1.8 on.)
BY_CHANCE = {"xfail_strict": False} if "xfail_strict" in signature(parametrize_with_checks).parameters else {}


def expected_failures(classifier):
    if isinstance(classifier.estimator, xgb.XGBClassifier):
        return {
            "check_sample_weight_equivalence_on_dense_data": ROUNDING,
            "check_sample_weight_equivalence_on_sparse_data": ROUNDING,
        }
    return {}


# Data of 20 rows cannot be split under the engines' defaults, of which there is a warning.
@pytest.mark.filterwarnings("ignore:training ended without a single split")
@pytest.mark.filterwarnings("ignore:no shift of the log-odds")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.filterwarnings("ignore:.*column-vector y.*:sklearn.exceptions.DataConversionWarning")
@parametrize_with_checks(
    [
        FocalClassifier(xgb.XGBClassifier(n_estimators=5, n_jobs=1)),
        FocalClassifier(lgb.LGBMClassifier(n_estimators=20, n_jobs=1, verbosity=-1)),
        FocalClassifier(xgb.XGBClassifier(n_estimators=5, n_jobs=1), AsymmetricLoss()),
    ],
    expected_failed_checks=expected_failures,
    **BY_CHANCE,
)
def test_scikit_learn_compatible(estimator, check):
    check(estimator)


# ---- mistakes of its callers ----


def test_mistakes_around_evaluation_get_errors_that_help():
    X, y, _, _ = rare_positives(300)
    model = FocalClassifier(xgb.XGBClassifier(n_estimators=2, n_jobs=1))
    with pytest.raises(ValueError, match=r"metric='average_precison' is no scorer .* did you mean 'average_precision"):
        model.fit(X, y, eval_set=[(X, y)], eval_metric="average_precison")
    with pytest.raises(TypeError, match=r"eval_set is a tuple: give a list of pairs"):
        model.fit(X, y, eval_set=(X, y))
    with pytest.raises(
        ValueError, match=r"y of an evaluation set holds .*2.0.*, which is no label of the training set"
    ):
        model.fit(X, y, eval_set=[(X, y + 1)])
    model.fit(X, y, eval_set=[(X, y)], eval_metric="recall_at_alert_rate")
    assert list(model.evals_result_["validation_0"]) == ["neg_recall_at_alert_rate"]


# ---- what it predicts ----


@both_engines
@pytest.mark.parametrize("loss", [None, AsymmetricLoss(), BalancedCrossEntropy()], ids=repr)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_shapes_decisions_and_base_rates(engine, loss, problem):
    X, y = PROBLEMS[problem]()
    estimator = engine()
    before = estimator.get_params()
    model = FocalClassifier(estimator, loss).fit(X, y)
    assert estimator.get_params() == before
    assert not hasattr(estimator, "n_features_in_")
    assert model.n_features_in_ == 6
    assert model.feature_importances_.shape == (6,)
    assert isinstance(model.estimator_, type(estimator))
    probabilities, decision, predicted = model.predict_proba(X), model.decision_function(X), model.predict(X)
    rates = np.mean(y, axis=0) if problem == "labels" else np.bincount(y.astype(int)) / len(y)
    np.testing.assert_allclose(probabilities.mean(axis=0), rates, rtol=1e-3)
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(probabilities), rtol=1e-6)
    alpha = model.loss_.alpha
    if problem == "binary":
        assert decision.shape == (4000,)
        cost = 0.5 if alpha is None else 1 - alpha
        np.testing.assert_array_equal(predicted, probabilities[:, 1] > cost)
        np.testing.assert_array_equal(predicted, decision > 0)
    elif problem == "classes":
        np.testing.assert_array_equal(predicted, decision.argmax(axis=1))
        costs = 1 if alpha is None else np.array(alpha)
        np.testing.assert_array_equal(predicted, (costs * probabilities).argmax(axis=1))
    else:
        assert probabilities.shape == decision.shape == predicted.shape == (3000, 3)
        cost = 0.5 if alpha is None else 1 - np.array(alpha)
        np.testing.assert_array_equal(predicted, probabilities > cost)
        np.testing.assert_array_equal(predicted, decision > 0)


@both_engines
def test_decisions_stay_finite_where_probabilities_end(engine):
    X = np.repeat([[0.0], [1.0]], 500, axis=0)
    y = X[:, 0].astype(int)
    model = FocalClassifier(engine(n_estimators=400, learning_rate=1.0), FocalLoss(0), max_step=None)
    decision = model.fit(X, y).decision_function(X)
    assert np.all(np.isfinite(decision))
    np.testing.assert_array_equal(decision > 0, y)


@both_engines
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("problem", ["binary", "classes"])
def test_gamma_0_predicts_what_the_bare_estimator_does(engine, problem, weighted):
    X, y = PROBLEMS[problem]()
    w = np.random.default_rng(0).uniform(0.5, 2, len(y)) if weighted else None
    X = X.copy()
    X[::7, 2] = np.nan
    model = FocalClassifier(engine(), FocalLoss(0), max_step=None).fit(X, y, sample_weight=w)
    native = engine().fit(X, y, sample_weight=w)
    np.testing.assert_allclose(model.predict_proba(X), native.predict_proba(X), atol=1e-5)


@both_engines
@pytest.mark.parametrize("problem", ["binary", "classes"])
def test_gamma_0_stops_where_the_bare_estimator_does(engine, problem):
    X, y = PROBLEMS[problem]()
    X, y, X_eval, y_eval = X[:2000], y[:2000], X[2000:], y[2000:]
    if engine is xgboost_classifier:
        estimator = engine(n_estimators=200, early_stopping_rounds=5, learning_rate=0.5)
        native = clone(estimator).fit(X, y, eval_set=[(X_eval, y_eval)], verbose=False)
        best = native.best_iteration
    else:
        estimator = engine(n_estimators=200, learning_rate=0.5, early_stopping_round=5)
        native = clone(estimator).fit(X, y, eval_X=X_eval, eval_y=y_eval)
        best = native.best_iteration_ - 1
    model = FocalClassifier(estimator, FocalLoss(0), max_step=None).fit(X, y, eval_set=[(X_eval, y_eval)])
    assert model.best_iteration_ == best < 195
    np.testing.assert_allclose(model.predict_proba(X_eval), native.predict_proba(X_eval), atol=1e-5)
    ours = next(iter(next(iter(model.evals_result_.values())).values()))
    theirs = native.evals_result() if engine is xgboost_classifier else native.evals_result_
    np.testing.assert_allclose(ours, next(iter(next(iter(theirs.values())).values())), rtol=1e-4)


@both_engines
def test_gamma_0_with_categories(engine):
    X, y, _, _ = rare_positives()
    random = np.random.default_rng(0)
    frame = pd.DataFrame(X, columns=list("abcdef"))
    frame["kind"] = pd.Categorical(random.choice(["x", "y", "z"], len(y)))
    y = np.where(frame["kind"] == "x", random.random(len(y)) < 0.3, y).astype(int)
    estimator = engine(enable_categorical=True) if engine is xgboost_classifier else engine()
    model = FocalClassifier(estimator, FocalLoss(0), max_step=None).fit(frame, y)
    np.testing.assert_allclose(
        model.predict_proba(frame), clone(estimator).fit(frame, y).predict_proba(frame), atol=1e-5
    )
    np.testing.assert_array_equal(model.feature_names_in_, frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.rename(columns={"a": "other"}))


def test_calibration_beats_the_sigmoid_by_far():
    X, y, _, _ = rare_positives(20_000)
    X_test, y_test, _, _ = rare_positives(20_000, seed=1)
    for engine in ENGINES:
        ours = FocalClassifier(engine(n_estimators=60), FocalLoss(2)).fit(X, y)
        native = engine(n_estimators=60).fit(X, y)
        assert log_loss(y_test, ours.predict_proba(X_test)) < 1.02 * log_loss(y_test, native.predict_proba(X_test))


def test_classes_are_as_calibrated_as_native_softmax():
    X, y, _, _ = classes_problem(20_000)
    X_test, _, _, eta = classes_problem(20_000, seed=1)

    def expected_log_loss(probabilities):
        return -np.mean(np.sum(eta * np.log(probabilities), axis=1))

    for engine in ENGINES:
        estimator = engine(n_estimators=60, learning_rate=0.2)
        ours = expected_log_loss(FocalClassifier(estimator, FocalLoss(2)).fit(X, y).predict_proba(X_test))
        native = expected_log_loss(clone(estimator).fit(X, y).predict_proba(X_test))
        assert expected_log_loss(eta) < ours < 1.03 * native


# ---- labels, weights, engines ----


@both_engines
@pytest.mark.parametrize(
    "names", [["no", "yes"], [False, True], [-1, 1], [7, 3], ["b", "a", "d", "c"], [10, 20, 30, 40]], ids=str
)
def test_labels_of_any_type(engine, names):
    X, y = PROBLEMS["binary" if len(names) == 2 else "classes"]()
    y = np.array(names)[y.astype(int)]
    model = FocalClassifier(engine(), FocalLoss(2, "balanced")).fit(X, y)
    np.testing.assert_array_equal(model.classes_, np.unique(y))
    predicted = model.predict(X)
    assert predicted.dtype == y.dtype
    assert set(predicted) == set(names)
    assert model.score(X, y) > 0.5


def test_series_of_objects_and_of_categories_as_labels():
    X, y, _, _ = rare_positives()
    names = np.array(["no", "yes"])[y.astype(int)]
    expected = FocalClassifier(xgboost_classifier()).fit(X, names).predict_proba(X)
    for series in (pd.Series(names, dtype=object), pd.Series(names, dtype="category"), pd.Series(names)):
        np.testing.assert_array_equal(FocalClassifier(xgboost_classifier()).fit(X, series).predict_proba(X), expected)


@both_engines
def test_class_weight_is_a_sample_weight(engine):
    X, y, w, _ = rare_positives()
    by_class = FocalClassifier(engine(), class_weight={0: 1, 1: 5}).fit(X, y, sample_weight=w)
    by_sample = FocalClassifier(engine()).fit(X, y, sample_weight=w * np.where(y == 1, 5, 1))
    np.testing.assert_allclose(by_class.predict_proba(X), by_sample.predict_proba(X), rtol=1e-6)
    plain = FocalClassifier(engine()).fit(X, y, sample_weight=w)
    assert by_class.predict_proba(X)[:, 1].mean() > 2 * plain.predict_proba(X)[:, 1].mean()
    balanced = FocalClassifier(engine(), class_weight="balanced").fit(X, y)
    np.testing.assert_allclose(
        np.average(
            balanced.predict_proba(X)[:, 1], weights=np.where(y == 1, len(y) / y.sum(), len(y) / (len(y) - y.sum()))
        ),
        0.5,
        rtol=1e-3,
    )


def test_without_an_estimator_the_first_engine_is_taken():
    X, y, _, _ = rare_positives()
    assert isinstance(FocalClassifier().fit(X, y).estimator_, xgb.XGBClassifier)
    code = (
        "import sys; sys.modules['xgboost'] = None\n"
        "import numpy as np; from gbm_focal import FocalClassifier\n"
        "random = np.random.default_rng(0); X = random.normal(size=(500, 3)); y = X[:, 0] > 1\n"
        "print(type(FocalClassifier().fit(X, y).estimator_).__name__, 'xgboost' in repr(sys.modules['xgboost']))"
    )
    assert "LGBMClassifier" in run_in_new_process(code)


@both_engines
@pytest.mark.parametrize("strategy", ["one_output_per_tree", "multi_output_tree"])
def test_several_labels(engine, strategy):
    X, Y = labels_problem()
    X_eval, Y_eval = labels_problem(seed=1)
    if engine is lightgbm_classifier and strategy == "multi_output_tree":
        pytest.skip("multi_strategy is XGBoost's")
    estimator = (
        engine(n_estimators=60) if engine is lightgbm_classifier else engine(n_estimators=60, multi_strategy=strategy)
    )
    model = FocalClassifier(estimator, AsymmetricLoss()).fit(
        X, Y, eval_set=[(X_eval, Y_eval)], eval_metric="average_precision"
    )
    for column in range(3):
        score = average_precision_score(Y_eval[:, column], model.predict_proba(X_eval)[:, column])
        assert score > 2 * Y_eval[:, column].mean() * 0.9, column
    name, history = next(iter(next(iter(model.evals_result_.values())).items()))
    sign = -1 if engine is xgboost_classifier else 1
    assert name.endswith("average_precision")
    expected = average_precision_score(Y_eval, model.predict_proba(X_eval))
    assert sign * history[-1] == pytest.approx(expected, rel=1e-6)
    # Two labels are no two classes.
    two = FocalClassifier(engine()).fit(X, Y[:, :2])
    assert two.predict_proba(X).shape == (3000, 2)
    np.testing.assert_allclose(two.predict_proba(X).mean(axis=0), Y[:, :2].mean(axis=0), rtol=1e-3)
    sparse_model = FocalClassifier(engine()).fit(X, sparse.csr_matrix(Y[:, :2]))
    np.testing.assert_array_equal(sparse_model.predict_proba(X), two.predict_proba(X))


# ---- early stopping ----


def scaled_brier_loss(y_true, y_score, sample_weight=None):
    return 100 * np.average((y_true - y_score) ** 2, weights=sample_weight)


@both_engines
@pytest.mark.parametrize(
    ("metric", "name", "greater"),
    [
        (None, "focal_loss", False),
        ("average_precision", "average_precision", True),
        ("roc_auc", "roc_auc", True),
        ("neg_log_loss", "neg_log_loss", True),
        ("balanced_accuracy", "balanced_accuracy", True),
        ("f1", "f1", True),
        ("logloss", "neg_log_loss", True),
        (scaled_brier_loss, "scaled_brier_loss", False),
        (average_precision_score, "average_precision_score", True),
    ],
    ids=str,
)
def test_early_stopping_in_the_right_direction(engine, metric, name, greater):
    X, y, w, _ = rare_positives(3000)
    X_eval, y_eval, w_eval, _ = rare_positives(3000, seed=1)
    stop = "early_stopping_rounds" if engine is xgboost_classifier else "early_stopping_round"
    model = FocalClassifier(engine(n_estimators=300, learning_rate=0.5, **{stop: 8}), FocalLoss(2, "balanced"))
    model.fit(X, y, w, [(X_eval, y_eval)], eval_metric=metric, eval_sample_weight=[w_eval])
    reported, history = next(iter(next(iter(model.evals_result_.values())).items()))
    if engine is xgboost_classifier and greater:
        history = -np.array(history)
        assert reported == (name.removeprefix("neg_") if name.startswith("neg_") else f"neg_{name}")
    else:
        assert reported == name
    best = np.argmax(history) if greater else np.argmin(history)
    assert model.best_iteration_ == best < 290
    if name == "average_precision":
        expected = average_precision_score(y_eval, model.predict_proba(X_eval)[:, 1], sample_weight=w_eval)
        assert history[best] == pytest.approx(expected, rel=1e-6)


def test_the_metric_of_the_estimator_is_understood():
    X, y, _, _ = rare_positives(1000)
    for estimator in (xgboost_classifier(eval_metric="auc"), lightgbm_classifier(metric="auc")):
        model = FocalClassifier(estimator).fit(X, y, eval_set=[(X, y)])
        assert next(iter(next(iter(model.evals_result_.values())))).endswith("roc_auc")


@pytest.mark.parametrize(
    ("metric", "message"),
    [("no_such_metric", "no_such_metric"), (lambda y, p: 0.0, "greater is better"), (["auc", "logloss"], "2 metrics")],
)
def test_bad_metrics(metric, message):
    X, y, _, _ = rare_positives(200)
    with pytest.raises(ValueError, match=message):
        FocalClassifier(xgboost_classifier()).fit(X, y, eval_set=[(X, y)], eval_metric=metric)


# ---- model selection, pipelines ----


@both_engines
def test_grid_search_fits_each_gamma(engine):
    X, y, _, _ = rare_positives(1500)
    grid = {"loss__gamma": [0.0, 3.0], "loss__alpha": [None, 0.9], "estimator__max_depth": [2]}
    search = GridSearchCV(
        FocalClassifier(engine(n_estimators=3), FocalLoss()), grid, cv=2, scoring="neg_log_loss", n_jobs=2
    ).fit(X, y)
    assert len(set(search.cv_results_["mean_test_score"])) == 4
    assert search.best_estimator_.loss_.gamma == search.best_params_["loss__gamma"]
    for gamma in grid["loss__gamma"]:
        fitted = clone(search.estimator).set_params(loss__gamma=gamma).fit(X, y)
        assert fitted.loss_.gamma == gamma
        assert fitted.estimator_.get_params()["objective"].loss.gamma == gamma


@both_engines
def test_pipeline_thresholds_and_cross_validation(engine):
    X, y, _, _ = rare_positives(1500)
    frame = pd.DataFrame(X, columns=list("abcdef"))
    frame["kind"] = np.random.default_rng(0).choice(["u", "v"], len(y))
    columns = ColumnTransformer([("number", StandardScaler(), list("abc")), ("kind", OneHotEncoder(), ["kind"])])
    pipeline = make_pipeline(columns, FocalClassifier(engine(), FocalLoss(2, "balanced")))
    assert np.mean(cross_val_score(pipeline, frame, y, cv=3, scoring="roc_auc")) > 0.7
    tuned = TunedThresholdClassifierCV(pipeline, scoring="f1", cv=2).fit(frame, y)
    assert 0 < tuned.best_threshold_ < 1
    assert set(tuned.predict(frame)) == {0, 1}


def test_weights_are_routed():
    X, y, w, _ = rare_positives(1500)
    with config_context(enable_metadata_routing=True):
        classifier = FocalClassifier(xgboost_classifier()).set_fit_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, classifier).fit(X, y, sample_weight=w)
    direct = make_pipeline(StandardScaler(), FocalClassifier(xgboost_classifier()))
    direct.fit(X, y, focalclassifier__sample_weight=w)
    np.testing.assert_array_equal(pipeline.predict_proba(X), direct.predict_proba(X))


def test_html_representation():
    text = FocalClassifier(xgboost_classifier(), FocalLoss(3))._repr_html_()
    assert "FocalClassifier" in text
    assert "XGBClassifier" in text


# ---- inputs ----


@both_engines
def test_every_kind_of_table_predicts_the_same(engine):
    X, y, _, _ = rare_positives(1500)
    X = X.astype(np.float32)
    frame = pd.DataFrame(X, columns=list("abcdef"))
    expected = FocalClassifier(engine()).fit(X, y).predict_proba(X)
    tables = [X.tolist(), sparse.csr_matrix(X), sparse.csc_matrix(X), frame, frame.astype("Float32")]
    pyarrow = pytest.importorskip("pyarrow")
    tables.append(pyarrow.Table.from_pandas(frame))
    if engine is xgboost_classifier:  # LightGBM refuses both, with an error that says so
        tables.append(frame.astype(pd.ArrowDtype(pyarrow.float32())))
        tables.append(pytest.importorskip("polars").from_pandas(frame))
    for table in tables:
        model = FocalClassifier(engine()).fit(table, y)
        np.testing.assert_allclose(model.predict_proba(table), expected, atol=1e-5, err_msg=type(table).__name__)


@both_engines
def test_continued_training_goes_on(engine):
    X, y, _, _ = rare_positives(2000)
    continued_by = "xgb_model" if engine is xgboost_classifier else "init_model"
    stop = "early_stopping_rounds" if engine is xgboost_classifier else "early_stopping_round"
    first = FocalClassifier(engine(n_estimators=200, learning_rate=0.5, **{stop: 3}))
    first.fit(X[:1000], y[:1000], eval_set=[(X[1000:], y[1000:])])
    model = FocalClassifier(engine(n_estimators=5, learning_rate=0.5))
    model.fit(X[:1000], y[:1000], **{continued_by: first.estimator_})
    assert model.best_iteration_ is None
    assert log_loss(y[:1000], model.predict_proba(X[:1000])) < 0.98 * log_loss(y[:1000], first.predict_proba(X[:1000]))
    margin = first.estimator_.predict(
        X, **({"output_margin": True} if engine is xgboost_classifier else {"raw_score": True})
    )
    assert np.abs(margin).max() < 50


@both_engines
@pytest.mark.parametrize("name", ["init_score", "base_margin"])
def test_margins_to_start_from_are_refused(engine, name):
    X, y, _, _ = rare_positives(200)
    with pytest.raises(ValueError, match=f"{name} is not possible"):
        FocalClassifier(engine()).fit(X, y, **{name: np.zeros(200)})


@both_engines
def test_a_failed_fit_leaves_the_model_as_it_was(engine):
    X, y, _, _ = rare_positives(500)
    model = FocalClassifier(engine()).fit(X, y)
    before = model.predict(X)
    with pytest.raises(TypeError):
        model.fit(X, np.where(y == 1, "z", "q"), no_such_argument=1)
    np.testing.assert_array_equal(model.predict(X), before)


@both_engines
def test_the_booster_knows_the_link_of_the_classifier(engine):
    X, y, _, _ = rare_positives(1500)
    model = FocalClassifier(engine(), BalancedCrossEntropy()).fit(X, y)
    if engine is xgboost_classifier:
        from gbm_focal.xgboost import predict_proba

        booster = model.estimator_.get_booster()
    else:
        from gbm_focal.lightgbm import predict_proba

        booster = model.estimator_.booster_
    np.testing.assert_allclose(predict_proba(booster, X), model.predict_proba(X), rtol=1e-6)


@both_engines
def test_two_labels_have_scores_of_both(engine):
    X, Y = labels_problem()
    model = FocalClassifier(engine()).fit(X, Y[:, :2], eval_set=[(X, Y[:, :2])], eval_metric="roc_auc")
    reported = next(iter(next(iter(model.evals_result_.values())).values()))[-1]
    expected = roc_auc_score(Y[:, :2], model.predict_proba(X))
    assert abs(reported) == pytest.approx(expected, rel=1e-6)
    assert get_scorer("roc_auc")(model, X, Y[:, :2]) == pytest.approx(expected, rel=1e-9)
    assert len(pickle.dumps(model)) < 200_000  # the labels are not in it


def test_columns_that_abort_lightgbm_are_refused():
    polars, pyarrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    X, y, _, _ = rare_positives(300)
    names = ["u", "v"] * 150
    bad = {
        "String": polars.DataFrame({"a": X[:, 0], "kind": names}),
        "Categorical": polars.DataFrame({"a": X[:, 0], "kind": polars.Series(names, dtype=polars.Categorical)}),
        "Enum": polars.DataFrame({"a": X[:, 0], "kind": polars.Series(names, dtype=polars.Enum(["u", "v"]))}),
        "Date": polars.DataFrame({"a": X[:, 0], "kind": [datetime.date(2026, 1, 1)] * 300}),
        "Decimal": polars.DataFrame({"a": X[:, 0], "kind": [decimal.Decimal("1.5")] * 300}),
        "dictionary": pyarrow.table({"a": X[:, 0], "kind": pyarrow.array(names).dictionary_encode()}),
    }
    for kind, table in bad.items():
        with pytest.raises(ValueError, match=f"'kind' is of type {kind}"):
            FocalClassifier(lightgbm_classifier()).fit(table, y)


@both_engines
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"y": "single"}, ValueError, "single class"),
        ({"y": "short"}, ValueError, "one label for each"),
        ({"loss": "focal"}, TypeError, "give a gbm_focal loss"),
        ({"loss": FocalLoss(-1)}, ValueError, "gamma=-1"),
        ({"max_step": 0}, ValueError, "max_step"),
        ({"hessian": "newton"}, ValueError, "hessian"),
        ({"estimator": "forest"}, TypeError, "XGBClassifier or an LGBMClassifier"),
        ({"weight": -1}, ValueError, "[Nn]egative"),
    ],
    ids=str,
)
def test_bad_input(engine, change, error, message):
    X, y, _, _ = rare_positives(200)
    weight = None if "weight" not in change else np.full(200, change["weight"])
    y = {"single": np.zeros(200), "short": y[:100]}.get(change.get("y"), y)
    parameters = {"estimator": engine(), "loss": FocalLoss()}
    parameters |= {name: value for name, value in change.items() if name not in ("y", "weight")}
    with pytest.raises(error, match=message):
        FocalClassifier(**parameters).fit(X, y, sample_weight=weight)


def test_parameters_of_the_estimator_that_contradict_the_loss():
    X, y, _, _ = rare_positives(200)
    for estimator, message in (
        (xgboost_classifier(scale_pos_weight=5), "alpha"),
        (xgboost_classifier(objective="reg:squarederror"), "contradicts loss"),
        (lightgbm_classifier(class_weight="balanced"), "class_weight to FocalClassifier"),
        (lightgbm_classifier(is_unbalance=True), "alpha"),
        (lightgbm_classifier(scale_pos_weight=5), "alpha"),
        (lightgbm_classifier(objective="cross_entropy"), "contradicts loss"),
        (lightgbm_classifier(boosting_type="rf"), "random forest"),
        (lightgbm_classifier(linear_tree=True), "linear_tree"),
        (lightgbm_classifier(metrics="auc"), "call it metric"),
    ):
        with pytest.raises(ValueError, match=message):
            FocalClassifier(estimator).fit(X, y)


@both_engines
def test_a_fit_without_splits_warns(engine):
    X, y, _, _ = rare_positives(500)
    with pytest.warns(RuntimeWarning, match="without a single split"):
        model = FocalClassifier(engine(min_child_weight=1e6)).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], y.mean(), rtol=1e-5)


# ---- persistence ----


@both_engines
@pytest.mark.parametrize("dump", [pickle.dumps, "cloudpickle", "joblib"], ids=str)
def test_pickles_predict_the_same(engine, dump, tmp_path):
    X, y, _, _ = rare_positives(1000)
    model = FocalClassifier(engine(), FocalLoss(2, "balanced")).fit(X, y, eval_set=[(X, y)])
    if dump == "joblib":
        joblib.dump(model, tmp_path / "model")
        again = joblib.load(tmp_path / "model")
    else:
        cloudpickle = pytest.importorskip("cloudpickle")
        again = pickle.loads((cloudpickle.dumps if dump == "cloudpickle" else dump)(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.get_params()["loss"].get_params() == model.loss.get_params()


@both_engines
@pytest.mark.parametrize("problem", PROBLEMS)
def test_saved_model_predicts_the_same_in_a_new_process(engine, problem, tmp_path):
    X, y = PROBLEMS[problem]()
    if problem == "classes":
        y = np.array(["c", "b", "a", "d"])[y]
    X = pd.DataFrame(X, columns=list("abcdef"))
    stop = "early_stopping_rounds" if engine is xgboost_classifier else "early_stopping_round"
    estimator = engine(n_estimators=40, learning_rate=0.8, **{stop: 3})
    loss = AsymmetricLoss(alpha="balanced") if problem == "labels" else FocalLoss(1, "balanced")
    model = FocalClassifier(estimator, loss).fit(X[:1000], y[:1000], eval_set=[(X[1000:], y[1000:])])
    model.save_model(tmp_path / "model.zip")
    X.to_pickle(tmp_path / "X.pkl")
    run_in_new_process(
        "import sys, numpy, pandas, gbm_focal\n"
        "X = pandas.read_pickle(sys.argv[2])\n"
        "model = gbm_focal.FocalClassifier.load_model(sys.argv[1])\n"
        "numpy.savez(sys.argv[3], p=model.predict_proba(X), y=model.predict(X), d=model.decision_function(X))\n",
        *(tmp_path / "model.zip", tmp_path / "X.pkl", tmp_path / "out.npz"),
    )
    with np.load(tmp_path / "out.npz") as out:
        np.testing.assert_array_equal(out["p"], model.predict_proba(X))
        np.testing.assert_array_equal(out["y"], model.predict(X))
        np.testing.assert_array_equal(out["d"], model.decision_function(X))
    again = FocalClassifier.load_model(tmp_path / "model.zip")
    assert again.best_iteration_ == model.best_iteration_
    assert again.estimator.get_params()["max_depth"] == 3
    assert again.loss.get_params() == loss.get_params()
    np.testing.assert_array_equal(again.feature_importances_ > 0, model.feature_importances_ > 0)
    with pytest.raises(ValueError, match="feature names"):
        again.predict(X.rename(columns={"a": "other"}))
    again.save_model(tmp_path / "again.zip")
    np.testing.assert_array_equal(
        FocalClassifier.load_model(tmp_path / "again.zip").predict_proba(X), model.predict_proba(X)
    )
    clone(again).fit(X[:1000], y[:1000], eval_set=[(X[1000:], y[1000:])])


@both_engines
def test_numpy_parameters_and_schedules_are_saved(engine, tmp_path):
    X, y, _, _ = rare_positives(600)
    estimator = engine(max_depth=np.int64(2), learning_rate=np.float64(0.3))
    loss = FocalLoss(LinearSchedule(0, 3, 10), alpha=np.float64(0.4))
    model = FocalClassifier(estimator, loss, max_step=np.float32(3), class_weight={0: 1, 1: 2.5}).fit(X, y)
    model.save_model(tmp_path / "model.zip")
    again = FocalClassifier.load_model(tmp_path / "model.zip")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.estimator.get_params()["max_depth"] == 2
    assert again.class_weight == {0: 1, 1: 2.5}
    assert again.loss.gamma.get_params() == loss.gamma.get_params()
    np.testing.assert_allclose(clone(again).fit(X, y).predict_proba(X), model.predict_proba(X), rtol=1e-6)
    model.estimator.set_params(callbacks=[print])
    with pytest.warns(UserWarning, match="callbacks"):
        model.save_model(tmp_path / "model.zip")


def damaged(path, tmp_path, change_description=None, change_model=None):
    """Write a copy of a saved model with other content."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    description = json.loads(content["gbm_focal.json"])
    model_file = next(name for name in content if name != "gbm_focal.json")
    if change_model:
        content[model_file] = change_model(content[model_file])
    if change_description:
        change_description(description, content[model_file])
    content["gbm_focal.json"] = json.dumps(description).encode()
    copy = tmp_path / "damaged.zip"
    with zipfile.ZipFile(copy, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return copy


@both_engines
def test_damaged_and_hostile_files_are_refused(engine, tmp_path):
    import hashlib

    X, y, _, _ = rare_positives(500)
    path = tmp_path / "model.zip"
    FocalClassifier(engine()).fit(X, y).save_model(path)

    def flipped(model):
        return model[:-100] + bytes([model[-100] ^ 1]) + model[-99:]

    def set_to(*keys_and_value):
        def change(description, model):
            *keys, last, value = keys_and_value
            for key in keys:
                description = description[key]
            description[last] = value

        return change

    def with_checksum(description, model):
        description["sha256"] = hashlib.sha256(model).hexdigest()

    cases = [
        (None, flipped, "damaged"),
        (with_checksum, lambda model: b"nonsense", "cannot read"),
        (set_to("format", 99), None, "format 99"),
        (set_to("format", None), None, "no format"),
        (set_to("engine", "os"), None, "'os'"),
        (set_to("link", "loss", "Popen"), None, "Popen"),
        (set_to("link", "kind", "other"), None, "link"),
        (set_to("link", "log_odds_shift", ["x"]), None, "link"),
        (set_to("classes", {"dtype": "O", "labels": [{"a": 1}, 2]}), None, "not a model"),
        (set_to("parameters", None), None, "not a model"),
        (set_to("parameters", "hessian", "__import__('os')"), None, "hessian"),
    ]
    for change_description, change_model, message in cases:
        with pytest.raises(ValueError, match=message):
            FocalClassifier.load_model(damaged(path, tmp_path, change_description, change_model))
    with pytest.raises(FileNotFoundError):
        FocalClassifier.load_model(tmp_path / "missing.zip")
    for content in (b"", b"no zip at all", path.read_bytes()[:200], pickle.dumps({"a": 1})):
        (tmp_path / "bad.zip").write_bytes(content)
        with pytest.raises(ValueError, match="not a model that this version can read"):
            FocalClassifier.load_model(tmp_path / "bad.zip")


def test_unknown_entries_of_a_description_are_left_alone(tmp_path):
    # What a later minor version adds must not stop this one, nor what this one adds stop the next.
    X, y, _, _ = rare_positives(500)
    model = FocalClassifier(xgboost_classifier()).fit(X, y)
    model.save_model(tmp_path / "model.zip")
    copy = damaged(tmp_path / "model.zip", tmp_path, lambda description, _: description.update(new={"entry": 1}))
    np.testing.assert_array_equal(FocalClassifier.load_model(copy).predict_proba(X), model.predict_proba(X))


def test_a_model_of_version_0_1_still_loads():
    from pathlib import Path

    folder = Path(__file__).parent / "models"
    X = np.load(folder / "X.npy")
    for name in ("xgboost", "lightgbm"):
        model = FocalClassifier.load_model(folder / f"{name}-0.1.0.zip")
        np.testing.assert_allclose(model.predict_proba(X), np.load(folder / f"{name}-0.1.0.npy"), rtol=1e-5)


# ---- schedules ----


def test_schedules_say_their_numbers():
    assert [ConstantSchedule(3.0)(i) for i in (0, 5, np.inf)] == [3, 3, 3]
    assert [LinearSchedule(0, 2, 4)(i) for i in (0, 1, 2, 4, 9, np.inf)] == [0, 0.5, 1, 2, 2, 2]
    cosine = [CosineSchedule(1, 3, 4)(i) for i in (0, 1, 2, 3, 4, np.inf)]
    np.testing.assert_allclose(cosine, [1, 2 - np.sqrt(0.5), 2, 2 + np.sqrt(0.5), 3, 3])
    for schedule in (LinearSchedule(0, 2, 0), LinearSchedule(np.nan, 2, 4), LinearSchedule(0, "x", 4)):
        with pytest.raises((ValueError, TypeError)):
            schedule(1)
    with pytest.raises(TypeError, match="gamma=LinearSchedule"):
        FocalLoss(LinearSchedule(0, 2, 4)).value([1], [0.0])


@both_engines
def test_a_schedule_of_one_value_is_that_value(engine):
    X, y, _, _ = rare_positives(1500)
    fixed = FocalClassifier(engine(), FocalLoss(1.5)).fit(X, y)
    for schedule in (ConstantSchedule(1.5), LinearSchedule(1.5, 1.5, 10)):
        scheduled = FocalClassifier(engine(), FocalLoss(schedule)).fit(X, y)
        np.testing.assert_array_equal(scheduled.predict_proba(X), fixed.predict_proba(X))
        assert scheduled.loss_.gamma == 1.5


@both_engines
def test_a_schedule_starts_anew_with_each_fit(engine):
    X, y, _, _ = rare_positives(1500)
    model = FocalClassifier(engine(), FocalLoss(CosineSchedule(0, 3, 10)))
    first = model.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(model.fit(X, y).predict_proba(X), first)
    np.testing.assert_array_equal(clone(model).fit(X, y).predict_proba(X), first)
    np.testing.assert_array_equal(clone(model).set_params(loss__gamma__rounds=10).fit(X, y).predict_proba(X), first)
    other = clone(model).set_params(loss__gamma__rounds=3).fit(X, y).predict_proba(X)
    assert np.abs(other - first).max() > 1e-3


@both_engines
def test_probabilities_are_those_of_the_round_that_training_reached(engine):
    # A schedule that training leaves early is the same as a shorter one.
    X, y, _, _ = rare_positives(1500)
    long = FocalClassifier(engine(n_estimators=11), FocalLoss(LinearSchedule(0, 5, 1000))).fit(X, y)
    short = FocalClassifier(engine(n_estimators=11), FocalLoss(LinearSchedule(0, 0.05, 10))).fit(X, y)
    assert long.loss_.gamma == pytest.approx(0.05)
    np.testing.assert_allclose(long.predict_proba(X), short.predict_proba(X), atol=1e-5)


def test_an_objective_counts_anew_when_training_does():
    from gbm_focal.xgboost import Objective

    X, y, _, _ = rare_positives(1500)
    data, objective = xgb.DMatrix(X, y), Objective(FocalLoss(LinearSchedule(0, 5, 10)))
    params = {"objective": "binary:logistic", "max_depth": 3, "nthread": 1}
    first, second = (xgb.train(params, data, 10, obj=objective).predict(data) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    estimator = xgboost_classifier(objective=objective)
    first, second = (estimator.fit(X, y).predict(X, output_margin=True) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_schedules_engine_native_and_continued():
    import gbm_focal.lightgbm
    import gbm_focal.xgboost

    X, y, _, _ = rare_positives(1500)
    loss = FocalLoss(LinearSchedule(0, 3, 8))
    params = {"nthread": 1, "max_depth": 3}
    whole = gbm_focal.xgboost.train(params, xgb.DMatrix(X, y), 8, loss=loss)
    half = gbm_focal.xgboost.train(params, xgb.DMatrix(X, y), 4, loss=loss)
    continued = gbm_focal.xgboost.train(params, xgb.DMatrix(X, y), 4, loss=loss, xgb_model=half)
    expected = whole.predict(xgb.DMatrix(X), output_margin=True)
    np.testing.assert_allclose(continued.predict(xgb.DMatrix(X), output_margin=True), expected, atol=1e-5)
    params = {"num_threads": 1, "verbosity": -1, "max_depth": 3}
    whole = gbm_focal.lightgbm.train(params, lgb.Dataset(X, y), 8, loss=loss)
    half = gbm_focal.lightgbm.train(params, lgb.Dataset(X, y), 4, loss=loss)
    continued = gbm_focal.lightgbm.train(params, lgb.Dataset(X, y), 4, loss=loss, init_model=half)
    np.testing.assert_allclose(continued.predict(X, raw_score=True), whole.predict(X, raw_score=True), atol=1e-5)


def test_folds_of_cross_validation_follow_the_schedule_each():
    from gbm_focal.xgboost import Metric, Objective

    X, y, _, _ = rare_positives(1500)
    data = xgb.DMatrix(X, y)

    def cross_validate(loss):
        return xgb.cv(
            {"objective": "binary:logistic", "max_depth": 3, "nthread": 1, "disable_default_eval_metric": True},
            *(data, 6),
            nfold=3,
            obj=Objective(loss),
            custom_metric=Metric(loss),
            seed=0,
        )

    scheduled = FocalLoss(LinearSchedule(0, 3, 5))
    first = cross_validate(scheduled)
    pd.testing.assert_frame_equal(first, cross_validate(scheduled))
    # By hand: one training of each fold's kind must see gamma 0, 0.6, ..., 3.
    seen = []

    class Recorded(Objective):
        def _resolved(self, loss, totals):
            seen.append(loss.gamma)
            return super()._resolved(loss, totals)

    xgb.cv({"objective": "binary:logistic", "nthread": 1}, data, 6, nfold=3, obj=Recorded(scheduled), seed=0)
    np.testing.assert_allclose(sorted(seen), np.repeat([0, 0.6, 1.2, 1.8, 2.4, 3], 3))
