"""What scoring takes: `predict_proba`, the model in ONNX Runtime, and treelite's margins with the link.

    python benchmarks/deploy_speed.py

One model an engine, of 100 trees of depth 6 (XGBoost) or 31 leaves (LightGBM), scores 1, 100 and 100,000 rows of 30
float32 features, on one thread each. `predict_proba` is that of a fitted FocalClassifier, with all that scikit-learn
checks of the rows, and that of `gbm_focal.xgboost` or `gbm_focal.lightgbm`, of the booster inside. ONNX Runtime has the
graph of `gbm_focal.onnx.to_onnx`; its time is for labels and probabilities. treelite is GTIL, its interpreter, which
needs no compiler.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import onnxruntime
import xgboost
from common import interleaved, publish, simulate

import gbm_focal.lightgbm
import gbm_focal.xgboost
from gbm_focal import FocalClassifier, FocalLoss
from gbm_focal.onnx import to_onnx

try:
    import treelite
except ImportError:
    treelite = None

TRAINING_ROWS, FEATURES, BASE_RATE = 100_000, 30, 0.05
CALLS = {1: 200, 100: 50, 100_000: 1}  # for each number of rows, the calls that are timed as one
CLASSIFIER, BOOSTER, ONNX, TREELITE = "FocalClassifier", "booster", "ONNX Runtime", "treelite + link"
Scorer = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="rounds of all ways in turn")
    parser.add_argument("--quick", action="store_true", help="3 rounds of at most 10,000 rows; print only")
    arguments = parser.parse_args()
    rounds = 3 if arguments.quick else arguments.rounds

    X, y, _ = simulate(TRAINING_ROWS, FEATURES, BASE_RATE, strength=1.0, seed=0)
    test, _, _ = simulate(max(CALLS), FEATURES, BASE_RATE, strength=1.0, seed=1)
    table = []
    furthest = 0.0
    for engine, make in ENGINES.items():
        scorers = scorers_of(FocalClassifier(make(), FocalLoss(2.0)).fit(X, y.astype(int)))
        expected = scorers[CLASSIFIER](test)
        for score in scorers.values():
            furthest = max(furthest, float(np.abs(score(test) - expected).max()))
        for rows, calls in CALLS.items():
            rows = min(rows, 10_000) if arguments.quick else rows
            table.append([engine, f"{rows:,}", *seconds_of(scorers, test[:rows], calls, rounds)])
            print(*table[-1], sep="  ", file=sys.stderr, flush=True)
    notes = [
        f"Milliseconds of one call, medians of {rounds} interleaved rounds, and how many times as fast as "
        "FocalClassifier.predict_proba that is.",
        f"Probabilities of all ways agree to {furthest:.0e}.",
        *([] if treelite else ["treelite is not installed."]),
    ]
    header = ["engine", "rows", *(f"{name}, ms" for name in scorers)]
    title = "Scoring: predict_proba, ONNX Runtime, and treelite"
    publish("deploy_speed", title, header, table, notes, write=not arguments.quick, others=("onnxruntime", "treelite"))


def seconds_of(scorers: dict[str, Scorer], rows: np.ndarray, calls: int, rounds: int) -> list[str]:
    """Cells of a row of the table."""

    def timed(score: Scorer) -> Callable[[], Any]:
        return lambda: [score(rows) for _ in range(calls)]

    times = interleaved({name: timed(score) for name, score in scorers.items()}, rounds, warm=True)
    medians = {name: 1000 * float(np.median(of_way)) / calls for name, of_way in times.items()}
    reference = medians[CLASSIFIER]
    return [
        f"{reference:.3f}",
        *(f"{ms:.3f} ({reference / ms:.1f}x)" for name, ms in medians.items() if name != CLASSIFIER),
    ]


def scorers_of(classifier: FocalClassifier) -> dict[str, Scorer]:
    """Functions from rows to the probabilities of two classes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    graph = to_onnx(classifier).SerializeToString()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    fitted, link = classifier.estimator_, classifier.link_
    of_xgboost = isinstance(fitted, xgboost.XGBClassifier)
    booster = fitted.get_booster() if of_xgboost else fitted.booster_
    module: Any = gbm_focal.xgboost if of_xgboost else gbm_focal.lightgbm
    settings = {} if of_xgboost else {"num_threads": 1}
    if of_xgboost:
        booster.set_param({"nthread": 1})
    scorers = {
        CLASSIFIER: classifier.predict_proba,
        BOOSTER: lambda X: module.predict_proba(booster, X, **settings),
        ONNX: lambda X: session.run(None, {"X": X})[1],
    }
    if treelite is not None:
        load = treelite.frontend.from_xgboost if of_xgboost else treelite.frontend.from_lightgbm
        trees = load(booster)
        kind = np.float32 if of_xgboost else np.float64  # of the thresholds, which treelite asks for

        def by_treelite(X: np.ndarray) -> np.ndarray:
            margin = treelite.gtil.predict(trees, X.astype(kind, copy=False), nthread=1, pred_margin=True)
            return link.probabilities(margin.reshape(-1))

        scorers[TREELITE] = by_treelite
    return scorers


ENGINES = {
    "XGBoost": lambda: xgboost.XGBClassifier(n_estimators=100, max_depth=6, learning_rate=0.1, n_jobs=1),
    "LightGBM": lambda: lightgbm.LGBMClassifier(n_estimators=100, learning_rate=0.1, n_jobs=1, verbosity=-1),
}


if __name__ == "__main__":
    main()
