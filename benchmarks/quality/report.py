"""What is measured on a test part, and what it says of all of them; no sentence here knows the numbers."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from common import environment, holm, markdown_table, verdict, wilcoxon_p
from scipy.special import rel_entr
from scipy.stats import friedmanchisquare, rankdata, spearmanr, studentized_range
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from gbm_focal.metrics import expected_calibration_error, recall_at_alert_rate, true_skill_score

from .data import Array, Problem
from .methods import ASYMMETRIC, FOCAL, METHODS, MOST_ROUNDS, PATIENCE, POWER, WEIGHTED

SCORES = (
    "average_precision",
    "roc_auc",
    "log_loss",
    "brier",
    "calibration_error",
    "recall_at_alert_rate",
    "true_skill_score",
    "divergence",
)
LOSSES = ("log_loss", "brier", "calibration_error", "divergence")  # of which less is better
ALERT_RATE = 0.05
LOG_LOSS_TARGET = 1.02
SURE = 0.05  # p-value below which a difference is more than chance


def scores_of(test: Problem, probability: Array, threshold: float) -> dict[str, float]:
    """Return all scores; the divergence only where the true probabilities are known."""
    scores = {
        "average_precision": average_precision_score(test.y, probability),
        "roc_auc": roc_auc_score(test.y, probability),
        "log_loss": log_loss(test.y, probability),
        "brier": brier_score_loss(test.y, probability),
        "calibration_error": expected_calibration_error(test.y, probability, bins=10, strategy="quantile"),
        "recall_at_alert_rate": recall_at_alert_rate(test.y, probability, alert_rate=ALERT_RATE),
        "true_skill_score": true_skill_score(test.y, (probability >= threshold).astype(int)),
    }
    if test.truth is not None:
        inside = np.clip(probability, np.finfo(float).eps, 1 - np.finfo(float).eps)  # as scikit-learn's log loss does
        divergence = rel_entr(test.truth, inside) + rel_entr(1 - test.truth, 1 - inside)
        scores["divergence"] = float(divergence.mean())
    return scores


class Run(NamedTuple):
    """How the rows came about."""

    command: str
    protocol: str
    jobs: int
    missing: dict[str, str]  # methods that are not installed, with their packages


def report(rows: pd.DataFrame, problems: Sequence[Problem], run: Run) -> str:
    """Return the text of the results, in Markdown."""
    failed = rows[rows["error"] != ""].groupby("method")["error"].agg(["size", "first"])
    rows = rows[~rows["method"].isin(failed.index)]
    if rows.empty:
        raise SystemExit("every method has failed: see the column error of the CSV file")
    numbers = rows[[*SCORES, "seconds"]].apply(pd.to_numeric)
    results = Results(numbers.assign(data=rows["data"], method=rows["method"]), problems)

    lines = ["# Quality: losses for imbalanced data, each method tuned alike", ""]
    lines += [environment("scikit-learn", "optuna", "catboost", "ydf"), "", f"Command: `{run.command}`", ""]
    lines += ["## In words", "", *(f"- {sentence}" for sentence in in_words(results)), ""]
    lines += ["## Targets", "", *(f"- {sentence}" for sentence in targets(results)), ""]
    lines += ["## Means over the data sets", "", *results.table(), ""]
    for package in sorted(set(run.missing.values())):
        names = ", ".join(name for name, of in run.missing.items() if of == package)
        lines.append(f"- Not compared, because {package} is not installed: {names}.")
    for method, (count, first) in failed.iterrows():
        lines.append(f"- {method} failed on {count} test parts and is left out everywhere: {first}")
    lines += [f"- {note}" for note in how(results, run)]
    lines += ["", "## Pairs", "", *results.table_of_pairs(), ""]
    lines += ["## Average precision on each data set", "", *results.table_of_data("average_precision"), ""]
    lines += ["## Log loss on each data set", "", *results.table_of_data("log_loss"), ""]
    return "\n".join(lines)


def how(results: Results, run: Run) -> list[str]:
    simulators = sum(problem.truth is not None for problem in results.problems)
    minutes = results.numbers["seconds"].sum() / 60
    spaces = {**FOCAL, **WEIGHTED, **ASYMMETRIC, **POWER}
    return [
        run.protocol,
        f"A trial trains at most {MOST_ROUNDS} rounds, and stops {PATIENCE} after the best value of its own loss on "
        "the inner part; it is judged by average precision, which does not depend on what a package calls a "
        "probability. The first trial is of the losses' defaults.",
        f"All that took {minutes:.0f} minutes of processes, {run.jobs} at a time, of one thread each.",
        "Ranks: 1 is best; means over the data sets. Log loss is in units of that of the same engine's logistic loss, "
        "the geometric mean over the data sets.",
        f"Calibration error: 10 bins of equally many rows. Recall: among the {ALERT_RATE:.0%} of rows that score "
        "highest. TSS: at the threshold that was best on the inner folds. Divergence: from the true probabilities "
        f"(Kullback and Leibler, nats a row), on the simulated sets, which are {simulators}.",
        "Bounds of the search, the same on all engines: "
        + ", ".join(f"{name} {space.low:g} to {space.high:g}" for name, space in spaces.items())
        + "; positives weigh (negatives / positives)^balance, and focal losses have no alpha.",
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
        sign = 1 if score in LOSSES else -1
        return pd.DataFrame(rankdata(sign * values.to_numpy(), axis=1), values.index, values.columns)

    def mean_ranks(self, score: str) -> pd.Series:
        """Mean rank of each method over the data sets."""
        return self.ranks(score).mean()

    def log_loss_ratio(self, method: str) -> float:
        """Log loss of a method in units of its engine's logistic loss, the geometric mean over the data sets."""
        values = self.of("log_loss")
        return float(np.exp(np.log(values[method] / values[self.logistic(method)]).mean()))

    def gain(self, method: str) -> pd.Series:
        """Average precision above that of the engine's logistic loss, on each data set."""
        precision = self.of("average_precision")
        return precision[method] - precision[self.logistic(method)]

    def logistic(self, method: str) -> str:
        """Name the logistic loss of the engine of a method."""
        return f"{METHODS[method].engine} logistic"

    def with_logistic(self, *, ours: bool, focal: bool = False) -> list[str]:
        """Methods, ours or the others', that can be compared with the logistic loss of their engine."""
        return [
            name
            for name in (self.focal(ours=ours) if focal else self.methods)
            if METHODS[name].ours == ours and self.logistic(name) in self.methods and name != self.logistic(name)
        ]

    def focal(self, *, ours: bool) -> list[str]:
        """Focal losses, ours or the competitors'."""
        return [name for name in self.methods if METHODS[name].focal and METHODS[name].ours == ours]

    @functools.cached_property
    def pairs(self) -> list[Pair]:
        """Ours against the logistic loss, our focal losses against competitors', and all others against logistic."""
        names = [(name, self.logistic(name)) for name in self.with_logistic(ours=True)]
        names += [(ours, theirs) for ours in self.focal(ours=True) for theirs in self.focal(ours=False)]
        names += [(name, self.logistic(name)) for name in self.with_logistic(ours=False)]
        precision, log_losses = self.of("average_precision"), np.log(self.of("log_loss"))
        gains = [precision[first] - precision[second] for first, second in names]
        ratios = [log_losses[first] - log_losses[second] for first, second in names]
        chances, chances_of_log_loss = (holm([wilcoxon_p(d.to_numpy()) for d in group]) for group in (gains, ratios))
        return [
            Pair(
                *names[i],
                gain=float(gains[i].mean()),
                wins=int((gains[i] > 0).sum()),
                chance=chances[i],
                log_loss=float(np.exp(ratios[i].mean())),
                lower=int((ratios[i] < 0).sum()),
                chance_of_log_loss=chances_of_log_loss[i],
            )
            for i in range(len(names))
        ]

    def table(self) -> list[str]:
        """Scores of all methods, means over the data sets, the best rank first."""
        log_ranks = self.mean_ranks("log_loss")
        header = ["method", "average precision", "its rank", "ROC AUC", "log loss / logistic", "its rank", "Brier"]
        header += ["calibration error", f"recall at {ALERT_RATE:.0%} alerts", "TSS", "divergence"]
        rows = []
        for method, rank in self.mean_ranks("average_precision").sort_values().items():
            mean = {score: self.of(score)[method].mean() for score in SCORES}
            ratio = f"{self.log_loss_ratio(method):.3f}" if self.logistic(method) in self.methods else ""
            cells = [method, f"{mean['average_precision']:.3f}", f"{rank:.1f}", f"{mean['roc_auc']:.3f}", ratio]
            cells += [f"{log_ranks[method]:.1f}", f"{mean['brier']:.4f}", f"{mean['calibration_error']:.4f}"]
            cells += [f"{mean['recall_at_alert_rate']:.3f}", f"{mean['true_skill_score']:.3f}"]
            # Without simulators there is none.
            rows.append([*cells, "" if math.isnan(mean["divergence"]) else f"{mean['divergence']:.4f}"])
        return markdown_table(header, rows)

    def table_of_data(self, score: str) -> list[str]:
        """One score on each data set."""
        values = self.of(score).T
        positives = [f"{int(problem.y.sum())} of {len(problem.y)}" for problem in self.problems]
        rows = [[method, *(f"{value:.3f}" for value in values.loc[method])] for method in self.methods]
        header = ["method", *(problem.name for problem in self.problems)]
        return markdown_table(header, [["positives", *positives], *rows])

    def table_of_pairs(self) -> list[str]:
        """Lines of a table of the pairs."""
        header = ["first / second", "average precision, difference", "first is better on", "p"]
        header += ["log loss, ratio", "first is lower on", "p"]
        of = f"of {len(self.problems)}"
        rows = []
        for pair in self.pairs:
            cells = [f"{pair.first} / {pair.second}", f"{pair.gain:+.3f}", f"{pair.wins} {of}", f"{pair.chance:.2g}"]
            rows.append([*cells, f"{pair.log_loss:.3f}", f"{pair.lower} {of}", f"{pair.chance_of_log_loss:.2g}"])
        explained = "p: Wilcoxon's signed-rank test over the data sets, with Holm's correction for all rows."
        return [*markdown_table(header, rows), "", explained]


# ---- tests ----


def critical_difference(methods: int, data_sets: int) -> float:
    """Least difference of two mean ranks that Nemenyi's test calls real, at 5 %.

    Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7, 2006.
    """
    quantile = studentized_range.ppf(0.95, methods, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(methods * (methods + 1) / (6 * data_sets)))


# ---- in words ----


def in_words(results: Results) -> Iterator[str]:
    """Say what the numbers say: the ranking, when focal loss helps, and the probabilities."""
    if results.pairs:
        yield on_logistic(results)
    yield on_ranks(results, results.mean_ranks("average_precision"))
    if len(results.methods) > 2 and len(results.problems) > 2:
        yield on_tests(results)
    for pair in results.pairs:
        if pair.first in results.with_logistic(ours=True, focal=True) and pair.second == results.logistic(pair.first):
            yield on_focal(results, pair)
    if len(results.problems) > 4 and results.with_logistic(ours=True, focal=True):
        yield on_when(results)
    yield from on_probabilities(results)


def on_logistic(results: Results) -> str:
    """Which losses differ from the logistic loss of their engine beyond chance."""
    pairs = [pair for pair in results.pairs if pair.second == results.logistic(pair.first)]
    sure = [f"{pair.first} ({pair.gain:+.3f})" for pair in pairs if pair.chance < SURE]
    lower, higher = (
        [pair.first for pair in pairs if pair.chance_of_log_loss < SURE and (pair.log_loss < 1) == is_lower]
        for is_lower in (True, False)
    )
    return (
        f"Of {len(pairs)} losses against the logistic loss of the same engine, these differ beyond chance. In average "
        f"precision: {', '.join(sure) or 'none'}. In log loss, for the better: {', '.join(lower) or 'none'}; for the "
        f"worse: {', '.join(higher) or 'none'}."
    )


def on_ranks(results: Results, ranks: pd.Series) -> str:
    listed = [
        f"on {engine} "
        + ", ".join(
            f"{name.removeprefix(engine + ' ')} {rank:.1f}"
            for name, rank in ranks.sort_values().items()
            if METHODS[name].engine == engine
        )
        for engine in dict.fromkeys(METHODS[name].engine for name in results.methods)
    ]
    return f"Mean ranks in average precision, of {len(ranks)}: {'; '.join(listed)}. {ranks.idxmin()} is first."


def on_tests(results: Results) -> str:
    methods, distance = len(results.methods), critical_difference(len(results.methods), len(results.problems))
    sentences = []
    for score, words in (("average_precision", "average precision"), ("log_loss", "log loss")):
        chance = friedmanchisquare(*results.ranks(score).to_numpy().T).pvalue
        ranks = results.mean_ranks(score).to_numpy()
        apart = np.count_nonzero(np.abs(np.subtract.outer(ranks, ranks)) >= distance) // 2
        sentences.append(f"{words} p = {chance:.2g}, and {apart} of {math.comb(methods, 2)} pairs are")
    return (
        "Whether all methods are alike (Friedman), and how many pairs of mean ranks are the "
        f"{distance:.1f} apart that Nemenyi's test asks for: {'; '.join(sentences)}."
    )


def on_focal(results: Results, pair: Pair) -> str:
    gain = results.gain(pair.first).sort_values()
    effect = "helps" if pair.gain > 0 else "hurts"
    judgement = effect if pair.chance < SURE else "makes no difference beyond chance"
    parts = {"gains": gain[gain > 0][::-1][:3], "loses": gain[gain < 0][:3]}
    listed = "".join(
        f"; it {verb} most on " + ", ".join(f"{name} ({value:+.3f})" for name, value in part.items())
        for verb, part in parts.items()
        if len(part)
    )
    return (
        f"{pair.first} {judgement} in average precision against {pair.second}: {pair.gain:+.3f} in the mean, better on "
        f"{pair.wins} of {len(gain)} data sets (p = {pair.chance:.2g}){listed}. "
        f"Its log loss is {pair.log_loss:.3f} times logistic's (p = {pair.chance_of_log_loss:.2g})."
    )


def on_when(results: Results) -> str:
    """Whether the gain goes with the share or number of positives, or with how hard a data set is."""
    names = results.with_logistic(ours=True, focal=True)
    gains = pd.DataFrame({name: results.gain(name) for name in names})
    precision = results.of("average_precision")
    causes = {
        "the share of positives": [problem.y.mean() for problem in results.problems],
        "their number": [problem.y.sum() for problem in results.problems],
        "logistic loss's own average precision": precision[[results.logistic(name) for name in names]].mean(axis=1),
    }
    tests = {cause: spearmanr(gains.mean(axis=1), values) for cause, values in causes.items()}
    sure = [f"goes with {cause}" for cause, test in tests.items() if test.pvalue < SURE]
    numbers = ", ".join(f"{cause} {test.statistic:+.2f} (p = {test.pvalue:.2g})" for cause, test in tests.items())
    helped = "; ".join(gains.index[(gains > 0).all(axis=1)]) or "none"
    hurt = "; ".join(gains.index[(gains < 0).all(axis=1)]) or "none"
    return (
        f"When focal loss helps ({', '.join(names)}): data sets on which each is above logistic loss: {helped}; below: "
        f"{hurt}. Its gain {' and '.join(sure) or 'goes with nothing that was looked at, beyond chance'}; rank "
        f"correlations: {numbers}."
    )


def on_probabilities(results: Results) -> Iterator[str]:
    groups = {
        "Ours": results.with_logistic(ours=True),
        "competitors' focal losses, as the packages return them": results.with_logistic(ours=False, focal=True),
        "weights of the engines": [n for n in results.with_logistic(ours=False) if not METHODS[n].focal],
    }
    listed = [
        f"{whose}: " + ", ".join(f"{name} {results.log_loss_ratio(name):.2f}" for name in names)
        for whose, names in groups.items()
        if names
    ]
    if listed:
        yield f"Log loss of the probabilities, in units of logistic loss's on the same engine. {'; '.join(listed)}."


# ---- targets ----


def targets(results: Results) -> Iterator[str]:
    mean, ratios = results.of("log_loss").mean(), {}
    for name in results.with_logistic(ours=True):
        logistic = results.logistic(name)
        ratio = ratios[name] = results.log_loss_ratio(name)
        yield (
            f"{name}: log loss at most {LOG_LOSS_TARGET} times that of {logistic}: {ratio:.3f} "
            f"({mean[name] / mean[logistic]:.3f} by the arithmetic means), {verdict(ratio <= LOG_LOSS_TARGET)}."
        )
    if len(ratios) > 1:
        ratio = float(np.exp(np.mean(np.log(list(ratios.values())))))
        yield f"All of these together: {ratio:.3f}, {verdict(ratio <= LOG_LOSS_TARGET)}."
    theirs = results.focal(ours=False)
    if not theirs:
        return
    ranks = results.mean_ranks("average_precision")
    best = ranks[theirs].idxmin()
    chances = {(pair.first, pair.second): pair.chance for pair in results.pairs}
    for name in results.focal(ours=True):
        others = [rival for rival in theirs if METHODS[rival].engine == METHODS[name].engine and rival != best]
        others += [results.logistic(best)] if results.logistic(best) in ranks else []
        beside = "".join(f" {other} has {ranks[other]:.1f}." for other in others)
        yield (
            f"{name}: mean rank in average precision no worse than that of the best competitor's focal loss, {best}: "
            f"{ranks[name]:.1f} against {ranks[best]:.1f}, {verdict(ranks[name] <= ranks[best])} "
            f"(Wilcoxon's p = {chances[name, best]:.2g}).{beside}"
        )
