"""A fraud model in production: trained on a sample, scored by ONNX Runtime, watched, and adapted when fraud grows.

    python examples/production.py

A bank keeps all its frauds and one in ten of its other transactions, and trains on these. It says which share of
transactions is fraud in truth, so that the probabilities are about all of them, and exports the model to ONNX. A
process that knows neither gbm_focal nor LightGBM scores the transactions of half a year. In spring fraud grows to four
times its rate: `base_rates.estimate` notices from the probabilities alone, long before the labels are in, and `adapt`
takes the probabilities there. What it draws to production.png is the mean prediction of each week beside the share of
frauds that was found in the end. It takes less than a minute and no network.

Needs: pip install "gbm_focal[all,onnx]" onnxruntime
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import lightgbm
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import log_loss

from gbm_focal import FocalClassifier, FocalLoss
from gbm_focal.base_rates import adapt, estimate
from gbm_focal.onnx import to_onnx

Array = NDArray[Any]

FEATURES = ["log_amount", "hour", "distance", "age_of_card", "days_since_last", "risk_of_shop"]
WEEKS = 26
USUAL_RATE, HIGHEST_RATE = 0.005, 0.02
NOTICED = 1.5  # times the rate that the model stands for, up or down, is worth a letter to the team

# What runs in production. The first line stands for a machine on which none of these is installed.
SCORER = """
import sys
sys.modules.update(dict.fromkeys(["gbm_focal", "lightgbm", "xgboost", "sklearn"]))
import numpy, onnxruntime
model, transactions, scores = sys.argv[1:]
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
probabilities = session.run(["probabilities"], {"X": numpy.load(transactions)})[0]
numpy.save(scores, probabilities[:, 0])  # labels in sorted order, "fraud" before "ok"
"""


class Week(NamedTuple):
    """What a week has shown; the labels come in months later."""

    observed: float  # share of frauds
    predicted: float  # mean probability of the model
    estimated: float  # rate that the probabilities let one guess
    adapted: float  # mean probability after adapting to it
    loss: float
    adapted_loss: float


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000, help="transactions a week")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("production.png"))
    options = parser.parse_args(argv)
    random = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "fraud.onnx")
        model.write_bytes(train(20 * options.rows, random).SerializeToString())
        weeks = [watch(model, options.rows, rate, random) for rate in rates()]
    report(weeks)
    draw(weeks, options.output)
    print(f"\nThe curves are in {options.output}")


def transactions(rows: int, rate: float, random: np.random.Generator) -> tuple[Array, Array]:
    """Transactions of which this share is fraud. How either kind looks does not depend on the share."""
    fraud = random.random(rows) < rate
    log_amount = random.normal(3.2 + 0.9 * fraud, 1.1 - 0.3 * fraud)
    hour = np.where(fraud & (random.random(rows) < 0.6), random.normal(3, 2, rows), random.normal(14, 4, rows)) % 24
    distance = random.gamma(1 + 2.0 * fraud, 20)
    age_of_card = random.gamma(np.where(fraud, 1.2, 2.0), 400)
    days_since_last = random.exponential(np.where(fraud, 0.7, 2.5))
    risk_of_shop = random.beta(1 + 1.5 * fraud, 8)
    columns = [log_amount, hour, distance, age_of_card, days_since_last, risk_of_shop]
    return np.column_stack(columns).astype(np.float32), np.where(fraud, "fraud", "ok")


def train(rows: int, random: np.random.Generator) -> Any:
    """Train on all frauds and one in ten of the others, for the population of all, and export to ONNX."""
    X, y = transactions(rows, USUAL_RATE, random)
    kept = (y == "fraud") | (random.random(rows) < 0.1)
    engine = lightgbm.LGBMClassifier(n_estimators=200, learning_rate=0.05, num_leaves=8, n_jobs=1, verbosity=-1)
    model = FocalClassifier(engine, FocalLoss(gamma=2), pos_label="fraud", base_rate=float(np.mean(y == "fraud")))
    model.fit(X[kept], y[kept])
    print(f"Trained on {kept.sum():,} of {rows:,} transactions, {np.mean(y[kept] == 'fraud'):.1%} of them fraud.")
    return to_onnx(model)


def rates() -> Array:
    """Share of frauds week by week: as usual, then growing, and in the end lower than it was."""
    return USUAL_RATE * np.interp(np.arange(WEEKS), [6, 12, 18, 25], [1, HIGHEST_RATE / USUAL_RATE, 3, 0.5])


def watch(model: Path, rows: int, rate: float, random: np.random.Generator) -> Week:
    """Score a week, estimate its base rate, adapt to it, and compare with the labels that come in later."""
    X, y = transactions(rows, rate, random)
    probability = scored(model, X)
    fraud = y == "fraud"
    estimated = float(estimate(probability, trained=USUAL_RATE))
    adapted = adapt(probability, trained=USUAL_RATE, used=estimated)
    means = fraud.mean(), probability.mean(), estimated, adapted.mean()
    return Week(*means, log_loss(fraud, probability), log_loss(fraud, adapted))


def scored(model: Path, X: Array) -> Array:
    """Probabilities of fraud from a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        transactions_file, scores = Path(folder, "transactions.npy"), Path(folder, "scores.npy")
        np.save(transactions_file, X)
        subprocess.run([sys.executable, "-c", SCORER, model, transactions_file, scores], check=True)
        return np.load(scores).astype(np.float64)


def report(weeks: list[Week]) -> None:
    print(f"\n{'week':>4}{'observed':>10}{'predicted':>11}{'estimated':>11}{'log loss':>10}{'adapted':>9}")
    for number, week in enumerate(weeks):
        changed = max(week.estimated / USUAL_RATE, USUAL_RATE / week.estimated) > NOTICED
        print(
            f"{number:>4}{week.observed:>10.2%}{week.predicted:>11.2%}{week.estimated:>11.2%}{week.loss:>10.4f}"
            f"{week.adapted_loss:>9.4f}{'  fraud has changed' if changed else ''}"
        )
    for name, losses in (("as trained", [w.loss for w in weeks]), ("adapted", [w.adapted_loss for w in weeks])):
        print(f"mean log loss {name}: {np.mean(losses):.5f}")


def draw(weeks: list[Week], path: Path) -> None:
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    lines = [
        ("observed, months later", [week.observed for week in weeks], "black", "o"),
        ("mean prediction, as trained", [week.predicted for week in weeks], "#E69F00", "s"),
        ("mean prediction, adapted", [week.adapted for week in weeks], "#0072B2", "^"),
    ]
    for name, values, color, marker in lines:
        axes.plot(100 * np.array(values), label=name, color=color, marker=marker, markersize=4)
    axes.set(xlabel="week", ylabel="share of transactions, %", title="Fraud, predicted and observed", ylim=(0, None))
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
