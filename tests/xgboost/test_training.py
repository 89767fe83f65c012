"""The ways in which XGBoost trains."""

import numpy as np
import pytest
from instances import TRAINED, NumpyFocalLoss
from problems import rare_positives
from sklearn.metrics import average_precision_score
from xgboost_data import PARAMS, data, margin

from gbm_focal import AsymmetricLoss, FocalLoss

xgb = pytest.importorskip("xgboost")
engine = pytest.importorskip("gbm_focal.xgboost")


@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_is_the_native_objective(weighted):
    matrix = data(20_000, weighted=weighted)
    base = float(np.average(matrix.get_label(), weights=matrix.get_weight() if weighted else None))
    native = xgb.train({**PARAMS, "objective": "binary:logistic", "base_score": base}, matrix, 100)
    ours = engine.train(PARAMS, matrix, 100, loss=FocalLoss(0), max_step=None)
    np.testing.assert_allclose(engine.predict_proba(ours, matrix)[:, 1], native.predict(matrix), atol=1e-5)
    assert native.predict(matrix).std() > 0.05


def test_integer_weights_are_repetitions():
    X, y, _, _ = rare_positives(1500)
    repeats = np.random.default_rng(1).integers(1, 4, y.size)
    params = {**PARAMS, "tree_method": "exact"}
    for loss in TRAINED:
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
    for loss in TRAINED:
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
    link = engine.link_of(continued)
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


@pytest.mark.filterwarnings("ignore:.*`booster=dart` is deprecated")  # from XGBoost 3.4 on
def test_dart():
    matrix = data()
    params = {**PARAMS, "booster": "dart", "rate_drop": 0.3}
    booster = engine.train(params, matrix, 15, loss=FocalLoss())
    again = engine.train(params, matrix, 15, loss=FocalLoss())
    probabilities = engine.predict_proba(booster, matrix)[:, 1]
    np.testing.assert_array_equal(probabilities, engine.predict_proba(again, matrix)[:, 1])
    assert average_precision_score(matrix.get_label(), probabilities) > 0.4


def test_own_loss_trains_like_the_built_in_one():
    matrix = data()
    pair = [engine.train(PARAMS, matrix, 5, loss=loss(2.0, "balanced")) for loss in (NumpyFocalLoss, FocalLoss)]
    np.testing.assert_allclose(*(engine.predict_proba(b, matrix)[:, 1] for b in pair), atol=1e-5)


@pytest.mark.parametrize("max_step", [0.5, 2.0])
@pytest.mark.parametrize("loss", TRAINED, ids=repr)
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
