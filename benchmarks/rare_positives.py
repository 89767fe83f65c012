"""How well each loss finds 0.2 % of positives, under the engines' default regularisation.

    python benchmarks/rare_positives.py

Simulated data with known probabilities: about 200 positives among 100,000 training rows, as many among 100,000 test
rows, 25 features. Learning rate, depth and regularisation are each engine's defaults; nothing is tuned. The strength
of the signal was chosen by native XGBoost alone, whose average precision it puts near one half.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # else, on a busy machine, waiting threads take most of the time

import lightgbm
import numpy as np
import xgboost
from common import publish, simulate, verdict
from sklearn.metrics import average_precision_score, log_loss

import gbm_focal.lightgbm
import gbm_focal.xgboost
from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalLoss

FEATURES, BASE_RATE, STRENGTH = 25, 0.002, 3.0
LOSSES = {
    "FocalLoss(2)": FocalLoss(2.0),
    "BalancedCrossEntropy()": BalancedCrossEntropy(),
    "AsymmetricLoss()": AsymmetricLoss(),
    "FocalLoss(0)": FocalLoss(0.0),
}
REFERENCE = "XGBoost binary:logistic"
# Least average precision wanted, in units of the reference's.
TARGETS = {
    "LightGBM FocalLoss(2)": 0.85,
    "LightGBM BalancedCrossEntropy()": 0.85,
    "XGBoost AsymmetricLoss()": 1.0,
    "LightGBM AsymmetricLoss()": 1.0,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="of each half, training and test")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="one seed; print only, keep the written results")
    arguments = parser.parse_args()
    seeds = 1 if arguments.quick else arguments.seeds

    scores: dict[str, list[tuple[float, float, float]]] = {}  # average precision, log loss, mean / base rate
    for seed in range(seeds):
        X, y, probability = simulate(2 * arguments.rows, FEATURES, BASE_RATE, STRENGTH, seed)
        train, test = slice(arguments.rows), slice(arguments.rows, None)
        methods = {
            "true probabilities": lambda: probability[test],  # noqa: B023
            **xgboost_methods(X[train], y[train], X[test], arguments.rounds, arguments.threads),
            **lightgbm_methods(X[train], y[train], X[test], arguments.rounds, arguments.threads),
        }
        for name, predict in methods.items():
            scores.setdefault(name, []).append(scores_of(y[test], predict()))
            print(seed, name, *scores[name][-1], file=sys.stderr, flush=True)

    precision = {name: np.array([one[0] for one in of_seeds]) for name, of_seeds in scores.items()}
    ratios = {name: values.mean() / precision[REFERENCE].mean() for name, values in precision.items()}
    table = [
        [
            name,
            f"{precision[name].mean():.3f}",
            f"{precision[name].min():.3f} - {precision[name].max():.3f}",
            f"{ratios[name]:.0%}",
            f"{np.mean([one[1] for one in of_seeds]):.5f}",
            f"{np.mean([one[2] for one in of_seeds]):.2f}",
        ]
        for name, of_seeds in scores.items()
    ]
    notes = [
        f"{arguments.rows:,} training and as many test rows, {FEATURES} features, {BASE_RATE:.1%} positives, "
        f"{arguments.rounds} rounds, means over {seeds} seeds; all else as the engines have it by default.",
        *(
            f"Target: {name} at least {least:.0%} of {REFERENCE}'s average precision: {ratios[name]:.1%}, "
            f"{verdict(ratios[name] >= least)}."
            for name, least in TARGETS.items()
        ),
    ]
    header = ["method", "average precision", "range", f"of {REFERENCE}", "log loss", "mean probability / base rate"]
    publish("rare_positives", "Rare positives", header, table, notes, write=not arguments.quick)


def scores_of(y: np.ndarray, probability: np.ndarray) -> tuple[float, float, float]:
    probability = probability.astype(np.float64)  # log_loss clips float32 as far inside as 1e-7
    return average_precision_score(y, probability), log_loss(y, probability), probability.mean() / y.mean()


def xgboost_methods(
    X: np.ndarray, y: np.ndarray, X_test: np.ndarray, rounds: int, threads: int
) -> dict[str, Callable[[], np.ndarray]]:
    data, test = xgboost.DMatrix(X, label=y, nthread=threads), xgboost.DMatrix(X_test, nthread=threads)

    def native(**params) -> np.ndarray:
        return xgboost.train({"objective": "binary:logistic", "nthread": threads, **params}, data, rounds).predict(test)

    def ours(loss) -> np.ndarray:
        booster = gbm_focal.xgboost.train({"nthread": threads}, data, rounds, loss=loss)
        return gbm_focal.xgboost.predict_proba(booster, test)[:, 1]

    return {
        REFERENCE: native,
        "XGBoost scale_pos_weight": lambda: native(scale_pos_weight=float((y == 0).sum() / (y == 1).sum())),
        **{f"XGBoost {name}": lambda loss=loss: ours(loss) for name, loss in LOSSES.items()},
    }


def lightgbm_methods(
    X: np.ndarray, y: np.ndarray, X_test: np.ndarray, rounds: int, threads: int
) -> dict[str, Callable[[], np.ndarray]]:
    params = {"num_threads": threads, "verbosity": -1}
    data = lightgbm.Dataset(X, label=y, params=params, free_raw_data=False).construct()

    def native(**more) -> np.ndarray:
        return lightgbm.train({"objective": "binary", **params, **more}, data, rounds).predict(X_test)

    def ours(loss) -> np.ndarray:
        booster = gbm_focal.lightgbm.train(params, data, rounds, loss=loss)
        return gbm_focal.lightgbm.predict_proba(booster, X_test)[:, 1]

    return {
        "LightGBM binary": native,
        "LightGBM is_unbalance": lambda: native(is_unbalance=True),
        **{f"LightGBM {name}": lambda loss=loss: ours(loss) for name, loss in LOSSES.items()},
    }


if __name__ == "__main__":
    main()
