"""The benchmark of quality runs, in small, goes on where it was, and says what it measured."""

import csv
import importlib
import sys

import numpy as np
import pytest
from repository import BENCHMARKS

SMALL = ["--only", "diabetes", "--trials", "1", "--repeats", "1", "--rows", "400"]
METHODS = ["XGBoost logistic", "XGBoost FocalLoss", "LightGBM AsymmetricLoss"]


@pytest.fixture(scope="module")
def quality():
    for needed in ("xgboost", "lightgbm", "matplotlib", "pandas", "tqdm", "optuna"):
        pytest.importorskip(needed)
    path = list(sys.path)
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("quality.__main__")
    sys.path[:] = path


@pytest.fixture
def without_competitors(monkeypatch):
    for package in ("catboost", "gbdtCBL", "ydf"):
        monkeypatch.setitem(sys.modules, package, None)


def rows_of(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def cells_of(text, method):
    """Cells of the first row that begins with a name."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {method} |"))
    return [cell.strip() for cell in line.strip("| ").split("|")]


def test_it_runs_and_goes_on_where_it_was(quality, without_competitors, tmp_path, capsys, monkeypatch):
    arguments = [*SMALL, "--output", str(tmp_path), "--methods", *METHODS, "CatBoost Focal"]
    quality.main([*arguments, "--jobs", "2"])
    text = (tmp_path / "quality.md").read_text()
    assert text in capsys.readouterr().out
    assert "Not compared, because catboost is not installed: CatBoost Focal." in text
    assert str(tmp_path) not in text
    path = tmp_path / "quality.csv"
    rows = rows_of(path)
    assert sorted((row["method"], row["fold"]) for row in rows) == sorted((m, f) for m in METHODS for f in "01")
    for method in METHODS:
        precision = np.mean([float(row["average_precision"]) for row in rows if row["method"] == method])
        assert float(cells_of(text, method)[1]) == pytest.approx(precision, abs=6e-4)
        assert 0.1 < precision < 0.9
    losses = {m: np.mean([float(row["log_loss"]) for row in rows if row["method"] == m]) for m in METHODS}
    ratio = losses["XGBoost FocalLoss"] / losses["XGBoost logistic"]
    assert float(cells_of(text, "XGBoost FocalLoss")[4]) == pytest.approx(ratio, abs=6e-4)
    assert f"XGBoost logistic: {ratio:.3f}" in text

    # As if killed in the middle of writing the last row: that one is computed again, and no other.
    complete = path.read_bytes()
    path.write_bytes(complete[:-20])
    computed, row_of = [], quality.trials.row_of
    monkeypatch.setattr(quality.trials, "row_of", lambda job: computed.append(job.key) or row_of(job))
    quality.main([*arguments, "--jobs", "1"])
    assert computed == [tuple(rows[-1][name] for name in quality.trials.KEY)]
    again = rows_of(path)
    for row in (*rows, *again):
        del row["seconds"]
    assert again == rows

    quality.main([*arguments, "--jobs", "1"])
    assert len(computed) == 1
    quality.main([*arguments[:-1], "--jobs", "1", "--seed", "1"])
    assert len(computed) == 1 + len(rows)


def test_what_fails_is_said(quality, tmp_path, capsys, monkeypatch):
    def fails(setting, training, validation, rounds, seed):
        raise ValueError("no such loss here")

    broken = quality.METHODS["YDF BINARY_FOCAL_LOSS"]._replace(fit=fails, package="json")
    monkeypatch.setitem(quality.METHODS, "YDF BINARY_FOCAL_LOSS", broken)
    arguments = [*SMALL, "--output", str(tmp_path), "--jobs", "1", "--methods", METHODS[0], "YDF BINARY_FOCAL_LOSS"]
    quality.main(arguments)
    text = capsys.readouterr().out
    assert "YDF BINARY_FOCAL_LOSS failed on 2 test parts and is left out everywhere: ValueError: no such loss" in text
    assert not any(line.startswith("| YDF") for line in text.splitlines())
    # Ours may not fail in silence.
    monkeypatch.setitem(quality.METHODS, "XGBoost FocalLoss", broken._replace(package="gbm_focal"))
    with pytest.raises(ValueError, match="no such loss"):
        quality.main([*arguments[:-2], "XGBoost FocalLoss"])


def test_files_of_a_folder(quality, tmp_path, capsys):
    rng = np.random.default_rng(0)
    lines = ["size,kind,label"]
    for size in rng.normal(size=300):
        label = "rare" if size + 0.5 * rng.normal() > 1.5 else rng.choice(["usual", "common"])
        lines.append(f"{size:.3f},{rng.choice(['a', 'b', '?'])},{label}")
    (tmp_path / "things.csv").write_text("\n".join(lines))
    (path,) = quality.files_of(tmp_path)
    problem = quality.of_file(path)
    labels = [line.split(",")[-1] for line in lines[1:]]
    np.testing.assert_array_equal(problem.y, [label == "rare" for label in labels])
    kinds = np.array([line.split(",")[1] for line in lines[1:]])
    np.testing.assert_array_equal(np.isnan(problem.X[:, 1]), kinds == "?")
    assert len(np.unique(problem.X[kinds == "a", 1])) == 1
    arguments = ["--data", str(tmp_path), "--only", "things", "--output", str(tmp_path / "results")]
    with pytest.raises(SystemExit):
        quality.main([*arguments, "--folds", "10"])
    assert "things: " in capsys.readouterr().err
    with pytest.raises(SystemExit):
        quality.main([*arguments, "--trials", "0"])
    assert "--trials 0 is too few" in capsys.readouterr().err
    (tmp_path / "diabetes.csv").write_text("\n".join(lines))
    with pytest.raises(SystemExit):
        quality.main(arguments)
    assert "two data sets are called 'diabetes'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        quality.main(["--only", "nothing"])
    assert "no data set 'nothing'" in capsys.readouterr().err


def test_simulators_know_their_probabilities(quality):
    makers = quality.built_in(4000, seed=3)
    for name in ("simulated, 30 % unnoticed", "simulated fraud"):
        problem = makers[name]()
        variance = (problem.truth * (1 - problem.truth)).sum()
        assert abs(problem.y.sum() - problem.truth.sum()) < 4 * np.sqrt(variance), name
        # The labels of high probability are the positives, and not only as many as expected.
        top = problem.truth > np.quantile(problem.truth, 0.95)
        variance = (problem.truth * (1 - problem.truth))[top].sum()
        assert abs((problem.y - problem.truth)[top].sum()) < 4 * np.sqrt(variance), name


def test_critical_difference_and_holm(quality):
    report = importlib.import_module("quality.report")
    # Quantiles of Nemenyi's test at 5 %, from table 5 of Demšar (2006).
    for methods, quantile in ((2, 1.960), (5, 2.728), (10, 3.164)):
        expected = quantile * np.sqrt(methods * (methods + 1) / (6 * 30))
        assert report.critical_difference(methods, 30) == pytest.approx(expected, rel=1e-3)
    assert report.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert report.holm([0.9, 0.8]) == [1.0, 1.0]
