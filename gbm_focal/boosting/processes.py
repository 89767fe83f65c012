"""Who trains one model together, and the labels, weights and totals of training data as engines keep them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._inputs import Array
from ..losses import ClassTotals


class Processes:
    """What the processes that train one model together know of each other; here there is one, and it knows all.

    Each function is called by all of them at the same point of the training, also by those without rows.
    """

    def number(self) -> int:
        """How many train together."""
        return 1

    def sum(self, own: Array) -> Array:
        """Add up an array of one shape and type over all processes."""
        return own

    def gather(self, own: Any) -> list[Any]:
        """Return what each process has given."""
        return [own]

    def totals(self, y: Array, weight: Array | None, classes: int | None = None) -> ClassTotals:
        """Class totals of the labels of all processes."""
        return ClassTotals.of(y, weight, classes=classes)


ALONE = Processes()


def labels_of_engine(labels: ArrayLike, margin: Array) -> Array:
    """Labels as an engine keeps them, in the shape of its margins; classes, one a row, beside margins (n, K)."""
    y = np.asarray(labels)
    if y.size == margin.size:
        return y.reshape(margin.shape)
    if margin.ndim == 2 and y.size == margin.shape[0]:
        return y.reshape(-1)
    raise ValueError(
        f"the data set has labels of shape {y.shape} for margins of shape {margin.shape}: give one label, 0 or 1, "
        "for each margin, or one class for each row"
    )


def weights_of_engine(sample_weight: Any) -> Array | None:
    """Sample weights as an engine keeps them: an empty array, too, says that there are none."""
    if sample_weight is None or np.size(sample_weight) == 0:
        return None
    return np.asarray(sample_weight)


def totals_of_engine(y: Array, margin: Array, weight: Array | None, processes: Processes = ALONE) -> ClassTotals:
    """Class totals of labels in the shape of the margins, or of classes beside margins (n, K)."""
    return processes.totals(y, weight, margin.shape[1] if y.ndim < margin.ndim else None)


def checked_totals(name: str, totals: ClassTotals, classes: int | None) -> ClassTotals:
    """Return totals of the data set that `train` calls `name`, or raise if no training can start from them.

    `classes` is num_class, if it was given.
    """
    if totals.kind == "multiclass" and not classes:
        raise ValueError(
            f"the labels of {name} go up to {totals.positive.size - 1}: give labels 0 and 1, or, if they are classes, "
            f"num_class={totals.positive.size} in params"
        )
    totals.require_all_classes()
    return totals
