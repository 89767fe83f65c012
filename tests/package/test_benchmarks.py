"""The benchmarks of quality and of rare positives run, in small, go on where they were, and say what they measured."""

import csv
import importlib
import sys

import numpy as np
import pytest
from repository import BENCHMARKS
from sklearn.metrics import average_precision_score

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


@pytest.fixture
def rare_real(quality):
    return importlib.import_module("rare_real")


@pytest.fixture
def folder(tmp_path):
    """Two sets whose positives are common, and one that has too few."""
    pandas = importlib.import_module("pandas")
    rng = np.random.default_rng(0)
    for name, rows, rate in (("one", 1500, 0.2), ("other", 1200, 0.3), ("few", 500, 0.004)):
        X = rng.normal(size=(rows, 4))
        score = X[:, 0] + 0.7 * rng.normal(size=rows)
        frame = pandas.DataFrame(X.astype(np.float32), columns=list("abcd"))
        # Not the last column, which would be a label of another kind.
        frame.insert(1, "positive", (score > np.quantile(score, 1 - rate)).astype(np.int8))
        frame.to_parquet(tmp_path / f"{name}.parquet")
    return tmp_path


def test_rare_positives_are_thinned_cut_and_judged(rare_real, without_competitors, folder, capsys, monkeypatch):
    monkeypatch.setattr(rare_real, "ROUNDS", 5)
    arguments = ["--data", str(folder), "--rates", "0.05", "0.1", "--repeats", "1", "--fewest", "15", "--engines"]
    arguments += ["XGBoost", "LightGBM", "--losses", "FocalLoss(2)", "--max-step", "2", "0.5", "--normalize", "yes"]
    arguments += ["--cache", str(folder / "cache.csv"), "--output", str(folder / "results")]
    rare_real.main(arguments)
    text = (folder / "results" / "rare_real.md").read_text()
    assert text in capsys.readouterr().out
    assert "- Left out: few: 2 of 500 rows are positive" in text
    rows = rows_of(folder / "cache.csv")
    assert len(rows) == 2 * 2 * 2 * 12  # sets, rates, halves, methods
    problem = rare_real.of_file(folder / "one.parquet")
    negatives = int((problem.y == 0).sum())
    row = next(row for row in rows if row["data"] == "one" and row["rate"] == "0.1")
    assert int(row["positives"]) / int(row["rows"]) == pytest.approx(0.1, abs=2e-3)
    assert int(row["rows"]) == pytest.approx(negatives / 0.9 / 2, abs=2)

    # The number in the table follows from the rows: the mean ratio of few sets is that of all.
    def mean(data, rate, method):
        of_method = [r for r in rows if (r["data"], r["rate"], r["method"]) == (data, rate, method)]
        return np.mean([float(row["average_precision"]) for row in of_method])

    method = "LightGBM FocalLoss(2), max_step=0.5"
    ratios = sorted(
        mean(data, rate, method) / mean(data, rate, "LightGBM logistic")
        for data in ("one", "other")
        for rate in ("0.05", "0.1")
    )
    assert float(cells_of(text, method)[2]) == pytest.approx(np.sqrt(ratios[1] * ratios[2]), abs=6e-4)
    assert float(cells_of(text, method)[3]) == pytest.approx(np.median(ratios), abs=6e-4)
    names = {path.name for path in (folder / "results").iterdir()}
    assert names == {"rare_real.md", "rare_real.csv", "rare_real_by_rate.svg", "rare_real_by_positives.svg"}

    # As if killed: what was lost is computed again, and no more.
    complete = (folder / "cache.csv").read_text()
    (folder / "cache.csv").write_text(complete[:-10])
    again, known = [], rare_real.rows_of
    monkeypatch.setattr(rare_real, "rows_of", lambda job: again.extend(job.keys) or known(job))
    rare_real.main(arguments)
    assert [key[1:] for key in again] == [("other", "0.1", "0", "1", method)]


def test_halves_share_no_row_and_cover_the_thinned_set(rare_real):
    rng = np.random.default_rng(0)
    X = np.arange(1000, dtype=np.float32)[:, np.newaxis]
    problem = rare_real.Problem("all different", X, (rng.random(1000) < 0.4).astype(int))
    sampling = rare_real.Sampling(rows=500, fewest=10, seed=0)
    jobs = [rare_real.Job((), (), problem, sampling, 0.1, repeat, half) for repeat in (0, 1) for half in (0, 1)]
    (first, second), swapped, (other, _), _ = (rare_real.halves(job) for job in jobs)
    np.testing.assert_array_equal(first.X, swapped[1].X)
    assert not set(first.X[:, 0]) & set(second.X[:, 0])
    assert abs(int(first.y.sum()) - int(second.y.sum())) <= 1
    assert len(first.y) + len(second.y) == 500 + round(500 / 9)
    assert set(other.X[:, 0]) != set(first.X[:, 0])


def test_a_folder_without_usable_sets_says_why(rare_real, folder, capsys):
    with pytest.raises(SystemExit):
        rare_real.main(["--data", str(folder), "--only", "few", "--cache", str(folder / "cache.csv")])
    error = capsys.readouterr().err
    assert "few: 2 of 500 rows are positive" in error
    assert "--fewest" in error


@pytest.fixture
def card_fraud(quality):
    return importlib.import_module("card_fraud")


def test_known_and_found_cards_are_left_out(card_fraud):
    pandas = importlib.import_module("pandas")
    frauds = {(2, 10), (7, 20), (8, 30), (14, 40)}  # day, card
    rows = [(day, card, int((day, card) in frauds)) for day in range(21) for card in (10, 20, 30, 40, 50)]
    transactions = pandas.DataFrame(rows, columns=["TX_TIME_DAYS", "CUSTOMER_ID", "TX_FRAUD"])
    one = card_fraud.window(transactions, 0)
    assert set(one.training["TX_TIME_DAYS"]) == set(range(7))
    cards = one.test.groupby("TX_TIME_DAYS")["CUSTOMER_ID"].agg(set).to_dict()
    # Card 10 was known from the start, 20 from day 7 on 8 days later, 30 a day after; 40 would be on day 22.
    assert cards[14] == {20, 30, 40, 50}
    assert cards[15] == {30, 40, 50}
    assert all(cards[day] == {40, 50} for day in range(16, 21))
    # Two days, the same two cards on top: the compromised one is found on the first and left out on the second.
    test = pandas.DataFrame({"TX_TIME_DAYS": [0, 0, 0, 1, 1], "CUSTOMER_ID": [1, 1, 2, 1, 2]})
    test["TX_FRAUD"] = [0, 1, 0, 1, 0]
    assert card_fraud.card_precision(test, np.array([0.9, 0.1, 0.5, 0.9, 0.5])) == pytest.approx(0.5 / 100)
    y = np.array([0, 1, 0, 1, 1, 0])
    data = pandas.DataFrame({"CUSTOMER_ID": [1, 1, 2, 2, 3, 3], "TX_FRAUD": y})
    good, bad = np.array([0, 1, 0, 1, 1, 0.0]), np.array([1, 0, 1, 0, 0, 1.0])
    gain = average_precision_score(y, good) - average_precision_score(y, bad)
    low, high = card_fraud.difference(data, good, bad)
    assert low <= gain <= high
    assert low > 0
