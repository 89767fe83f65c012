"""Calibration: predicted against observed probabilities, in bins of similar predictions."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._inputs import Array, real
from .problem import Problem, one_problem, problems, require_probabilities

Binning = Literal["uniform", "quantile", "positives"]


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
    for problem in problems(y_true, y_score, pos_label, sample_weight):
        number = _bins_of(problem, bins, strategy)
        excess = np.bincount(number, problem.weight * np.subtract(problem.score, problem.positive, dtype=np.float64))
        errors.append(np.abs(excess).sum() / problem.weight.sum())
    return float(np.mean(errors))


def _bins_of(problem: Problem, bins: int, strategy: Binning) -> Array:
    """Return the number of each row's bin."""
    require_probabilities(problem.score)
    count = real("bins", bins, "[1, inf)")
    if count != int(count):
        raise ValueError(f"bins={bins!r} is no whole number: give one from 1 on")
    if strategy == "uniform":
        return np.searchsorted(np.linspace(0, 1, int(count) + 1)[1:-1], problem.score)
    if strategy not in ("quantile", "positives"):
        raise ValueError(f"strategy={strategy!r} is not known: give 'uniform', 'quantile' or 'positives'")
    return np.searchsorted(_edges(problem, int(count), strategy), problem.score, "right")


def _edges(problem: Problem, bins: int, strategy: Binning) -> Array:
    """Return from which score on each bin but the first goes.

    Equal scores share a bin: that of the middle of their weight among all weights in order. So a bin begins with the
    lowest score whose middle has at most `rest` above it: the highest from which on there is more, or the next.
    """
    tail = problem.tail() if strategy == "quantile" else problem.tail_of_positives()
    if tail.total == 0:
        raise ValueError("y_true holds no positives, so there are no bins of equally many: take another strategy")
    rest = tail.total * np.arange(bins - 1, 0, -1) / bins
    edge = np.array([tail.highest_with(np.nextafter(weight, np.inf)) for weight in rest])
    middle = (tail.at_least(edge) + tail.above(edge)) / 2
    return np.where(middle <= rest, edge, np.nextafter(edge, np.inf))
