"""The methods that are compared: each trains one engine on one loss, and says what its package calls a probability."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any, NamedTuple

import lightgbm
import numpy as np
import xgboost
from scipy.special import expit

import gbm_focal.lightgbm
import gbm_focal.xgboost
from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalLoss, Loss, PowerCrossEntropy

from .data import Array, Problem

Setting = dict[str, Any]  # values of a method's parameters

MOST_ROUNDS, PATIENCE = 200, 20


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
    package: str = "gbm_focal"  # or the competitor's, which may not be installed
    focal: bool = False
    ours: bool = False

    def installed(self) -> bool:
        """Whether its package is there."""
        return importlib.util.find_spec(self.package) is not None


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


# Our losses on both


def ours(engine: str, loss_of: Callable[[Setting, Problem], Loss]) -> Callable[..., Fitted]:
    package, parts_of, fitted = {
        "XGBoost": (gbm_focal.xgboost, xgboost_parts, of_xgboost),
        "LightGBM": (gbm_focal.lightgbm, lightgbm_parts, of_lightgbm),
    }[engine]

    def fit(setting: Setting, training: Problem, validation: Problem | None, rounds: int, seed: int) -> Fitted:
        params, data, more = parts_of(setting, training, validation, seed)
        booster = package.train(params, data, rounds, loss=loss_of(setting, training), **more)
        return fitted(booster, validation, lambda *given, **keywords: package.predict_proba(*given, **keywords)[:, 1])

    return fit


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
    "XGBoost FocalLoss": Method("XGBoost", ours("XGBoost", focal), FOCAL, focal=True, ours=True),
    "XGBoost AsymmetricLoss": Method("XGBoost", ours("XGBoost", asymmetric), ASYMMETRIC, ours=True),
    "XGBoost BalancedCrossEntropy": Method("XGBoost", ours("XGBoost", balanced), WEIGHTED, ours=True),
    "XGBoost PowerCrossEntropy": Method("XGBoost", ours("XGBoost", power), POWER, ours=True),
    "XGBoost gbdtCBL focal": Method("XGBoost", xgboost_gbdtcbl, FOCAL, "gbdtCBL", focal=True),
    "LightGBM logistic": Method("LightGBM", lightgbm_own),
    "LightGBM is_unbalance": Method("LightGBM", lightgbm_unbalanced),
    "LightGBM FocalLoss": Method("LightGBM", ours("LightGBM", focal), FOCAL, focal=True, ours=True),
    "LightGBM AsymmetricLoss": Method("LightGBM", ours("LightGBM", asymmetric), ASYMMETRIC, ours=True),
    "LightGBM BalancedCrossEntropy": Method("LightGBM", ours("LightGBM", balanced), WEIGHTED, ours=True),
    "LightGBM PowerCrossEntropy": Method("LightGBM", ours("LightGBM", power), POWER, ours=True),
    "LightGBM gbdtCBL focal": Method("LightGBM", lightgbm_gbdtcbl, FOCAL, "gbdtCBL", focal=True),
    "CatBoost logistic": Method("CatBoost", catboost("Logloss"), {}, "catboost"),
    "CatBoost Focal": Method(
        "CatBoost", catboost("Focal:focal_alpha=0.5;focal_gamma={gamma}"), FOCAL, "catboost", focal=True
    ),
    "YDF logistic": Method("YDF", ydf("BINOMIAL_LOG_LIKELIHOOD"), {}, "ydf"),
    "YDF BINARY_FOCAL_LOSS": Method("YDF", ydf("BINARY_FOCAL_LOSS"), FOCAL, "ydf", focal=True),
}
