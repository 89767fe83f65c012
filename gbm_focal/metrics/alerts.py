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
    """Weight of the right and false alerts at each threshold, from the highest, inf, where there are none."""

    threshold: Array
    true_alerts: Array
    false_alerts: Array
    positive: float  # total weights
    total: float

    @classmethod
    def of(cls, problem: Problem) -> AlertCurve:
        """Count the rows that score at least each of the scores."""
        threshold, group = np.unique(-problem.score, return_inverse=True)
        counts = [np.bincount(group, problem.weight * rows) for rows in (problem.positive, ~problem.positive)]
        true_alerts, false_alerts = (np.concatenate([[0.0], np.cumsum(count)]) for count in counts)
        positive = float(true_alerts[-1])
        total = positive + float(false_alerts[-1])
        return cls(np.concatenate([[np.inf], -threshold]), true_alerts, false_alerts, positive, total)

    def require_positives(self, what: str) -> None:
        """Raise if there are no positives."""
        if self.positive == 0:
            raise ValueError(
                f"y_true holds no positives, so there is no {what}: give rows of both labels, or pos_label"
            )

    def hits(self, alert_rate: float) -> float:
        """Weight of the positives among this share of the rows."""
        return float(np.interp(alert_rate * self.total, self.true_alerts + self.false_alerts, self.true_alerts))

    def cost(self, cost_false_negative: float, cost_false_positive: float) -> Array:
        """Mean cost of a row at each threshold."""
        missed = self.positive - self.true_alerts
        cost: Array = (cost_false_negative * missed + cost_false_positive * self.false_alerts) / self.total
        return cost


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
    for problem in problems(y_true, y_score, pos_label, sample_weight):
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
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Share of right alerts where the rows that score highest are alerts.

    Ties and parts of rows are handled as by `recall_at_alert_rate`. Without positives it is 0.

    Parameters
    ----------
    y_true, y_score, alert_rate, pos_label, sample_weight
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
    curves = [AlertCurve.of(problem) for problem in problems(y_true, y_score, pos_label, sample_weight)]
    # Rounding may put it a digit above 1.
    return float(np.mean([min(curve.hits(rate) / (rate * curve.total), 1.0) for curve in curves]))


@_greater_is_better
def recall_at_precision(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    precision: float = 0.5,
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Largest recall at a threshold whose alerts are right as often as wanted.

    Rows that score at least the threshold are alerts, so that tied rows are so together. Where no threshold reaches
    the precision the recall is 0: there are no alerts.

    Parameters
    ----------
    y_true, y_score, pos_label, sample_weight
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
    for problem in problems(y_true, y_score, pos_label, sample_weight):
        curve = AlertCurve.of(problem)
        curve.require_positives("recall")
        found = curve.true_alerts[1:][curve.true_alerts[1:] >= wanted * (curve.true_alerts + curve.false_alerts)[1:]]
        recalls.append(np.max(found, initial=0.0) / curve.positive)
    return float(np.mean(recalls))
