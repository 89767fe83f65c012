"""Several labels a row in LightGBM, which has one: data sets are known by patterns of class numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._inputs import Array
from .objective import Metric, Objective


class Patterns:
    """Numbers, one a row, that name data sets of several labels a row."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.labels: dict[bytes, Array] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Patterns:
        return self  # LightGBM copies its parameters, and each call must find the same labels

    def of(self, y: Array) -> Array:
        """Return a pattern, in shape (n,), that stands for labels of shape (n, L)."""
        least = max(self.columns, 50)
        if y.shape[0] < least:
            raise ValueError(
                f"y has {y.shape[0]} rows of {self.columns} labels: give at least {least} rows, in evaluation sets, "
                "too, or use XGBoost"
            )
        pattern = np.random.default_rng(len(self.labels)).permutation(np.arange(y.shape[0]) % self.columns)
        self.labels[pattern.astype(np.float32).tobytes()] = y
        return pattern

    def labels_of(self, pattern: Array) -> Array:
        """Return the labels that a pattern, as LightGBM keeps it, stands for."""
        return self.labels[np.asarray(pattern, np.float32).tobytes()]


class OfPattern:
    """An objective or metric, called with the labels that a pattern stands for."""

    def __init__(self, function: Objective | Metric, patterns: Patterns) -> None:
        self.function = function
        self.patterns = patterns

    def __call__(self, pattern: Array, margin: Array, sample_weight: Any) -> Any:
        """Return what the function does."""
        return self.function(self.patterns.labels_of(pattern), margin, sample_weight)
