"""Class totals of a training set, what they determine of a loss, and the margins whose posterior is their base rate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq, root
from scipy.special import logit

from .._inputs import Array, check_rows, labels, on_host, real, weights

Kind = Literal["binary", "multilabel", "multiclass"]
KINDS: tuple[Kind, ...] = ("binary", "multilabel", "multiclass")

_MOST_CLASSES = 2**24  # which float32, the engines' type of labels, can number
_LARGEST_MARGIN = 1e4  # intercepts are sought within these margins


@dataclass(frozen=True, eq=False)
class ClassTotals:
    """Total weight of the labels 1 and 0 in each column: all that alpha, intercept and scale depend on.

    Of K classes each is a column, and 0 stands for all others. The totals add up, so those of a distributed
    training set are the sums of its parts'.
    """

    positive: Array  # shape (L,) or (K,)
    negative: Array
    kind: Kind

    @classmethod
    def of(
        cls, y_true: ArrayLike, sample_weight: ArrayLike | None = None, *, classes: int | None = None
    ) -> ClassTotals:
        """Count labels of shape (n,) or (n, L), each with its sample weight.

        Labels (n,) are those of two classes if none is above 1, unless the number of classes is given.
        """
        y = labels(on_host(y_true))
        weight = weights(on_host(sample_weight), y.shape[0])
        largest = float(np.max(y)) if y.ndim == 1 and y.size else 0.0
        if classes is None and largest > 1:  # a NaN is found below
            classes = int(largest) + 1 if largest < _MOST_CLASSES else 2
        check_rows(y, None, weight, classes)
        if classes is not None and y.ndim == 1:
            counts = np.bincount(y.astype(np.int64), weight, minlength=classes).astype(np.float64)
            return cls(counts, counts.sum() - counts, "multiclass")
        rows = y if y.ndim == 2 else y[:, np.newaxis]
        if weight is None:
            positive = rows.sum(axis=0, dtype=np.float64)
            negative = rows.shape[0] - positive
        else:
            beside = weight[:, np.newaxis]
            positive, negative = (
                np.sum(np.broadcast_to(beside, rows.shape), axis=0, dtype=np.float64, where=rows == label)
                for label in (1, 0)
            )
        return cls(positive, negative, "multilabel" if y.ndim == 2 else "binary")

    @classmethod
    def of_part(
        cls, y_true: ArrayLike, sample_weight: ArrayLike | None = None, *, classes: int | None = None
    ) -> ClassTotals:
        """Count one part of the labels, of which all weights may be 0."""
        if sample_weight is None or np.size(sample_weight) == 0 or np.any(sample_weight):
            return cls.of(y_true, sample_weight, classes=classes)
        unweighted = cls.of(y_true, classes=classes)
        return cls(unweighted.positive * 0, unweighted.negative * 0, unweighted.kind)

    def key(self) -> tuple[str, bytes, bytes]:
        """Return what tells these totals from others."""
        return self.kind, self.positive.tobytes(), self.negative.tobytes()

    def require_all_classes(self) -> None:
        """Raise if a class has no weight."""
        if self.kind == "multiclass" and np.count_nonzero(self.positive) > 1:
            missing = np.flatnonzero(self.positive == 0)
            if missing.size:
                raise ValueError(
                    f"y_true holds no weight on class {missing[0]} of the {self.positive.size} classes: base rate and "
                    "class weights need all of them; number the classes without gaps"
                )
            return
        for column in np.flatnonzero((self.positive == 0) | (self.negative == 0)):
            where = f" in column {column}" if self.kind == "multilabel" else ""
            if self.positive[column] == self.negative[column]:
                raise ValueError(f"y_true{where} has no rows: base rate and class weights need both labels, 0 and 1")
            label = 0 if self.positive[column] == 0 else 1
            if self.kind == "multiclass":
                label = int(np.argmax(self.positive))
            raise ValueError(
                f"y_true holds a single class{where}: all its weight is on label {label}; base rate and class weights "
                "need more than one"
            )

    def base_rates(self) -> Array:
        """Share of the label 1 in each column, or of each class."""
        self.require_all_classes()
        rates: Array = self.positive / (self.positive + self.negative)
        return rates

    def in_shape_of_labels(self, per_column: Array) -> float | Array:
        """Return a number for two classes, else the array."""
        return float(per_column[0]) if self.kind == "binary" else per_column

    def alpha(self, word: str, beta: float, *, softmax: bool) -> float | tuple[float, ...]:
        """Return what a word for alpha stands for on these totals; see `Loss.resolve`."""
        if word not in ("balanced", "effective"):
            raise ValueError(f"alpha={word!r} is not known: give None, a number in (0, 1), 'balanced' or 'effective'")
        self.require_all_classes()
        positive, negative = self.positive, self.negative
        if word == "effective":
            log_beta = np.log(real("beta", beta, "(0, 1)"))
            positive, negative = -np.expm1(positive * log_beta), -np.expm1(negative * log_beta)
        ratio = 1 / positive / np.sum(1 / positive) if softmax else negative / (positive + negative)
        shaped = self.in_shape_of_labels(ratio)
        return shaped if isinstance(shaped, float) else tuple(float(number) for number in shaped)


def margin_of_posterior(posterior: Callable[[float], float], probability: float, name: str) -> float:
    """Margin at which an increasing posterior is a probability; `name` says, in errors, whose posterior."""

    def excess(z: float) -> float:
        return posterior(z) / probability - 1

    low = high = float(np.clip(logit(probability), -_LARGEST_MARGIN, _LARGEST_MARGIN))
    step = 1.0
    while excess(low) > 0 and low > -_LARGEST_MARGIN:
        low, step = low - step, 2 * step
    step = 1.0
    while excess(high) < 0 and high < _LARGEST_MARGIN:
        high, step = high + step, 2 * step
    if excess(low) > 0 or excess(high) < 0:
        raise ValueError(
            f"{name} has no finite margin whose posterior is the base rate {probability!r}: within margins of "
            f"{_LARGEST_MARGIN:g} it reaches from {posterior(-_LARGEST_MARGIN):.3g} to "
            f"{posterior(_LARGEST_MARGIN):.3g}; choose milder parameters of the loss"
        )
    return float(brentq(excess, low, high, xtol=1e-13, rtol=1e-14)) if low < high else low


def margins_of_posterior(posterior: Callable[[Array], Array], probabilities: Array, name: str) -> Array:
    """Margins of K classes, with mean 0, at which a posterior is `probabilities`; `name` says, in errors, whose."""
    wanted = np.log(probabilities)

    def excess(z: Array) -> Array:
        # A shift of all margins changes nothing, so their mean is asked for as well.
        error: Array = np.log(np.maximum(posterior(z), np.finfo(float).tiny)) - wanted + np.mean(z)
        return error

    found: Any = root(excess, wanted - wanted.mean(), tol=1e-14)
    if not np.max(np.abs(excess(found.x))) < 1e-9:
        raise ValueError(
            f"{name} has no margins, or none that can be found, whose posterior is the base rates "
            f"{probabilities.tolist()!r}; choose milder parameters of the loss"
        )
    margin: Array = found.x
    return margin
