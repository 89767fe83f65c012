"""The metric and early stopping in XGBoost."""

import numpy as np
import pytest
from instances import TRAINED
from xgboost_data import PARAMS, data, margin

from gbm_focal import AsymmetricLoss, FocalLoss

xgb = pytest.importorskip("xgboost")
engine = pytest.importorskip("gbm_focal.xgboost")


def test_metric_is_the_weighted_mean_of_the_loss():
    matrix = data(weighted=True)
    z = np.linspace(-5, 5, 4000).astype(np.float32)
    for loss in TRAINED:
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
