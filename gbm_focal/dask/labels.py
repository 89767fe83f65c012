"""Labels and weights that lie in parts on several workers: counted where they are, and known as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets

from .._inputs import Array, check_rows
from ..labels import Labels, indicators, plain_labels
from ..losses import ClassTotals


@dataclass(frozen=True)
class LabelCounts:
    """Labels of one part, with the number and the total weight of each; or the class totals of indicators."""

    rows: int
    labels: Array
    counts: Array
    weights: Array
    totals: ClassTotals | None = None


def labels_of_part(y: Any, weight: Any) -> LabelCounts:
    """Count the labels of one part."""
    y = plain_labels(y)
    rows = int(y.shape[0])
    weight = None if weight is None else weights_of_part(weight, y, None)
    if y.ndim == 2 and y.shape[1] > 1:
        totals = ClassTotals.of_part(indicators(y), weight) if rows else None
        return LabelCounts(rows, np.arange(2), np.zeros(2), np.zeros(2), totals)
    y = y.ravel()
    if rows:
        check_classification_targets(y)
    labels, place = np.unique(y, return_inverse=True)
    counts, weights = (np.bincount(place, w, minlength=labels.size).astype(np.float64) for w in (None, weight))
    return LabelCounts(rows, labels, counts, weights)


@dataclass(frozen=True)
class DaskLabels(Labels):
    """The labels of all parts, with the rows and the weight of each class."""

    counts: Array
    weights: Array
    indicators: ClassTotals | None = None

    @classmethod
    def of(cls, parts: Sequence[LabelCounts]) -> DaskLabels:
        """Add up what was counted of the parts."""
        if any(part.totals is not None for part in parts):
            totals = summed_totals([part.totals for part in parts])
            several = Labels.of_columns(totals.positive.size)
            return cls(several.kind, several.classes, None, np.zeros(0), np.zeros(0), totals)
        labels = Labels.of_values(np.concatenate([part.labels for part in parts]))
        counts, weights = np.zeros(len(labels.classes)), np.zeros(len(labels.classes))
        for part in parts:
            where = labels.encoded(part.labels)
            counts[where] += part.counts
            weights[where] += part.weights
        return cls(labels.kind, labels.classes, labels.encoder, counts, weights)

    def weights_of(self, class_weight: Any) -> Array | None:
        """Weight of each class, as scikit-learn's `class_weight` says."""
        if class_weight is None:
            return None
        if self.kind == "multilabel":
            raise ValueError(f"class_weight={class_weight!r} is not possible for several labels a row: use loss alpha")
        if isinstance(class_weight, str):
            if class_weight != "balanced":
                raise ValueError(f"class_weight={class_weight!r} is not known: give a dict, 'balanced' or None")
            balanced: Array = self.counts.sum() / (len(self.classes) * self.counts)
            return balanced
        labels = self.classes.tolist()
        unknown = [label for label in class_weight if label not in labels]
        if unknown:
            raise ValueError(f"class_weight has the label {unknown[0]!r}, but y holds only {labels!r}")
        return np.array([float(class_weight.get(label, 1.0)) for label in labels])

    def totals(self, by_class: Array | None) -> ClassTotals:
        """Class totals, after `class_weight`."""
        if self.indicators is not None:
            return self.indicators
        weights = self.weights if by_class is None else self.weights * by_class
        if self.kind == "binary":
            return ClassTotals(weights[[self.positive]], weights[[1 - self.positive]], "binary")
        return ClassTotals(weights, weights.sum() - weights, "multiclass")


def encoded_part(y: Any, labels: Labels) -> Array:
    """Labels of one part, numbered as those of all."""
    y = plain_labels(y)
    return labels.encoded(y if labels.encoder is None else y.ravel()).astype(np.float32)


def weights_of_part(weight: Any, y: Array, by_class: Array | None) -> Array:
    """Weights of one part, checked, and multiplied with those of the classes of the encoded labels y."""
    array = np.ones(y.shape[0]) if weight is None else np.asarray(weight, np.float64)
    if array.size != y.shape[0]:
        raise ValueError(f"a part of sample_weight has shape {array.shape}, that of y {y.shape}: give one weight a row")
    array = array.ravel()
    check_rows(None, None, array)
    return array if by_class is None else array * by_class[y.astype(np.int64)]


def summed_totals(parts: Sequence[ClassTotals | None]) -> ClassTotals:
    """Add up the totals of parts, of which None has no rows."""
    counted = [part for part in parts if part is not None]
    if not counted:
        raise ValueError("there are no rows on any worker: give data with rows of at least two classes")
    most = max(counted, key=lambda part: part.positive.size)
    if most.kind == "multiclass" and any(
        part.kind != "multiclass" or part.positive.size != most.positive.size for part in counted
    ):
        return most  # one part has found classes that nobody has announced, which is an error that names their number
    positive, negative = (
        np.sum([getattr(part, name) for part in counted], axis=0) for name in ("positive", "negative")
    )
    return ClassTotals(positive, negative, most.kind)
