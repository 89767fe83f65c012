"""Costs and thresholds against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scored_rows import scored_rows

from gbm_focal.metrics import cost_optimal_threshold, expected_cost, least_cost_threshold


@given(rows=scored_rows(positives=False), missed=st.sampled_from([1, 2, 20, 0.5]), alarm=st.sampled_from([1, 3]))
def test_costs_are_counted(rows, missed, alarm):
    y, score, weight = rows
    costs = {"cost_false_negative": missed, "cost_false_positive": alarm}

    def cost_at(threshold):
        wrong = [(missed if label else alarm) * (label != (s >= threshold)) for label, s in zip(y, score, strict=True)]
        return np.average(wrong, weights=weight)

    threshold = cost_optimal_threshold(**costs)
    assert threshold * missed == pytest.approx((1 - threshold) * alarm)
    assert expected_cost(y, score, sample_weight=weight, **costs) == pytest.approx(cost_at(threshold))
    assert expected_cost(y, score, sample_weight=weight, threshold=0.55, **costs) == pytest.approx(cost_at(0.55))
    candidates = [*sorted(set(score[weight > 0])), np.inf]
    least = min(map(cost_at, candidates))
    assert expected_cost(y, score, sample_weight=weight, threshold="least", **costs) == pytest.approx(least)
    fewest_alerts = max(t for t in candidates if cost_at(t) == pytest.approx(least))
    found = least_cost_threshold(y, score, sample_weight=weight, **costs)
    assert cost_at(found) == pytest.approx(least)
    assert found == fewest_alerts or missed == 0.5  # whose costs tie only up to rounding


def test_no_threshold_beats_that_of_theory_where_the_probabilities_are_true():
    random = np.random.default_rng(0)
    eta = random.beta(0.3, 3, 200_000)
    y = random.random(eta.size) < eta
    for cost in (3, 20):
        theory = cost_optimal_threshold(cost_false_negative=cost)
        assert theory == 1 / (1 + cost)
        least = expected_cost(y, eta, cost_false_negative=cost, threshold="least")
        assert least <= expected_cost(y, eta, cost_false_negative=cost) < least * 1.005
        # Distorted probabilities keep their order, and so the least cost, but not the cost of deciding by them.
        assert expected_cost(y, eta**2, cost_false_negative=cost, threshold="least") == least
        assert expected_cost(y, eta**2, cost_false_negative=cost) > least * 1.1


def test_margins_have_a_threshold_of_their_own():
    y, margin = [0, 0, 1, 1], [-3.0, -1.0, -2.0, 4.0]
    assert least_cost_threshold(y, margin, cost_false_negative=5) == -2
    assert expected_cost(y, margin, cost_false_negative=5, threshold=-2) == 0.25
    assert expected_cost(y, margin, cost_false_negative=5, threshold="least") == 0.25
