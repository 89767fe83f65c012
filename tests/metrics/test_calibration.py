"""The calibration error and the reliability curve against their definitions."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scored_rows import repeated, scored_rows
from sklearn.calibration import calibration_curve

from gbm_focal.metrics import expected_calibration_error, reliability_curve


@given(rows=scored_rows(positives=False), bins=st.integers(1, 7))
def test_calibration_error_is_summed_over_the_bins(rows, bins):
    y, score, weight = rows
    edges = np.linspace(0, 1, bins + 1)
    error = 0.0
    for low, high in itertools.pairwise(edges):
        inside = (score > low) & (score <= high) | ((low == 0) & (score == 0))
        error += abs(np.sum(weight[inside] * (y - score)[inside])) / weight.sum()
    found = expected_calibration_error(y, score, bins=bins, sample_weight=weight)
    assert found == pytest.approx(error, abs=1e-12)
    curve = reliability_curve(y, score, bins=bins, sample_weight=weight)
    assert np.sum(curve.weight * np.abs(curve.predicted - curve.observed)) / weight.sum() == pytest.approx(error)
    observed, predicted = calibration_curve(*repeated(y, score, weight), n_bins=bins)
    np.testing.assert_allclose(curve.predicted, predicted)
    np.testing.assert_allclose(curve.observed, observed)


def test_bins_of_equal_weight_and_of_equally_many_positives():
    random = np.random.default_rng(0)
    eta = random.beta(0.5, 30, 20_000)
    y = random.random(eta.size) < eta
    weight = random.uniform(0, 2, eta.size)
    equal = reliability_curve(y, eta, bins=10, strategy="quantile", sample_weight=weight)
    np.testing.assert_allclose(equal.weight, weight.sum() / 10, rtol=0.01)
    curve = reliability_curve(y, eta, bins=10, strategy="positives", sample_weight=weight)
    np.testing.assert_allclose(curve.weight * curve.observed, (weight * y).sum() / 10, rtol=0.1)
    np.testing.assert_allclose(curve.predicted, curve.observed, rtol=0.6)  # there are 32 positives to a bin
    assert np.all(np.diff(curve.predicted) > 0)
    for strategy in ("uniform", "quantile", "positives"):
        honest, wrong = (
            expected_calibration_error(y, p, strategy=strategy, sample_weight=weight) for p in (eta, np.sqrt(eta))
        )
        assert wrong > 10 * honest
    # A constant prediction is one bin, whatever the strategy.
    for strategy in ("uniform", "quantile", "positives"):
        one = reliability_curve(y, np.full(y.size, 0.02), strategy=strategy)
        np.testing.assert_allclose(np.ravel(one), [0.02, y.mean(), y.size])
