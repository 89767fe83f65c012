"""The engines' estimators for scikit-learn, small and on one thread."""

import numpy as np
import pytest
from sklearn.base import clone

xgb = pytest.importorskip("xgboost")
lgb = pytest.importorskip("lightgbm")

XGBOOST_VERSION, LIGHTGBM_VERSION = (
    tuple(int(part) for part in package.__version__.split(".")[:2]) for package in (xgb, lgb)
)
XGBOOST_STARTS_COLUMNS_APART = XGBOOST_VERSION >= (3, 1)  # it had one base_score for all columns before

# LightGBM 4.6 calls the columns of arrays Column_0, Column_1, ..., and its estimators warn of arrays without names.
estimators_ask_for_names = pytest.mark.filterwarnings("ignore:X does not have valid feature names, but LGBM")


def xgboost_classifier(**parameters):
    return xgb.XGBClassifier(**{"n_estimators": 15, "max_depth": 3, "n_jobs": 1, "random_state": 0, **parameters})


def lightgbm_classifier(**parameters):
    return lgb.LGBMClassifier(
        **{"n_estimators": 15, "max_depth": 3, "n_jobs": 1, "random_state": 0, "verbosity": -1, **parameters}
    )


ENGINES = [xgboost_classifier, lightgbm_classifier]
both_engines = pytest.mark.parametrize("engine", ENGINES, ids=["xgboost", "lightgbm"])


def patience(engine, rounds):
    """The parameter of an estimator that stops its training early."""
    return {"early_stopping_rounds" if engine is xgboost_classifier else "early_stopping_round": rounds}


def fit_bare(estimator, X, y, **fit_params):
    """The engine's own estimator, fitted. XGBoost 2.1 starts two classes a step from 0 towards the base rate."""
    if isinstance(estimator, xgb.XGBClassifier) and XGBOOST_VERSION < (3, 0) and len(np.unique(y)) == 2:
        rate = np.average(y, weights=fit_params.get("sample_weight"))
        estimator = clone(estimator).set_params(base_score=rate)
    return clone(estimator).fit(X, y, **fit_params)


def evaluated_on(estimator, X, y):
    """An evaluation set as the engine's own `fit` takes it."""
    if isinstance(estimator, lgb.LGBMClassifier) and LIGHTGBM_VERSION >= (4, 7):  # which calls eval_set deprecated
        return {"eval_X": X, "eval_y": y}
    return {"eval_set": [(X, y)]}
