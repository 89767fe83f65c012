"""A small problem in XGBoost's own containers."""

import pytest
from problems import rare_positives

xgb = pytest.importorskip("xgboost")

XGBOOST_VERSION = tuple(int(part) for part in xgb.__version__.split(".")[:2])
XGBOOST_STARTS_COLUMNS_APART = XGBOOST_VERSION >= (3, 1)  # it had one base_score for all columns before
PARAMS = {"max_depth": 4, "eta": 0.3, "nthread": 1, "seed": 1}


def data(n=4000, seed=0, weighted=False, kind=None):
    X, y, w, _ = rare_positives(n, seed)
    return (kind or xgb.DMatrix)(X, label=y, weight=w if weighted else None)


def margin(booster, matrix, **kwargs):
    return booster.predict(matrix, output_margin=True, **kwargs)


def call_callbacks(monkeypatch, direction):
    """Have XGBoost call callbacks from the first to the last (1), or the other way round (-1).

    Before 3.2 it calls them in any order, another in each process.
    """
    container = xgb.callback.CallbackContainer
    begin = container.__init__

    def ordered(self, callbacks, *arguments, **keywords):
        begin(self, callbacks, *arguments, **keywords)
        self.callbacks = list(callbacks)[::direction]

    monkeypatch.setattr(container, "__init__", ordered)
