"""Whether predicted probabilities are right, where the true ones are known: the simulator of the fraud example.

    python benchmarks/calibration.py

Each seed draws 160,000 transactions to train on, 40,000 to stop on and 200,000 to judge by, about 0.5 % of them
fraud. Both engines train as in examples/fraud_detection.py, with early stopping: on their own logistic loss, and on
the losses of gbm_focal. Beside `predict_proba` stand the figures of sigmoid(margin), which other packages return.
"""

from __future__ import annotations

import argparse
import pathlib
import sys

import numpy as np
from common import publish, score_by_truth, verdict
from scipy.special import expit

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "examples"))
from fraud_detection import ENGINES, METHODS, Split, simulate

LOG_LOSS_TARGET, MEAN_TARGET = 1.02, 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=200_000, help="to train and stop on; as many to judge by")
    parser.add_argument("--quick", action="store_true", help="one seed; print only, keep the written results")
    arguments = parser.parse_args()
    seeds = range(1 if arguments.quick else arguments.seeds)

    methods = [method for method in METHODS if not method.weighted]
    scores: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    for seed in seeds:
        data = simulate(arguments.rows, seed)
        last = np.arange(arguments.rows) >= 0.8 * arguments.rows
        test = simulate(arguments.rows, seed + 1000)
        split = Split(data.take(np.flatnonzero(~last)), data.take(np.flatnonzero(last)), test)
        for engine, fit in ENGINES.items():
            for method in methods:
                fitted = fit(split, method)
                sigmoid = expit(fitted.margin.astype(float))
                row = (*score_by_truth(test.truth, fitted.probability), *score_by_truth(test.truth, sigmoid))
                scores.setdefault((engine, method.name), []).append(row)
                print(seed, engine, method.name, *(f"{number:.5f}" for number in row), file=sys.stderr, flush=True)

    table, notes = [], []
    for (engine, name), rows in scores.items():
        log_loss, mean, sigmoid_log_loss, sigmoid_mean = np.mean(rows, axis=0)
        native = np.mean(scores[engine, methods[0].name], axis=0)[0]
        table.append(
            [engine, name, f"{log_loss:.5f}", f"{log_loss / native:.3f}", f"{mean:.3f}"]
            + ([f"{sigmoid_log_loss:.5f}", f"{sigmoid_mean:.2f}"] if name != methods[0].name else ["", ""])
        )
        if name.startswith("FocalLoss"):
            notes += [
                f"Target, {engine} {name}: log loss at most {LOG_LOSS_TARGET} of native, "
                f"{verdict(log_loss / native <= LOG_LOSS_TARGET)}; mean within {MEAN_TARGET:.0%} of the "
                f"base rate, {verdict(abs(mean - 1) <= MEAN_TARGET)}."
            ]
    notes.insert(
        0,
        f"{arguments.rows:,} rows to learn from, means over {len(seeds)} seeds. Log loss is its expectation over the "
        "labels, given the true probabilities; their mean is the base rate.",
    )
    header = ["engine", "method", "log loss", "of native", "mean / base rate"]
    header += ["sigmoid: log loss", "sigmoid: mean / base rate"]
    title = "Calibration: predicted against true probabilities"
    publish("calibration", title, header, table, notes, write=not arguments.quick)


if __name__ == "__main__":
    main()
