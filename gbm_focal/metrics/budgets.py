"""Budgets: so many rows, or cards, that somebody can look at each day."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._inputs import Array, real
from .problem import one_problem


def precision_at_top(
    y_true: ArrayLike,
    y_score: ArrayLike,
    k: int,
    *,
    groups: ArrayLike | None = None,
    entities: ArrayLike | None = None,
    drop_found: bool = False,
    pos_label: Any = None,
) -> float:
    """Share of positives among the k that score highest, in each group.

    With days as groups and cards as entities it is card precision@k of the Fraud Detection Handbook: each day the k
    most suspicious cards are looked at. A card is as suspicious as its highest score of that day, and positive if one
    of its rows of that day is.

    Parameters
    ----------
    y_true, y_score : array-like of shape (n,)
        Labels, and probabilities, margins or other finite scores.
    k : int >= 1
        Number that is looked at in each group. In a group that has fewer all are, and those that are missing count as
        wrong.
    groups : array-like of shape (n,), optional
        The day, or whatever has a budget of its own. By default all rows are one group.
    entities : array-like of shape (n,), optional
        Whom an alert is about, such as a card. By default each row is one of its own.
    drop_found : bool, default False
        Whether entities that were found, positive and among the k, do not count in later groups, as cards that are
        blocked; later in the order of `groups`. The handbook does so.
    pos_label : label, optional
        As for `recall_at_alert_rate`.

    Returns
    -------
    float in [0, 1]
        The mean over the groups. Where the last of the k are tied, the mean over all orders in which these could be
        looked at; none of them is dropped as found. Without positives it is 0.

    Raises
    ------
    ValueError, TypeError
        If an input is invalid.

    References
    ----------
    Le Borgne, Siblini, Lebichot and Bontempi, "Reproducible Machine Learning for Credit Card Fraud Detection -
    Practical Handbook", 2022, chapter 4, "Precision top-k metrics".
    """
    looked_at = _look_at(y_true, y_score, k, groups, entities, drop_found, pos_label)
    return looked_at.hits / (int(k) * looked_at.groups)


def recall_at_top(
    y_true: ArrayLike,
    y_score: ArrayLike,
    k: int,
    *,
    groups: ArrayLike | None = None,
    entities: ArrayLike | None = None,
    drop_found: bool = False,
    pos_label: Any = None,
) -> float:
    """Share of the positives that are among the k that score highest in their group.

    Parameters
    ----------
    y_true, y_score, k, groups, entities, drop_found, pos_label
        As for `precision_at_top`.

    Returns
    -------
    float in [0, 1]
        Of the positives of all groups together: an entity counts once for each group that it is positive in.

    Raises
    ------
    ValueError, TypeError
        If there are no positives, or an input is invalid.
    """
    looked_at = _look_at(y_true, y_score, k, groups, entities, drop_found, pos_label)
    if looked_at.positives == 0:
        raise ValueError("y_true holds no positives, so there is no recall: give rows of both labels, or pos_label")
    return looked_at.hits / looked_at.positives


for _function in (precision_at_top, recall_at_top):
    _function.__dict__["greater_is_better"] = True


class _LookedAt(NamedTuple):
    hits: float
    positives: int
    groups: int


def _look_at(
    y_true: ArrayLike,
    y_score: ArrayLike,
    k: int,
    groups: ArrayLike | None,
    entities: ArrayLike | None,
    drop_found: bool,
    pos_label: Any,
) -> _LookedAt:
    budget = real("k", k, "[1, inf)")
    if budget != int(budget):
        raise ValueError(f"k={k!r} is no whole number: give one from 1 on")
    problem = one_problem(y_true, y_score, pos_label, None)
    rows = problem.score.size
    group = np.zeros(rows, dtype=np.intp) if groups is None else _numbered("groups", groups, rows)
    entity = np.arange(rows) if entities is None else _numbered("entities", entities, rows)
    # Of each entity in each group the row with the highest score, and of equal ones one that is positive.
    order = np.lexsort((problem.positive, problem.score, entity, group))
    group, entity, score = group[order], entity[order], problem.score[order]
    last = np.append((group[1:] != group[:-1]) | (entity[1:] != entity[:-1]), True)
    first = np.append(0, np.flatnonzero(last)[:-1] + 1)
    positive = np.logical_or.reduceat(problem.positive[order], first)
    group, entity, score = group[last], entity[last], score[last]
    number = int(group[-1]) + 1
    if not drop_found:
        return _LookedAt(float(np.sum(positive * _shares(group, score, budget))), int(np.sum(positive)), number)
    return _with_found_dropped(positive, group, entity, score, budget)


def _with_found_dropped(positive: Array, group: Array, entity: Array, score: Array, budget: float) -> _LookedAt:
    found = np.zeros(int(np.max(entity)) + 1, dtype=bool)
    hits, positives = 0.0, 0
    starts = np.append(np.flatnonzero(np.append(True, group[1:] != group[:-1])), group.size)
    for begin, end in itertools.pairwise(starts):
        here = np.arange(begin, end)[~found[entity[begin:end]]]
        share = _shares(group[here], score[here], budget)
        hits += float(np.sum(positive[here] * share))
        positives += int(np.sum(positive[here]))
        found[entity[here[positive[here] & (share == 1)]]] = True
    return _LookedAt(hits, positives, starts.size - 1)


def _shares(group: Array, score: Array, budget: float) -> Array:
    """Probability of each to be among those looked at, if tied ones are so in any order."""
    if not group.size:
        return np.empty(0)
    order = np.lexsort((-score, group))
    g, s = group[order], score[order]
    new_group = np.append(True, g[1:] != g[:-1])
    new_tie = new_group | np.append(True, s[1:] != s[:-1])
    tie = np.cumsum(new_tie) - 1
    start, size = np.flatnonzero(new_tie), np.bincount(tie)
    before = start - np.flatnonzero(new_group)[(np.cumsum(new_group) - 1)[start]]
    shares = np.empty(score.shape)
    shares[order] = (np.clip(budget - before, 0, size) / size)[tie]
    return shares


def _numbered(name: str, values: Any, rows: int) -> Array:
    """Give each different value a number, in their order."""
    array = np.asarray(values)
    if array.shape != (rows,):
        raise ValueError(f"{name} has shape {array.shape}: give one for each row, shape ({rows},)")
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise ValueError(f"{name}[{int(np.argmax(np.isnan(array)))}] is nan: give one for each row")
    try:
        _, numbers = np.unique(array, return_inverse=True)
    except TypeError as error:
        raise TypeError(
            f"{name} holds values that have no order, such as {array[0]!r}: give numbers or words"
        ) from error
    return np.asarray(numbers)
