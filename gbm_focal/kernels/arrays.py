"""Which arrays the kernels of host and device read as they are; any other is copied to one that they read."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["C_NAMES", "readable"]

# The element types that the kernels read, with their names in C++; on the host, Reader in arrays.h knows them.
C_NAMES: dict[np.dtype[Any], str] = {
    np.dtype(np.float32): "float",
    np.dtype(np.float64): "double",
    np.dtype(np.int32): "int",
    np.dtype(np.int64): "long long",
    np.dtype(np.uint8): "unsigned char",
    np.dtype(np.bool_): "bool",
}


def readable(array: Any, otherwise: Any) -> Any:
    """Return an array, of NumPy or CuPy, that the kernels read, or None for None.

    Rare types and layouts (byte order, alignment, strides that split an element) are copied as a whole, to the type
    `otherwise`.
    """
    if array is None:
        return None
    aligned = getattr(array.flags, "aligned", True)  # CuPy's arrays do not say
    whole = all(stride % array.itemsize == 0 for stride in array.strides)
    return array if array.dtype in C_NAMES and aligned and whole else array.astype(otherwise)
