"""What training with LightGBM refuses, and data sets that it must not."""

import numpy as np
import pytest
from lightgbm_data import PARAMS, data
from problems import rare_positives

from gbm_focal import FocalLoss

lgb = pytest.importorskip("lightgbm")
engine = pytest.importorskip("gbm_focal.lightgbm")


def test_init_score_on_one_side_only():
    X, y, _, _ = rare_positives()
    start = np.full(y.size, -3.0)
    for train_start, valid_start in ((start, None), (None, start)):
        train_set = lgb.Dataset(X, y, init_score=train_start)
        valid = lgb.Dataset(X, y, init_score=valid_start, reference=train_set)
        with pytest.raises(ValueError, match="init_score"):
            engine.train(PARAMS, train_set, 2, loss=FocalLoss(), valid_sets=[valid])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"scale_pos_weight": 20}, "scale_pos_weight=20 .*alpha"),
        ({"is_unbalance": True}, "is_unbalance=True .*balanced"),
        ({"unbalance": True}, "is_unbalance=True"),
        ({"objective": "regression"}, "objective='regression'"),
        ({"application": "regression"}, "objective='regression'"),
        ({"metric": "binary_logloss"}, "metric='binary_logloss'"),
        ({"metric": "auc,binary_error"}, "metric='binary_error'"),
        ({"metrics": ["auc", "cross_entropy"]}, "metric='cross_entropy'"),
        ({"boosting": "rf"}, "boosting='rf'"),
        ({"boosting_type": "random_forest"}, "boosting='random_forest'"),
        ({"linear_tree": True}, "linear_tree=True"),
        ({"neg_bagging_fraction": 0.1}, "neg_bagging_fraction=0.1 .*alpha"),
        ({"pos_subsample": 0.5}, "pos_bagging_fraction=0.5"),
        ({"feature_pre_filter": True}, "feature_pre_filter=True"),
        ({"metric": "auc", "metrics": "binary_logloss"}, "one parameter"),
        ({"num_class": 3}, "class 2 of the 3 classes"),
    ],
)
def test_parameters_that_contradict_the_loss(params, message):
    with pytest.raises(ValueError, match=message):
        engine.train({**PARAMS, **params}, data(50), 1, loss=FocalLoss())


def test_bad_data_and_bad_losses():
    X, y, _, _ = rare_positives(100)
    with pytest.raises(ValueError, match="no labels"):
        engine.train(PARAMS, lgb.Dataset(X), 1, loss=FocalLoss())
    with pytest.raises(ValueError, match="single class"):
        engine.train(PARAMS, lgb.Dataset(X, np.zeros(100)), 1, loss=FocalLoss())
    with pytest.raises(ValueError, match="go up to 3"):
        engine.train(PARAMS, lgb.Dataset(X, np.full(100, 3)), 1, loss=FocalLoss())
    with pytest.raises(ValueError, match=r"sample_weight\[0\] is -1"):
        engine.train(PARAMS, lgb.Dataset(X, y, weight=np.full(100, -1.0)), 1, loss=FocalLoss())
    with pytest.raises(ValueError, match="linear_tree=True"):
        engine.train(PARAMS, lgb.Dataset(X, y, params={"linear_tree": True}), 1, loss=FocalLoss())
    with pytest.raises(ValueError, match="init_model"):
        engine.train(PARAMS, lgb.Dataset(X, y), 1, loss=FocalLoss(), keep_training_booster=True)
    with pytest.raises(TypeError, match="FocalLoss is a class"):
        engine.train(PARAMS, lgb.Dataset(X, y), 1, loss=FocalLoss)
    with pytest.raises(TypeError, match="loss='focal' is a str"):
        engine.Metric("focal")


def test_what_is_no_data_set_or_no_booster():
    X, y, _, _ = rare_positives(200)
    with pytest.raises(TypeError, match=r"train_set is a ndarray: give lightgbm\.Dataset"):
        engine.train(PARAMS, X, 1, loss=FocalLoss())
    for wrong in ({}, [X], X):
        with pytest.raises(TypeError, match=r"valid_sets is, or holds, a (dict|ndarray): give a list"):
            engine.train(PARAMS, lgb.Dataset(X, y), 1, loss=FocalLoss(), valid_sets=wrong)
    xgb = pytest.importorskip("xgboost")
    for wrong in (xgb.train({}, xgb.DMatrix(X, y), 1), None):
        with pytest.raises(TypeError, match=r"give a lightgbm\.Booster; those of XGBoost go to gbm_focal\.xgboost"):
            engine.predict_proba(wrong, X)


@pytest.mark.filterwarnings("ignore:Overriding the parameters")  # LightGBM's, of subsets
@pytest.mark.parametrize("continued", [False, True])
def test_classes_of_data_sets_from_files_and_subsets(tmp_path, continued):
    X, _, _, _ = rare_positives(600)
    y, params = np.arange(600.0) % 3, {**PARAMS, "num_class": 3}
    path = tmp_path / "rows.csv"
    np.savetxt(path, np.column_stack([y, X]), delimiter=",")
    start = engine.train(params, lgb.Dataset(X, y), 2, loss=FocalLoss()) if continued else None

    def trained(dataset):
        booster = engine.train(params, dataset, 2, loss=FocalLoss(), init_model=start)
        return engine.predict_proba(booster, X)

    expected = trained(lgb.Dataset(X, y))
    np.testing.assert_allclose(trained(lgb.Dataset(path, params={"label_column": 0})), expected, atol=1e-6)
    whole = lgb.Dataset(X, y, free_raw_data=False)
    np.testing.assert_allclose(trained(whole.subset(np.arange(600))), expected, atol=1e-6)
