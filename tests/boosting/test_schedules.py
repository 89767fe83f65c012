"""Schedules followed in training, by both engines."""

import numpy as np
import pandas as pd
import pytest
from engines import both_engines, xgboost_classifier
from problems import rare_positives
from sklearn.base import clone

from gbm_focal import ConstantSchedule, CosineSchedule, FocalClassifier, FocalLoss, LinearSchedule

xgb = pytest.importorskip("xgboost")
lgb = pytest.importorskip("lightgbm")


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

    class Recorded(LinearSchedule):
        def __call__(self, iteration):
            seen.append(super().__call__(iteration))
            return seen[-1]

    objective = Objective(FocalLoss(Recorded(0, 3, 5)))
    xgb.cv({"objective": "binary:logistic", "nthread": 1}, data, 6, nfold=3, obj=objective, seed=0)
    np.testing.assert_allclose(sorted(seen), np.repeat([0, 0.6, 1.2, 1.8, 2.4, 3], 3))
