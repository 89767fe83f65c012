"""The data sets: scikit-learn's made imbalanced, simulators, files, and OpenML's."""

from __future__ import annotations

import hashlib
import sys
import warnings
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from common import simulate
from numpy.typing import NDArray
from sklearn.datasets import fetch_openml, load_breast_cancer, load_diabetes, load_digits
from sklearn.model_selection import train_test_split

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))
import flare_forecast
import fraud_detection

Array = NDArray[Any]

LABEL = "positive"  # the column of labels in .parquet files, and in others that have it; else it is the last one


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


def drawn(problem: Problem, rows: int, seed: int) -> Problem:
    """At most so many rows, with the same share of positives."""
    if len(problem.y) <= rows:
        return problem
    chosen, _ = train_test_split(np.arange(len(problem.y)), train_size=rows, stratify=problem.y, random_state=seed)
    return problem.take(chosen)


def built_in(rows: int, seed: int) -> dict[str, Callable[[], Problem]]:
    """Functions that make the data sets for which no file is needed, by name."""
    makers = {
        "breast cancer": lambda: thinned(load_breast_cancer, lambda target: target == 0, 0.08, seed),
        "digits": lambda: thinned(load_digits, lambda target: target == 8, 0.03, seed),
        "digits, odd": lambda: thinned(load_digits, lambda target: target % 2 == 1, 0.05, seed),
        "diabetes": fast_progress,
        "simulated 1 %": lambda: simulated(rows, 0.01, 3.0, 1.0, seed),
        "simulated 2 %": lambda: simulated(rows, 0.02, 1.0, 1.0, seed),
        "simulated 5 %": lambda: simulated(rows, 0.05, 1.5, 1.0, seed),
        "simulated 10 %": lambda: simulated(rows, 0.1, 0.7, 1.0, seed),
        "simulated, 30 % unnoticed": lambda: simulated(rows, 0.05, 3.0, 0.7, seed),
        "simulated fraud": lambda: simulated_fraud(rows, seed),
    }
    return {name: lambda name=name, make=make: make()._replace(name=name) for name, make in makers.items()}


def fast_progress() -> Problem:
    """Patients whose diabetes progressed fastest, one in ten."""
    data = load_diabetes()
    fast = data.target > np.quantile(data.target, 0.9)
    return Problem("", data.data.astype(np.float32), fast.astype(int))


def thinned(load: Callable[[], Any], is_positive: Callable[[Array], Array], share: float, seed: int) -> Problem:
    """All negatives, and as many positives, drawn at random, as make this share of the rows."""
    data = load()
    positive = is_positive(data.target)
    negatives = np.flatnonzero(~positive)
    wanted = round(share / (1 - share) * len(negatives))
    random = np.random.default_rng(seed)
    rows = random.permutation(np.concatenate([negatives, random.choice(np.flatnonzero(positive), wanted, False)]))
    return Problem("", data.data[rows].astype(np.float32), positive[rows].astype(int))


def simulated(rows: int, base_rate: float, strength: float, noticed: float, seed: int) -> Problem:
    """Labels as known probabilities have it, of which only this share of the positives was noticed."""
    X, y, truth = simulate(rows, 20, base_rate, strength, seed)
    y = y * (np.random.default_rng([seed, 1]).random(rows) < noticed)
    return Problem("", X, y.astype(int), truth * noticed)


def simulated_fraud(rows: int, seed: int) -> Problem:
    """Transactions as in the fraud example, with one in six of the honest, so that 3 % are fraud."""
    share = 1 / 6
    data = fraud_detection.simulate(round(rows / share), seed)
    # A generator of its own: the simulator's would draw again what the merchants were drawn by.
    kept = (data.label == 1) | (np.random.default_rng([seed, 1]).random(len(data.label)) < share)
    truth = data.truth / (data.truth + (1 - data.truth) * share)
    problem = Problem("", as_numbers(data.features), data.label, truth)
    return drawn(problem.take(np.flatnonzero(kept)), rows, seed)


def files_of(folder: Path) -> list[Path]:
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".csv", ".dat", ".parquet"))
    if not paths:
        raise ValueError(f"{folder} holds no .csv, .dat or .parquet file: give --data a folder that does")
    return paths


def of_file(path: Path) -> Problem:
    if path.suffix.lower() == ".csv":
        header = 0 if fraud_detection.has_header(path, "") else None
        frame = pd.read_csv(path, header=header, skipinitialspace=True, na_values="?")
    elif path.suffix.lower() == ".parquet":
        frame = pd.read_parquet(path)
        if LABEL not in frame.columns:
            raise ValueError(f"{path.name} has no column {LABEL!r} of labels: name it so")
    else:
        frame = flare_forecast.read_keel(path)
        if {"C-class", "M-class", "X-class"} <= set(frame.columns):
            regions = flare_forecast.of_uci(frame)
            return Problem(path.stem, as_numbers(regions.features), regions.flares[:, 1:].max(axis=1))
    label = LABEL if LABEL in frame.columns else frame.columns[-1]
    return rarest_found(path.stem, frame.drop(columns=label), frame[label])


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
