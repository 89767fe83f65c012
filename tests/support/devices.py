"""CuPy on a GPU, or what stands in for it."""

import contextlib

import cuda_double
import numpy as np
import pytest

from gbm_focal.kernels import cuda

TOLERANCE = {np.float32: 2e-6, np.float64: 1e-12}
LOST = {np.float32: 1e-35, np.float64: 2 * np.finfo(np.float64).tiny}  # see gbm_focal.kernels.cuda


@contextlib.contextmanager
def stand_in():
    """The stand-in where the package asks for CuPy.

    This reaches into the package, and into XGBoost: a user has no way to say that the host plays a GPU.
    """
    import xgboost

    with pytest.MonkeyPatch.context() as patch, fresh_kernels():
        patch.setattr(cuda, "_cupy", lambda: cuda_double)
        # XGBoost itself trains on the host here, so it gets there what the objective returns.
        update = xgboost.Booster.update

        def update_on_host(booster, dtrain, iteration, fobj=None):
            update(booster, dtrain, iteration, fobj and (lambda *given: tuple(map(on_host, fobj(*given)))))

        patch.setattr(xgboost.Booster, "update", update_on_host)
        with xgboost.config_context(verbosity=0):  # it warns of the missing GPU
            yield cuda_double


@contextlib.contextmanager
def fresh_kernels():
    """Kernels and settings of a device, which the package keeps, are those of no other."""
    for kept in (cuda._kernel, cuda._settings):
        kept.cache_clear()
    yield
    for kept in (cuda._kernel, cuda._settings):
        kept.cache_clear()


def require_two_devices(cupy):
    if cupy.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("there is one GPU")


def cupy_of_a_gpu():
    real = pytest.importorskip("cupy", reason="CuPy is not installed")
    if not real.is_available():
        pytest.skip("there is no NVIDIA GPU")
    return real


def on_host(array):
    return array._host if isinstance(array, cuda_double.ndarray) else array


def assert_same(actual, expected, dtype):
    assert cuda.is_device_array(actual)
    actual = actual.get()
    assert actual.dtype == expected.dtype == dtype
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=TOLERANCE[dtype], atol=LOST[dtype])
