"""Whether promised thresholds hold: simulated scores whose true precision at each threshold is known.

    python benchmarks/promises.py

Each data set draws rows independently: a label with the base rate, and a score from a normal distribution for each
label, or, in the second population, from one that puts some negatives above nearly all positives, so that precision
first rises with the number of alerts and then falls. A threshold breaks its bound if the precision of the whole
population above it is lower. Beside `threshold_at_precision`, with a confidence of 0.9 and without, stand
scikit-learn's TunedThresholdClassifierCV, for the most recall among thresholds that meet the bound on the rows, and
MAPIE's BinaryClassificationController, which promises the same, with the settings that it comes with and with its fixed
sequence from the highest threshold; both on fewer data sets of up to 25,000 rows, because they are slower.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from common import publish, verdict, version
from scipy.special import expit, logit
from scipy.stats import binom, norm
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import make_scorer
from sklearn.model_selection import TunedThresholdClassifierCV

from gbm_focal.metrics import threshold_at_precision

CONFIDENCE = 0.9
FEW_ROWS = 25_000  # up to which the slow methods run
LEAST = 20  # data sets with a threshold that a share is worth printing of


class Population(NamedTuple):
    """Scores of negatives and positives, whose precision and recall at a threshold are known."""

    name: str
    base_rate: float
    mean: float  # of the positives
    bound: float
    wrong: float  # negatives at the top, as a share of the positives

    def draw(self, random: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Labels and scores of so many rows."""
        y = random.random(rows) < self.base_rate
        score = random.standard_normal(rows)
        score[y] += self.mean
        if self.wrong:
            top = np.flatnonzero(~y & (random.random(rows) < self._share_of_wrong))
            score[top] = self.mean + 3 + 0.5 * score[top]
        return y.astype(np.int64), score

    @property
    def _share_of_wrong(self) -> float:
        return self.wrong * self.base_rate / (1 - self.base_rate)

    def recall(self, threshold: float) -> float:
        """Share of the positives from a threshold on."""
        return float(norm.sf(threshold - self.mean))

    def precision(self, threshold: float) -> float:
        """Share of positives among all from a threshold on."""
        usual, wrong = norm.sf(threshold), norm.sf((threshold - self.mean - 3) / 0.5)
        false = usual * (1 - self._share_of_wrong) + wrong * self._share_of_wrong
        hits = self.base_rate * self.recall(threshold)
        return float(hits / (hits + (1 - self.base_rate) * false))

    def probability(self, score: np.ndarray) -> np.ndarray:
        """Return what a model would say that knows nothing of the wrong ones."""
        return expit(logit(self.base_rate) + self.mean * (score - self.mean / 2))

    def score(self, probability: float) -> float:
        """Score of which this is the probability."""
        return float((logit(probability) - logit(self.base_rate)) / self.mean + self.mean / 2)


POPULATIONS = [
    Population("precision rises with the score", 0.002, 3.5, 0.5, 0.0),
    Population("precision rises with the score", 0.05, 2.5, 0.7, 0.0),
    Population("the highest scores are wrong", 0.002, 3.5, 0.5, 0.08),
    Population("the highest scores are wrong", 0.05, 2.5, 0.7, 0.08),
]
POSITIVES = (50, 200, 1000)


# ---- methods: from labels and scores to a threshold, or None where there is none ----

Method = Callable[[Population, np.ndarray, np.ndarray], float | None]


def promised(population: Population, y: np.ndarray, score: np.ndarray) -> float | None:
    try:
        return threshold_at_precision(y, score, population.bound, confidence=CONFIDENCE)
    except ValueError:
        return None


def on_the_rows(population: Population, y: np.ndarray, score: np.ndarray) -> float | None:
    try:
        return threshold_at_precision(y, score, population.bound)
    except ValueError:
        return None


class Given(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose only feature is the probability."""

    def __init__(self, classes_: tuple[int, int] = (0, 1)) -> None:
        self.classes_ = np.array(classes_)

    def fit(self, X: np.ndarray, y: np.ndarray) -> Given:
        """Nothing is learned."""
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Both columns."""
        return np.column_stack([1 - X[:, 0], X[:, 0]])


def tuned(population: Population, y: np.ndarray, score: np.ndarray) -> float | None:
    def recall_within_bound(y_true: np.ndarray, alert: np.ndarray) -> float:
        hits, alerts = np.sum(y_true & alert), np.sum(alert)
        return float(hits / np.sum(y_true)) if alerts and hits >= population.bound * alerts else -1.0

    classifier = TunedThresholdClassifierCV(Given(), scoring=make_scorer(recall_within_bound), cv="prefit", refit=False)
    classifier.fit(population.probability(score)[:, np.newaxis], y)
    return population.score(classifier.best_threshold_) if classifier.best_score_ > 0 else None


def of_mapie(procedure: str, thresholds: np.ndarray) -> Method:
    def method(population: Population, y: np.ndarray, score: np.ndarray) -> float | None:
        from mapie.risk_control import BinaryClassificationController

        controller = BinaryClassificationController(
            Given().predict_proba,
            risk="precision",
            target_level=population.bound,
            confidence_level=CONFIDENCE,
            best_predict_param_choice="recall",
            list_predict_params=thresholds,
            fwer_method=procedure,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one says that there is no threshold
            controller.calibrate(population.probability(score)[:, np.newaxis], y)
        best = controller.best_predict_param
        return None if best is None else population.score(float(best))

    return method


METHODS: dict[str, Method] = {
    "threshold_at_precision, confidence 0.9": promised,
    "threshold_at_precision": on_the_rows,
    "TunedThresholdClassifierCV": tuned,
    "MAPIE": of_mapie("bonferroni_holm", np.linspace(0, 0.99, 100)),
    "MAPIE, fixed sequence": of_mapie("fixed_sequence", np.linspace(0.99, 0, 100)),
}
OURS, UNSAFE, *SLOW = METHODS


# ---- the table ----


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=2000, help="data sets of each kind")
    parser.add_argument("--few", type=int, default=200, help="data sets for the slow methods")
    parser.add_argument("--quick", action="store_true", help="a tenth of both; print only, keep the written results")
    arguments = parser.parse_args()
    sets, few = (number // 10 if arguments.quick else number for number in (arguments.sets, arguments.few))
    methods = [name for name in METHODS if version("mapie") or not name.startswith("MAPIE")]

    table, met = [], []
    for kind, population in enumerate(POPULATIONS):
        for positives in POSITIVES:
            rows = round(positives / population.base_rate)
            start = time.perf_counter()
            found = thresholds(population, rows, sets, few, methods, seed=(kind, positives))
            for name, of_sets in found.items():
                table.append([f"{population.name}, {population.base_rate:.1%}", str(positives), name])
                table[-1] += cells(population, of_sets, found[UNSAFE])
            broken = sum(breaks(population, threshold) for threshold in found[OURS])
            met.append(broken <= binom.ppf(0.975, sets, 1 - CONFIDENCE))
            print(
                population.name,
                population.base_rate,
                positives,
                f"{time.perf_counter() - start:.0f} s",
                file=sys.stderr,
            )
    notes = [
        f"Bounds: precision {POPULATIONS[0].bound} at the base rate of {POPULATIONS[0].base_rate:.1%}, "
        f"{POPULATIONS[1].bound} at {POPULATIONS[1].base_rate:.0%}. Positives: the expected number in a data set.",
        "Broken: share of the data sets whose threshold has a lower precision in the population. Refused: without a "
        "threshold. Recall in the population, mean over the data sets with a threshold; in the last column in units of "
        "what threshold_at_precision without a confidence reaches on the same data sets.",
        f"Target: broken in at most {1 - CONFIDENCE:.0%}, within the binomial error of {sets:,} data sets (the 97.5 % "
        f"quantile is {binom.ppf(0.975, sets, 1 - CONFIDENCE) / sets:.1%}), in each of {len(met)} cases: "
        f"{verdict(all(met))}.",
    ]
    header = [
        "population and base rate",
        "positives",
        "method",
        "data sets",
        "refused",
        "broken",
        "recall",
        "of that without confidence",
    ]
    publish("promises", "Promised precision", header, table, notes, write=not arguments.quick)


def thresholds(
    population: Population, rows: int, sets: int, few: int, methods: list[str], seed: tuple[int, int]
) -> dict[str, list[float | None]]:
    """Of each method the threshold of each data set."""
    found: dict[str, list[float | None]] = {name: [] for name in methods if name not in SLOW or rows <= FEW_ROWS}
    for number in range(sets):
        y, score = population.draw(np.random.default_rng((*seed, number)), rows)
        for name, of_sets in found.items():
            if name not in SLOW or number < few:
                of_sets.append(METHODS[name](population, y, score))
    return found


def breaks(population: Population, threshold: float | None) -> bool:
    return threshold is not None and population.precision(threshold) < population.bound


def cells(population: Population, found: list[float | None], unsafe: list[float | None]) -> list[str]:
    pairs = [(a, b) for a, b in zip(found, unsafe, strict=False) if a is not None and b is not None]
    recall = np.mean([population.recall(a) for a, _ in pairs]) if pairs else np.nan
    of_unsafe = np.mean([population.recall(b) for _, b in pairs]) if pairs else np.nan
    worth_it = len(pairs) >= LEAST
    return [
        f"{len(found):,}",
        f"{np.mean([threshold is None for threshold in found]):.1%}",
        f"{np.mean([breaks(population, threshold) for threshold in found]):.1%}",
        f"{recall:.2f}" if worth_it else "",
        f"{recall / of_unsafe:.2f}" if worth_it else "",
    ]


if __name__ == "__main__":
    main()
