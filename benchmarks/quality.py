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
own loss. A trial is as good as its average precision: it does not depend on what a method calls a probability,
so that no method is kept from its best ranking by miscalibration. The probabilities are what each package returns.

A row of the CSV file is one method on one test part. It is written as soon as it is known, so that after an
interruption the same command goes on where it was; rows of other settings, data or versions are computed anew.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib.util
import itertools
import json
import math
import multiprocessing
import os
import shlex
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # each process computes in one thread

import lightgbm
import numpy as np
import optuna
import pandas as pd
import xgboost
from common import RESULTS, environment, markdown_table, simulate, version
from numpy.typing import NDArray
from scipy.special import expit, rel_entr
from scipy.stats import friedmanchisquare, rankdata, spearmanr, studentized_range, wilcoxon
from sklearn.datasets import fetch_openml, load_breast_cancer, load_diabetes, load_digits
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedKFold, train_test_split
from tqdm import tqdm

import gbm_focal.lightgbm
import gbm_focal.xgboost
from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalLoss, Loss, PowerCrossEntropy
from gbm_focal.metrics import (
    expected_calibration_error,
    least_cost_threshold,
    recall_at_alert_rate,
    true_skill_score,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
import flare_forecast
import fraud_detection

Array = NDArray[Any]
Setting = dict[str, Any]  # values of a method's parameters

PROTOCOL = 1  # raise it when what is computed changes, so that no old row stays
MOST_ROUNDS, PATIENCE = 200, 20
ALERT_RATE = 0.05
FEWEST_POSITIVES = 3  # in each inner fold
QUICK = {"repeats": 1, "trials": 3, "rows": 1500}
QUICK_DATA = ("digits", "diabetes", "simulated 5 %", "simulated fraud")
LOG_LOSS_TARGET = 1.02


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
    store = Store(options.output / f"{name}.csv")
    jobs = list(jobs_of(problems, methods, options))
    to_do = [job for job in jobs if job.key not in store.rows]
    with tqdm(total=len(jobs), initial=len(jobs) - len(to_do), desc="methods on test parts", smoothing=0.05) as bar:
        for row in computed(to_do, options.jobs):
            store.append(row)
            bar.update()
    rows = pd.DataFrame([store.rows[job.key] for job in jobs])
    command = shlex.join(["python", "benchmarks/quality.py", *(shortened(word) for word in argv or sys.argv[1:])])
    text = report(rows, problems, missing, options, command)
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


def shortened(word: str) -> str:
    """Return the last part of a path: where it lies is nobody's concern."""
    return Path(word).name if os.sep in word else word


# ---- data ----


class Problem(NamedTuple):
    """A data set of labels 0 and 1; `truth` holds the true probabilities of 1 where they are known."""

    name: str
    X: Array  # float32, with NaN for what is missing
    y: Array
    truth: Array | None = None

    def take(self, rows: Array) -> Problem:
        """Return these rows, in this order."""
        return Problem(self.name, self.X[rows], self.y[rows], None if self.truth is None else self.truth[rows])

    def fingerprint(self) -> str:
        """Return what tells this data from other data of the same name."""
        return hashlib.sha256(self.X.tobytes() + self.y.astype(np.int8).tobytes()).hexdigest()


def load(options: argparse.Namespace) -> list[Problem]:
    for name, least in (("repeats", 1), ("folds", 2), ("trials", 1), ("inner_folds", 2), ("jobs", 1)):
        if getattr(options, name) < least:
            flag = name.replace("_", "-")
            raise ValueError(f"--{flag} {getattr(options, name)} is too few: give {least} or more")
    problems = [*of_sklearn(options.seed), *simulated(options.rows, options.seed)]
    if options.quick:
        problems = [problem for problem in problems if problem.name in QUICK_DATA]
    if options.data is not None:
        problems += of_folder(options.data)
    problems += [of_openml(name) for name in options.openml]
    if options.only:
        unknown = set(options.only) - {problem.name for problem in problems}
        if unknown:
            raise ValueError(
                f"there is no data set {min(unknown)!r}; there are {', '.join(repr(p.name) for p in problems)}"
            )
        problems = [problem for problem in problems if problem.name in options.only]
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


def drawn(problem: Problem, rows: int, seed: int) -> Problem:
    """At most so many rows, with the same share of positives."""
    if len(problem.y) <= rows:
        return problem
    chosen, _ = train_test_split(np.arange(len(problem.y)), train_size=rows, stratify=problem.y, random_state=seed)
    return problem.take(chosen)


def of_sklearn(seed: int) -> list[Problem]:
    cancer, digits, diabetes = load_breast_cancer(), load_digits(), load_diabetes()
    progressed = diabetes.target > np.quantile(diabetes.target, 0.9)
    return [
        thinned("breast cancer", cancer.data, cancer.target == 0, 0.08, seed),
        thinned("digits", digits.data, digits.target == 8, 0.03, seed),
        thinned("digits, odd", digits.data, digits.target % 2 == 1, 0.05, seed),
        Problem("diabetes", diabetes.data.astype(np.float32), progressed.astype(int)),
    ]


def thinned(name: str, X: Array, positive: Array, share: float, seed: int) -> Problem:
    """All negatives, and as many positives, drawn at random, as make this share of the rows."""
    negatives = np.flatnonzero(~positive)
    wanted = round(share / (1 - share) * len(negatives))
    random = np.random.default_rng(seed)
    rows = random.permutation(np.concatenate([negatives, random.choice(np.flatnonzero(positive), wanted, False)]))
    return Problem(name, X[rows].astype(np.float32), positive[rows].astype(int))


def simulated(rows: int, seed: int) -> list[Problem]:
    """Problems easy and hard, with labels as the known probabilities have it, or positives that nobody noticed."""
    problems = []
    for name, base_rate, strength, noticed in (
        ("simulated 1 %", 0.01, 3.0, 1.0),
        ("simulated 2 %", 0.02, 1.0, 1.0),
        ("simulated 5 %", 0.05, 1.5, 1.0),
        ("simulated 10 %", 0.1, 0.7, 1.0),
        ("simulated, 30 % unnoticed", 0.05, 3.0, 0.7),
    ):
        X, y, truth = simulate(rows, 20, base_rate, strength, seed)
        y = y * (np.random.default_rng([seed, 1]).random(rows) < noticed)
        problems.append(Problem(name, X, y.astype(int), truth * noticed))
    return [*problems, simulated_fraud(rows, seed)]


def simulated_fraud(rows: int, seed: int) -> Problem:
    """Transactions as in the fraud example, with one in six of the honest, so that 3 % are fraud."""
    share = 1 / 6
    data = fraud_detection.simulate(round(rows / share), seed)
    # A generator of its own: the simulator's would draw again what the merchants were drawn by.
    kept = (data.label == 1) | (np.random.default_rng([seed, 1]).random(len(data.label)) < share)
    truth = data.truth / (data.truth + (1 - data.truth) * share)
    problem = Problem("simulated fraud", as_numbers(data.features), data.label, truth)
    return drawn(problem.take(np.flatnonzero(kept)), rows, seed)


def of_folder(folder: Path) -> list[Problem]:
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".csv", ".dat"))
    if not paths:
        raise ValueError(f"{folder} holds no .csv or .dat file: give --data a folder that does")
    return [of_file(path) for path in paths]


def of_file(path: Path) -> Problem:
    if path.suffix.lower() == ".csv":
        header = 0 if fraud_detection.has_header(path, "") else None
        frame = pd.read_csv(path, header=header, skipinitialspace=True, na_values="?")
    else:
        frame = flare_forecast.read_keel(path)
        if {"C-class", "M-class", "X-class"} <= set(frame.columns):
            regions = flare_forecast.of_uci(frame)
            return Problem(path.stem, as_numbers(regions.features), regions.flares[:, 1:].max(axis=1))
    return rarest_found(path.stem, frame.iloc[:, :-1], frame.iloc[:, -1])


def of_openml(name: str) -> Problem:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # each retry warns; the error below says it once
            data = fetch_openml(name, as_frame=True, n_retries=1)
    except (OSError, HTTPException, ValueError) as error:
        raise ValueError(
            f"OpenML's data set {name!r} could not be downloaded ({error}): check the name and the network, or give "
            "the file to --data"
        ) from error
    return rarest_found(name, data.data, data.target)


def rarest_found(name: str, features: pd.DataFrame, label: pd.Series) -> Problem:
    """Make the rarest label the one to find."""
    if label.isna().any():
        raise ValueError(f"{name}: {label.isna().sum()} rows have no label, which is the last column: drop them")
    rarest = label.value_counts().index[-1]
    return Problem(name, as_numbers(features), (label == rarest).to_numpy(int))


def as_numbers(features: pd.DataFrame) -> Array:
    """Return one float32 column each; words become the numbers of their categories, for all engines alike."""
    columns = []
    for _, values in features.items():
        try:
            numbers = pd.to_numeric(values.astype(str) if isinstance(values.dtype, pd.CategoricalDtype) else values)
        except ValueError:
            codes = values.astype("category").cat.codes.astype(float)
            numbers = codes.where(codes >= 0)  # -1 stands for missing values
        columns.append(numbers.to_numpy(np.float32, na_value=np.nan))
    return np.column_stack(columns)


# ---- methods ----


class Range(NamedTuple):
    """Where a parameter is searched for, and its value in the first trial."""

    low: float
    high: float
    first: float
    log: bool = False


# Each engine has these under a name of its own; `leaf`, the least Hessian of a leaf, only XGBoost and LightGBM.
ENGINE_SPACE = {
    "learning_rate": Range(0.05, 0.3, 0.1, log=True),
    "depth": Range(2, 6, 4),
    "l2": Range(0.01, 10, 1, log=True),
    "features": Range(0.4, 1, 0.8),
    "leaf": Range(0.001, 3, 0.3, log=True),
}
FOCAL = {"gamma": Range(0.5, 5, 2)}
WEIGHTED = {"balance": Range(0, 1, 1)}  # positives weigh (negatives / positives) ** balance
ASYMMETRIC = {"gamma_pos": Range(0, 2, 1), "gamma_neg": Range(1, 5, 4), "clip": Range(0.001, 0.1, 0.05, log=True)}
POWER = {"power": Range(0.5, 4, 2, log=True)}


class Fitted(NamedTuple):
    """A trained model: its probabilities of label 1, and its rounds up to the best."""

    probability: Callable[[Array], Array]
    rounds: int


class Method(NamedTuple):
    """A way to train: `fit(setting, training, validation, rounds, seed)` stops early if there is a validation part."""

    engine: str
    fit: Callable[[Setting, Problem, Problem | None, int, int], Fitted]
    space: dict[str, Range] = {}  # noqa: RUF012
    package: str = "gbm_focal"
    focal: bool = False

    def installed(self) -> bool:
        """Whether its package is there."""
        try:
            return importlib.util.find_spec(self.package) is not None
        except ValueError:  # a module that someone has blocked
            return False

    @property
    def ours(self) -> bool:
        """Whether a loss of gbm_focal trains it."""
        return self.package == "gbm_focal" and self.fit not in (xgboost_own, lightgbm_own, lightgbm_unbalanced)


def weight_of_positives(setting: Setting, training: Problem) -> float:
    positives = int(training.y.sum())
    return ((len(training.y) - positives) / positives) ** setting.get("balance", 0.0)


def weights_beside(problem: Problem, weight: float) -> Array:
    """Sample weights that make an engine's own log loss the one it trains on."""
    return np.where(problem.y == 1, weight, 1.0)


def focal(setting: Setting, training: Problem) -> Loss:
    return FocalLoss(setting["gamma"])


def asymmetric(setting: Setting, training: Problem) -> Loss:
    return AsymmetricLoss(setting["gamma_pos"], setting["gamma_neg"], setting["clip"])


def balanced(setting: Setting, training: Problem) -> Loss:
    weight = weight_of_positives(setting, training)
    return BalancedCrossEntropy(weight / (1 + weight))


def power(setting: Setting, training: Problem) -> Loss:
    return PowerCrossEntropy(setting["power"])


class StatedFocal(NamedTuple):
    """gbdtCBL's focal loss as both engines call it; its value, for early stopping, is the formula that it states."""

    gamma: float

    def objective(self, margin: Array, data: Any) -> tuple[Array, Array]:
        """Return gbdtCBL's gradient and Hessian."""
        from gbdtCBL.binary import FLLoss

        return FLLoss(self.gamma)(data.get_label(), margin)

    def value(self, margin: Array, data: Any) -> float:
        """Return the mean of the loss."""
        return float(FocalLoss(self.gamma).value(data.get_label(), margin).mean())


# XGBoost


def xgboost_parts(
    setting: Setting, training: Problem, validation: Problem | None, seed: int, weight: float = 1.0
) -> tuple[dict[str, Any], xgboost.DMatrix, dict[str, Any]]:
    """Parameters, training data, and what `train` is given besides."""
    params = {
        "learning_rate": setting["learning_rate"],
        "max_depth": setting["depth"],
        "lambda": setting["l2"],
        "colsample_bytree": setting["features"],
        "min_child_weight": setting["leaf"],
        "seed": seed,
        "nthread": 1,
    }
    more: dict[str, Any] = {"verbose_eval": False}
    if validation is not None:
        data = xgboost.DMatrix(validation.X, validation.y, weight=weights_beside(validation, weight), nthread=1)
        more |= {"evals": [(data, "validation")], "early_stopping_rounds": PATIENCE}
    return params, xgboost.DMatrix(training.X, training.y, nthread=1), more


def of_xgboost(booster: xgboost.Booster, validation: Problem | None, probability: Callable[..., Array]) -> Fitted:
    rounds = booster.num_boosted_rounds() if validation is None else booster.best_iteration + 1
    return Fitted(lambda X: probability(booster, xgboost.DMatrix(X, nthread=1), iteration_range=(0, rounds)), rounds)


def xgboost_own(setting: Setting, training: Problem, validation: Problem | None, rounds: int, seed: int) -> Fitted:
    weight = weight_of_positives(setting, training)
    params, data, more = xgboost_parts(setting, training, validation, seed, weight)
    params |= {"objective": "binary:logistic", "eval_metric": "logloss", "scale_pos_weight": weight}
    return of_xgboost(xgboost.train(params, data, rounds, **more), validation, xgboost.Booster.predict)


def xgboost_ours(loss_of: Callable[[Setting, Problem], Loss]) -> Callable[..., Fitted]:
    def fit(setting: Setting, training: Problem, validation: Problem | None, rounds: int, seed: int) -> Fitted:
        params, data, more = xgboost_parts(setting, training, validation, seed)
        booster = gbm_focal.xgboost.train(params, data, rounds, loss=loss_of(setting, training), **more)

        def probability(*arguments: Any, **keywords: Any) -> Array:
            return gbm_focal.xgboost.predict_proba(*arguments, **keywords)[:, 1]

        return of_xgboost(booster, validation, probability)

    return fit


def xgboost_gbdtcbl(setting: Setting, training: Problem, validation: Problem | None, rounds: int, seed: int) -> Fitted:
    params, data, more = xgboost_parts(setting, training, validation, seed)
    stated = StatedFocal(setting["gamma"])
    params |= {"objective": "binary:logistic", "disable_default_eval_metric": True}
    more |= {"obj": stated.objective, "custom_metric": lambda margin, data: ("focal", stated.value(margin, data))}
    return of_xgboost(xgboost.train(params, data, rounds, **more), validation, xgboost.Booster.predict)


# LightGBM


def lightgbm_parts(
    setting: Setting, training: Problem, validation: Problem | None, seed: int, weight: float = 1.0
) -> tuple[dict[str, Any], lightgbm.Dataset, dict[str, Any]]:
    """Parameters, training data, and what `train` is given besides."""
    params = {
        "learning_rate": setting["learning_rate"],
        "num_leaves": 2 ** setting["depth"],
        "lambda_l2": setting["l2"],
        "feature_fraction": setting["features"],
        "min_sum_hessian_in_leaf": setting["leaf"],
        "seed": seed,
        "num_threads": 1,
        "verbosity": -1,
    }
    data = lightgbm.Dataset(training.X, training.y, params={"verbosity": -1, "num_threads": 1})
    more: dict[str, Any] = {}
    if validation is not None:
        weights = weights_beside(validation, weight)
        more["valid_sets"] = [data.create_valid(validation.X, validation.y, weight=weights)]
        more["callbacks"] = [lightgbm.early_stopping(PATIENCE, verbose=False)]
    return params, data, more


def of_lightgbm(booster: lightgbm.Booster, validation: Problem | None, probability: Callable[..., Array]) -> Fitted:
    rounds = booster.num_trees() if validation is None else booster.best_iteration
    return Fitted(lambda X: probability(booster, X, num_iteration=rounds, num_threads=1), rounds)


def lightgbm_own(setting: Setting, training: Problem, validation: Problem | None, rounds: int, seed: int) -> Fitted:
    weight = weight_of_positives(setting, training)
    params, data, more = lightgbm_parts(setting, training, validation, seed, weight)
    params |= {"objective": "binary", "metric": "binary_logloss", "scale_pos_weight": weight}
    return of_lightgbm(lightgbm.train(params, data, rounds, **more), validation, lightgbm.Booster.predict)


def lightgbm_unbalanced(
    setting: Setting, training: Problem, validation: Problem | None, rounds: int, seed: int
) -> Fitted:
    weight = weight_of_positives({"balance": 1.0}, training)
    params, data, more = lightgbm_parts(setting, training, validation, seed, weight)
    params |= {"objective": "binary", "metric": "binary_logloss", "is_unbalance": True}
    return of_lightgbm(lightgbm.train(params, data, rounds, **more), validation, lightgbm.Booster.predict)


def lightgbm_ours(loss_of: Callable[[Setting, Problem], Loss]) -> Callable[..., Fitted]:
    def fit(setting: Setting, training: Problem, validation: Problem | None, rounds: int, seed: int) -> Fitted:
        params, data, more = lightgbm_parts(setting, training, validation, seed)
        booster = gbm_focal.lightgbm.train(params, data, rounds, loss=loss_of(setting, training), **more)

        def probability(*arguments: Any, **keywords: Any) -> Array:
            return gbm_focal.lightgbm.predict_proba(*arguments, **keywords)[:, 1]

        return of_lightgbm(booster, validation, probability)

    return fit


def lightgbm_gbdtcbl(setting: Setting, training: Problem, validation: Problem | None, rounds: int, seed: int) -> Fitted:
    params, data, more = lightgbm_parts(setting, training, validation, seed)
    stated = StatedFocal(setting["gamma"])
    params |= {"objective": stated.objective, "metric": "None"}
    booster = lightgbm.train(
        params, data, rounds, feval=lambda margin, data: ("focal", stated.value(margin, data), False), **more
    )

    def probability(booster: lightgbm.Booster, X: Array, **keywords: Any) -> Array:
        return expit(booster.predict(X, raw_score=True, **keywords))

    return of_lightgbm(booster, validation, probability)


# CatBoost and YDF


def catboost(loss_function: str) -> Callable[..., Fitted]:
    def fit(setting: Setting, training: Problem, validation: Problem | None, rounds: int, seed: int) -> Fitted:
        from catboost import CatBoostClassifier

        model = CatBoostClassifier(
            loss_function=loss_function.format(**setting),
            iterations=rounds,
            learning_rate=setting["learning_rate"],
            depth=setting["depth"],
            l2_leaf_reg=setting["l2"],
            rsm=setting["features"],
            random_seed=seed,
            thread_count=1,
            verbose=False,
            allow_writing_files=False,
        )
        if validation is None:
            model.fit(training.X, training.y)
        else:
            model.fit(training.X, training.y, eval_set=(validation.X, validation.y), early_stopping_rounds=PATIENCE)
        return Fitted(lambda X: model.predict_proba(X, thread_count=1)[:, 1], max(model.tree_count_, 1))

    return fit


def ydf(loss: str) -> Callable[..., Fitted]:
    def fit(setting: Setting, training: Problem, validation: Problem | None, rounds: int, seed: int) -> Fitted:
        import ydf

        own = {"focal_loss_gamma": float(setting["gamma"]), "focal_loss_alpha": 0.5} if "gamma" in setting else {}
        learner = ydf.GradientBoostedTreesLearner(
            label="y",
            loss=loss,
            num_trees=rounds,
            shrinkage=setting["learning_rate"],
            max_depth=setting["depth"] + 1,  # it counts levels of nodes
            l2_regularization=float(setting["l2"]),
            num_candidate_attributes_ratio=float(setting["features"]),
            # YDF stops early only where this is above 0, also if it is given a validation part and takes none away.
            validation_ratio=0.0 if validation is None else 0.1,
            early_stopping="NONE" if validation is None else "LOSS_INCREASE",
            early_stopping_num_trees_look_ahead=PATIENCE,
            early_stopping_initial_iteration=0,
            random_seed=seed,
            num_threads=1,
            **own,
        )
        model = learner.train(
            {"x": training.X, "y": training.y},
            valid=None if validation is None else {"x": validation.X, "y": validation.y},
            verbose=0,
        )
        return Fitted(lambda X: np.asarray(model.predict({"x": X}, num_threads=1)), max(model.num_trees(), 1))

    return fit


METHODS = {
    "XGBoost logistic": Method("XGBoost", xgboost_own),
    "XGBoost scale_pos_weight": Method("XGBoost", xgboost_own, WEIGHTED),
    "XGBoost FocalLoss": Method("XGBoost", xgboost_ours(focal), FOCAL, focal=True),
    "XGBoost AsymmetricLoss": Method("XGBoost", xgboost_ours(asymmetric), ASYMMETRIC),
    "XGBoost BalancedCrossEntropy": Method("XGBoost", xgboost_ours(balanced), WEIGHTED),
    "XGBoost PowerCrossEntropy": Method("XGBoost", xgboost_ours(power), POWER),
    "XGBoost gbdtCBL focal": Method("XGBoost", xgboost_gbdtcbl, FOCAL, "gbdtCBL", focal=True),
    "LightGBM logistic": Method("LightGBM", lightgbm_own),
    "LightGBM is_unbalance": Method("LightGBM", lightgbm_unbalanced),
    "LightGBM FocalLoss": Method("LightGBM", lightgbm_ours(focal), FOCAL, focal=True),
    "LightGBM AsymmetricLoss": Method("LightGBM", lightgbm_ours(asymmetric), ASYMMETRIC),
    "LightGBM BalancedCrossEntropy": Method("LightGBM", lightgbm_ours(balanced), WEIGHTED),
    "LightGBM PowerCrossEntropy": Method("LightGBM", lightgbm_ours(power), POWER),
    "LightGBM gbdtCBL focal": Method("LightGBM", lightgbm_gbdtcbl, FOCAL, "gbdtCBL", focal=True),
    "CatBoost logistic": Method("CatBoost", catboost("Logloss"), {}, "catboost"),
    "CatBoost Focal": Method(
        "CatBoost", catboost("Focal:focal_alpha=0.5;focal_gamma={gamma}"), FOCAL, "catboost", focal=True
    ),
    "YDF logistic": Method("YDF", ydf("BINOMIAL_LOG_LIKELIHOOD"), {}, "ydf"),
    "YDF BINARY_FOCAL_LOSS": Method("YDF", ydf("BINARY_FOCAL_LOSS"), FOCAL, "ydf", focal=True),
}


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


SCORES = (
    "average_precision",
    "roc_auc",
    "log_loss",
    "brier",
    "calibration_error",
    "recall_at_alert_rate",
    "true_skill_score",
)
KEY = ("settings", "data", "repeat", "fold", "method")
COLUMNS = (*KEY, *SCORES, "divergence", "rounds", "parameters", "seconds", "error")


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
    scores = {
        "average_precision": average_precision_score(test.y, probability),
        "roc_auc": roc_auc_score(test.y, probability),
        "log_loss": log_loss(test.y, probability),
        "brier": brier_score_loss(test.y, probability),
        "calibration_error": expected_calibration_error(test.y, probability, bins=10, strategy="quantile"),
        "recall_at_alert_rate": recall_at_alert_rate(test.y, probability, alert_rate=ALERT_RATE),
        "true_skill_score": true_skill_score(test.y, (probability >= best.threshold).astype(int)),
    }
    if test.truth is not None:
        inside = np.clip(probability, np.finfo(float).eps, 1 - np.finfo(float).eps)  # as scikit-learn's log loss does
        divergence = rel_entr(test.truth, inside) + rel_entr(1 - test.truth, 1 - inside)
        scores["divergence"] = float(divergence.mean())
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
            for row in csv.DictReader(text.splitlines()):
                self.rows[tuple(row[name] for name in KEY)] = row
        if not self.rows:
            path.write_text(",".join(COLUMNS) + "\n")

    def append(self, row: dict[str, Any]) -> None:
        """Write a row that is finished."""
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, COLUMNS, lineterminator="\n").writerow(row)
        self.rows[tuple(str(row[name]) for name in KEY)] = row


# ---- the report ----


def report(
    rows: pd.DataFrame, problems: Sequence[Problem], missing: dict[str, str], options: argparse.Namespace, command: str
) -> str:
    """Return the text of the results, in Markdown; every statement in it is made from the rows."""
    failed = rows[rows["error"] != ""].groupby("method")["error"].agg(["size", "first"])
    rows = rows[~rows["method"].isin(failed.index)]
    numbers = (
        rows[[*SCORES, "divergence", "seconds"]].apply(pd.to_numeric).assign(data=rows["data"], method=rows["method"])
    )
    if numbers.empty:
        raise SystemExit("every method has failed: see the column error of the CSV file")
    results = Results(numbers, problems)

    lines = ["# Quality: losses for imbalanced data, each method tuned alike", ""]
    lines += [environment("scikit-learn", "optuna", "catboost", "ydf"), "", f"Command: `{command}`", ""]
    lines += ["## Conclusion", "", *(f"- {sentence}" for sentence in conclusion(results)), ""]
    lines += ["## Means over the data sets", "", *results.table(), ""]
    if missing:
        for package in sorted(set(missing.values())):
            names = ", ".join(name for name in missing if missing[name] == package)
            lines.append(f"- Not compared, because {package} is not installed: {names}.")
    for method, (count, first) in failed.iterrows():
        lines.append(f"- {method} failed on {count} test parts and is left out of all tables: {first}")
    lines += [f"- {note}" for note in how(results, options)]
    lines += ["", "## Pairs", "", *results.pairs_table(), ""]
    lines += ["## Average precision on each data set", "", *results.table_of_data("average_precision"), ""]
    lines += ["## Log loss on each data set", "", *results.table_of_data("log_loss"), ""]
    return "\n".join(lines)


def how(results: Results, options: argparse.Namespace) -> list[str]:
    simulators = sum(problem.truth is not None for problem in results.problems)
    minutes = results.numbers["seconds"].sum() / 60
    return [
        f"{len(results.problems)} data sets of at most {options.rows:,} rows, {options.repeats} repeats of "
        f"{options.folds}-fold stratified cross-validation; {options.trials} trials for each method on each training "
        f"part, of which the first is the losses' defaults, judged by average precision in {options.inner_folds} "
        f"inner folds; at most {MOST_ROUNDS} rounds, stopped {PATIENCE} after the best value of the method's own loss.",
        f"All that took {minutes:.0f} minutes of processes, {options.jobs} at a time, of one thread each.",
        "Ranks: 1 is best; means over the data sets. Log loss is given in units of that of the same engine's logistic "
        "loss, as geometric mean over the data sets.",
        f"Calibration error: 10 bins of equally many rows. Recall: among the {ALERT_RATE:.0%} of rows that score "
        "highest. TSS: at the threshold that was best on the inner folds. Divergence: from the true probabilities "
        f"(Kullback and Leibler, nats a row), on the {simulators} simulated sets.",
        "The parameters of the losses are searched for within the same bounds on all engines: "
        + ", ".join(
            f"{name} {low:g} to {high:g}"
            for name, (low, high, _, _) in {**FOCAL, **WEIGHTED, **ASYMMETRIC, **POWER}.items()
        )
        + "; positives weigh (negatives / positives)^balance; focal losses have no alpha.",
        "Words in the data became the numbers of their categories, for all engines alike.",
    ]


class Pair(NamedTuple):
    """Two methods over all data sets; differences are first minus second, and log losses a ratio."""

    first: str
    second: str
    gain: float  # of average precision, in the mean
    wins: int
    chance: float  # p-values of Wilcoxon's test, by Holm's correction for all pairs
    log_loss: float
    lower: int
    chance_of_log_loss: float


class Results:
    """Means of all scores, of each method on each data set."""

    def __init__(self, numbers: pd.DataFrame, problems: Sequence[Problem]) -> None:
        self.numbers = numbers
        self.problems = problems
        self.methods = [name for name in METHODS if name in set(numbers["method"])]
        self.means = numbers.groupby(["data", "method"]).mean()

    def of(self, score: str) -> pd.DataFrame:
        """One row a data set, one column a method."""
        return self.means[score].unstack()[self.methods].loc[[problem.name for problem in self.problems]]

    def ranks(self, score: str) -> pd.DataFrame:
        """Rank the methods on each data set, from 1 for the best."""
        values = self.of(score)
        sign = 1 if score in ("log_loss", "brier", "calibration_error", "divergence") else -1
        return pd.DataFrame(rankdata(sign * values.to_numpy(), axis=1), values.index, values.columns)

    def mean_ranks(self, score: str) -> pd.Series:
        """Mean rank of each method over the data sets."""
        return self.ranks(score).mean()

    def log_loss_ratio(self, method: str, other: str) -> float:
        """Log loss of a method in units of another's, the geometric mean over the data sets."""
        values = self.of("log_loss")
        return float(np.exp(np.log(values[method] / values[other]).mean()))

    def ours(self, engine: str) -> list[str]:
        """Methods that a loss of gbm_focal trains on this engine."""
        return [name for name in self.methods if METHODS[name].ours and METHODS[name].engine == engine]

    def logistic(self, method: str) -> str | None:
        """Name the engine's own logistic loss, if it took part."""
        name = f"{METHODS[method].engine} logistic"
        return name if name in self.methods else None

    def focal(self, *, ours: bool) -> list[str]:
        """Focal losses, ours or the competitors'."""
        return [name for name in self.methods if METHODS[name].focal and METHODS[name].ours == ours]

    def table(self) -> list[str]:
        """Scores of all methods, means over the data sets, the best rank first."""
        order = self.mean_ranks("average_precision").sort_values()
        log_ranks = self.mean_ranks("log_loss")
        header = ["method", "average precision", "its rank", "ROC AUC", "log loss / logistic", "its rank", "Brier"]
        header += ["calibration error", f"recall at {ALERT_RATE:.0%} alerts", "TSS", "divergence"]
        table = []
        for method, rank in order.items():
            mean = {score: self.of(score)[method].mean() for score in (*SCORES, "divergence")}  # NaN: no simulators
            logistic = self.logistic(method)
            ratio = "" if logistic is None else f"{self.log_loss_ratio(method, logistic):.3f}"
            cells = [method, f"{mean['average_precision']:.3f}", f"{rank:.1f}", f"{mean['roc_auc']:.3f}", ratio]
            cells += [f"{log_ranks[method]:.1f}", f"{mean['brier']:.4f}", f"{mean['calibration_error']:.4f}"]
            cells += [f"{mean['recall_at_alert_rate']:.3f}", f"{mean['true_skill_score']:.3f}"]
            table.append([*cells, "" if math.isnan(mean["divergence"]) else f"{mean['divergence']:.4f}"])
        return markdown_table(header, table)

    def table_of_data(self, score: str) -> list[str]:
        """One score on each data set."""
        values = self.of(score).T
        header = ["method", *(problem.name for problem in self.problems)]
        positives = [f"{int(problem.y.sum())} of {len(problem.y)}" for problem in self.problems]
        rows = [[method, *(f"{value:.3f}" for value in values.loc[method])] for method in self.methods]
        return markdown_table(header, [["positives", *positives], *rows])

    def pairs(self) -> list[Pair]:
        """Each of our losses against its engine's logistic, and our focal losses against the competitors'."""
        names = [(name, f"{METHODS[name].engine} logistic") for name in self.methods if METHODS[name].ours]
        names += [(ours, theirs) for ours in self.focal(ours=True) for theirs in self.focal(ours=False)]
        names += [(theirs, f"{METHODS[theirs].engine} logistic") for theirs in self.focal(ours=False)]
        names = [(first, second) for first, second in names if second in self.methods]
        precision, log_losses = self.of("average_precision"), np.log(self.of("log_loss"))
        gains = [precision[first] - precision[second] for first, second in names]
        ratios = [log_losses[first] - log_losses[second] for first, second in names]
        chances, chances_of_log_loss = (holm([wilcoxon_p(d.to_numpy()) for d in group]) for group in (gains, ratios))
        return [
            Pair(
                *pair,
                float(gain.mean()),
                int((gain > 0).sum()),
                p,
                float(np.exp(ratio.mean())),
                int((ratio < 0).sum()),
                q,
            )
            for pair, gain, p, ratio, q in zip(names, gains, chances, ratios, chances_of_log_loss, strict=True)
        ]

    def pairs_table(self) -> list[str]:
        """Lines of the table of `pairs`."""
        header = ["first / second", "average precision, difference", "first is better on", "p"]
        header += ["log loss, ratio", "first is lower on", "p"]
        of = f"of {len(self.problems)}"
        rows = []
        for pair in self.pairs():
            cells = [f"{pair.first} / {pair.second}", f"{pair.gain:+.3f}", f"{pair.wins} {of}", f"{pair.chance:.2g}"]
            rows.append([*cells, f"{pair.log_loss:.3f}", f"{pair.lower} {of}", f"{pair.chance_of_log_loss:.2g}"])
        return [
            *markdown_table(header, rows),
            "",
            "p: Wilcoxon's signed-rank test over the data sets, corrected by Holm.",
        ]


def wilcoxon_p(differences: Array) -> float:
    return float(wilcoxon(differences).pvalue) if np.any(differences) else 1.0


def holm(chances: Sequence[float]) -> list[float]:
    """Correct p-values for how many they are."""
    corrected, largest = [0.0] * len(chances), 0.0
    for number, index in enumerate(np.argsort(chances)):
        largest = max(largest, min(1.0, (len(chances) - number) * chances[index]))
        corrected[index] = largest
    return corrected


def critical_difference(methods: int, data_sets: int) -> float:
    """Least difference of two mean ranks that Nemenyi's test calls real, at 5 %.

    Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7, 2006.
    """
    quantile = studentized_range.ppf(0.95, methods, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(methods * (methods + 1) / (6 * data_sets)))


SURE = 0.05


def conclusion(results: Results) -> Iterator[str]:
    """Say in words what the numbers say."""
    ranks = results.mean_ranks("average_precision")
    yield from on_ranks(results, ranks)
    pairs = {(pair.first, pair.second): pair for pair in results.pairs()}
    for name in results.focal(ours=True):
        if results.logistic(name) is not None:
            yield on_focal(results, pairs[name, results.logistic(name)])
    yield from on_when(results)
    yield from on_probabilities(results)
    yield from on_competitors(results, ranks)


def on_ranks(results: Results, ranks: pd.Series) -> Iterator[str]:
    best = ranks.idxmin()
    logistic = [name for name in results.methods if name.endswith(" logistic")]
    named = ", ".join(f"{name} {ranks[name]:.1f}" for name in [*results.focal(ours=True), *logistic])
    yield f"Average precision: {best} has the best mean rank, {ranks[best]:.1f} of {len(ranks)}. {named}."
    if len(ranks) < 3 or len(results.problems) < 3:
        yield "Too few methods or data sets for a test of the ranks."
        return
    for score, words in (("average_precision", "average precision"), ("log_loss", "log loss")):
        chance = friedmanchisquare(*results.ranks(score).to_numpy().T).pvalue
        distance = critical_difference(len(ranks), len(results.problems))
        of_score = np.sort(results.mean_ranks(score).to_numpy())
        apart = int(np.sum(np.abs(np.subtract.outer(of_score, of_score)) >= distance)) // 2
        yield (
            f"Ranks in {words}: Friedman's test gives p = {chance:.2g} for all methods being alike; two mean ranks "
            f"differ by Nemenyi's test where they are {distance:.1f} apart, which {apart} of the "
            f"{math.comb(len(ranks), 2)} pairs are."
        )


def on_focal(results: Results, pair: Pair) -> str:
    difference = results.of("average_precision")[pair.first] - results.of("average_precision")[pair.second]
    difference = difference.sort_values()
    gained, lost = difference[difference > 0][::-1][:3], difference[difference < 0][:3]
    listed = [
        f"it {verb} most on " + ", ".join(f"{name} ({value:+.3f})" for name, value in group.items())
        for verb, group in (("gains", gained), ("loses", lost))
        if len(group)
    ]
    effect = "helps" if pair.gain > 0 else "hurts"
    judgement = effect if pair.chance < SURE else "makes no difference beyond chance"
    return (
        f"{pair.first} against {pair.second}: focal loss {judgement} in average precision, {pair.gain:+.3f} in the "
        f"mean, better on {pair.wins} of {len(difference)} data sets (p = {pair.chance:.2g}); "
        + "; ".join(listed)
        + f". Its log loss is {pair.log_loss:.3f} of logistic's (p = {pair.chance_of_log_loss:.2g})."
    )


def on_when(results: Results) -> Iterator[str]:
    """Whether the gain by focal loss goes with the share or number of positives, or with how hard a data set is."""
    names = [name for name in results.focal(ours=True) if results.logistic(name) is not None]
    if not names or len(results.problems) < 5:
        return
    precision = results.of("average_precision")
    gain = sum(precision[name] - precision[results.logistic(name)] for name in names) / len(names)
    easiness = sum(precision[results.logistic(name)] for name in names) / len(names)
    causes = {
        "the share of positives": [problem.y.mean() for problem in results.problems],
        "their number": [problem.y.sum() for problem in results.problems],
        "logistic loss's own average precision": easiness,
    }
    tests = {cause: spearmanr(gain, values) for cause, values in causes.items()}
    sure = [cause for cause, test in tests.items() if test.pvalue < SURE]
    numbers = ", ".join(f"{cause} {test.statistic:+.2f} (p = {test.pvalue:.2g})" for cause, test in tests.items())
    words = f"goes with {' and '.join(sure)}" if sure else "goes with none of what was looked at, beyond chance"
    yield f"When focal loss helps: its gain over logistic loss {words}. Rank correlations: {numbers}."


def on_probabilities(results: Results) -> Iterator[str]:
    log_losses = results.of("log_loss").mean()
    for engine in ("XGBoost", "LightGBM"):
        logistic = f"{engine} logistic"
        for name in results.ours(engine) if logistic in results.methods else ():
            ratio = results.log_loss_ratio(name, logistic)
            yield (
                f"Target, {name}: log loss at most {LOG_LOSS_TARGET} of native logistic's: {ratio:.3f} "
                f"({log_losses[name] / log_losses[logistic]:.3f} of the mean log losses), "
                f"{'met' if ratio <= LOG_LOSS_TARGET else 'missed'}."
            )
    ratios = {
        name: results.log_loss_ratio(name, results.logistic(name))
        for name in results.focal(ours=False)
        if results.logistic(name) is not None
    }
    if ratios:
        listed = ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())
        yield f"Competitors' focal probabilities, log loss in units of the same engine's logistic: {listed}."


def on_competitors(results: Results, ranks: pd.Series) -> Iterator[str]:
    theirs = results.focal(ours=False)
    if not theirs:
        return
    best = ranks[theirs].idxmin()
    logistic = results.logistic(best)
    for name in results.focal(ours=True):
        met = ranks[name] <= ranks[best]
        sentence = (
            f"Target, {name}: mean rank in average precision no worse than the best competitor's focal loss, {best}: "
            f"{ranks[name]:.1f} against {ranks[best]:.1f}, {'met' if met else 'missed'}."
        )
        if not met and METHODS[best].engine != METHODS[name].engine and logistic is not None:
            of_engine = ranks[logistic]
            sentence += f" {METHODS[best].engine}'s own logistic loss has {of_engine:.1f}: " + (
                "the engine is ahead on these data, whatever the loss."
                if of_engine < ranks[name]
                else "the engine alone is not what is ahead."
            )
        yield sentence
        same = [rival for rival in theirs if METHODS[rival].engine == METHODS[name].engine]
        for rival in same:
            yield (
                f"On the same engine, {name} has mean rank {ranks[name]:.1f} and {rival} {ranks[rival]:.1f}: "
                f"{'no worse' if ranks[name] <= ranks[rival] else 'worse'}."
            )


if __name__ == "__main__":
    main()
