"""What decisions cost where a missed fraud costs its amount: each transaction's own threshold, against one for all.

    python benchmarks/costs.py

The simulator of the fraud example, which knows the true probabilities. Each seed draws 160,000 transactions to train
on, 40,000 to stop on and to choose a threshold by, and 200,000 to judge by; both engines train as in
examples/fraud_detection.py. An alert costs a review, right or wrong; a missed fraud costs the amount. Decisions by row
alert where the probability reaches `cost_optimal_threshold` of the amount; one threshold is `least_cost_threshold` of
the 40,000, or, the best that there is, of the 200,000 that judge it. Costs are expectations over the labels.
"""

from __future__ import annotations

import argparse
import pathlib
import sys

import numpy as np
import pandas as pd
from common import publish, verdict

from gbm_focal.metrics import expected_cost, least_cost_threshold

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "examples"))
from fraud_detection import ENGINES, METHODS, Data, Split, simulate

REVIEW = 5.0  # in the currency of the amounts, whose median is about 30
LOSSES = ("built-in logistic", "FocalLoss(gamma=2)", "AsymmetricLoss()")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=200_000, help="to learn from; as many to judge by")
    parser.add_argument("--quick", action="store_true", help="one seed; print only, keep the written results")
    arguments = parser.parse_args()
    seeds = range(1 if arguments.quick else arguments.seeds)

    costs: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    for seed in seeds:
        data = simulate(arguments.rows, seed)
        last = np.arange(arguments.rows) >= 0.8 * arguments.rows
        training, validation = data.take(np.flatnonzero(~last)), data.take(np.flatnonzero(last))
        test = simulate(arguments.rows, seed + 1000)
        both = Data(pd.concat([validation.features, test.features]), np.append(validation.label, test.label))
        for engine, fit in ENGINES.items():
            for method in METHODS:
                if method.name in LOSSES:
                    probability = fit(Split(training, validation, both), method).probability.astype(float)
                    row = costs_of(validation, test, *np.split(probability, [len(validation.label)]))
                    costs.setdefault((engine, method.name), []).append(row)
                    print(
                        seed, engine, method.name, *(f"{1000 * cost:.0f}" for cost in row), file=sys.stderr, flush=True
                    )

    table, met = [], []
    for (engine, name), of_seeds in costs.items():
        by_row, found, best, nobody, truth = 1000 * np.array(of_seeds).T
        met += list(by_row <= best)
        ratio = by_row / best
        means = [f"{numbers.mean():.0f}" for numbers in (nobody, found, best, by_row, truth)]
        table.append([engine, name, *means, f"{ratio.mean():.3f}", f"{ratio.min():.3f} - {ratio.max():.3f}"])
    notes = [
        f"Cost of 1,000 transactions; a review costs {REVIEW:g}, a missed fraud its amount. {arguments.rows:,} rows to "
        f"learn from, as many to judge by, means over {len(seeds)} seeds.",
        f"Target: decisions by row cost at most what the best threshold does, in each of {len(met)} cases: "
        f"{verdict(all(met))}.",
    ]
    header = ["engine", "loss", "no alerts", "one threshold", "best threshold", "by row", "by row, true probabilities"]
    header += ["by row / best threshold", "range"]
    publish("costs", "Costs: a threshold for each row, or one for all", header, table, notes, write=not arguments.quick)


def costs_of(validation: Data, test: Data, on_validation: np.ndarray, on_test: np.ndarray) -> tuple[float, ...]:
    """Mean costs by row, at the threshold found, at the best, without alerts, and by row at the true probabilities."""
    threshold = least_cost_threshold(validation.label, on_validation, **costs_for(validation))
    expected = [cost_of(test, on_test, given) for given in (None, threshold, "least", np.inf)]
    return (*expected, cost_of(test, test.truth, None))


def cost_of(data: Data, probability: np.ndarray, threshold) -> float:
    """Return the expected cost: each row counts as a fraud with its true probability, and as none with the rest."""
    twice = {name: np.tile(cost, 2) if np.ndim(cost) else cost for name, cost in costs_for(data).items()}
    y, weight = np.repeat([1, 0], len(probability)), np.append(data.truth, 1 - data.truth)
    return expected_cost(y, np.tile(probability, 2), threshold=threshold, sample_weight=weight, **twice)


def costs_for(data: Data) -> dict:
    amount = data.features["amount"].to_numpy()
    return {"cost_false_negative": amount, "cost_false_positive": REVIEW, "cost_true_positive": REVIEW}


if __name__ == "__main__":
    main()
