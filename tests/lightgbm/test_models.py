"""LightGBM's model: where it starts, what is saved, what it predicts, here and in another process."""

import pickle

import numpy as np
import pytest
from instances import TRAINED
from lightgbm_data import PARAMS, data, features
from problems import rare_positives
from programs import run_where_nothing_is_known
from scipy.special import expit, logit
from sklearn.metrics import log_loss

from gbm_focal import AsymmetricLoss, FocalLoss

lgb = pytest.importorskip("lightgbm")
engine = pytest.importorskip("gbm_focal.lightgbm")


@pytest.mark.filterwarnings("ignore:training ended without a single split")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", TRAINED, ids=repr)
def test_training_starts_at_the_intercept(loss, weighted):
    # One round that finds no split leaves the intercept alone in the model.
    X, y, w, _ = rare_positives()
    w = w if weighted else None
    params = {**PARAMS, "min_gain_to_split": 1e9, "learning_rate": 1e-9}
    booster = engine.train(params, lgb.Dataset(X, y, weight=w), 1, loss=loss)
    np.testing.assert_allclose(booster.predict(X, raw_score=True), loss.intercept(y, w), atol=1e-7)
    np.testing.assert_allclose(engine.predict_proba(booster, X)[:, 1], np.average(y, weights=w), rtol=1e-6)


@pytest.mark.parametrize("boosting", ["gbdt", "dart", "goss"])
@pytest.mark.parametrize("loss", TRAINED, ids=repr)
def test_saved_model_predicts_the_same_in_a_new_process(tmp_path, loss, boosting):
    X = features()
    params = {**PARAMS, "boosting": boosting}
    if boosting == "goss":
        params = {**PARAMS, "data_sample_strategy": "goss"}
    margins = []

    def remember(margin, dataset):
        margins.append(margin.copy())
        return "none", 0.0, False

    train_set = data()
    valid_sets = [data(reference=train_set)]  # the same rows
    booster = engine.train(params, train_set, 12, loss=loss, feval=remember, valid_sets=valid_sets)
    path, out = tmp_path / "model.txt", tmp_path / "out.npz"
    booster.save_model(path)
    np.save(tmp_path / "X.npy", X)
    run_where_nothing_is_known(
        "import sys, numpy, lightgbm, gbm_focal.lightgbm\n"
        "booster = lightgbm.Booster(model_file=sys.argv[1])\n"
        "X = numpy.load(sys.argv[2])\n"
        "numpy.savez(sys.argv[3], raw=booster.predict(X, raw_score=True), sigmoid=booster.predict(X),\n"
        "            proba=gbm_focal.lightgbm.predict_proba(booster, X))",
        *(path, tmp_path / "X.npy", out),
    )
    loaded = np.load(out)
    # The margin that the last evaluation saw is the margin of the file.
    np.testing.assert_allclose(loaded["raw"], margins[-1], atol=1e-10)
    np.testing.assert_array_equal(loaded["raw"], booster.predict(X, raw_score=True))
    np.testing.assert_allclose(loaded["sigmoid"], expit(loaded["raw"]), rtol=1e-12)
    posterior = loss.resolve(rare_positives()[1]).posterior(loaded["raw"])
    shift = (logit(loaded["proba"][:, 1]) - logit(posterior))[posterior < 0.99]
    np.testing.assert_allclose(shift, shift[0], atol=1e-9)
    np.testing.assert_array_equal(loaded["proba"], engine.predict_proba(booster, X))
    assert loaded["proba"].shape == (4000, 2)


def test_pickle_and_saving_again_keep_all(tmp_path):
    X = features()
    booster = engine.train(PARAMS, data(), 5, loss=AsymmetricLoss(1, 3, 0.02, alpha="balanced"))
    expected = engine.predict_proba(booster, X)
    loaded = lgb.Booster(model_str=booster.model_to_string())
    loaded.save_model(tmp_path / "again.txt")
    for again in (pickle.loads(pickle.dumps(booster)), lgb.Booster(model_file=tmp_path / "again.txt")):
        np.testing.assert_array_equal(engine.predict_proba(again, X), expected)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", TRAINED, ids=repr)
def test_mean_probability_over_the_training_data_is_the_base_rate(loss, weighted):
    X, y, w, _ = rare_positives()
    booster = engine.train(PARAMS, data(weighted=weighted), 10, loss=loss)
    plain = engine.train(PARAMS, data(weighted=weighted), 10, loss=loss, calibrate=False)
    margin = booster.predict(X, raw_score=True)
    np.testing.assert_array_equal(margin, plain.predict(X, raw_score=True))
    w = w if weighted else np.ones(y.size)
    base_rate = np.average(y, weights=w)
    means = [np.average(engine.predict_proba(b, X)[:, 1], weights=w) for b in (booster, plain)]
    np.testing.assert_allclose(means[0], base_rate, rtol=1e-5)
    assert abs(means[1] / base_rate - 1) > 1e-3
    np.testing.assert_array_equal(engine.predict_proba(plain, X)[:, 1], loss.resolve(y, w).posterior(margin))


def test_shap_values_sum_to_the_margin():
    X = features()
    booster = engine.train(PARAMS, data(), 5, loss=FocalLoss())
    contributions = booster.predict(X, pred_contrib=True).sum(axis=1)
    np.testing.assert_allclose(contributions, booster.predict(X, raw_score=True), atol=1e-9)


def test_foreign_booster_needs_its_loss():
    X = features()
    params = {**PARAMS, "objective": engine.Objective(FocalLoss()), "metric": "None"}
    booster = lgb.train(params, data(), 5)
    with pytest.raises(ValueError, match="pass loss="):
        engine.predict_proba(booster, X)
    expected = FocalLoss().posterior(booster.predict(X, raw_score=True))
    np.testing.assert_array_equal(engine.predict_proba(booster, X, loss=FocalLoss())[:, 1], expected)


def test_calibration_on_simulated_data():
    X, _, _, eta = rare_positives(40_000)
    y = (np.random.default_rng(9).random(eta.size) < eta).astype(float)
    half = 20_000
    booster = engine.train(PARAMS, lgb.Dataset(X[:half], y[:half]), 60, loss=FocalLoss(2))
    probabilities = engine.predict_proba(booster, X[half:])[:, 1]
    assert abs(probabilities.mean() / eta[half:].mean() - 1) < 0.05
    # The sigmoid is no probability here.
    assert log_loss(y[half:], probabilities) < 0.7 * log_loss(y[half:], booster.predict(X[half:]))
