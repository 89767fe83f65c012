"""How long one call of an objective takes in one thread, and how far that is from copying its memory.

    pip install --no-deps gbdtCBL==0.2.0 imbalance-xgboost==0.8.1  # the competitors, for this benchmark only
    python benchmarks/objective_speed.py

Gradient and Hessian of a million float32 margins, as an engine gives them: ours under the engine adapters' default
(Fisher Hessian, steps of at most 2) and with the exact Hessian; against gbdtCBL and Imbalance-XGBoost, whose
Hessians are exact; and against NumPy copying the same bytes, the margins and labels read and the two results
written. All take turns in one process. Then softmax focal loss over 3 and 10 classes against gbdtCBL's.
"""

from __future__ import annotations

import argparse
import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")  # before NumPy is imported

import numpy as np
from common import interleaved, median_ratio, publish

from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalLoss, PowerCrossEntropy

COPY = "copy of the same bytes (NumPy)"
GBDTCBL_FOCAL = "gbdtCBL FLLoss(2)"
GBDTCBL_ASYMMETRIC = "gbdtCBL ASLLoss(1, 4, 0.05)"
IMBALANCE_FOCAL = "Imbalance-XGBoost Focal_Binary_Loss(2)"
FISHER = {"hessian": "fisher", "max_step": 2.0}
EXACT = {"hessian": "exact"}
# Name, loss, Hessian, and the competitors that compute the same.
OURS = [
    ("FocalLoss(2), Fisher", FocalLoss(2.0), FISHER, (GBDTCBL_FOCAL, IMBALANCE_FOCAL)),
    ("FocalLoss(2), exact", FocalLoss(2.0), EXACT, (GBDTCBL_FOCAL, IMBALANCE_FOCAL)),
    ("AsymmetricLoss(1, 4, 0.05), Fisher", AsymmetricLoss(1.0, 4.0, 0.05), FISHER, (GBDTCBL_ASYMMETRIC,)),
    ("AsymmetricLoss(1, 4, 0.05), exact", AsymmetricLoss(1.0, 4.0, 0.05), EXACT, (GBDTCBL_ASYMMETRIC,)),
    ("FocalLoss(2.5), Fisher", FocalLoss(2.5), FISHER, ()),
    ("BalancedCrossEntropy(0.9), Fisher", BalancedCrossEntropy(0.9), FISHER, ()),
    ("PowerCrossEntropy(2), Fisher", PowerCrossEntropy(2.0), FISHER, ()),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--quick", action="store_true", help="5 rounds; print only, keep the written results")
    arguments = parser.parse_args()
    rows, rounds = arguments.rows, 5 if arguments.quick else arguments.rounds

    random = np.random.default_rng(0)
    margin = random.normal(-2, 3, rows).astype(np.float32)
    y = (random.random(rows) < 0.05).astype(np.float32)
    theirs, missing = competitors(y, margin)
    functions = {
        name: lambda loss=loss, settings=settings: loss.gradient_hessian(y, margin, **settings)
        for name, loss, settings, _ in OURS
    }
    times = interleaved({**functions, **theirs, COPY: copy_of(y, margin)}, rounds, warm=True)

    times_of_classes, table_of_classes = classes_table(rounds)
    rivals = {name: [rival for rival in same if rival in times] for name, _, _, same in OURS}
    table = [row(name, times, rivals.get(name, []), rows) for name in times] + [[name, *["-"] * 4] for name in missing]
    table += table_of_classes
    missing.update(times_of_classes)
    notes = [
        f"{rows:,} rows, one thread, medians of {rounds} rounds; ratios are medians of the ratios within a round. An "
        "untimed call of the same function goes before each timed one.",
        "Fisher: with max_step=2, the default of the engine adapters. Ours check every input in the same pass and "
        "allocate their results in each call; the copy writes into arrays that are already there.",
        "Softmax: 300,000 rows of 3 classes, 100,000 rows of 10; ns/row is that of all classes of a row.",
        *(f"{name} was not measured: {why}." for name, why in missing.items()),
    ]
    header = ["objective", "ms", "ns/row", "time / copy", "times faster than"]
    title = "Speed of an objective: gradient and Hessian of one call"
    publish("objective_speed", title, header, table, notes, write=not arguments.quick)


def classes_table(rounds: int) -> tuple[dict[str, str], list[list[str]]]:
    """Rows of the table for softmax focal loss, and why its competitor is missing."""
    table: list[list[str]] = []
    try:
        from gbdtCBL.xgbmulti import XGBFLMulti
    except ImportError as error:
        return {"gbdtCBL XGBFLMulti(2)": str(error)}, table
    random = np.random.default_rng(0)
    for classes, rows in ((3, 300_000), (10, 100_000)):
        margin = (2 * random.normal(size=(rows, classes))).astype(np.float32)
        y = random.integers(classes, size=rows).astype(np.float32)
        theirs = XGBFLMulti(2.0)
        names = [f"FocalLoss(2), {classes} classes, {kind}" for kind in ("Fisher", "exact")]
        rival = f"gbdtCBL XGBFLMulti(2), {classes} classes"
        functions = {
            names[0]: lambda y=y, margin=margin: FocalLoss(2.0).gradient_hessian(y, margin, **FISHER),
            names[1]: lambda y=y, margin=margin: FocalLoss(2.0).gradient_hessian(y, margin, **EXACT),
            rival: lambda y=y, margin=margin, theirs=theirs: theirs(y, margin),
        }
        times = interleaved({**functions, COPY: copy_of(margin, margin)}, rounds, warm=True)
        table += [row(name, times, [rival] if name in names else [], rows) for name in functions]
    return {}, table


def row(name: str, times: dict[str, list[float]], rivals: list[str], rows: int) -> list[str]:
    seconds = float(np.median(times[name]))
    factors = [f"{rival}: {median_ratio(times[rival], times[name]):.1f}" for rival in rivals]
    over_copy = f"{median_ratio(times[name], times[COPY]):.1f}"
    return [name, f"{1e3 * seconds:.2f}", f"{1e9 * seconds / rows:.2f}", over_copy, "; ".join(factors)]


def competitors(y: np.ndarray, margin: np.ndarray) -> tuple[dict, dict[str, str]]:
    """Return calls of the competitors that are installed, and why the others are missing."""
    functions, missing = {}, {}
    try:
        from gbdtCBL.binary import ASLLoss, FLLoss

        focal, asymmetric = FLLoss(2.0), ASLLoss(1.0, 4.0, 0.05)
        functions[GBDTCBL_FOCAL] = lambda: focal(y, margin)
        functions[GBDTCBL_ASYMMETRIC] = lambda: asymmetric(y, margin)
    except ImportError as error:
        missing.update({GBDTCBL_FOCAL: str(error), GBDTCBL_ASYMMETRIC: str(error)})
    try:
        from imxgboost.focal_loss import Focal_Binary_Loss

        focal_of_imbalance, data = Focal_Binary_Loss(2.0), _Labels(y)
        functions[IMBALANCE_FOCAL] = lambda: focal_of_imbalance.focal_binary_object(margin, data)
    except ImportError as error:
        missing[IMBALANCE_FOCAL] = str(error)
    return functions, missing


class _Labels:
    """As much of a DMatrix as Imbalance-XGBoost's objective asks for."""

    def __init__(self, y: np.ndarray) -> None:
        self.y = y

    def get_label(self) -> np.ndarray:
        return self.y


def copy_of(y: np.ndarray, margin: np.ndarray):
    gradient, hessian = np.zeros_like(margin), np.zeros_like(margin)

    def copy() -> None:
        np.copyto(gradient, margin)
        np.copyto(hessian, y)

    return copy


if __name__ == "__main__":
    main()
