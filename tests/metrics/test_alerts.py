"""The metrics of alerts against their definitions."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scored_rows import SCORES, scored_rows
from sklearn.metrics import precision_recall_curve

from gbm_focal.metrics import precision_at_alert_rate, recall_at_alert_rate, recall_at_precision


def mean_hits_over_all_orders(y, score, alerts):
    """Positives among the first rows, over all orders that go from high to low scores."""
    orders = [o for o in itertools.permutations(range(len(y))) if all(np.diff(score[list(o)]) <= 0)]
    return np.mean([y[list(order[:alerts])].sum() for order in orders])


@given(rows=scored_rows(), part=st.integers(1, 6))
def test_alerts_are_the_mean_over_the_orders_of_tied_rows(rows, part):
    y, score, _ = rows
    alerts = min(part, y.size)
    hits = mean_hits_over_all_orders(y, score, alerts)
    rate = alerts / y.size
    assert recall_at_alert_rate(y, score, alert_rate=rate) == pytest.approx(hits / y.sum(), abs=1e-12)
    assert precision_at_alert_rate(y, score, alert_rate=rate) == pytest.approx(hits / alerts, abs=1e-12)
    below = mean_hits_over_all_orders(y, score, alerts - 1)
    half = (alerts - 0.5) / y.size
    assert recall_at_alert_rate(y, score, alert_rate=half) == pytest.approx((hits + below) / 2 / y.sum(), abs=1e-12)


@given(rows=scored_rows(), wanted=st.sampled_from([Fraction(1, 10), Fraction(1, 3), Fraction(1, 2), Fraction(1)]))
def test_recall_at_precision_looks_at_every_threshold(rows, wanted):
    y, score, weight = rows
    best = 0
    for threshold in SCORES:
        hits, alerts = (int(weight[rows].sum()) for rows in ((score >= threshold) & (y == 1), score >= threshold))
        if alerts and Fraction(hits, alerts) >= wanted:
            best = max(best, Fraction(hits, int(weight[y == 1].sum())))
    # A tenth of each weight changes nothing, but does not add up without rounding.
    for scale in (1, 0.1):
        found = recall_at_precision(y, score, precision=float(wanted), sample_weight=weight * scale)
        assert found == pytest.approx(float(best), abs=1e-12)
    precision, recall, _ = precision_recall_curve(y, score, sample_weight=weight)
    assert recall[precision >= float(wanted) - 1e-9].max() == pytest.approx(float(best), abs=1e-12)


def test_alerts_at_the_base_rate_of_the_population():
    random = np.random.default_rng(0)
    y = (random.random(1000) < 0.3).astype(int)
    score = random.normal(size=1000) + y
    weight = np.where(y == 1, 0.05 / y.mean(), 0.95 / (1 - y.mean()))
    for metric, keywords in (
        (precision_at_alert_rate, {"alert_rate": 0.1}),
        (recall_at_alert_rate, {"alert_rate": 0.1}),
        (recall_at_precision, {"precision": 0.4}),
    ):
        value = metric(y, score, base_rate=0.05, **keywords)
        assert value == pytest.approx(metric(y, score, sample_weight=weight, **keywords))
        assert value != pytest.approx(metric(y, score, **keywords), rel=0.05)
    with pytest.raises(ValueError, match=r"base_rate=0\.05 is for scores of shape \(n,\)"):
        precision_at_alert_rate([[0, 1]], [[0.1, 0.2]], base_rate=0.05)
