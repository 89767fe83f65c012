"""Alerts: the rows that score highest, as many as there is time to look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from .._inputs import Array, real
from .problem import Problem, problems

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Ranking(NamedTuple):
    """Rows from the highest score, and where in them each score ends: tied rows are alerts together."""

    order: Array
    score: Array  # in that order
    last: Array  # of bool

    @classmethod
    def of(cls, score: Array) -> Ranking:
        """Order the rows."""
        order = np.argsort(score)[::-1]
        falling = score[order]
        last = np.ones(score.shape, dtype=bool)
        np.not_equal(falling[1:], falling[:-1], out=last[:-1])
        return cls(order, falling, last)

    def thresholds(self) -> Array:
        """Each score, after inf, at which there are no alerts."""
        return np.concatenate([[np.inf], self.score[self.last]])

    def summed(self, values: Array) -> Array:
        """Sum of the rows that score at least each of the scores, after 0."""
        running = values[self.order]
        np.cumsum(running, out=running)
        return np.concatenate([[0.0], running[self.last]])


class AlertCurve(NamedTuple):
    """Weight of all alerts and of the right ones at each threshold, from the highest, inf, where there are none."""

    threshold: Array
    true_alerts: Array
    alerts: Array
    positive: float  # total weights
    total: float

    @classmethod
    def of(cls, problem: Problem) -> AlertCurve:
        """Count the rows that score at least each of the scores."""
        ranking = Ranking.of(problem.score)
        true_alerts = ranking.summed(problem.weight * problem.positive)
        alerts = ranking.summed(problem.weight)
        return cls(ranking.thresholds(), true_alerts, alerts, float(true_alerts[-1]), float(alerts[-1]))

    def require_positives(self, what: str) -> None:
        """Raise if there are no positives."""
        if self.positive == 0:
            raise ValueError(
                f"y_true holds no positives, so there is no {what}: give rows of both labels, or pos_label"
            )

    def hits(self, alert_rate: float) -> float:
        """Weight of the positives among this share of the rows."""
        return float(np.interp(alert_rate * self.total, self.alerts, self.true_alerts))


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
        curve = AlertCurve.of(problem)
        curve.require_positives("recall")
        recalls.append(curve.hits(rate) / curve.positive)
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
    curves = [AlertCurve.of(problem) for problem in problems(y_true, y_score, pos_label, sample_weight, base_rate)]
    # Rounding may put it a digit above 1.
    return float(np.mean([min(curve.hits(rate) / (rate * curve.total), 1.0) for curve in curves]))


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
    # Sums of weights such as 0.1 round: nine alerts of ten must be a precision of 0.9.
    wanted = real("precision", precision, "(0, 1]") * (1 - 1e-12)
    recalls = []
    for problem in problems(y_true, y_score, pos_label, sample_weight, base_rate):
        curve = AlertCurve.of(problem)
        curve.require_positives("recall")
        found = curve.true_alerts[curve.true_alerts >= wanted * curve.alerts]
        recalls.append(np.max(found, initial=0.0) / curve.positive)
    return float(np.mean(recalls))
