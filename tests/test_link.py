"""The link from margins to probabilities and decisions, for one population or another."""

import json
from dataclasses import replace

import mpmath
import numpy as np
import pytest
import xgboost
from devices import assert_same
from problems import rare_positives
from reference import truth
from scipy.special import logit

import gbm_focal.xgboost as engine
from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalLoss, Loss, PowerCrossEntropy
from gbm_focal.base_rates import adapt
from gbm_focal.link import Link
from gbm_focal.losses import ClassTotals


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("family", "loss"), [(("focal", (2,)), FocalLoss(2)), (("focal", (0,)), BalancedCrossEntropy(None))]
)
def test_both_probabilities_keep_their_digits_whatever_the_shift(family, loss, kind):
    margin = np.array([-104, -87.5, -30, -9, -2.25, 0, 1.5, 6, 17, 25, 36.5, 40, 60, 104], kind)
    posteriors = [truth(*family, z, None).posterior for z in margin.tolist()]
    for shift in (-9.0, -0.375, 0.0, 5.0):
        odds = [mpmath.exp(shift) * p / (1 - p) for p in posteriors]
        expected = np.array([[1 / (1 + x), x / (1 + x)] for x in odds], np.float64)
        found = Link(loss, (shift,)).probabilities(margin)
        assert found.dtype == kind
        np.testing.assert_allclose(found, expected.astype(kind), rtol=2e-7 if kind == np.float32 else 2e-14, atol=2e-45)
        several = Link(loss, (shift, 0.0), "multilabel").probabilities(np.column_stack([margin, margin]))
        np.testing.assert_array_equal(several[:, 0], found[:, 1])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize(
    "loss",
    [
        *(FocalLoss(gamma) for gamma in (0, 2, 12)),
        *(AsymmetricLoss(), AsymmetricLoss(1, 0.5, 0.2, 0.3), AsymmetricLoss(0.5, 2.5, 0)),
        *(PowerCrossEntropy(power) for power in (0.5, 2, 20)),
        BalancedCrossEntropy(0.98),
    ],
    ids=repr,
)
def test_far_margins_are_certain(loss, kind):
    margin = np.array([60, 200, 360, 400, 700, 720, 1e4, 1e30], kind)
    for shift in (-9.0, 0.0, 5.0):
        link = Link(loss, (shift,))
        negative, positive = link.probabilities(margin).T
        np.testing.assert_array_equal(positive, 1)
        assert np.all(negative < 1e-12)
        assert np.all(np.diff(negative) <= 0)
        assert np.all(np.diff(loss.log_odds(margin)) >= 0)
        np.testing.assert_array_equal(link.classes(margin), 1)


def test_link_that_cannot_reach_the_base_rate_warns():
    margin = np.repeat([-200.0, 200.0], [980, 20]).astype(np.float32)
    totals = ClassTotals.of(np.repeat([0, 1], [990, 10]))
    with pytest.warns(RuntimeWarning, match="bare posterior"):
        assert Link.fitted(FocalLoss(), totals, margin, None).shift == (0.0,)


def test_probabilities_of_margins_on_the_device(cupy):
    X, y, _, _ = rare_positives(500)
    booster = engine.train({"nthread": 1, "max_depth": 3}, xgboost.DMatrix(X, y), 5, loss=AsymmetricLoss())
    link = engine.link_of(booster)
    margin = booster.predict(xgboost.DMatrix(X), output_margin=True)
    assert_same(link.probabilities(cupy.asarray(margin)), link.probabilities(margin), np.float32)


# ---- another base rate ----


def link_of_kind(kind, alpha="balanced", loss=FocalLoss):
    """A link, as training leaves it, with the labels that it was trained on and some margins."""
    random = np.random.default_rng(0)
    if kind == "binary":
        y, margin = (random.random(4000) < 0.1).astype(int), random.normal(-1, 1.5, 4000)
    elif kind == "multilabel":
        y, margin = (random.random((4000, 2)) < [0.1, 0.3]).astype(int), random.normal(-1, 1.5, (4000, 2))
    else:
        y, margin = random.choice(3, 4000, p=[0.6, 0.3, 0.1]), random.normal([1, 0, -1], 1.5, (4000, 3))
    totals = ClassTotals.of(y)
    fitted = Link.fitted(loss(alpha=alpha).resolve(y), totals, margin)
    return fitted.of_training(totals, alpha_follows_base_rate=isinstance(alpha, str)), margin


ELSEWHERE = {"binary": 0.01, "multilabel": (0.02, 0.5), "multiclass": (0.2, 0.3, 0.5)}
KINDS = pytest.mark.parametrize("kind", ELSEWHERE)


@KINDS
@pytest.mark.parametrize("loss", [FocalLoss, AsymmetricLoss])
def test_another_base_rate_adapts_the_probabilities(kind, loss):
    link, margin = link_of_kind(kind, loss=loss)
    there = link.at_base_rate(ELSEWHERE[kind])
    trained, used = link.base_rate, there.base_rate
    assert trained == link.trained_base_rate == there.trained_base_rate
    columns = slice(1, None) if kind == "binary" else slice(None)
    expected = link.probabilities(margin)[:, columns]
    expected = (
        adapt(expected[:, 0], *trained, *used)[:, np.newaxis] if kind == "binary" else adapt(expected, trained, used)
    )
    np.testing.assert_allclose(there.probabilities(margin)[:, columns], expected, rtol=1e-12)
    # There and back, or by another way, it is the same.
    np.testing.assert_allclose(
        there.at_base_rate(np.array(trained) if len(trained) > 1 else trained[0]).shift, link.shift
    )
    if kind == "multiclass":
        assert there.at_base_rate({1: 0.3, 2: 0.5, 0: 0.2}) == there
        assert abs(sum(there.shift)) < 1e-12


def test_the_shift_is_the_difference_of_log_odds():
    balanced = Link.bare(FocalLoss()).of_training(ClassTotals.of([0, 1]), alpha_follows_base_rate=False)
    assert balanced.at_base_rate(0.1).shift == pytest.approx((logit(0.1),))


@KINDS
@pytest.mark.parametrize("loss", [FocalLoss, AsymmetricLoss])  # of several classes the second learns one versus rest
@pytest.mark.parametrize("word", ["balanced", "effective"])
def test_decisions_follow_the_base_rate_where_alpha_is_a_word(kind, loss, word):
    link, margin = link_of_kind(kind, word, loss)
    there = link.at_base_rate(ELSEWHERE[kind])
    assert there.shift != link.shift
    np.testing.assert_array_equal(there.classes(margin), link.classes(margin))
    np.testing.assert_allclose(there.decision(margin), link.decision(margin), rtol=1e-9, atol=1e-12)
    # The link holds numbers: without its note the same alpha is a ratio of costs.
    as_costs = replace(there, alpha_follows_base_rate=False)
    assert (as_costs.classes(margin) != there.classes(margin)).any()


@KINDS
def test_a_number_stays_a_ratio_of_costs(kind):
    alpha = {"binary": 0.9, "multilabel": (0.9, 0.4), "multiclass": (0.2, 0.3, 0.5)}[kind]
    link, margin = link_of_kind(kind, alpha)
    there = link.at_base_rate(ELSEWHERE[kind])
    probabilities = there.probabilities(margin)
    if kind == "multiclass":
        expected = (probabilities * alpha).argmax(axis=1)
    else:
        positive = probabilities[:, 1] if kind == "binary" else probabilities
        expected = np.asarray(alpha) * positive > (1 - np.asarray(alpha)) * (1 - positive)
    np.testing.assert_array_equal(there.classes(margin), expected)
    assert (there.classes(margin) != link.classes(margin)).any()


@KINDS
def test_json_keeps_the_population_and_version_0_1_reads_it(kind):
    link, margin = link_of_kind(kind)
    there = link.at_base_rate(ELSEWHERE[kind])
    again = Link.from_json(there.to_json())
    np.testing.assert_array_equal(again.decision(margin), there.decision(margin))
    assert replace(again, loss=link.loss) == replace(there, loss=link.loss)
    # Version 0.1 reads these three, and nothing else.
    stored = json.loads(there.to_json())
    older = Link(Loss.from_json(there.to_json()), tuple(stored["log_odds_shift"]), stored["kind"])
    np.testing.assert_array_equal(older.probabilities(margin), there.probabilities(margin))


def test_links_that_do_not_know_their_base_rate():
    text = Link.bare(BalancedCrossEntropy(0.5)).to_json()
    assert json.loads(text).keys() == {"version", "loss", "module", "parameters", "log_odds_shift", "kind"}
    for link in (Link.bare(FocalLoss()), Link.from_json(text)):
        with pytest.raises(ValueError, match=r"does not say which base rate .* gbm_focal\.base_rates\.adapt"):
            link.at_base_rate(0.1)


@pytest.mark.parametrize(
    ("kind", "rate", "message"),
    [
        ("binary", 0, r"base_rate=0 is out of range: give a number in \(0, 1\)"),
        ("binary", 1.0, r"base_rate=1\.0 is out of range"),
        ("binary", "0.1", "base_rate='0.1' is a str"),
        ("binary", [0.1], r"of shape \(1,\): give one number, the share of label 1"),
        ("binary", {0: 0.9, 1: 0.1}, r"base_rate is a dict of \[0, 1\]: give a number"),
        ("multilabel", 0.1, "base_rate=0.1 is one number, but there are 2 labels: give one for each"),
        ("multilabel", [0.1, 0.1, 0.1], "base_rate has 3 numbers, but there are 2 columns"),
        ("multilabel", {0: 0.1, 1: 0.2}, "give an array of 2"),
        ("multiclass", 0.1, "base_rate=0.1 is one number, but there are 3 classes"),
        ("multiclass", [0.1, 0.1, 0.1], "has the sum 0.3.*: give rates of classes with sum 1"),
        ("multiclass", {0: 0.1, 1: 0.2, 3: 0.7}, "give a rate for each of the classes 0 to 2"),
        ("multiclass", {0: 0.1, 1: 0.2, "2": 0.7}, "give a rate for each of the classes 0 to 2"),
    ],
)
def test_base_rates_that_are_none(kind, rate, message):
    with pytest.raises((ValueError, TypeError), match=message):
        link_of_kind(kind)[0].at_base_rate(rate)


@pytest.mark.parametrize(
    "change",
    [
        {"base_rate": [0.0]},
        {"base_rate": [0.1, 0.2]},
        {"base_rate": "x"},
        {"alpha_follows_base_rate": 1},
        {"base_rate": 1},
    ],
)
def test_damaged_json_is_refused(change):
    described = json.loads(link_of_kind("binary")[0].to_json())
    with pytest.raises(ValueError, match="not the JSON description of a loss and its link"):
        Link.from_json(json.dumps({**described, **change}))
    del described["trained_base_rate"]
    with pytest.raises(ValueError, match="not the JSON description of a loss and its link"):
        Link.from_json(json.dumps(described))


def test_rates_of_another_number_of_columns_are_refused():
    link, _ = link_of_kind("multiclass")
    link.require_columns(3)
    of_four = Link.bare(link.loss.set_params(alpha=None), "multiclass")
    of_four = replace(of_four, trained_base_rate=link.base_rate, base_rate=link.base_rate)
    with pytest.raises(ValueError, match="base_rate has 3 numbers: give 4"):
        of_four.require_columns(4)
