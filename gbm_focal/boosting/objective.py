"""A loss as an objective: which loss and scale a round has, and its derivatives in the engine's arrays."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._inputs import Array, check_hessian
from ..losses import ClassTotals, Hessian, Loss, require_loss
from .processes import ALONE, labels_of_engine, totals_of_engine, weights_of_engine

_OF_TRAINING = ("_latest", "_rounds", "_data")  # attributes of an objective that a copy does without


class BaseObjective:
    """A loss, and how its derivatives are conditioned for an engine.

    Parameters
    ----------
    loss : Loss
    hessian : {"fisher", "exact"}, default "fisher"
        See `Loss.gradient_hessian`.
    max_step : float or None, default 2.0
        Longest Newton step that a sample may ask for, in units of margin; None for no limit.
    normalize : bool, default True
        Scale the loss so that its Hessian at the intercept is that of the logistic loss.
    """

    processes = ALONE

    def __init__(
        self, loss: Loss, *, hessian: Hessian = "fisher", max_step: float | None = 2.0, normalize: bool = True
    ) -> None:
        require_loss(loss)
        check_hessian(hessian, max_step)
        self.loss = loss
        self.hessian = hessian
        self.max_step = max_step
        self.normalize = normalize
        self._fixed: ClassTotals | None = None
        self._offset: Array = np.zeros(1)
        self._first_round = 0
        self._forget()

    def _forget(self) -> None:
        self._latest: tuple[Any, tuple[Loss, Array]] | None = None
        self._rounds: weakref.WeakKeyDictionary[Any, tuple[bytes, int]] = weakref.WeakKeyDictionary()
        self._data: weakref.ref[Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to a running training: copies start anew."""
        return {name: value for name, value in self.__dict__.items() if name not in _OF_TRAINING}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a copy."""
        self.__dict__.update(state)
        self._forget()

    def __repr__(self) -> str:
        """Show the parameters, as scikit-learn does."""
        return (
            f"{type(self).__name__}({self.loss!r}, hessian={self.hessian!r}, max_step={self.max_step!r}, "
            f"normalize={self.normalize!r})"
        )

    def softmax_factor(self, classes: int) -> float:
        """Multiple of the Fisher Hessian's diagonal that the engine takes for the softmax form."""
        return 1.0

    def fixed_on(self, totals: ClassTotals, offset: Array, first_round: int = 0) -> BaseObjective:
        """Resolve the loss for training data with these totals, and add `offset` to all margins."""
        self._fixed = totals
        self._offset = offset
        self._first_round = first_round
        return self

    def derivatives(
        self, y: ArrayLike, margin: Array, sample_weight: Any, *, data: Any = None, overwrite: bool = False
    ) -> tuple[Array, Array]:
        """Return float32 gradient and Hessian, in the shape of the margin.

        Rounds are counted for each data set apart, so that folds that train in turn do not share a schedule.

        With `overwrite` they take the place of margin and labels, where those have the right type: 8 bytes a row
        less at the peak of training.
        """
        y = labels_of_engine(y, margin)
        weight = weights_of_engine(sample_weight)
        loss, scale = self._of_this_round(
            margin, self if data is None else data, lambda: totals_of_engine(y, margin, weight, self.processes)
        )
        if margin.shape[0] == 0:  # of a worker without rows, whose margins do not say how many columns the others have
            nothing = np.empty((0, scale.size) if scale.size > 1 else 0, np.float32)
            return nothing, nothing
        if y.ndim < margin.ndim:  # classes, for which the kernel is faster in Fortran's order
            gradient = np.empty(margin.shape, np.float32, "F")
            hessian = np.empty_like(gradient)
        else:
            gradient = margin if overwrite and _replaceable(margin) else np.empty_like(margin, np.float32)
            hessian = y if overwrite and _replaceable(y) else np.empty_like(gradient)
        self._fill(loss, scale, y, margin, weight, gradient, hessian)
        return gradient, hessian

    def _fill(
        self, loss: Loss, scale: Array, y: Array, margin: Array, weight: Array | None, gradient: Array, hessian: Array
    ) -> None:
        loss.fill_derivatives(
            y,
            margin,
            weight,
            gradient,
            hessian,
            exact=self.hessian == "exact",
            max_step=np.inf if self.max_step is None else self.max_step,
            scale=scale,
            offset=self._offset,
            softmax_factor=self.softmax_factor(margin.shape[1]) if y.ndim < margin.ndim else 1.0,
        )

    def _of_this_round(self, margin: Array, data: Any, totals_of_data: Callable[[], ClassTotals]) -> tuple[Loss, Array]:
        """Return the resolved loss and its scale; what does not change from round to round is not looked at again."""
        if self._fixed is not None and self._latest is not None and not self.loss.is_scheduled:
            return self._latest[1]
        totals = self._fixed or totals_of_data()
        return self._resolved(self.loss.at_round(self._round_of(data, margin)), totals)

    def _round_of(self, data: Any, margin: Array) -> int:
        """Count the calls with a data set; where the margins are again those of the first, training starts anew."""
        some = margin[:64].tobytes()
        start, number = self._rounds.get(data, (some, self._first_round - 1))
        number = self._first_round if some == start else number + 1
        self._rounds[data] = (start, number)
        self._data = weakref.ref(data)
        return number

    def training_data(self) -> Any:
        """Return the data set that training has last called with; None before and after training."""
        return None if self._data is None else self._data()

    def released(self) -> None:
        """Forget the training data, so that later calls resolve the loss on their own."""
        self._fixed, self._offset, self._first_round = None, np.zeros(1), 0
        self._forget()

    def _resolved(self, loss: Loss, totals: ClassTotals) -> tuple[Loss, Array]:
        # An engine calls every round with the same data set, but it may be another next time: the totals tell.
        key = (loss.to_json(), self.normalize, totals.key())
        if self._latest is None or self._latest[0] != key:
            resolved = loss.resolve_totals(totals)
            scale = resolved.normalizers(totals) if self.normalize else np.ones(totals.positive.size)
            self._latest = (key, (resolved, scale))
        return self._latest[1]


def _replaceable(array: Array) -> bool:
    return array.dtype == np.float32 and array.flags.c_contiguous and array.flags.writeable
