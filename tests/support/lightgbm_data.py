"""A small problem in LightGBM's own container."""

import pytest
from problems import rare_positives

lgb = pytest.importorskip("lightgbm")

LIGHTGBM_VERSION = tuple(int(part) for part in lgb.__version__.split(".")[:2])
PARAMS = {"num_leaves": 15, "learning_rate": 0.1, "num_threads": 1, "verbosity": -1, "deterministic": True}

# LightGBM 4.6 calls the columns of arrays Column_0, Column_1, ..., and its estimators warn of arrays without names.
estimators_ask_for_names = pytest.mark.filterwarnings("ignore:X does not have valid feature names, but LGBM")


def data(n=4000, seed=0, weighted=False, **kwargs):
    X, y, w, _ = rare_positives(n, seed)
    return lgb.Dataset(X, y, weight=w if weighted else None, **kwargs)


def features(n=4000, seed=0):
    return rare_positives(n, seed)[0]


def evaluated_on(X, y):
    """An evaluation set as `fit` of LightGBM's estimators takes it, which call eval_set deprecated from 4.7 on."""
    return {"eval_X": X, "eval_y": y} if LIGHTGBM_VERSION >= (4, 7) else {"eval_set": [(X, y)]}
