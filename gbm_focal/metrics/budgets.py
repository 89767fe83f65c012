"""Budgets: so many rows, or cards, that somebody can look at each day."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._inputs import Array, real
from .problem import one_problem, pairs, place_of

_EXACT = 2**52  # whole numbers up to it, and the sum of two, are exact as float64
_BLOCK = 2**16  # rows whose places among different values are in memory at once


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
    budget = min(budget, rows)
    group = None if groups is None else _Numbers.of("groups", groups, rows)
    entity = None if entities is None else _Numbers.of("entities", entities, rows)
    # One array for it all, which sorts in place: by group, or pair of group and entity, and of equal ones by score.
    row = pairs(np.broadcast_to(0.0, rows), problem.score)
    pair = row.real
    if group is not None:
        group.add_to(pair)
    if entity is None:
        positive = row[problem.positive]
        row.sort()
        return _among_top(row, positive, budget)[1]
    if (1 if group is None else group.size) * entity.size > _EXACT:
        raise ValueError(f"groups times entities are more than {_EXACT}: give the rows of fewer groups at once")
    pair *= entity.size
    entity.add_to(pair)
    found = np.unique(pair[problem.positive])
    row.sort()
    last = np.append(pair[1:] != pair[:-1], True)  # has the highest score of its pair
    positive = row[place_of(row, found, "right") - 1]
    if drop_found:
        return _with_found_dropped(row, last, positive, entity.size, budget)
    for of_pairs in (row, positive):
        np.floor_divide(of_pairs.real, entity.size, out=of_pairs.real)
    np.copyto(row.imag, -np.inf, where=~last)
    row.sort()
    return _among_top(row, positive, budget)[1]


def _with_found_dropped(row: Array, last: Array, positive: Array, entities: int, budget: float) -> _LookedAt:
    found = np.zeros(entities, dtype=bool)
    hits, positives, groups, begin = 0.0, 0, 0, 0
    while begin < row.size:
        first = row.real[begin] // entities * entities  # of the pairs of this group
        end = int(place_of(row, first + entities - 1, "right"))
        today = row[begin:end][last[begin:end]]
        right = positive[slice(*np.searchsorted(positive.real, (first, first + entities)))]
        today, right = (of_pairs[~found[(of_pairs.real - first).astype(np.intp)]] for of_pairs in (today, right))
        begin, groups = end, groups + 1
        if not today.size:  # all of them were found before
            continue
        entity = (right.real - first).astype(np.intp)
        today.real = right.real = 0
        today.sort()
        share, looked_at = _among_top(today, right, budget)
        found[entity[share == 1]] = True
        hits, positives = hits + looked_at.hits, positives + looked_at.positives
    return _LookedAt(hits, positives, groups)


def _among_top(row: Array, positive: Array, budget: float) -> tuple[Array, _LookedAt]:
    """Probability of each positive to be among those looked at, if tied ones are so in any order; and their sums.

    The rows, complex numbers of group and score, are in order; those of the score -inf are not there.
    """
    start = np.flatnonzero(np.append(True, row.real[1:] != row.real[:-1]))
    end, group = np.append(start[1:], row.size), row.real[start]
    at = end - int(budget)
    edge = np.where(at >= start, row.imag[np.maximum(at, 0)], -np.inf)  # the score of the last that is looked at
    from_edge, above = (np.searchsorted(row, pairs(group, edge), side) for side in ("left", "right"))
    part = (budget - (end - above)) / np.maximum(above - from_edge, 1)
    of = np.searchsorted(group, positive.real)
    share = (positive.imag > edge[of]).astype(np.float64)
    np.copyto(share, part[of], where=positive.imag == edge[of])
    return share, _LookedAt(float(np.sum(share)), share.size, start.size)


class _Numbers(NamedTuple):
    """A whole number from 0 on for each value, in their order."""

    values: Array
    different: Array | None  # the values in order, of which the places are the numbers; None: value - lowest
    lowest: int
    size: int  # above all numbers

    @classmethod
    def of(cls, name: str, values: Any, rows: int) -> _Numbers:
        """Check what was given for this many rows."""
        array = np.asarray(values)
        if array.shape != (rows,):
            raise ValueError(f"{name} has shape {array.shape}: give one for each row, shape ({rows},)")
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise ValueError(f"{name}[{int(np.argmax(np.isnan(array)))}] is nan: give one for each row")
        if array.dtype.kind in "iu":
            lowest, highest = int(np.min(array)), int(np.max(array))
            if highest - lowest < rows and max(highest, -lowest) < _EXACT:
                return cls(array, None, lowest, highest - lowest + 1)
        try:
            different = np.unique(array)
        except TypeError as error:
            raise TypeError(
                f"{name} holds values that have no order, such as {array[0]!r}: give numbers or words"
            ) from error
        return cls(array, different, 0, different.size)

    def add_to(self, numbers: Array) -> None:
        """Add the numbers of the rows to those of float64 that are there."""
        if self.different is None:
            numbers -= self.lowest
            np.add(numbers, self.values, out=numbers, dtype=np.float64)
            return
        for begin in range(0, numbers.size, _BLOCK):
            block = slice(begin, begin + _BLOCK)
            numbers[block] += np.searchsorted(self.different, self.values[block])
