"""Which loss finds rare positives best, and whose probabilities are right: every method tuned alike, on many data sets.

    pip install ".[benchmark]" && pip install --no-deps gbdtCBL==0.2.0  # the competitors, for this benchmark only
    python benchmarks/quality.py

It compares the engines' own logistic losses, without and with weights for the positives, the four losses of
gbm_focal on both engines, and the focal losses of gbdtCBL, CatBoost and YDF. Data: sets of scikit-learn made
imbalanced, and simulators whose true probabilities are known. `--data FOLDER` adds real sets of your own (every
.csv and .dat file there: the label is the last column, and its rarest value the one to find; in the Solar Flare data
of UCI it is a flare of class M or more), `--openml NAME` sets that OpenML has.

Each data set is split by repeated stratified cross-validation. On the training part of each split Optuna tunes every
method with as many trials, the same inner folds and the same seed; the method is then trained anew on the whole
training part and judged on the test part, which nothing before has seen. All methods share one search space of the
engine's parameters; those whose loss has parameters get them as well. Rounds come from early stopping on the method's
own loss. A trial is as good as its average precision, which imbalanced problems are tuned for, and which does not
depend on what a method calls a probability: by log loss, methods that call sigmoid(margin) so would be tuned to undo
their loss. The probabilities are what each package returns.

A row of results/quality.csv is one method on one test part. It is written as soon as it is known, so that after an
interruption the same command goes on where it was; rows of other settings, data or versions are computed anew.
`--quick` writes to results/quality_quick.*, which stay out of the repository.
"""

from __future__ import annotations

import argparse
import csv
import functools
import hashlib
import itertools
import json
import multiprocessing
import os
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # each process computes in one thread

import numpy as np
import optuna
import pandas as pd
from common import RESULTS, version
from quality_data import Array, Problem, built_in, drawn, files_of, of_file, of_openml
from quality_methods import ENGINE_SPACE, METHODS, MOST_ROUNDS, PATIENCE, Method, Setting
from quality_report import SCORES, Run, report, scores_of
from sklearn.metrics import average_precision_score
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedKFold
from tqdm import tqdm

from gbm_focal.metrics import least_cost_threshold

PROTOCOL = 1  # raise it when what is computed changes, so that no old row stays
FEWEST_POSITIVES = 3  # in each inner fold
QUICK = {"repeats": 1, "trials": 3, "rows": 1500}
QUICK_DATA = ("digits", "diabetes", "simulated 5 %", "simulated fraud")
LEAST = {"repeats": 1, "folds": 2, "trials": 1, "inner_folds": 2, "jobs": 1}


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser()
    options = parser.parse_args(argv)
    if options.quick:
        options = argparse.Namespace(**{**vars(options), **QUICK})
    try:
        problems = load(options)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    named = set(options.methods or METHODS)
    missing = {name: METHODS[name].package for name in METHODS if name in named and not METHODS[name].installed()}
    methods = [name for name in METHODS if name in named and name not in missing]
    if not methods:
        parser.error(f"none of the methods is installed: {', '.join(sorted(named))}")

    name = "quality_quick" if options.quick else "quality"
    options.output.mkdir(parents=True, exist_ok=True)
    try:
        store = Store(options.output / f"{name}.csv")
    except ValueError as error:
        parser.error(str(error))
    jobs = list(jobs_of(problems, methods, options))
    to_do = [job for job in jobs if job.key not in store.rows]
    with tqdm(total=len(jobs), initial=len(jobs) - len(to_do), desc="methods on test parts", smoothing=0.05) as bar:
        for row in computed(to_do, options.jobs):
            store.append(row)
            bar.update()
    rows = pd.DataFrame([store.rows[job.key] for job in jobs])
    words = sys.argv[1:] if argv is None else argv
    command = shlex.join(["python", "benchmarks/quality.py", *map(shortened, words)])
    text = report(rows, problems, Run(command, protocol_of(problems, options), options.jobs, missing))
    print(text)
    (options.output / f"{name}.md").write_text(text)


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="real data: all .csv and .dat files there")
    parser.add_argument("--openml", nargs="+", default=[], metavar="NAME", help="data sets to download from OpenML")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="names of the data sets to take; all by default")
    parser.add_argument("--methods", nargs="+", choices=METHODS, metavar="METHOD", help=", ".join(METHODS))
    parser.add_argument("--repeats", type=int, default=2, help="times that each data set is split anew (2)")
    parser.add_argument("--folds", type=int, default=2, help="test parts of a split (2)")
    parser.add_argument("--trials", type=int, default=6, help="trials of each method on each training part (6)")
    parser.add_argument("--inner-folds", type=int, default=2, help="parts in which a trial is judged (2)")
    parser.add_argument("--rows", type=int, default=4000, help="most rows of a data set, drawn at random (4,000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="processes, of one thread each (2)")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FOLDER", help="where the results go")
    smaller = ", ".join(f"{number} {what}" for what, number in QUICK.items())
    parser.add_argument("--quick", action="store_true", help=f"{smaller}, {len(QUICK_DATA)} data sets; minutes")
    return parser


def protocol_of(problems: Sequence[Problem], options: argparse.Namespace) -> str:
    without_files = built_in(options.rows, options.seed)
    added = ", ".join(problem.name for problem in problems if problem.name not in without_files)
    return (
        f"{len(problems)} data sets of at most {options.rows:,} rows{f' ({added} from outside)' if added else ''}; "
        f"stratified cross-validation, repeats: {options.repeats}, folds: {options.folds}; trials of each method on "
        f"each training part: {options.trials}, each in {options.inner_folds} inner folds."
    )


def shortened(word: str) -> str:
    """Return the last part of a path: where it lies is nobody's concern."""
    return Path(word).name if os.sep in word else word


def load(options: argparse.Namespace) -> list[Problem]:
    for name, least in LEAST.items():
        if getattr(options, name) < least:
            raise ValueError(f"--{name.replace('_', '-')} {getattr(options, name)} is too few: give {least} or more")
    makers = built_in(options.rows, options.seed)
    if options.quick:
        makers = {name: makers[name] for name in QUICK_DATA}
    files = [] if options.data is None else files_of(options.data)
    more = [(path.stem, functools.partial(of_file, path)) for path in files]
    more += [(name, functools.partial(of_openml, name)) for name in options.openml]
    for name, make in more:
        if name in makers:
            raise ValueError(f"two data sets are called {name!r}: rename the file, or leave one out")
        makers[name] = make
    unknown = [name for name in options.only or () if name not in makers]
    if unknown:
        raise ValueError(f"there is no data set {unknown[0]!r}; there are {', '.join(map(repr, makers))}")
    problems = [make() for name, make in makers.items() if name in (options.only or makers)]
    problems = [drawn(problem, options.rows, options.seed) for problem in problems]
    fewest = FEWEST_POSITIVES * options.folds * options.inner_folds
    for problem in problems:
        positives = int(problem.y.sum())
        if min(positives, len(problem.y) - positives) < fewest:
            raise ValueError(
                f"{problem.name}: {positives} of {len(problem.y)} rows are positive; give {fewest} or more of each "
                f"class, so that each of {options.folds} x {options.inner_folds} folds has {FEWEST_POSITIVES}"
            )
    return problems


# ---- one method on one test part ----


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


def computed(jobs: Sequence[Job], processes: int) -> Iterator[dict[str, Any]]:
    """Rows as they come."""
    if processes == 1:
        yield from map(row_of, jobs)
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = iter(jobs)
        running = {pool.submit(row_of, job) for job in itertools.islice(waiting, 2 * processes)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            running |= {pool.submit(row_of, job) for job in itertools.islice(waiting, len(done))}
            yield from (future.result() for future in done)


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


class Store:
    """The rows of a CSV file, each written at once and whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[tuple[str, ...], dict[str, Any]] = {}
        if path.exists():
            text = path.read_text()
            if not text.endswith("\n"):  # the process was killed in the middle of a line
                text = text[: text.rfind("\n") + 1]
                path.write_text(text)
            if text and text.splitlines()[0] != ",".join(COLUMNS):
                raise ValueError(f"{path} has other columns than {', '.join(COLUMNS)}: move it away")
            for row in csv.DictReader(text.splitlines()):
                self.rows[tuple(row[name] for name in KEY)] = row
        if not self.rows:
            path.write_text(",".join(COLUMNS) + "\n")

    def append(self, row: dict[str, Any]) -> None:
        """Write a row that is finished."""
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, COLUMNS, lineterminator="\n").writerow(row)
        self.rows[tuple(str(row[name]) for name in KEY)] = row


if __name__ == "__main__":
    main()
