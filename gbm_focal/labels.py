"""Labels of any kind that users have, and as the losses and engines want them: numbered from 0."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import assert_all_finite, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array, column_or_1d

from ._inputs import Array, on_host
from .base_rates import checked_rates
from .losses import ClassTotals, Kind, Loss, is_symmetric

_COMMON = 10  # times the weight of the other class


@dataclass(frozen=True)
class Labels:
    """The labels of a training set, by which others are numbered alike."""

    kind: Kind
    classes: Any  # sorted, of shape (K,); for several labels a row a list with [0, 1] of each, as scikit-learn has it
    encoder: LabelEncoder | None  # none for several labels a row
    # Of two classes the place of that which is numbered 1, and the other 0.
    positive: int = field(default=1, kw_only=True)

    @classmethod
    def learned_from(cls, y: Array, pos_label: Any = None) -> tuple[Labels, Array]:
        """Find the labels of a training set, and return its encoded labels as well.

        Parameters
        ----------
        y : ndarray of shape (n,), or an indicator matrix of shape (n, L)
            As `plain_labels` returns it.
        pos_label : label, optional
            Of two classes the positive one; by default the second.
        """
        if y.ndim == 2 and y.shape[1] > 1:
            labels = cls.of_columns(y.shape[1])
        else:
            y = column_or_1d(y, warn=True)
            check_classification_targets(y)
            labels = cls.of_values(y)
        labels = replace(labels, positive=labels.place_of(pos_label))
        return labels, labels.encoded(y)

    def place_of(self, pos_label: Any) -> int:
        """Return which of two classes is the positive one."""
        if pos_label is not None and self.kind != "binary":
            raise ValueError(
                f"pos_label={pos_label!r} is for two classes, but these are {len(self.classes)}: leave it out"
            )
        return place_among(self.classes, pos_label)

    def counted(self, encoded: Array, weight: Array | None) -> ClassTotals:
        """Class totals of encoded labels, where a part may lack a class."""
        return ClassTotals.of(encoded, weight, classes=len(self.classes) if self.kind == "multiclass" else None)

    def numbered(self, base_rate: Any) -> Any:
        """Return base rates by label as rates in the order of the classes, of two as that of the positive one.

        Anything but a dict is in that order already.
        """
        if not isinstance(base_rate, Mapping):
            return base_rate
        labels = self.classes.tolist() if self.kind != "multilabel" else None
        if labels is None or set(base_rate) != set(labels):
            wanted = f"an array of {len(self.classes)}" if labels is None else f"a rate for each of the labels {labels}"
            raise ValueError(f"base_rate is a dict of {list(base_rate)}: give {wanted}")
        rates = [base_rate[label] for label in labels]
        if self.kind == "multiclass":
            return rates
        checked_rates("base_rate", rates, "multiclass", 2)
        return rates[self.positive]

    @classmethod
    def of_values(cls, values: Array) -> Labels:
        """Take the labels that occur, in whatever number and order, as classes."""
        encoder = LabelEncoder().fit(values)
        classes = encoder.classes_
        if len(classes) < 2:
            raise ValueError(f"y holds a single class, {classes[0]!r}: a classifier needs more than one class")
        return cls("multiclass" if len(classes) > 2 else "binary", classes, encoder)

    @classmethod
    def of_columns(cls, columns: int) -> Labels:
        """Several labels a row."""
        return cls("multilabel", [np.arange(2)] * columns, None)

    def warn_of_common_positives(self, loss: Loss, totals: ClassTotals) -> None:
        """Warn where the positive one of two classes is by far the larger, and the loss treats them differently."""
        if self.kind == "binary" and totals.positive[0] > _COMMON * totals.negative[0] and not is_symmetric(loss):
            rare, common = self.classes.tolist()
            warnings.warn(
                f"{common!r}, the second class, counts as the positive one, with more than {_COMMON} times the weight "
                f"of {rare!r}, and {loss!r} treats the two differently: give pos_label={rare!r}, or "
                f"pos_label={common!r} if that is meant",
                UserWarning,
                stacklevel=3,
            )

    def encoded(self, y: Any) -> Array:
        """Return labels of an evaluation set, or of a part of the training set, numbered as the training set's."""
        y = _as_array(y)
        if self.encoder is None:
            columns = len(self.classes)
            if y.ndim != 2 or y.shape[1] != columns:
                raise ValueError(f"y of an evaluation set has shape {y.shape}: give {columns} columns, as in training")
            return indicators(y)
        y = column_or_1d(y, warn=True)
        try:
            encoded: Array = self.encoder.transform(y)
        except ValueError as error:
            unknown = np.setdiff1d(y, self.classes)
            raise ValueError(
                f"y of an evaluation set holds {unknown[0]!r}, which is no label of the training set: its labels are "
                f"{self.classes.tolist()}"
            ) from error
        return encoded if self.positive == 1 else 1 - encoded


def place_among(classes: Any, pos_label: Any) -> int:
    """Return which of two classes is the positive one; None says the second."""
    if pos_label is None:
        return 1
    classes = np.asarray(classes)
    places = np.flatnonzero(classes == pos_label)
    if places.size != 1:
        raise ValueError(f"pos_label={pos_label!r} is none of the labels {classes.tolist()}: give one that is")
    return int(places[0])


def plain_labels(y: Any) -> Array:
    """Labels as an array of a plain type, where they are all of one."""
    y = _as_array(y)
    if y.dtype == object and y.ndim == 1 and len({type(label) for label in y.tolist()}) == 1:
        y = np.asarray(y.tolist())
    assert_all_finite(y, input_name="y")
    plain: Array = y
    return plain


def evaluation_weights(eval_set: list[tuple[Any, Any]], sample_weight: Any, class_weight: Any) -> list[Any] | None:
    """Weights of the evaluation sets: those that were given, times those of the user's labels."""
    if sample_weight is None and class_weight is None:
        return None
    for name, given in (("eval_sample_weight", sample_weight), ("eval_class_weight", class_weight)):
        if given is not None and (isinstance(given, str | Mapping) or len(given) != len(eval_set)):
            size = "" if isinstance(given, str) else f" of {len(given)}"
            raise ValueError(
                f"{name} is a {type(given).__name__}{size}, which is not one for each of the {len(eval_set)} sets in "
                "eval_set: give a list"
            )
    weights: list[Any] = [None] * len(eval_set) if sample_weight is None else [on_host(each) for each in sample_weight]
    for number, by_label in enumerate(class_weight or []):
        if by_label is not None:
            of_labels = compute_sample_weight(by_label, np.asarray(on_host(eval_set[number][1])))
            weights[number] = of_labels if weights[number] is None else weights[number] * of_labels
    return weights


def classes_as_json(classes: Any) -> dict[str, Any] | None:
    """Describe classes for `classes_of_json`; None for several labels a row, whose number says it all."""
    return None if isinstance(classes, list) else {"dtype": classes.dtype.str, "labels": classes.tolist()}


def classes_of_json(description: Any, columns: int, kind: Kind) -> Any:
    """Make the classes that were described, or raise if they are no labels of this kind."""
    if kind == "multilabel":
        return Labels.of_columns(columns).classes
    dtype, labels = np.dtype(str(description["dtype"])), description["labels"]
    words = isinstance(labels, list) and all(isinstance(label, str) for label in labels)
    if dtype.hasobject and not words:
        raise ValueError(f"labels {labels!r} are neither numbers nor strings")
    classes = np.array(labels, dtype)
    wanted = 2 if kind == "binary" else columns
    if classes.shape != (wanted,) or np.unique(classes).size != wanted:
        raise ValueError(f"labels {labels!r} are not {wanted} different ones")
    return classes


def _as_array(y: Any) -> Any:
    return y.toarray() if sparse.issparse(y) else np.asarray(on_host(y))


def indicators(y: Array) -> Array:
    """Return the indicator matrix of several labels a row, or raise if it is none."""
    check_array(y, dtype=np.float64, input_name="y")
    if type_of_target(y) != "multilabel-indicator":
        check_classification_targets(y)
        raise ValueError(
            "y has several columns that are not all 0 and 1: give an indicator matrix for several labels, or one "
            "column of classes"
        )
    matrix: Array = y.astype(np.float32)
    return matrix
