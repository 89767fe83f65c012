"""What all metrics of scores share: weights, columns, a single class, bad input."""

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scored_rows import repeated, scored_rows

from gbm_focal.metrics import (
    expected_calibration_error,
    expected_cost,
    least_cost_threshold,
    precision_at_alert_rate,
    recall_at_alert_rate,
    recall_at_precision,
    reliability_curve,
)

METRICS = [
    recall_at_alert_rate,
    precision_at_alert_rate,
    recall_at_precision,
    functools.partial(recall_at_alert_rate, alert_rate=0.4),
    functools.partial(precision_at_alert_rate, alert_rate=0.7),
    functools.partial(expected_cost, cost_false_negative=3),
    functools.partial(expected_cost, cost_false_negative=3, threshold="least"),
    functools.partial(least_cost_threshold, cost_false_negative=2),
    functools.partial(expected_cost, cost_false_negative=3, cost_true_positive=1),
    expected_calibration_error,
    functools.partial(expected_calibration_error, bins=3, strategy="quantile"),
    functools.partial(expected_calibration_error, bins=2, strategy="positives"),
]


def shown(metric):
    """The name of a metric and its settings; not its address, which differs from one process of tests to the other."""
    if isinstance(metric, functools.partial):
        return ", ".join([metric.func.__name__, *(f"{name}={value}" for name, value in metric.keywords.items())])
    return metric.__name__


@pytest.mark.parametrize("metric", METRICS, ids=shown)
@given(rows=scored_rows(), random=st.randoms())
def test_whole_weights_are_repetitions_and_order_is_nothing(metric, rows, random):
    y, score, weight = rows
    value = metric(y, score, sample_weight=weight)
    assert np.isfinite(value) or (metric.func is least_cost_threshold and value == np.inf)
    assert metric(*repeated(y, score, weight)) == pytest.approx(value, abs=1e-12)
    order = list(range(y.size))
    random.shuffle(order)
    assert metric(y[order], score[order], sample_weight=weight[order]) == pytest.approx(value, abs=1e-12)
    names = np.where(y == 1, "fraud", "fair")
    assert metric(names, score, pos_label="fraud", sample_weight=weight) == value
    assert metric(2 * y - 1, score, sample_weight=weight) == value


@pytest.mark.parametrize(
    "metric",
    [
        *METRICS,
        functools.partial(expected_cost, cost_false_negative=3, threshold=0.7),
        functools.partial(recall_at_precision, base_rate=0.3),
    ],
    ids=shown,
)
@given(rows=scored_rows())
def test_float32_scores_are_those_numbers(metric, rows):
    """They are compared as float64: the float32 next to 0.7 is less."""
    y, score, weight = rows
    score, y = score.astype(np.float32), np.append(y, 0)
    score, weight = np.append(score, np.float32(0.7)), np.append(weight, 1)
    assert metric(y, score, sample_weight=weight) == metric(y, score.astype(np.float64), sample_weight=weight)


COLUMN_METRICS = [recall_at_alert_rate, precision_at_alert_rate, recall_at_precision, expected_calibration_error]


@pytest.mark.parametrize("metric", COLUMN_METRICS)
def test_columns_have_a_metric_each(metric):
    random = np.random.default_rng(0)
    probability = random.dirichlet([3, 1, 0.3], 500)
    y = np.array([random.choice(3, p=row) for row in probability])
    weight = random.uniform(0, 1, 500)
    expected = np.mean([metric(y == k, probability[:, k], sample_weight=weight) for k in range(3)])
    assert metric(y, probability, sample_weight=weight) == pytest.approx(expected)
    indicators = (y[:, None] == np.arange(3)).astype(int)
    assert metric(indicators, probability, sample_weight=weight) == pytest.approx(expected)
    with pytest.raises(ValueError, match=r"y_score\[:, 1\]"):
        metric(y == 1, probability[:, :2])
    with pytest.raises(ValueError, match=r"y_true\[0\] is 9: give classes"):
        metric([9, 0], probability[:2])
    with pytest.raises(ValueError, match="pos_label=1 is for scores of shape"):
        metric(y, probability, pos_label=1)


@pytest.mark.parametrize(
    "metric", [m for m in METRICS if not isinstance(m, functools.partial)] + METRICS[5:8], ids=shown
)
def test_bad_scores_and_labels(metric):
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match=rf"y_score\[1\] is {bad}: give finite numbers"):
            metric([0, 1], [0.5, bad])
    with pytest.raises(ValueError, match="labels 0, 2: give 0 and 1"):
        metric([0, 2], [0.5, 0.5])
    with pytest.raises(ValueError, match=r"labels '0', '1': give 0 and 1"):
        metric(["0", "1"], [0.5, 0.5])
    with pytest.raises(ValueError, match="pos_label='x' is not among the labels 'a', 'b'"):
        metric(["a", "b"], [0.5, 0.5], pos_label="x")
    with pytest.raises(ValueError, match="no rows"):
        metric([], np.empty(0))
    with pytest.raises(ValueError, match=r"y_true has shape \(3,\)"):
        metric([0, 1, 1], [0.5, 0.5])
    with pytest.raises(ValueError, match=r"sample_weight\[0\] is nan"):
        metric([0, 1], [0.5, 0.5], sample_weight=[np.nan, 1])
    with pytest.raises(TypeError, match="y_score is an array of"):
        metric([0, 1], ["low", "high"])


def test_what_a_single_class_still_has():
    score = np.linspace(0, 1, 10)
    none, every = np.zeros(10, int), np.ones(10, int)
    for metric in (recall_at_alert_rate, recall_at_precision):
        with pytest.raises(ValueError, match="y_true holds no positives, so there is no recall"):
            metric(none, score)
    assert precision_at_alert_rate(none, score) == 0
    assert precision_at_alert_rate(every, score) == 1
    assert recall_at_alert_rate(every, score, alert_rate=0.25) == pytest.approx(0.25)
    assert recall_at_precision(every, score) == 1
    assert least_cost_threshold(none, score, cost_false_negative=2) == np.inf
    assert least_cost_threshold(every, score, cost_false_negative=2) == 0
    assert expected_calibration_error(none, score) == pytest.approx(score.mean())
    with pytest.raises(ValueError, match="no positives, so there are no bins"):
        reliability_curve(none, score, strategy="positives")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: recall_at_alert_rate([0, 1], [0, 1], alert_rate=0), "alert_rate=0 is out of range"),
        (lambda: precision_at_alert_rate([0, 1], [0, 1], alert_rate=1.5), r"alert_rate=1\.5 is out of range"),
        (lambda: recall_at_precision([0, 1], [0, 1], precision=0), "precision=0 is out of range"),
        (lambda: expected_cost([0, 1], [0, 1], cost_false_negative=0), "cost_false_negative=0 is out of range"),
        (lambda: expected_cost([0, 1], [0, 1.5], cost_false_negative=2), r"y_score holds 1\.5: give probabilities"),
        (lambda: expected_cost([[0, 1]], [[0, 1]], cost_false_negative=2), r"y_score has shape \(1, 2\)"),
        (lambda: expected_calibration_error([0, 1], [-2, 1]), r"y_score holds -2\.0: give probabilities"),
        (lambda: expected_calibration_error([0, 1], [0, 1], bins=2.5), "no whole number"),
        (lambda: expected_calibration_error([0, 1], [0, 1], strategy="kmeans"), "strategy='kmeans'"),
    ],
)
def test_bad_parameters(call, message):
    with pytest.raises(ValueError, match=message):
        call()
