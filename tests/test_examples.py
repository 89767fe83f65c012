"""The examples run, in small."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


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


def test_simulator_knows_its_own_probabilities(fraud_detection):
    data = fraud_detection.simulate(100_000, seed=3)
    np.testing.assert_allclose(data.truth.mean(), 0.005, rtol=1e-6)
    # The labels were drawn from them: the deviation of the sum is a few standard deviations at most.
    deviation = (data.label.sum() - data.truth.sum()) / np.sqrt((data.truth * (1 - data.truth)).sum())
    assert abs(deviation) < 4
