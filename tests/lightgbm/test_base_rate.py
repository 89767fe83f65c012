"""base_rate in LightGBM's own functions, and in LightGBM's own files."""

import pickle

import numpy as np
import pytest
from lightgbm_data import PARAMS, data, features
from problems import classes_problem, rare_positives
from repository import MODELS

from gbm_focal import AsymmetricLoss, FocalClassifier, FocalLoss
from gbm_focal.base_rates import adapt

lgb = pytest.importorskip("lightgbm")
engine = pytest.importorskip("gbm_focal.lightgbm")


def classes_data():
    X, y, w, _ = classes_problem(4000)
    return lgb.Dataset(X, y, weight=w)


CASES = {
    "binary": (PARAMS, lambda: data(weighted=True), 0.002),
    "classes": ({**PARAMS, "num_class": 4}, classes_data, [0.9, 0.05, 0.04, 0.01]),
    "classes by number": ({**PARAMS, "num_class": 4}, classes_data, {1: 0.05, 0: 0.9, 2: 0.04, 3: 0.01}),
}


@pytest.mark.parametrize("loss", [FocalLoss(2, "balanced"), AsymmetricLoss(), FocalLoss(0)], ids=repr)
@pytest.mark.parametrize("case", CASES)
def test_boosters_and_their_files_are_about_it(case, loss, tmp_path):
    params, make, rate = CASES[case]
    X = features() if case == "binary" else classes_problem(4000)[0]
    plain, there = (engine.train(params, make(), 5, loss=loss, base_rate=given) for given in (None, rate))
    np.testing.assert_array_equal(there.predict(X, raw_score=True), plain.predict(X, raw_score=True))
    probabilities = engine.predict_proba(there, X)
    trained = np.array(engine.link_of(plain).base_rate)
    if case == "binary":
        expected = adapt(engine.predict_proba(plain, X), trained[0], rate)
    else:
        expected = adapt(engine.predict_proba(plain, X), trained, [rate[number] for number in range(4)])
    np.testing.assert_allclose(probabilities, expected, rtol=1e-10)
    np.testing.assert_array_equal(engine.predict_proba(plain, X, base_rate=rate), probabilities)
    there.save_model(tmp_path / "model.txt")
    copies = [lgb.Booster(model_file=tmp_path / "model.txt"), lgb.Booster(model_str=there.model_to_string())]
    for again in (*copies, pickle.loads(pickle.dumps(there))):
        np.testing.assert_array_equal(engine.predict_proba(again, X), probabilities)
        assert engine.link_of(again).to_json() == engine.link_of(there).to_json()


OTHER = rare_positives(3000, seed=5, base=-2.0)[:2]


@pytest.mark.parametrize("loss", [FocalLoss(0), FocalLoss(2)], ids=repr)
@pytest.mark.parametrize("start", ["zero", "model"])
def test_the_mean_is_the_base_rate_wherever_training_starts(start, loss):
    rate = OTHER[1].mean()
    if start == "zero":
        params, arguments = {**PARAMS, "boost_from_average": False}, {}
    else:
        params, arguments = PARAMS, {"init_model": engine.train(PARAMS, data(), 3, loss=loss)}
    booster, without = (
        engine.train(params, lgb.Dataset(*OTHER), 3, loss=loss, calibrate=calibrate, **arguments)
        for calibrate in (True, False)
    )
    assert engine.link_of(booster).base_rate == pytest.approx((rate,))
    assert engine.predict_proba(booster, OTHER[0])[:, 1].mean() == pytest.approx(rate, rel=1e-5)
    assert engine.predict_proba(without, OTHER[0])[:, 1].mean() != pytest.approx(rate, rel=0.02)
    np.testing.assert_array_equal(without.predict(OTHER[0], raw_score=True), booster.predict(OTHER[0], raw_score=True))


def test_cross_entropy_from_its_own_intercept_needs_no_shift():
    booster = engine.train(PARAMS, lgb.Dataset(*OTHER), 3, loss=FocalLoss(0))
    assert engine.link_of(booster).shift == (0.0,)


def test_training_goes_on_with_the_base_rate_of_its_own_call():
    X, loss = features(), FocalLoss(2)
    first = engine.train(PARAMS, data(), 3, loss=loss, base_rate=0.002)
    from_plain = engine.train(PARAMS, data(), 3, loss=loss, init_model=engine.train(PARAMS, data(), 3, loss=loss))
    went_on = engine.train(PARAMS, data(), 3, loss=loss, init_model=first)
    np.testing.assert_array_equal(engine.predict_proba(went_on, X), engine.predict_proba(from_plain, X))
    with_rate = engine.train(PARAMS, data(), 3, loss=loss, init_model=first, base_rate=0.01)
    expected = engine.predict_proba(went_on, X, base_rate=0.01)
    np.testing.assert_array_equal(engine.predict_proba(with_rate, X), expected)


def test_the_booster_of_a_classifier_is_about_it():
    X, y, _, _ = rare_positives(1000)
    estimator = lgb.LGBMClassifier(n_estimators=5, n_jobs=1, verbosity=-1)
    classifier = FocalClassifier(estimator, FocalLoss(2, "balanced"), base_rate=0.002).fit(X, y)
    probabilities = engine.predict_proba(classifier.estimator_.booster_, X)
    np.testing.assert_array_equal(probabilities, classifier.predict_proba(X))


def test_boosters_that_do_not_know_their_base_rate():
    X = features()
    booster = engine.train(PARAMS, data(), 3, loss=FocalLoss(2), calibrate=False)
    with pytest.raises(ValueError, match=r"does not say which base rate .*base_rates\.adapt"):
        engine.predict_proba(booster, X, loss=FocalLoss(2), base_rate=0.1)
    old = FocalClassifier.load_model(MODELS / "lightgbm-0.1.0.zip").estimator_
    X = np.load(MODELS / "X.npy")
    np.testing.assert_allclose(engine.predict_proba(old, X), np.load(MODELS / "lightgbm-0.1.0.npy"), rtol=1e-5)
    with pytest.raises(ValueError, match="does not say which base rate"):
        engine.predict_proba(old, X, base_rate=0.1)


def test_base_rates_that_are_none():
    def no_rounds(environment):
        raise AssertionError("trained")

    for case, rate, message in (
        ("binary", 1, "base_rate=1 is out of range"),
        ("binary", [0.1], "give one number"),
        ("classes", [0.5, 0.5], "base_rate has 2 numbers, but there are 4"),
        ("classes", {0: 0.5, 1: 0.5}, "give a rate for each of the classes 0 to 3"),
    ):
        params, make, _ = CASES[case]
        with pytest.raises(ValueError, match=message):
            engine.train(params, make(), 3, loss=FocalLoss(2), base_rate=rate, callbacks=[no_rounds])
        booster = engine.train(params, make(), 1, loss=FocalLoss(2))
        with pytest.raises(ValueError, match=message):
            engine.predict_proba(booster, features(), base_rate=rate)
