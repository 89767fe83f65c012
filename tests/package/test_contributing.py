"""The worked example of a new loss in CONTRIBUTING.md fits the sources."""

import shutil
import subprocess

import numpy as np
import pytest
from repository import CONTRIBUTING, SOURCES
from snippets import blocks_of, run_blocks

PROGRAM = """
#include <cstdio>
#include <initializer_list>
#include "losses.h"
namespace gbm_focal {
%s
}
int main() {
    using namespace gbm_focal;
    const Exponential<double> loss(nullptr, 0.8, 0.2);
    for (double z : {-1e4, -2.0, 0.0, 3.0, 1e4}) {
        const auto parts = parts_of(loss, z);
        const auto at = loss.at(z, parts);
        std::printf("%%g %%.17g", z, loss.posterior(at));
        for (bool y : {false, true}) {
            const auto exact = loss.exact(at, y);
            const double fisher = loss.fisher(at, y).hessian;
            std::printf(" %%.17g %%.17g %%.17g %%.17g", loss.value(at, y), exact.gradient, exact.hessian, fisher);
        }
        std::printf("\\n");
    }
}
"""


def test_functor_of_the_worked_example_is_its_numpy_form(tmp_path):
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    (functor,) = [block.code for block in blocks_of(CONTRIBUTING) if block.language == "cpp"]
    (tmp_path / "example.cpp").write_text(PROGRAM % functor)
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-I", str(SOURCES)]
    subprocess.run([compiler, *flags, str(tmp_path / "example.cpp"), "-o", str(tmp_path / "example")], check=True)
    printed = subprocess.run([tmp_path / "example"], check=True, capture_output=True, text=True).stdout
    rows = np.array([line.split() for line in printed.splitlines()], float)
    assert np.all(np.isfinite(rows))
    z, posterior, *_ = rows[1:-1].T
    loss = run_blocks(CONTRIBUTING)["Exponential"](alpha=0.8)
    np.testing.assert_allclose(posterior, loss.posterior(z), rtol=1e-14)
    for y, (value, gradient, exact, fisher) in enumerate((rows[1:-1].T[2:6], rows[1:-1].T[6:])):
        label = np.full(z.shape, y)
        np.testing.assert_allclose(value, loss.value(label, z), rtol=1e-14)
        np.testing.assert_allclose((gradient, exact), loss.gradient_hessian(label, z, hessian="exact"), rtol=1e-14)
        np.testing.assert_allclose((gradient, fisher), loss.gradient_hessian(label, z), rtol=1e-14)


def test_changes_of_the_worked_example_fit_the_sources():
    sources = [path.read_text().splitlines() for path in SOURCES.iterdir() if path.suffix in (".cpp", ".h", ".py")]
    changes = [block.code for block in blocks_of(CONTRIBUTING) if block.language == "diff"]
    assert changes
    for line in "".join(changes).splitlines():
        assert line.startswith("+") or any(line[1:] in source for source in sources), line
