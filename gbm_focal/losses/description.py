"""What the JSON of a loss is made of: which losses are built in, and parameters that JSON does not know."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..schedules import Schedule

# Where descriptions look for a built-in loss, in whichever file of this folder it is.
BUILT_IN = __name__.rpartition(".")[0]


def is_built_in(module: str) -> bool:
    """Whether a module, as a description names it, is of this folder."""
    return module == BUILT_IN or module.startswith(f"{BUILT_IN}.")


def as_json(value: Any) -> Any:
    """Return a parameter in a form that JSON has."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Schedule):
        return value.described()
    raise TypeError(f"{value!r} is a {type(value).__name__}, which JSON cannot hold: give a number, word or schedule")


def of_json(value: Any) -> Any:
    """Undo `as_json`."""
    if isinstance(value, list):
        return tuple(value)
    return Schedule.from_description(value) if isinstance(value, dict) else value
