"""Objective and Metric in XGBoost's own functions."""

import pickle

import numpy as np
import pytest
from instances import TRAINED
from problems import rare_positives
from scipy.special import expit
from xgboost_data import PARAMS, data, margin

from gbm_focal import BalancedCrossEntropy, FocalLoss

xgb = pytest.importorskip("xgboost")
engine = pytest.importorskip("gbm_focal.xgboost")


def test_cross_entropy_by_bare_objective():
    matrix = data()
    params = {**PARAMS, "objective": "binary:logistic", "base_score": 0.1}
    native = xgb.train(params, matrix, 20)
    ours = xgb.train(params, matrix, 20, obj=engine.Objective(FocalLoss(0), max_step=None, normalize=False))
    np.testing.assert_allclose(ours.predict(matrix), native.predict(matrix), atol=1e-5)


def test_normalizer_makes_min_child_weight_mean_what_it_does_for_the_logistic_loss():
    matrix = data()
    y = matrix.get_label()
    for loss in TRAINED:
        objective = engine.Objective(loss, max_step=None)
        z = np.full(y.shape, loss.intercept(y), np.float32)
        _, hessian = objective(z, matrix)
        np.testing.assert_allclose(hessian, y.mean() * (1 - y.mean()), rtol=1e-4)


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


def test_objective_and_metric_pickle():
    matrix, z = data(), np.linspace(-3, 3, 4000).astype(np.float32)
    objective = pickle.loads(pickle.dumps(engine.Objective(FocalLoss(3), max_step=1.0)))
    for again, first in zip(objective(z, matrix), engine.Objective(FocalLoss(3), max_step=1.0)(z, matrix), strict=True):
        np.testing.assert_array_equal(again, first)
    assert pickle.loads(pickle.dumps(engine.Metric(FocalLoss())))(z, matrix) == engine.Metric(FocalLoss())(z, matrix)
    assert repr(objective) == "Objective(FocalLoss(gamma=3), hessian='fisher', max_step=1.0, normalize=True)"
