"""What training with XGBoost refuses."""

import numpy as np
import pytest
from problems import rare_positives
from xgboost_data import data

from gbm_focal import FocalLoss, PowerCrossEntropy

xgb = pytest.importorskip("xgboost")
engine = pytest.importorskip("gbm_focal.xgboost")


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


def test_what_is_no_list_of_evaluation_sets_or_no_booster():
    for wrong in ({}, "valid"):
        with pytest.raises(TypeError, match=r"evals is a (dict|str): give a list of pairs"):
            engine.train({}, data(), 1, loss=FocalLoss(), evals=wrong)
    lgb = pytest.importorskip("lightgbm")
    X, y, _, _ = rare_positives(200)
    for wrong in (lgb.train({"verbosity": -1, "num_threads": 1}, lgb.Dataset(X, y), 1), None):
        with pytest.raises(TypeError, match=r"give an xgboost\.Booster; those of LightGBM go to gbm_focal\.lightgbm"):
            engine.predict_proba(wrong, X)
