"""What tests of all rooms share."""

import os

# Two processes run tests (see addopts in pyproject.toml), and in each an engine's threads would only wait for each
# other. Before the engines are imported; programs that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("LOKY_MAX_CPU_COUNT", "1")  # by which LightGBM's estimators count threads

import pytest
from devices import cupy_of_a_gpu, stand_in
from hypothesis import settings
from instances import LOSS_INSTANCES

settings.register_profile("default", deadline=None, derandomize=True, max_examples=100)
settings.register_profile("million", deadline=None, max_examples=1_000_000, database=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(params=LOSS_INSTANCES, ids=repr)
def loss(request):
    return request.param


@pytest.fixture(params=["stand-in", pytest.param("device", marks=pytest.mark.gpu)])
def cupy(request):
    """CuPy, or what stands in for it."""
    if request.param == "device":
        yield cupy_of_a_gpu()
    else:
        with stand_in() as double:
            yield double
