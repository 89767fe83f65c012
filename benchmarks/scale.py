"""What more rows cost: time and memory of objective, metric and calibration, on one machine and in its parts.

    python benchmarks/scale.py

Four measurements, each in a process of its own, with peaks of memory from Linux's /proc:
kernel: one call of the objective, of the metric, and one calibration, on 1, 10 and 100 million margins;
training: rounds of XGBoost with objective and metric against its own logistic loss, on 1 and 10 million rows;
external memory: training on a data set larger than a limit of memory that the process cannot exceed (RLIMIT_DATA,
which counts what a process allocates, and not files that it maps), and the same in memory, which fails;
cluster: two processes of one thread, by Dask, against one process of two threads.

Seconds are those of the processor, summed over threads and processes, which depend less than those of the clock on
what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when the engines are imported

import numpy as np
import xgboost
from common import MEMORY_TARGET, peak_of, publish, resident, verdict

import gbm_focal.xgboost
from gbm_focal import FocalLoss
from gbm_focal.link import Link
from gbm_focal.losses import ClassTotals
from gbm_focal.xgboost import Metric, Objective

LOSS = FocalLoss(2.0)
FEATURES = 10
ROUNDS = 5
PARAMS = {"max_depth": 6, "learning_rate": 0.1, "tree_method": "hist", "nthread": 2}
WIDE = 200  # features of the data set that does not fit
BATCH = 50_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows; print only")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        name, *values = arguments.measure
        print(json.dumps(MEASUREMENTS[name](*map(int, values))))
        return
    share = 10 if arguments.quick else 1
    millions = [10**6 // share, 10**7 // share, 10**8 // share]
    table = []
    for rows in millions:
        found = measured("kernel", rows)
        table += [row(f"kernel, {part}", rows, found[part]) for part in ("objective", "metric", "calibration")]
    for rows in millions[:2]:
        native, focal = (measured("training", rows, focal) for focal in (0, 1))
        table += [row("training, logistic loss", rows, native), row("training, focal loss", rows, focal)]
        extra = (focal["bytes"] - native["bytes"]) / rows
        table[-1][-1] += f", {extra:+.1f} ({verdict(round(extra, 1) <= MEMORY_TARGET)})"
    rows = millions[0]
    local, spread = measured("training", rows, 1), measured("cluster", rows)
    notes = [
        f"{PARAMS}, {FEATURES} features, base rate 5 %, OMP_WAIT_POLICY={os.environ['OMP_WAIT_POLICY']}. Training "
        f"is per round, of {ROUNDS}, with the metric on the training data; its calibration is not in it.",
        "Bytes a row: the peak above what is there before the call; of the kernel margins and labels, of training the "
        f"data set. For focal loss also the difference to logistic loss, of which at most {MEMORY_TARGET} are wanted.",
        f"Cluster, {rows:,} rows: a round takes the processors {spread['seconds']:.3f} s on two processes of one "
        f"thread by Dask, {local['seconds']:.3f} s on one of two; class totals {spread['totals']:.3f} s; its metric "
        f"differs from the local one by {abs(spread['metric'] - local['metric']):.1e}.",
        external_memory(1_000_000 // min(share, 2), 256 if share == 1 else 192),
    ]
    header = ["what", "rows", "processor s", "ns a row", "bytes a row"]
    publish("scale", "What more rows cost", header, table, notes, write=not arguments.quick)


def row(what: str, rows: int, found: dict[str, float]) -> list[str]:
    seconds = found["seconds"]
    return [what, f"{rows:,}", f"{seconds:.4f}", f"{1e9 * seconds / rows:.2f}", f"{found['bytes'] / rows:.1f}"]


def measured(name: str, *values: int) -> Any:
    """Return the result of a measurement in a process of its own, in which large arrays go back as they are freed.

    Small ones, such as the blocks of the calibration, do not, since to get them anew would take most of the time.
    """
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(2**20)}
    command = [sys.executable, str(pathlib.Path(__file__).resolve()), "--measure", name, *map(str, values)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    print(name, *values, done.stdout.splitlines()[-1], file=sys.stderr, flush=True)
    return json.loads(done.stdout.splitlines()[-1])


def best_time(call: Callable[[], Any], repeats: int, before: Callable[[], Any] = lambda: None) -> float:
    times = []
    for _ in range(repeats):
        before()
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


# ---- the measurements ----


def kernel(rows: int) -> dict[str, Any]:
    random = np.random.default_rng(0)
    label = (random.random(rows, dtype=np.float32) < 0.05).astype(np.float32)
    given = random.standard_normal(rows, dtype=np.float32)
    given -= 3
    totals = ClassTotals.of(label)
    resolved = LOSS.resolve_totals(totals)
    objective = Objective(LOSS).fixed_on(totals, np.zeros(1))
    metric = Metric(resolved)
    # As in training, gradient and Hessian take the place of copies that XGBoost has made.
    margin, y = given.copy(), label.copy()
    gradients = {"call": lambda: objective.derivatives(y, margin, None, overwrite=True)}

    def refill() -> None:
        margin[...], y[...] = given, label

    calls: dict[str, Callable[[], Any]] = {
        "objective": gradients["call"],
        "metric": lambda: metric.score(label, given, None),
        "calibration": lambda: Link.fitted(resolved, totals, given, None),
    }
    repeats = 5 if rows <= 10**7 else 1
    result = {}
    for name, call in calls.items():
        refill()
        _, grown = peak_of(call)
        result[name] = {"seconds": best_time(call, repeats, refill), "bytes": grown}
    return result


def training(rows: int, focal: int) -> dict[str, float]:
    X, y = simulated(rows, FEATURES, 0)
    data = xgboost.QuantileDMatrix(X, label=y, nthread=2)
    del X, y
    times: list[float] = []

    class Clock(xgboost.callback.TrainingCallback):
        def before_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            times.append(time.process_time())
            return False

        def after_training(self, model: Any) -> Any:
            times.append(time.process_time())
            return model

    history: dict[str, Any] = {}
    shared = {"evals": [(data, "train")], "evals_result": history, "verbose_eval": False, "callbacks": [Clock()]}

    def train() -> None:
        if focal:
            gbm_focal.xgboost.train(PARAMS, data, ROUNDS, loss=LOSS, **shared)
        else:
            xgboost.train({**PARAMS, "objective": "binary:logistic"}, data, ROUNDS, **shared)

    _, grown = peak_of(train)
    # The first round also makes what all share, and takes longer.
    seconds = float(np.median(np.diff(times)[1:]))
    return {"seconds": seconds, "bytes": grown, "metric": next(iter(history["train"].values()))[-1]}


def cluster(rows: int) -> dict[str, float]:
    import dask.array as da
    from distributed import Client, LocalCluster
    from xgboost.dask import DaskQuantileDMatrix

    from gbm_focal.dask import xgboost_train
    from gbm_focal.dask.training import totals_of_matrix

    parts = 4
    X, y = simulated(rows, FEATURES, 0)
    settings = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    with LocalCluster(**settings) as local, Client(local) as client:
        dX, dy = da.from_array(X, chunks=(rows // parts, -1)), da.from_array(y, chunks=rows // parts)
        data = DaskQuantileDMatrix(client, dX, dy)

        def used() -> float:
            return float(sum(client.run(time.process_time).values()))

        totals_of_matrix(client, data, None)  # which has each worker import what it needs
        start = used()
        totals_of_matrix(client, data, None)
        totals = used() - start
        evaluation = {"evals": [(data, "train")], "verbose_eval": False, "calibrate": False}
        seconds = []
        for rounds in (ROUNDS, 5 * ROUNDS):  # whose difference is free of what is done once
            start = used()
            result = xgboost_train(client, PARAMS, data, rounds, loss=LOSS, **evaluation)
            seconds.append(used() - start)
    metric = result["history"]["train"]["focal_loss"][ROUNDS - 1]
    return {"seconds": (seconds[1] - seconds[0]) / (4 * ROUNDS), "totals": totals, "metric": float(metric)}


def external(rows: int, mebibytes: int, in_files: int) -> dict[str, Any]:
    """Train under a limit of memory, from files or in memory; the process cannot allocate more."""
    limit = resident("VmData") + mebibytes * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        try:
            if in_files:
                batches = Batches(rows, str(pathlib.Path(folder, "pages")))
                data = xgboost.ExtMemQuantileDMatrix(batches, max_bin=64, nthread=2)
            else:
                data = xgboost.QuantileDMatrix(Batches(rows, None), max_bin=64, nthread=2)
            made = time.process_time()
            booster = gbm_focal.xgboost.train({**PARAMS, "max_bin": 64}, data, ROUNDS, loss=LOSS)
        except (MemoryError, xgboost.core.XGBoostError) as error:
            return {"error": f"{type(error).__name__}: {str(error).splitlines()[0][:80]}"}
        trained = time.process_time()
        stored = sum(file.stat().st_size for file in pathlib.Path(folder).iterdir())
        mean = float(np.mean(gbm_focal.xgboost.predict_proba(booster, data)[:, 1]) / data.get_label().mean())
        del data, booster  # which remove their files
        return {"make": made - start, "train": trained - made, "stored": stored, "mean": mean}


def external_memory(rows: int, mebibytes: int) -> str:
    stored = measured("external", rows, mebibytes, 1)
    within = measured("external", rows, mebibytes, 0)
    size = rows * WIDE * 4 / 2**20
    if "error" in stored:
        raise SystemExit(f"external memory failed under its limit: {stored['error']}")
    return (
        f"External memory: {rows:,} rows of {WIDE} features, {size:,.0f} MiB as float32 and "
        f"{stored['stored'] / 2**20:,.0f} MiB as XGBoost's pages, in a process that may allocate {mebibytes} MiB: made "
        f"in {stored['make']:.0f} s, {ROUNDS} rounds and calibration in {stored['train']:.0f} s, mean posterior over "
        f"base rate {stored['mean']:.5f}. In memory under the same limit: {within.get('error', 'it fits')}."
    )


MEASUREMENTS: dict[str, Callable[..., Any]] = {
    "kernel": kernel,
    "training": training,
    "cluster": cluster,
    "external": external,
}


def simulated(rows: int, features: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features and labels of which about 5 % are 1; single precision throughout, so that 10 million rows fit."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((rows, features), dtype=np.float32)
    noise = random.standard_normal(rows, dtype=np.float32)
    return X, (X[:, 0] + X[:, 1] * X[:, 2] + 2 * noise > 4.1).astype(np.float32)


class Batches(xgboost.DataIter):
    """Rows made batch by batch, as a file would be read."""

    def __init__(self, rows: int, cache: str | None) -> None:
        self.count, self.at = rows // BATCH, 0
        super().__init__(cache_prefix=cache)

    def next(self, input_data: Callable[..., Any]) -> bool:
        """Hand the next batch over."""
        if self.at == self.count:
            return False
        X, y = simulated(BATCH, WIDE, self.at)
        input_data(data=X, label=y)
        self.at += 1
        return True

    def reset(self) -> None:
        """Start again."""
        self.at = 0


if __name__ == "__main__":
    main()
