"""The sources on every compiler at hand, of the host and of the device."""

import importlib
import shutil
import subprocess

import pytest
from repository import KERNELS

from gbm_focal.kernels import cuda

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


each_architecture = pytest.mark.parametrize("architecture", ["sm_90", pytest.param("sm_80", marks=pytest.mark.slow)])


def compile_header(tmp_path, compiler, *flags, body):
    source = tmp_path / ("all.cu" if compiler.endswith("nvcc") else "all.cpp")
    source.write_text(EVERY_FUNCTION + body)
    command = [compiler, "-std=c++17", *flags, "-I", str(KERNELS), "-c", str(source), "-o", str(tmp_path / "out")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_header_compiles_on_the_host_without_warnings(tmp_path, compiler):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    body = "float f(float z) { return all(z); }\ndouble d(double z) { return all(z); }\n"
    compile_header(tmp_path, compiler, "-Wall", "-Wextra", "-Werror", body=body)


@each_architecture
def test_header_compiles_for_the_device(tmp_path, architecture):
    if shutil.which("nvcc") is None:
        pytest.skip("nvcc is not installed")
    body = "__global__ void f(float* z) { *z = all(*z); }\n__global__ void d(double* z) { *z = all(*z); }\n"
    compile_header(tmp_path, shutil.which("nvcc"), f"-arch={architecture}", "-Werror", "all-warnings", body=body)


def every_kernel():
    for real in ("float", "double"):
        losses = [f"gbm_focal::Power<{real}>"] + [
            f"gbm_focal::{family}<{real}, gbm_focal::{exponent}>"
            for family in ("Focal", "Asymmetric", "SoftmaxFocal")
            for exponent in ("IntegerExponent", "RealExponent")
        ]
        for loss in losses:
            for what in ("VALUE", "FISHER", "EXACT", "POSTERIOR"):
                yield cuda._expression(what, loss, real, "float", "double")


@each_architecture
def test_every_kernel_compiles_with_nvrtc(architecture):
    try:
        nvrtc = importlib.import_module("cupy_backends.cuda.libs.nvrtc")
        nvrtc.getVersion()
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"CuPy or NVRTC is not installed: {error}")
    kernels = list(every_kernel())
    program = nvrtc.createProgram(cuda._source(), "gbm_focal.cu", (), ())
    for kernel in kernels:
        nvrtc.addNameExpression(program, kernel)
    try:
        nvrtc.compileProgram(program, (*cuda._OPTIONS, "-ftz=true", f"-arch={architecture}", "-Werror", "all-warnings"))
    except nvrtc.NVRTCError:
        pytest.fail(nvrtc.getProgramLog(program))
    binary = nvrtc.getCUBIN(program)
    names = {nvrtc.getLoweredName(program, kernel) for kernel in kernels}
    assert len(names) == len(kernels)
    assert all(name.encode() in binary for name in names)
