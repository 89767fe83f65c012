"""Scores for imbalanced problems: skill of forecasts, alerts within a budget, costs, and calibration.

They are called as scikit-learn's metrics are, and stand beside them: average precision, recall, Brier score and the
like are in `sklearn.metrics`. `SCORERS` holds them as scorers, for cross-validation and searches; both kinds are
evaluation metrics for early stopping as well, in `gbm_focal.xgboost.Metric`, `gbm_focal.lightgbm.Metric` and
``FocalClassifier.fit(eval_metric=...)``. Give other parameters by `functools.partial`:

>>> from functools import partial
>>> metric = partial(recall_at_alert_rate, alert_rate=0.05)

Conventions of all of them. A row counts as often as its sample weight says, so that rows of weight 0 are not there,
and whole weights are repetitions. Results do not depend on the order of the rows, also where scores are tied. What
has no value, such as recall without positives, is a ValueError and never NaN; so are NaN and infinity in the input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import confusion_matrix, make_scorer, multilabel_confusion_matrix
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import type_of_target, unique_labels

from . import _inputs
from ._inputs import Array, check_rows, real, weights

__all__ = [
    "SCORERS",
    "Reliability",
    "cost_optimal_threshold",
    "expected_calibration_error",
    "expected_cost",
    "heidke_skill_score",
    "least_cost_threshold",
    "precision_at_alert_rate",
    "recall_at_alert_rate",
    "recall_at_precision",
    "reliability_curve",
    "true_skill_score",
]

Binning = Literal["uniform", "quantile", "positives"]
_Function = TypeVar("_Function", bound=Callable[..., Any])


def _greater_is_better(function: _Function) -> _Function:
    """Say the direction of a metric whose name does not."""
    function.__dict__["greater_is_better"] = True
    return function


# ---- skill of decisions ----


def true_skill_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    per_class: bool = False,
    sample_weight: ArrayLike | None = None,
) -> float | Array:
    """Return the true skill statistic (TSS), recall minus false alarm rate.

    Of a class, TP / (TP + FN) - FP / (FP + TN): 1 for perfect forecasts, 0 for any that ignore the features, -1 where
    every one is wrong. It does not change with the base rate, which is why flare forecasts are compared by it. For
    two classes it is the same for both, and scikit-learn's ``balanced_accuracy_score(adjusted=True)``; for more it
    is taken of each class versus the rest.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,), or (n, L) of 0 and 1
        True labels and decisions, not probabilities.
    labels : array-like, optional
        Classes (or numbers of columns) that count, and their order. By default all that occur.
    per_class : bool, default False
        Whether to return the TSS of each class, or column, instead of their mean.
    sample_weight : array-like of shape (n,), optional

    Returns
    -------
    float in [-1, 1]; ndarray of shape (K,) with `per_class`

    Raises
    ------
    ValueError
        If `y_pred` holds probabilities, or a class has all of the rows of `y_true` or none, so that it has no
        recall or no false alarm rate.

    References
    ----------
    Hanssen and Kuipers, "On the Relationship Between the Frequency of Rain and Various Meteorological Parameters",
    Mededelingen en Verhandelingen 81, KNMI, 1965. For flares: Bloomfield et al., "Toward Reliable Benchmarking of
    Solar Flare Forecasting Methods", The Astrophysical Journal Letters 747, 2012.
    """
    tables, names = _tables(y_true, y_pred, labels, sample_weight, joint=False)
    with_class, without = tables[:, 1].sum(axis=1), tables[:, 0].sum(axis=1)
    for name, positive, negative in zip(names, with_class, without, strict=True):
        if positive == 0 or negative == 0:
            share = "none" if positive == 0 else "all"
            raise ValueError(
                f"{share} of the rows of y_true are positive of {name}, which so has no TSS: give rows of several "
                "classes, or name those that count in labels"
            )
    skill: Array = tables[:, 1, 1] / with_class - tables[:, 0, 1] / without
    return skill if per_class else float(skill.mean())


def heidke_skill_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    per_class: bool = False,
    sample_weight: ArrayLike | None = None,
) -> float | Array:
    """Return the Heidke skill score (HSS), the share of right forecasts beyond those right by chance.

    (right - chance) / (1 - chance), where chance is the share that would be right if forecasts of the same
    frequencies were dealt at random. Two or more classes share one table of truth and forecast (the multi-category
    form, which is Cohen's kappa); the columns of a label matrix have a score each. It counts a false alarm like a
    miss, and so falls with the base rate.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,), or (n, L) of 0 and 1
        True labels and decisions, not probabilities.
    labels : array-like, optional
        Classes (or numbers of columns) that count, and their order. By default all that occur. Rows with another
        true or forecast class are left out of the multi-category form.
    per_class : bool, default False
        Whether to return the HSS of each class versus the rest, or of each column. Without it, that of all classes
        together, or the mean over the columns.
    sample_weight : array-like of shape (n,), optional

    Returns
    -------
    float in [-1, 1]; ndarray of shape (K,) with `per_class`

    Raises
    ------
    ValueError
        If `y_pred` holds probabilities, or truth and forecast are one and the same class in all rows, where right by
        chance is all there is. With another forecast a single true class gives 0.

    References
    ----------
    Heidke, "Berechnung des Erfolges und der Güte der Windstärkevorhersagen im Sturmwarnungsdienst", Geografiska
    Annaler 8, 1926. For flares: Bloomfield et al., The Astrophysical Journal Letters 747, 2012.
    """
    tables, names = _tables(y_true, y_pred, labels, sample_weight, joint=not per_class)
    skill = np.empty(len(names))
    for number, (name, table) in enumerate(zip(names, tables, strict=True)):
        if np.trace(table) > 0 and np.count_nonzero(table) == 1:
            raise ValueError(
                f"of {name} truth and forecast are one and the same in all rows, so there is no HSS: give rows of "
                "several classes"
            )
        total, right = table.sum(), np.trace(table)
        by_chance = (table.sum(axis=0) @ table.sum(axis=1)) / total
        skill[number] = (right - by_chance) / (total - by_chance)
    return skill if per_class else float(skill.mean())


def _tables(
    y_true: ArrayLike, y_pred: ArrayLike, labels: ArrayLike | None, sample_weight: ArrayLike | None, *, joint: bool
) -> tuple[Array, list[str]]:
    """Tables of truth (rows) and decision (columns), and what each is of: a class, a column, or all classes jointly."""
    truth, decided = np.asarray(y_true), np.asarray(y_pred)
    assert_all_finite(truth, input_name="y_true")
    assert_all_finite(decided, input_name="y_pred")
    if type_of_target(decided, input_name="y_pred").startswith("continuous"):
        raise ValueError(
            f"y_pred holds {float(decided[decided != np.round(decided)][0])!r}: give decisions, for instance "
            "y_score > threshold; as an evaluation metric take the scorer, SCORERS['true_skill_score'] or "
            "SCORERS['heidke_skill_score'], which asks for them"
        )
    weight = _weights(sample_weight, truth.shape[0])
    if truth.shape == decided.shape:  # else scikit-learn says what differs
        truth, decided, weight = truth[weight > 0], decided[weight > 0], weight[weight > 0]
    several = type_of_target(truth, input_name="y_true") == "multilabel-indicator"
    if labels is None:
        labels = np.arange(truth.shape[1]) if several else unique_labels(truth, decided)
    if joint and not several:
        if np.size(labels) == 1:  # of which scikit-learn warns; here it is an error, for want of a score
            return np.full((1, 1, 1), weight.sum()), ["all classes"]
        return confusion_matrix(truth, decided, labels=labels, sample_weight=weight)[np.newaxis], ["all classes"]
    tables = multilabel_confusion_matrix(truth, decided, labels=labels, sample_weight=weight)
    return tables, [f"column {name}" if several else f"class {name!r}" for name in np.asarray(labels).tolist()]


# ---- alerts: the rows that score highest ----


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
    for problem in _problems(y_true, y_score, pos_label, sample_weight):
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
    curves = [AlertCurve.of(problem) for problem in _problems(y_true, y_score, pos_label, sample_weight)]
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
    for problem in _problems(y_true, y_score, pos_label, sample_weight):
        curve = AlertCurve.of(problem)
        curve.require_positives("recall")
        found = curve.true_alerts[1:][curve.true_alerts[1:] >= wanted * (curve.true_alerts + curve.false_alerts)[1:]]
        recalls.append(np.max(found, initial=0.0) / curve.positive)
    return float(np.mean(recalls))


# ---- costs ----


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
        _require_probabilities(problem.score)
        threshold = cost_optimal_threshold(cost_false_negative=costs[0], cost_false_positive=costs[1])
    alert = problem.score >= real("threshold", threshold, "[-inf, inf]")
    missed, alarm = (np.sum(problem.weight[rows]) for rows in (problem.positive & ~alert, ~problem.positive & alert))
    return float((costs[0] * missed + costs[1] * alarm) / np.sum(problem.weight))


# ---- calibration ----


class Reliability(NamedTuple):
    """Predicted and observed probabilities in bins of similar predictions, in their order."""

    predicted: Array  # mean prediction of each bin that holds rows
    observed: Array  # share of positives
    weight: Array  # total weight, or number of rows


def reliability_curve(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    bins: int = 15,
    strategy: Binning = "uniform",
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> Reliability:
    """Compare predicted with observed probabilities, in bins of similar predictions.

    As scikit-learn's `calibration_curve`, with weights, and bins that suit rare positives. Equal predictions are
    always in one bin; bins without rows are left out.

    Parameters
    ----------
    y_true : array-like of shape (n,)
    y_score : array-like of shape (n,)
        Probabilities in [0, 1].
    bins : int >= 1, default 15
    strategy : {"uniform", "quantile", "positives"}, default "uniform"
        Bins of equal width, of as equal a weight as ties allow, or of as equal a weight of positives. Where
        positives are rare nearly all rows fall into the first bin of "uniform", and nearly all positives into the
        last of "quantile": take "positives".
    pos_label, sample_weight
        As for `recall_at_alert_rate`.

    Returns
    -------
    Reliability
        Of arrays `predicted`, `observed` and `weight`, one number a bin.

    Raises
    ------
    ValueError, TypeError
        If an input is invalid, or there are no positives to be binned by.
    """
    problem = one_problem(y_true, y_score, pos_label, sample_weight)
    number = _bins_of(problem, bins, strategy)
    weight = np.bincount(number, problem.weight)
    filled = weight > 0
    predicted, observed = (
        np.bincount(number, problem.weight * values)[filled] / weight[filled]
        for values in (problem.score, problem.positive)
    )
    return Reliability(predicted, observed, weight[filled])


def expected_calibration_error(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    bins: int = 15,
    strategy: Binning = "uniform",
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Return the expected calibration error (ECE), the mean distance of predicted from observed probabilities.

    The sum over the bins of their share of the weight times ``|mean prediction - share of positives|``. It depends on
    the bins, and even perfect predictions have some, because the shares of few rows are random: compare models on the
    same rows. Where positives are rare "uniform" puts nearly all rows into one bin, and then says little more than
    that the mean is right.

    Parameters
    ----------
    y_true : array-like of shape (n,), or (n, L) of 0 and 1
        Labels; with scores (n, K) classes 0 to K - 1.
    y_score : array-like of shape (n,), (n, L) or (n, K)
        Probabilities in [0, 1]. Of several columns the mean error is taken, which for classes is the static
        calibration error of Nixon et al.
    bins, strategy
        As for `reliability_curve`. "quantile" is the adaptive calibration error of Nixon et al.
    pos_label, sample_weight
        As for `recall_at_alert_rate`.

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    ValueError, TypeError
        If an input is invalid.

    References
    ----------
    Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015.
    Nixon et al., "Measuring Calibration in Deep Learning", CVPR workshops 2019, for several classes and equal weight.
    """
    errors = []
    for problem in _problems(y_true, y_score, pos_label, sample_weight):
        number = _bins_of(problem, bins, strategy)
        excess = np.bincount(number, problem.weight * (problem.score - problem.positive))
        errors.append(np.abs(excess).sum() / problem.weight.sum())
    return float(np.mean(errors))


# ---- inside ----


class Problem(NamedTuple):
    """One label to find, of rows with weight."""

    positive: Array  # of bool
    score: Array
    weight: Array  # > 0


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


def one_problem(y_true: ArrayLike, y_score: ArrayLike, pos_label: Any, sample_weight: ArrayLike | None) -> Problem:
    """Rows of one label to find, checked."""
    if np.ndim(y_score) != 1:
        raise ValueError(f"y_score has shape {np.shape(y_score)}: give the scores of the label to find, shape (n,)")
    (problem,) = _problems(y_true, y_score, pos_label, sample_weight)
    return problem


def _problems(y_true: ArrayLike, y_score: ArrayLike, pos_label: Any, sample_weight: ArrayLike | None) -> list[Problem]:
    """Each column of the scores with its labels; classes one versus rest."""
    score = _inputs.scores(y_score)
    y = np.asarray(y_true)
    if y.shape[:1] != score.shape[:1] or y.ndim > score.ndim or (y.ndim == 2 and y.shape != score.shape):
        raise ValueError(
            f"y_true has shape {y.shape} and y_score {score.shape}: give both one shape, (n,) or (n, L), or classes of "
            "shape (n,) with scores of shape (n, K)"
        )
    if y.shape[0] == 0:
        raise ValueError("y_true has no rows: give one or more")
    weight = _weights(sample_weight, y.shape[0])
    counts = weight > 0
    if score.ndim == 1:
        return [Problem(_is_positive(y[counts], pos_label), score[counts], weight[counts])]
    if pos_label is not None:
        raise ValueError(
            f"pos_label={pos_label!r} is for scores of shape (n,), but y_score has {score.shape}: leave it"
        )
    if y.ndim == 1 and score.shape[1] < 3:
        raise ValueError(
            f"y_score has shape {score.shape} beside labels of shape {y.shape}: of two classes give the scores of the "
            "one to find, y_score[:, 1]"
        )
    check_rows(_inputs.labels(y), None, weight, score.shape[1] if y.ndim == 1 else None)
    positive = y[:, np.newaxis] == np.arange(score.shape[1]) if y.ndim == 1 else y == 1
    return [
        Problem(positive[counts, column], score[counts, column], weight[counts]) for column in range(score.shape[1])
    ]


def _is_positive(y: Array, pos_label: Any) -> Array:
    if pos_label is not None:
        positive: Array = np.asarray(y == pos_label, dtype=bool)
        if not positive.any():
            found = ", ".join(repr(label) for label in np.unique(y).tolist()[:5])
            raise ValueError(f"pos_label={pos_label!r} is not among the labels {found}: give one that is")
        return positive
    present = set(np.unique(y).tolist())
    if not (present <= {0, 1} or present <= {-1, 1}):
        found = ", ".join(repr(label) for label in sorted(present, key=str)[:5])
        raise ValueError(
            f"y_true holds the labels {found}: give 0 and 1, or -1 and 1, or say which to find in pos_label"
        )
    return np.asarray(y == 1)


def _weights(sample_weight: ArrayLike | None, rows: int) -> Array:
    weight = weights(sample_weight, rows)
    check_rows(None, None, weight)
    return np.ones(rows) if weight is None else weight.astype(np.float64)


def checked_costs(cost_false_negative: float, cost_false_positive: float) -> tuple[float, float]:
    """Return the costs as floats > 0."""
    return (
        real("cost_false_negative", cost_false_negative, "(0, inf)"),
        real("cost_false_positive", cost_false_positive, "(0, inf)"),
    )


def _require_probabilities(score: Array) -> None:
    outside = score[(score < 0) | (score > 1)]
    if outside.size:
        raise ValueError(f"y_score holds {float(outside[0])!r}: give probabilities, in [0, 1]")


def _bins_of(problem: Problem, bins: int, strategy: Binning) -> Array:
    """Return the number of each row's bin."""
    _require_probabilities(problem.score)
    count = real("bins", bins, "[1, inf)")
    if count != int(count):
        raise ValueError(f"bins={bins!r} is no whole number: give one from 1 on")
    if strategy == "uniform":
        return np.searchsorted(np.linspace(0, 1, int(count) + 1)[1:-1], problem.score)
    if strategy not in ("quantile", "positives"):
        raise ValueError(f"strategy={strategy!r} is not known: give 'uniform', 'quantile' or 'positives'")
    # Equal scores share a bin: that of the middle of their weight among all weights in order.
    _, group = np.unique(problem.score, return_inverse=True)
    mass = np.bincount(group, problem.weight if strategy == "quantile" else problem.weight * problem.positive)
    upper = np.cumsum(mass)
    if upper[-1] == 0:
        raise ValueError("y_true holds no positives, so there are no bins of equally many: take another strategy")
    middle = (upper - mass / 2) / upper[-1]
    number: Array = np.minimum(np.floor(middle * count), count - 1).astype(np.int64)[group]
    return number


def _scorer(function: Callable[..., Any], name: str, **arguments: Any) -> Any:
    scorer = make_scorer(function, **arguments)
    scorer.__name__ = name  # under which the engines report it
    return scorer


#: Scorers by name, for ``scoring=`` of scikit-learn and ``eval_metric=``; of all of them greater is better.
SCORERS: dict[str, Any] = {
    "true_skill_score": _scorer(true_skill_score, "true_skill_score"),
    "heidke_skill_score": _scorer(heidke_skill_score, "heidke_skill_score"),
    **{
        function.__name__: _scorer(function, function.__name__, response_method="predict_proba")
        for function in (recall_at_alert_rate, precision_at_alert_rate, recall_at_precision)
    },
    "neg_expected_calibration_error": _scorer(
        expected_calibration_error,
        "neg_expected_calibration_error",
        response_method="predict_proba",
        greater_is_better=False,
    ),
}
