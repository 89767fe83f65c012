"""base_rate: the population that probabilities are about, in training and afterwards, and what it does to decisions."""

import copy
import json
import pickle
import zipfile
from fractions import Fraction

import numpy as np
import pytest
from engines import both_engines, xgboost_classifier
from problems import PROBLEMS, classes_problem, labels_problem, rare_positives
from repository import MODELS
from sklearn.base import clone

from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalClassifier, FocalLoss
from gbm_focal.base_rates import adapt, estimate

X, Y, WEIGHT, _ = rare_positives()
X_VALID, Y_VALID, _, _ = rare_positives(seed=1)
RATES = {"binary": 0.002, "classes": (0.9, 0.05, 0.04, 0.01), "labels": (0.2, 0.3, 0.001)}
LOSSES = [AsymmetricLoss(), FocalLoss(2, "balanced"), BalancedCrossEntropy(None)]


def words(y):
    return np.where(y == 1, "fraud", "ok")  # in sorted order "fraud" comes first


def adapted(classifier, X, used):
    """Probabilities at another base rate, by what users have outside the model."""
    probabilities, trained = classifier.predict_proba(X), classifier.base_rate_
    return adapt(probabilities.astype(float), trained, used)


@both_engines
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_probabilities_are_those_of_the_population(engine, loss, problem):
    X, y = PROBLEMS[problem]()
    plain = FocalClassifier(engine(), loss).fit(X, y)
    there = FocalClassifier(engine(), loss, base_rate=RATES[problem]).fit(X, y)
    shares = {"binary": y.mean(), "classes": np.bincount(y.astype(int)) / len(y) if y.ndim == 1 else None}
    np.testing.assert_allclose(plain.base_rate_, shares.get(problem, y.mean(axis=0)), rtol=1e-6)
    np.testing.assert_array_equal(there.base_rate_, RATES[problem])
    expected = adapted(plain, X, RATES[problem])
    np.testing.assert_allclose(there.predict_proba(X), expected, rtol=2e-6)
    # The same trees, and the same model afterwards.
    later = plain.at_base_rate(RATES[problem])
    for method in ("predict_proba", "decision_function", "predict"):
        np.testing.assert_array_equal(getattr(later, method)(X), getattr(there, method)(X))
    np.testing.assert_allclose(adapted(there, X, plain.base_rate_), plain.predict_proba(X), rtol=2e-5)


@both_engines
def test_dropped_negatives_are_put_right(engine):
    X, y, _, eta = rare_positives(60_000)
    keep = (y == 1) | (np.random.default_rng(0).random(y.size) < 0.1)
    X_test, _, _, truth = rare_positives(30_000, seed=1)
    estimator = engine(n_estimators=40, learning_rate=0.3)
    classifier = FocalClassifier(estimator, FocalLoss(2), base_rate=eta.mean())
    mean = classifier.fit(X[keep], y[keep]).predict_proba(X_test)[:, 1].mean()
    assert mean == pytest.approx(truth.mean(), rel=0.05)
    assert classifier.at_base_rate(y[keep].mean()).predict_proba(X_test)[:, 1].mean() > 3 * truth.mean()


@both_engines
def test_it_holds_where_training_goes_on_from_another_model(engine):
    of_engine = "xgb_model" if engine is xgboost_classifier else "init_model"
    other_X, other_y, _, _ = rare_positives(seed=5, base=-2.0)
    estimator = engine(n_estimators=3)
    first = FocalClassifier(estimator, FocalLoss(0)).fit(X, Y).estimator_
    plain = FocalClassifier(estimator, FocalLoss(0)).fit(other_X, other_y, **{of_engine: first})
    assert plain.predict_proba(other_X)[:, 1].mean() == pytest.approx(other_y.mean(), rel=1e-5)
    there = FocalClassifier(estimator, FocalLoss(0), base_rate=0.01).fit(other_X, other_y, **{of_engine: first})
    np.testing.assert_allclose(there.predict_proba(other_X), adapted(plain, other_X, 0.01), rtol=2e-6)


@both_engines
def test_the_given_base_rate_holds_whatever_the_weights(engine):
    weights = {"class_weight": {0: 1, 1: 8}}
    there = FocalClassifier(engine(), FocalLoss(), base_rate=0.03, **weights).fit(X, Y, WEIGHT)
    weighted = FocalClassifier(engine(), FocalLoss(), **weights).fit(X, Y, WEIGHT)
    of_classes = WEIGHT * np.where(Y == 1, 8, 1)
    assert weighted.base_rate_ == pytest.approx(np.average(Y, weights=of_classes), rel=1e-9)
    assert there.base_rate_ == 0.03
    np.testing.assert_allclose(there.predict_proba(X), adapted(weighted, X, 0.03), rtol=2e-6)
    assert there.predict_proba(X)[:, 1].mean() == pytest.approx(0.03, rel=0.1)


@both_engines
@pytest.mark.parametrize("loss", [FocalLoss(2), AsymmetricLoss()], ids=repr)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_decisions_follow_words_and_not_numbers(engine, loss, problem):
    X, y = PROBLEMS[problem]()
    for word in ("balanced", "effective"):
        model = FocalClassifier(engine(), clone(loss).set_params(alpha=word)).fit(X, y)
        there = model.at_base_rate(RATES[problem])
        np.testing.assert_array_equal(there.predict(X), model.predict(X))
    alpha = {"binary": 0.9, "classes": (0.1, 0.2, 0.3, 0.4), "labels": (0.9, 0.2, 0.9)}[problem]
    model = FocalClassifier(engine(), clone(loss).set_params(alpha=alpha)).fit(X, y)
    there = model.at_base_rate(RATES[problem])
    assert (there.predict(X) != model.predict(X)).any()
    if problem == "classes":
        p, a = there.predict_proba(X), np.array(alpha)
        costs = a * p if loss.has_softmax else p - (1 - a)
        np.testing.assert_array_equal(there.predict(X), costs.argmax(axis=1))
    else:
        p = there.predict_proba(X)[:, 1] if problem == "binary" else there.predict_proba(X)
        np.testing.assert_array_equal(there.predict(X), p > 1 - np.array(alpha))


@pytest.mark.parametrize("alpha", [0.9, "balanced", None])
def test_it_is_about_pos_label(alpha):
    reference = FocalClassifier(xgboost_classifier(), FocalLoss(2, alpha), base_rate=0.002).fit(X, Y)
    named = FocalClassifier(xgboost_classifier(), FocalLoss(2, alpha), pos_label="fraud", base_rate=0.002)
    named.fit(X, words(Y))
    by_label = clone(named).set_params(base_rate={"ok": 0.998, "fraud": 0.002}).fit(X, words(Y))
    later = clone(named).set_params(base_rate=None).fit(X, words(Y))
    for classifier in (named, by_label, later.at_base_rate(0.002), later.at_base_rate({"fraud": 0.002, "ok": 0.998})):
        assert classifier.base_rate_ == 0.002
        np.testing.assert_array_equal(classifier.predict_proba(X), reference.predict_proba(X)[:, ::-1])
        np.testing.assert_array_equal(classifier.predict(X), words(reference.predict(X)))
    # Without pos_label it is about the second class.
    other = FocalClassifier(xgboost_classifier(), FocalLoss(2), base_rate={"ok": 0.998, "fraud": 0.002})
    assert other.fit(X, words(Y)).base_rate_ == 0.998


def test_classes_by_label_or_in_their_order():
    X, y = classes_problem(3000)[:2]
    names = np.array(["d", "b", "a", "c"])[y]
    in_order = FocalClassifier(xgboost_classifier(), base_rate=[0.4, 0.3, 0.2, 0.1]).fit(X, names)
    by_label = FocalClassifier(xgboost_classifier(), base_rate={"d": 0.1, "a": 0.4, "c": 0.2, "b": 0.3}).fit(X, names)
    assert in_order.base_rate_.tolist() == by_label.base_rate_.tolist() == [0.4, 0.3, 0.2, 0.1]
    np.testing.assert_array_equal(in_order.predict_proba(X), by_label.predict_proba(X))
    names_there, places, counts = np.unique(names, return_inverse=True, return_counts=True)
    assert by_label.classes_.tolist() == names_there.tolist()
    of_population = (by_label.base_rate_ / counts)[places]  # each row as often as there
    mean = np.average(by_label.predict_proba(X), axis=0, weights=of_population)
    np.testing.assert_allclose(mean, by_label.base_rate_, atol=0.03)


def test_at_base_rate_changes_a_copy_that_shares_the_engine():
    model = FocalClassifier(xgboost_classifier(), FocalLoss(2)).fit(X, Y, eval_set=[(X_VALID, Y_VALID)])
    before, probability = dict(vars(model)), model.predict_proba(X)
    there = model.at_base_rate(0.002)
    assert vars(model) == before
    np.testing.assert_array_equal(model.predict_proba(X), probability)
    assert there.estimator_ is model.estimator_
    assert there.evals_result_ == model.evals_result_
    assert (model.base_rate, there.base_rate) == (None, 0.002)
    np.testing.assert_array_equal(clone(there).fit(X, Y).predict_proba(X), there.predict_proba(X))
    np.testing.assert_allclose(there.at_base_rate(0.1).link_.shift, model.at_base_rate(0.1).link_.shift, rtol=1e-12)


def test_an_estimate_is_a_base_rate_to_go_on_with():
    model = FocalClassifier(xgboost_classifier(n_estimators=30), FocalLoss(2)).fit(X, Y)
    keep = (Y_VALID == 1) | (np.random.default_rng(0).random(Y_VALID.size) < 0.2)
    rate = estimate(model.predict_proba(X_VALID[keep])[:, 1], model.base_rate_)
    assert rate == pytest.approx(Y_VALID[keep].mean(), rel=0.2)
    mean = model.at_base_rate(rate).predict_proba(X_VALID[keep])[:, 1].mean()
    assert mean == pytest.approx(rate, rel=1e-4)


# ---- round trips ----


@both_engines
@pytest.mark.parametrize("alpha", [None, "balanced"])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_files_pickles_and_copies_keep_it(engine, alpha, problem, tmp_path):
    X, y = PROBLEMS[problem]()
    rates = RATES[problem]
    if problem == "classes":
        y, rates = np.array(["c", "b", "a", "d"])[y], dict(zip("cbad", rates, strict=True))
    if problem == "labels":
        rates = np.array(rates)
    model = FocalClassifier(engine(), FocalLoss(2, alpha), base_rate=rates).fit(X, y)
    path = tmp_path / "model.zip"
    copies = {"pickle": pickle.loads(pickle.dumps(model)), "copy": copy.copy(model), "deepcopy": copy.deepcopy(model)}
    model.save_model(path)
    copies["file"] = FocalClassifier.load_model(path)
    copies["file"].save_model(path)
    copies["file of file"] = FocalClassifier.load_model(path)
    later = FocalClassifier(engine(), FocalLoss(2, alpha)).fit(X, y).at_base_rate(rates)
    later.save_model(path)
    copies["file of at_base_rate"] = FocalClassifier.load_model(path)
    for name, again in copies.items():
        np.testing.assert_array_equal(again.base_rate_, model.base_rate_, err_msg=name)
        np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X), err_msg=name)
        np.testing.assert_array_equal(again.decision_function(X), model.decision_function(X), err_msg=name)
        np.testing.assert_array_equal(again.predict(X), model.predict(X), err_msg=name)
        refitted = clone(again).fit(X, y)
        np.testing.assert_array_equal(refitted.base_rate_, model.base_rate_, err_msg=name)
        there = again.at_base_rate(model.base_rate_ * 0.5 if problem != "classes" else [0.25] * 4)
        assert not np.array_equal(there.base_rate_, model.base_rate_)


def test_files_that_older_versions_would_decide_otherwise_by_have_another_format(tmp_path):
    path = tmp_path / "model.zip"
    cases = [
        (FocalLoss(2, "balanced"), None, Y, None, 1),
        (FocalLoss(2, "balanced"), 0.002, Y, None, 3),
        (FocalLoss(2, "effective"), 0.002, words(Y), "fraud", 3),
        (FocalLoss(2, 0.9), 0.002, Y, None, 1),
        (FocalLoss(2), 0.002, words(Y), "fraud", 2),
    ]
    for loss, rate, y, pos_label, expected in cases:
        FocalClassifier(loss=loss, pos_label=pos_label, base_rate=rate).fit(X, y).save_model(path)
        with zipfile.ZipFile(path) as archive:
            assert json.loads(archive.read("gbm_focal.json"))["format"] == expected
        assert FocalClassifier.load_model(path).base_rate == rate


@pytest.mark.parametrize("name", ["xgboost", "lightgbm"])
def test_files_of_version_0_1_say_that_they_do_not_know_it(name):
    model = FocalClassifier.load_model(MODELS / f"{name}-0.1.0.zip")
    assert model.base_rate is None
    assert model.base_rate_ is None
    with pytest.raises(ValueError, match=r"does not say which base rate .*version 0\.1 made it.*base_rates\.adapt"):
        model.at_base_rate(0.01)


# ---- bad input ----


@both_engines
@pytest.mark.parametrize(
    ("problem", "rate", "message"),
    [
        ("binary", 0, r"base_rate=0 is out of range: give a number in \(0, 1\)"),
        ("binary", 1.0, r"base_rate=1\.0 is out of range"),
        ("binary", np.nan, "base_rate=nan is out of range"),
        ("binary", "0.1", "base_rate='0.1' is a str"),
        ("binary", [0.9, 0.1], r"of shape \(2,\): give one number, the share of label 1"),
        ("binary", {0: 0.9, 1: 0.2}, "sum 1.1.*: give rates of classes with sum 1"),
        ("binary", {"a": 0.9, "b": 0.1}, r"base_rate is a dict of \['a', 'b'\]: give a rate for each of the labels"),
        ("classes", 0.1, "base_rate=0.1 is one number, but there are 4 classes: give one for each"),
        ("classes", [0.5, 0.5], "base_rate has 2 numbers, but there are 4 columns"),
        ("classes", [0.5, 0.5, 0.1, 0.1], "sum 1.2"),
        ("classes", {0: 0.5, 1: 0.2, 2: 0.3}, r"give a rate for each of the labels \[0, 1, 2, 3\]"),
        ("labels", [0.1, 0.2], "base_rate has 2 numbers, but there are 3 columns"),
        ("labels", {0: 0.1, 1: 0.2, 2: 0.3}, "give an array of 3"),
    ],
)
def test_base_rates_that_are_none(engine, problem, rate, message):
    X, y = {"binary": (X_VALID, Y_VALID), "classes": classes_problem(500)[:2], "labels": labels_problem(500)}[problem]
    model = FocalClassifier(engine(n_estimators=1), base_rate=rate)
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(X, y)
    assert not hasattr(model, "estimator_")  # nothing was trained in vain
    fitted = clone(model).set_params(base_rate=None).fit(X, y)
    with pytest.raises((ValueError, TypeError), match=message):
        fitted.at_base_rate(rate)


def test_none_is_no_base_rate_to_go_to():
    with pytest.raises(TypeError, match="base_rate=None is a NoneType"):
        FocalClassifier(xgboost_classifier(n_estimators=1)).fit(X, Y).at_base_rate(None)


@pytest.mark.parametrize(
    "rates",
    [
        [np.float32(0.5), np.float32(0.25), 0.125, 0.125],
        (Fraction(1, 4), Fraction(1, 4), Fraction(3, 8), 0.125),
        {0: Fraction(1, 4), 1: np.float64(0.75)},
        np.array(0.25),
        Fraction(1, 4),
    ],
    ids=str,
)
def test_files_hold_whatever_kind_of_number_a_rate_is(rates, tmp_path):
    X, y = PROBLEMS["classes" if isinstance(rates, list | tuple) else "binary"]()
    model = FocalClassifier(xgboost_classifier(n_estimators=2), base_rate=rates).fit(X, y)
    model.save_model(tmp_path / "model.zip")
    loaded = FocalClassifier.load_model(tmp_path / "model.zip")
    np.testing.assert_array_equal(loaded.base_rate_, model.base_rate_)
    np.testing.assert_array_equal(clone(loaded).fit(X, y).predict_proba(X), model.predict_proba(X))
