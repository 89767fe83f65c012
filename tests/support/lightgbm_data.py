"""A small problem in LightGBM's own container."""

import pytest
from problems import rare_positives

lgb = pytest.importorskip("lightgbm")

PARAMS = {"num_leaves": 15, "learning_rate": 0.1, "num_threads": 1, "verbosity": -1, "deterministic": True}


def data(n=4000, seed=0, weighted=False, **kwargs):
    X, y, w, _ = rare_positives(n, seed)
    return lgb.Dataset(X, y, weight=w if weighted else None, **kwargs)


def features(n=4000, seed=0):
    return rare_positives(n, seed)[0]
