"""Forecast solar flares: the strongest class of the next day, and each class by itself.

    python examples/flare_forecast.py

simulates 30,000 active regions of the Sun, in the words of McIntosh's classification, and asks two questions of each:
which class is its strongest flare of the next 24 hours (none, C, M or X: one of several classes), and will there be
flares of class C, of class M, of class X (several labels a region). X flares come from one region in fifty. It compares
cross-entropy with losses of gbm_focal, prints recall, the true skill statistic and the Heidke skill score of each
class on held-out regions, and draws the skill and the reliability to flare_forecast.png.

On the Solar Flare data of UCI (Bradshaw, 1989), in KEEL's format or from OpenML:

    python examples/flare_forecast.py --csv flare-full.dat
    python examples/flare_forecast.py --openml

`--engine lightgbm` trains LightGBM instead of XGBoost. Needs: pip install "gbm_focal[all]"
"""

from __future__ import annotations

import argparse
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import lightgbm
import numpy as np
import pandas as pd
import xgboost
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.datasets import fetch_openml
from sklearn.metrics import recall_score
from sklearn.model_selection import StratifiedKFold
from tqdm import tqdm

from gbm_focal import AsymmetricLoss, FocalClassifier, FocalLoss, Loss
from gbm_focal.metrics import heidke_skill_score, reliability_curve, true_skill_score

Array = NDArray[Any]

FLARES = ("C", "M", "X")
FEWEST_FLARES = 10  # a class that fewer regions have is joined with the one below it
FOLDS = 5
COLORS = ("#E69F00", "#56B4E9", "#0072B2", "#009E73")  # of Okabe and Ito's palette


class Regions(NamedTuple):
    """What is known of the regions, and whether each has flares of class C, M and X in the next day."""

    features: pd.DataFrame
    flares: Array  # (n, 3), of 0 and 1


class Method(NamedTuple):
    """A loss, and whether a class is forecast where its probability exceeds its share of the training regions."""

    name: str
    loss: Loss
    at_base_rate: bool = False


def methods(balanced: Loss) -> list[Method]:
    return [
        Method("cross-entropy", FocalLoss(0)),
        Method("cross-entropy, threshold at base rate", FocalLoss(0), at_base_rate=True),
        Method("FocalLoss(2, 'balanced')", FocalLoss(2, "balanced")),
        Method(repr(balanced), balanced),
    ]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--csv", type=Path, metavar="FILE", help="UCI's Solar Flare data in KEEL's format")
    source.add_argument("--openml", action="store_true", help="the same data, downloaded from OpenML")
    parser.add_argument("--rows", type=int, default=30_000, help="regions to simulate (30,000)")
    parser.add_argument("--engine", choices=ENGINES, default="xgboost")
    parser.add_argument("--rounds", type=int, default=100, help="boosting rounds (100)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("flare_forecast.png"), help="where to write the pictures")
    options = parser.parse_args(argv)
    try:
        regions = load(options)
    except (OSError, ValueError) as error:
        parser.error(str(error))

    strongest, names = strongest_class(regions.flares)
    several = regions.flares[:, regions.flares.sum(axis=0) >= FEWEST_FLARES]
    labels = FLARES[: several.shape[1]]
    questions = {
        "strongest flare (classes)": (strongest, names, methods(AsymmetricLoss(alpha="balanced"))),
        "flares of each class (labels)": (several, labels, methods(AsymmetricLoss(1, 2, 0.01, alpha="balanced"))),
    }
    jobs = [(question, method) for question, (_, _, methods) in questions.items() for method in methods]
    forecasts = {
        (question, method.name): cross_validated(regions.features, questions[question][0], method, options)
        for question, method in tqdm(jobs, desc="training", unit="method")
    }
    print(f"\n{len(strongest)} regions, {FOLDS}-fold cross-validation, {options.engine}")
    for question, (truth, names, _) in questions.items():
        print_table(question, truth, names, {name: f for (q, name), f in forecasts.items() if q == question})
    print(HOW_TO_READ)
    draw(questions, forecasts, options.output)
    print(f"The pictures are in {options.output}")


# ---- data ----


def load(options: argparse.Namespace) -> Regions:
    if not options.output.parent.is_dir():
        raise ValueError(f"--output {options.output}: there is no folder {options.output.parent}")
    if options.csv is not None:
        return of_uci(read_keel(options.csv))
    if options.openml:
        try:
            return of_uci(fetch_openml("solar_flare", version=1, as_frame=True, n_retries=1).frame)
        except (OSError, HTTPException) as error:
            raise ValueError(f"OpenML could not be reached ({error}): check the network, or give --csv") from error
    if options.rows < 2000:
        raise ValueError(f"--rows {options.rows} is too few for X flares to occur: give 2000 or more")
    return simulate(options.rows, options.seed)


def simulate(rows: int, seed: int) -> Regions:
    """Active regions whose flares follow a Poisson process with a rate that their features determine."""
    random = np.random.default_rng(seed)
    area = random.lognormal(4.5, 1.1, rows)  # millionths of the solar hemisphere
    large = np.log(area / 90)
    zurich = np.array(list("ABCDEF"))[np.clip(np.round(2.2 + large + random.normal(0, 0.9, rows)), 0, 5).astype(int)]
    penumbra = np.array(list("xrshak"))[
        np.clip(np.round(2 + 1.2 * large + random.normal(0, 1, rows)), 0, 5).astype(int)
    ]
    compact = np.array(list("xoic"))[np.clip(np.round(1 + 0.7 * large + random.normal(0, 0.8, rows)), 0, 3).astype(int)]
    complexity = np.clip(np.round(0.8 + 0.7 * large + random.normal(0, 0.8, rows)), 0, 3)  # alpha to beta-gamma-delta
    growth = random.normal(0, 1, rows)
    longitude = random.uniform(-75, 75, rows)
    activity = 0.8 * large + 0.9 * complexity + 0.6 * (compact == "c") + 0.5 * np.maximum(growth, 0) * complexity
    activity = activity + 0.4 * (penumbra == "k") + random.normal(0, 0.4, rows)
    yesterday = random.poisson(np.exp(0.8 * (activity - 3.4)))
    rate = np.exp(0.9 * (activity - 3.6) + 0.25 * np.minimum(yesterday, 5))
    flares = random.poisson(rate[:, None] * np.array([1.0, 0.08, 0.006]) * np.exp(0.35 * (activity[:, None] - 2))) > 0
    features = pd.DataFrame(
        {
            "area": area,
            "zurich": pd.Categorical(zurich),
            "penumbra": pd.Categorical(penumbra),
            "compactness": pd.Categorical(compact),
            "magnetic_complexity": complexity,
            "growth": growth,
            "longitude": longitude,  # says nothing of the flares
            "flares_yesterday": yesterday,
        }
    )
    return Regions(features, flares.astype(int))


def read_keel(path: Path) -> pd.DataFrame:
    """Return the data after @data, with the names of the lines that begin with @attribute."""
    lines = path.read_text().splitlines()
    starts = [number for number, line in enumerate(lines) if line.strip().lower() == "@data"]
    if not starts:
        raise ValueError(f"{path} has no line @data: give a file in KEEL's format")
    header = [line.split() for line in lines[: starts[0]] if line.lower().startswith("@attribute")]
    rows = [[cell.strip() for cell in line.split(",")] for line in lines[starts[0] + 1 :] if line.strip()]
    return pd.DataFrame(rows, columns=[words[1] for words in header])


def of_uci(frame: pd.DataFrame) -> Regions:
    frame = frame.rename(columns=lambda name: str(name).replace("_class_flares", "-class").replace("_", "-"))
    counts = {flare: [name for name in frame if name.lower().startswith(f"{flare.lower()}-class")] for flare in FLARES}
    missing = [flare for flare, columns in counts.items() if len(columns) != 1]
    if missing:
        raise ValueError(f"there is no column {missing[0]}-class; the columns are {', '.join(frame.columns)}")
    flares = np.column_stack([frame[counts[flare][0]].astype(float) > 0 for flare in FLARES])
    features = frame.drop(columns=[columns[0] for columns in counts.values()])
    return Regions(features.astype("category"), flares.astype(int))


def strongest_class(flares: Array) -> tuple[Array, tuple[str, ...]]:
    """Return the number of the strongest class, from 0 for none, and the names; classes too rare are joined."""
    strongest = (flares * np.arange(1, 4)).max(axis=1)
    while np.bincount(strongest, minlength=2)[-1] < FEWEST_FLARES:
        strongest = np.minimum(strongest, strongest.max() - 1)
    names = ("none", *FLARES[: strongest.max()])
    return strongest, (*names[:-1], f"{names[-1]} or more") if len(names) < 4 else names


# ---- training ----


def xgboost_classifier(rounds: int) -> Any:
    return xgboost.XGBClassifier(n_estimators=rounds, learning_rate=0.1, max_depth=3, enable_categorical=True, n_jobs=1)


def lightgbm_classifier(rounds: int) -> Any:
    return lightgbm.LGBMClassifier(n_estimators=rounds, learning_rate=0.1, max_depth=3, n_jobs=1, verbosity=-1)


ENGINES = {"xgboost": xgboost_classifier, "lightgbm": lightgbm_classifier}


class Forecast(NamedTuple):
    """Forecasts of held-out regions, a column a class or label."""

    probability: Array
    yes: Array  # of 0 and 1


def cross_validated(features: pd.DataFrame, truth: Array, method: Method, options: argparse.Namespace) -> Forecast:
    columns = truth.shape[1] if truth.ndim == 2 else truth.max() + 1
    probability, yes = np.zeros((len(truth), columns)), np.zeros((len(truth), columns), int)
    strata = truth if truth.ndim == 1 else truth @ 2 ** np.arange(columns)
    rare = np.bincount(strata)[strata] < FOLDS
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=options.seed)
    for training, test in folds.split(features, np.where(rare, 0, strata)):
        classifier = FocalClassifier(ENGINES[options.engine](options.rounds), method.loss)
        classifier.fit(features.iloc[training], truth[training])
        probability[test] = classifier.predict_proba(features.iloc[test])
        if truth.ndim == 2:
            base_rate = truth[training].mean(axis=0)
            chosen = probability[test] > base_rate if method.at_base_rate else classifier.predict(features.iloc[test])
        else:
            base_rate = np.bincount(truth[training], minlength=columns) / len(training)
            weighted = probability[test] / base_rate if method.at_base_rate else None
            chosen = classifier.predict(features.iloc[test]) if weighted is None else weighted.argmax(axis=1)
            chosen = chosen[:, None] == np.arange(columns)
        yes[test] = chosen
    return Forecast(probability, yes)


# ---- scores ----


def indicators(truth: Array, columns: int) -> Array:
    return truth == 1 if truth.ndim == 2 else truth[:, None] == np.arange(columns)


def print_table(question: str, truth: Array, names: tuple[str, ...], forecasts: dict[str, Forecast]) -> None:
    print(f"\n{question}\n")
    print(f"{'':10}{'regions':>8}  {'method':58}{'recall':>8}{'false alarms':>14}{'TSS':>8}{'HSS':>8}")
    for column, name in enumerate(names):
        positive = indicators(truth, len(names))[:, column]
        for number, (method, forecast) in enumerate(forecasts.items()):
            yes = forecast.yes[:, column] == 1
            recall, tss, hss = (score(positive, yes) for score in (recall_score, true_skill_score, heidke_skill_score))
            begin = f"{name:10}{positive.sum():8d}" if number == 0 else " " * 18
            numbers = f"{recall:8.2f}{recall - tss:14.3f}{tss:8.2f}{hss:8.2f}"
            print(f"{begin}  {method:58}{numbers}")


HOW_TO_READ = """
TSS, recall minus false alarm rate, asks for as many flares as possible, however many alarms that takes; HSS counts
a false alarm like a missed flare. Cross-entropy decides for the likeliest class and misses most of the rare flares;
balanced losses, and cross-entropy with a threshold at the base rate, forecast a flare where it is likelier than usual.
Here the threshold does as much as the loss. The probabilities stay honest under every loss: see the reliability in
the picture.
"""


def draw(questions: dict[str, Any], forecasts: dict[tuple[str, str], Forecast], path: Path) -> None:
    figure = Figure(figsize=(12, 9), dpi=100, layout="constrained")
    for row, (question, (truth, names, of_question)) in zip(figure.subplots(2, 2), questions.items(), strict=True):
        positive = indicators(truth, len(names))
        for number, (method, color) in enumerate(zip(of_question, COLORS, strict=True)):
            forecast = forecasts[question, method.name]
            scores = [true_skill_score(positive[:, k], forecast.yes[:, k] == 1) for k in range(len(names))]
            row[0].bar(np.arange(len(names)) + 0.2 * (number - 1.5), scores, 0.2, color=color, label=method.name)
            if not method.at_base_rate:
                rarest = len(names) - 1
                probability = forecast.probability[:, rarest]
                curve = reliability_curve(positive[:, rarest], probability, bins=6, strategy="positives")
                row[1].plot(curve.predicted, curve.observed, "o-", color=color)
        row[0].set(
            title=question, ylabel="true skill statistic", xticks=range(len(names)), xticklabels=names, ylim=(0, 1.3)
        )
        row[0].legend(loc="upper left", fontsize=8)
        row[0].grid(axis="y", alpha=0.3)
        row[1].axline((0.1, 0.1), (1, 1), color="black", linestyle="--")
        row[1].set(title=f"reliability of class {names[-1]}", xlabel="mean forecast", xscale="log", yscale="log")
        row[1].set(ylabel="observed share")
        row[1].grid(alpha=0.3)
    figure.savefig(path, format="png")


if __name__ == "__main__":
    main()
