"""base_rate in XGBoost's own functions, and in XGBoost's own files."""

import pickle

import numpy as np
import pytest
from problems import classes_problem, labels_problem, rare_positives
from programs import run_where_nothing_is_known
from repository import MODELS
from xgboost_data import PARAMS, data, margin

from gbm_focal import AsymmetricLoss, FocalClassifier, FocalLoss, LinearSchedule
from gbm_focal.base_rates import adapt

xgb = pytest.importorskip("xgboost")
engine = pytest.importorskip("gbm_focal.xgboost")


def classes_matrix():
    X, y, w, _ = classes_problem(3000)
    return xgb.DMatrix(X, y, weight=w)


def labels_matrix():
    return xgb.DMatrix(*labels_problem(1500))


CASES = {
    "binary": (PARAMS, lambda: data(weighted=True), 0.002),
    "classes": ({**PARAMS, "num_class": 4}, classes_matrix, [0.9, 0.05, 0.04, 0.01]),
    "classes by number": ({**PARAMS, "num_class": 4}, classes_matrix, {1: 0.05, 0: 0.9, 2: 0.04, 3: 0.01}),
    "labels": (PARAMS, labels_matrix, np.array([0.2, 0.3, 0.001])),
}


@pytest.mark.parametrize("loss", [FocalLoss(2, "balanced"), AsymmetricLoss(), FocalLoss(0)], ids=repr)
@pytest.mark.parametrize("case", CASES)
def test_boosters_and_their_files_are_about_it(case, loss, tmp_path):
    params, make, rate = CASES[case]
    matrix = make()
    plain, there = (engine.train(params, matrix, 5, loss=loss, base_rate=given) for given in (None, rate))
    np.testing.assert_array_equal(margin(there, matrix), margin(plain, matrix))
    probabilities = engine.predict_proba(there, matrix)
    trained = np.array(engine.link_of(plain).base_rate)
    if case == "binary":
        expected = adapt(engine.predict_proba(plain, matrix), trained[0], rate)
    else:
        in_order = [rate[number] for number in range(4)] if isinstance(rate, dict) else rate
        expected = adapt(engine.predict_proba(plain, matrix), trained, in_order)
    np.testing.assert_allclose(probabilities, expected, rtol=2e-6)
    np.testing.assert_array_equal(engine.predict_proba(plain, matrix, base_rate=rate), probabilities)
    for kind in ("json", "ubj"):
        there.save_model(tmp_path / f"model.{kind}")
        loaded = xgb.Booster(model_file=tmp_path / f"model.{kind}")
        np.testing.assert_array_equal(engine.predict_proba(loaded, matrix), probabilities)
        assert engine.link_of(loaded).to_json() == engine.link_of(there).to_json()
    again = pickle.loads(pickle.dumps(there))
    np.testing.assert_array_equal(engine.predict_proba(again, matrix), probabilities)
    back = engine.predict_proba(there, matrix, base_rate=trained[0] if case == "binary" else trained)
    np.testing.assert_allclose(back, engine.predict_proba(plain, matrix), rtol=2e-6)


def test_a_file_is_about_it_in_a_new_process(tmp_path):
    matrix = data()
    booster = engine.train(PARAMS, matrix, 5, loss=FocalLoss(2, "balanced"), base_rate=0.002)
    booster.save_model(tmp_path / "model.ubj")
    np.save(tmp_path / "X.npy", rare_positives()[0])
    run_where_nothing_is_known(
        "import sys, numpy, xgboost, gbm_focal.xgboost as engine\n"
        "booster = xgboost.Booster(model_file=sys.argv[1])\n"
        "data = xgboost.DMatrix(numpy.load(sys.argv[2]))\n"
        "numpy.save(sys.argv[3], [engine.predict_proba(booster, data, base_rate=rate) for rate in (None, 0.1)])",
        *(tmp_path / "model.ubj", tmp_path / "X.npy", tmp_path / "out.npy"),
    )
    expected = [engine.predict_proba(booster, matrix, base_rate=rate) for rate in (None, 0.1)]
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected)


def test_training_goes_on_with_the_base_rate_of_its_own_call():
    matrix = data()
    loss = FocalLoss(2)
    first = engine.train(PARAMS, matrix, 3, loss=loss, base_rate=0.002)
    from_plain = engine.train(PARAMS, matrix, 3, loss=loss, xgb_model=engine.train(PARAMS, matrix, 3, loss=loss))
    went_on = engine.train(PARAMS, matrix, 3, loss=loss, xgb_model=first)
    np.testing.assert_array_equal(engine.predict_proba(went_on, matrix), engine.predict_proba(from_plain, matrix))
    with_rate = engine.train(PARAMS, matrix, 3, loss=loss, xgb_model=first, base_rate=0.01)
    assert engine.link_of(with_rate).base_rate == (0.01,)
    np.testing.assert_array_equal(
        engine.predict_proba(with_rate, matrix), engine.predict_proba(went_on, matrix, base_rate=0.01)
    )


OTHER = rare_positives(3000, seed=5, base=-2.0)[:2]
LEAVES_ONLY = {"process_type": "update", "updater": "refresh", "refresh_leaf": True}


@pytest.mark.filterwarnings("ignore:.*You have manually specified the `updater`")
@pytest.mark.parametrize("loss", [FocalLoss(0), FocalLoss(2)], ids=repr)
@pytest.mark.parametrize("start", ["base_score", "base_margin", "model", "refresh"])
def test_the_mean_is_the_base_rate_wherever_training_starts(start, loss):
    matrix, params, arguments = xgb.DMatrix(*OTHER), dict(PARAMS), {}
    if start == "base_score":
        params["base_score"] = 0.3
    elif start == "base_margin":
        matrix.set_base_margin(np.full(matrix.num_row(), -1.0))
    else:
        arguments["xgb_model"] = engine.train(PARAMS, data(), 3, loss=loss)
        params.update(LEAVES_ONLY if start == "refresh" else {})
    booster = engine.train(params, matrix, 3, loss=loss, **arguments)
    rate = OTHER[1].mean()
    assert engine.link_of(booster).base_rate == pytest.approx((rate,))
    assert engine.predict_proba(booster, matrix)[:, 1].mean() == pytest.approx(rate, rel=1e-5)
    bare = engine.predict_proba(booster, matrix, loss=loss)[:, 1].mean()
    assert bare != pytest.approx(rate, rel=0.02)  # so there was something to do
    without = engine.train(params, matrix, 3, loss=loss, calibrate=False, **arguments)
    np.testing.assert_array_equal(margin(without, matrix), margin(booster, matrix))
    assert engine.link_of(without).shift == (0.0,)


def test_cross_entropy_from_its_own_intercept_needs_no_shift():
    booster = engine.train(PARAMS, xgb.DMatrix(*OTHER), 3, loss=FocalLoss(0))
    assert engine.link_of(booster).shift == (0.0,)


@pytest.mark.parametrize("through", ["train", "classifier"])
def test_checkpoints_are_about_it(tmp_path, through):
    X, y, _, _ = rare_positives(1000)
    callbacks = [xgb.callback.TrainingCheckPoint(tmp_path, interval=1)]
    loss = FocalLoss(LinearSchedule(0, 2, 5), "balanced")
    if through == "train":
        engine.train(PARAMS, xgb.DMatrix(X, y), 3, loss=loss, base_rate=0.002, callbacks=callbacks)
    else:
        estimator = xgb.XGBClassifier(n_estimators=3, n_jobs=1, callbacks=callbacks)
        classifier = FocalClassifier(estimator, loss, base_rate=0.002).fit(X, y)
        booster = classifier.estimator_.get_booster()  # what it holds is about it, too
        np.testing.assert_array_equal(engine.predict_proba(booster, X), classifier.predict_proba(X))
    paths = list(tmp_path.iterdir())
    assert len(paths) > 1
    for path in paths:
        link = engine.link_of(xgb.Booster(model_file=path))
        assert link.base_rate == (0.002,)
        assert link.alpha_follows_base_rate


def test_boosters_that_do_not_know_their_base_rate():
    matrix = data()
    booster = engine.train(PARAMS, matrix, 3, loss=FocalLoss(2), calibrate=False)
    with pytest.raises(ValueError, match=r"does not say which base rate .*base_rates\.adapt"):
        engine.predict_proba(booster, matrix, loss=FocalLoss(2), base_rate=0.1)
    old = FocalClassifier.load_model(MODELS / "xgboost-0.1.0.zip").estimator_.get_booster()
    X = np.load(MODELS / "X.npy")
    np.testing.assert_allclose(engine.predict_proba(old, X), np.load(MODELS / "xgboost-0.1.0.npy"), rtol=1e-5)
    with pytest.raises(ValueError, match="does not say which base rate"):
        engine.predict_proba(old, X, base_rate=0.1)


def test_base_rates_that_are_none():
    def no_rounds(margin, matrix):
        raise AssertionError("trained")

    for case, rate, message in (
        ("binary", 0, "base_rate=0 is out of range"),
        ("binary", [0.1], "give one number"),
        ("classes", [0.5, 0.5], "base_rate has 2 numbers, but there are 4"),
        ("classes", {0: 0.5, 1: 0.5}, "give a rate for each of the classes 0 to 3"),
        ("labels", 0.1, "there are 3 labels: give one for each"),
    ):
        params, make, _ = CASES[case]
        matrix = make()
        arguments = {"evals": [(matrix, "train")], "custom_metric": no_rounds}
        with pytest.raises(ValueError, match=message):
            engine.train(params, matrix, 3, loss=FocalLoss(2), base_rate=rate, **arguments)
        booster = engine.train(params, matrix, 1, loss=FocalLoss(2))
        with pytest.raises(ValueError, match=message):
            engine.predict_proba(booster, matrix, base_rate=rate)
