"""Models trained at another base rate than they are used at: how right their probabilities are.

    python benchmarks/base_rates.py

The simulator of common.py knows each row's true probability; 2 % are positive. Each seed trains FocalLoss(2) on 320,000
rows, stops early on 80,000, and is judged on 400,000. Of the negatives all are kept, one in 10, or one in 100, for
training and for stopping. Then `base_rate` is the share of positives before, or the kept negatives weigh 10 or 100
times; "held-out shift" is the one that brings the mean of the rows to stop on to their share of positives, before the
base rate is adapted.

The second table draws 50 new samples with another share of positives than the training data, and estimates it from
predictions alone, by gbm_focal.base_rates.estimate: from those of a model, and from the true probabilities.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # else, on a busy machine, waiting threads take most of the time

import numpy as np
from common import publish, score_by_truth, simulate, verdict
from lightgbm import LGBMClassifier
from scipy.optimize import brentq
from scipy.special import expit, logit
from xgboost import XGBClassifier

from gbm_focal import FocalClassifier, FocalLoss
from gbm_focal.base_rates import adapt, estimate

FEATURES, BASE_RATE, STRENGTH = 20, 0.02, 1.0
DEPTH, LEARNING_RATE, MOST_ROUNDS, PATIENCE = 3, 0.1, 1000, 30
MEAN_TARGET, LOG_LOSS_TARGET, ESTIMATE_TARGET, ENOUGH_POSITIVES = 0.05, 1.03, 0.1, 500
SHARES, SAMPLES, DRAWS = {0.005: 130_000, 0.08: 430_000}, (5_000, 20_000, 100_000), 50  # shares: rows that have as many


class Data(NamedTuple):
    """Rows with labels and true probabilities."""

    X: np.ndarray
    y: np.ndarray
    truth: np.ndarray

    def take(self, rows: np.ndarray | slice) -> Data:
        """Return some rows."""
        return Data(*(part[rows] for part in self))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=400_000, help="to train and stop on; as many to judge by")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="one seed; print only, keep the written results")
    options = parser.parse_args()
    seeds = range(1 if options.quick else options.seeds)
    scores: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    estimates: dict[tuple[float, int], list[tuple[float, float, float]]] = {}
    for seed in seeds:
        data = Data(*simulate(2 * options.rows, FEATURES, BASE_RATE, STRENGTH, seed))
        training, test = data.take(slice(options.rows)), data.take(slice(options.rows, None))
        for name, engine in engines(options.threads).items():
            for kept, method, probability, model in predictions(engine, training, test, seed):
                scores.setdefault((name, kept, method), []).append(score_by_truth(test.truth, probability))
                if name == "XGBoost" and kept == "all":
                    for share, rows, found in estimated(model, seed, DRAWS // options.seeds):
                        estimates.setdefault((share, rows), []).append(found)
    report_undersampling(scores, options.rows, len(seeds), write=not options.quick)
    report_estimates(estimates, write=not options.quick)


def engines(threads: int) -> dict[str, XGBClassifier | LGBMClassifier]:
    settings = {"n_estimators": MOST_ROUNDS, "learning_rate": LEARNING_RATE, "n_jobs": threads}
    return {
        "XGBoost": XGBClassifier(max_depth=DEPTH, early_stopping_rounds=PATIENCE, **settings),
        "LightGBM": LGBMClassifier(num_leaves=2**DEPTH, early_stopping_round=PATIENCE, verbosity=-1, **settings),
    }


def predictions(
    engine: XGBClassifier | LGBMClassifier, training: Data, test: Data, seed: int
) -> Iterator[tuple[str, str, np.ndarray, FocalClassifier]]:
    """Train on all rows and on what is left; yield what was kept, the method, test probabilities, and the model."""
    random = np.random.default_rng(seed)
    rate, fifth = float(training.y.mean()), random.random(len(training.y)) < 0.2
    for divisor in (1, 10, 100):
        kept = (training.y == 1) | (random.random(len(training.y)) < 1 / divisor)
        fit, stop = training.take(kept & ~fifth), training.take(kept & fifth)
        model = FocalClassifier(engine, FocalLoss(2), base_rate=None if divisor == 1 else rate)
        model.fit(fit.X, fit.y, eval_set=[(stop.X, stop.y)])
        probability = model.predict_proba(test.X)[:, 1].astype(float)
        if divisor == 1:
            yield "all", "posterior", probability, model
            continue
        of_kept = f"1 in {divisor}"
        yield of_kept, "base_rate", probability, model
        as_trained = model.at_base_rate(float(fit.y.mean()))
        held = as_trained.predict_proba(stop.X)[:, 1].astype(float)
        shift = float(brentq(lambda s, p=held, y=stop.y: expit(logit(p) + s).mean() - y.mean(), -3, 3))
        bare = as_trained.predict_proba(test.X)[:, 1].astype(float)
        used_in_stop = float(stop.y.mean())
        yield of_kept, "base_rate, held-out shift", adapt(expit(logit(bare) + shift), used_in_stop, rate), model
        yield of_kept, "no correction", bare, model
        margin = model.estimator_.predict_proba(test.X)[:, 1] if isinstance(engine, XGBClassifier) else None
        if margin is not None:
            yield of_kept, "sigmoid(margin)", margin.astype(float), model
        weighted = FocalClassifier(engine, FocalLoss(2))
        weights = [np.where(part.y == 1, 1.0, divisor) for part in (fit, stop)]
        weighted.fit(fit.X, fit.y, weights[0], eval_set=[(stop.X, stop.y)], eval_sample_weight=[weights[1]])
        yield of_kept, "weights", weighted.predict_proba(test.X)[:, 1].astype(float), weighted


def estimated(model: FocalClassifier, seed: int, draws: int) -> Iterator[tuple[float, int, tuple[float, float, float]]]:
    """Yield shares and sizes of samples, and (drawn rate, by the model, by the true probabilities), per draw."""
    random = np.random.default_rng(100 + seed)
    for share, population in SHARES.items():
        for draw in range(draws):
            drawn = Data(*simulate(population, FEATURES, BASE_RATE, STRENGTH, 1000 * (1 + seed) + draw))
            positive = random.random(max(SAMPLES)) < share
            rows = np.empty(positive.size, int)
            rows[positive] = np.flatnonzero(drawn.y == 1)[: positive.sum()]
            rows[~positive] = np.flatnonzero(drawn.y == 0)[: (~positive).sum()]
            sample = drawn.take(rows)
            probability = model.predict_proba(sample.X)[:, 1].astype(float)
            for size in SAMPLES:
                found = [float(estimate(given[:size], trained=BASE_RATE)) for given in (probability, sample.truth)]
                yield share, size, (float(positive[:size].mean()), *found)


def report_undersampling(
    scores: dict[tuple[str, str, str], list[tuple[float, float]]], rows: int, seeds: int, *, write: bool
) -> None:
    table, verdicts = [], []
    for (engine, kept, method), values in scores.items():
        whole = np.mean([loss for loss, _ in scores[engine, "all", "posterior"]])
        loss, mean = np.mean(values, axis=0)
        table.append([engine, kept, method, f"{loss:.4f}", f"{loss / whole:.3f}", f"{mean:.3f}"])
        if (kept, method) == ("1 in 10", "base_rate"):
            verdicts.append(
                f"{engine}, one negative in 10, base_rate: log loss at most {LOG_LOSS_TARGET} times that of all rows, "
                f"{verdict(loss / whole <= LOG_LOSS_TARGET)}; mean within {MEAN_TARGET:.0%} of the truth, "
                f"{verdict(abs(mean - 1) <= MEAN_TARGET)}."
            )
    notes = [
        f"{rows:,} rows to learn from, a fifth of them to stop on, means over {seeds} seeds. Log loss is its "
        "expectation over the labels, given the true probabilities.",
        *verdicts,
    ]
    header = ["engine", "negatives kept", "method", "log loss", "of all rows'", "mean / truth"]
    publish("base_rates", "Base rates: trained on a part of the negatives", header, table, notes, write=write)


def report_estimates(estimates: dict[tuple[float, int], list[tuple[float, float, float]]], *, write: bool) -> None:
    table, met = [], []
    for (share, rows), found in estimates.items():
        drawn, *guesses = np.array(found).T
        cells = []
        for guess in guesses:
            ratio = guess / drawn
            cells += [f"{np.median(ratio):.3f}", f"{np.percentile(ratio, 10):.2f} to {np.percentile(ratio, 90):.2f}"]
        table.append([f"{share:.1%}", f"{rows:,}", f"{share * rows:,.0f}", *cells])
        if share * rows >= ENOUGH_POSITIVES:
            met.append(abs(np.median(guesses[0] / drawn) - 1) <= ESTIMATE_TARGET)
    notes = [
        f"{len(next(iter(estimates.values())))} draws each, from the rows that XGBoost, trained on all rows at "
        f"{BASE_RATE:.0%}, has not seen. Estimates are divided by the share that was drawn.",
        f"With {ENOUGH_POSITIVES} positives or more the median is within {ESTIMATE_TARGET:.0%}: {verdict(all(met))}.",
    ]
    header = ["positives", "rows", "positives, about", "model: median", "10 % to 90 %", "truth: median", "10 % to 90 %"]
    publish("base_rate_estimates", "Base rates estimated without labels", header, table, notes, write=write)


if __name__ == "__main__":
    main()
