"""Checks of what users pass in: an array or a number that fails gets an error that names it."""

from __future__ import annotations

import contextlib
import math
import numbers
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .kernels import cuda

Array = NDArray[Any]


def real(name: str, value: Any, interval: str) -> float:
    """Return a parameter as a float, or raise if it is no number in an interval such as "(0, 1]"."""
    scalar = isinstance(value, numbers.Real) or (isinstance(value, np.ndarray) and value.ndim == 0)
    if not scalar or isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}={value!r} is a {type(value).__name__}: give a number in {interval}")
    try:
        number = float(value)
    except OverflowError:  # an int of more than 308 digits
        number = math.inf if value > 0 else -math.inf
    low, high = (float(end) for end in interval[1:-1].split(","))
    inside = low < number < high or (number == low and interval[0] == "[") or (number == high and interval[-1] == "]")
    if not inside:
        raise ValueError(f"{name}={value!r} is out of range: give a number in {interval}")
    return number


def real_of_rows(name: str, value: Any, number: int, of_number: str, of_rows: str) -> float | Array:
    """Return a number as a float, or one for each row as a float64 array; each has an interval of its own."""
    if np.ndim(value) == 0:
        return real(name, value, of_number)
    array = _numeric(name, value).astype(np.float64, copy=False)
    if array.shape != (number,):
        raise ValueError(f"{name} has shape {array.shape}: give one number, or one for each row, shape ({number},)")
    low = float(of_rows[1:-1].split(",")[0])
    inside = np.isfinite(array) & (array >= low if of_rows[0] == "[" else array > low)
    _require(inside, name, array, f"finite numbers in {of_rows}")
    return array


def margins(margin: ArrayLike) -> Array:
    """Return margins as a float32 or float64 array of shape (n,) or (n, L), without a copy where they are one."""
    array = _numeric("margin", margin)
    if array.dtype == np.float32 and array.dtype.isnative:
        return array
    with cuda.beside(array):
        return array.astype(np.float64, copy=False)


def labels(y_true: ArrayLike) -> Array:
    """Return labels as an array of shape (n,) or (n, L)."""
    return _numeric("y_true", y_true)


def scores(y_score: ArrayLike) -> Array:
    """Return finite scores as a float32 or float64 array of shape (n,) or (n, L), without a copy where they are one."""
    array = _numeric("y_score", y_score)
    _require(np.isfinite(array), "y_score", array, "finite numbers")
    return array if array.dtype == np.float32 and array.dtype.isnative else array.astype(np.float64, copy=False)


def probabilities_in_rows(probabilities: ArrayLike) -> Array:
    """Return probabilities as an array of shape (n,), (n, K) or (n, L); values are still to be checked."""
    return _numeric("probabilities", probabilities)


def check_probabilities(array: Array) -> None:
    """Raise if a probability is outside [0, 1], or NaN."""
    _require((array >= 0) & (array <= 1), "probabilities", array, "numbers in [0, 1]")


def weights(sample_weight: ArrayLike | None, number: int) -> Array | None:
    """Return sample weights as an array of shape (number,) that is not all zero."""
    if sample_weight is None:
        return None
    array = _numeric("sample_weight", sample_weight)
    if array.shape != (number,):
        raise ValueError(f"sample_weight has shape {array.shape}: give one weight per row, shape ({number},)")
    with cuda.beside(array):
        weighted = bool(array.any())
    if number and not weighted:
        raise ValueError(f"sample_weight is 0 in all {number} rows: give at least one positive weight")
    return array


def rows(y_true: ArrayLike, margin: ArrayLike, sample_weight: ArrayLike | None) -> tuple[Array, Array, Array | None]:
    """Return labels, margins and weights whose shapes belong together, in one place; values are still to be checked."""
    y, z = labels(y_true), margins(margin)
    if y.shape != z.shape and (y.ndim == z.ndim or y.shape[0] != z.shape[0] or y.ndim == 2):
        raise ValueError(
            f"y_true has shape {y.shape} and margin {z.shape}: give both one shape, (n,) or (n, L), or classes of "
            "shape (n,) with margins of shape (n, K)"
        )
    if y.ndim < z.ndim and z.shape[1] < 2:
        raise ValueError(f"margin has shape {z.shape} beside classes of shape {y.shape}: give a column for each class")
    weight = weights(sample_weight, z.shape[0])
    require_one_place(z, y_true=y, sample_weight=weight)
    return y, z, weight


def check_hessian(hessian: str, max_step: float | None) -> None:
    """Raise if `hessian` or `max_step` is not what `Loss.gradient_hessian` takes."""
    if hessian not in ("fisher", "exact"):
        raise ValueError(f"hessian={hessian!r} is not known: give 'fisher' or 'exact'")
    if max_step is not None:
        real("max_step", max_step, "[1e-6, inf]")


def columns_of(array: Array) -> int:
    """Return L for shape (n, L) and 1 for shape (n,)."""
    return array.shape[1] if array.ndim == 2 else 1


def check_rows(y: Array | None, z: Array | None, weight: Array | None, classes: int | None = None) -> None:
    """Raise if a label is not 0 or 1, a margin is not finite, or a weight is negative or not finite.

    Labels are classes, 0 to K - 1, where their number is given or margins have a dimension more.
    """
    if z is not None:
        _require(np.isfinite(z), "margin", z, "finite numbers")
        if y is not None and y.ndim < z.ndim:
            classes = z.shape[1]
    if y is not None and classes is not None:
        _require(
            (y >= 0) & (y < classes) & (y == np.floor(y)), "y_true", y, f"classes, whole numbers 0 to {classes - 1}"
        )
    elif y is not None:
        _require((y == 0) | (y == 1), "y_true", y, "labels 0 and 1")
    if weight is not None:
        _require((weight >= 0) & np.isfinite(weight), "sample_weight", weight, "finite weights >= 0")


def _require(valid: Array, name: str, array: Array, wanted: str) -> None:
    if not valid.all():
        where = np.unravel_index(int(np.argmin(valid)), valid.shape)
        place = ", ".join(str(int(i)) for i in where)
        raise ValueError(f"{name}[{place}] is {array[where].item()!r}: give {wanted}")


def require_one_place(margin: Array, **others: Array | None) -> None:
    """Raise unless all arrays lie where the margins do: on the host, or on one device."""
    place = _place_of(margin)
    for name, array in others.items():
        if array is not None and _place_of(array) != place:
            raise ValueError(
                f"{name} lies on {_place_of(array)} and margin on {place}: bring all arrays to one place, with "
                "cupy.asarray or cupy.asnumpy"
            )


def _place_of(array: Any) -> str:
    return f"CUDA device {array.device.id}" if cuda.is_device_array(array) else "the host"


def on_host(array: Any) -> Any:
    """Return an array, or a column of a data frame, as it is or, from a CUDA device, copied to the host."""
    if type(array).__module__.partition(".")[0] == "cudf":  # its columns may be words, which CuPy has not
        return array.to_pandas()
    return cuda.as_device_array(array).get() if cuda.is_device_array(array) else array


def _numeric(name: str, values: ArrayLike) -> Array:
    array = cuda.as_device_array(values) if cuda.is_device_array(values) else np.asarray(values)
    if array.dtype == object:  # pandas' nullable columns, lists of Decimal or of None
        with contextlib.suppress(TypeError, ValueError):
            array = array.astype(np.float64)
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        example = f", for instance {array.flat[0]!r}" if array.size else ""
        raise TypeError(f"{name} is an array of {array.dtype}{example}: give real numbers, float32 or float64")
    if array.ndim not in (1, 2):
        raise ValueError(f"{name} has shape {array.shape}: give (n,), or (n, L) for L labels per row")
    return array
