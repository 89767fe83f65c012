"""XGBoost end to end: what a user trains, saves, loads in another process and predicts."""

import json
import pickle

import numpy as np
import pytest
from problems import rare_positives, run_in_new_process
from scipy.special import expit
from sklearn.metrics import average_precision_score, log_loss
from test_losses import NumpyFocalLoss

from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalLoss, PowerCrossEntropy
from gbm_focal.link import Link

xgb = pytest.importorskip("xgboost")
engine = pytest.importorskip("gbm_focal.xgboost")

PARAMS = {"max_depth": 4, "eta": 0.3, "nthread": 1, "seed": 1}
LOSSES = [FocalLoss(2), AsymmetricLoss(), BalancedCrossEntropy(), PowerCrossEntropy(2), FocalLoss(0.5, "effective")]


def data(n=4000, seed=0, weighted=False, kind=None):
    X, y, w, _ = rare_positives(n, seed)
    return (kind or xgb.DMatrix)(X, label=y, weight=w if weighted else None)


def margin(booster, matrix, **kwargs):
    return booster.predict(matrix, output_margin=True, **kwargs)


# ---- start, save, load ----


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_first_margin_is_the_intercept(loss, weighted):
    matrix = data(weighted=weighted)
    booster = engine.train(PARAMS, matrix, 0, loss=loss)
    intercept = loss.intercept(matrix.get_label(), matrix.get_weight() if weighted else None)
    np.testing.assert_allclose(margin(booster, matrix), intercept, rtol=1e-6, atol=1e-6)
    base_rate = np.average(matrix.get_label(), weights=matrix.get_weight() if weighted else None)
    np.testing.assert_allclose(engine.predict_proba(booster, matrix)[:, 1], base_rate, rtol=1e-5)


@pytest.mark.parametrize("kind", ["json", "ubj"])
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_saved_model_predicts_the_same_in_a_new_process(tmp_path, loss, kind):
    matrix = data()
    booster = engine.train(PARAMS, matrix, 5, loss=loss)
    path, out = tmp_path / f"model.{kind}", tmp_path / "out.npy"
    booster.save_model(path)
    np.save(tmp_path / "X.npy", rare_positives()[0])
    run_in_new_process(
        "import sys, numpy, xgboost, gbm_focal.xgboost\n"
        "booster = xgboost.Booster(model_file=sys.argv[1])\n"
        "data = xgboost.DMatrix(numpy.load(sys.argv[2]))\n"
        "numpy.save(sys.argv[3], gbm_focal.xgboost.predict_proba(booster, data))",
        *(path, tmp_path / "X.npy", out),
    )
    probabilities = engine.predict_proba(booster, matrix)
    np.testing.assert_array_equal(np.load(out), probabilities)
    assert probabilities.shape == (4000, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    link = Link.from_json(booster.attr("gbm_focal"))
    assert link.loss.get_params() == loss.resolve(matrix.get_label()).get_params()
    np.testing.assert_array_equal(probabilities, link.probabilities(margin(booster, matrix)))


def test_own_predict_gives_the_sigmoid_and_pickle_keeps_all():
    matrix = data()
    booster = engine.train(PARAMS, matrix, 5, loss=FocalLoss(2))
    np.testing.assert_allclose(booster.predict(matrix), expit(margin(booster, matrix)), rtol=1e-5)
    again = pickle.loads(pickle.dumps(booster))
    np.testing.assert_array_equal(engine.predict_proba(again, matrix), engine.predict_proba(booster, matrix))
    stored = json.loads(again.attr("gbm_focal"))
    assert stored.keys() == {"loss", "module", "parameters", "log_odds_shift", "kind"}
    assert stored["parameters"] == {"alpha": None, "beta": 0.9999, "gamma": 2}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_mean_probability_over_the_training_data_is_the_base_rate(loss, weighted):
    _, y, w, _ = rare_positives()
    matrix = data(weighted=weighted)
    booster = engine.train(PARAMS, matrix, 10, loss=loss)
    plain = engine.train(PARAMS, matrix, 10, loss=loss, calibrate=False)
    np.testing.assert_array_equal(margin(booster, matrix), margin(plain, matrix))
    w = w if weighted else np.ones(y.size)
    base_rate = np.average(y, weights=w)
    means = [np.average(engine.predict_proba(b, matrix)[:, 1], weights=w) for b in (booster, plain)]
    np.testing.assert_allclose(means[0], base_rate, rtol=1e-4)
    assert abs(means[1] / base_rate - 1) > 1e-3
    posterior = loss.resolve(y, w).posterior(margin(booster, matrix))
    np.testing.assert_array_equal(engine.predict_proba(plain, matrix)[:, 1], posterior)


def test_shap_values_sum_to_the_margin():
    matrix = data()
    booster = engine.train(PARAMS, matrix, 5, loss=AsymmetricLoss())
    contributions = booster.predict(matrix, pred_contribs=True).sum(axis=1)
    np.testing.assert_allclose(contributions, margin(booster, matrix), atol=1e-5)


def test_predict_proba_of_arrays_and_of_foreign_boosters():
    matrix = data()
    booster = engine.train(PARAMS, matrix, 5, loss=FocalLoss(2), calibrate=False)
    expected = engine.predict_proba(booster, matrix)
    np.testing.assert_allclose(engine.predict_proba(booster, rare_positives()[0]), expected, rtol=1e-5)
    booster.set_attr(gbm_focal=None)
    with pytest.raises(ValueError, match="pass loss="):
        engine.predict_proba(booster, matrix)
    np.testing.assert_array_equal(engine.predict_proba(booster, matrix, loss=FocalLoss(2)), expected)


# ---- the same as the engine where the loss is the engine's ----


@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_is_the_native_objective(weighted):
    matrix = data(20_000, weighted=weighted)
    base = float(np.average(matrix.get_label(), weights=matrix.get_weight() if weighted else None))
    native = xgb.train({**PARAMS, "objective": "binary:logistic", "base_score": base}, matrix, 100)
    ours = engine.train(PARAMS, matrix, 100, loss=FocalLoss(0), max_step=None)
    np.testing.assert_allclose(engine.predict_proba(ours, matrix)[:, 1], native.predict(matrix), atol=1e-5)
    assert native.predict(matrix).std() > 0.05


def test_cross_entropy_by_bare_objective():
    matrix = data()
    params = {**PARAMS, "objective": "binary:logistic", "base_score": 0.1}
    native = xgb.train(params, matrix, 20)
    ours = xgb.train(params, matrix, 20, obj=engine.Objective(FocalLoss(0), max_step=None, normalize=False))
    np.testing.assert_allclose(ours.predict(matrix), native.predict(matrix), atol=1e-5)


def test_normalizer_makes_min_child_weight_mean_what_it_does_for_the_logistic_loss():
    matrix = data()
    y = matrix.get_label()
    for loss in LOSSES:
        objective = engine.Objective(loss, max_step=None)
        z = np.full(y.shape, loss.intercept(y), np.float32)
        _, hessian = objective(z, matrix)
        np.testing.assert_allclose(hessian, y.mean() * (1 - y.mean()), rtol=1e-4)


# ---- weights ----


def test_integer_weights_are_repetitions():
    X, y, _, _ = rare_positives(1500)
    repeats = np.random.default_rng(1).integers(1, 4, y.size)
    params = {**PARAMS, "tree_method": "exact"}
    for loss in LOSSES:
        weighted = engine.train(params, xgb.DMatrix(X, y, weight=repeats), 10, loss=loss)
        repeated = engine.train(params, xgb.DMatrix(np.repeat(X, repeats, 0), np.repeat(y, repeats)), 10, loss=loss)
        pair = [engine.predict_proba(b, xgb.DMatrix(X))[:, 1] for b in (weighted, repeated)]
        np.testing.assert_allclose(*pair, atol=2e-4)
        metric = engine.Metric(loss)
        z = X[:, 0].astype(np.float32)
        np.testing.assert_allclose(
            metric(z, xgb.DMatrix(X, y, weight=repeats))[1],
            metric(np.repeat(z, repeats), xgb.DMatrix(np.repeat(X, repeats, 0), np.repeat(y, repeats)))[1],
            rtol=1e-5,
        )


# ---- metric and early stopping ----


def test_metric_is_the_weighted_mean_of_the_loss():
    matrix = data(weighted=True)
    z = np.linspace(-5, 5, 4000).astype(np.float32)
    for loss in LOSSES:
        y, w = matrix.get_label(), matrix.get_weight()
        name, value = engine.Metric(loss)(z, matrix)
        resolved = loss.resolve(y, w)
        np.testing.assert_allclose(value, np.average(resolved.value(y, z), weights=w), rtol=1e-5)
        assert not name.startswith(("auc", "aucpr", "map", "ndcg", "pre"))
    assert engine.Metric(AsymmetricLoss()).__name__ == "asymmetric_loss"


def test_early_stopping_on_the_loss():
    train, valid = data(), data(seed=1)
    history = {}
    booster = engine.train(
        PARAMS,
        train,
        300,
        loss=FocalLoss(2),
        evals=[(train, "train"), (valid, "valid")],
        early_stopping_rounds=5,
        evals_result=history,
        verbose_eval=False,
    )
    assert set(history["valid"]) == {"focal_loss"}
    curve = history["valid"]["focal_loss"]
    assert booster.best_iteration == int(np.argmin(curve))
    assert len(curve) == booster.best_iteration + 6 < 300
    best = margin(booster, valid, iteration_range=(0, booster.best_iteration + 1))
    link = Link.from_json(booster.attr("gbm_focal"))
    np.testing.assert_array_equal(engine.predict_proba(booster, valid), link.probabilities(best))
    last = engine.predict_proba(booster, valid, iteration_range=(0, 0))
    assert not np.array_equal(last, engine.predict_proba(booster, valid))


def test_ranking_metrics_are_kept_and_users_metrics_replace_ours():
    train, valid = data(), data(seed=1)
    history = {}
    arguments = {"evals": [(valid, "valid")], "evals_result": history, "verbose_eval": False, "loss": FocalLoss()}
    engine.train([*PARAMS.items(), ("eval_metric", "auc"), ("eval_metric", "aucpr")], train, 2, **arguments)
    assert set(history["valid"]) == {"auc", "aucpr", "focal_loss"}
    engine.train(PARAMS, train, 2, custom_metric=lambda z, d: ("mine", float(z[0])), **arguments)
    assert set(history["valid"]) == {"mine"}


# ---- the ways of XGBoost ----


def test_quantile_dmatrix():
    X, y, w, _ = rare_positives()
    pair = [
        engine.predict_proba(engine.train(PARAMS, kind(X, y, weight=w), 5, loss=FocalLoss()), xgb.DMatrix(X))
        for kind in (xgb.DMatrix, xgb.QuantileDMatrix)
    ]
    np.testing.assert_allclose(*pair, atol=0.02)


def test_base_margin_of_the_user():
    X, y, _, _ = rare_positives()
    start = np.linspace(-4, 0, y.size)
    matrix = xgb.DMatrix(X, y, base_margin=start)
    booster = engine.train(PARAMS, matrix, 3, loss=FocalLoss())
    trees = margin(booster, xgb.DMatrix(X)) - FocalLoss().intercept(y)
    np.testing.assert_allclose(margin(booster, matrix), start + trees, atol=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
def test_continued_training_equals_training_at_once(weighted):
    matrix = data(weighted=weighted)
    for loss in LOSSES:
        whole = engine.train(PARAMS, matrix, 10, loss=loss)
        begun = engine.train(PARAMS, matrix, 4, loss=loss)
        finished = engine.train(PARAMS, matrix, 6, loss=loss, xgb_model=begun)
        assert finished.num_boosted_rounds() == 10
        np.testing.assert_allclose(margin(finished, matrix), margin(whole, matrix), atol=1e-4)


def test_continuing_an_early_stopped_booster_uses_the_new_trees():
    train, valid = data(), data(seed=1)
    arguments = {"evals": [(valid, "valid")], "early_stopping_rounds": 3, "verbose_eval": False}
    stopped = engine.train(PARAMS, train, 200, loss=FocalLoss(), **arguments)
    continued = engine.train({**PARAMS, "eta": 0.05}, train, 10, loss=FocalLoss(), xgb_model=stopped)
    link = Link.from_json(continued.attr("gbm_focal"))
    np.testing.assert_array_equal(engine.predict_proba(continued, valid), link.probabilities(margin(continued, valid)))
    assert stopped.best_iteration is not None
    assert not np.array_equal(engine.predict_proba(continued, valid), engine.predict_proba(stopped, valid))
    np.testing.assert_allclose(engine.predict_proba(continued, train)[:, 1].mean(), train.get_label().mean(), rtol=1e-3)


@pytest.mark.parametrize("loss", [AsymmetricLoss(0, 0, 0.05), AsymmetricLoss(1, 0, 0.2)], ids=repr)
def test_asymmetric_cross_entropy_starts_at_its_edge_and_learns(loss):
    X, y, _, _ = rare_positives(20_000, base=-7)
    booster = engine.train(PARAMS, xgb.DMatrix(X, y), 20, loss=loss)
    assert average_precision_score(y, engine.predict_proba(booster, X)[:, 1]) > 5 * y.mean()


def test_parameters_of_numpys_types():
    matrix = data()
    for loss in (FocalLoss(np.int64(2), alpha=np.float32(0.5)), AsymmetricLoss(np.float32(1), np.int32(3))):
        booster = engine.train(PARAMS, matrix, 2, loss=loss)
        assert engine.predict_proba(booster, matrix).shape == (4000, 2)
    labels = np.column_stack([matrix.get_label()] * 2)
    loss = FocalLoss(alpha=np.array([0.2, 0.8]))
    booster = engine.train(PARAMS, xgb.DMatrix(rare_positives()[0], labels), 2, loss=loss)
    assert engine.predict_proba(booster, matrix).shape == (4000, 2)


def test_dart():
    matrix = data()
    params = {**PARAMS, "booster": "dart", "rate_drop": 0.3}
    booster = engine.train(params, matrix, 15, loss=FocalLoss())
    again = engine.train(params, matrix, 15, loss=FocalLoss())
    probabilities = engine.predict_proba(booster, matrix)[:, 1]
    np.testing.assert_array_equal(probabilities, engine.predict_proba(again, matrix)[:, 1])
    assert average_precision_score(matrix.get_label(), probabilities) > 0.4


def test_cv_with_objective_and_metric():
    matrix = data()
    base_score = expit(FocalLoss().intercept(matrix.get_label()))
    result = xgb.cv(
        {**PARAMS, "objective": "binary:logistic", "base_score": base_score, "disable_default_eval_metric": 1},
        matrix,
        8,
        nfold=3,
        stratified=True,
        as_pandas=False,
        obj=engine.Objective(FocalLoss()),
        custom_metric=engine.Metric(FocalLoss()),
    )
    curve = result["test-focal_loss-mean"]
    assert curve[-1] < curve[0]


def test_balanced_alpha_is_resolved_per_fold_by_a_bare_objective():
    # One Objective serves data sets with different base rates, in turn.
    objective = engine.Objective(BalancedCrossEntropy(), normalize=False, max_step=None)
    for y in ([1, 0, 0, 0], [1, 1, 1, 0], [1, 0, 0, 0]):
        gradient, _ = objective(np.zeros(4, np.float32), xgb.DMatrix(np.zeros((4, 1)), y))
        alpha = 1 - np.mean(y)
        np.testing.assert_allclose(gradient, np.where(np.array(y) == 1, -alpha, 1 - alpha) / 2)


def test_scikit_learn_estimator_takes_objective_and_metric():
    X, y, w, _ = rare_positives()
    base_score = float(expit(FocalLoss().intercept(y, w)))
    model = xgb.XGBClassifier(
        n_estimators=5, objective=engine.Objective(FocalLoss()), eval_metric=engine.Metric(FocalLoss()), **PARAMS
    )
    model.set_params(base_score=base_score)
    model.fit(X, y, sample_weight=w, eval_set=[(X, y)], verbose=False)
    assert "focal_loss" in model.evals_result()["validation_0"]
    native = engine.train({**PARAMS, "base_score": base_score}, xgb.DMatrix(X, y, weight=w), 5, loss=FocalLoss())
    np.testing.assert_allclose(model.predict(X, output_margin=True), margin(native, xgb.DMatrix(X)), atol=1e-4)


def test_multi_label_booster():
    X, y, w, _ = rare_positives()
    labels = np.column_stack([y, X[:, 4] > 1])
    matrix = xgb.DMatrix(X, labels, weight=w)
    losses = [FocalLoss(2, "balanced"), AsymmetricLoss()]
    for loss in losses:
        booster = engine.train(PARAMS, matrix, 0, loss=loss)
        has_intercepts = tuple(int(part) for part in xgb.__version__.split(".")[:2]) >= (3, 1)
        expected = loss.intercept(labels, w) if has_intercepts else np.zeros(2)
        np.testing.assert_allclose(margin(booster, matrix)[0], expected, atol=1e-5)
        booster = engine.train(PARAMS, matrix, 10, loss=loss)
        probabilities = engine.predict_proba(booster, matrix)
        assert probabilities.shape == (4000, 2)
        assert log_loss(labels[:, 1], probabilities[:, 1]) < 0.1
        base_rates = np.average(labels, axis=0, weights=w)
        np.testing.assert_allclose(np.average(probabilities, axis=0, weights=w), base_rates, rtol=1e-4)


def test_own_loss_trains_like_the_built_in_one():
    matrix = data()
    pair = [engine.train(PARAMS, matrix, 5, loss=loss(2.0, "balanced")) for loss in (NumpyFocalLoss, FocalLoss)]
    np.testing.assert_allclose(*(engine.predict_proba(b, matrix)[:, 1] for b in pair), atol=1e-5)


def test_objective_and_metric_pickle():
    matrix, z = data(), np.linspace(-3, 3, 4000).astype(np.float32)
    objective = pickle.loads(pickle.dumps(engine.Objective(FocalLoss(3), max_step=1.0)))
    for again, first in zip(objective(z, matrix), engine.Objective(FocalLoss(3), max_step=1.0)(z, matrix), strict=True):
        np.testing.assert_array_equal(again, first)
    assert pickle.loads(pickle.dumps(engine.Metric(FocalLoss())))(z, matrix) == engine.Metric(FocalLoss())(z, matrix)
    assert repr(objective) == "Objective(FocalLoss(gamma=3), hessian='fisher', max_step=1.0, normalize=True)"


@pytest.mark.parametrize("max_step", [0.5, 2.0])
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_no_leaf_takes_a_longer_step(loss, max_step):
    X, y, _, _ = rare_positives(20_000, base=-7)
    matrix = xgb.DMatrix(X, y)
    params = {**PARAMS, "max_depth": 6, "lambda": 0, "min_child_weight": 0}
    for kind in ("fisher", "exact"):
        booster = engine.train(params, matrix, 30, loss=loss, hessian=kind, max_step=max_step)
        trees = booster.trees_to_dataframe()
        steps = np.abs(trees.loc[trees.Feature == "Leaf", "Gain"]) / 0.3
        assert steps.max() <= max_step * (1 + 1e-5)
        assert steps.max() > 0.5 * max_step


def test_calibration_on_simulated_data():
    X, _, _, eta = rare_positives(40_000)
    y = (np.random.default_rng(9).random(eta.size) < eta).astype(float)
    half = 20_000
    booster = engine.train({**PARAMS, "eta": 0.1}, xgb.DMatrix(X[:half], y[:half]), 60, loss=FocalLoss(2))
    test = xgb.DMatrix(X[half:])
    probabilities = engine.predict_proba(booster, test)[:, 1]
    assert abs(probabilities.mean() / eta[half:].mean() - 1) < 0.05
    # The sigmoid is no probability here.
    assert log_loss(y[half:], probabilities) < 0.7 * log_loss(y[half:], booster.predict(test).astype(float))


# ---- bad input ----


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"scale_pos_weight": 20}, "scale_pos_weight=20 .*alpha"),
        ({"objective": "reg:squarederror"}, "objective='reg:squarederror'"),
        ({"num_class": 3}, "class 2 of the 3 classes"),
        ({"eval_metric": "logloss"}, "eval_metric='logloss'"),
        ({"eval_metric": "mape"}, "eval_metric='mape'"),
        ({"eval_metric": ["auc", "error@0.3"]}, "eval_metric='error@0.3'"),
    ],
)
def test_parameters_that_contradict_the_loss(params, message):
    with pytest.raises(ValueError, match=message):
        engine.train(params, data(50), 1, loss=FocalLoss())


def test_bad_data_and_bad_losses():
    X, y, _, _ = rare_positives(100)
    with pytest.raises(ValueError, match="no labels"):
        engine.train({}, xgb.DMatrix(X), 1, loss=FocalLoss())
    with pytest.raises(ValueError, match="single class"):
        engine.train({}, xgb.DMatrix(X, np.zeros(100)), 1, loss=FocalLoss())
    with pytest.raises(ValueError, match="go up to 3"):
        engine.train({}, xgb.DMatrix(X, np.full(100, 3)), 1, loss=FocalLoss())
    with pytest.raises(ValueError, match="sample_weight is 0 in all 100 rows"):
        engine.train({}, xgb.DMatrix(X, y, weight=np.zeros(100)), 1, loss=FocalLoss())
    with pytest.raises(ValueError, match="obj is made from loss"):
        engine.train({}, xgb.DMatrix(X, y), 1, loss=FocalLoss(), obj=len)
    with pytest.raises(TypeError, match="FocalLoss is a class"):
        engine.train({}, xgb.DMatrix(X, y), 1, loss=FocalLoss)
    with pytest.raises(TypeError, match="loss='focal' is a str"):
        engine.Objective("focal")
    with pytest.raises(ValueError, match="max_step=-1"):
        engine.Objective(FocalLoss(), max_step=-1)
    with pytest.raises(ValueError, match="too far out"):
        # p^0.001 equals the base rate at a margin of about -1000 log(1 / base rate).
        engine.train({}, xgb.DMatrix(X, y), 1, loss=PowerCrossEntropy(0.001))
