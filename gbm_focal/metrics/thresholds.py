"""Thresholds that meet a bound, on the rows at hand or, with a confidence, on new rows.

What a promise is. Rows are independent draws from one population. The precision, recall or alert rate that is promised
is that of the whole population at the threshold. With ``confidence=0.9`` at most one in ten of the samples that could
have been drawn gives a threshold that breaks the bound. It needs no assumption about the scores, nor that precision
grows with the threshold; it holds at the base rate of the sample, and for a model that has not seen these rows.

Precision. That the precision above t is below the bound is tested by the exact binomial test, for t in a sequence with
more and more alerts, up to the first that does not reject (fixed-sequence testing). The thresholds are order
statistics, the m + 1st highest score for numbers of alerts m that follow from n, bound and confidence alone: given t,
the M rows above it are independent draws from the population above t, so that their positives are binomial.
docs/decisions.md proves that it costs nothing that chance so decides which thresholds are tested. It would not hold for
thresholds that the scores choose in another way, say where the model's own probabilities promise most: a sample that
has more high scores than the population has more positives, too.

Recall and alert rate are monotone, so that one order statistic does, as for Wilks's tolerance limits.

References
----------
Angelopoulos, Bates, Candès, Jordan and Lei, "Learn then Test: Calibrating Predictive Algorithms to Achieve Risk
Control", 2021, arXiv 2110.01052. Wilks, "Determination of Sample Sizes for Setting Tolerance Limits", Annals of
Mathematical Statistics 1941.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import rel_entr
from scipy.stats import binom

from .._inputs import Array, real
from .alerts import AlertCurve
from .problem import Problem, one_problem

# A sequence that starts with too few alerts stops at once: at the level d, m alerts that are all right can promise the
# bound b only if b**m <= d. The first starts with twice as many, so that a few may be wrong, and has half of the risk.
# Where the highest scores are the wrong ones it stops there, and others, which start with more alerts, have the rest.
# On ten simulated problems, in units of the recall at the threshold that just meets the bound on the sample, recall was
# 0.856; with steps of 10 % 0.843, with Bonferroni's correction for 17 to 30 thresholds 0.69. More of the risk for the
# first start, 0.8, and starts four times apart are 0.870 there, but 0.16 instead of 0.22 on four problems of
# benchmarks/promises.py whose highest scores are wrong.
_ROOM = 2
_STEP = 1.02  # from one number of alerts to the next
_APART = 2  # times as many alerts in the start of the next sequence
_SHARE = 0.5  # of the risk that is left, for each sequence


def threshold_at_precision(
    y_true: ArrayLike,
    y_score: ArrayLike,
    precision: float,
    *,
    confidence: float | None = None,
    base_rate: float | None = None,
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Lowest threshold, that of most recall, whose alerts are right as often as wanted.

    Parameters
    ----------
    y_true, y_score : array-like of shape (n,)
        Labels, and probabilities, margins or other finite scores, of rows that the model was not trained on.
    precision : float in (0, 1]
        Least share of right alerts.
    confidence : float in (0, 1), optional
        With it the precision is that of the population, and the threshold fails with a probability of at most
        1 - confidence, where the rows are independent draws from it. None: it is that of these rows, and on new ones
        about as often smaller as larger.
    base_rate : float in (0, 1), optional
        Share of the positives where the model is used, if these rows have another because negatives were dropped.
        Without `confidence`.
    pos_label, sample_weight
        As for `recall_at_alert_rate`. Without `confidence`, whose tests count rows.

    Returns
    -------
    float
        Rows with score >= threshold are alerts. Without `confidence` one of the scores; with it the next number, in
        the type of the scores, above one of them, or -inf if all rows may be alerts.

    Raises
    ------
    ValueError, TypeError
        If no threshold has this precision, or the rows cannot promise it, which also says how many positives could;
        or an input is invalid.
    """
    wanted = real("precision", precision, "(0, 1]")
    problem, risk = _problem(y_true, y_score, confidence, base_rate, pos_label, sample_weight)
    problem.require_positives("precision above 0")
    if risk is not None:
        return _promised_precision(problem, wanted, risk, _type_of(y_score))
    curve = AlertCurve.of(problem, problem.of_positives())
    best = curve.lowest_at_precision(wanted)
    if best == 0:
        highest = np.max(curve.true_alerts[1:] / curve.alerts[1:])
        raise ValueError(
            f"no threshold has the precision {wanted:g} on these rows, whose highest is {highest:.3g}: give a lower one"
        )
    return float(curve.threshold[best])


def threshold_at_recall(
    y_true: ArrayLike,
    y_score: ArrayLike,
    recall: float,
    *,
    confidence: float | None = None,
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Highest threshold, that of most precision, that finds as many of the positives as wanted.

    Parameters
    ----------
    y_true, y_score, confidence, pos_label, sample_weight
        As for `threshold_at_precision`. With `confidence` the recall is that of the population.
    recall : float in (0, 1]
        Least share of the positives that are alerts.

    Returns
    -------
    float
        The score of a positive; rows with score >= threshold are alerts.

    Raises
    ------
    ValueError, TypeError
        If there are no positives, or too few to promise the recall, which also says how many could; or an input is
        invalid.
    """
    wanted = real("recall", recall, "(0, 1]")
    problem, risk = _problem(y_true, y_score, confidence, None, pos_label, sample_weight)
    problem.require_positives("recall")
    if risk is None:
        positives = problem.tail_of_positives()
        return positives.highest_with(wanted * (1 - 1e-12) * positives.total)
    scores = np.sort(problem.score[problem.positive])
    return float(scores[_order_statistic("recall", wanted, scores.size, 1 - wanted, risk) - 1])


def threshold_at_alert_rate(
    y_true: ArrayLike,
    y_score: ArrayLike,
    alert_rate: float,
    *,
    confidence: float | None = None,
    base_rate: float | None = None,
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Lowest threshold, that of most recall, with no more alerts than wanted.

    Parameters
    ----------
    y_true, y_score, confidence, base_rate, pos_label, sample_weight
        As for `threshold_at_precision`. With `confidence` the alert rate is that of the population. The labels matter
        for `base_rate` alone.
    alert_rate : float in (0, 1]
        Largest share of all rows that are alerts.

    Returns
    -------
    float
        Rows with score >= threshold are alerts. Without `confidence` one of the scores; with it the next number, in the
        type of the scores, above one of them.

    Raises
    ------
    ValueError, TypeError
        If more rows than that are tied at the highest score, or there are too few rows to promise the rate; or an
        input is invalid.
    """
    wanted = real("alert_rate", alert_rate, "(0, 1]")
    problem, risk = _problem(y_true, y_score, confidence, base_rate, pos_label, sample_weight)
    if risk is not None:
        place = _order_statistic("alert_rate", wanted, problem.score.size, wanted, risk)
        at = problem.score.size - place
        return _next_above(np.partition(problem.score, at)[at], _type_of(y_score))
    rows = problem.tail()
    limit = wanted * (1 + 1e-12) * rows.total
    edge = rows.highest_with(limit)
    if rows.at_least(edge) <= limit:
        return edge
    above = rows.next_above(edge)
    if above is None:
        raise ValueError(
            f"{rows.at_least(edge) / rows.total:.3g} of the rows are tied at the highest score, more than "
            f"alert_rate={alert_rate!r}: give a larger one, or scores with fewer ties"
        )
    return above


# ---- promises ----


def _problem(
    y_true: ArrayLike,
    y_score: ArrayLike,
    confidence: float | None,
    base_rate: float | None,
    pos_label: Any,
    sample_weight: ArrayLike | None,
) -> tuple[Problem, float | None]:
    """Rows, and the risk that a promise about them may take, if one is asked for."""
    risk = None if confidence is None else 1 - real("confidence", confidence, "(0, 1)")
    for name, given in (("sample_weight", sample_weight), ("base_rate", base_rate)):
        if risk is not None and given is not None:
            raise ValueError(
                f"{name} beside confidence={confidence!r}: a promise rests on tests that count rows, so leave one out"
            )
    return one_problem(y_true, y_score, pos_label, sample_weight, base_rate), risk


def _promised_precision(problem: Problem, bound: float, risk: float, kind: np.dtype[Any]) -> float:
    number = problem.score.size
    alerts = _numbers_of_alerts(min(_ROOM * _least("precision", bound, bound, risk), number), number)
    positives, rows = problem.tails()
    edges = np.append(rows.score[number - 1 - alerts[:-1]], -np.inf)  # last, every row is an alert
    p_value = binom.sf(positives.above(edges) - 1, rows.above(edges), bound)
    lowest, start, left = -1, alerts[0], risk
    while start <= number:
        first = int(np.searchsorted(alerts, start))
        failed = np.flatnonzero(p_value[first:] > _SHARE * left)
        passed = int(failed[0]) if failed.size else p_value.size - first
        lowest = max(lowest, first + passed - 1) if passed else lowest
        start, left = _APART * start, (1 - _SHARE) * left
    if lowest < 0:
        raise ValueError(_refusal(problem, bound, risk))
    return _next_above(edges[lowest], kind)


def _numbers_of_alerts(first: int, last: int) -> Array:
    numbers = [first]
    while numbers[-1] < last:
        numbers.append(min(max(numbers[-1] + 1, math.ceil(_STEP * numbers[-1])), last))
    return np.array(numbers)


def _refusal(problem: Problem, bound: float, risk: float) -> str:
    curve = AlertCurve.of(problem, problem.of_positives()[1:])
    precision = curve.true_alerts / curve.alerts
    what = (
        f"these {problem.score.size} rows, of which {curve.positive:.0f} are positive, cannot promise the precision "
        f"{bound:g} with confidence {1 - risk:g}"
    )
    if not np.any(precision > bound):
        return f"{what}: their own is {np.max(precision):.3g} at most; give a lower one"
    # Chernoff's bound: this many times the rows, with the same precision, would reject, and at one threshold only.
    shrunk = (curve.true_alerts + bound) / (curve.alerts + 1)  # the best of many thresholds is one of luck
    information = np.where(precision > bound, rel_entr(shrunk, bound) + rel_entr(1 - shrunk, 1 - bound), 0)
    times = -math.log(_SHARE * risk) / np.max(curve.alerts * information)
    needed = math.ceil(curve.positive * max(times, 2))
    return (
        f"{what}: about {needed} positives would, if the scores are as good on them; else give a lower precision or "
        "confidence"
    )


def _order_statistic(name: str, bound: float, number: int, share: float, risk: float) -> int:
    """Return the largest k for which the kth of so many draws has at most this share before it, but for the risk."""
    k = int(binom.ppf(risk, number, share))
    while k < number and binom.cdf(k, number, share) <= risk:
        k += 1
    if k == 0:
        needed = _least(name, bound, 1 - share, risk)
        unit = "positives" if name == "recall" else "rows"
        raise ValueError(
            f"{number} {unit} cannot promise {name}={bound:g} with confidence {1 - risk:g}: it takes {needed}; give so "
            f"many, or {'a lower' if name == 'recall' else 'a larger'} {name}, or a lower confidence"
        )
    return k


def _least(name: str, bound: float, chance: float, risk: float) -> int:
    """How often something must happen whose chance each time is this, so that it happens always by the risk only."""
    if chance == 1:
        raise ValueError(f"{name}={bound:g} cannot be promised by any number of rows: give one below 1")
    return max(math.ceil(math.log(risk) / math.log(chance)), 1) if chance > 0 else 1


def _type_of(y_score: ArrayLike) -> np.dtype[Any]:
    given = np.asarray(y_score).dtype
    return given if given.kind == "f" else np.dtype(np.float64)


def _next_above(score: float, kind: np.dtype[Any]) -> float:
    """Return the next number of this type, so that rows of this score are no alerts."""
    return float(score) if np.isneginf(score) else float(np.nextafter(kind.type(score), kind.type(np.inf)))
