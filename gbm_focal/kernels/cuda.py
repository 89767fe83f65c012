"""Evaluation of the built-in losses on an NVIDIA GPU: losses.h, compiled by CuPy when first used.

The entries are those of `gbm_focal.kernels`, for CuPy arrays that lie on one device. Each is one launch, on CuPy's
current stream of that device, and waits for it, because it says whether all rows were valid. Kernels are compiled
one by one, for the loss and types asked for (about a second each), and kept on disk by CuPy.

CuPy lets the device round numbers below the smallest normal one to 0. Products on the way to a result may be smaller
than it, so that float32 results below 1e-35 may be 0 as well, unlike on the host.
"""

from __future__ import annotations

import contextlib
import functools
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ._host import FAMILIES, LARGEST_INTEGER_EXPONENT, Losses
from .arrays import C_NAMES, readable

__all__ = [
    "as_device_array",
    "beside",
    "copied_to",
    "gradient_hessian",
    "is_device_array",
    "posterior",
    "usable_device",
    "value",
]

_THREADS = 256  # of a block
_MOST_BLOCKS = 8192  # beyond, a thread takes several elements
_PARAMETER_SLOTS = 8  # as in device.h
_OPTIONS = ("--std=c++17",)
_INSTALL = "pip install 'gbm_focal[gpu]' for CUDA 13, or pip install cupy-cuda12x for CUDA 12"


def is_device_array(array: Any) -> bool:
    """Whether an array, of CuPy or any other library, lies on a CUDA device."""
    return hasattr(array, "__cuda_array_interface__")


def as_device_array(array: Any) -> Any:
    """Return an array on a CUDA device as CuPy's, without a copy."""
    cupy = _cupy()
    # asarray would move it to the current device.
    return array if isinstance(array, cupy.ndarray) else cupy.asarray(array)


def copied_to(device: int, array: Any) -> Any:
    """Copy an array of the host to a CUDA device."""
    cupy = _cupy()
    with cupy.cuda.Device(device):
        return cupy.asarray(array)


def beside(array: Any) -> contextlib.AbstractContextManager[Any]:
    """Return a context in which CuPy works where the array lies; it does nothing for an array of the host."""
    if not is_device_array(array):
        return contextlib.nullcontext()
    device: contextlib.AbstractContextManager[Any] = array.device
    return device


def usable_device(name: str | None) -> int | None:
    """Return the number of the CUDA device that an engine calls `name`; None is the host.

    Where CuPy cannot use it, a warning says so and the host takes its place.
    """
    if name is None:
        return None
    known = re.fullmatch(r"cpu|sycl(?::\w+)*|(cuda|gpu)(?::(\d+))?", str(name))
    if known is None:
        raise ValueError(f"device={name!r} is not known: give 'cpu', 'cuda', or 'cuda:1' for the second GPU")
    if known.group(1) is None:
        return None
    try:
        cupy = _cupy()
    except ImportError:
        _warn_of_host(name, f"CuPy is not installed: where there is a GPU, {_INSTALL}")
        return None
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        _warn_of_host(name, f"CuPy finds no device ({error})")
        return None
    number = int(known.group(2) or 0)
    if number >= count:
        raise ValueError(f"device={name!r} does not exist: CuPy finds {count}, numbered from 0")
    return number


def value(losses: Losses, y_true: Any, margin: Any, sample_weight: Any, out: Any) -> bool:
    """Fill `out` with the weighted value of every row; False if a row was invalid."""
    return _launch("VALUE", losses, y_true, margin, sample_weight, out, None)


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
    what = "EXACT" if exact else "FISHER"
    limits = np.finfo(gradient.dtype)
    bound = (0.0, -limits.max) if max_step is None else (1 / max_step, limits.tiny)
    return _launch(what, losses, y_true, margin, sample_weight, gradient, hessian, bound, softmax_factor)


def posterior(losses: Losses, margin: Any, out: Any) -> bool:
    """Fill `out` with the posterior of every margin; False if a margin was invalid."""
    return _launch("POSTERIOR", losses, None, margin, None, out, None)


def _launch(
    what: str,
    losses: Losses,
    y: Any,
    margin: Any,
    weight: Any,
    first: Any,
    second: Any,
    bound: tuple[float, float] = (0.0, 0.0),
    softmax_factor: float = 1.0,
) -> bool:
    cupy = _cupy()
    with margin.device:
        y, weight = readable(y, first.dtype), readable(weight, first.dtype)
        margin = readable(margin.astype(first.dtype, copy=False), first.dtype)
        rows, columns = margin.shape[0], margin.shape[1] if margin.ndim == 2 else 1
        joint = losses.family == "softmax"
        elements = rows if joint else rows * columns
        if elements == 0:
            return True
        invalid = cupy.zeros(1, np.int32)
        types = (_type_name(array, first) for array in (first, y, weight))
        kernel = _kernel(what, _loss_name(losses, first.dtype), *types)
        settings = _settings(
            tuple(losses.parameters),
            (*losses.positive_weight, *losses.negative_weight, *losses.offset),
            margin.device.id,
        )
        classes = y is not None and y.ndim < margin.ndim
        arguments = (
            *_integers(rows, columns),
            settings,
            *_pointer(y),
            *_integers(*_strides(y), classes),
            margin,
            *_integers(*_strides(margin)),
            *_pointer(weight),
            *_integers(_strides(weight)[0]),
            first,
            *_integers(*_strides(first)),
            *_pointer(second),
            *_integers(*_strides(second)),
            *(np.float64(number) for number in (*bound, softmax_factor)),
            invalid,
        )
        kernel((min(-(-elements // _THREADS), _MOST_BLOCKS),), (_THREADS,), arguments)
        return not int(invalid[0])


def _loss_name(losses: Losses, dtype: Any) -> str:
    real = C_NAMES[dtype]
    family, has_powers = ("SoftmaxFocal", True) if losses.family == "softmax" else FAMILIES[losses.family]
    if not has_powers:
        return f"gbm_focal::{family}<{real}>"
    gammas = losses.parameters[:2]
    whole = all(gamma <= LARGEST_INTEGER_EXPONENT and gamma == int(gamma) for gamma in gammas)
    exponent = "gbm_focal::IntegerExponent" if whole else "gbm_focal::RealExponent"
    return f"gbm_focal::{family}<{real}, {exponent}>"


def _expression(what: str, loss: str, real: str, label: str, weight: str) -> str:
    function = "each_row" if "SoftmaxFocal" in loss else "each_margin"
    return f"gbm_focal::{function}<gbm_focal::{what}, {loss}, {real}, {label}, {weight}>"


@functools.cache
def _source() -> str:
    here = Path(__file__).parent
    # One text, because CuPy's cache on disk knows a kernel by its text, not by what it includes.
    device = (here / "device.h").read_text().replace('#include "losses.h"', "")
    return ((here / "losses.h").read_text() + device).replace("#pragma once", "")


@functools.cache
def _kernel(what: str, loss: str, real: str, label: str, weight: str) -> Any:
    expression = _expression(what, loss, real, label, weight)
    module = _cupy().RawModule(code=_source(), options=_OPTIONS, name_expressions=(expression,))
    return module.get_function(expression)


@functools.lru_cache(maxsize=64)
def _settings(parameters: tuple[float, ...], of_columns: tuple[float, ...], device: int) -> Any:
    """Copy the parameters to the current device, once."""
    cupy = _cupy()
    slots = (0.0,) * (_PARAMETER_SLOTS - len(parameters))
    settings = cupy.asarray(np.array([*parameters, *slots, *of_columns]))
    cupy.cuda.get_current_stream().synchronize()  # the next call may come on another stream
    return settings


def _type_name(array: Any, otherwise: Any) -> str:
    return C_NAMES[(otherwise if array is None else array).dtype]


def _strides(array: Any) -> tuple[int, int]:
    if array is None:
        return 0, 0
    strides = [stride // array.itemsize for stride in array.strides]
    return (strides[0], strides[1]) if array.ndim == 2 else (strides[0], 0)


def _integers(*numbers: int) -> tuple[Any, ...]:
    return tuple(np.int64(number) for number in numbers)


def _pointer(array: Any) -> tuple[Any]:
    return (np.uint64(0) if array is None else array,)


@functools.cache
def _cupy() -> Any:
    try:
        import cupy
    except ImportError as error:
        raise ImportError(f"the losses on a GPU need CuPy: {_INSTALL}") from error
    return cupy


@functools.cache
def _warn_of_host(name: Any, why: str) -> None:
    warnings.warn(f"device={name!r}: gradients are computed on the host, because {why}", RuntimeWarning, stacklevel=2)
