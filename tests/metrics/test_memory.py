"""No metric or threshold takes more than 24 bytes a row beyond what it is given."""

import functools
import tracemalloc

import numpy as np
import pytest

from gbm_focal.metrics import (
    expected_calibration_error,
    expected_cost,
    least_cost_threshold,
    precision_at_alert_rate,
    precision_at_top,
    recall_at_alert_rate,
    recall_at_precision,
    reliability_curve,
    savings_score,
    threshold_at_alert_rate,
    threshold_at_precision,
    threshold_at_recall,
)

ROWS = 200_000
RANDOM = np.random.default_rng(0)
POSITIVE = RANDOM.random(ROWS) < 0.01
SCORE = RANDOM.beta(np.where(POSITIVE, 3.0, 1.0), 20.0)
WEIGHT = RANDOM.uniform(0.5, 2, ROWS)
COSTS = {"cost_false_negative": RANDOM.lognormal(3, 1, ROWS), "cost_false_positive": 5.0, "cost_true_positive": 5.0}
DAYS = {"groups": np.arange(ROWS) // 10_000}
CARDS = {**DAYS, "entities": RANDOM.integers(0, 10_000, ROWS)}
FAR_APART = {"groups": np.datetime64("2024-01-01") + DAYS["groups"], "entities": CARDS["entities"] * 10**12}

CURVES = {
    "recall_at_alert_rate": recall_at_alert_rate,
    "precision_at_alert_rate": precision_at_alert_rate,
    "recall_at_precision": functools.partial(recall_at_precision, precision=0.1),
    "base_rate": functools.partial(recall_at_precision, precision=0.1, base_rate=0.02),
    "threshold_at_precision": functools.partial(threshold_at_precision, precision=0.1),
    "threshold_at_recall": functools.partial(threshold_at_recall, recall=0.8),
    "threshold_at_alert_rate": functools.partial(threshold_at_alert_rate, alert_rate=0.01),
    "least_cost_threshold": functools.partial(least_cost_threshold, **COSTS),
    "expected_cost": functools.partial(expected_cost, **COSTS),
    "savings_score": functools.partial(savings_score, threshold="least", **COSTS),
    "uniform": reliability_curve,
    "quantile": functools.partial(reliability_curve, strategy="quantile"),
    "positives": functools.partial(expected_calibration_error, strategy="positives"),
}
OF_ROWS = {  # they take no weights
    "promised precision": functools.partial(threshold_at_precision, precision=0.1, confidence=0.9),
    "promised recall": functools.partial(threshold_at_recall, recall=0.8, confidence=0.9),
    "promised alert rate": functools.partial(threshold_at_alert_rate, alert_rate=0.01, confidence=0.9),
    "top": functools.partial(precision_at_top, k=100),
    "top of days": functools.partial(precision_at_top, k=100, **DAYS),
    "top cards of days": functools.partial(precision_at_top, k=100, **CARDS),
    "found cards dropped": functools.partial(precision_at_top, k=100, drop_found=True, **CARDS),
    "days and cards far apart": functools.partial(precision_at_top, k=100, **FAR_APART),
}


@pytest.mark.parametrize(
    ("function", "weights"),
    [
        pytest.param(function, weights, id=f"{name}, {'weights' if weights else 'no weights'}")
        for functions, weighted in ((CURVES, (False, True)), (OF_ROWS, (False,)))
        for name, function in functions.items()
        for weights in weighted
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_24_bytes_a_row(function, weights, dtype):
    y, score = POSITIVE.astype(np.int64), SCORE.astype(dtype)
    given = {"sample_weight": WEIGHT} if weights else {}
    tracemalloc.start()
    try:
        function(y, score, **given)
        assert tracemalloc.get_traced_memory()[1] <= 24 * ROWS
    finally:
        tracemalloc.stop()
