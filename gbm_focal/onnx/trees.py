"""Trees of either engine, as the ONNX operator TreeEnsembleRegressor has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from .._inputs import Array
from .graph import Graph, Value

_NODE = ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids")
_LEAF = ("treeids", "nodeids", "ids", "weights")
_NAN = np.float32(np.nan)
ZERO = np.float32(1e-35)  # what LightGBM takes for zero


class Ensemble:
    """Trees whose leaves add up to margins, from whichever engine.

    The first node of a tree is its root. Numbers of nodes are those of the tree, in any order.

    Parameters
    ----------
    features : int
        How many columns the rows have.
    base : array-like of shape (columns,)
        What the leaves are added to.

    Attributes
    ----------
    missing : float
        A number that means a missing value, as NaN does.
    zero_is_missing : list of int
        Features of which zero means it.
    """

    def __init__(self, features: int, base: Any) -> None:
        self.features = features
        self.base: Array = np.asarray(base, np.float32)
        self.missing = np.nan
        self.zero_is_missing: list[int] = []
        self._nodes: dict[str, list[Any]] = {f"nodes_{name}": [] for name in (*_NODE, "missing_value_tracks_true")}
        self._leaves: dict[str, list[Any]] = {f"target_{name}": [] for name in _LEAF}

    @property
    def columns(self) -> int:
        """How many margins a row has."""
        return self.base.size

    def split(
        self, tree: int, node: int, feature: int, mode: str, value: float, true: int, false: int, missing: bool
    ) -> None:
        """Add a node from which rows go to `true` or `false`.

        `mode` is the comparison with the value, such as "BRANCH_LT", and `missing` what it is for a missing one.
        """
        _append(self._nodes, tree, node, feature, mode, value, true, false, int(missing))

    def member(
        self,
        tree: int,
        node: int,
        feature: int,
        values: Sequence[float],
        true: int,
        false: int,
        missing: bool,
        unused: Iterator[int],
    ) -> None:
        """Add a node from which rows go to `true` if the feature is one of the values.

        It is a chain of nodes, which take `unused` numbers.
        """
        for value in values[:-1]:
            following = next(unused)
            self.split(tree, node, feature, "BRANCH_EQ", value, true, following, missing)
            node = following
        self.split(tree, node, feature, "BRANCH_EQ", values[-1], true, false, missing)

    def leaf(self, tree: int, node: int, values: Iterable[tuple[int, float]]) -> None:
        """Add a leaf, and what it adds to which columns."""
        _append(self._nodes, tree, node, 0, "LEAF", 0.0, 0, 0, 0)
        for column, value in values:
            _append(self._leaves, tree, node, column, value)

    def rows_on_thresholds(self, number: int) -> Array:
        """Return rows, float32, of values that the trees compare with, the next above, zeros and missing values."""
        random = np.random.default_rng(0)
        features, modes, values = (np.array(self._nodes[f"nodes_{name}"]) for name in ("featureids", "modes", "values"))
        used = np.flatnonzero((modes != "LEAF") & np.isfinite(values))
        used = used[np.argsort(features[used], kind="stable")]
        numbers, starts = np.unique(features[used], return_index=True)
        X = np.zeros((number, self.features), np.float32)
        for feature, start, end in zip(numbers, starts, [*starts[1:], used.size], strict=False):  # none without splits
            compared = values[used[start:end]]
            X[:, feature] = random.choice(np.concatenate([compared, compared + 1, [0, np.nan]]), number)
        return X

    def add_to(self, op: Graph, X: Value) -> Value:
        """Add the trees to a graph: margins, float32 of shape (n, columns), of float32 rows."""
        if self.zero_is_missing:
            of_features = np.isin(np.arange(self.features), self.zero_is_missing)
            X = op.Where(op.And(op.Abs(X) <= ZERO, of_features), _NAN, X)
        if not np.isnan(self.missing):
            X = op.Where(op.Equal(X, np.float32(self.missing)), _NAN, X)
        if not self._nodes["nodes_modes"]:
            self.leaf(0, 0, [(0, 0.0)])  # the operator wants a tree
        settings = {"domain": "ai.onnx.ml", "n_targets": self.columns, "base_values": self.base.tolist()}
        return op.TreeEnsembleRegressor(X, **settings, **self._nodes, **self._leaves)


def _append(table: dict[str, list[Any]], *row: Any) -> None:
    for column, content in zip(table.values(), row, strict=True):
        column.append(content)
