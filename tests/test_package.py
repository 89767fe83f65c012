"""The package as a whole: imports, the header on every compiler at hand, the stub, the examples in docstrings."""

import doctest
import importlib
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from problems import run_in_new_process

import gbm_focal
from gbm_focal import kernels

HERE = Path(gbm_focal.__file__).parent
HEADER = HERE / "kernels" / "losses.h"

EVERY_FUNCTION = """
#include "losses.h"
using namespace gbm_focal;
template <class Loss, class Real>
GBM_FOCAL_FUNCTION Real everything(Real z) {
    const double parameters[] = {1, 4, 0.05, -2.9, 0};
    const Loss loss(parameters, 1, 1);
    const auto parts = parts_of(loss, z);
    const HessianBound<Real> bound{Real(0.5), Format<Real>::SMALLEST};
    const auto fisher = row_derivatives<false>(loss, bound, Real(1), z, parts, Real(1));
    const auto exact = row_derivatives<true>(loss, bound, Real(0), z, parts, Real(1));
    return fisher.gradient + exact.hessian + row_value(loss, Real(1), z, parts, Real(1)) +
           row_posterior(loss, z, parts) + Real(row_is_valid(Real(1), z)) + Real(weight_is_valid(z));
}
template <class Real>
GBM_FOCAL_FUNCTION Real all(Real z) {
    return everything<Focal<Real, IntegerExponent>>(z) + everything<Focal<Real, RealExponent>>(z) +
           everything<Asymmetric<Real, IntegerExponent>>(z) + everything<Asymmetric<Real, RealExponent>>(z) +
           everything<Power<Real>>(z);
}
"""


def test_import_is_free_of_engines():
    code = "import sys, gbm_focal; assert not {'dask', 'xgboost', 'lightgbm'} & set(sys.modules), 'engine imported'"
    run_in_new_process(code)


def test_engines_are_attributes():
    run_in_new_process(
        "import gbm_focal; gbm_focal.xgboost.train, gbm_focal.lightgbm.train, gbm_focal.dask.xgboost_train"
    )
    with pytest.raises(AttributeError, match="catboost"):
        _ = gbm_focal.catboost


@pytest.mark.parametrize("name", ["dask", "xgboost", "lightgbm"])
def test_missing_engine_says_what_to_install(name):
    code = f"import sys; sys.modules[{name!r}] = None\ntry:\n    import gbm_focal.{name}\n"
    assert f"pip install 'gbm_focal[{name}]'" in run_in_new_process(code + "except ImportError as e: print(e)")


def test_missing_kernel_says_how_to_build_it():
    code = "import sys; sys.modules['gbm_focal.kernels._host'] = None\ntry:\n    import gbm_focal\n"
    assert "pip install -e ." in run_in_new_process(code + "except ImportError as e: print(e)")


def compile_header(tmp_path, compiler, *flags, body):
    source = tmp_path / ("all.cu" if compiler.endswith("nvcc") else "all.cpp")
    source.write_text(EVERY_FUNCTION + body)
    command = [compiler, "-std=c++17", *flags, "-I", str(HEADER.parent), "-c", str(source), "-o", str(tmp_path / "out")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_header_compiles_on_the_host_without_warnings(tmp_path, compiler):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    body = "float f(float z) { return all(z); }\ndouble d(double z) { return all(z); }\n"
    compile_header(tmp_path, compiler, "-Wall", "-Wextra", "-Werror", body=body)


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_header_compiles_for_the_device(tmp_path, architecture):
    if shutil.which("nvcc") is None:
        pytest.skip("nvcc is not installed")
    body = "__global__ void f(float* z) { *z = all(*z); }\n__global__ void d(double* z) { *z = all(*z); }\n"
    compile_header(tmp_path, shutil.which("nvcc"), f"-arch={architecture}", "-Werror", "all-warnings", body=body)


def test_stub_matches_the_compiled_module():
    stub = (HERE / "kernels" / "_host.pyi").read_text()
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


@pytest.mark.parametrize(
    "name", ["losses.base", "metrics", "classifier", "xgboost.objective", "lightgbm.objective", "dask.classifier"]
)
def test_examples_in_docstrings(name):
    results = doctest.testmod(importlib.import_module(f"gbm_focal.{name}"))
    assert results.attempted > 0
    assert results.failed == 0


def test_public_names_have_docstrings():
    for name in gbm_focal.__all__:
        thing = getattr(gbm_focal, name)
        assert inspect.getdoc(thing)
        for method, function in inspect.getmembers(thing, inspect.isfunction):
            if not method.startswith("_") and function.__module__.startswith("gbm_focal"):
                assert inspect.getdoc(function), f"{name}.{method}"
