"""Boosters of both engines in ONNX: trees of every kind, and the link after them."""

import importlib
import json

import numpy as np
import pytest
from engines import lgb, xgb
from onnx_scores import assert_alike, scores
from problems import PROBLEMS

import gbm_focal.lightgbm
import gbm_focal.xgboost
from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalLoss, LinearSchedule, PowerCrossEntropy
from gbm_focal.onnx import to_onnx

FOCAL = FocalLoss(2)
LOSSES = [FOCAL, AsymmetricLoss(1, 3, 0.02), BalancedCrossEntropy(), PowerCrossEntropy(1.5)]
# Category codes: of the highest no row was seen in training, and some rows have none.
CATEGORIES = 40


def problem(kind="binary"):
    X, y = PROBLEMS[kind]()
    X = X.astype(np.float32)
    X[::7, 0] = np.nan
    return X, y


def with_categories():
    X, _ = problem()
    random = np.random.default_rng(0)
    codes = random.integers(CATEGORIES - 1, size=len(X))
    y = random.random(len(X)) < 0.02 + 0.6 * np.isin(codes, [1, 2, 5, 33, 37]) * (X[:, 1] > 0)
    X[:, 5] = np.where(random.random(len(X)) < 0.1, np.nan, codes)
    unseen = X.copy()
    unseen[::5, 5] = CATEGORIES - 1
    return X, y.astype(int), unseen


def xgboost_booster(X, y, params=None, rounds=20, loss=FOCAL, types=None, **arguments):
    data = xgb.DMatrix(X, y, feature_types=types, enable_categorical=types is not None)
    return gbm_focal.xgboost.train({"nthread": 1, **(params or {})}, data, rounds, loss=loss, **arguments)


def lightgbm_booster(X, y, params=None, rounds=20, loss=FOCAL, **arguments):
    params = {"num_threads": 1, "verbosity": -1, "min_data_per_group": 5, **(params or {})}
    of_data = {name: arguments.pop(name) for name in ("categorical_feature",) if name in arguments}
    return gbm_focal.lightgbm.train(params, lgb.Dataset(X, y, **of_data), rounds, loss=loss, **arguments)


def assert_scores_of(booster, X, expected):
    label, probabilities = scores(to_onnx(booster), X)
    assert_alike(probabilities, expected)
    return label


def of_xgboost(booster, X, types=None):
    data = xgb.DMatrix(X, feature_types=types, feature_names=booster.feature_names, enable_categorical=True)
    return gbm_focal.xgboost.predict_proba(booster, data)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("kind", PROBLEMS)
def test_xgboost(kind, loss):
    X, y = problem(kind)
    booster = xgboost_booster(X, y, {"num_class": 4} if kind == "classes" else {}, loss=loss)
    expected = of_xgboost(booster, X)
    label = assert_scores_of(booster, X, expected)
    if loss.alpha is None and kind != "labels":
        assert np.mean(label == expected.argmax(axis=1)) > 0.999


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("kind", ["binary", "classes"])
def test_lightgbm(kind, loss):
    X, y = problem(kind)
    booster = lightgbm_booster(X, y, {"num_class": 4} if kind == "classes" else {}, loss=loss)
    assert_scores_of(booster, X, gbm_focal.lightgbm.predict_proba(booster, X))


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("binary", {"booster": "dart", "rate_drop": 0.5}),
        ("binary", {"num_parallel_tree": 3, "subsample": 0.5}),
        ("binary", {"tree_method": "exact"}),
        ("binary", {"grow_policy": "lossguide", "max_leaves": 10}),
        ("binary", {"base_score": 0.3}),
        ("classes", {"booster": "dart", "rate_drop": 0.5, "num_class": 4, "num_parallel_tree": 2}),
        ("labels", {"multi_strategy": "multi_output_tree"}),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:.*`booster=dart` is deprecated")  # from XGBoost 3.4 on
def test_trees_of_xgboost(kind, params):
    X, y = problem(kind)
    booster = xgboost_booster(X, y, params)
    assert_scores_of(booster, X, of_xgboost(booster, X))


def test_early_stopping_of_xgboost():
    X, y = problem()
    valid = xgb.DMatrix(X[2000:], y[2000:])
    settings = {"evals": [(valid, "valid")], "early_stopping_rounds": 5, "verbose_eval": False}
    booster = xgboost_booster(X[:2000], y[:2000], {"eta": 1, "num_parallel_tree": 2}, 60, **settings)
    assert booster.best_iteration + 1 < booster.num_boosted_rounds()
    assert_scores_of(booster, X, of_xgboost(booster, X))


@pytest.mark.parametrize("one_hot", [2, CATEGORIES + 1], ids=["sets", "one-hot"])
def test_categories_of_xgboost(one_hot):
    X, y, unseen = with_categories()
    types = ["q"] * 5 + ["c"]
    booster = xgboost_booster(X, y, {"max_cat_to_onehot": one_hot}, types=types)
    model = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]
    assert any(tree["categories_nodes"] for tree in model["trees"])
    for rows in (X, unseen):
        assert_scores_of(booster, rows, of_xgboost(booster, rows, types))


def test_names_of_features_do_not_matter():
    X, y = problem()
    booster = xgboost_booster(X, y)
    booster.feature_names = [f"the {letter}" for letter in "abcdef"]
    assert_scores_of(booster, X, of_xgboost(booster, X))


@pytest.mark.parametrize(
    "params",
    [
        {"boosting": "dart", "drop_rate": 0.5},
        {"data_sample_strategy": "goss"},
        {"use_missing": False},
        {"zero_as_missing": True},
        {"boost_from_average": False},
        {"min_data_in_leaf": 4000},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:training ended without a single split")
def test_trees_of_lightgbm(params):
    X, y = problem()
    X[np.abs(X) < 0.5] = 0
    X[:, 1] = np.abs(X[:, 1])
    booster = lightgbm_booster(X, y, params)
    unseen = X.copy()
    unseen[::5] = np.nan
    unseen[1::5] *= 1e-36
    for rows in (X, unseen):
        assert_scores_of(booster, rows, gbm_focal.lightgbm.predict_proba(booster, rows))


def test_trees_of_lightgbm_that_went_on_with_data_of_other_gaps():
    X, y = problem()
    full = np.nan_to_num(X)
    first = lightgbm_booster(full, y)
    booster = lightgbm_booster(X, y, init_model=first)
    kinds = {"None", "NaN"}
    assert all(f"'missing_type': '{kind}'" in str(booster.dump_model()) for kind in kinds)
    for rows in (X, full):
        assert_scores_of(booster, rows, gbm_focal.lightgbm.predict_proba(booster, rows))


def test_categories_of_lightgbm():
    X, y, unseen = with_categories()
    booster = lightgbm_booster(X, y, {"cat_smooth": 1}, categorical_feature=[5])
    assert "==" in str(booster.dump_model())
    for rows in (X, unseen):
        assert_scores_of(booster, rows, gbm_focal.lightgbm.predict_proba(booster, rows))


def test_thresholds_of_lightgbm_between_neighbouring_float32():
    # Above 2^24 float32 has every second integer, and LightGBM's thresholds, in float64, lie at the odd ones.
    random = np.random.default_rng(0)
    X = (2**24 + 2 * random.integers(200, size=(3000, 1))).astype(np.float32)
    y = (X[:, 0] > 2**24 + 300) ^ (random.random(3000) < 0.1)
    booster = lightgbm_booster(X.astype(np.float64), y.astype(int))
    assert_scores_of(booster, X, gbm_focal.lightgbm.predict_proba(booster, X))


def test_early_stopping_of_lightgbm():
    X, y = problem()
    valid = lgb.Dataset(X[2000:], y[2000:])
    stopping = lgb.early_stopping(5, verbose=False)
    booster = lightgbm_booster(X[:2000], y[:2000], {"learning_rate": 0.9}, 60, valid_sets=[valid], callbacks=[stopping])
    assert booster.current_iteration() < 60
    assert_scores_of(booster, X, gbm_focal.lightgbm.predict_proba(booster, X))


@pytest.mark.parametrize("train", [xgboost_booster, lightgbm_booster])
def test_parameters_that_change_end_as_those_of_the_last_round(train):
    X, y = problem()
    booster = train(X, y, loss=FocalLoss(LinearSchedule(0.0, 3.0, 10)))
    module = gbm_focal.xgboost if train is xgboost_booster else gbm_focal.lightgbm
    assert_scores_of(booster, X, module.predict_proba(booster, X))


def test_booster_without_trees():  # which LightGBM does not make
    X, y = problem()
    booster = xgboost_booster(X, y, rounds=0)
    assert_scores_of(booster, X, of_xgboost(booster, X))


@pytest.mark.parametrize("train", [xgboost_booster, lightgbm_booster])
def test_another_runtime_says_the_same(train):
    """The one of the onnx package walks nodes as the specification says."""
    X, y, unseen = with_categories()
    settings = {"types": ["q"] * 5 + ["c"]} if train is xgboost_booster else {"categorical_feature": [5]}
    graph = to_onnx(train(X, y, {"max_depth": 3}, 5, AsymmetricLoss(), **settings))
    reference = importlib.import_module("onnx.reference")
    label, probabilities = reference.ReferenceEvaluator(graph).run(None, {"X": unseen[:100]})
    theirs, expected = scores(graph, unseen[:100])
    np.testing.assert_allclose(probabilities, expected, rtol=1e-5)
    np.testing.assert_array_equal(label, theirs)
