"""The processes that XGBoost trains one model in."""

from __future__ import annotations

from typing import Any

import numpy as np
from xgboost import collective

from .._inputs import Array
from ..boosting import Processes
from ..losses import KINDS, ClassTotals


class Collective(Processes):
    """The processes that XGBoost trains one model in; outside of such a group, this one."""

    def number(self) -> int:
        """How many train together."""
        workers: int = collective.get_world_size()
        return workers

    def sum(self, own: Array) -> Array:
        """Add up an array of one shape and type over all processes."""
        if self.number() == 1:
            return own
        summed: Array = collective.allreduce(own, collective.Op.SUM).reshape(own.shape)
        return summed

    def gather(self, own: Any) -> list[Any]:
        """Return what each process has given."""
        rank = collective.get_rank()
        return [collective.broadcast(own if rank == root else None, root) for root in range(self.number())]

    def totals(self, y: Array, weight: Array | None, classes: int | None = None) -> ClassTotals:
        """Class totals of the labels of all processes."""
        if self.number() == 1:
            return ClassTotals.of(y, weight, classes=classes)
        own = ClassTotals.of_part(y, weight, classes=classes)
        # A worker without rows learns from the others how many columns there are, and of which kind.
        shape = np.array([KINDS.index(own.kind), own.positive.size])
        kind, columns = collective.allreduce(shape, collective.Op.MAX).tolist()
        sums = np.zeros((2, columns))
        if y.shape[0]:
            if own.kind != KINDS[kind] or own.positive.size != columns:
                raise ValueError(
                    f"this worker's labels are {own.kind} of {own.positive.size} columns, another's {KINDS[kind]} of "
                    f"{columns}: give all workers labels of one shape, and num_class if they are classes"
                )
            sums[:] = own.positive, own.negative
        positive, negative = self.sum(sums)
        return ClassTotals(positive, negative, KINDS[kind])


COLLECTIVE = Collective()
