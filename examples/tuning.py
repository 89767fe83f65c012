"""Search gamma and alpha of the focal loss in stages, as practitioners do, and see whether that beats chance.

    python examples/tuning.py

The recipe: take gamma = 2 and search alpha; then keep that alpha and search gamma from 0.5 to 5. Where positives are
very rare, a larger gamma first, then alpha. Keep the learning rate small, because samples change between hard and easy
while the trees grow. Each stage is a search by Optuna that gives up trials which fall behind. A random search over both
at once, with as many trials, is what the recipe has to beat.

Each seed simulates other card transactions (those of fraud_detection.py, 0.5 % fraud). Trials are chosen by the average
precision on a validation part, on which training also stops, and the best is judged by that on 100,000 more. It takes
about two minutes of processor time, which two processes share; `--engine lightgbm` trains LightGBM instead of XGBoost.
docs/tuning.md tells what came out. Needs: pip install "gbm_focal[all,tune]"
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import lightgbm
import numpy as np
import xgboost
from fraud_detection import THREADS, Split, simulate
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, log_loss
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import gbm_focal.lightgbm
import gbm_focal.xgboost
from gbm_focal import FocalLoss, Loss

try:
    import optuna
    from optuna_integration import LightGBMPruningCallback, XGBoostPruningCallback
except ImportError as error:
    raise SystemExit("this example needs Optuna: pip install 'gbm_focal[tune]'") from error

SCORE = "average_precision"
GAMMAS = (0.5, 5.0)
LARGE_GAMMAS = (2.0, 5.0)  # for very rare positives
RATIOS = (0.1, 300.0)  # of alpha / (1 - alpha), what a positive counts in negatives; 1 is alpha = None
LEARNING_RATE = 0.1
UNTUNED = {  # gamma and learning rate
    "cross-entropy": (0.0, LEARNING_RATE),
    "FocalLoss(2)": (2.0, LEARNING_RATE),
    "FocalLoss(2), rate 0.3": (2.0, 0.3),
}
MOST_ROUNDS = 300
TEST_ROWS = 100_000  # many, because the searches differ by little
PATIENCE = 20  # rounds without improvement on the validation part before training stops


class Stage(NamedTuple):
    """Some trials in which one parameter may be fixed: to a number, or, as None, to that of the best trial so far."""

    gammas: tuple[float, float]
    fixed: dict[str, float | None]


SEARCHES = {
    "alpha first": [Stage(GAMMAS, {"gamma": 2.0}), Stage(GAMMAS, {"ratio": None})],
    "large gamma first": [Stage(LARGE_GAMMAS, {"ratio": 1.0}), Stage(LARGE_GAMMAS, {"gamma": None})],
    "random search": [Stage(GAMMAS, {})],
}


class Outcome(NamedTuple):
    """The chosen trial of a search, judged on the test part."""

    precision: float
    log_loss: float
    gamma: float
    ratio: float
    rounds: int  # of all trials together


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000, help="transactions to learn from, each seed (20,000)")
    parser.add_argument("--trials", type=int, default=8, help="trials of each search (8)")
    parser.add_argument("--seeds", type=int, default=5, help="how often all is repeated (5)")
    parser.add_argument("--engine", choices=ENGINES, default="xgboost")
    parser.add_argument("--jobs", type=int, default=2, help="processes, of one thread each (2)")
    options = parser.parse_args(argv)
    if options.trials < 4 or options.seeds < 2 or options.rows < 5000:
        parser.error("give 4 or more --trials, 2 or more --seeds and 5000 or more --rows")
    names = [*UNTUNED, *SEARCHES]
    jobs = [(name, seed) for seed in range(options.seeds) for name in names]
    found = Parallel(options.jobs, return_as="generator")(delayed(outcome_of)(*job, options) for job in jobs)
    outcomes: dict[str, list[Outcome]] = {name: [] for name in names}
    with tqdm(found, total=len(jobs), desc="tuning", unit="search", disable=None) as bar:
        for (name, _), outcome in zip(jobs, bar, strict=True):
            outcomes[name].append(outcome)
    report(outcomes, options)


def outcome_of(name: str, seed: int, options: argparse.Namespace) -> Outcome:
    engine = ENGINES[options.engine](split_of(options.rows, seed))
    if name in UNTUNED:
        gamma, learning_rate = UNTUNED[name]
        return engine.outcome_of(gamma, 1.0, learning_rate)
    return search(engine, SEARCHES[name], options.trials, seed)


def split_of(rows: int, seed: int) -> Split:
    data = simulate(rows + TEST_ROWS, seed)
    training, validation = train_test_split(
        np.arange(rows), test_size=0.4, stratify=data.label[:rows], random_state=seed
    )
    return Split(*(data.take(part) for part in (training, validation, np.arange(rows, rows + TEST_ROWS))))


# ---- the search ----


def search(engine: Engine, stages: list[Stage], trials: int, seed: int) -> Outcome:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=15)
    study = optuna.create_study(direction=engine.direction, pruner=pruner)
    study.enqueue_trial({"gamma": 2.0, "ratio": 1.0})  # where every search starts
    for number, stage in enumerate(stages):
        study.sampler = sampler_of(stage, study, seed)
        study.optimize(
            lambda trial, stage=stage: engine.value_of(trial, stage),
            n_trials=trials // len(stages) + (number < trials % len(stages)),
        )
    best = study.best_trial
    rounds = sum((trial.last_step or 0) + 1 for trial in study.trials)
    outcome = engine.outcome_of(best.params["gamma"], best.params["ratio"], LEARNING_RATE)
    return outcome._replace(rounds=rounds)


def sampler_of(stage: Stage, study: optuna.Study, seed: int) -> optuna.samplers.BaseSampler:
    if not stage.fixed:
        return optuna.samplers.RandomSampler(seed=seed)
    fixed = {name: study.best_params[name] if value is None else value for name, value in stage.fixed.items()}
    sampler = optuna.samplers.TPESampler(n_startup_trials=3, seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.PartialFixedSampler(fixed, sampler)


# ---- training ----


class Engine:
    """Trains on a split, with the pruning callback of one of the engines."""

    direction: str  # in which the engine's own evaluation looks for the best; pruning must look the same way

    def __init__(self, split: Split) -> None:
        self.split = split

    def value_of(self, trial: optuna.Trial, stage: Stage) -> float:
        """Train with the parameters that a trial suggests."""
        gamma = trial.suggest_float("gamma", *stage.gammas)
        ratio = trial.suggest_float("ratio", *RATIOS, log=True)
        return self.train(loss_of(gamma, ratio), LEARNING_RATE, trial)[1]

    def outcome_of(self, gamma: float, ratio: float, learning_rate: float) -> Outcome:
        """Train without a trial, and judge on the test part."""
        booster, _, rounds = self.train(loss_of(gamma, ratio), learning_rate, None)
        probability, label = self.test_probability(booster), self.split.test.label
        return Outcome(average_precision_score(label, probability), log_loss(label, probability), gamma, ratio, rounds)

    def train(self, loss: Loss, learning_rate: float, trial: optuna.Trial | None) -> tuple[Any, float, int]:
        """Return the booster, the best value of the engine's metric on the validation part, and the rounds."""
        raise NotImplementedError

    def test_probability(self, booster: Any) -> NDArray[np.float64]:
        """Probabilities of fraud in the test part."""
        raise NotImplementedError


def loss_of(gamma: float, ratio: float) -> Loss:
    return FocalLoss(gamma, ratio / (1 + ratio))


class XGBoost(Engine):
    """It minimises, so its metric is the negative of the average precision."""

    direction = "minimize"

    def __init__(self, split: Split) -> None:
        super().__init__(split)
        self.data = [xgboost.DMatrix(part.features, part.label, enable_categorical=True) for part in split]

    def train(self, loss: Loss, learning_rate: float, trial: optuna.Trial | None) -> tuple[Any, float, int]:
        training, validation, _ = self.data
        metric = gbm_focal.xgboost.Metric(loss, SCORE)
        booster = gbm_focal.xgboost.train(
            {"learning_rate": learning_rate, "max_depth": 3, "nthread": THREADS},
            training,
            MOST_ROUNDS,
            loss=loss,
            evals=[(validation, "validation")],
            custom_metric=metric,
            early_stopping_rounds=PATIENCE,
            verbose_eval=False,
            callbacks=[XGBoostPruningCallback(trial, f"validation-{metric.__name__}")] if trial else None,
        )
        return booster, booster.best_score, booster.num_boosted_rounds()

    def test_probability(self, booster: Any) -> NDArray[np.float64]:
        return gbm_focal.xgboost.predict_proba(booster, self.data[2])[:, 1].astype(float)


class LightGBM(Engine):
    """It knows that of the average precision more is better."""

    direction = "maximize"

    def train(self, loss: Loss, learning_rate: float, trial: optuna.Trial | None) -> tuple[Any, float, int]:
        training = lightgbm.Dataset(self.split.training.features, self.split.training.label)
        validation = training.create_valid(self.split.validation.features, self.split.validation.label)
        history: dict[str, Any] = {}
        callbacks: list[Any] = [lightgbm.early_stopping(PATIENCE, verbose=False), lightgbm.record_evaluation(history)]
        if trial:
            callbacks.append(LightGBMPruningCallback(trial, SCORE))
        booster = gbm_focal.lightgbm.train(
            {"learning_rate": learning_rate, "num_leaves": 8, "num_threads": THREADS, "verbosity": -1},
            training,
            MOST_ROUNDS,
            loss=loss,
            valid_sets=[validation],
            feval=gbm_focal.lightgbm.Metric(loss, SCORE),
            callbacks=callbacks,
        )
        scores = history["valid_0"][SCORE]
        return booster, max(scores), len(scores)

    def test_probability(self, booster: Any) -> NDArray[np.float64]:
        return gbm_focal.lightgbm.predict_proba(booster, self.split.test.features)[:, 1]


ENGINES = {"xgboost": XGBoost, "lightgbm": LightGBM}


# ---- the table ----


def report(outcomes: dict[str, list[Outcome]], options: argparse.Namespace) -> None:
    print(
        f"\n{options.seeds} seeds of {options.rows} transactions, {options.trials} trials a search, {options.engine}; "
        "means over the seeds\n"
    )
    print(f"{'':24}{'average':>10}{'against':>20}{'log':>10}{'rounds':>9}   gamma and alpha / (1 - alpha)")
    print(f"{'':24}{'precision':>10}{'random search':>20}{'loss':>10}{'in all':>9}   that were chosen")
    for name, of_seeds in outcomes.items():
        mean = np.mean([outcome.precision for outcome in of_seeds])
        loss = np.mean([outcome.log_loss for outcome in of_seeds])
        rounds = np.mean([outcome.rounds for outcome in of_seeds])
        against = "" if name == "random search" else "{:+.3f} +- {:.3f}".format(*advantage(outcomes, name))
        chosen = ", ".join(f"{outcome.gamma:.1f}/{outcome.ratio:.3g}" for outcome in of_seeds)
        print(f"{name:24}{mean:10.3f}{against:>20}{loss:10.5f}{rounds:9.0f}   {chosen}")
    print("\n+- is the standard error of the mean difference over the seeds.")
    for line in verdicts(outcomes):
        print(line)


def verdicts(outcomes: dict[str, list[Outcome]]) -> Iterator[str]:
    for name in SEARCHES:
        if name != "random search":
            difference, error = advantage(outcomes, name)
            word = "matches" if abs(difference) <= 2 * error else "beats" if difference > 0 else "loses to"
            yield f"{name}: {word} random search (two standard errors decide)"


def advantage(outcomes: dict[str, list[Outcome]], name: str) -> tuple[float, float]:
    """Mean difference from random search on the same data, and its standard error."""
    pairs = zip(outcomes[name], outcomes["random search"], strict=True)
    differences = np.array([one.precision - other.precision for one, other in pairs])
    return float(differences.mean()), float(differences.std(ddof=1) / np.sqrt(differences.size))


if __name__ == "__main__":
    main()
