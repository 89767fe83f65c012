"""Costs of missed positives and false alarms, and the thresholds at which they are least."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from .._inputs import real
from .alerts import AlertCurve
from .problem import one_problem, require_probabilities


def checked_costs(cost_false_negative: float, cost_false_positive: float) -> tuple[float, float]:
    """Return the costs as floats > 0."""
    return (
        real("cost_false_negative", cost_false_negative, "(0, inf)"),
        real("cost_false_positive", cost_false_positive, "(0, inf)"),
    )


def cost_optimal_threshold(*, cost_false_negative: float, cost_false_positive: float = 1.0) -> float:
    """Probability from which an alert costs less than none.

    cost_false_positive / (cost_false_positive + cost_false_negative): where the probabilities are right, no other
    threshold costs less, whatever the data. `least_cost_threshold` finds one on data.

    Parameters
    ----------
    cost_false_negative, cost_false_positive : float > 0
        Costs of a missed positive and of a false alarm, over those of right decisions.

    Returns
    -------
    float in (0, 1)

    References
    ----------
    Elkan, "The Foundations of Cost-Sensitive Learning", IJCAI 2001, equation 2.
    """
    missed, alarm = checked_costs(cost_false_negative, cost_false_positive)
    return alarm / (alarm + missed)


def least_cost_threshold(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    cost_false_negative: float,
    cost_false_positive: float = 1.0,
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Threshold of the scores at which the cost on these rows is least.

    Choose it on rows that are neither trained on nor judged by: scikit-learn's `TunedThresholdClassifierCV` does so
    by cross-validation.

    Parameters
    ----------
    y_true, y_score : array-like of shape (n,)
    cost_false_negative, cost_false_positive : float > 0
    pos_label, sample_weight
        As for `recall_at_alert_rate`.

    Returns
    -------
    float
        One of the scores, from which on (score >= threshold) rows are alerts; ``inf`` where no alert at all costs
        least. Of several that cost the same the one with the fewest alerts.

    Raises
    ------
    ValueError, TypeError
        If an input is invalid.
    """
    costs = checked_costs(cost_false_negative, cost_false_positive)
    curve = AlertCurve.of(one_problem(y_true, y_score, pos_label, sample_weight))
    return float(curve.threshold[np.argmin(curve.cost(*costs))])


def expected_cost(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    cost_false_negative: float,
    cost_false_positive: float = 1.0,
    threshold: float | Literal["least"] | None = None,
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Mean cost of a row where those that score at least a threshold are alerts.

    At the default threshold it is the cost of deciding by the probabilities as they are, and so judges both their
    order and their calibration, where it matters. As an evaluation metric or scorer it needs the costs:
    ``functools.partial(expected_cost, cost_false_negative=20)``.

    Parameters
    ----------
    y_true : array-like of shape (n,)
    y_score : array-like of shape (n,)
        Probabilities in [0, 1] for the default threshold, else any finite scores.
    cost_false_negative, cost_false_positive : float > 0
        Costs of a missed positive and of a false alarm, over those of right decisions.
    threshold : float, "least" or None, default None
        None: `cost_optimal_threshold`. "least": `least_cost_threshold` of these rows, which is optimistic.
    pos_label, sample_weight
        As for `recall_at_alert_rate`.

    Returns
    -------
    float >= 0
        In units of the costs.

    Raises
    ------
    ValueError, TypeError
        If an input is invalid.

    References
    ----------
    Elkan, "The Foundations of Cost-Sensitive Learning", IJCAI 2001.
    """
    costs = checked_costs(cost_false_negative, cost_false_positive)
    problem = one_problem(y_true, y_score, pos_label, sample_weight)
    if threshold == "least":
        return float(np.min(AlertCurve.of(problem).cost(*costs)))
    if threshold is None:
        require_probabilities(problem.score)
        threshold = cost_optimal_threshold(cost_false_negative=costs[0], cost_false_positive=costs[1])
    alert = problem.score >= real("threshold", threshold, "[-inf, inf]")
    missed, alarm = (np.sum(problem.weight[rows]) for rows in (problem.positive & ~alert, ~problem.positive & alert))
    return float((costs[0] * missed + costs[1] * alarm) / np.sum(problem.weight))
