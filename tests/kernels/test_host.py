"""The compiled module: its stub, and what it refuses."""

import re
import sys

import pytest
from programs import run_in_new_process
from repository import KERNELS

from gbm_focal import kernels


def test_missing_kernel_says_how_to_build_it():
    code = "import sys; sys.modules['gbm_focal.kernels._host'] = None\ntry:\n    import gbm_focal\n"
    assert "pip install -e ." in run_in_new_process(code + "except ImportError as e: print(e)")


def test_stub_matches_the_compiled_module():
    stub = (KERNELS / "_host.pyi").read_text()
    host = sys.modules["gbm_focal.kernels._host"]
    functions = {name for name in dir(host) if callable(getattr(host, name)) and not name.startswith("_")}
    assert functions == {"Losses", "value", "gradient_hessian", "posterior"}
    constants = {name for name in dir(host) if name.isupper()}
    assert constants == set(re.findall(r"^([A-Z_]+):", stub, re.MULTILINE)) == {"FAMILIES", "LARGEST_INTEGER_EXPONENT"}
    for name in functions - {"Losses"}:
        (declared,) = re.findall(rf"def {name}\((.*?)\) ->", stub, re.DOTALL)
        compiled = getattr(host, name).__doc__.splitlines()[0]
        assert re.findall(r"(\w+): ", declared) == re.findall(r"(\w+): ", compiled)


def test_kernel_refuses_what_the_python_layer_never_sends():
    import numpy as np

    z = np.zeros(3)
    losses = kernels.Losses("focal", [2.0, 2.0], [1.0], [1.0], [0.0])
    with pytest.raises(ValueError, match="one shape"):
        kernels.value(losses, z, z, None, np.zeros(4))
    with pytest.raises(ValueError, match="one sample weight a row"):
        kernels.value(losses, z, z, np.ones(2), np.zeros(3))
    with pytest.raises(TypeError, match="float32 and float64"):
        kernels.posterior(losses, z, np.zeros(3, int))
    with pytest.raises(ValueError, match="no family of losses of this name"):
        kernels.posterior(kernels.Losses("hinge", [], [1.0], [1.0], [0.0]), z, np.zeros(3))
    with pytest.raises(ValueError, match="wrong number of parameters"):
        kernels.posterior(kernels.Losses("power", [], [1.0], [1.0], [0.0]), z, np.zeros(3))
    with pytest.raises(IndexError):
        kernels.posterior(kernels.Losses("power", [1.0], [], [], []), z, np.zeros(3))
