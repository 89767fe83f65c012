"""What all metrics judge: labels to find, their scores and weights, checked."""

from __future__ import annotations

import bisect
import math
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .. import _inputs
from .._inputs import Array, check_rows, real, weights


class Tail(NamedTuple):
    """How much of something the rows from a score on have.

    It takes one array, sorted in place: complex numbers sort by their real parts, here scores, so that what each row
    has, the imaginary part, goes along without an order of the rows in between.
    """

    row: Array  # ascending: scores where each row has 1; else complex, with what this row and all after it have

    @classmethod
    def of(cls, row: Array) -> Tail:
        """Put pairs of score and amount in order, in their own memory."""
        row.sort()
        from_the_top = row.imag[::-1]  # where sums are smallest, and so lose nothing to rounding
        np.cumsum(from_the_top, out=from_the_top)
        return cls(row)

    @property
    def total(self) -> float:
        """What all rows have."""
        return float(self._from(0))

    def at_least(self, threshold: ArrayLike) -> Any:
        """Return what the rows have that score at least so much."""
        return self._from(place_of(self.row, threshold, "left"))

    def above(self, threshold: ArrayLike) -> Any:
        """Return what the rows have that score more."""
        return self._from(place_of(self.row, threshold, "right"))

    def highest_with(self, amount: float) -> float:
        """Return the highest score from which on rows have so much, which is at most what all have."""
        rows = bisect.bisect_left(self.row.imag[::-1], amount) + 1 if self._weighted else math.ceil(amount)
        return float(self.row.real[max(self.row.size - rows, 0)])

    def next_above(self, score: float) -> float | None:
        """Return the lowest score above this one, if there is one."""
        place = int(place_of(self.row, score, "right"))
        return float(self.row.real[place]) if place < self.row.size else None

    @property
    def score(self) -> Array:
        """All scores, from the lowest."""
        return self.row.real

    @property
    def _weighted(self) -> bool:
        return np.iscomplexobj(self.row)

    def _from(self, place: Any) -> Any:
        if not self._weighted:
            return self.row.size - place
        amount, inside = np.zeros(np.shape(place)), np.asarray(place) < self.row.size
        amount[inside] = self.row.imag[np.asarray(place)[inside]]
        return amount


def pairs(first: ArrayLike, second: ArrayLike) -> Array:
    """Return complex numbers, which sort by `first`, and where it is equal by `second`."""
    row = np.empty(np.shape(first), dtype=np.complex128)
    row.real, row.imag = first, second
    return row


def place_of(row: Array, first: ArrayLike, side: Literal["left", "right"]) -> Any:
    """Return the place before ("left") or after all rows of these scores; of complex rows, of these real parts."""
    if not np.iscomplexobj(row):
        return np.searchsorted(row, first, side)
    return np.searchsorted(row, pairs(first, -np.inf if side == "left" else np.inf), side)


class Problem(NamedTuple):
    """One label to find, of rows with weight."""

    positive: Array  # of bool
    score: Array  # float32 or float64
    weight: Array  # > 0, as given; `weigh` knows of the classes, too
    rows: Array | slice  # which of those that were given these are
    weighted: bool
    of_classes: tuple[float, float] | None = None  # by which negatives and positives weigh more

    def require_positives(self, what: str) -> None:
        """Raise if there are no positives."""
        if not self.positive.any():
            raise ValueError(
                f"y_true holds no positives, so there is no {what}: give rows of both labels, or pos_label"
            )

    def tails(self) -> tuple[Tail, Tail]:
        """Weight of the positives, and of all rows, from each score on."""
        return self.tail_of_positives(), self.tail()

    def tail_of_positives(self) -> Tail:
        """Weight of the positives from each score on."""
        return self._replace(
            positive=self.positive[self.positive], score=self.score[self.positive], weight=self.weight[self.positive]
        ).tail()

    def tail(self) -> Tail:
        """Weight of the rows from each score on."""
        if not self.weighted:
            return Tail(np.sort(self.score))
        row = pairs(self.score, 1.0)
        self.weigh(row.imag)
        return Tail.of(row)

    def of_positives(self) -> Array:
        """Return inf, where there are no alerts, and from the highest the scores that positives have.

        At other thresholds there are more false alarms than at the next of these, and no more hits.
        """
        return np.append(np.inf, np.unique(self.score[self.positive])[::-1])

    def of_rows(self, given: Any) -> Any:
        """Numbers of these rows; one number is that of each."""
        return given if np.ndim(given) == 0 else given[self.rows]

    def at_base_rate(self, rate: float | None) -> Problem:
        """Weigh the rows so that this share of them is positive, and all of them as much as before."""
        if rate is None:
            return self
        wanted = real("base_rate", rate, "(0, 1)")
        share = float(np.sum(self.weight[self.positive]) / np.sum(self.weight))
        if share in (0, 1):
            raise ValueError(
                f"y_true holds {'no' if share == 0 else 'nothing but'} positives, so no weights bring them to "
                f"base_rate={rate!r}: give rows of both labels"
            )
        return self._replace(of_classes=((1 - wanted) / (1 - share), wanted / share), weighted=True)

    def weigh(self, amount: Array) -> None:
        """Multiply what each row has by its weight, in place."""
        amount *= self.weight
        if self.of_classes is not None:
            for factor, rows in zip(self.of_classes, (~self.positive, self.positive), strict=True):
                np.multiply(amount, factor, out=amount, where=rows)


def one_problem(
    y_true: ArrayLike,
    y_score: ArrayLike,
    pos_label: Any,
    sample_weight: ArrayLike | None,
    base_rate: float | None = None,
) -> Problem:
    """Rows of one label to find, checked."""
    if np.ndim(y_score) != 1:
        raise ValueError(f"y_score has shape {np.shape(y_score)}: give the scores of the label to find, shape (n,)")
    (problem,) = problems(y_true, y_score, pos_label, sample_weight, base_rate)
    return problem


def problems(
    y_true: ArrayLike,
    y_score: ArrayLike,
    pos_label: Any,
    sample_weight: ArrayLike | None,
    base_rate: float | None = None,
) -> list[Problem]:
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
    weight, weighted = checked_weights(sample_weight, y.shape[0]), sample_weight is not None
    counts = slice(None) if np.all(weight > 0) else weight > 0
    if score.ndim == 1:
        problem = Problem(_is_positive(y[counts], pos_label), score[counts], weight[counts], counts, weighted)
        return [problem.at_base_rate(base_rate)]
    for name, given in (("pos_label", pos_label), ("base_rate", base_rate)):
        if given is not None:
            raise ValueError(f"{name}={given!r} is for scores of shape (n,), but y_score has {score.shape}: leave it")
    if y.ndim == 1 and score.shape[1] < 3:
        raise ValueError(
            f"y_score has shape {score.shape} beside labels of shape {y.shape}: of two classes give the scores of the "
            "one to find, y_score[:, 1]"
        )
    check_rows(_inputs.labels(y), None, weight, score.shape[1] if y.ndim == 1 else None)
    positive = y[:, np.newaxis] == np.arange(score.shape[1]) if y.ndim == 1 else y == 1
    return [
        Problem(positive[counts, column], score[counts, column], weight[counts], counts, weighted)
        for column in range(score.shape[1])
    ]


def _is_positive(y: Array, pos_label: Any) -> Array:
    if pos_label is not None:
        positive: Array = np.asarray(y == pos_label, dtype=bool)
        if not positive.any():
            found = ", ".join(repr(label) for label in np.unique(y).tolist()[:5])
            raise ValueError(f"pos_label={pos_label!r} is not among the labels {found}: give one that is")
        return positive
    if y.dtype.kind in "biuf":
        positive = np.asarray(y == 1)
        if any(np.all(positive | (y == negative)) for negative in (0, -1)):  # faster than all labels in order
            return positive
    present = set(np.unique(y).tolist())
    if not (present <= {0, 1} or present <= {-1, 1}):
        found = ", ".join(repr(label) for label in sorted(present, key=str)[:5])
        raise ValueError(
            f"y_true holds the labels {found}: give 0 and 1, or -1 and 1, or say which to find in pos_label"
        )
    return np.asarray(y == 1)


def checked_weights(sample_weight: ArrayLike | None, rows: int) -> Array:
    """Return weights as float64, of 1 where none are given."""
    weight = weights(sample_weight, rows)
    check_rows(None, None, weight)
    return np.broadcast_to(1.0, rows) if weight is None else weight.astype(np.float64, copy=False)


def require_probabilities(score: Array) -> None:
    """Raise unless all scores are in [0, 1]."""
    outside = score[(score < 0) | (score > 1)]
    if outside.size:
        raise ValueError(f"y_score holds {float(outside[0])!r}: give probabilities, in [0, 1]")
