"""What focal loss costs on a GPU: a round of XGBoost, and the kernel beside a copy of the same bytes.

    pip install ".[gpu,xgboost]" && pip install --no-deps gbdtCBL==0.2.0  # the competitor, for this benchmark only
    python benchmarks/gpu_speed.py

Training: `hist` on the GPU, a QuantileDMatrix made beforehand, no evaluation sets; native `binary:logistic` against
FocalLoss(2) by gbm_focal with device="cuda", the same computed on the host, and gbdtCBL's NumPy objective. All take
turns, after a run of each that is not timed. Kernel: gradient and Fisher Hessian of float32 margins, 16 bytes a row
read and written, timed by events of the device around the launch alone, beside a copy on the device that reads and
writes as many; a call holds the launch, and the look at whether all rows were valid.
It also says how far the device's derivatives are from the host's, and the trained models' average precision.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import xgboost
from common import interleaved, median_ratio, publish, simulate, verdict, version
from sklearn.metrics import average_precision_score

import gbm_focal.xgboost
from gbm_focal import FocalLoss
from gbm_focal.kernels import cuda

BASE_RATE = 0.05
FEATURES = 30
# Rows, rounds, and the ratio focal / native that we want not to exceed.
CASES = [(1_000_000, 100, 1.15), (10_000_000, 30, 1.10)]
BANDWIDTH_TARGET = 0.6  # of the copy's
KERNEL_ROWS = (1_000_000, 10_000_000, 100_000_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7, help="times that all variants take their turn")
    parser.add_argument("--quick", action="store_true", help="the million rows only, 3 repeats; print only")
    arguments = parser.parse_args()
    if cuda.usable_device("cuda") is None:
        sys.exit("this benchmark needs an NVIDIA GPU and CuPy: pip install '.[gpu]'")
    cases, sizes = CASES, KERNEL_ROWS
    if arguments.quick:
        cases, sizes, arguments.repeats = CASES[:1], KERNEL_ROWS[:1], 3

    table, precision = [], []
    for rows, rounds, target in cases:
        rows_of_table, note = trained(rows, rounds, target, arguments.repeats)
        table += rows_of_table
        precision.append(note)
    table += [bandwidth(rows) for rows in sizes]
    notes = [
        f"Training: {FEATURES} features, depth 6, learning rate 0.1, base rate {BASE_RATE:.0%}; medians of "
        f"{arguments.repeats} interleaved runs, and ratios are medians of the ratios to the native run beside. The "
        "time of a round is that of training divided by the rounds, so it holds the calibration at the end.",
        "gamma 0: FocalLoss(0) without a limit on the steps, which grows native's trees: its ratio is what the way "
        "through Python costs.",
        *precision,
        agreement(),
    ]
    header = ["case", "ms a round, or ms", "ratio to native, or GB/s", "target"]
    title = f"Focal loss on a GPU ({gpu_name()}, CuPy {version('cupy-cuda13x') or version('cupy-cuda12x')})"
    publish("gpu_speed", title, header, table, notes, write=not arguments.quick)


def trained(rows: int, rounds: int, target: float, repeats: int) -> tuple[list[list[str]], str]:
    """Rows of the table for training on so much data, and a note on what the models are worth."""
    X, y, _ = simulate(rows + 200_000, FEATURES, BASE_RATE, strength=1.0, seed=0)
    X_test, y_test = X[rows:], y[rows:]
    data = xgboost.QuantileDMatrix(X[:rows], label=y[:rows])
    params = {"device": "cuda", "tree_method": "hist", "max_depth": 6, "learning_rate": 0.1}
    native = {**params, "objective": "binary:logistic"}

    def on_host() -> xgboost.Booster:
        with mock.patch.object(cuda, "usable_device", return_value=None):
            return gbm_focal.xgboost.train(params, data, rounds, loss=FocalLoss(2.0))

    variants: dict[str, Callable[[], xgboost.Booster]] = {
        "native": lambda: xgboost.train(native, data, rounds),
        "focal, device": lambda: gbm_focal.xgboost.train(params, data, rounds, loss=FocalLoss(2.0)),
        "gamma 0, device": lambda: gbm_focal.xgboost.train(params, data, rounds, loss=FocalLoss(0.0), max_step=None),
        "focal, host": on_host,
    }
    try:
        from gbdtCBL.binary import FLLoss

        focal = FLLoss(2.0)

        def theirs(margin: np.ndarray, data: xgboost.DMatrix) -> tuple[np.ndarray, np.ndarray]:
            return focal(data.get_label(), margin)

        variants["gbdtCBL FLLoss(2)"] = lambda: xgboost.train(native, data, rounds, obj=theirs)
    except ImportError:
        print("gbdtCBL is not installed, and so not measured", file=sys.stderr)
    boosters = {name: train() for name, train in variants.items()}
    times = interleaved(variants, repeats)
    table = []
    for name, seconds in times.items():
        ratio = median_ratio(seconds, times["native"])
        judged = f"{target:.2f} {verdict(ratio <= target)}" if name == "focal, device" else ""
        per_round = 1e3 * float(np.median(seconds)) / rounds
        table.append([f"{rows:,} rows, {rounds} rounds: {name}", f"{per_round:.2f}", f"{ratio:.3f}", judged])
    test = xgboost.DMatrix(X_test)
    scores = {
        name: average_precision_score(y_test, booster.predict(test, output_margin=True))
        for name, booster in boosters.items()
    }
    of_device, of_host = scores["focal, device"], scores["focal, host"]
    return table, (
        f"{rows:,} rows, average precision on 200,000 others: native {scores['native']:.4f}, focal on the device "
        f"{of_device:.4f}, on the host {of_host:.4f}, a difference of {abs(of_device - of_host):.1e} (target 1e-3: "
        f"{verdict(abs(of_device - of_host) <= 1e-3)})."
    )


def bandwidth(rows: int) -> list[str]:
    """One row of the table: bytes read and written in a second, beside a copy on the device."""
    import cupy

    random = np.random.default_rng(0)
    margin = cupy.asarray(random.normal(-2, 3, rows).astype(np.float32))
    y = cupy.asarray((random.random(rows) < BASE_RATE).astype(np.float32))
    gradient, hessian = cupy.empty_like(margin), cupy.empty_like(margin)
    source, target = cupy.empty(2 * rows, np.float32), cupy.empty(2 * rows, np.float32)

    seconds: dict[str, list[float]] = {"kernel": [], "copy": [], "call": []}

    def timed(name: str, function: Callable[..., None], *arguments: Any) -> None:
        start, end = cupy.cuda.Event(), cupy.cuda.Event()
        start.record()
        function(*arguments)
        end.record()
        end.synchronize()
        seconds[name].append(1e-3 * cupy.cuda.get_elapsed_time(start, end))

    def call() -> None:
        FocalLoss(2.0).fill_derivatives(y, margin, None, gradient, hessian, exact=False, max_step=2.0)

    compiled = cuda._kernel

    def with_events(*names: str) -> Callable[..., None]:
        return lambda *arguments: timed("kernel", compiled(*names), *arguments)

    for _ in range(30):
        call()
        timed("call", call)
        with mock.patch.object(cuda, "_kernel", with_events):
            call()
        cupy.copyto(target, source)
        timed("copy", cupy.copyto, target, source)
    median = {name: float(np.median(times)) for name, times in seconds.items()}
    speed = {name: 16e-9 * rows / time for name, time in median.items()}
    share = speed["kernel"] / speed["copy"]
    return [
        f"kernel, {rows:,} rows (a copy: {speed['copy']:.0f} GB/s; a call: {1e3 * median['call']:.3f} ms)",
        f"{1e3 * median['kernel']:.3f}",
        f"{speed['kernel']:.0f} GB/s, {share:.0%} of the copy",
        f"{BANDWIDTH_TARGET:.0%} {verdict(share >= BANDWIDTH_TARGET)}",
    ]


def agreement() -> str:
    """Say how far the device's gradients and Hessians are from the host's, relative to them."""
    import cupy

    worst = {}
    for dtype, limit in ((np.float32, 2e-6), (np.float64, 1e-12)):
        margin = np.linspace(-80, 80, 1_000_001).astype(dtype)
        y = (np.arange(margin.size) % 2).astype(dtype)
        on_host = FocalLoss(2.0).gradient_hessian(y, margin, max_step=2.0)
        on_device = FocalLoss(2.0).gradient_hessian(cupy.asarray(y), cupy.asarray(margin), max_step=2.0)
        smallest = 1e-30 if dtype == np.float32 else np.finfo(dtype).tiny  # below 1e-35 CuPy rounds to 0
        error = max(
            float(np.max(np.abs(ours.get() - theirs) / np.maximum(np.abs(theirs), smallest)))
            for ours, theirs in zip(on_device, on_host, strict=True)
        )
        worst[np.dtype(dtype).name] = f"{error:.1e} (target {limit:g}: {verdict(error <= limit)})"
    return (
        "Largest difference of device and host over a million margins in [-80, 80], relative to the result (float32: "
        "or to 1e-30, if that is larger): " + ", ".join(f"{name} {text}" for name, text in worst.items())
    )


def gpu_name() -> str:
    import cupy

    properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.runtime.getDevice())
    return str(properties["name"].decode())


if __name__ == "__main__":
    main()
