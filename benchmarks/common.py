"""What the benchmarks share: simulated data, times, memory, rows that outlive a run, tests, and tables in results/."""

from __future__ import annotations

import csv
import datetime
import gc
import itertools
import multiprocessing
import os
import pathlib
import platform
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from importlib import metadata
from typing import Any, TypeVar

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, xlog1py, xlogy
from scipy.stats import wilcoxon

RESULTS = pathlib.Path(__file__).parent / "results"
MEMORY_TARGET = 12  # bytes a row that training may take beyond the engine's own

Job = TypeVar("Job")
Result = TypeVar("Result")


def simulate(
    rows: int, features: int, base_rate: float, strength: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (float32, standard normal), labels (float32) and the true probabilities of label 1.

    Six features carry the signal, which `strength` multiplies: two linearly, two by their product, one by a sine,
    one by a threshold. The others are noise.
    """

    def signal(x: np.ndarray) -> np.ndarray:
        return strength * (x[:, 0] + x[:, 1] + x[:, 2] * x[:, 3] + np.sin(2 * x[:, 4]) + (x[:, 5] > 1))

    population = signal(np.random.default_rng(2**20).normal(size=(1_000_000, 6)))
    constant = brentq(lambda c: expit(c + population).mean() / base_rate - 1, -100, 100)
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, features)).astype(np.float32)
    probability = expit(constant + signal(X))
    return X, (random.random(rows) < probability).astype(np.float32), probability


def interleaved(
    functions: Mapping[str, Callable[[], Any]], rounds: int, *, warm: bool = False
) -> dict[str, list[float]]:
    """Seconds of each function in each round: all are called in turn, so that they share the machine's moods.

    With `warm` an untimed call of the same function goes before each timed one. It matters for calls of
    milliseconds: one that allocates 8 MB took 13 ms, not 6, after another function had given its memory back.
    """
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            if warm:
                function()
            start = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - start)
    return times


def median_ratio(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    """Median over the rounds of the ratio within a round."""
    return float(np.median(np.divide(numerator, denominator)))


def peak_of(call: Callable[[], Any]) -> tuple[Any, int]:
    """Return the result of a call, and the bytes by which resident memory grows at its peak; needs Linux."""
    gc.collect()
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak, VmHWM, starts again from here
    before = resident("VmRSS")
    result = call()
    return result, resident("VmHWM") - before


def resident(field: str) -> int:
    """Bytes in a field of this process's status, as Linux keeps it."""
    status = dict(line.split(":") for line in pathlib.Path("/proc/self/status").read_text().splitlines() if ":" in line)
    return 1024 * int(status[field].split()[0])


class Store:
    """The rows of a CSV file, each written at once and whole, so that an interrupted run goes on where it was.

    `key` names the columns that tell rows apart.
    """

    def __init__(self, path: pathlib.Path, key: Sequence[str], columns: Sequence[str]) -> None:
        self.path, self.key, self.columns = path, key, columns
        self.rows: dict[tuple[str, ...], dict[str, Any]] = {}
        if path.exists():
            text = path.read_text()
            if not text.endswith("\n"):  # the process was killed in the middle of a line
                text = text[: text.rfind("\n") + 1]
                path.write_text(text)
            if text and text.splitlines()[0] != ",".join(columns):
                raise ValueError(f"{path} has other columns than {', '.join(columns)}: move it away")
            for row in csv.DictReader(text.splitlines()):
                self.rows[tuple(row[name] for name in key)] = row
        if not self.rows:
            path.write_text(",".join(columns) + "\n")

    def append(self, row: Mapping[str, Any]) -> None:
        """Write a row that is finished."""
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self.columns, lineterminator="\n").writerow(row)
        self.rows[tuple(str(row[name]) for name in self.key)] = dict(row)


def computed(function: Callable[[Job], Result], jobs: Sequence[Job], processes: int) -> Iterator[Result]:
    """Results of a function as they come, by so many processes."""
    if processes == 1:
        yield from map(function, jobs)
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = iter(jobs)
        running = {pool.submit(function, job) for job in itertools.islice(waiting, 2 * processes)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            running |= {pool.submit(function, job) for job in itertools.islice(waiting, len(done))}
            yield from (future.result() for future in done)


def wilcoxon_p(differences: np.ndarray) -> float:
    return float(wilcoxon(differences).pvalue) if np.any(differences) else 1.0


def holm(chances: Sequence[float]) -> list[float]:
    """Correct p-values for how many they are, as Holm does."""
    corrected, largest = [1.0] * len(chances), 0.0
    for number, index in enumerate(np.argsort(chances)):
        largest = max(largest, min(1.0, (len(chances) - number) * chances[index]))
        corrected[index] = largest
    return corrected


def command_line(program: str, words: Sequence[str]) -> str:
    """Return the command that was given, with the last parts of paths: where they lie is nobody's concern."""
    return shlex.join(["python", program, *(pathlib.Path(word).name if os.sep in word else word for word in words)])


def score_by_truth(truth: np.ndarray, probability: np.ndarray) -> tuple[float, float]:
    """Return the log loss expected over labels of these true probabilities, and the mean prediction over theirs."""
    inside = np.clip(probability.astype(float), np.finfo(np.float32).tiny, 1 - np.finfo(np.float32).eps)
    return -float(np.mean(xlogy(truth, inside) + xlog1py(1 - truth, -inside))), float(probability.mean() / truth.mean())


def verdict(met: bool) -> str:
    """Whether a target is met, in the word of all tables."""
    return "met" if met else "missed"


def publish(
    name: str,
    title: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    notes: Sequence[str],
    *,
    write: bool,
    others: Sequence[str] = (),
) -> None:
    """Print a Markdown table with its notes, and write it to results/<name>.md; `others` are further packages."""
    lines = [f"# {title}", "", environment(*others), "", *markdown_table(header, rows)]
    lines += ["", *(f"- {note}" for note in notes), ""]
    text = "\n".join(lines)
    print(text)
    if write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.md").write_text(text)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table whose first column is words and all others numbers."""
    table = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return ["| " + " | ".join(row) + " |" for row in table]


def environment(*others: str) -> str:
    """One line: date, processor, and versions of everything that takes part; `others` are further packages."""
    packages = ("numpy", "xgboost", "lightgbm", "gbm_focal", "gbdtCBL", "imbalance-xgboost", *others)
    versions = [f"{package} {version(package)}" for package in packages if version(package)]
    return ", ".join([str(datetime.date.today()), processor(), f"Python {platform.python_version()}", *versions])


def version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def processor() -> str:
    try:
        information = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in information.splitlines() if line.startswith("model name")]
    return f"{models[0]} ({len(models)} cores)" if models else platform.machine()
