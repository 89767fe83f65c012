"""Models trained at another base rate than they are used at: how right their probabilities are, and what that costs.

    python benchmarks/base_rates.py

The simulator of common.py knows each row's true probability; about 2 % are positive. Each seed trains on 320,000 rows,
stops early on 80,000 and is judged on 400,000, all with FocalLoss(2), trees of depth 3 and a learning rate of 0.1. Of
the negatives all are kept, one in 10, or one in 100, for training and for stopping alike; `base_rate` is the share of
positives before any were dropped. Seconds are those of training, on one thread.

The second table draws samples with another share of positives than the training data, and estimates that share from
predictions alone, by gbm_focal.base_rates.estimate: from those of XGBoost trained on all rows; from the same,
calibrated on the rows to stop on (two numbers, the slope and the shift of the log-odds, by logistic regression); and
from the true probabilities. Labels are drawn anew for each sample. The strength of the signal is one at which the true
probabilities tell a share of 0.5 % in 20,000 rows to about a quarter.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # else, on a busy machine, waiting threads take most of the time

import lightgbm
import numpy as np
import xgboost
from common import publish, score_by_truth, simulate, verdict
from scipy.optimize import brentq
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

import gbm_focal.lightgbm
import gbm_focal.xgboost
from gbm_focal import FocalLoss
from gbm_focal.base_rates import estimate

FEATURES, BASE_RATE, STRENGTH = 20, 0.02, 1.25
LOSS, DEPTH, LEARNING_RATE, MOST_ROUNDS, PATIENCE = FocalLoss(2), 3, 0.1, 1000, 50
ALL, CALIBRATED = "all rows", "all rows, calibrated on held-out rows"
MEAN_TARGET, LOG_LOSS_TARGET = 0.05, 1.03
SAMPLES = {0.005: (5_000, 20_000, 100_000), 0.08: (1_000, 5_000, 20_000)}  # rows, for each share of positives
DRAWS = 50
ESTIMATE_TARGET, ENOUGH_POSITIVES = 0.1, 500


class Rows(NamedTuple):
    """Rows to learn from."""

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None = None


class Predictions(NamedTuple):
    """What a method says about the test rows."""

    method: str
    seconds: float  # of training
    probability: np.ndarray
    base_rate: float  # that the probabilities stand for


class Model(NamedTuple):
    """A trained model of either engine."""

    margin: Callable[[np.ndarray], np.ndarray]
    link: Any  # gbm_focal.link.Link

    def probability(self, margin: np.ndarray, base_rate: float | None = None) -> np.ndarray:
        """Return P(y = 1), at the base rate that training was given or another."""
        link = self.link if base_rate is None else self.link.at_base_rate(base_rate)
        return link.probabilities(margin)[:, 1].astype(float)


def train_xgboost(training: Rows, stopping: Rows, base_rate: float | None, threads: int) -> Model:
    data, valid = (
        xgboost.DMatrix(rows.X, rows.y, weight=rows.weight, nthread=threads) for rows in (training, stopping)
    )
    params = {"max_depth": DEPTH, "eta": LEARNING_RATE, "nthread": threads}
    evaluation = {"evals": [(valid, "valid")], "early_stopping_rounds": PATIENCE, "verbose_eval": False}
    booster = gbm_focal.xgboost.train(params, data, MOST_ROUNDS, loss=LOSS, base_rate=base_rate, **evaluation)
    rounds = (0, booster.best_iteration + 1)

    def margin(X: np.ndarray) -> np.ndarray:
        return booster.predict(xgboost.DMatrix(X, nthread=threads), output_margin=True, iteration_range=rounds)

    return Model(margin, gbm_focal.xgboost.link_of(booster))


def train_lightgbm(training: Rows, stopping: Rows, base_rate: float | None, threads: int) -> Model:
    params = {"num_leaves": 2**DEPTH, "learning_rate": LEARNING_RATE, "num_threads": threads, "verbosity": -1}
    data = lightgbm.Dataset(training.X, training.y, weight=training.weight, params=params)
    valid = lightgbm.Dataset(stopping.X, stopping.y, weight=stopping.weight, reference=data)
    evaluation = {"valid_sets": [valid], "callbacks": [lightgbm.early_stopping(PATIENCE, verbose=False)]}
    booster = gbm_focal.lightgbm.train(params, data, MOST_ROUNDS, loss=LOSS, base_rate=base_rate, **evaluation)
    return Model(lambda X: booster.predict(X, raw_score=True), gbm_focal.lightgbm.link_of(booster))


ENGINES = {"XGBoost": train_xgboost, "LightGBM": train_lightgbm}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=400_000, help="to train and stop on; as many to judge by")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="one seed; print only, keep the written results")
    arguments = parser.parse_args()
    seeds = 1 if arguments.quick else arguments.seeds

    scores: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    estimates: dict[tuple[float, int], list[list[float]]] = {}
    for seed in range(seeds):
        X, y, truth = simulate(2 * arguments.rows, FEATURES, BASE_RATE, STRENGTH, seed)
        learning, test = slice(arguments.rows), slice(arguments.rows, None)
        for engine in ENGINES:
            of_all_rows = {}
            for one in predictions_of(engine, X[learning], y[learning], X[test], seed, arguments.threads):
                found = (*score_by_truth(truth[test], one.probability), one.seconds)
                scores.setdefault((engine, one.method), []).append(found)
                print(seed, engine, one.method, *found, file=sys.stderr, flush=True)
                if one.method in (ALL, CALIBRATED):
                    of_all_rows[one.method] = one
            if engine == "XGBoost":
                known = Predictions("true probabilities", 0, truth[test], truth[test].mean())
                draw_samples([*of_all_rows.values(), known], truth[test], seed, DRAWS // seeds, estimates)
    report_undersampling(scores, arguments.rows, seeds, write=not arguments.quick)
    report_estimates(estimates, write=not arguments.quick)


# ---- undersampling ----


def predictions_of(
    engine: str, X: np.ndarray, y: np.ndarray, X_test: np.ndarray, seed: int, threads: int
) -> Iterator[Predictions]:
    """Train by each method, and predict the test rows."""
    last = np.arange(len(y)) >= 0.8 * len(y)
    base_rate = float(y.mean())
    draws = np.random.default_rng(seed).random(len(y))

    def trained(
        keep: float, weights: tuple[float, float] | None, rate: float | None
    ) -> tuple[float, Model, Rows, np.ndarray]:
        """Train on the positives and so many of the negatives, with weights of positives and negatives."""
        parts = []
        for part in (~last, last):
            rows = np.flatnonzero(part & ((y == 1) | (draws < keep)))
            weight = None if weights is None else np.where(y[rows] == 1, *weights)
            parts.append(Rows(X[rows], y[rows], weight))
        start = time.perf_counter()
        model = ENGINES[engine](*parts, rate, threads)
        seconds = time.perf_counter() - start
        return seconds, model, parts[1], model.margin(X_test)

    seconds, model, stopping, margin = trained(1, None, None)
    probability, held_out = model.probability(margin), model.probability(model.margin(stopping.X))
    yield Predictions(ALL, seconds, probability, model.link.base_rate[0])
    calibration = LogisticRegression(C=1e9).fit(logit(held_out)[:, np.newaxis], stopping.y)
    calibrated = calibration.predict_proba(logit(probability)[:, np.newaxis])[:, 1]
    yield Predictions(CALIBRATED, seconds, calibrated, float(stopping.y.mean()))
    yield Predictions(f"{ALL}, sigmoid(margin)", seconds, expit(margin.astype(float)), base_rate)
    seconds, model, _, margin = trained(1, (10, 1), base_rate)
    yield Predictions(f"{ALL}, positives weigh 10 times, base_rate", seconds, model.probability(margin), base_rate)
    for one_in in (10, 100):
        kept = f"one negative in {one_in}"
        seconds, model, stopping, margin = trained(1 / one_in, None, base_rate)
        methods = {
            "base_rate": model.probability(margin),
            "no correction": model.probability(margin, *model.link.trained_base_rate),
            "sigmoid(margin)": expit(margin.astype(float)),
        }
        # The rows to stop on, of which the labels are known: their mean prediction shall be their share of positives.
        held_out, share = model.probability(model.margin(stopping.X), stopping.y.mean()), stopping.y.mean()
        shift = brentq(functools.partial(excess_of_shift, held_out, share), -5, 5)
        methods["base_rate, shift of held-out rows"] = expit(logit(model.probability(margin)) + shift)
        # Rows of the population, whose labels nobody needs to know: their mean prediction shall be the base rate.
        of_population = model.margin(X[last])
        used = brentq(functools.partial(excess_of_rate, model, of_population, base_rate), 1e-6, 0.5)
        methods["at_base_rate by the mean of held-out rows"] = model.probability(margin, used)
        for method, probability in methods.items():
            yield Predictions(f"{kept}, {method}", seconds, probability, base_rate)
        seconds, model, _, margin = trained(1 / one_in, (1, one_in), None)
        yield Predictions(f"{kept}, which weighs {one_in} times", seconds, model.probability(margin), base_rate)


def excess_of_shift(probability: np.ndarray, share: float, shift: float) -> float:
    return float(expit(logit(probability) + shift).mean() - share)


def excess_of_rate(model: Model, margin: np.ndarray, share: float, rate: float) -> float:
    return float(model.probability(margin, rate).mean() - share)


def report_undersampling(
    scores: dict[tuple[str, str], list[tuple[float, float, float]]], rows: int, seeds: int, *, write: bool
) -> None:
    table = []
    notes = [
        f"{rows:,} rows to learn from, of which a fifth to stop on, about {BASE_RATE:.0%} positive, means over {seeds} "
        "seeds. The truth is the true probability of each test row, and log loss its expectation over the labels.",
        "Shift of held-out rows: the constant that brings the mean prediction over the rows to stop on to their share "
        "of positives. At_base_rate by the mean: the rate at which the mean over the same part of the rows, none "
        "dropped and without their labels, is base_rate.",
    ]
    for (engine, method), of_seeds in scores.items():
        means = [one[1] for one in of_seeds]
        log_loss, mean, seconds = np.mean(of_seeds, axis=0)
        ratio = log_loss / np.mean([one[0] for one in scores[engine, ALL]])
        spread = f"{min(means):.3f} - {max(means):.3f}"
        table.append([engine, method, f"{mean:.3f}", spread, f"{log_loss:.5f}", f"{ratio:.3f}", f"{seconds:.1f}"])
        if method == "one negative in 10, base_rate":
            notes.append(
                f"Target, {engine}, {method}: mean within {MEAN_TARGET:.0%} of the truth, {mean - 1:+.1%}, "
                f"{verdict(abs(mean - 1) <= MEAN_TARGET)}; log loss at most {LOG_LOSS_TARGET} of that with all rows, "
                f"{ratio:.3f}, {verdict(ratio <= LOG_LOSS_TARGET)}."
            )
    header = ["engine", "method", "mean / truth", "range", "log loss", f"of {ALL}", "seconds"]
    publish("base_rates", "Base rates: negatives dropped, and put right", header, table, notes, write=write)


# ---- estimates ----


def draw_samples(
    methods: list[Predictions],
    truth: np.ndarray,
    seed: int,
    draws: int,
    estimates: dict[tuple[float, int], list[list[float]]],
) -> None:
    """Add the estimates by each method, relative to the drawn rate."""
    random = np.random.default_rng(seed)
    for share, sizes in SAMPLES.items():
        for size in sizes:
            for _ in range(draws):
                y = random.random(truth.size) < truth
                number = round(share * size)
                positives = random.choice(np.flatnonzero(y), number, replace=False)
                negatives = random.choice(np.flatnonzero(~y), size - number, replace=False)
                rows = np.concatenate([positives, negatives])
                with warnings.catch_warnings():  # few positives may look like none
                    warnings.filterwarnings("ignore", "the estimated rate of the positive class is 0")
                    found = [estimate(method.probability[rows], method.base_rate) / share for method in methods]
                estimates.setdefault((share, size), []).append(found)


def report_estimates(estimates: dict[tuple[float, int], list[list[float]]], *, write: bool) -> None:
    table, notes = [], []
    for (share, size), found in estimates.items():
        medians, spreads = np.median(found, axis=0), np.std(found, axis=0)
        positives = round(share * size)
        cells = [cell for pair in zip(medians, spreads, strict=True) for cell in (f"{pair[0]:.2f}", f"{pair[1]:.0%}")]
        table.append([f"{share / BASE_RATE:g} times the training's", f"{size:,}", f"{positives:,}", *cells])
        if positives >= ENOUGH_POSITIVES:
            as_they_are, calibrated = medians[0], medians[1]
            notes.append(
                f"Target, {share / BASE_RATE:g} times, {size:,} rows: median within {ESTIMATE_TARGET:.0%} of the drawn "
                f"rate: predictions {as_they_are - 1:+.1%}, {verdict(abs(as_they_are - 1) <= ESTIMATE_TARGET)}; "
                f"calibrated {calibrated - 1:+.1%}, {verdict(abs(calibrated - 1) <= ESTIMATE_TARGET)}."
            )
    draws = len(next(iter(estimates.values())))
    notes.insert(
        0,
        f"{draws} samples for each row, in equal parts from each seed. Medians of the estimates relative to the drawn "
        "rate, and their standard deviations; what the true probabilities have is what can be had.",
    )
    header = ["base rate", "rows", "positives"]
    header += [f"{name}{what}" for name in ("predictions", "calibrated", "truth") for what in ("", ": spread")]
    title = "Base rates estimated without labels"
    publish("base_rates_estimated", title, header, table, notes, write=write)


if __name__ == "__main__":
    main()
