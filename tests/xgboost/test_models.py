"""XGBoost's model: where it starts, what is saved, what it predicts, here and in another process."""

import json
import pickle

import numpy as np
import pytest
from instances import TRAINED
from problems import rare_positives
from programs import run_where_nothing_is_known
from scipy.special import expit
from sklearn.metrics import log_loss
from xgboost_data import PARAMS, XGBOOST_STARTS_COLUMNS_APART, data, margin

from gbm_focal import AsymmetricLoss, FocalLoss

xgb = pytest.importorskip("xgboost")
engine = pytest.importorskip("gbm_focal.xgboost")


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", TRAINED, ids=repr)
def test_first_margin_is_the_intercept(loss, weighted):
    matrix = data(weighted=weighted)
    booster = engine.train(PARAMS, matrix, 0, loss=loss)
    intercept = loss.intercept(matrix.get_label(), matrix.get_weight() if weighted else None)
    np.testing.assert_allclose(margin(booster, matrix), intercept, rtol=1e-6, atol=1e-6)
    base_rate = np.average(matrix.get_label(), weights=matrix.get_weight() if weighted else None)
    np.testing.assert_allclose(engine.predict_proba(booster, matrix)[:, 1], base_rate, rtol=1e-5)


@pytest.mark.parametrize("kind", ["json", "ubj"])
@pytest.mark.parametrize("loss", TRAINED, ids=repr)
def test_saved_model_predicts_the_same_in_a_new_process(tmp_path, loss, kind):
    matrix = data()
    booster = engine.train(PARAMS, matrix, 5, loss=loss)
    path, out = tmp_path / f"model.{kind}", tmp_path / "out.npy"
    booster.save_model(path)
    np.save(tmp_path / "X.npy", rare_positives()[0])
    run_where_nothing_is_known(
        "import sys, numpy, xgboost, gbm_focal.xgboost\n"
        "booster = xgboost.Booster(model_file=sys.argv[1])\n"
        "data = xgboost.DMatrix(numpy.load(sys.argv[2]))\n"
        "numpy.save(sys.argv[3], gbm_focal.xgboost.predict_proba(booster, data))",
        *(path, tmp_path / "X.npy", out),
    )
    probabilities = engine.predict_proba(booster, matrix)
    np.testing.assert_array_equal(np.load(out), probabilities)
    assert probabilities.shape == (4000, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    link = engine.link_of(booster)
    assert link.loss.get_params() == loss.resolve(matrix.get_label()).get_params()
    np.testing.assert_array_equal(probabilities, link.probabilities(margin(booster, matrix)))


def test_own_predict_gives_the_sigmoid_and_pickle_keeps_all():
    matrix = data()
    booster = engine.train(PARAMS, matrix, 5, loss=FocalLoss(2))
    np.testing.assert_allclose(booster.predict(matrix), expit(margin(booster, matrix)), rtol=1e-5)
    again = pickle.loads(pickle.dumps(booster))
    np.testing.assert_array_equal(engine.predict_proba(again, matrix), engine.predict_proba(booster, matrix))
    stored = json.loads(again.attr("gbm_focal"))
    of_population = {"trained_base_rate", "base_rate", "alpha_follows_base_rate"}
    assert stored.keys() == {"version", "loss", "module", "parameters", "log_odds_shift", "kind", *of_population}
    assert stored["parameters"] == {"alpha": None, "beta": 0.9999, "gamma": 2}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", TRAINED, ids=repr)
def test_mean_probability_over_the_training_data_is_the_base_rate(loss, weighted):
    _, y, w, _ = rare_positives()
    matrix = data(weighted=weighted)
    booster = engine.train(PARAMS, matrix, 10, loss=loss)
    plain = engine.train(PARAMS, matrix, 10, loss=loss, calibrate=False)
    np.testing.assert_array_equal(margin(booster, matrix), margin(plain, matrix))
    w = w if weighted else np.ones(y.size)
    base_rate = np.average(y, weights=w)
    means = [np.average(engine.predict_proba(b, matrix)[:, 1], weights=w) for b in (booster, plain)]
    np.testing.assert_allclose(means[0], base_rate, rtol=1e-4)
    assert abs(means[1] / base_rate - 1) > 1e-3
    posterior = loss.resolve(y, w).posterior(margin(booster, matrix).astype(np.float64))
    np.testing.assert_allclose(engine.predict_proba(plain, matrix)[:, 1], posterior, rtol=1e-7)


def test_shap_values_sum_to_the_margin():
    matrix = data()
    booster = engine.train(PARAMS, matrix, 5, loss=AsymmetricLoss())
    contributions = booster.predict(matrix, pred_contribs=True).sum(axis=1)
    np.testing.assert_allclose(contributions, margin(booster, matrix), atol=1e-5)


def test_predict_proba_of_arrays_and_of_foreign_boosters():
    matrix = data()
    booster = engine.train(PARAMS, matrix, 5, loss=FocalLoss(2), calibrate=False)
    expected = engine.predict_proba(booster, matrix)
    np.testing.assert_allclose(engine.predict_proba(booster, rare_positives()[0]), expected, rtol=1e-5)
    booster.set_attr(gbm_focal=None)
    with pytest.raises(ValueError, match="pass loss="):
        engine.predict_proba(booster, matrix)
    np.testing.assert_array_equal(engine.predict_proba(booster, matrix, loss=FocalLoss(2)), expected)


def test_multi_label_booster():
    X, y, w, _ = rare_positives()
    labels = np.column_stack([y, X[:, 4] > 1])
    matrix = xgb.DMatrix(X, labels, weight=w)
    losses = [FocalLoss(2, "balanced"), AsymmetricLoss()]
    for loss in losses:
        booster = engine.train(PARAMS, matrix, 0, loss=loss)
        expected = loss.intercept(labels, w) if XGBOOST_STARTS_COLUMNS_APART else np.zeros(2)
        np.testing.assert_allclose(margin(booster, matrix)[0], expected, atol=1e-5)
        booster = engine.train(PARAMS, matrix, 10, loss=loss)
        probabilities = engine.predict_proba(booster, matrix)
        assert probabilities.shape == (4000, 2)
        assert log_loss(labels[:, 1], probabilities[:, 1]) < 0.1
        base_rates = np.average(labels, axis=0, weights=w)
        np.testing.assert_allclose(np.average(probabilities, axis=0, weights=w), base_rates, rtol=1e-4)


def test_calibration_on_simulated_data():
    X, _, _, eta = rare_positives(40_000)
    y = (np.random.default_rng(9).random(eta.size) < eta).astype(float)
    half = 20_000
    booster = engine.train({**PARAMS, "eta": 0.1}, xgb.DMatrix(X[:half], y[:half]), 60, loss=FocalLoss(2))
    test = xgb.DMatrix(X[half:])
    probabilities = engine.predict_proba(booster, test)[:, 1]
    assert abs(probabilities.mean() / eta[half:].mean() - 1) < 0.05
    # The sigmoid is no probability here.
    assert log_loss(y[half:], probabilities) < 0.7 * log_loss(y[half:], booster.predict(test).astype(float))
