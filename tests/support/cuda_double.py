"""A stand-in for CuPy on machines without a GPU.

Arrays keep their elements in NumPy and refuse what CuPy's refuse, above all to mix with NumPy's, or to be worked with
while another device is the current one. Kernels are the text that NVRTC would get, compiled for the host and run one
thread after another, each with its own indices; in float32 subnormal numbers count as 0, as CuPy has them. So layouts,
arguments, launches and indices are tested everywhere; what the device's compiler makes of them is not.
"""

import ctypes
import functools
import hashlib
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np

_PRELUDE = """
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif
#include <cmath>
#include <cstddef>
#include <cstring>
#include <utility>
#define __global__ static
#define __device__
struct Dimension { unsigned x; };
static thread_local Dimension gridDim, blockDim, blockIdx, threadIdx;
"""
_LAUNCH = """
template <class... A, std::size_t... I>
void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
    kernel(*static_cast<A*>(arguments[I])...);
}
template <class... A>
void launch_one(void (*kernel)(A...), void** arguments) { call(kernel, arguments, std::index_sequence_for<A...>()); }
extern "C" void launch(unsigned blocks, unsigned threads, void** arguments, int without_subnormals) {
#if defined(__SSE2__)
    const unsigned mode = _mm_getcsr();
    if (without_subnormals) _mm_setcsr(mode | 0x8040);
#endif
    gridDim.x = blocks;
    blockDim.x = threads;
    for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x)
        for (threadIdx.x = 0; threadIdx.x < threads; ++threadIdx.x) launch_one(&KERNEL, arguments);
#if defined(__SSE2__)
    _mm_setcsr(mode);
#endif
}
"""


_CURRENT = [0]  # devices, of which the last is the current one


class Device:
    """A device, and the context in which it is the current one."""

    def __init__(self, number):
        self.id = number

    def __enter__(self):
        _CURRENT.append(self.id)

    def __exit__(self, *error):
        _CURRENT.pop()

    def __eq__(self, other):
        return self.id == other.id

    __hash__ = None


class ndarray(np.lib.mixins.NDArrayOperatorsMixin):  # noqa: N801  (CuPy's name)
    """An array on the device."""

    def __init__(self, host):
        self._host = np.asarray(host)
        self.device = Device(_CURRENT[-1])

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed")

    @property
    def __cuda_array_interface__(self):
        return {**self._host.__array_interface__, "stream": 1}

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return _wrapped(getattr(ufunc, method)(*_unwrapped(inputs), **_unwrapped(kwargs)))

    def __array_function__(self, function, types, args, kwargs):
        return _wrapped(function(*_unwrapped(args, function), **_unwrapped(kwargs, function)))

    def __getattr__(self, name):
        # What CuPy's arrays have, too.
        if name in ("dtype", "shape", "ndim", "size", "itemsize", "strides", "flags", "item"):
            return getattr(self._host, name)
        if name in ("any", "all", "sum", "max", "astype", "reshape", "ravel"):
            method = getattr(_unwrapped(self), name)
            return lambda *args, **kwargs: _wrapped(method(*_unwrapped(args), **_unwrapped(kwargs)))
        raise AttributeError(f"this stand-in for CuPy's arrays has no {name}")

    def __getitem__(self, key):
        return _wrapped(_unwrapped(self)[_unwrapped(key)])

    def __setitem__(self, key, value):
        _unwrapped(self)[_unwrapped(key)] = _unwrapped(value)

    def __len__(self):
        return len(self._host)

    def __bool__(self):
        return bool(self._host)

    def __int__(self):
        return int(self._host)

    def __float__(self):
        return float(self._host)

    def get(self):
        """Copy to the host."""
        return self._host.copy(order="K")

    def set(self, values):
        """Copy from the host."""
        if not isinstance(values, np.ndarray) or values.dtype != self.dtype or values.shape != self.shape:
            raise TypeError(f"set needs a NumPy array of {self.dtype} and shape {self.shape}")
        _unwrapped(self)[...] = values


def _unwrapped(values, function=None):
    if isinstance(values, ndarray):
        if values.device.id != _CURRENT[-1]:
            raise ValueError(f"the array lies on device {values.device.id}, and the current one is {_CURRENT[-1]}")
        return values._host
    if isinstance(values, np.ndarray) and values.ndim and function is not np.asarray:
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    if isinstance(values, tuple | list):
        return type(values)(_unwrapped(value, function) for value in values)
    if isinstance(values, dict):
        return {key: _unwrapped(value, function) for key, value in values.items()}
    return values


def _wrapped(values):
    return ndarray(values) if isinstance(values, np.ndarray | np.generic) else values


def asarray(values, dtype=None):
    """Copy from the host, or from another device to the current one."""
    if isinstance(values, ndarray):
        return values if values.device.id == _CURRENT[-1] else ndarray(values._host.copy(order="K"))
    return ndarray(np.array(values, dtype, copy=True, order="K"))


def zeros(shape, dtype):
    """Zeros on the device."""
    return ndarray(np.zeros(shape, dtype))


class RawModule:
    """A module of kernels."""

    launches = 0

    def __init__(self, *, code, options, name_expressions):
        self._code = code
        self._options = options
        self._names = name_expressions

    def get_function(self, name):
        """Compile a kernel."""
        assert name in self._names
        library = _compiled(self._code, name, self._options)

        def kernel(grid, block, arguments):
            RawModule.launches += 1
            cells = [_cell(argument) for argument in arguments]
            pointers = (ctypes.c_void_p * len(cells))(*(ctypes.addressof(cell) for cell in cells))
            library.launch(ctypes.c_uint(*grid), ctypes.c_uint(*block), pointers, "<float" in name)

        return kernel


def _cell(argument):
    # CuPy passes a pointer for an array, and the bytes of a NumPy scalar.
    if isinstance(argument, ndarray):
        return ctypes.c_void_p(_unwrapped(argument).ctypes.data)
    assert isinstance(argument, np.generic), argument
    return np.ctypeslib.as_ctypes_type(argument.dtype)(argument.item())


@functools.cache
def _compiled(code, name, options):
    header = _precompiled(code, options)
    stem = header.with_name(hashlib.sha256((code + name).encode()).hexdigest())
    stem.with_suffix(".cpp").write_text(f'#include "{header}"\n' + _LAUNCH.replace("KERNEL", name))
    _compile(options, "-shared", f"{stem}.cpp", "-o", f"{stem}.so")
    return ctypes.CDLL(f"{stem}.so")


@functools.cache
def _precompiled(code, options):
    """What all kernels share, which takes most of the time to compile."""
    header = Path(_FOLDER.name) / f"{hashlib.sha256(code.encode()).hexdigest()}.h"
    header.write_text(_PRELUDE + code)
    _compile(options, "-x", "c++-header", str(header), "-o", f"{header}.gch")
    return header


def _compile(options, *arguments):
    standard = [option.replace("--std", "-std") for option in options]
    result = subprocess.run(["g++", *standard, "-O1", "-fPIC", *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


_FOLDER = tempfile.TemporaryDirectory()


class CUDARuntimeError(RuntimeError):
    """An error of CUDA's runtime."""


cuda = SimpleNamespace(
    Device=Device,
    get_current_stream=lambda: SimpleNamespace(synchronize=lambda: None),
    runtime=SimpleNamespace(getDeviceCount=lambda: 2, CUDARuntimeError=CUDARuntimeError),
)
