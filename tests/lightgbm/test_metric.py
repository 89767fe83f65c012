"""The metric and early stopping in LightGBM."""

import numpy as np
import pytest
from instances import TRAINED, without_skill
from lightgbm_data import PARAMS, data, features
from problems import rare_positives

from gbm_focal import BalancedCrossEntropy, FocalLoss

lgb = pytest.importorskip("lightgbm")
engine = pytest.importorskip("gbm_focal.lightgbm")


def test_metric_is_the_weighted_mean_of_the_loss_in_units_of_that_without_skill():
    dataset = data(weighted=True).construct()
    z = np.linspace(-5, 5, 4000)
    for loss in TRAINED:
        y, w = dataset.get_label(), dataset.get_weight()
        name, value, maximise = engine.Metric(loss)(z, dataset)
        resolved = loss.resolve(y, w)
        mean = np.average(resolved.value(y, z), weights=w)
        np.testing.assert_allclose(value, mean / without_skill(resolved, y, w), rtol=1e-5)
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
    # What was reported for the validation set is the loss of the full margin there, in units of the training data's.
    X, y, _, _ = rare_positives(seed=1)
    y_train = rare_positives()[1]
    resolved = loss.resolve(y_train)
    mean = resolved.value(y, booster.predict(X, raw_score=True)).mean()
    np.testing.assert_allclose(min(curve), mean / without_skill(resolved, y_train), rtol=1e-5)
    y, X = rare_positives()[1], features()
    np.testing.assert_allclose(engine.predict_proba(booster, X)[:, 1].mean(), y.mean(), rtol=1e-5)
    # The trees after the best one are gone, as in LightGBM's own training.
    assert booster.current_iteration() == booster.best_iteration


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
