"""The examples run, in small."""

import importlib.util
import re
import sys

import numpy as np
import pytest
from programs import run_in_new_process, run_program
from repository import EXAMPLES


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def fraud_detection():
    for needed in ("xgboost", "lightgbm", "matplotlib", "pandas", "tqdm"):
        pytest.importorskip(needed)
    return example("fraud_detection")


def test_fraud_detection_on_simulated_data(fraud_detection, tmp_path, capsys):
    fraud_detection.main(["--rows", "5000", "--output", str(tmp_path / "curves.png")])
    table = capsys.readouterr().out
    for method in ("truth", "built-in logistic", "FocalLoss(gamma=2)", "AsymmetricLoss()", "BalancedCrossEntropy()"):
        assert method in table
    assert "Budget of 5 alerts: " in table
    costs = [
        float(cost) for cost in re.findall(r"^  .*: (\d+)", table.partition("Cost of 1,000 rows")[2], re.MULTILINE)
    ]
    assert len(costs) == 3
    assert costs[2] < costs[0]
    assert (tmp_path / "curves.png").stat().st_size > 20_000


@pytest.mark.parametrize("header", [False, True])
def test_fraud_detection_on_a_csv_file(fraud_detection, tmp_path, capsys, header):
    rng = np.random.default_rng(0)
    path = tmp_path / "data.csv"
    lines = ["amount,kind,fraud"] if header else []
    for amount in rng.normal(size=600):
        label = "yes" if amount + rng.normal() > 2 else "no"
        lines.append(f"{amount:.4f},{rng.choice(['a', 'b'])},'{label}'")
    path.write_text("\n".join(lines))
    target = "fraud" if header else "-1"
    output = ["--output", str(tmp_path / "curves.png")]
    fraud_detection.main(["--csv", str(path), "--target", target, "--positive", "yes", *output])
    assert "AsymmetricLoss()" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        fraud_detection.main(["--csv", str(path), "--target", "colour", "--positive", "yes", *output])
    assert "no column 'colour'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        fraud_detection.main(["--csv", str(path), "--target", target, "--positive", "maybe", *output])
    assert "'maybe'" in capsys.readouterr().err


def test_production(tmp_path, capsys):
    for needed in ("lightgbm", "onnxruntime", "matplotlib"):
        pytest.importorskip(needed)
    example("production").main(["--rows", "3000", "--output", str(tmp_path / "curves.png")])
    printed = capsys.readouterr().out
    weeks = [line.split() for line in printed.splitlines() if line.strip()[:1].isdigit()]
    assert len(weeks) == 26
    highest = [float(week[3].rstrip("%")) for week in weeks[10:15]]
    assert np.mean(highest) > 1.2  # percent; it was 0.5 at the start
    assert "fraud has changed" in printed
    trained, adapted = (float(line.split()[-1]) for line in printed.splitlines() if line.startswith("mean log loss"))
    assert adapted < trained
    assert (tmp_path / "curves.png").stat().st_size > 20_000


@pytest.fixture(scope="module")
def flare_forecast(fraud_detection):
    return example("flare_forecast")


@pytest.mark.parametrize("engine", ["xgboost", "lightgbm"])
def test_flare_forecast_on_simulated_regions(flare_forecast, tmp_path, capsys, engine):
    output = tmp_path / "flares.png"
    flare_forecast.main(["--rows", "2000", "--rounds", "4", "--engine", engine, "--output", str(output)])
    table = capsys.readouterr().out
    for word in ("strongest flare", "flares of each class", "AsymmetricLoss", "threshold at base rate", "TSS", "HSS"):
        assert word in table
    assert output.stat().st_size > 20_000


def test_flare_forecast_on_a_keel_file(flare_forecast, tmp_path, capsys):
    random = np.random.default_rng(0)
    names = ["Area", "Evolution", "C-class", "M-class", "X-class"]
    lines = ["@relation flare", *(f"@attribute {name} {{0, 1}}" for name in names), "@data"]
    for _ in range(400):
        area, evolution = random.integers(2), random.integers(3)
        flares = random.random(3) < np.array([0.3, 0.1, 0.002]) * (1 + area)
        lines.append(", ".join(map(str, [area, evolution, *flares.astype(int)])))
    path = tmp_path / "flare.dat"
    path.write_text("\n".join(lines))
    output = ["--rounds", "3", "--output", str(tmp_path / "flares.png")]
    flare_forecast.main(["--csv", str(path), *output])
    assert "M or more" in capsys.readouterr().out
    path.write_text("a,b\n1,2\n")
    with pytest.raises(SystemExit):
        flare_forecast.main(["--csv", str(path), *output])
    assert "no line @data" in capsys.readouterr().err


def test_sklearn_pipeline(fraud_detection, capsys):
    example("sklearn_pipeline").main(["--rows", "1500"])
    output = capsys.readouterr().out
    assert "best of 12 combinations" in output
    costs = [float(line.split()[-1]) for line in output.splitlines() if "cost per loan" in line]
    assert len(costs) == 3


@pytest.mark.parametrize("engine", ["xgboost", pytest.param("lightgbm", marks=pytest.mark.slow)])
def test_tuning(fraud_detection, capsys, monkeypatch, engine):
    for needed in ("optuna", "optuna_integration"):
        pytest.importorskip(needed)
    tuning = example("tuning")
    monkeypatch.setattr(tuning, "TEST_ROWS", 5000)
    monkeypatch.setattr(tuning, "MOST_ROUNDS", 25)
    tuning.main(["--rows", "5000", "--trials", "6", "--seeds", "2", "--jobs", "1", "--engine", engine])
    output = capsys.readouterr().out
    for name in tuning.SEARCHES:
        (line,) = [line for line in output.splitlines() if line.startswith(f"{name}  ")]
        chosen = [tuple(map(float, one.split("/"))) for one in line.split("   ")[-1].split(", ")]
        assert len(chosen) == 2
        for gamma, ratio in chosen:  # in its last stage a search has one of them from the stage before
            assert 0.5 <= gamma <= 5
            assert 0.1 <= ratio <= 300
    assert output.count(" random search (two standard errors decide)") == 2
    with pytest.raises(SystemExit):
        tuning.main(["--trials", "1"])
    assert "4 or more --trials" in capsys.readouterr().err


def test_stages_of_the_search_fix_what_they_say(fraud_detection):
    optuna = pytest.importorskip("optuna")
    pytest.importorskip("optuna_integration")
    tuning = example("tuning")

    class Known(tuning.Engine):
        """Finds the best value at gamma 3 and a ratio of 20."""

        direction = "maximize"

        def __init__(self):
            self.tried = []

        def train(self, loss, learning_rate, trial):
            ratio = loss.alpha / (1 - loss.alpha)
            self.tried.append((loss.gamma, ratio))
            value = -abs(loss.gamma - 3) - abs(np.log(ratio / 20))
            if trial is not None:
                trial.report(value, 0)
            return None, value, 1

        def outcome_of(self, gamma, ratio, learning_rate):
            return tuning.Outcome(0.0, 0.0, gamma, ratio, 0)

    for name, stages in tuning.SEARCHES.items():
        engine = Known()
        outcome = tuning.search(engine, stages, 20, seed=0)
        gammas, ratios = np.array(engine.tried).T
        assert (gammas[0], ratios[0]) == pytest.approx((2, 1))
        best = np.argmax(-np.abs(gammas - 3) - np.abs(np.log(ratios / 20)))
        assert (outcome.gamma, outcome.ratio) == pytest.approx((gammas[best], ratios[best]))
        assert outcome.rounds == 20
        if name == "alpha first":
            np.testing.assert_allclose(gammas[:10], 2)
            np.testing.assert_allclose(ratios[10:], ratios[np.argmin(np.abs(np.log(ratios[:10] / 20)))])
        elif name == "large gamma first":
            np.testing.assert_allclose(ratios[:10], 1)
            np.testing.assert_allclose(gammas[10:], gammas[np.argmin(np.abs(gammas[:10] - 3))])
        else:
            assert len(np.unique(gammas.round(9))) == len(np.unique(ratios.round(9))) == 20
    assert isinstance(tuning.sampler_of(tuning.SEARCHES["random search"][0], None, 0), optuna.samplers.RandomSampler)


def test_verdicts_of_the_comparison(fraud_detection):
    pytest.importorskip("optuna_integration")
    tuning = example("tuning")

    def outcomes(*precisions):
        return [tuning.Outcome(precision, 0.0, 2.0, 1.0, 1) for precision in precisions]

    found = {
        "alpha first": outcomes(0.31, 0.42, 0.53),
        "large gamma first": outcomes(0.29, 0.38, 0.47),
        "random search": outcomes(0.3, 0.4, 0.5),
    }
    assert tuning.advantage(found, "alpha first") == pytest.approx((0.02, 0.01 / np.sqrt(3)))
    first, second = tuning.verdicts(found)
    assert first.startswith("alpha first: beats")
    assert second.startswith("large gamma first: loses to")
    found["alpha first"] = outcomes(0.31, 0.38, 0.5)
    assert next(tuning.verdicts(found)).startswith("alpha first: matches")


def test_out_of_core(capsys):
    xgboost = pytest.importorskip("xgboost")
    pytest.importorskip("pyarrow")
    if not hasattr(xgboost, "ExtMemQuantileDMatrix"):
        pytest.skip("XGBoost has ExtMemQuantileDMatrix from 3.0 on")
    example("out_of_core").main(["--rows", "8000", "--row-group", "1000"])
    output = capsys.readouterr().out
    assert "in 8 row groups, 7,000 rows to train on" in output
    mean, share = (float(number) for number in re.search(r"trained on: .* (0\.\d+), .* (0\.\d+)", output).groups())
    assert mean == pytest.approx(share, rel=1e-2)


@pytest.mark.slow
def test_dask_training():
    for needed in ("distributed", "lightgbm", "xgboost"):
        pytest.importorskip(needed)
    # Its workers are processes, which need a program that can be started again.
    done = run_program(EXAMPLES / "dask_training.py", "--rows", "8000")
    found = re.findall(r"mean probability (0\.\d+) of (0\.\d+), average precision (0\.\d+)", done.stdout)
    assert len(found) == 3
    for mean, share, precision in found:
        assert float(mean) == pytest.approx(float(share), rel=1e-2)
        assert float(precision) > 0.2


def test_simulator_knows_its_own_probabilities(fraud_detection):
    data = fraud_detection.simulate(100_000, seed=3)
    np.testing.assert_allclose(data.truth.mean(), 0.005, rtol=1e-6)
    # The labels were drawn from them: the deviation of the sum is a few standard deviations at most.
    deviation = (data.label.sum() - data.truth.sum()) / np.sqrt((data.truth * (1 - data.truth)).sum())
    assert abs(deviation) < 4


def test_gpu_training(capsys):
    pytest.importorskip("xgboost")
    example("gpu_training").main(["--rows", "5000", "--device", "cpu"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[2:]] == ["with_train", "with_objective", "with_classifier"]
    precisions = [float(line.split()[3]) for line in lines[2:]]
    assert precisions == pytest.approx(precisions[:1] * 3, abs=0.02)


def test_tuning_without_optuna_says_what_it_needs():
    script = EXAMPLES / "tuning.py"
    code = f"import sys, runpy; sys.modules['optuna'] = None; sys.path.insert(0, {str(script.parent)!r})\n"
    code += f"try:\n    runpy.run_path({str(script)!r})\nexcept SystemExit as e: print(e)"
    assert "pip install 'gbm_focal[tune]'" in run_in_new_process(code)
