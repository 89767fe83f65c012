"""Where an objective or a metric of XGBoost computes, and what stays on the GPU from round to round."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from .._inputs import Array
from ..boosting import labels_of_engine, totals_of_engine, weights_of_engine
from ..kernels import cuda
from ..losses import ClassTotals, KernelLoss, Loss
from .collective import COLLECTIVE


class Device:
    """Where an objective or a metric computes, and what stays there from round to round."""

    def __init__(self, name: str | None, loss: Loss) -> None:
        self.name = name if isinstance(loss, KernelLoss) else None
        self.forget()

    @classmethod
    def in_state(cls, state: dict[str, Any]) -> dict[str, Any]:
        """Return the state of a copied objective or metric, which has the device's name, with a device."""
        given = state["_device"]
        name = given.name if isinstance(given, Device) else given  # pickles of version 0.1 hold the device
        return {**state, "_device": cls(name, state["loss"])}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what a pickle of version 0.1 holds."""
        self.name = state["_name"]
        self.forget()

    def forget(self) -> None:
        """Let go of the data."""
        self._held: weakref.WeakKeyDictionary[Any, DataOnDevice] = weakref.WeakKeyDictionary()

    @functools.cached_property
    def _number(self) -> int | None:
        return cuda.usable_device(self.name)

    @property
    def is_host(self) -> bool:
        """Whether there is no device, or none that can be used."""
        return self._number is None

    def copied(self, array: Array) -> Any:
        """Return an array of the host on the device, if this is one."""
        return array if self._number is None or array.shape[0] == 0 else cuda.copied_to(self._number, array)

    def load(
        self, owner: Any, margin: Array, labels_and_weights: Callable[[], tuple[Any, Any]], *, unchanged: bool
    ) -> tuple[DataOnDevice, Any]:
        """Return the data set and its margins on the device, where labels and weights go when they are new.

        Unless they are known to be `unchanged` since the last call for this owner, they are compared on the host.
        """
        held = self._held.get(owner)
        if held is None or not unchanged:
            labels, weights = labels_and_weights()
            y, weight = labels_of_engine(labels, margin), weights_of_engine(weights)
            if held is None or not held.holds(y, weight):
                self._held[owner] = held = DataOnDevice(self.copied, y, weight, comparable=not unchanged)
        return held, held.receive(np.asarray(margin, np.float32))


class DataOnDevice:
    """Labels and weights of a data set on a CUDA device, and the arrays that every round fills again."""

    def __init__(self, copied: Callable[[Array], Any], y: Array, weight: Array | None, *, comparable: bool) -> None:
        self._copied = copied
        self._host = (y, weight) if comparable else None
        self._totals: ClassTotals | None = None
        self._margin: Any = None
        self.y = copied(y)
        self.weight = None if weight is None else copied(weight)

    def totals(self) -> ClassTotals:
        """Class totals of all processes."""
        # Processes add up theirs together, and each reads its data anew when it sees fit.
        if self._totals is None or COLLECTIVE.number() > 1:
            self._totals = totals_of_engine(self.y, self._margin, self.weight, COLLECTIVE)
        return self._totals

    @functools.cached_property
    def derivatives(self) -> tuple[Any, Any]:
        """Arrays for gradient and Hessian."""
        # Neighbouring threads take neighbouring rows.
        with cuda.beside(self._margin):
            return np.empty_like(self._margin, order="F"), np.empty_like(self._margin, order="F")

    def holds(self, y: Array, weight: Array | None) -> bool:
        """Whether these are the labels and weights that were copied."""
        if self._host is None or not np.array_equal(self._host[0], y):
            return False
        held = self._host[1]
        return weight is None if held is None else weight is not None and np.array_equal(held, weight)

    def receive(self, margin: Array) -> Any:
        """Copy the margins of a round to the device."""
        if self._margin is None or self._margin.shape != margin.shape:
            self._margin = self._copied(margin)
            self.__dict__.pop("derivatives", None)
        else:
            with cuda.beside(self._margin):
                self._margin.set(margin)
        return self._margin
