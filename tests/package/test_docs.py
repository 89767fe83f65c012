"""The pages of docs/ and CONTRIBUTING.md: every block of Python runs, and what it prints is what the page shows."""

import shutil
import sys

import pytest
from lightgbm_data import estimators_ask_for_names
from repository import BENCHMARKS, CONTRIBUTING, DOCS, README
from snippets import blocks_of, run_blocks
from xgboost_data import XGBOOST_STARTS_COLUMNS_APART

GPU, MLFLOW = DOCS / "gpu.md", DOCS / "mlflow.md"
WITH_PYTHON = [
    page
    for page in (*sorted(DOCS.glob("**/*.md")), CONTRIBUTING)
    if page not in (GPU, MLFLOW) and any(block.language == "python" for block in blocks_of(page))
]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    pytest.importorskip("xgboost")
    pytest.importorskip("lightgbm")
    pytest.importorskip("matplotlib").use("Agg")
    monkeypatch.chdir(tmp_path)
    shutil.copy(DOCS / "link_vectors.json", tmp_path)  # which docs/link_format.md reads


@estimators_ask_for_names
@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.stem)
def test_page_runs(page):
    if page.stem == "labels" and not XGBOOST_STARTS_COLUMNS_APART:
        pytest.skip("this XGBoost starts all classes at one margin, and ends at other numbers than the page shows")
    run_blocks(page)


def test_page_of_the_gpu_runs(cupy, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    run_blocks(GPU)


@pytest.mark.filterwarnings("ignore")  # MLflow's are about its own plans
def test_page_of_mlflow_runs():
    pytest.importorskip("mlflow", reason="MLflow brings a web server: nox -s mlflow runs this page")
    run_blocks(MLFLOW)


RESULTS = BENCHMARKS / "results"
RISING = "precision rises with the score, 0.2%"


def test_every_benchmark_is_shown():
    measured = (DOCS / "measured.md").read_text(encoding="utf-8")
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
        ("rare_events", "1.013, 0.971 |", "rare_real", "XGBoost FocalLoss(2) | 0.391", "1.013"),
        ("rare_events", "| 1.041, 0.921 |", "rare_real", "XGBoost FocalLoss(2), pseudo_count=2 | 0.392", "1.041"),
        ("rare_events", "1.106, 0.586 |", "rare_real", "LightGBM FocalLoss(2), pseudo_count=2 | 0.406", "0.586"),
        ("rare_events", "| 1.065, 0.918 |", "rare_real", "XGBoost AsymmetricLoss(), pseudo_count=2 | 0.398", "1.065"),
        ("rare_events", "1.107, 0.577 |", "rare_real", "LightGBM AsymmetricLoss(), pseudo_count=2 | 0.408", "1.107"),
        ("rare_events", "1.071, 0.602 |", "rare_real", "LightGBM logistic, pseudo_count=2 | 0.403", "1.071"),
        ("base_rates", "| 0.966, 0.955 |", "base_rates", "XGBoost | one negative in 10, base_rate", "0.966"),
        ("base_rates", "| 0.966, 0.955 |", "base_rates", "LightGBM | one negative in 10, base_rate", "0.955"),
        ("base_rates", "| 1.007, 1.009 |", "base_rates", "XGBoost | one negative in 10, base_rate", "1.007"),
        ("base_rates", "| 1.007, 1.009 |", "base_rates", "LightGBM | one negative in 10, base_rate", "1.009"),
        (
            "base_rates",
            "| 1.128, 1.113 |",
            "base_rates",
            "XGBoost | one negative in 100, which weighs 100 times",
            "1.128",
        ),
        ("base_rates", "give 0.78 of it", "base_rates_estimated", "0.25 times the training's | 100,000", "0.78"),
        ("base_rates", "1.03 from calibrated", "base_rates_estimated", "0.25 times the training's | 100,000", "1.03"),
        ("recall", "1.03 times", "calibration", "XGBoost | BalancedCrossEntropy()", "1.032"),
        (
            "decisions",
            "3.8 %, 3.5 % and 3.0 %",
            "promises",
            f"{RISING} | 50 | threshold_at_precision, confidence 0.9",
            "3.8%",
        ),
        (
            "decisions",
            "3.8 %, 3.5 % and 3.0 %",
            "promises",
            f"{RISING} | 200 | threshold_at_precision, confidence 0.9",
            "3.5%",
        ),
        (
            "decisions",
            "3.8 %, 3.5 % and 3.0 %",
            "promises",
            f"{RISING} | 1000 | threshold_at_precision, confidence 0.9",
            "3.0%",
        ),
        ("decisions", "33.3 %, 38.7 % and 44.7 %", "promises", f"{RISING} | 50 | threshold_at_precision", "33.3%"),
        ("decisions", "33.3 %, 38.7 % and 44.7 %", "promises", f"{RISING} | 200 | threshold_at_precision", "38.7%"),
        ("decisions", "33.3 %, 38.7 % and 44.7 %", "promises", f"{RISING} | 1000 | threshold_at_precision", "44.7%"),
        (
            "decisions",
            "0.91, 0.96 and 0.98",
            "promises",
            f"{RISING} | 50 | threshold_at_precision, confidence 0.9",
            "0.91",
        ),
        (
            "decisions",
            "0.91, 0.96 and 0.98",
            "promises",
            f"{RISING} | 200 | threshold_at_precision, confidence 0.9",
            "0.96",
        ),
        (
            "decisions",
            "0.91, 0.96 and 0.98",
            "promises",
            f"{RISING} | 1000 | threshold_at_precision, confidence 0.9",
            "0.98",
        ),
        ("recall", "has 0.99", "calibration", "XGBoost | FocalLoss(gamma=2)", "0.987"),
    ],
)
def test_quoted_numbers_were_measured(page, quoted, result, method, number):
    assert quoted in " ".join((DOCS / f"{page}.md").read_text(encoding="utf-8").split())
    (row,) = [line for line in (RESULTS / f"{result}.md").read_text().splitlines() if line.startswith(f"| {method} |")]
    assert f" {number} |" in row


def test_key_table_of_the_readme_was_measured():
    def cells(line):
        return [cell.strip() for cell in line.strip("|").split("|")]

    lines = (RESULTS / "rare_positives.md").read_text(encoding="utf-8").splitlines()
    measured = {row[0]: row for row in map(cells, lines) if len(row) == 6}
    readme = README.read_text(encoding="utf-8").splitlines()
    rows = [cells(line) for line in readme if line.startswith(("| true prob", "| XGBoost", "| LightGBM"))]
    assert len(rows) == 9
    for name, precision, log_loss in rows:
        assert [precision, log_loss] == [measured[name][1], measured[name][4]]
