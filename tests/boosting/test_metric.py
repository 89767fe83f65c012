"""Scorers as metrics of both engines."""

import functools

import numpy as np
import pytest
from problems import classes_problem, rare_positives

from gbm_focal import FocalLoss
from gbm_focal.boosting import BaseMetric, Processes
from gbm_focal.metrics import expected_cost, recall_at_alert_rate


def test_early_stopping_on_a_scorer_in_both_engines():
    X, y, _, _ = classes_problem()
    X2, y2, _, _ = classes_problem(seed=1)
    xgb, lgb = pytest.importorskip("xgboost"), pytest.importorskip("lightgbm")
    import gbm_focal.lightgbm
    import gbm_focal.xgboost

    history: dict = {}
    booster = gbm_focal.xgboost.train(
        {"num_class": 4, "nthread": 1, "eta": 1.0},
        xgb.DMatrix(X, y),
        60,
        loss=FocalLoss(2),
        evals=[(xgb.DMatrix(X2, y2), "valid")],
        custom_metric=gbm_focal.xgboost.Metric(FocalLoss(2), "balanced_accuracy"),
        early_stopping_rounds=5,
        evals_result=history,
        verbose_eval=False,
    )
    scores = history["valid"]["neg_balanced_accuracy"]
    assert booster.best_iteration == int(np.argmin(scores))
    assert -1 <= min(scores) < max(scores) < 0
    history = {}
    booster = gbm_focal.lightgbm.train(
        {"num_class": 4, "num_threads": 1, "verbosity": -1, "learning_rate": 0.5},
        (data := lgb.Dataset(X, y)),
        60,
        loss=FocalLoss(2),
        valid_sets=[lgb.Dataset(X2, y2, reference=data)],
        feval=gbm_focal.lightgbm.Metric(FocalLoss(2), "neg_log_loss"),
        callbacks=[lgb.early_stopping(5, verbose=False), lgb.record_evaluation(history)],
    )
    scores = history["valid_0"]["neg_log_loss"]
    assert booster.best_iteration == int(np.argmax(scores)) + 1


def test_engine_native_metrics_have_the_right_sign():
    xgboost, lightgbm = pytest.importorskip("xgboost"), pytest.importorskip("lightgbm")
    import gbm_focal.lightgbm
    import gbm_focal.xgboost

    X, y, _, _ = rare_positives(2000)
    margin = (X[:, 0] - 3).astype(np.float32)
    loss = FocalLoss(2)
    posterior = loss.posterior(margin.astype(float))
    recall = functools.partial(recall_at_alert_rate, alert_rate=0.05)
    cost = functools.partial(expected_cost, cost_false_negative=10)
    of_xgboost = [gbm_focal.xgboost.Metric(loss, metric)(margin, xgboost.DMatrix(X, y)) for metric in (recall, cost)]
    assert of_xgboost[0] == ("neg_recall_at_alert_rate", pytest.approx(-recall(y, posterior)))
    assert of_xgboost[1] == ("expected_cost", pytest.approx(cost(y, posterior)))
    data = lightgbm.Dataset(X, y).construct()
    of_lightgbm = [gbm_focal.lightgbm.Metric(loss, metric)(margin.astype(float), data) for metric in (recall, cost)]
    assert of_lightgbm[0] == ("recall_at_alert_rate", pytest.approx(recall(y, posterior)), True)
    assert of_lightgbm[1] == ("expected_cost", pytest.approx(cost(y, posterior)), False)


@pytest.mark.parametrize("loss", [FocalLoss(2), FocalLoss(2, "balanced")], ids=repr)
def test_processes_add_up_equally_often_wherever_they_compute(loss):
    # A worker on a GPU hands in totals of its own; beside it, one without rows counts on the host.
    calls = []

    class Recording(Processes):
        def sum(self, own):
            calls.append("sum")
            return own

        def totals(self, y, weight, classes=None):
            calls.append("totals")
            return super().totals(y, weight, classes)

    y, margin = np.array([0.0, 1.0, 0.0]), np.array([-1.0, 0.5, 0.0], np.float32)
    metric = BaseMetric(loss)
    metric.processes = Recording()
    on_host = metric.score(y, margin, None)
    asked = list(calls)
    calls.clear()
    on_device = metric.relative_loss(y, margin, None, lambda: metric.processes.totals(y, None))
    assert calls == asked
    assert calls.count("totals") == 1
    assert on_device == on_host
