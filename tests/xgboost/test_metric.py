"""The metric and early stopping in XGBoost."""

import numpy as np
import pytest
from instances import TRAINED, without_skill
from problems import rare_positives
from xgboost_data import PARAMS, XGBOOST_STARTS_COLUMNS_APART, data, margin

from gbm_focal import AsymmetricLoss, FocalLoss, PowerCrossEntropy

xgb = pytest.importorskip("xgboost")
engine = pytest.importorskip("gbm_focal.xgboost")


def test_metric_is_the_weighted_mean_of_the_loss_in_units_of_that_without_skill():
    matrix = data(weighted=True)
    z = np.linspace(-5, 5, 4000).astype(np.float32)
    for loss in TRAINED:
        y, w = matrix.get_label(), matrix.get_weight()
        name, value = engine.Metric(loss)(z, matrix)
        resolved = loss.resolve(y, w)
        mean = np.average(resolved.value(y, z), weights=w)
        np.testing.assert_allclose(value, mean / without_skill(resolved, y, w), rtol=1e-5)
        assert not name.startswith(("auc", "aucpr", "map", "ndcg", "pre"))
    assert engine.Metric(AsymmetricLoss()).__name__ == "asymmetric_loss"


@pytest.mark.parametrize("loss", [FocalLoss(2, "balanced"), PowerCrossEntropy(2)], ids=repr)
@pytest.mark.parametrize("kind", ["binary", "multilabel", "multiclass"])
def test_a_model_without_skill_has_1(loss, kind):
    if kind != "binary" and not XGBOOST_STARTS_COLUMNS_APART:
        pytest.skip("this XGBoost has one start for all columns, which need not be without skill")
    X, y, w, _ = rare_positives()
    labels = {"binary": y, "multilabel": np.column_stack([y, X[:, 0] > 1]), "multiclass": y + (X[:, 0] > 0)}[kind]
    matrix = xgb.DMatrix(X, labels, weight=w)
    params = {**PARAMS, "num_class": 3} if kind == "multiclass" else PARAMS
    history = {}
    # Nothing can be learned where no leaf may be split off.
    with pytest.warns(RuntimeWarning, match="without a single split"):
        booster = engine.train(
            {**params, "min_child_weight": 1e9, "learning_rate": 1e-9},
            matrix,
            1,
            loss=loss,
            evals=[(matrix, "all")],
            evals_result=history,
            verbose_eval=False,
        )
    (scores,) = history["all"].values()
    np.testing.assert_allclose(scores, 1, rtol=1e-5)
    np.testing.assert_allclose(engine.Metric(loss)(margin(booster, matrix), matrix)[1], 1, rtol=1e-5)


def test_the_unit_is_that_of_the_training_data_or_of_a_bare_metrics_own():
    matrix, loss = data(), FocalLoss(2, "balanced")
    X, y, _, _ = rare_positives(seed=1)
    rows = np.concatenate([np.flatnonzero(y == 1), np.flatnonzero(y == 0)[:50]])
    others = xgb.DMatrix(X[rows], y[rows])
    negatives = xgb.DMatrix(X[y == 0], y[y == 0])
    history, evals = {}, [(others, "others"), (negatives, "negatives")]
    booster = engine.train(PARAMS, matrix, 2, loss=loss, evals=evals, evals_result=history, verbose_eval=False)
    resolved = loss.resolve(matrix.get_label())
    for name, one, unit in (
        ("others", others, without_skill(resolved, others.get_label())),
        ("negatives", negatives, 1.0),  # a class is missing, so nothing is without skill
    ):
        z = margin(booster, one)
        mean = resolved.value(one.get_label(), z).mean()
        trained = mean / without_skill(resolved, matrix.get_label())
        np.testing.assert_allclose(history[name]["focal_loss"][-1], trained, rtol=1e-5)
        np.testing.assert_allclose(engine.Metric(resolved)(z, one)[1], mean / unit, rtol=1e-5)


def stopping_point(curve, patience=5):
    """Best iteration where training stops after so many rounds without a better one."""
    return next(n for n in range(len(curve)) if np.argmin(curve[: n + patience + 1]) == n)


def test_early_stopping_sees_what_six_decimals_of_a_bare_loss_would_hide():
    # 8 positives of 20,000 under gamma 4: the bare loss is 0.00026, and its sixth decimal four thousandths of that.
    X, y, _, _ = rare_positives(20_000, base=-11)
    X_valid, y_valid, _, _ = rare_positives(20_000, seed=1, base=-11)
    loss, valid, history = FocalLoss(4), xgb.DMatrix(X_valid, y_valid), {}
    arguments = {"loss": loss, "evals": [(valid, "valid")], "evals_result": history, "verbose_eval": False}
    params = {**PARAMS, "learning_rate": 0.05}
    booster = engine.train(params, xgb.DMatrix(X, y), 60, **arguments)
    bare = [
        loss.value(y_valid, margin(booster, valid, iteration_range=(0, rounds)).astype(float)).mean()
        for rounds in range(1, 61)
    ]
    np.testing.assert_allclose(history["valid"]["focal_loss"], np.array(bare) / without_skill(loss, y), atol=1.1e-6)
    stopped = engine.train(params, xgb.DMatrix(X, y), 60, early_stopping_rounds=5, **arguments)
    assert stopped.best_iteration == stopping_point(bare) > stopping_point(np.round(bare, 6))


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
    link = engine.link_of(booster)
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
