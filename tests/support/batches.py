"""Rows that come to XGBoost in batches."""

import numpy as np
import pytest

xgb = pytest.importorskip("xgboost")


class Batches(xgb.DataIter):
    """Rows in batches; with `cache` XGBoost keeps its pages in files of that name."""

    def __init__(self, X, y, weight=None, cache=None, batches=4):
        self.parts = np.array_split(np.arange(len(y)), batches)
        self.X, self.y, self.weight, self.at = X, y, weight, 0
        super().__init__(cache_prefix=None if cache is None else str(cache))

    def next(self, input_data):
        if self.at == len(self.parts):
            return False
        rows = self.parts[self.at]
        input_data(data=self.X[rows], label=self.y[rows], weight=None if self.weight is None else self.weight[rows])
        self.at += 1
        return True

    def reset(self):
        self.at = 0
