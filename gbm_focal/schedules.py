"""Parameters of a loss that change over the boosting rounds, for instance gamma from easy to hard.

Give a schedule where a loss takes a number: ``FocalLoss(gamma=LinearSchedule(0, 2, rounds=100))``. The objectives of
`gbm_focal.xgboost` and `gbm_focal.lightgbm` and `FocalClassifier` follow it round by round, each training from its
start and continued training from where the model stands. The posterior of the trained model takes the value of the
last round that was kept; the metric, so that rounds can be compared, that of the last round that was asked for.

The idea is that of curriculum learning (Bengio et al., "Curriculum Learning", ICML 2009): with a small gamma every
sample counts, a larger one turns to the hard ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from sklearn.base import BaseEstimator

from ._inputs import real

__all__ = ["ConstantSchedule", "CosineSchedule", "LinearSchedule", "Schedule"]


class Schedule(BaseEstimator):  # type: ignore[misc]
    """Base class: a number for every boosting round, from `start` to `end` over `rounds` rounds, then `end`.

    A subclass says how by `share`.

    Parameters
    ----------
    start, end : float
        Values in the first round and from round `rounds` on, counted from 0.
    rounds : int >= 1
    """

    def __init__(self, start: float, end: float, rounds: int) -> None:
        self.start = start
        self.end = end
        self.rounds = rounds

    def share(self, progress: float) -> float:
        """Return how much of the way from start to end is done; 0 at progress 0 and 1 at progress 1."""
        raise NotImplementedError(f"{type(self).__name__} must define share(progress)")

    def __call__(self, iteration: float) -> float:
        """Value in a round, counted from 0; ``inf`` gives the last."""
        start, end = real("start", self.start, "(-inf, inf)"), real("end", self.end, "(-inf, inf)")
        progress = min(iteration / real("rounds", self.rounds, "[1, inf)"), 1.0)
        return end if progress == 1 else start + (end - start) * self.share(progress)

    def described(self) -> dict[str, Any]:
        """Name and parameters, as JSON can hold them, for `from_description`."""
        return {"schedule": type(self).__name__, "parameters": self.get_params(deep=False)}

    @staticmethod
    def from_description(description: dict[str, Any]) -> Schedule:
        """Make what `described` told of; nothing is imported or executed, so a class of one's own must be defined."""
        named = {kind.__name__: kind for kind in subclasses_of(Schedule)}
        if description.get("schedule") not in named:
            raise ValueError(f"no schedule named {description.get('schedule')!r} is defined here")
        try:
            schedule: Schedule = named[description["schedule"]](**description["parameters"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"not the JSON description of a schedule: {description!r}") from error
        return schedule


class ConstantSchedule(Schedule):
    """The same number in every round.

    Parameters
    ----------
    value : float
    """

    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self, iteration: float) -> float:
        """Value in any round."""
        return real("value", self.value, "(-inf, inf)")


class LinearSchedule(Schedule):
    """From `start` to `end` in equal steps."""

    def share(self, progress: float) -> float:
        """Return the progress itself."""
        return progress


class CosineSchedule(Schedule):
    """From `start` to `end` along half a cosine: slowly, quickly, slowly (Loshchilov and Hutter, ICLR 2017)."""

    def share(self, progress: float) -> float:
        """Return (1 - cos(pi progress)) / 2."""
        return (1 - math.cos(math.pi * progress)) / 2


def subclasses_of(parent: type[Any]) -> Iterator[type[Any]]:
    """All classes that are defined below one, each before its own."""
    for child in parent.__subclasses__():
        yield child
        yield from subclasses_of(child)
