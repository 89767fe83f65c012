"""Objective and Metric in LightGBM's own functions."""

import numpy as np
import pytest
from lightgbm_data import PARAMS, data, estimators_ask_for_names, evaluated_on, features
from problems import rare_positives

from gbm_focal import FocalLoss

lgb = pytest.importorskip("lightgbm")
engine = pytest.importorskip("gbm_focal.lightgbm")


def test_cross_entropy_by_bare_objective():
    X = features()
    ours = {**PARAMS, "objective": engine.Objective(FocalLoss(0), max_step=None, normalize=False), "metric": "None"}
    native = lgb.train({**PARAMS, "objective": "binary", "boost_from_average": False}, data(), 20)
    np.testing.assert_allclose(lgb.train(ours, data(), 20).predict(X), native.predict(X, raw_score=True), atol=1e-5)


def test_cv_with_objective_and_metric():
    params = {**PARAMS, "objective": engine.Objective(FocalLoss()), "metric": "None"}
    result = lgb.cv(params, data(), 8, nfold=3, feval=engine.Metric(FocalLoss()))
    curve = result["valid focal_loss-mean"]
    assert curve[-1] < curve[0]


@estimators_ask_for_names
def test_scikit_learn_estimator_takes_objective_and_metric():
    X, y, w, _ = rare_positives()
    model = lgb.LGBMClassifier(n_estimators=5, objective=engine.Objective(FocalLoss()), **PARAMS)
    evaluated = {"eval_metric": engine.Metric(FocalLoss()), **evaluated_on(X.copy(), y)}
    model.fit(X, y, sample_weight=w, **evaluated)
    assert "focal_loss" in model.evals_result_["valid_0"]
    params = {**PARAMS, "objective": engine.Objective(FocalLoss()), "metric": "None"}
    native = lgb.train(params, lgb.Dataset(X, y, weight=w), 5)
    np.testing.assert_allclose(model.predict(X, raw_score=True), native.predict(X, raw_score=True), atol=1e-6)
