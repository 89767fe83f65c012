"""The pages of docs/ and CONTRIBUTING.md: every block of Python runs, and what it prints is what the page shows."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from snippets import assert_alike, blocks_of, run_blocks
from test_cuda import cupy  # noqa: F401  (CuPy, or what stands in for it where there is no GPU)

ROOT = Path(__file__).parents[1]
KERNELS = ROOT / "gbm_focal" / "kernels"
GPU = ROOT / "docs" / "gpu.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
WITH_PYTHON = [
    page
    for page in (*sorted((ROOT / "docs").glob("**/*.md")), CONTRIBUTING)
    if page != GPU and any(block.language == "python" for block in blocks_of(page))
]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    pytest.importorskip("xgboost")
    pytest.importorskip("lightgbm")
    pytest.importorskip("matplotlib").use("Agg")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.stem)
def test_page_runs(page):
    run_blocks(page)


def test_page_of_the_gpu_runs(cupy, monkeypatch):  # noqa: F811
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    run_blocks(GPU)


# ---- numbers of the benchmarks ----

RESULTS = ROOT / "benchmarks" / "results"


def test_every_benchmark_is_shown():
    measured = (ROOT / "docs" / "measured.md").read_text(encoding="utf-8")
    for result in RESULTS.glob("*.md"):
        assert f"../benchmarks/results/{result.name}" in measured


@pytest.mark.parametrize(
    ("page", "quoted", "result", "method", "number"),
    [
        ("rare_events", "1.06 times", "rare_positives", "XGBoost FocalLoss(2)", "106%"),
        ("rare_events", "1.05 times", "rare_positives", "XGBoost AsymmetricLoss()", "105%"),
        ("rare_events", "0.06 times", "rare_positives", "LightGBM binary", "6%"),
        ("rare_events", "from 0.50 to 0.56", "rare_positives", "XGBoost FocalLoss(2)", "0.498 - 0.559"),
        ("rare_events", "differ by 0.005", "rare_positives", "XGBoost FocalLoss(2)", "0.536"),
        ("rare_events", "differ by 0.005", "rare_positives", "XGBoost AsymmetricLoss()", "0.531"),
        ("recall", "1.03 times", "calibration", "XGBoost | BalancedCrossEntropy()", "1.032"),
        ("recall", "has 0.99", "calibration", "XGBoost | FocalLoss(gamma=2)", "0.987"),
    ],
)
def test_quoted_numbers_were_measured(page, quoted, result, method, number):
    assert quoted in " ".join((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8").split())
    (row,) = [line for line in (RESULTS / f"{result}.md").read_text().splitlines() if line.startswith(f"| {method} |")]
    assert f" {number} |" in row


def test_key_table_of_the_readme_was_measured():
    def cells(line):
        return [cell.strip() for cell in line.strip("|").split("|")]

    lines = (RESULTS / "rare_positives.md").read_text(encoding="utf-8").splitlines()
    measured = {row[0]: row for row in map(cells, lines) if len(row) == 6}
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    rows = [cells(line) for line in readme if line.startswith(("| true prob", "| XGBoost", "| LightGBM"))]
    assert len(rows) == 9
    for name, precision, log_loss in rows:
        assert [precision, log_loss] == [measured[name][1], measured[name][4]]


# ---- the worked example of a new loss ----

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
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-I", str(KERNELS)]
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
    sources = [path.read_text().splitlines() for path in KERNELS.iterdir() if path.suffix in (".cpp", ".h", ".py")]
    changes = [block.code for block in blocks_of(CONTRIBUTING) if block.language == "diff"]
    assert changes
    for line in "".join(changes).splitlines():
        assert line.startswith("+") or any(line[1:] in source for source in sources), line


# ---- the machinery itself, which must notice a page that is wrong ----


def page_with(folder, text):
    page = folder / "page.md"
    page.write_text(text)
    return page


def test_blocks_share_their_names_and_errors_name_the_line(tmp_path):
    page = page_with(tmp_path, "# Page\n\n```python\nx = 2\n```\n\n```text\nx = 3\n```\n\n```python\nx += 1\n```\n")
    assert run_blocks(page)["x"] == 3
    with pytest.raises(ZeroDivisionError) as error:
        run_blocks(page_with(tmp_path, "text\n\n```python\nx = 1\nx / 0\n```\n"))
    assert error.traceback[-1].lineno + 1 == 5


@pytest.mark.parametrize("wrong", ["a 0.62", "b 0.5", "a 0.5 0.5", "a"])
def test_other_output_is_noticed(tmp_path, wrong):
    code = f"```python\nprint('{wrong}')\n```\n\n```output\na 0.50\n```\n"
    with pytest.raises(AssertionError):
        run_blocks(page_with(tmp_path, code))


def test_output_may_differ_in_the_last_digits():
    assert_alike("a 0.52 of 7 rows\n", "a 0.50  of 7 rows", "here")
    with pytest.raises(AssertionError, match="here shows"):
        assert_alike("a 0.50 of 8 rows", "a 0.50 of 7 rows", "here")
