"""The engines' estimators for scikit-learn, small and on one thread."""

import numpy as np
import pytest
from sklearn.base import clone
from xgboost_data import XGBOOST_VERSION

xgb = pytest.importorskip("xgboost")
lgb = pytest.importorskip("lightgbm")


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
    start = {}
    if isinstance(estimator, xgb.XGBClassifier) and XGBOOST_VERSION < (3, 0) and len(np.unique(y)) == 2:
        start["base_score"] = np.average(y, weights=fit_params.get("sample_weight"))
    return clone(estimator).set_params(**start).fit(X, y, **fit_params)
