"""Which loss finds rare positives in real data, under the engines' default parameters.

    pip install ".[benchmark]" && pip install --no-deps gbdtCBL==0.2.0  # the competitors, for this benchmark only
    python benchmarks/rare_real.py --data FOLDER

FOLDER holds real sets as .parquet, .csv or .dat files; the label is the column `positive`, else (not in .parquet) the
last one, and its rarest value the one to find. (The results here are of sets of ADBench and KEEL: annthyroid, campaign,
celeba, http, landsat, magic, mammography.) Each set is thinned to the stated shares of positives that lie below its
own, at random and anew in each repeat, and a large set to at most --rows negatives. Then it is cut into two halves with
as many positives each; each half is learned by every method, in 100 rounds of one thread with all else at the engine's
defaults, and judged on the other half. A thinned set with fewer than --fewest positives in a half is left out.

The methods are the engines' own logistic losses, without and with weights for the positives and with
max_delta_step 1; gbdtCBL's and CatBoost's losses, where they are installed; and ours. --losses, --max-step,
--normalize and --hessian say which of ours, for an ablation, and --pseudo-count by how many positives leaves are
shrunk, with our losses and the engine's own; `FocalClassifier()`, with all its defaults, is always there, and with
--parameters around engines of other parameters than their defaults, and with --search under the loss that
cross-validation chooses in the training data.

Scores: average precision, and log loss in units of the base rate's own, 1 where nothing is learned. A method is
compared with the logistic loss of its own engine by the ratio of the means over the halves: one ratio a thinned set,
of which the table has the geometric mean without the best and the worst, and the median. For the test all thinnings of
one set are averaged first, because they share rows: Wilcoxon's signed ranks over the sets, with Holm's correction.

Each row is kept in --cache as soon as it is known, so that after an interruption the same command goes on where it
was. `--quick` prints only: one repeat, 4,000 negatives.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import itertools
import json
import os
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # each process computes in one thread

import lightgbm
import numpy as np
import pandas as pd
import xgboost
from common import (
    RESULTS,
    Store,
    command_line,
    computed,
    environment,
    holm,
    markdown_table,
    verdict,
    version,
    wilcoxon_p,
)
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray
from quality.data import Problem, files_of, of_file
from quality.methods import StatedFocal
from scipy.special import expit
from sklearn.metrics import average_precision_score, log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from tqdm import tqdm

import gbm_focal.lightgbm
import gbm_focal.xgboost
from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalClassifier, FocalLoss, Loss, PowerCrossEntropy
from gbm_focal.boosting import Plan
from gbm_focal.losses import ClassTotals

Array = NDArray[Any]

ROUNDS = 100
RATES = (0.001, 0.003, 0.005, 0.01, 0.02, 0.05)
RARE = 0.01  # the largest share that the targets call rare
LOSSES: dict[str, Loss] = {
    "CrossEntropy": BalancedCrossEntropy(None),
    "FocalLoss(1)": FocalLoss(1.0),
    "FocalLoss(2)": FocalLoss(2.0),
    "AsymmetricLoss()": AsymmetricLoss(),
    "PowerCrossEntropy()": PowerCrossEntropy(),
    "BalancedCrossEntropy()": BalancedCrossEntropy(),
}
LAMBDA = {"XGBoost": 1.0, "LightGBM": 0.0}  # of the leaves, by default
BALANCED = "negatives / positives"  # in place of a number that the training data will give
PROTOCOL = 1  # raise it when what is computed changes, so that no old row stays
KEY = ("settings", "data", "rate", "repeat", "half", "method")
SCORES = ("average_precision", "log_loss")
COLUMNS = (*KEY, "positives", "rows", *SCORES, "seconds")
# Of FocalClassifier() on each engine: least average precision and largest log loss at rare positives, and least
# average precision above, in units of the engine's own.
TARGETS = {"XGBoost": (1.05, 0.97, 0.995), "LightGBM": (1.12, 0.92, 0.995)}


# ---- methods ----


class Method(NamedTuple):
    """A way to train one engine; a loss of ours, or parameters of the engine's own."""

    engine: str
    name: str
    package: str = "gbm_focal"
    loss: Loss | None = None
    options: dict[str, Any] = {}  # noqa: RUF012  # of the engine, or how our loss is conditioned
    pseudo_count: float = 0.0
    search: str | None = None  # the scorer by which cross-validation in the training data chooses among CANDIDATES

    def searched(self) -> dict[str, Any]:
        """Return what names the search among settings, if there is one."""
        if self.search is None:
            return {}
        return {"search": self.search, "losses": [loss.to_json() for loss in CANDIDATES]}

    @property
    def title(self) -> str:
        """Engine and name."""
        return f"{self.engine} {self.name}"

    def fit_predict(self, X: Array, y: Array, X_test: Array) -> Array:
        """Return the probabilities of label 1 that this method's package would give."""
        if self.package == "catboost":
            return catboost(self, X, y, X_test)
        if self.name.startswith(DEFAULT):
            return by_classifier(self, X, y, X_test)
        return {"XGBoost": by_xgboost, "LightGBM": by_lightgbm}[self.engine](self, X, y, X_test)


LOGISTIC, DEFAULT = "logistic", "FocalClassifier()"
CANDIDATES = (BalancedCrossEntropy(None), FocalLoss(2.0), AsymmetricLoss(), PowerCrossEntropy())
HELD_OUT = {"validation_fraction": 0.2, "random_state": 0}  # for early stopping


def by_classifier(method: Method, X: Array, y: Array, X_test: Array) -> Array:
    estimators = {"XGBoost": xgboost.XGBClassifier, "LightGBM": lightgbm.LGBMClassifier}
    quiet = {"verbosity": -1} if method.engine == "LightGBM" else {}
    engine = estimators[method.engine](**{"n_estimators": ROUNDS, "n_jobs": 1, **quiet, **method.options})
    held_out = HELD_OUT if "early_stopping_rounds" in method.options else {}
    model = FocalClassifier(engine, **held_out)
    if method.search is not None:
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        model = GridSearchCV(model, {"loss": list(CANDIDATES)}, scoring=method.search, cv=folds)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "validation_fraction=.* holds out ")
        return model.fit(X, y).predict_proba(X_test)[:, 1]


def parameters_of(method: Method, y: Array) -> dict[str, Any]:
    ratio = float((y == 0).sum() / (y == 1).sum())
    return {name: ratio if value == BALANCED else value for name, value in method.options.items()}


def lambda_of(method: Method, y: Array) -> float:
    """Return the engine's own lambda, and for its own losses what `pseudo_count` adds for ours; see `Plan.penalty`."""
    plan = Plan(LOSSES["CrossEntropy"], ClassTotals.of(y), pseudo_count=method.pseudo_count)
    return LAMBDA[method.engine] + (0.0 if method.loss is not None else plan.penalty())


def ours_of(method: Method) -> dict[str, Any]:
    return {**method.options, "pseudo_count": method.pseudo_count}


def by_xgboost(method: Method, X: Array, y: Array, X_test: Array) -> Array:
    params = {"nthread": 1, "lambda": lambda_of(method, y)}
    data, test = xgboost.DMatrix(X, y, nthread=1), xgboost.DMatrix(X_test, nthread=1)
    if method.loss is not None:
        booster = gbm_focal.xgboost.train(params, data, ROUNDS, loss=method.loss, **ours_of(method))
        return gbm_focal.xgboost.predict_proba(booster, test)[:, 1]
    params |= {"objective": "binary:logistic", **parameters_of(method, y)}
    objective = StatedFocal(2.0).objective if method.package == "gbdtCBL" else None
    return xgboost.train(params, data, ROUNDS, obj=objective).predict(test)


def by_lightgbm(method: Method, X: Array, y: Array, X_test: Array) -> Array:
    params = {"num_threads": 1, "verbosity": -1}
    data = lightgbm.Dataset(X, y, params=params)
    params["lambda_l2"] = lambda_of(method, y)
    if method.loss is not None:
        booster = gbm_focal.lightgbm.train(params, data, ROUNDS, loss=method.loss, **ours_of(method))
        return gbm_focal.lightgbm.predict_proba(booster, X_test, num_threads=1)[:, 1]
    if method.package == "gbdtCBL":
        booster = lightgbm.train({"objective": StatedFocal(2.0).objective, **params}, data, ROUNDS)
        return expit(booster.predict(X_test, raw_score=True, num_threads=1))
    booster = lightgbm.train({"objective": "binary", **params, **parameters_of(method, y)}, data, ROUNDS)
    return booster.predict(X_test, num_threads=1)


def catboost(method: Method, X: Array, y: Array, X_test: Array) -> Array:
    from catboost import CatBoostClassifier

    model = CatBoostClassifier(
        iterations=ROUNDS, random_seed=0, thread_count=1, verbose=False, allow_writing_files=False, **method.options
    )
    return model.fit(X, y).predict_proba(X_test, thread_count=1)[:, 1]


def methods_of(options: argparse.Namespace) -> list[Method]:
    """All methods that are installed, each engine's logistic loss first."""
    own = {
        "XGBoost": {"scale_pos_weight": {"scale_pos_weight": BALANCED}},
        "LightGBM": {"is_unbalance": {"is_unbalance": True}},
    }
    methods = []
    for engine in options.engines:
        if engine == "CatBoost":
            focal = {"loss_function": "Focal:focal_alpha=0.5;focal_gamma=2"}
            methods += [Method(engine, LOGISTIC, "catboost"), Method(engine, "Focal", "catboost", options=focal)]
            continue
        methods.append(Method(engine, LOGISTIC))
        methods += [Method(engine, name, options=given) for name, given in own[engine].items()]
        methods.append(Method(engine, "max_delta_step=1", options={"max_delta_step": 1}))
        methods.append(Method(engine, "gbdtCBL focal", "gbdtCBL"))
        methods.append(Method(engine, DEFAULT))
        methods += [Method(engine, f"{DEFAULT}, loss by {scorer}", search=scorer) for scorer in options.search]
        given = [of_engine for name, of_engine in options.parameters if name == engine]
        methods += [Method(engine, f"{DEFAULT}, {in_words(of_engine)}", options=of_engine) for of_engine in given]
        for pseudo_count in options.pseudo_count:
            suffix = f", pseudo_count={pseudo_count:g}" if pseudo_count else ""
            if pseudo_count:
                methods.append(Method(engine, LOGISTIC + suffix, pseudo_count=pseudo_count))
            settings = itertools.product(options.max_step, options.normalize, options.hessian)
            for (max_step, normalize, hessian), loss in itertools.product(settings, options.losses):
                given = {"max_step": max_step, "normalize": normalize, "hessian": hessian}
                changed = "".join(f", {key}={value}" for key, value in given.items() if value != USUAL[key])
                methods.append(Method(engine, loss + changed + suffix, "gbm_focal", LOSSES[loss], given, pseudo_count))
    return [method for method in methods if importlib.util.find_spec(method.package) is not None]


def in_words(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in parameters.items())


USUAL = {name: FocalClassifier().get_params()[name] for name in ("max_step", "normalize", "hessian", "pseudo_count")}


# ---- data ----


class Sampling(NamedTuple):
    """How sets are thinned and cut."""

    rows: int  # most negatives
    fewest: int  # positives in a half
    seed: int


class Job(NamedTuple):
    """The methods to be judged on one half of a thinned set."""

    keys: tuple[tuple[str, ...], ...]  # one of each method
    methods: tuple[Method, ...]
    problem: Problem
    sampling: Sampling
    rate: float
    repeat: int
    half: int


def positives_at(problem: Problem, rate: float, sampling: Sampling) -> int:
    """Count the positives of a set thinned to this share; 0 if it cannot be, or has too few of them."""
    positives = int(problem.y.sum())
    wanted = round(rate / (1 - rate) * min(sampling.rows, len(problem.y) - positives))
    return wanted if 2 * sampling.fewest <= wanted <= positives else 0


def halves(job: Job) -> tuple[Problem, Problem]:
    """Cut a thinned set; the first half is the one to learn from."""
    problem, sampling = job.problem, job.sampling
    random = np.random.default_rng([sampling.seed, job.repeat, round(1e6 * job.rate)])
    negatives = random.permutation(np.flatnonzero(problem.y == 0))[: sampling.rows]
    positives = random.permutation(np.flatnonzero(problem.y == 1))[: positives_at(problem, job.rate, sampling)]
    parts = [random.permutation(np.concatenate([negatives[i::2], positives[i::2]])) for i in range(2)]
    return problem.take(parts[job.half]), problem.take(parts[1 - job.half])


def jobs_of(problems: Sequence[Problem], methods: Sequence[Method], options: argparse.Namespace) -> Iterator[Job]:
    """Repeat by repeat, so that what an interrupted run leaves is of all sets."""
    sampling = Sampling(options.rows, options.fewest, options.seed)
    settings = {
        (problem.name, method.title): settings_of(method, fingerprint, sampling)
        for problem in problems
        for fingerprint in [problem.fingerprint()]
        for method in methods
    }
    for repeat, problem, rate in itertools.product(range(options.repeats), problems, options.rates):
        if not positives_at(problem, rate, sampling):
            continue
        for half in range(2):
            of_half = (problem.name, f"{rate:g}", str(repeat), str(half))
            keys = tuple((settings[problem.name, method.title], *of_half, method.title) for method in methods)
            yield Job(keys, tuple(methods), problem, sampling, rate, repeat, half)


def settings_of(method: Method, fingerprint: str, sampling: Sampling) -> str:
    """Return a short name of all that a row depends on besides its key."""
    packages = ("numpy", "gbm_focal", method.package, method.engine)
    parameters = None if method.loss is None else method.loss.to_json()
    of_method = [
        method.options,
        parameters,
        method.pseudo_count,
        method.search,
        USUAL if method.name.startswith(DEFAULT) else None,
    ]
    versions = [version(package) for package in packages]
    text = json.dumps([fingerprint, versions, of_method, sampling.rows, sampling.seed, ROUNDS, PROTOCOL])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def without(job: Job, known: Mapping[tuple[str, ...], Any]) -> Job:
    """Leave out the methods whose rows are known."""
    left = [(key, method) for key, method in zip(job.keys, job.methods, strict=True) if key not in known]
    return job._replace(keys=tuple(key for key, _ in left), methods=tuple(method for _, method in left))


def rows_of(job: Job) -> list[dict[str, Any]]:
    """Scores of each method of a job."""
    training, test = halves(job)
    rate = float(test.y.mean())
    without_skill = -(rate * np.log(rate) + (1 - rate) * np.log1p(-rate))
    rows = []
    for key, method in zip(job.keys, job.methods, strict=True):
        start = time.perf_counter()
        # log_loss clips float32 as far inside as 1e-7
        probability = np.asarray(method.fit_predict(training.X, training.y, test.X), np.float64)
        seconds = time.perf_counter() - start
        row = dict(zip(KEY, key, strict=True)) | {"positives": int(training.y.sum()), "rows": len(training.y)}
        row["average_precision"] = f"{average_precision_score(test.y, probability):.6g}"
        row["log_loss"] = f"{log_loss(test.y, probability) / without_skill:.6g}"
        rows.append(row | {"seconds": f"{seconds:.3f}"})
    return rows


# ---- results ----


class Results:
    """Means over the halves, of each method on each thinned set."""

    def __init__(self, rows: pd.DataFrame, methods: Sequence[Method]) -> None:
        numeric = ["rate", "positives", "rows", *SCORES, "seconds"]
        rows = rows.assign(**{name: pd.to_numeric(rows[name]) for name in numeric})
        self.means = rows.groupby(["data", "rate", "method"])[[*SCORES, "positives", "rows", "seconds"]].mean()
        self.methods = list(methods)

    def ratios(self, score: str, rates: slice) -> pd.DataFrame:
        """Each method's score in units of its engine's logistic; one row a thinned set."""
        values = self.means[score].unstack("method").sort_index().loc[(slice(None), rates), :]
        return pd.DataFrame(
            {m.title: values[m.title] / values[f"{m.engine} {LOGISTIC}"] for m in self.methods}, values.index
        )

    def table(self, rates: slice) -> list[str]:
        """One line a method, against the logistic loss of its engine."""
        precision, loss = self.ratios("average_precision", rates), self.ratios("log_loss", rates)
        values = self.means.loc[(slice(None), rates), :]["average_precision"].unstack("method")
        of_sets = [by_set(ratios) for ratios in (precision, loss)]
        others = [method for method in self.methods if method.name != LOGISTIC]
        chances = [holm([wilcoxon_p(np.log(of[m.title]).to_numpy()) for m in others]) for of in of_sets]
        header = ["method", "average precision", "ratio, trimmed mean", "ratio, median", "better on", "of sets", "p"]
        header += ["log loss ratio, median", "lower on", "p"]
        lines = []
        for method in self.methods:
            name = method.title
            if method.name == LOGISTIC:
                lines.append([name, f"{values[name].mean():.3f}", "1", "1", *[""] * 3, "1", *[""] * 2])
                continue
            number = others.index(method)
            better, lower = precision[name] > 1, loss[name] < 1
            cells = [name, f"{values[name].mean():.3f}", f"{trimmed(precision[name]):.3f}"]
            cells += [f"{precision[name].median():.3f}", f"{better.sum()} of {len(better)}"]
            cells += [f"{(of_sets[0][name] > 1).sum()} of {len(of_sets[0])}", f"{chances[0][number]:.2g}"]
            cells += [f"{loss[name].median():.3f}", f"{lower.sum()} of {len(lower)}", f"{chances[1][number]:.2g}"]
            lines.append(cells)
        return markdown_table(header, lines)

    def table_of_data(self, score: str) -> list[str]:
        """One score on each thinned set, one line a set."""
        values = self.means[score].unstack("method").sort_index()
        positives = self.means["positives"].groupby(["data", "rate"]).first()
        titles = [method.title for method in self.methods]
        lines = [
            [f"{data} {rate:.1%}", f"{positives[data, rate]:.0f}", *(f"{row[title]:.3f}" for title in titles)]
            for (data, rate), row in values.iterrows()
        ]
        return markdown_table(["set, positives", "in a half", *titles], lines)

    def chosen(self) -> list[str]:
        """Of our losses, which one the other sets choose for each set, and what it does there; one line a set.

        They choose what has the highest average precision, as the mean logarithm of the ratios to logistic over all of
        their thinnings at most rare and both engines: a default is the same for both.
        """
        ours = {m.title: m.name for m in self.methods if m.loss is not None}
        scores = {}
        for score in SCORES:
            logs = np.log(self.ratios(score, AT_MOST_RARE)[list(ours)]).groupby(level="data").mean()
            scores[score] = logs.T.groupby(ours).mean().T
        precision, loss = (scores[score] for score in SCORES)
        lines = []
        for data in precision.index:
            best = precision.drop(data).mean().idxmax()
            ratios = [f"{np.exp(of.loc[data, best]):.3f}" for of in (precision, loss)]
            lines.append([data, best, *ratios])
        return markdown_table(["set left out", "chosen by the others", "average precision", "log loss"], lines)

    def targets(self) -> Iterator[str]:
        """Yield whether our defaults gain what they should."""
        titles = {method.title for method in self.methods}
        for engine, (least, largest, least_above) in TARGETS.items():
            title = f"{engine} {DEFAULT}"
            if title not in titles:
                continue
            precision, loss = (self.ratios(score, AT_MOST_RARE)[title] for score in SCORES)
            if len(precision):
                ratio = trimmed(precision)
                yield (
                    f"{title}, at most {RARE:.0%} positives: average precision at least {least} times {LOGISTIC}'s "
                    f"(geometric mean without the best and the worst of {len(precision)}): {ratio:.3f}, "
                    f"{verdict(ratio >= least)}; log loss at most {largest} times (median): {loss.median():.3f}, "
                    f"{verdict(loss.median() <= largest)}."
                )
            above = self.ratios("average_precision", ABOVE)[title]
            if len(above):
                ratio = trimmed(above)
                yield (
                    f"{title}, above {RARE:.0%}: average precision at least {least_above} times: {ratio:.3f}, "
                    f"{verdict(ratio >= least_above)}."
                )

    def figure(self, by: str) -> Figure:
        """Ratios of average precision of our losses by the share or the number of positives."""
        figure = Figure(figsize=(10, 4.2), layout="constrained")
        engines = [e for e in ("XGBoost", "LightGBM") if any(m.engine == e for m in self.methods)]
        ratios = self.ratios("average_precision", slice(None))
        positives = self.means["positives"].groupby(["data", "rate"]).first().loc[ratios.index]
        at = ratios.index.get_level_values("rate") if by == "rate" else positives
        at = pd.Series(np.asarray(at, float), ratios.index)
        for axes, engine in zip(figure.subplots(1, len(engines), sharey=True, squeeze=False)[0], engines, strict=True):
            axes.axhline(1, color="black", linewidth=0.8)
            shown = [m for m in self.methods if m.engine == engine and (m.loss is not None or m.name == DEFAULT)]
            for number, method in enumerate(shown):
                color = f"C{number % 10}"
                axes.scatter(at, ratios[method.title], s=12, color=color, alpha=0.5, linewidths=0)
                line = np.exp(np.log(ratios[method.title]).groupby(in_groups(at)).median())
                axes.plot(at.groupby(in_groups(at)).median(), line, color=color, label=method.name)
            axes.set(xscale="log", yscale="log", title=engine)
            axes.set_xlabel("share of positives" if by == "rate" else "positives to learn from")
            axes.set_ylim(0.7, 2)
            axes.set_yticks([0.7, 0.8, 0.9, 1, 1.2, 1.5, 2], ["0.7", "0.8", "0.9", "1", "1.2", "1.5", "2"])
            axes.yaxis.set_minor_formatter(NullFormatter())
            if by == "rate":
                rates = sorted(set(at))
                axes.set_xticks(rates, [f"{rate:.1%}" for rate in rates])
                axes.xaxis.set_minor_formatter(NullFormatter())
        figure.axes[0].set_ylabel("average precision / logistic loss's")
        figure.axes[-1].legend(fontsize="x-small")
        return figure


AT_MOST_RARE, ABOVE = slice(None, RARE), slice(np.nextafter(RARE, 1), None)


def in_groups(at: pd.Series) -> pd.Series:
    """Return the group of each value, over which a line takes its medians: equal values, or sixths of the sets."""
    if at.nunique() <= len(RATES):
        return at
    return pd.qcut(at, 6, labels=False, duplicates="drop")


def trimmed(ratios: pd.Series) -> float:
    """Geometric mean without the smallest and the largest."""
    logs = np.sort(np.log(ratios.to_numpy()))
    return float(np.exp(logs[1:-1].mean() if len(logs) > 2 else logs.mean()))


def by_set(ratios: pd.DataFrame) -> pd.DataFrame:
    """Geometric means over the thinnings of each set."""
    return np.exp(np.log(ratios).groupby(level="data").mean())


def report(results: Results, left_out: Mapping[str, str], command: str, options: argparse.Namespace) -> str:
    lines = ["# Rare positives in real data", "", environment("catboost"), "", f"Command: `{command}`", ""]
    lines += ["## Targets", "", *(f"- {sentence}" for sentence in results.targets()), ""]
    for rates, title in ((AT_MOST_RARE, f"At most {RARE:.0%} positives"), (ABOVE, f"Above {RARE:.0%}")):
        if len(results.ratios("log_loss", rates)):
            lines += [f"## {title}", "", *results.table(rates), ""]
    if len({m.name for m in results.methods if m.loss is not None}) > 1 and len(
        results.ratios("log_loss", AT_MOST_RARE)
    ):
        lines += [f"## Chosen without the set that is judged, at most {RARE:.0%}", "", *results.chosen(), ""]
    names = ", ".join(sorted(set(results.means.index.get_level_values("data"))))
    lines += [
        f"- Sets: {names}; at most {options.rows:,} negatives of each, positives thinned to the stated share, drawn "
        f"anew in each of {options.repeats} repeats; both halves in turn learned from and judged by, {ROUNDS} rounds, "
        "all else at the engines' defaults.",
        f"- At least {options.fewest} positives in a half.",
        *(f"- Left out: {reason}." for reason in left_out.values()),
        "- Ratios are to the logistic loss of the same engine, of means over the halves: one a thinned set. The "
        "trimmed mean is geometric, without the best and the worst. p: Wilcoxon's signed ranks over the sets, each of "
        "which is the geometric mean of its thinnings, with Holm's correction for all methods: of 7 sets the least "
        "p before the correction is 0.016.",
        "- Log loss is in units of that of the base rate, 1 where nothing is learned.",
        f"- Time of one thread: {results.means['seconds'].sum() * 2 * options.repeats / 60:.0f} minutes.",
        "",
    ]
    for score, title in (("average_precision", "Average precision"), ("log_loss", "Log loss / the base rate's")):
        lines += [f"## {title} on each set", "", *results.table_of_data(score), ""]
    return "\n".join(lines)


# ---- command line ----


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser()
    options = parser.parse_args(argv)
    if options.quick:
        options.repeats, options.rows = 1, 4000
    methods = methods_of(options)
    try:
        problems, left_out = load(options)
        store = Store(options.cache, KEY, COLUMNS)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    jobs = list(jobs_of(problems, methods, options))
    total = sum(len(job.keys) for job in jobs)
    to_do = [job for job in (without(job, store.rows) for job in jobs) if job.keys]
    done = total - sum(len(job.keys) for job in to_do)
    with tqdm(total=total, initial=done, desc="methods on halves", smoothing=0.05) as bar:
        for rows in computed(rows_of, to_do, options.jobs):
            for row in rows:
                store.append(row)
            bar.update(len(rows))
    results = Results(pd.DataFrame([store.rows[key] for job in jobs for key in job.keys]), methods)
    words = sys.argv[1:] if argv is None else argv
    command = command_line("benchmarks/rare_real.py", words)
    text = report(results, left_out, command, options)
    print(text)
    if options.quick:
        return
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / f"{options.name}.md").write_text(text)
    results.means.round(6).to_csv(options.output / f"{options.name}.csv", lineterminator="\n")
    for by in ("rate", "positives"):
        figure = results.figure(by)
        figure.savefig(options.output / f"{options.name}_by_{by}.svg", metadata={"Date": None})


def argument_parser() -> argparse.ArgumentParser:
    def number_or_none(word: str) -> float | None:
        return None if word.lower() == "none" else float(word)

    def truth(word: str) -> bool:
        if word.lower() not in ("yes", "no"):
            raise argparse.ArgumentTypeError(f"{word!r} is neither yes nor no")
        return word.lower() == "yes"

    def of_estimator(words: str) -> tuple[str, dict[str, float]]:
        engine, _, parameters = words.partition(":")
        return engine, {
            name: json.loads(value) for name, _, value in (word.partition("=") for word in parameters.split(","))
        }

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path("../shared/data/rare")
    parser.add_argument("--data", type=Path, default=data, metavar="FOLDER", help=f"real sets ({data})")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="names of the sets to take; all by default")
    engines = ["XGBoost", "LightGBM", "CatBoost"]
    parser.add_argument("--engines", nargs="+", choices=engines, default=engines)
    parser.add_argument(
        "--losses", nargs="+", choices=LOSSES, default=list(LOSSES), metavar="LOSS", help=str([*LOSSES])
    )
    parser.add_argument("--max-step", nargs="+", type=number_or_none, default=[USUAL["max_step"]], metavar="STEP")
    parser.add_argument("--normalize", nargs="+", type=truth, default=[USUAL["normalize"]], metavar="yes|no")
    parser.add_argument("--hessian", nargs="+", choices=["fisher", "exact"], default=[USUAL["hessian"]])
    words = "parameters of the estimator inside, such as XGBoost:max_depth=3,early_stopping_rounds=50"
    parser.add_argument("--parameters", nargs="+", type=of_estimator, default=[], metavar="GIVEN", help=words)
    words = "scorers by which FocalClassifier's loss is chosen in the training data, such as average_precision"
    parser.add_argument("--search", nargs="+", default=[], metavar="SCORER", help=words)
    words = "pseudo-counts of positives in each leaf, for our losses and logistic's (0)"
    parser.add_argument("--pseudo-count", nargs="+", type=float, default=[0.0], metavar="K", help=words)
    parser.add_argument("--rates", nargs="+", type=float, default=list(RATES), metavar="RATE")
    parser.add_argument("--rows", type=int, default=40_000, help="most negatives of a set (40,000)")
    parser.add_argument("--fewest", type=int, default=20, help="positives in a half (20)")
    parser.add_argument("--repeats", type=int, default=5, help="times that each set is thinned and cut anew (5)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes, of one thread each (1)")
    cache = Path("build/rare_real.csv")
    parser.add_argument("--cache", type=Path, default=cache, metavar="FILE", help=f"rows already known ({cache})")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FOLDER", help="where the results go")
    parser.add_argument("--name", default="rare_real", help="of the files of results (rare_real)")
    parser.add_argument("--quick", action="store_true", help="one repeat, 4,000 negatives; print only")
    return parser


def load(options: argparse.Namespace) -> tuple[list[Problem], dict[str, str]]:
    """Read the sets; those without a label to find are named, with the reason."""
    paths = {path.stem: path for path in files_of(options.data)}
    for name in options.only or ():
        if name not in paths:
            raise ValueError(f"there is no set {name!r} in {options.data}; there are {', '.join(map(repr, paths))}")
    for name, at_least in (("rows", 1), ("fewest", 1), ("repeats", 1), ("jobs", 1)):
        if getattr(options, name) < at_least:
            raise ValueError(f"--{name} {getattr(options, name)} is too few: give {at_least} or more")
    for rate in options.rates:
        if not 0 < rate < 1:
            raise ValueError(f"--rates {rate:g} is no share: give numbers between 0 and 1")
    options.cache.parent.mkdir(parents=True, exist_ok=True)
    problems, left_out = [], {}
    for name, path in paths.items():
        if options.only and name not in options.only:
            continue
        try:
            problem = of_file(path)
        except ValueError as error:
            left_out[name] = str(error)
            continue
        if any(positives_at(problem, rate, Sampling(options.rows, options.fewest, 0)) for rate in options.rates):
            problems.append(problem)
        else:
            left_out[name] = (
                f"{name}: {problem.y.sum()} of {len(problem.y):,} rows are positive, which leaves fewer than "
                f"{options.fewest} in a half at each stated share"
            )
    if not problems:
        reasons = "; ".join(left_out.values())
        raise ValueError(f"no set in {options.data} can be used ({reasons}): change --fewest, --rows or --rates")
    return problems, left_out


if __name__ == "__main__":
    main()
