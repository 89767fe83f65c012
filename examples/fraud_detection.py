"""Find rare frauds with XGBoost and LightGBM: losses compared on data whose true probabilities are known.

    python examples/fraud_detection.py

simulates 200,000 card transactions, of which about 0.5 % are fraud, trains each engine with its own logistic
loss, with `scale_pos_weight`, and with three losses of gbm_focal, prints a table of scores on held-out rows, and
draws precision-recall and reliability curves to fraud_detection.png. Then it decides which transactions to stop: within
a team's budget, at a promised precision, and at the least cost in money. It takes less than a minute and no network.

On data of your own, a CSV file with or without a header, name the column of labels and the label to find:

    python examples/fraud_detection.py --csv transactions.csv --target is_fraud --positive yes
    python examples/fraud_detection.py --csv mammography.csv --target -1 --positive 1    # no header: column number

`--openml` downloads the credit card data of Dal Pozzolo et al. (2015): 284,807 transactions, 492 frauds.

Needs XGBoost, LightGBM, matplotlib, pandas and tqdm: pip install "gbm_focal[all]"
"""

from __future__ import annotations

import argparse
import csv
import time
import warnings
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import lightgbm
import numpy as np
import pandas as pd
import xgboost
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, rel_entr
from sklearn.datasets import fetch_openml
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, precision_recall_curve, roc_auc_score
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import gbm_focal.lightgbm
import gbm_focal.xgboost
from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalLoss, Loss
from gbm_focal.metrics import (
    cost_optimal_threshold,
    expected_cost,
    least_cost_threshold,
    precision_at_top,
    recall_at_alert_rate,
    recall_at_top,
    reliability_curve,
    threshold_at_precision,
)

Array = NDArray[Any]

SIMULATED_ROWS = 200_000
SIMULATED_FRAUD_RATE = 0.005
FEWEST_POSITIVES = 10  # with fewer, the test part would hold a single one or none
MOST_ROUNDS = 1000
PATIENCE = 50  # rounds without improvement on the validation part before training stops
LEARNING_RATE = 0.1
DEPTH = 3  # of XGBoost's trees; LightGBM grows by leaves and gets as many, 2**DEPTH
THREADS = 1  # rounds as short as these gain little from more, and lose much where other programs are running
ALERT_RATE = 0.01  # share of all rows that the fraud department has time to look at
PROMISED, CONFIDENCE = 0.5, 0.9  # at least every second alert right, unless the sample is one of the tenth that mislead
REVIEW = 5.0  # what an alert costs, right or wrong; a fraud that is missed costs its amount


@dataclass(frozen=True)
class Data:
    """Rows to learn from; `truth` is the true probability of each label 1 where it is known."""

    features: pd.DataFrame
    label: Array
    truth: Array | None = None

    def take(self, rows: Array) -> Data:
        """Return these rows, in this order."""
        truth = None if self.truth is None else self.truth[rows]
        return Data(self.features.iloc[rows], self.label[rows], truth)


class Split(NamedTuple):
    """Three parts of the rows: to train on, to stop on, to judge by."""

    training: Data
    validation: Data
    test: Data


@dataclass(frozen=True)
class Method:
    """One way to train, the same on both engines; without a loss it is the engine's own logistic loss."""

    name: str
    color: str  # of Okabe and Ito's palette, which colour-blind readers can tell apart
    marker: str
    loss: Loss | None = None
    weighted: bool = False  # weigh the positives with scale_pos_weight, so that both classes count the same


METHODS = [
    Method("built-in logistic", "#E69F00", "s"),
    Method("built-in scale_pos_weight", "#CC79A7", "v", weighted=True),
    Method("FocalLoss(gamma=2)", "#0072B2", "o", FocalLoss(gamma=2)),
    Method("AsymmetricLoss()", "#009E73", "^", AsymmetricLoss()),
    Method("BalancedCrossEntropy()", "#56B4E9", "D", BalancedCrossEntropy("balanced")),
]


class Fitted(NamedTuple):
    """What a trained model says about the test part."""

    probability: Array
    margin: Array
    rounds: int


@dataclass(frozen=True)
class Result:
    """One row of the table."""

    engine: str
    method: Method
    fitted: Fitted
    seconds: float


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser()
    options = parser.parse_args(argv)
    try:
        data = load(options)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    split = split_rows(data, options.seed)
    jobs = [(engine, method) for engine in ENGINES for method in METHODS]
    results = [fit(engine, method, split) for engine, method in tqdm(jobs, desc="training", unit="model")]
    print_report(results, split)
    print_decisions(next(result for result in results if result.method.loss is not None), split.test)
    draw(results, split.test, options.output)
    print(f"\nThe curves are in {options.output}")


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--csv", type=Path, metavar="FILE", help="learn from this file instead of the simulator")
    source.add_argument("--openml", action="store_true", help="learn from the credit card data, downloaded from OpenML")
    parser.add_argument("--target", metavar="COLUMN", help="column of the labels: its name, or its number from 0")
    parser.add_argument("--positive", metavar="LABEL", help="the label to find; all others are negative")
    parser.add_argument(
        "--rows", type=int, help=f"rows to simulate ({SIMULATED_ROWS}), or to draw from real data (all)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the simulator and of the splits (0)")
    parser.add_argument("--output", type=Path, default=Path("fraud_detection.png"), help="where to write the curves")
    return parser


# ---- data: simulated, or real ----


def load(options: argparse.Namespace) -> Data:
    if len({option is None for option in (options.csv, options.target, options.positive)}) > 1:
        raise ValueError("--csv FILE, --target COLUMN and --positive LABEL go together: give all three or none")
    if options.rows is not None and options.rows < 2 * FEWEST_POSITIVES:
        raise ValueError(f"--rows {options.rows} is too few: give {2 * FEWEST_POSITIVES} or more")
    if not options.output.parent.is_dir():
        raise ValueError(f"--output {options.output}: there is no folder {options.output.parent}")
    if options.csv is not None:
        data = drawn(read_csv(options.csv, options.target, options.positive), options.rows, options.seed)
    elif options.openml:
        data = drawn(download(), options.rows, options.seed)
    else:
        data = simulate(SIMULATED_ROWS if options.rows is None else options.rows, options.seed)
    positives = int(data.label.sum())
    if min(positives, len(data.label) - positives) < FEWEST_POSITIVES:
        raise ValueError(
            f"{positives} of the {len(data.label)} rows are positive: give {FEWEST_POSITIVES} or more of each class"
        )
    return data


def drawn(data: Data, rows: int | None, seed: int) -> Data:
    """Rows drawn at random, or all of them if no more than that were asked for."""
    total = len(data.label)
    if rows is None or rows >= total:
        return data
    return data.take(np.random.default_rng(seed).choice(total, rows, replace=False))


def simulate(rows: int, seed: int) -> Data:
    """Card transactions whose probability of fraud is a known function of the features."""
    random = np.random.default_rng(seed)
    kinds = pd.DataFrame(
        [
            ("grocery", 0.28, 0.0, 0.85, -0.8),
            ("fuel", 0.14, 0.3, 0.85, -0.4),
            ("restaurant", 0.18, 0.1, 0.85, -0.9),
            ("clothing", 0.14, 0.5, 0.85, 0.0),
            ("travel", 0.08, 1.4, 0.3, 0.3),
            ("electronics", 0.08, 1.2, 0.3, 1.0),
            ("games", 0.07, -0.6, 0.3, 0.7),
            ("gift cards", 0.03, 0.2, 0.3, 1.8),
        ],
        columns=["name", "share", "log_price", "share_in_person", "log_odds"],
    )
    merchant = random.choice(len(kinds), rows, p=kinds["share"])
    price_level, share_in_person, risk = kinds[["log_price", "share_in_person", "log_odds"]].to_numpy()[merchant].T
    travel = kinds["name"].to_numpy()[merchant] == "travel"

    usual_amount = random.lognormal(3.3, 0.5, rows)
    amount = usual_amount * random.lognormal(price_level, 0.8)
    hour = random.normal(15, 5, rows) % 24
    last_hour = random.poisson(random.gamma(0.5, 0.8, rows))
    last_day = last_hour + random.poisson(random.gamma(1.5, 2.0, rows))
    foreign = random.random(rows) < np.where(travel, 0.3, 0.04)
    kilometres = random.lognormal(1.5, 1.3, rows) + foreign * random.lognormal(7.0, 0.7, rows)
    present = random.random(rows) < share_in_person
    account_days = random.exponential(900, rows)

    # Log-odds of fraud. A thief spends more than the owner does, above all online and at night; tests a stolen
    # number with a burst of small payments; or uses a stolen card far from the owner's home.
    excess = np.logaddexp(0, 2 * (np.log(amount / usual_amount) - price_level)) / 2
    night = expit(2 * np.abs((hour - 15.5 + 12) % 24 - 12) - 18) * 2
    burst = np.tanh(last_hour / 2) * np.where(amount < 15, 3.0, 1.2)
    distance = np.log1p(kilometres / 30)
    log_odds = 1.6 * (
        risk
        + excess * np.where(present, 0.6, 2.2)
        + night * (0.6 + 0.6 * excess)
        + burst * np.where(present, 0.5, 1.3)
        + distance * np.where(present & ~travel, 0.9, 0.2)
        + foreign * np.where(travel, -0.5, 0.8)
        + 1.5 * np.exp(-account_days / 60)
    )
    offset = brentq(lambda shift: expit(log_odds + shift).mean() - SIMULATED_FRAUD_RATE, -50, 50)
    truth = expit(log_odds + offset)

    features = pd.DataFrame(
        {
            "amount": amount,
            "usual_amount": usual_amount,
            "merchant": pd.Categorical.from_codes(merchant, kinds["name"]),
            "hour": hour,
            "weekday": random.integers(7, size=rows),  # noise, as are the last two
            "transactions_last_hour": last_hour,
            "transactions_last_day": last_day,
            "kilometres_from_home": kilometres,
            "foreign": foreign,
            "card_present": present,
            "account_days": account_days,
            "owner_age": random.normal(45, 15, rows).clip(18, 95),
            "merchant_rating": random.beta(5, 2, rows),
        }
    )
    return Data(features, (random.random(rows) < truth).astype(int), truth)


def download() -> Data:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # each retry warns; the error below says it once
            frame = fetch_openml("creditcard", version=1, as_frame=True, n_retries=1).frame
    except (OSError, HTTPException, ValueError) as error:
        raise ValueError(
            f"OpenML's data set 'creditcard' could not be downloaded ({error}): check the network, or give --csv"
        ) from error
    return Data(frame.drop(columns="Class").astype(float), (frame["Class"].astype(int) == 1).to_numpy(int))


def read_csv(path: Path, target: str, positive: str) -> Data:
    header = has_header(path, target)
    frame = pd.read_csv(path, header=0 if header else None, skipinitialspace=True, na_values="?")
    column = position_of(target, [str(name) for name in frame.columns])
    label = frame.iloc[:, column]
    if label.isna().any():
        raise ValueError(f"column {target} of {path} has no label in {label.isna().sum()} rows: fill or drop them")
    label = label.astype(str).map(unquoted)
    is_positive = (label == unquoted(positive)).to_numpy()
    if not is_positive.any():
        raise ValueError(f"no row has the label {positive!r} in column {target}; it holds {some_of(label.unique())}")
    features = frame.drop(columns=frame.columns[column])
    # Each engine refuses other characters in names; the names play no part here.
    features.columns = [f"feature_{number}" for number in range(features.shape[1])]
    for name, values in features.items():
        if not pd.api.types.is_numeric_dtype(values):
            features[name] = values.astype("category")
    return Data(features, is_positive.astype(int))


def has_header(path: Path, target: str) -> bool:
    """Whether the first line names the columns: it has the target among them, or words above numbers."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.reader(file, skipinitialspace=True)
        first, second = next(lines, []), next(lines, [])
    if target in first:
        return True
    return not any(map(is_number, first)) and any(map(is_number, second))


def position_of(target: str, names: list[str]) -> int:
    if target in names:
        return names.index(target)
    if target.lstrip("-").isdigit() and -len(names) <= int(target) < len(names):
        return int(target) % len(names)
    raise ValueError(f"there is no column {target!r}; the {len(names)} columns are {some_of(names)}")


def is_number(text: str) -> bool:
    try:
        float(unquoted(text))
    except ValueError:
        return False
    return True


def unquoted(text: str) -> str:
    return text.strip().strip("'\"")


def some_of(names: Any) -> str:
    shown = [repr(name) for name in names[:10]]
    return ", ".join(shown + ["..."] * (len(names) > len(shown)))


def split_rows(data: Data, seed: int) -> Split:
    """60 % to train, 20 % to stop, 20 % to test, each with the same share of positives."""
    rows = np.arange(len(data.label))
    rest, test = train_test_split(rows, test_size=0.2, stratify=data.label, random_state=seed)
    training, validation = train_test_split(rest, test_size=0.25, stratify=data.label[rest], random_state=seed)
    return Split(data.take(training), data.take(validation), data.take(test))


# ---- training ----


def fit(engine: str, method: Method, split: Split) -> Result:
    start = time.perf_counter()
    fitted = ENGINES[engine](split, method)
    return Result(engine, method, fitted, time.perf_counter() - start)


def fit_xgboost(split: Split, method: Method) -> Fitted:
    training, validation, test = (xgboost.DMatrix(part.features, part.label, enable_categorical=True) for part in split)
    parameters: dict[str, Any] = {"learning_rate": LEARNING_RATE, "max_depth": DEPTH, "nthread": THREADS}
    engine_arguments = {
        "num_boost_round": MOST_ROUNDS,
        "evals": [(validation, "validation")],
        "early_stopping_rounds": PATIENCE,
        "verbose_eval": False,
    }
    if method.loss is not None:
        booster = gbm_focal.xgboost.train(parameters, training, loss=method.loss, **engine_arguments)
        probability = gbm_focal.xgboost.predict_proba(booster, test)[:, 1]
    else:
        parameters |= {"objective": "binary:logistic", "eval_metric": "logloss"}
        if method.weighted:
            parameters |= {"scale_pos_weight": odds_of_negative(split.training), "eval_metric": "aucpr"}
        booster = xgboost.train(parameters, training, **engine_arguments)
        probability = booster.predict(test, iteration_range=(0, booster.best_iteration + 1))
    rounds = booster.best_iteration + 1
    return Fitted(probability, booster.predict(test, output_margin=True, iteration_range=(0, rounds)), rounds)


def fit_lightgbm(split: Split, method: Method) -> Fitted:
    training = lightgbm.Dataset(split.training.features, split.training.label)
    validation = training.create_valid(split.validation.features, split.validation.label)
    test = split.test.features
    parameters: dict[str, Any] = {
        "learning_rate": LEARNING_RATE,
        "num_leaves": 2**DEPTH,
        "num_threads": THREADS,
        "verbosity": -1,
    }
    engine_arguments = {
        "num_boost_round": MOST_ROUNDS,
        "valid_sets": [validation],
        "callbacks": [lightgbm.early_stopping(PATIENCE, verbose=False)],
    }
    if method.loss is not None:
        booster = gbm_focal.lightgbm.train(parameters, training, loss=method.loss, **engine_arguments)
        probability = gbm_focal.lightgbm.predict_proba(booster, test)[:, 1]
    else:
        parameters |= {"objective": "binary", "metric": "binary_logloss"}
        if method.weighted:
            parameters |= {"scale_pos_weight": odds_of_negative(split.training), "metric": "average_precision"}
        booster = lightgbm.train(parameters, training, **engine_arguments)
        probability = booster.predict(test)
    return Fitted(probability, booster.predict(test, raw_score=True), booster.best_iteration)


ENGINES = {"XGBoost": fit_xgboost, "LightGBM": fit_lightgbm}


def odds_of_negative(data: Data) -> float:
    return float(np.sum(data.label == 0) / np.sum(data.label == 1))


# ---- the table ----


def print_report(results: list[Result], split: Split) -> None:
    test = split.test
    base_rate = split.training.label.mean()
    rows = []
    if test.truth is not None:
        rows.append({"method": "truth"} | scores(test, test.truth))
    rows.append({"method": "base rate for all"} | scores(test, np.full(len(test.label), base_rate)))
    for result in results:
        row = {"engine": result.engine, "method": result.method.name} | scores(test, result.fitted.probability)
        if result.method.loss is not None:
            sigmoid = expit(result.fitted.margin.astype(float))
            row["log loss\nof sigmoid"] = f"{log_loss(test.label, sigmoid):.4f}"
        row |= {"seconds": f"{result.seconds:.1f}", "rounds": str(result.fitted.rounds)}
        rows.append(row)
    print(f"\nScores on {len(test.label)} held-out rows, {test.label.mean():.2%} of them positive\n")
    print_table(rows)
    print(HOW_TO_READ)


HOW_TO_READ = """
Average precision, ROC AUC and recall judge the order of the rows. Log loss and Brier score judge the probabilities,
whose mean should be the base rate; the gap to truth, 0 at best, is their mean Kullback-Leibler divergence from the
true ones, which only a simulator knows.
Log loss of sigmoid: the same model, if sigmoid(margin) is taken for a probability, as the engine's own predict does.
Under these losses it is none. predict_proba of gbm_focal turns the margin into one, without a second fit."""


def scores(test: Data, probability: Array) -> dict[str, str]:
    """Scores of predicted probabilities, as text under the headings of the table."""
    epsilon = np.finfo(np.float32).eps  # an engine may round to 0 or 1, where the log loss is infinite
    predicted = np.clip(probability.astype(float), epsilon, 1 - epsilon)
    row = {
        "average\nprecision": f"{average_precision_score(test.label, probability):.3f}",
        "ROC\nAUC": f"{roc_auc_score(test.label, probability):.3f}",
        "recall in\ntop 1 %": f"{recall_at_alert_rate(test.label, probability, alert_rate=ALERT_RATE):.3f}",
        "log\nloss": f"{log_loss(test.label, predicted):.4f}",
        "Brier\nscore": f"{brier_score_loss(test.label, predicted):.5f}",
        "mean\nprediction": f"{predicted.mean():.5f}",
    }
    if test.truth is not None:
        divergence = rel_entr(test.truth, predicted) + rel_entr(1 - test.truth, 1 - predicted)
        row["gap to\ntruth"] = f"{divergence.mean():.5f}"
    return row


def print_table(rows: list[dict[str, str]]) -> None:
    """Print cells under headings of one or two lines: words to the left, numbers to the right."""
    headings = list(max(rows, key=len))
    columns = []
    for heading in headings:
        upper, _, lower = heading.rpartition("\n")
        cells = [upper, lower] + [row.get(heading, "") for row in rows]
        width = max(map(len, cells))
        align = str.ljust if heading in ("engine", "method") else str.rjust
        columns.append([align(cell, width) for cell in cells])
    for line in zip(*columns, strict=True):
        print("  ".join(line).rstrip())


# ---- decisions ----


def print_decisions(result: Result, test: Data) -> None:
    """Choose thresholds on one half of the test part, and judge them on the other."""
    number = len(test.label) // 2
    known, later = test.take(np.arange(number)), test.take(np.arange(number, len(test.label)))
    before, after = result.fitted.probability[:number], result.fitted.probability[number:]
    print(f"\nDecisions by {result.engine} with {result.method.name}, on {len(later.label)} rows\n")

    budget = max(round(ALERT_RATE * len(later.label)), 1)
    precision, recall = (metric(later.label, after, budget) for metric in (precision_at_top, recall_at_top))
    print(f"Budget of {budget} alerts: {precision:.0%} of them are right, {recall:.0%} of the positives are found.")

    for confidence in (None, CONFIDENCE):
        name = "on past rows" if confidence is None else f"with {confidence:.0%} confidence"
        try:
            threshold = threshold_at_precision(known.label, before, PROMISED, confidence=confidence)
        except ValueError as error:
            print(f"Precision {PROMISED:.0%} {name}: {error}")
            continue
        alert = after >= threshold
        right = f"{later.label[alert].mean():.0%} of them are right" if alert.any() else "none"
        print(f"Precision {PROMISED:.0%} {name}: {alert.sum()} alerts, {right}.")

    if "amount" in test.features:
        print_costs(known, later, before, after)


def print_costs(known: Data, later: Data, before: Array, after: Array) -> None:
    """Cost of a threshold for each row, by its amount, beside the best one for all rows, and beside no alerts."""
    amounts = [part.features["amount"].to_numpy(float) for part in (known, later)]
    costs = [
        {"cost_false_negative": amount, "cost_false_positive": REVIEW, "cost_true_positive": REVIEW}
        for amount in amounts
    ]
    single = least_cost_threshold(known.label, before, **costs[0])
    of_rows = (after >= cost_optimal_threshold(**costs[1])).sum()  # no alert where the amount is less than a review
    print(f"\nCost of 1,000 rows, where an alert costs {REVIEW:g} and a missed fraud its amount:")
    print(f"  no alerts: {1000 * float((later.label * amounts[1]).mean()):.0f}")
    cost = 1000 * expected_cost(later.label, after, threshold=single, **costs[1])
    print(f"  one threshold for all, the best on past rows: {cost:.0f}, {(after >= single).sum()} alerts")
    cost = 1000 * expected_cost(later.label, after, **costs[1])
    print(f"  a threshold for each row, by its amount: {cost:.0f}, {of_rows} alerts")


# ---- the curves ----


def draw(results: list[Result], test: Data, path: Path) -> None:
    figure = Figure(figsize=(12, 9.5), dpi=100, layout="constrained")  # not pyplot: no window, no global state
    rows = figure.subplots(len(ENGINES), 2)
    for engine, (left, right) in zip(ENGINES, rows, strict=True):
        of_engine = [result for result in results if result.engine == engine]
        draw_precision_recall(left, of_engine, test)
        draw_reliability(right, of_engine, test)
        left.set_title(f"{engine}: precision and recall")
        right.set_title(f"{engine}: reliability")
    figure.legend(*rows[0, 1].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(path, format="png")


def draw_precision_recall(axes: Axes, results: list[Result], test: Data) -> None:
    # Steps, because on a straight line between two thresholds no threshold lies.
    if test.truth is not None:
        precision, recall, _ = precision_recall_curve(test.label, test.truth)
        axes.plot(recall, precision, color="black", linestyle="--", drawstyle="steps-post")
    for result in results:
        precision, recall, _ = precision_recall_curve(test.label, result.fitted.probability)
        axes.plot(recall, precision, color=result.method.color, drawstyle="steps-post")
    axes.set(xlabel="recall: share of the positives that are found", xlim=(0, 1))
    axes.set(ylabel="precision: share of the alerts that are right", ylim=(0, 1.02))
    axes.grid(alpha=0.3)


def draw_reliability(axes: Axes, results: list[Result], test: Data) -> None:
    axes.axline((0.1, 0.1), (1, 1), color="black", linestyle="--", label="true probabilities")
    bins = int(np.clip(test.label.sum() // 10, 2, 10))
    for result in results:
        curve = reliability_curve(test.label, result.fitted.probability, bins=bins, strategy="positives")
        method = result.method
        axes.plot(
            curve.predicted, curve.observed, color=method.color, marker=method.marker, markersize=6, label=method.name
        )
    lowest = 10 ** np.floor(np.log10(test.label.mean() / 50))
    axes.set(xlabel="mean predicted probability in the bin", xscale="log", xlim=(lowest, 1.3))
    axes.set(ylabel="observed share of positives in the bin", yscale="log", ylim=(lowest, 1.3))
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main()
