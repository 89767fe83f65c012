"""Alerts: the rows that score highest, as many as there is time to look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from .._inputs import Array, real
from .problem import Problem, problems

_Function = TypeVar("_Function", bound=Callable[..., Any])


class AlertCurve(NamedTuple):
    """Weight of all alerts and of the right ones at thresholds, from the highest, inf, where there are none."""

    threshold: Array
    true_alerts: Array
    alerts: Array
    positive: float  # total weights
    total: float

    @classmethod
    def of(cls, problem: Problem, threshold: Array) -> AlertCurve:
        """Count the rows that score at least each of these thresholds."""
        positives, rows = problem.tails()
        return cls(threshold, positives.at_least(threshold), rows.at_least(threshold), positives.total, rows.total)

    def lowest_at_precision(self, precision: float) -> int:
        """Place of the lowest threshold with this precision: 0, which is inf, where there is none."""
        # Sums of weights such as 0.1 round: nine alerts of ten must be a precision of 0.9.
        met = self.true_alerts >= precision * (1 - 1e-12) * self.alerts
        return int(np.flatnonzero(met)[-1])


def _greater_is_better(function: _Function) -> _Function:
    """Say the direction of a metric whose name does not."""
    function.__dict__["greater_is_better"] = True
    return function


@_greater_is_better
def recall_at_alert_rate(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    alert_rate: float = 0.01,
    base_rate: float | None = None,
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Share of the positives among the rows that score highest, as many as there is time to look at.

    The alerts are exactly `alert_rate` of the total weight. Where the last of them are tied, or only a part of a row
    fits, rows count in proportion: the value is the mean over all orders in which tied rows could be looked at, and
    in between linear in `alert_rate`.

    Parameters
    ----------
    y_true : array-like of shape (n,), or (n, L) of 0 and 1
        Labels; with scores (n, K) classes 0 to K - 1.
    y_score : array-like of shape (n,), (n, L) or (n, K)
        Probabilities, margins or other finite scores. Of several columns the mean of the metric is taken, each with
        alerts of its own.
    alert_rate : float in (0, 1], default 0.01
        Share of all rows that are alerts.
    base_rate : float in (0, 1), optional
        Share of the positives where the model is used, if these rows have another because negatives were dropped:
        positives and negatives weigh accordingly. For scores of shape (n,). By default that of these rows.
    pos_label : label, optional
        The label to find. By default 1, and the others must all be 0, or all be -1.
    sample_weight : array-like of shape (n,), optional

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    ValueError, TypeError
        If there are no positives, or an input is invalid.
    """
    rate = real("alert_rate", alert_rate, "(0, 1]")
    recalls = []
    for problem in problems(y_true, y_score, pos_label, sample_weight, base_rate):
        problem.require_positives("recall")
        hits, positives, _ = _hits(problem, rate)
        recalls.append(hits / positives)
    return float(np.mean(recalls))


@_greater_is_better
def precision_at_alert_rate(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    alert_rate: float = 0.01,
    base_rate: float | None = None,
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Share of right alerts where the rows that score highest are alerts.

    Ties and parts of rows are handled as by `recall_at_alert_rate`. Without positives it is 0.

    Parameters
    ----------
    y_true, y_score, alert_rate, base_rate, pos_label, sample_weight
        As for `recall_at_alert_rate`.

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    ValueError, TypeError
        If an input is invalid.
    """
    rate = real("alert_rate", alert_rate, "(0, 1]")
    precisions = []
    for problem in problems(y_true, y_score, pos_label, sample_weight, base_rate):
        hits, _, total = _hits(problem, rate)
        precisions.append(min(hits / (rate * total), 1.0))  # rounding may put it a digit above 1
    return float(np.mean(precisions))


@_greater_is_better
def recall_at_precision(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    precision: float = 0.5,
    base_rate: float | None = None,
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Largest recall at a threshold whose alerts are right as often as wanted.

    Rows that score at least the threshold are alerts, so that tied rows are so together. Where no threshold reaches
    the precision the recall is 0: there are no alerts.

    Parameters
    ----------
    y_true, y_score, base_rate, pos_label, sample_weight
        As for `recall_at_alert_rate`.
    precision : float in (0, 1], default 0.5
        Least share of right alerts.

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    ValueError, TypeError
        If there are no positives, or an input is invalid.
    """
    wanted = real("precision", precision, "(0, 1]")
    recalls = []
    for problem in problems(y_true, y_score, pos_label, sample_weight, base_rate):
        problem.require_positives("recall")
        curve = AlertCurve.of(problem, problem.of_positives())
        recalls.append(curve.true_alerts[curve.lowest_at_precision(wanted)] / curve.positive)
    return float(np.mean(recalls))


def _hits(problem: Problem, alert_rate: float) -> tuple[float, float, float]:
    """Weight of the positives among this share of the rows, of all positives, and of all rows."""
    positives, rows = problem.tails()
    wanted = alert_rate * rows.total
    edge = rows.highest_with(wanted)  # the rows that it has are alerts in part
    part = (wanted - rows.above(edge)) / (rows.at_least(edge) - rows.above(edge))
    hits = positives.above(edge) + part * (positives.at_least(edge) - positives.above(edge))
    return float(hits), positives.total, rows.total
