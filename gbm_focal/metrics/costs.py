"""Costs of missed positives, false alarms and reviews, of each row, and the thresholds at which they are least."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._inputs import Array, real, real_of_rows
from .problem import Problem, Tail, one_problem, pairs, require_probabilities


class Costs(NamedTuple):
    """What decisions cost, each a number or one for each row; a negative that is let pass costs nothing."""

    false_negative: float | Array
    false_positive: float | Array
    true_positive: float | Array

    @classmethod
    def checked(cls, false_negative: Any, false_positive: Any, true_positive: Any, rows: int) -> Costs:
        """Check what was given for this many rows."""
        positive, from_0 = "(0, inf)", "[0, inf)"  # an amount may be 0
        return cls(
            real_of_rows("cost_false_negative", false_negative, rows, positive, from_0),
            real_of_rows("cost_false_positive", false_positive, rows, positive, positive),
            real_of_rows("cost_true_positive", true_positive, rows, from_0, from_0),
        )

    def of(self, problem: Problem) -> Costs:
        """Return those of the rows that count."""
        return Costs(*map(problem.of_rows, self))

    def threshold(self) -> Array:
        """Probability from which an alert costs at most what none does; inf where a hit costs more than a miss."""
        saved: Array = np.empty(np.broadcast_shapes(*map(np.shape, self)))
        np.subtract(self.false_negative, self.true_positive, out=saved)
        never = saved < 0
        np.maximum(saved, 0, out=saved)  # in place from here on: it may be as long as the data
        saved += self.false_positive
        np.divide(self.false_positive, saved, out=saved)
        saved[never] = np.inf
        return saved

    def total(self, problem: Problem, alert: Array) -> float:
        """Return what all rows cost under these decisions."""
        cost = np.zeros(problem.score.shape)
        np.copyto(cost, self.false_positive, where=alert)
        np.copyto(cost, self.true_positive, where=problem.positive)
        np.copyto(cost, self.false_negative, where=problem.positive & ~alert)
        problem.weigh(cost)
        return float(np.sum(cost))

    def mean(self, problem: Problem, alert: Array) -> float:
        """Mean cost of a row under these decisions."""
        return self.total(problem, alert) / float(np.sum(problem.weight))

    def curve(self, problem: Problem, threshold: Array) -> Array:
        """Mean cost of a row where those that score at least each of these thresholds are alerts."""
        row = pairs(problem.score, self.false_positive)
        self._alerts_beside_none(problem, row.imag)
        cost = Tail.of(row).at_least(threshold)
        del row  # before the next as long
        cost += self.total(problem, np.asarray(False))
        mean: Array = np.maximum(cost / np.sum(problem.weight), 0.0)  # rounding may leave a perfect order below 0
        return mean

    def _alerts_beside_none(self, problem: Problem, more: Array) -> None:
        """Put into `more`, which is that of negatives, what an alert for each row costs more than none."""
        np.copyto(more, self.true_positive, where=problem.positive)
        np.subtract(more, self.false_negative, out=more, where=problem.positive)
        problem.weigh(more)

    def least(self, problem: Problem) -> tuple[float, float]:
        """Return the threshold at which the mean cost is least, of several the highest, and that cost."""
        threshold = problem.of_positives()
        cost = self.curve(problem, threshold)
        best = np.argmax(cost <= np.min(cost) + 1e-12 * np.max(cost))  # sums that differ by rounding are equal
        return float(threshold[best]), float(cost[best])


def cost_optimal_threshold(
    *,
    cost_false_negative: float | ArrayLike,
    cost_false_positive: float | ArrayLike = 1.0,
    cost_true_positive: float | ArrayLike = 0.0,
) -> Any:
    """Probability from which an alert costs no more than none.

    At the probability p an alert costs p cost_true_positive + (1 - p) cost_false_positive, and none
    p cost_false_negative, so that it pays from

        cost_false_positive / (cost_false_positive + cost_false_negative - cost_true_positive)

    on. Where the probabilities are right, no other decisions cost less, whatever the data. With costs of each row, such
    as the amount of a transaction, each has its own threshold: ``probability >= cost_optimal_threshold(...)``.
    `least_cost_threshold` finds one for all on data.

    Parameters
    ----------
    cost_false_negative : float > 0, or array-like of shape (n,) >= 0
        Cost of a missed positive.
    cost_false_positive : float > 0, or array-like of shape (n,) > 0, default 1.0
        Cost of a false alarm.
    cost_true_positive : float >= 0, or array-like of shape (n,) >= 0, default 0.0
        Cost of an alert that is right: a review costs money then, too.

    Returns
    -------
    float in (0, 1], or ndarray of shape (n,)
        ``inf`` where a right alert costs more than a missed positive, so that none ever pays.

    Raises
    ------
    ValueError, TypeError
        If a cost is invalid.

    References
    ----------
    Elkan, "The Foundations of Cost-Sensitive Learning", IJCAI 2001, equation 2.
    """
    given = (cost_false_negative, cost_false_positive, cost_true_positive)
    rows = next((len(np.asarray(cost)) for cost in given if np.ndim(cost)), 0)
    threshold = Costs.checked(*given, rows).threshold()
    return threshold if threshold.ndim else float(threshold)


def least_cost_threshold(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    cost_false_negative: float | ArrayLike,
    cost_false_positive: float | ArrayLike = 1.0,
    cost_true_positive: float | ArrayLike = 0.0,
    base_rate: float | None = None,
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Threshold of the scores, one for all rows, at which the cost on these rows is least.

    Choose it on rows that are neither trained on nor judged by: scikit-learn's `TunedThresholdClassifierCV` does so
    by cross-validation.

    Parameters
    ----------
    y_true, y_score : array-like of shape (n,)
    cost_false_negative, cost_false_positive, cost_true_positive
        As for `cost_optimal_threshold`.
    base_rate, pos_label, sample_weight
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
    problem = one_problem(y_true, y_score, pos_label, sample_weight, base_rate)
    costs = Costs.checked(cost_false_negative, cost_false_positive, cost_true_positive, np.shape(y_true)[0])
    return costs.of(problem).least(problem)[0]


def expected_cost(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    cost_false_negative: float | ArrayLike,
    cost_false_positive: float | ArrayLike = 1.0,
    cost_true_positive: float | ArrayLike = 0.0,
    threshold: float | Literal["least"] | None = None,
    base_rate: float | None = None,
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Mean cost of a row where those that score at least a threshold are alerts.

    At the default threshold it is the cost of deciding by the probabilities as they are, and so judges both their
    order and their calibration, where it matters. As an evaluation metric or scorer it needs the costs:
    ``functools.partial(expected_cost, cost_false_negative=20)``. Costs of each row go through scikit-learn's metadata
    routing, ``make_scorer(expected_cost, greater_is_better=False, response_method="predict_proba")
    .set_score_request(cost_false_negative=True)``.

    Parameters
    ----------
    y_true : array-like of shape (n,)
    y_score : array-like of shape (n,)
        Probabilities in [0, 1] for the default threshold, else any finite scores.
    cost_false_negative, cost_false_positive, cost_true_positive
        As for `cost_optimal_threshold`.
    threshold : float, "least" or None, default None
        None: `cost_optimal_threshold`, with costs of each row one for each. "least": `least_cost_threshold` of these
        rows, which is optimistic.
    base_rate : float in (0, 1), optional
        Share of the positives where the model is used, if these rows have another because negatives were dropped:
        positives and negatives weigh accordingly. Probabilities must be of that population, as those of a
        `FocalClassifier` with this `base_rate` or of `gbm_focal.base_rates.adapt` are.
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
    problem = one_problem(y_true, y_score, pos_label, sample_weight, base_rate)
    costs = Costs.checked(cost_false_negative, cost_false_positive, cost_true_positive, np.shape(y_true)[0])
    return _cost(problem, costs.of(problem), threshold)


def savings_score(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    cost_false_negative: float | ArrayLike,
    cost_false_positive: float | ArrayLike = 1.0,
    cost_true_positive: float | ArrayLike = 0.0,
    threshold: float | Literal["least"] | None = None,
    base_rate: float | None = None,
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Share of the cost that the model saves, of what it costs to alert nobody or everybody, whichever is less.

    1 - `expected_cost` / (the smaller of the costs without alerts and with an alert for each row). 1 costs nothing, 0
    is no better than no model, and what costs more than that is below 0.

    Parameters
    ----------
    y_true, y_score, cost_false_negative, cost_false_positive, cost_true_positive, threshold, base_rate
        As for `expected_cost`.
    pos_label, sample_weight
        As for `recall_at_alert_rate`.

    Returns
    -------
    float <= 1

    Raises
    ------
    ValueError, TypeError
        If an input is invalid, or alerting nobody or everybody costs nothing, so that there is nothing to save.

    References
    ----------
    Correa Bahnsen, Aouada and Ottersten, "Example-dependent cost-sensitive decision trees", Expert Systems with
    Applications 42, 2015.
    """
    problem = one_problem(y_true, y_score, pos_label, sample_weight, base_rate)
    costs = Costs.checked(cost_false_negative, cost_false_positive, cost_true_positive, np.shape(y_true)[0])
    costs = costs.of(problem)
    nobody, everybody = (costs.mean(problem, np.asarray(alert)) for alert in (False, True))
    if min(nobody, everybody) == 0:
        raise ValueError(
            f"alerting {'nobody' if nobody == 0 else 'everybody'} costs nothing on these rows, so there is nothing to "
            "save: give rows of both labels, with costs above 0"
        )
    return 1 - _cost(problem, costs, threshold) / min(nobody, everybody)


def _cost(problem: Problem, costs: Costs, threshold: float | Literal["least"] | None) -> float:
    if isinstance(threshold, str) and threshold == "least":
        return costs.least(problem)[1]
    if threshold is None:
        require_probabilities(problem.score)
        return costs.mean(problem, problem.score >= costs.threshold())
    at_least = np.float64(real("threshold", threshold, "[-inf, inf]"))  # scores of float32 would round a float
    return costs.mean(problem, problem.score >= at_least)
