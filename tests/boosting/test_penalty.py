"""pseudo_count: what is added to the engines' L2 penalty of leaves where positives are rare."""

import numpy as np
import pytest
from engines import both_engines, xgboost_classifier
from problems import classes_problem, labels_problem, rare_positives
from repository import MODELS
from sklearn.base import clone

from gbm_focal import AsymmetricLoss, FocalClassifier, FocalLoss

lgb = pytest.importorskip("lightgbm")
xgb = pytest.importorskip("xgboost")
lightgbm_engine = pytest.importorskip("gbm_focal.lightgbm")
xgboost_engine = pytest.importorskip("gbm_focal.xgboost")

X, Y, WEIGHT, _ = rare_positives()
RATE = np.average(Y, weights=WEIGHT)
ADDED = 3 * (1 - 2 * RATE) ** 2


def by_xgboost(penalty, loss, **arguments):
    data = xgb.DMatrix(X, Y, weight=WEIGHT)
    booster = xgboost_engine.train({"nthread": 1, "max_depth": 3, **penalty}, data, 5, loss=loss, **arguments)
    return booster.predict(data, output_margin=True)


def by_lightgbm(penalty, loss, **arguments):
    params = {"num_threads": 1, "num_leaves": 7, "verbosity": -1, **penalty}
    data = lgb.Dataset(X, Y, weight=WEIGHT)
    return lightgbm_engine.train(params, data, 5, loss=loss, **arguments).predict(X, raw_score=True)


@pytest.mark.parametrize("loss", [FocalLoss(2), AsymmetricLoss()], ids=repr)
@pytest.mark.parametrize(
    ("train", "name", "usual"),
    [
        *((by_xgboost, name, 1.0) for name in ("lambda", "reg_lambda")),
        *((by_lightgbm, name, 0.0) for name in ("lambda_l2", "reg_lambda", "lambda")),
    ],
)
def test_it_is_added_to_the_penalty_of_the_engine(train, name, usual, loss):
    by_hand = [train({name: value + ADDED}, loss) for value in (usual, 4.0)]
    np.testing.assert_allclose(train({}, loss, pseudo_count=3), by_hand[0], rtol=1e-6)
    np.testing.assert_allclose(train({name: 4.0}, loss, pseudo_count=3), by_hand[1], rtol=1e-6)
    np.testing.assert_array_equal(train({name: 4.0}, loss, pseudo_count=0), train({name: 4.0}, loss))
    assert np.abs(train({}, loss, pseudo_count=3) - train({}, loss)).max() > 0.01


@both_engines
def test_classifiers_add_it_too(engine):
    usual = 1.0 if engine is xgboost_classifier else 0.0
    shrunk = FocalClassifier(engine(), pseudo_count=3).fit(X, Y, WEIGHT)
    by_hand = FocalClassifier(engine(reg_lambda=usual + ADDED)).fit(X, Y, WEIGHT)
    np.testing.assert_allclose(shrunk.predict_proba(X), by_hand.predict_proba(X), rtol=1e-6)
    tuned = FocalClassifier(engine(reg_lambda=4.0), pseudo_count=3).fit(X, Y, WEIGHT)
    by_hand = FocalClassifier(engine(reg_lambda=4.0 + ADDED)).fit(X, Y, WEIGHT)
    np.testing.assert_allclose(tuned.predict_proba(X), by_hand.predict_proba(X), rtol=1e-6)
    assert tuned.estimator.get_params()["reg_lambda"] == 4.0


@both_engines
def test_of_several_labels_it_is_the_mean_and_of_classes_nothing(engine):
    usual = 1.0 if engine is xgboost_classifier else 0.0
    rows, labels = labels_problem(1500)
    added = 3 * np.mean((1 - 2 * labels.mean(axis=0)) ** 2)
    shrunk = FocalClassifier(engine(), pseudo_count=3).fit(rows, labels)
    by_hand = FocalClassifier(engine(reg_lambda=usual + added)).fit(rows, labels)
    np.testing.assert_allclose(shrunk.predict_proba(rows), by_hand.predict_proba(rows), rtol=1e-6)
    rows, y, _, _ = classes_problem(1500)
    shrunk, plain = (FocalClassifier(engine(), pseudo_count=count).fit(rows, y) for count in (3, 0))
    np.testing.assert_array_equal(shrunk.predict_proba(rows), plain.predict_proba(rows))


def test_even_classes_are_left_alone():
    even = np.arange(400) % 2
    rows = X[:400]
    shrunk, plain = (FocalClassifier(xgboost_classifier(), pseudo_count=count).fit(rows, even) for count in (3, 0))
    np.testing.assert_array_equal(shrunk.predict_proba(rows), plain.predict_proba(rows))


def test_a_single_leaf_estimates_the_relative_risk_with_pseudo_counts():
    # One split by a feature of two values: the Newton step of a leaf is (observed - expected) / (expected + K) with the
    # Hessian of rare positives, whose first order the logarithm of (observed + K) / (expected + K) shares.
    group = np.repeat([0.0, 1.0], [9_000, 1_000])[:, np.newaxis]
    y = np.zeros(10_000)
    y[:9], y[9_000:9_002] = 1, 1
    rate, count = y.mean(), 2.0
    params = {"nthread": 1, "max_depth": 1, "eta": 1.0, "lambda": 0, "min_child_weight": 0}
    data = xgb.DMatrix(group, y)
    booster = xgboost_engine.train(params, data, 1, loss=FocalLoss(0), pseudo_count=count, max_step=None)
    step = booster.predict(data, output_margin=True)[-1] - np.log(rate / (1 - rate))
    expected = 1_000 * rate
    exact = (2 - expected) / (expected * (1 - rate) + count * (1 - 2 * rate) ** 2)
    assert step == pytest.approx(exact, rel=1e-4)
    assert step == pytest.approx(np.log((2 + count) / (expected + count)), rel=0.2)


@pytest.mark.filterwarnings("ignore:.*gblinear")  # deprecated from XGBoost 3.4 on
def test_linear_boosters_keep_their_penalty():
    params = {"booster": "gblinear", "nthread": 1, "updater": "coord_descent"}
    shrunk, plain = (
        xgboost_engine.train(params, xgb.DMatrix(X, Y), 3, loss=FocalLoss(0), pseudo_count=count) for count in (3, 0)
    )
    pair = [booster.predict(xgb.DMatrix(X), output_margin=True) for booster in (shrunk, plain)]
    np.testing.assert_array_equal(*pair)


def test_files_keep_it_and_those_of_version_0_1_have_none(tmp_path):
    model = FocalClassifier(xgboost_classifier(), pseudo_count=np.float64(3)).fit(X, Y)
    model.save_model(tmp_path / "model.zip")
    loaded = FocalClassifier.load_model(tmp_path / "model.zip")
    assert loaded.pseudo_count == 3
    np.testing.assert_array_equal(clone(loaded).fit(X, Y).predict_proba(X), model.predict_proba(X))
    assert FocalClassifier.load_model(MODELS / "xgboost-0.1.0.zip").pseudo_count == 0


def test_bad_input():
    for count, error in ((-1, ValueError), (np.nan, ValueError), (np.inf, ValueError), ("2", TypeError)):
        with pytest.raises(error, match=r"pseudo_count=.*: give a number in \[0, inf\)"):
            FocalClassifier(xgboost_classifier(), pseudo_count=count).fit(X, Y)
        with pytest.raises(error, match=r"pseudo_count=.*: give a number in \[0, inf\)"):
            by_lightgbm({}, FocalLoss(2), pseudo_count=count)
