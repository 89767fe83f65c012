"""Which loss finds rare positives best, and whose probabilities are right: every method tuned alike, on many data sets.

    pip install ".[benchmark]" && pip install --no-deps gbdtCBL==0.2.0  # the competitors, for this benchmark only
    python benchmarks/quality

It compares the engines' own logistic losses, without and with weights for the positives, the four losses of
gbm_focal on both engines, and the focal losses of gbdtCBL, CatBoost and YDF. Data: sets of scikit-learn made
imbalanced, and simulators whose true probabilities are known. `--data FOLDER` adds real sets of your own (every
.csv, .dat and .parquet file there: the label is the column `positive`, else (not in .parquet) the last one, and its
rarest value the one to find; in the Solar Flare data of UCI it is a flare of class M or more), `--openml NAME` sets
that OpenML has.

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
import functools
import os
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # each process computes in one thread
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where this folder is the package `quality`

import pandas as pd
from common import RESULTS, Store, command_line, computed
from tqdm import tqdm

from quality import trials
from quality.data import Problem, built_in, drawn, files_of, of_file, of_openml
from quality.methods import METHODS
from quality.report import Run, report

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
        store = Store(options.output / f"{name}.csv", trials.KEY, trials.COLUMNS)
    except ValueError as error:
        parser.error(str(error))
    jobs = list(trials.jobs_of(problems, methods, options))
    to_do = [job for job in jobs if job.key not in store.rows]
    with tqdm(total=len(jobs), initial=len(jobs) - len(to_do), desc="methods on test parts", smoothing=0.05) as bar:
        for row in computed(trials.row_of, to_do, options.jobs):
            store.append(row)
            bar.update()
    rows = pd.DataFrame([store.rows[job.key] for job in jobs])
    words = sys.argv[1:] if argv is None else argv
    command = command_line("benchmarks/quality", words)
    text = report(rows, problems, Run(command, protocol_of(problems, options), options.jobs, missing))
    print(text)
    (options.output / f"{name}.md").write_text(text)


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="real data: all .csv, .dat and .parquet files there"
    )
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


if __name__ == "__main__":
    main()
