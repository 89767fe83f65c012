"""One method on one test part: tuned on the training part, trained anew, judged.

The processes that share the work import this file, and not `__main__`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import optuna
from common import version
from sklearn.metrics import average_precision_score
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedKFold

from gbm_focal.metrics import least_cost_threshold

from .data import Array, Problem
from .methods import ENGINE_SPACE, METHODS, MOST_ROUNDS, PATIENCE, Method, Setting
from .report import SCORES, scores_of

PROTOCOL = 1  # raise it when what is computed changes, so that no old row stays


class Job(NamedTuple):
    """What a process needs to know, and no more."""

    key: tuple[str, ...]  # settings, data set, repeat, fold, method
    training: Problem
    test: Problem
    method: str
    trials: int
    inner_folds: int
    seed: int


KEY = ("settings", "data", "repeat", "fold", "method")
COLUMNS = (*KEY, *SCORES, "rounds", "parameters", "seconds", "error")


def jobs_of(problems: Sequence[Problem], methods: Sequence[str], options: argparse.Namespace) -> Iterator[Job]:
    for problem in problems:
        splits = RepeatedStratifiedKFold(n_splits=options.folds, n_repeats=options.repeats, random_state=options.seed)
        for number, (training, test) in enumerate(splits.split(problem.X, problem.y)):
            repeat, fold = divmod(number, options.folds)
            for method in methods:
                settings = settings_of(METHODS[method], problem, options)
                yield Job(
                    (settings, problem.name, str(repeat), str(fold), method),
                    problem.take(training),
                    problem.take(test),
                    method,
                    options.trials,
                    options.inner_folds,
                    options.seed + number,
                )


def settings_of(method: Method, problem: Problem, options: argparse.Namespace) -> str:
    """Return a short name of all that a row depends on besides its key."""
    versions = [
        version(package) for package in ("numpy", "scikit-learn", "optuna", "gbm_focal", method.engine, method.package)
    ]
    numbers = [options.folds, options.trials, options.inner_folds, options.seed, MOST_ROUNDS, PATIENCE, PROTOCOL]
    text = json.dumps([problem.fingerprint(), versions, numbers, ENGINE_SPACE, method.space])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def row_of(job: Job) -> dict[str, Any]:
    row: dict[str, Any] = {**dict.fromkeys(COLUMNS, ""), **dict(zip(KEY, job.key, strict=True))}
    start = time.perf_counter()
    try:
        row |= judged(job)
    except Exception as error:
        if METHODS[job.method].package == "gbm_focal":  # ours and the engines': what fails must be seen
            raise
        row["error"] = f"{type(error).__name__}: {error}".splitlines()[0]
    row["seconds"] = round(time.perf_counter() - start, 2)
    return row


class Trial(NamedTuple):
    """What the inner folds said of a setting."""

    precision: float
    setting: Setting
    rounds: int
    threshold: float


def judged(job: Job) -> dict[str, Any]:
    """Scores on the test part, of the best setting that the inner folds know."""
    best = tuned(job)
    method, test = METHODS[job.method], job.test
    fitted = method.fit(best.setting, job.training, None, best.rounds, job.seed)
    probability = checked(fitted.probability(test.X))
    scores = scores_of(test, probability, best.threshold)
    rounded = {name: float(f"{score:.6g}") for name, score in scores.items()}
    parameters = json.dumps({name: float(f"{value:.4g}") for name, value in best.setting.items()})
    return {**rounded, "rounds": best.rounds, "parameters": parameters}


def tuned(job: Job) -> Trial:
    method, training = METHODS[job.method], job.training
    inner = StratifiedKFold(job.inner_folds, shuffle=True, random_state=job.seed)
    parts = [(training.take(fit), training.take(stop)) for fit, stop in inner.split(training.X, training.y)]
    space = {**ENGINE_SPACE, **method.space}
    trials: list[Trial] = []

    def precision(trial: optuna.Trial) -> float:
        setting = {
            name: trial.suggest_int(name, int(low), int(high))
            if name == "depth"
            else trial.suggest_float(name, low, high, log=log)
            for name, (low, high, _, log) in space.items()
        }
        labels, probabilities, rounds, precisions = [], [], [], []
        for fit, stop in parts:
            fitted = method.fit(setting, fit, stop, MOST_ROUNDS, job.seed)
            labels.append(stop.y)
            probabilities.append(checked(fitted.probability(stop.X)))
            rounds.append(fitted.rounds)
            precisions.append(average_precision_score(stop.y, probabilities[-1]))
        y, probability = np.concatenate(labels), np.concatenate(probabilities)
        # Costs in proportion to the rarity of each class: what they leave is 1 - TSS.
        share = float(y.mean())
        costs = {"cost_false_negative": 1 / share, "cost_false_positive": 1 / (1 - share)}
        threshold = least_cost_threshold(y, probability, **costs)
        trials.append(Trial(float(np.mean(precisions)), setting, round(np.mean(rounds)), threshold))
        return trials[-1].precision

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=job.seed, n_startup_trials=max(1, job.trials // 2))
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.enqueue_trial({name: interval.first for name, interval in space.items()})
    study.optimize(precision, n_trials=job.trials)
    return max(trials, key=lambda trial: trial.precision)


def checked(probability: Array) -> Array:
    """Return probabilities in float64, or raise if they are none."""
    probability = np.asarray(probability, np.float64)
    valid = (probability >= 0) & (probability <= 1)  # NaN is neither
    if not valid.all():
        raise ValueError(f"the model predicts {probability[~valid][0].item()!r}, which is no probability")
    return probability
