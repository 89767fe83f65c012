"""What the objectives and metrics of both engines share: a loss, applied to labels, margins and weights."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .losses import Array, ClassTotals, Hessian, Loss, check_hessian

# XGBoost guesses from such a beginning that a metric is to be maximised.
_MAXIMISED_PREFIXES = ("auc", "aucpr", "map", "ndcg", "pre")


class BaseObjective:
    """A loss, and how its derivatives are conditioned for an engine; parameters as in the engines' `Objective`."""

    def __init__(
        self, loss: Loss, *, hessian: Hessian = "fisher", max_step: float | None = 2.0, normalize: bool = True
    ) -> None:
        require_loss(loss)
        check_hessian(hessian, max_step)
        self.loss = loss
        self.hessian = hessian
        self.max_step = max_step
        self.normalize = normalize
        self._fixed: tuple[Loss, Array] | None = None
        self._offset: Array = np.zeros(1)

    def __repr__(self) -> str:
        """Show the parameters, as scikit-learn does."""
        return (
            f"{type(self).__name__}({self.loss!r}, hessian={self.hessian!r}, max_step={self.max_step!r}, "
            f"normalize={self.normalize!r})"
        )

    def fixed_on(self, totals: ClassTotals, offset: Array) -> BaseObjective:
        """Resolve the loss once, for training data with these totals, and add `offset` to all margins."""
        self._fixed = self._resolved(totals)
        self._offset = offset
        return self

    def derivatives(self, y: ArrayLike, margin: Array, sample_weight: Any) -> tuple[Array, Array]:
        """Return float32 gradient and Hessian, in the shape and memory order of the margin."""
        y = labels_of_engine(y, margin)
        weight = weights_of_engine(sample_weight)
        loss, scale = self._fixed or self._resolved(ClassTotals.of(y, weight))
        gradient = np.empty_like(margin, np.float32)
        hessian = np.empty_like(gradient)
        loss._fill_derivatives(
            y,
            margin,
            weight,
            gradient,
            hessian,
            exact=self.hessian == "exact",
            max_step=np.inf if self.max_step is None else self.max_step,
            scale=scale,
            offset=self._offset,
        )
        return gradient, hessian

    def _resolved(self, totals: ClassTotals) -> tuple[Loss, Array]:
        loss = self.loss.resolve_totals(totals)
        return loss, loss.normalizers(totals) if self.normalize else np.ones(totals.positive.size)


class BaseMetric:
    """The weighted mean of a loss; smaller is better."""

    def __init__(self, loss: Loss) -> None:
        require_loss(loss)
        self.loss = loss
        self._offset: Array = np.zeros(1)

    def __repr__(self) -> str:
        """Show the parameters, as scikit-learn does."""
        return f"{type(self).__name__}({self.loss!r})"

    @property
    def __name__(self) -> str:
        """Name under which the engines report the metric: that of the loss, in snake case."""
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", type(self.loss).__name__).lower()
        return f"loss_{name}" if name.startswith(_MAXIMISED_PREFIXES) else name

    def starting_at(self, offset: Array) -> BaseMetric:
        """Add `offset` to all margins."""
        self._offset = offset
        return self

    def mean(self, y: ArrayLike, margin: Array, sample_weight: Any) -> float:
        """Weighted mean of the loss over all rows (and columns)."""
        y = labels_of_engine(y, margin)
        weight = weights_of_engine(sample_weight)
        loss = self.loss
        if isinstance(loss.alpha, str):
            loss = loss.resolve_totals(ClassTotals.of(y, weight))
        values = np.empty_like(margin, np.float32)
        loss._fill_value(y, margin, weight, values, offset=self._offset)
        total = float(margin.shape[0] if weight is None else np.sum(weight, dtype=np.float64))
        if not total > 0:
            raise ValueError(f"{self!r} has no mean over data whose {margin.shape[0]} rows have no weight")
        summed = float(np.sum(values, dtype=np.float64))
        columns: int = values.size // margin.shape[0]
        return summed / (total * columns)


def require_loss(loss: Any) -> None:
    """Raise unless this is an instance of a loss."""
    if isinstance(loss, type) and issubclass(loss, Loss):
        raise TypeError(f"loss={loss.__name__} is a class: give an instance, {loss.__name__}()")
    if not isinstance(loss, Loss):
        raise TypeError(f"loss={loss!r} is a {type(loss).__name__}: give a gbm_focal loss, for instance FocalLoss()")


def labels_of_engine(labels: ArrayLike, margin: Array) -> Array:
    """Labels as an engine keeps them, in the shape of its margins."""
    y = np.asarray(labels)
    if y.size != margin.size:
        raise ValueError(
            f"the data set has labels of shape {y.shape} for margins of shape {margin.shape}: give one label, 0 or 1, "
            "for each margin"
        )
    return y.reshape(margin.shape)


def weights_of_engine(sample_weight: Any) -> Array | None:
    """Sample weights as an engine keeps them: an empty array, too, says that there are none."""
    if sample_weight is None or np.size(sample_weight) == 0:
        return None
    return np.asarray(sample_weight)
