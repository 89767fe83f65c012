"""What focal loss costs in training, in time and memory, against the engine's own logistic loss.

    python benchmarks/training_speed.py

The same data, data set (constructed beforehand), trees and two threads for all, and only training is timed, without
evaluation sets. "Native" is `binary:logistic`, `binary` or, of five classes, `multi:softprob`; "focal" is FocalLoss(2)
through gbm_focal's `train`; "gamma 0" is FocalLoss(0) without a limit on the steps, the native loss in our hands: its
ratio is what the way through Python costs; focal's also holds other trees and the calibration that `train` ends with.
"Free" is the engine's own `train` with an objective that hands out gradients it has kept from gamma 0, and so computes
nothing: no custom objective can cost less.
Peak memory is that of training alone, each time in a process of its own, which needs Linux's /proc.

OpenMP's threads sleep while they wait. Where they spin, as is the default, and another process takes one of the cores,
single runs of 0.3 s take 6. On a machine of your own, set OMP_WAIT_POLICY=active.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when the engines are imported

import lightgbm
import numpy as np
import xgboost
from common import MEMORY_TARGET, interleaved, median_ratio, peak_of, publish, simulate, verdict

import gbm_focal.lightgbm
import gbm_focal.xgboost
from gbm_focal import FocalLoss

BASE_RATE = 0.05
# Rows, features, rounds, and the ratio focal / native that we want not to exceed.
CASES = {
    "XGBoost": [(1_000_000, 30, 20, 1.05), (100_000, 30, 50, 1.10), (10_000, 20, 200, 1.25)],
    "LightGBM": [(1_000_000, 30, 20, 1.05), (100_000, 30, 50, 1.05), (10_000, 20, 200, 1.05)],
    "XGBoost, 5 classes": [(200_000, 30, 10, 1.10)],
}
VARIANTS = ("native", "focal", "gamma 0", "free")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=9, help="rounds of all variants in turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--processes", type=int, default=3, help="measurements of each peak of memory")
    parser.add_argument("--quick", action="store_true", help="no case above 100,000 rows, 3 pairs; print only")
    parser.add_argument("--peak", nargs=3, metavar=("ENGINE", "VARIANT", "ROWS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        engine, variant, rows = arguments.peak
        print(peak_of_training(engine, variant, int(rows), arguments.threads))
        return
    if arguments.quick:
        arguments.pairs, arguments.processes = 3, 1

    table, memory = [], []
    for engine, cases in CASES.items():
        if arguments.quick:
            cases = [case for case in cases if case[0] <= 100_000]
        for case in cases:
            table.append(measured(engine, *case, arguments.pairs, arguments.threads))
            print(*table[-1], sep="  ", file=sys.stderr, flush=True)
        if cases and engine in ("XGBoost", "LightGBM"):
            memory.append(memory_of(engine, cases[0][0], arguments.processes))
    notes = [
        f"{arguments.threads} threads (OMP_WAIT_POLICY={os.environ['OMP_WAIT_POLICY']}), learning rate 0.1, depth 6 "
        f"(XGBoost, hist) or 31 leaves (LightGBM, force_col_wise), base rate {BASE_RATE:.0%}.",
        f"Medians of {arguments.pairs} interleaved runs; ratios are medians of the ratios to the native run beside.",
        "Leaves: of all trees, native / focal / gamma 0 / free.",
        *memory,
    ]
    header = ["engine", "rows x features", "rounds", "native s", "focal s"]
    header += ["focal / native", "target", "gamma 0 / native", "free / native", "leaves"]
    title = "Training time and memory: focal loss against the native logistic loss"
    publish("training_speed", title, header, table, notes, write=not arguments.quick)


def measured(engine: str, rows: int, features: int, rounds: int, target: float, pairs: int, threads: int) -> list[str]:
    """One row of the table."""
    trainers = TRAINERS[engine](rows, features, rounds, threads)
    leaves = " / ".join(str(LEAVES[engine](train())) for train in trainers.values())
    times = interleaved(trainers, pairs)
    native, focal = (f"{np.median(times[variant]):.3f}" for variant in ("native", "focal"))
    ratio, overhead, free = (median_ratio(times[variant], times["native"]) for variant in VARIANTS[1:])
    size = f"{rows:,} x {features}"
    ratios = [f"{overhead:.3f}", f"{free:.3f}"]
    return [
        engine,
        size,
        str(rounds),
        native,
        focal,
        f"{ratio:.3f}",
        f"{target:.2f} {verdict(ratio <= target)}",
        *ratios,
        leaves,
    ]


class Kept:
    """An objective that computes during one training, and in later ones returns what it returned then."""

    def __init__(self, objective: Callable[[np.ndarray, Any], tuple[np.ndarray, np.ndarray]]) -> None:
        self.objective = objective
        self.rounds: list[tuple[np.ndarray, np.ndarray]] = []
        self.replayed: Iterator[tuple[np.ndarray, np.ndarray]] | None = None

    def begin(self) -> Kept:
        """Announce a training."""
        self.replayed = iter(self.rounds) if self.rounds else None
        return self

    def __call__(self, margin: np.ndarray, data: Any) -> tuple[np.ndarray, np.ndarray]:
        """Gradient and Hessian of a round."""
        if self.replayed is not None:
            return next(self.replayed)
        self.rounds.append(self.objective(margin, data))
        return self.rounds[-1]

    def __deepcopy__(self, memo: dict[int, Any]) -> Kept:
        return self  # LightGBM copies its parameters


def variants(
    native: Callable[..., Any], ours: ModuleType, params: dict[str, Any], objective: str, data: Any, rounds: int
) -> dict[str, Callable[[], Any]]:
    bare = ours.Objective(FocalLoss(0.0), max_step=None)
    intercept = np.float32(FocalLoss(0.0).intercept(data.get_label()))
    kept = Kept(lambda margin, data: bare(margin + intercept, data))

    def free() -> Any:
        if native is lightgbm.train:
            return native({**params, "objective": kept.begin(), "metric": "None"}, data, rounds)
        return native({**params, "objective": objective}, data, rounds, obj=kept.begin())

    return {
        "native": lambda: native({**params, "objective": objective}, data, rounds),
        "focal": lambda: ours.train(params, data, rounds, loss=FocalLoss(2.0)),
        "gamma 0": lambda: ours.train(params, data, rounds, loss=FocalLoss(0.0), max_step=None),
        "free": free,
    }


def xgboost_trainers(rows: int, features: int, rounds: int, threads: int) -> dict[str, Callable[[], Any]]:
    X, y, _ = simulate(rows, features, BASE_RATE, strength=1.0, seed=0)
    data = xgboost.QuantileDMatrix(X, label=y, nthread=threads)
    params = {"tree_method": "hist", "max_depth": 6, "learning_rate": 0.1, "nthread": threads}
    return variants(xgboost.train, gbm_focal.xgboost, params, "binary:logistic", data, rounds)


def classes_trainers(rows: int, features: int, rounds: int, threads: int) -> dict[str, Callable[[], Any]]:
    X, _, probability = simulate(rows, features, BASE_RATE, strength=1.0, seed=0)
    # Four of the classes share what is left, by a threshold each, with noise of their own.
    other = 1 + np.digitize(X[:, 1] + X[:, 6] + np.random.default_rng(1).normal(size=rows), [-1.5, 0, 1.5])
    y = np.where(np.random.default_rng(2).random(rows) < probability, 0, other)
    data = xgboost.QuantileDMatrix(X, label=y, nthread=threads)
    params = {"tree_method": "hist", "max_depth": 6, "learning_rate": 0.1, "nthread": threads, "num_class": 5}
    return variants(xgboost.train, gbm_focal.xgboost, params, "multi:softprob", data, rounds)


def lightgbm_trainers(rows: int, features: int, rounds: int, threads: int) -> dict[str, Callable[[], Any]]:
    X, y, _ = simulate(rows, features, BASE_RATE, strength=1.0, seed=0)
    # By default LightGBM times two layouts and takes the faster, so that chance decides on 30 bytes a row.
    params = {"num_leaves": 31, "learning_rate": 0.1, "num_threads": threads, "verbosity": -1, "force_col_wise": True}
    data = lightgbm.Dataset(X, label=y, params=params, free_raw_data=False).construct()
    return variants(lightgbm.train, gbm_focal.lightgbm, params, "binary", data, rounds)


TRAINERS = {"XGBoost": xgboost_trainers, "LightGBM": lightgbm_trainers, "XGBoost, 5 classes": classes_trainers}
LEAVES = {
    "XGBoost": lambda booster: sum(tree.count("leaf=") for tree in booster.get_dump()),
    "XGBoost, 5 classes": lambda booster: sum(tree.count("leaf=") for tree in booster.get_dump()),
    "LightGBM": lambda booster: sum(tree["num_leaves"] for tree in booster.dump_model()["tree_info"]),
}


def memory_of(engine: str, rows: int, processes: int) -> str:
    """Say by how much focal's peak exceeds native's, measured in processes of their own.

    glibc is told to return each array as it is freed. Otherwise memory left from making the data is used again
    and hides what training needs: LightGBM's 50 MB appear as 2.
    """
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    command = [sys.executable, str(pathlib.Path(__file__).resolve()), "--peak", engine]
    peaks: dict[str, list[int]] = {variant: [] for variant in VARIANTS[:3]}
    for _ in range(processes):
        for variant in peaks:
            done = subprocess.run(
                [*command, variant, str(rows)], check=True, stdout=subprocess.PIPE, text=True, env=environment
            )
            peaks[variant].append(int(done.stdout))
    native, focal, gamma_0 = (float(np.median(peak)) for peak in peaks.values())
    extra = (focal - native) / rows
    return (
        f"Peak memory of training, {engine}, {rows:,} rows: native {native / 2**20:.1f} MiB, focal "
        f"{focal / 2**20:.1f} MiB above the data, {extra:+.1f} bytes a row (target {MEMORY_TARGET}: "
        f"{verdict(round(extra, 1) <= MEMORY_TARGET)}); gamma 0 {(gamma_0 - native) / rows:+.1f}."
    )


def peak_of_training(engine: str, variant: str, rows: int, threads: int) -> int:
    """Bytes by which the resident memory grows, at its peak, while training 5 rounds."""
    _, grown = peak_of(TRAINERS[engine](rows, 30, 5, threads)[variant])
    return grown


if __name__ == "__main__":
    main()
