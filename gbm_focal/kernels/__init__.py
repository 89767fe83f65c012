"""Evaluation of the built-in losses by compiled code: the one entry to it.

Arrays come validated in type and shape (see `gbm_focal.losses`); whether every margin, label and weight is a
valid number is found here, in the same pass that computes, and said by the return value. Where the margins lie on
a CUDA device (they are CuPy arrays), `cuda` computes there; else the host does.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

try:
    from ._host import Losses
    from ._host import gradient_hessian as _gradient_hessian
    from ._host import posterior as _posterior
    from ._host import value as _value
except ImportError as error:
    raise ImportError(
        f"gbm_focal's compiled kernel is missing beside {__file__}. If this is a source checkout, build it with "
        "`pip install -e .` (a C++17 compiler is all it needs); or, if gbm_focal is installed, start Python from "
        "another directory, because the folder gbm_focal/ here hides the installed package."
    ) from error

from . import cuda
from .arrays import readable

__all__ = ["Losses", "cuda", "gradient_hessian", "posterior", "value"]

_readable = functools.partial(readable, otherwise=np.float64)


def value(losses: Losses, y_true: Any, margin: Any, sample_weight: Any, out: Any) -> bool:
    """Fill `out` with the weighted value of every row; False if a row was invalid."""
    if cuda.is_device_array(margin):
        return cuda.value(losses, y_true, margin, sample_weight, out)
    return _value(losses, _readable(y_true), _readable(margin), _readable(sample_weight), out)


def gradient_hessian(
    losses: Losses,
    y_true: Any,
    margin: Any,
    sample_weight: Any,
    gradient: Any,
    hessian: Any,
    *,
    exact: bool,
    max_step: float | None,
    softmax_factor: float,
) -> bool:
    """Fill `gradient` and `hessian`; False if a row was invalid."""
    if cuda.is_device_array(margin):
        return cuda.gradient_hessian(
            losses,
            y_true,
            margin,
            sample_weight,
            gradient,
            hessian,
            exact=exact,
            max_step=max_step,
            softmax_factor=softmax_factor,
        )
    return _gradient_hessian(
        losses,
        _readable(y_true),
        _readable(margin),
        _readable(sample_weight),
        gradient,
        hessian,
        exact,
        max_step,
        softmax_factor,
    )


def posterior(losses: Losses, margin: Any, out: Any) -> bool:
    """Fill `out` with the posterior of every margin; False if a margin was invalid."""
    if cuda.is_device_array(margin):
        return cuda.posterior(losses, margin, out)
    return _posterior(losses, _readable(margin), out)
