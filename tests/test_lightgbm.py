"""LightGBM end to end: what a user trains, saves, loads in another process and predicts."""

import pickle

import numpy as np
import pytest
from problems import rare_positives, run_in_new_process
from scipy.special import expit, logit
from sklearn.metrics import average_precision_score, log_loss
from test_losses import NumpyFocalLoss

from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalLoss, PowerCrossEntropy

lgb = pytest.importorskip("lightgbm")
engine = pytest.importorskip("gbm_focal.lightgbm")

PARAMS = {"num_leaves": 15, "learning_rate": 0.1, "num_threads": 1, "verbosity": -1, "deterministic": True}
LOSSES = [FocalLoss(2), AsymmetricLoss(), BalancedCrossEntropy(), PowerCrossEntropy(2), FocalLoss(0.5, "effective")]


def data(n=4000, seed=0, weighted=False, **kwargs):
    X, y, w, _ = rare_positives(n, seed)
    return lgb.Dataset(X, y, weight=w if weighted else None, **kwargs)


def features(n=4000, seed=0):
    return rare_positives(n, seed)[0]


# ---- start, save, load ----


@pytest.mark.filterwarnings("ignore:training ended without a single split")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_training_starts_at_the_intercept(loss, weighted):
    # One round that finds no split leaves the intercept alone in the model.
    X, y, w, _ = rare_positives()
    w = w if weighted else None
    params = {**PARAMS, "min_gain_to_split": 1e9, "learning_rate": 1e-9}
    booster = engine.train(params, lgb.Dataset(X, y, weight=w), 1, loss=loss)
    np.testing.assert_allclose(booster.predict(X, raw_score=True), loss.intercept(y, w), atol=1e-7)
    np.testing.assert_allclose(engine.predict_proba(booster, X)[:, 1], np.average(y, weights=w), rtol=1e-6)


@pytest.mark.parametrize("boosting", ["gbdt", "dart", "goss"])
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_saved_model_predicts_the_same_in_a_new_process(tmp_path, loss, boosting):
    X = features()
    params = {**PARAMS, "boosting": boosting}
    if boosting == "goss":
        params = {**PARAMS, "data_sample_strategy": "goss"}
    margins = []

    def remember(margin, dataset):
        margins.append(margin.copy())
        return "none", 0.0, False

    train_set = data()
    booster = engine.train(params, train_set, 12, loss=loss, feval=remember, valid_sets=[train_set])
    path, out = tmp_path / "model.txt", tmp_path / "out.npz"
    booster.save_model(path)
    np.save(tmp_path / "X.npy", X)
    run_in_new_process(
        "import sys, numpy, lightgbm, gbm_focal.lightgbm\n"
        "booster = lightgbm.Booster(model_file=sys.argv[1])\n"
        "X = numpy.load(sys.argv[2])\n"
        "numpy.savez(sys.argv[3], raw=booster.predict(X, raw_score=True), sigmoid=booster.predict(X),\n"
        "            proba=gbm_focal.lightgbm.predict_proba(booster, X))",
        *(path, tmp_path / "X.npy", out),
    )
    loaded = np.load(out)
    # The margin that the last evaluation saw is the margin of the file.
    np.testing.assert_allclose(loaded["raw"], margins[-1], atol=1e-10)
    np.testing.assert_array_equal(loaded["raw"], booster.predict(X, raw_score=True))
    np.testing.assert_allclose(loaded["sigmoid"], expit(loaded["raw"]), rtol=1e-12)
    posterior = loss.resolve(rare_positives()[1]).posterior(loaded["raw"])
    shift = (logit(loaded["proba"][:, 1]) - logit(posterior))[posterior < 0.99]
    np.testing.assert_allclose(shift, shift[0], atol=1e-9)
    np.testing.assert_array_equal(loaded["proba"], engine.predict_proba(booster, X))
    assert loaded["proba"].shape == (4000, 2)


def test_pickle_and_saving_again_keep_all(tmp_path):
    X = features()
    booster = engine.train(PARAMS, data(), 5, loss=AsymmetricLoss(1, 3, 0.02, alpha="balanced"))
    expected = engine.predict_proba(booster, X)
    loaded = lgb.Booster(model_str=booster.model_to_string())
    loaded.save_model(tmp_path / "again.txt")
    for again in (pickle.loads(pickle.dumps(booster)), lgb.Booster(model_file=tmp_path / "again.txt")):
        np.testing.assert_array_equal(engine.predict_proba(again, X), expected)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_mean_probability_over_the_training_data_is_the_base_rate(loss, weighted):
    X, y, w, _ = rare_positives()
    booster = engine.train(PARAMS, data(weighted=weighted), 10, loss=loss)
    plain = engine.train(PARAMS, data(weighted=weighted), 10, loss=loss, calibrate=False)
    margin = booster.predict(X, raw_score=True)
    np.testing.assert_array_equal(margin, plain.predict(X, raw_score=True))
    w = w if weighted else np.ones(y.size)
    base_rate = np.average(y, weights=w)
    means = [np.average(engine.predict_proba(b, X)[:, 1], weights=w) for b in (booster, plain)]
    np.testing.assert_allclose(means[0], base_rate, rtol=1e-5)
    assert abs(means[1] / base_rate - 1) > 1e-3
    np.testing.assert_array_equal(engine.predict_proba(plain, X)[:, 1], loss.resolve(y, w).posterior(margin))


def test_shap_values_sum_to_the_margin():
    X = features()
    booster = engine.train(PARAMS, data(), 5, loss=FocalLoss())
    contributions = booster.predict(X, pred_contrib=True).sum(axis=1)
    np.testing.assert_allclose(contributions, booster.predict(X, raw_score=True), atol=1e-9)


def test_foreign_booster_needs_its_loss():
    X = features()
    params = {**PARAMS, "objective": engine.Objective(FocalLoss()), "metric": "None"}
    booster = lgb.train(params, data(), 5)
    with pytest.raises(ValueError, match="pass loss="):
        engine.predict_proba(booster, X)
    expected = FocalLoss().posterior(booster.predict(X, raw_score=True))
    np.testing.assert_array_equal(engine.predict_proba(booster, X, loss=FocalLoss())[:, 1], expected)


# ---- the same as the engine where the loss is the engine's ----


@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_is_the_native_objective(weighted):
    X = features(20_000)
    native = lgb.train({**PARAMS, "objective": "binary"}, data(20_000, weighted=weighted), 100)
    ours = engine.train(PARAMS, data(20_000, weighted=weighted), 100, loss=FocalLoss(0), max_step=None)
    np.testing.assert_allclose(engine.predict_proba(ours, X)[:, 1], native.predict(X), atol=1e-5)
    assert native.predict(X).std() > 0.05


def test_cross_entropy_by_bare_objective():
    X = features()
    ours = {**PARAMS, "objective": engine.Objective(FocalLoss(0), max_step=None, normalize=False), "metric": "None"}
    native = lgb.train({**PARAMS, "objective": "binary", "boost_from_average": False}, data(), 20)
    np.testing.assert_allclose(lgb.train(ours, data(), 20).predict(X), native.predict(X, raw_score=True), atol=1e-5)


def test_integer_weights_are_repetitions():
    X, y, _, _ = rare_positives(3000)
    repeats = np.random.default_rng(1).integers(1, 4, y.size)
    X = np.round(X, 1)  # so that both data sets have the same bins
    params = {**PARAMS, "min_data_in_leaf": 1, "min_data_in_bin": 1}
    for loss in LOSSES:
        weighted = engine.train(params, lgb.Dataset(X, y, weight=repeats), 10, loss=loss)
        repeated = engine.train(params, lgb.Dataset(np.repeat(X, repeats, 0), np.repeat(y, repeats)), 10, loss=loss)
        pair = [engine.predict_proba(b, X)[:, 1] for b in (weighted, repeated)]
        np.testing.assert_allclose(*pair, atol=2e-3)


# ---- metric and early stopping ----


def test_metric_is_the_weighted_mean_of_the_loss():
    dataset = data(weighted=True).construct()
    z = np.linspace(-5, 5, 4000)
    for loss in LOSSES:
        y, w = dataset.get_label(), dataset.get_weight()
        name, value, maximise = engine.Metric(loss)(z, dataset)
        np.testing.assert_allclose(value, np.average(loss.resolve(y, w).value(y, z), weights=w), rtol=1e-5)
        assert maximise is False
        assert name == engine.Metric(loss).__name__


@pytest.mark.parametrize("loss", [FocalLoss(2), BalancedCrossEntropy()], ids=repr)
def test_early_stopping_on_the_loss(loss):
    train_set = data()
    valid = data(seed=1, reference=train_set)
    history = {}
    callbacks = [lgb.early_stopping(5, verbose=False), lgb.record_evaluation(history)]
    booster = engine.train(PARAMS, train_set, 300, loss=loss, valid_sets=[valid], callbacks=callbacks)
    (name,) = history["valid_0"]
    curve = history["valid_0"][name]
    assert booster.best_iteration == int(np.argmin(curve)) + 1
    assert len(curve) == booster.best_iteration + 5 < 300
    # What was reported for the validation set is the loss of the full margin there.
    X, y, _, _ = rare_positives(seed=1)
    resolved = loss.resolve(rare_positives()[1])
    margin = booster.predict(X, raw_score=True)
    np.testing.assert_allclose(min(curve), resolved.value(y, margin).mean(), rtol=1e-5)
    y, X = rare_positives()[1], features()
    np.testing.assert_allclose(engine.predict_proba(booster, X)[:, 1].mean(), y.mean(), rtol=1e-5)
    # The trees after the best one are still there, as in LightGBM's own training.
    assert booster.current_iteration() == len(curve)


def test_ranking_metrics_are_kept_and_users_metrics_see_the_full_margin():
    history, seen = {}, []

    def mean_margin(margin, dataset):
        seen.append(margin.mean())
        return "mine", 0.0, False

    train_set, X = data(), features()
    arguments = {"loss": FocalLoss(), "valid_sets": [train_set], "callbacks": [lgb.record_evaluation(history)]}
    engine.train({**PARAMS, "metric": ["auc", "average_precision"]}, train_set, 2, **arguments)
    assert set(history["training"]) == {"auc", "average_precision", "focal_loss"}
    booster = engine.train(PARAMS, train_set, 2, feval=[mean_margin], **arguments)
    assert set(history["training"]) == {"mine"}
    np.testing.assert_allclose(seen[-1], booster.predict(X, raw_score=True).mean(), atol=1e-10)


# ---- the ways of LightGBM ----


def test_users_data_sets_are_left_as_they_were():
    train_set = data(weighted=True).construct()
    valid = data(seed=1, reference=train_set).construct()
    before = [(d.get_label().copy(), d.get_init_score(), dict(d.params)) for d in (train_set, valid)]
    engine.train(PARAMS, train_set, 3, loss=FocalLoss(), valid_sets=[valid])
    for dataset, (label, init_score, params) in zip((train_set, valid), before, strict=True):
        np.testing.assert_array_equal(dataset.get_label(), label)
        assert dataset.get_init_score() is init_score is None
        assert dataset.params == params


def test_init_score_of_the_user():
    X, y, _, _ = rare_positives()
    start = np.linspace(-4, 0, y.size)
    gradients = []

    class Recording(FocalLoss):
        def fill_derivatives(self, y, z, *args, **kwargs):
            gradients.append(z + kwargs.get("offset", 0))
            super().fill_derivatives(y, z, *args, **kwargs)

    engine.train(PARAMS, lgb.Dataset(X, y, init_score=start), 1, loss=Recording(2.0))
    np.testing.assert_allclose(gradients[-1], start, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_continued_training_equals_training_at_once(tmp_path, loss):
    X = features()
    whole = engine.train(PARAMS, data(), 10, loss=loss)
    begun = engine.train(PARAMS, data(), 4, loss=loss)
    begun.save_model(tmp_path / "begun.txt")
    for start in (begun, str(tmp_path / "begun.txt")):
        finished = engine.train(PARAMS, data(), 6, loss=loss, init_model=start)
        assert finished.num_trees() == 10
        pair = [b.predict(X, raw_score=True) for b in (finished, whole)]
        np.testing.assert_allclose(*pair, atol=1e-5)
        np.testing.assert_allclose(*(engine.predict_proba(b, X) for b in (finished, whole)), atol=1e-6)


def test_continuing_again_and_again_on_one_data_set():
    X, y, _, _ = rare_positives()
    train_set = data(free_raw_data=False)
    booster = None
    for rounds in (5, 10, 15):
        booster = engine.train(PARAMS, train_set, 5, loss=FocalLoss(), init_model=booster)
        assert booster.num_trees() == rounds
        np.testing.assert_allclose(engine.predict_proba(booster, X)[:, 1].mean(), y.mean(), rtol=1e-5)
    with pytest.raises(ValueError, match="make a new Dataset"):
        engine.train(PARAMS, train_set, 5, loss=FocalLoss())


@pytest.mark.parametrize("loss", [AsymmetricLoss(0, 0, 0.05), AsymmetricLoss(1, 0, 0.2)], ids=repr)
def test_asymmetric_cross_entropy_starts_at_its_edge_and_learns(loss):
    X, y, _, _ = rare_positives(20_000, base=-7)
    booster = engine.train(PARAMS, lgb.Dataset(X, y), 20, loss=loss)
    assert average_precision_score(y, engine.predict_proba(booster, X)[:, 1]) > 5 * y.mean()


def test_init_score_on_one_side_only():
    X, y, _, _ = rare_positives()
    start = np.full(y.size, -3.0)
    for train_start, valid_start in ((start, None), (None, start)):
        train_set = lgb.Dataset(X, y, init_score=train_start)
        valid = lgb.Dataset(X, y, init_score=valid_start, reference=train_set)
        with pytest.raises(ValueError, match="init_score"):
            engine.train(PARAMS, train_set, 2, loss=FocalLoss(), valid_sets=[valid])


@pytest.mark.filterwarnings("ignore:training ended without a single split")
def test_weights_of_a_subset_and_beside_a_file(tmp_path):
    X, y, w, _ = rare_positives()
    expected = FocalLoss().intercept(y[:2000], w[:2000])
    frozen = {**PARAMS, "min_gain_to_split": 1e9, "learning_rate": 1e-9}
    whole = lgb.Dataset(X, y, weight=w)
    subset = whole.subset(list(range(2000)))
    subset.label = y[:2000]
    with pytest.warns(UserWarning, match="Overriding the parameters"):
        booster = engine.train(frozen, subset, 1, loss=FocalLoss())
    np.testing.assert_allclose(booster.predict(X[:1], raw_score=True), expected, atol=1e-6)
    np.savetxt(tmp_path / "data.csv", np.column_stack([y, X])[:2000], delimiter=",")
    np.savetxt(tmp_path / "data.csv.weight", w[:2000])
    in_file = lgb.Dataset(tmp_path / "data.csv", label=y[:2000])
    booster = engine.train({**frozen, "label_column": 0}, in_file, 1, loss=FocalLoss())
    np.testing.assert_allclose(booster.predict(X[:1], raw_score=True), expected, atol=1e-6)


def test_data_set_in_a_file_and_subset(tmp_path):
    X, y, _, _ = rare_positives()
    np.savetxt(tmp_path / "data.csv", np.column_stack([y, X]), delimiter=",")
    booster = engine.train({**PARAMS, "label_column": 0}, lgb.Dataset(tmp_path / "data.csv"), 5, loss=FocalLoss())
    expected = engine.predict_proba(engine.train(PARAMS, data(), 5, loss=FocalLoss()), X)
    np.testing.assert_allclose(engine.predict_proba(booster, X), expected, atol=1e-6)
    rows = list(range(2000))
    with pytest.warns(UserWarning, match="Overriding the parameters"):  # LightGBM's own, as without us
        subset = engine.train(PARAMS, data().subset(rows), 5, loss=FocalLoss())
    assert abs(engine.predict_proba(subset, X)[:, 1].mean() / y[rows].mean() - 1) < 0.2


def test_cv_with_objective_and_metric():
    params = {**PARAMS, "objective": engine.Objective(FocalLoss()), "metric": "None"}
    result = lgb.cv(params, data(), 8, nfold=3, feval=engine.Metric(FocalLoss()))
    curve = result["valid focal_loss-mean"]
    assert curve[-1] < curve[0]


def test_scikit_learn_estimator_takes_objective_and_metric():
    X, y, w, _ = rare_positives()
    model = lgb.LGBMClassifier(n_estimators=5, objective=engine.Objective(FocalLoss()), **PARAMS)
    model.fit(X, y, sample_weight=w, eval_X=(X,), eval_y=(y,), eval_metric=engine.Metric(FocalLoss()))
    assert "focal_loss" in model.evals_result_["valid_0"]
    params = {**PARAMS, "objective": engine.Objective(FocalLoss()), "metric": "None"}
    native = lgb.train(params, lgb.Dataset(X, y, weight=w), 5)
    np.testing.assert_allclose(model.predict(X, raw_score=True), native.predict(X, raw_score=True), atol=1e-6)


def test_own_loss_trains_like_the_built_in_one():
    pair = [engine.train(PARAMS, data(), 5, loss=loss(2.0, "balanced")) for loss in (NumpyFocalLoss, FocalLoss)]
    np.testing.assert_allclose(*(engine.predict_proba(b, features())[:, 1] for b in pair), atol=1e-5)


@pytest.mark.parametrize("max_step", [0.5, 2.0])
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_no_leaf_takes_a_longer_step(loss, max_step):
    X, y, _, _ = rare_positives(20_000, base=-7)
    params = {**PARAMS, "num_leaves": 31, "learning_rate": 0.3, "lambda_l2": 0, "min_sum_hessian_in_leaf": 0}
    intercept = loss.intercept(y)
    for kind in ("fisher", "exact"):
        booster = engine.train(params, lgb.Dataset(X, y), 30, loss=loss, hessian=kind, max_step=max_step)
        trees = booster.trees_to_dataframe()
        leaves = trees[trees.split_feature.isna()]
        first = leaves.tree_index == 0
        steps = np.abs(leaves.value - np.where(first, intercept, 0)) / 0.3
        assert steps.max() <= max_step * (1 + 1e-5)
        assert steps.max() > 0.5 * max_step


@pytest.mark.parametrize("constructed", [False, True])
def test_data_without_a_usable_feature(constructed):
    y = np.array([0, 1] * 50)
    dataset = lgb.Dataset(np.ones((100, 3)), y)
    if constructed:
        with pytest.raises(ValueError, match="feature_pre_filter"):
            engine.train(PARAMS, dataset.construct(), 3, loss=FocalLoss())
    else:
        with pytest.warns(RuntimeWarning, match="without a single split"):
            booster = engine.train(PARAMS, dataset, 3, loss=FocalLoss())
        np.testing.assert_allclose(engine.predict_proba(booster, np.ones((2, 3))), 0.5)


def test_calibration_on_simulated_data():
    X, _, _, eta = rare_positives(40_000)
    y = (np.random.default_rng(9).random(eta.size) < eta).astype(float)
    half = 20_000
    booster = engine.train(PARAMS, lgb.Dataset(X[:half], y[:half]), 60, loss=FocalLoss(2))
    probabilities = engine.predict_proba(booster, X[half:])[:, 1]
    assert abs(probabilities.mean() / eta[half:].mean() - 1) < 0.05
    # The sigmoid is no probability here.
    assert log_loss(y[half:], probabilities) < 0.7 * log_loss(y[half:], booster.predict(X[half:]))


# ---- bad input ----


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"scale_pos_weight": 20}, "scale_pos_weight=20 .*alpha"),
        ({"is_unbalance": True}, "is_unbalance=True .*balanced"),
        ({"unbalance": True}, "is_unbalance=True"),
        ({"objective": "regression"}, "objective='regression'"),
        ({"application": "regression"}, "objective='regression'"),
        ({"metric": "binary_logloss"}, "metric='binary_logloss'"),
        ({"metric": "auc,binary_error"}, "metric='binary_error'"),
        ({"metrics": ["auc", "cross_entropy"]}, "metric='cross_entropy'"),
        ({"boosting": "rf"}, "boosting='rf'"),
        ({"boosting_type": "random_forest"}, "boosting='random_forest'"),
        ({"linear_tree": True}, "linear_tree=True"),
        ({"neg_bagging_fraction": 0.1}, "neg_bagging_fraction=0.1 .*alpha"),
        ({"pos_subsample": 0.5}, "pos_bagging_fraction=0.5"),
        ({"feature_pre_filter": True}, "feature_pre_filter=True"),
        ({"metric": "auc", "metrics": "binary_logloss"}, "one parameter"),
        ({"num_class": 3}, "class 2 of the 3 classes"),
    ],
)
def test_parameters_that_contradict_the_loss(params, message):
    with pytest.raises(ValueError, match=message):
        engine.train({**PARAMS, **params}, data(50), 1, loss=FocalLoss())


def test_bad_data_and_bad_losses():
    X, y, _, _ = rare_positives(100)
    with pytest.raises(ValueError, match="no labels"):
        engine.train(PARAMS, lgb.Dataset(X), 1, loss=FocalLoss())
    with pytest.raises(ValueError, match="single class"):
        engine.train(PARAMS, lgb.Dataset(X, np.zeros(100)), 1, loss=FocalLoss())
    with pytest.raises(ValueError, match="go up to 3"):
        engine.train(PARAMS, lgb.Dataset(X, np.full(100, 3)), 1, loss=FocalLoss())
    with pytest.raises(ValueError, match=r"sample_weight\[0\] is -1"):
        engine.train(PARAMS, lgb.Dataset(X, y, weight=np.full(100, -1.0)), 1, loss=FocalLoss())
    with pytest.raises(ValueError, match="linear_tree=True"):
        engine.train(PARAMS, lgb.Dataset(X, y, params={"linear_tree": True}), 1, loss=FocalLoss())
    with pytest.raises(ValueError, match="init_model"):
        engine.train(PARAMS, lgb.Dataset(X, y), 1, loss=FocalLoss(), keep_training_booster=True)
    with pytest.raises(TypeError, match="FocalLoss is a class"):
        engine.train(PARAMS, lgb.Dataset(X, y), 1, loss=FocalLoss)
    with pytest.raises(TypeError, match="loss='focal' is a str"):
        engine.Metric("focal")
