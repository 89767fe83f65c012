"""What metrics, thresholds and budgets take of time and memory on ten million rows.

    python benchmarks/decision_speed.py

Ten million scores, 1 % of the rows positive, in a hundred days of as many rows and half a million cards. Each function
is called once, in one thread: processor time, so that other work on the machine does not count, and how far resident
memory grows at its peak, by rows, beyond the inputs. They are float64 scores and int8 labels; then these with float64
weights; then float32 scores and int64 labels, as engines have them. Results that are arrays count as memory. It needs
Linux.
"""

from __future__ import annotations

import argparse
import functools
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")  # before NumPy is imported

import numpy as np
from common import peak_of, publish, verdict

from gbm_focal import metrics

MOST_SECONDS, MOST_BYTES = 10, 24
DAYS, CARDS = 100, 500_000
INPUTS = ("float64", "with weights", "float32")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--positives", type=float, default=0.01, help="their share")
    parser.add_argument("--quick", action="store_true", help="200,000 rows; print only, keep the written results")
    arguments = parser.parse_args()
    rows = 200_000 if arguments.quick else arguments.rows
    random = np.random.default_rng(0)
    positive = random.random(rows) < arguments.positives
    score = random.beta(np.where(positive, 3.0, 1.0), 20.0)
    amount, weight = random.lognormal(3, 1, rows), random.uniform(0.5, 2, rows)
    day, card = np.arange(rows) * DAYS // rows, random.integers(0, CARDS, rows)
    given: dict[str, tuple[Any, ...]] = {
        "float64": (positive.astype(np.int8), score),
        "with weights": (positive.astype(np.int8), score),
        "float32": (positive.astype(np.int64), score.astype(np.float32)),
    }
    del positive, score
    table, most = [], np.zeros(2)
    for name, function, takes_weights in functions(amount, day, card):
        cells = [name]
        for kind in INPUTS:
            if kind == "with weights" and not takes_weights:
                cells += ["", ""]
                continue
            keywords = {"sample_weight": weight} if kind == "with weights" else {}
            start = time.process_time()
            _, memory = peak_of(functools.partial(function, *given[kind], **keywords))
            measured = time.process_time() - start, memory / rows
            most = np.maximum(most, measured)
            cells += [f"{measured[0]:.1f}", f"{measured[1]:.0f}"]
        table.append(cells)
        print(" | ".join(cells), flush=True)
    seconds, memory = most
    publish(
        "decision_speed",
        "Decisions about ten million rows",
        ["function", *(f"{kind}: {unit}" for kind in INPUTS for unit in ("s", "bytes a row"))],
        table,
        [
            f"{rows:,} rows, {arguments.positives:.0%} of them positive; one call each, processor time, peak of "
            "resident memory beyond the inputs.",
            f"At most {MOST_SECONDS} s are wanted: {seconds:.1f} s, {verdict(seconds <= MOST_SECONDS)}. At most "
            f"{MOST_BYTES} bytes a row: {memory:.0f}, {verdict(memory <= MOST_BYTES)}.",
            "Promises and budgets take no weights. Days and cards are whole numbers.",
        ],
        write=not arguments.quick,
    )


def functions(amount: np.ndarray, day: np.ndarray, card: np.ndarray) -> list[tuple[str, Callable[..., Any], bool]]:
    """Name, function of labels and scores, and whether it takes weights."""
    of_rows = {"cost_false_negative": amount, "cost_false_positive": 5.0, "cost_true_positive": 5.0}
    by_day, by_card = {"groups": day}, {"groups": day, "entities": card}

    def bins(strategy: str) -> Callable[..., Any]:
        return functools.partial(metrics.reliability_curve, strategy=strategy)

    return [
        ("`recall_at_alert_rate`", metrics.recall_at_alert_rate, True),
        ("`precision_at_alert_rate`", metrics.precision_at_alert_rate, True),
        ("`recall_at_precision`", functools.partial(metrics.recall_at_precision, precision=0.1), True),
        ("the same, `base_rate`", functools.partial(metrics.recall_at_precision, precision=0.1, base_rate=0.02), True),
        ("`threshold_at_precision`", functools.partial(metrics.threshold_at_precision, precision=0.1), True),
        (
            "the same, `confidence`",
            functools.partial(metrics.threshold_at_precision, precision=0.1, confidence=0.9),
            False,
        ),
        ("`threshold_at_recall`", functools.partial(metrics.threshold_at_recall, recall=0.8), True),
        ("the same, `confidence`", functools.partial(metrics.threshold_at_recall, recall=0.8, confidence=0.9), False),
        ("`threshold_at_alert_rate`", functools.partial(metrics.threshold_at_alert_rate, alert_rate=0.01), True),
        (
            "the same, `confidence`",
            functools.partial(metrics.threshold_at_alert_rate, alert_rate=0.01, confidence=0.9),
            False,
        ),
        ("`least_cost_threshold`, costs of rows", functools.partial(metrics.least_cost_threshold, **of_rows), True),
        ("`expected_cost`, costs of rows", functools.partial(metrics.expected_cost, **of_rows), True),
        ('the same, `threshold="least"`', functools.partial(metrics.expected_cost, threshold="least", **of_rows), True),
        ("`savings_score`, costs of rows", functools.partial(metrics.savings_score, **of_rows), True),
        ("`reliability_curve`, uniform", bins("uniform"), True),
        ("the same, quantile", bins("quantile"), True),
        ("the same, positives", bins("positives"), True),
        (
            "`expected_calibration_error`, quantile",
            functools.partial(metrics.expected_calibration_error, strategy="quantile"),
            True,
        ),
        ("`precision_at_top`", functools.partial(metrics.precision_at_top, k=1000), False),
        ("the same, days", functools.partial(metrics.precision_at_top, k=100, **by_day), False),
        ("the same, days and cards", functools.partial(metrics.precision_at_top, k=100, **by_card), False),
        (
            "the same, `drop_found`",
            functools.partial(metrics.precision_at_top, k=100, drop_found=True, **by_card),
            False,
        ),
        ("`recall_at_top`, days and cards", functools.partial(metrics.recall_at_top, k=100, **by_card), False),
    ]


if __name__ == "__main__":
    main()
