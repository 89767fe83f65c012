"""Dask collections as lists of parts by rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import dask
import dask.array
import dask.dataframe
import numpy as np

from .._inputs import Array


def columns_of(X: Any) -> tuple[int, Array | None]:
    """Return the number of features, and their names if X has any, or raise if it is nothing to train on."""
    if isinstance(X, dask.dataframe.DataFrame):
        named = all(isinstance(name, str) for name in X.columns)
        return len(X.columns), np.array(list(X.columns), dtype=object) if named else None
    if not isinstance(X, dask.array.Array):
        raise TypeError(
            f"X is a {type(X).__name__}: give a Dask array or data frame, or use gbm_focal.FocalClassifier for data in "
            "memory"
        )
    if X.ndim != 2 or X.numblocks[1] != 1:
        raise ValueError(
            f"X has shape {X.shape} in {X.numblocks} chunks: give shape (n, features) in chunks of whole rows, by "
            "X.rechunk({1: -1})"
        )
    return X.shape[1], None


def require_alike(X: Any, **given: Any) -> None:
    """Raise unless all that is given comes in the parts of X."""
    for name, values in given.items():
        if values is None:
            continue
        parts = parts_of(name, values)
        if len(parts) != X.npartitions:
            raise ValueError(
                f"X is in {X.npartitions} parts and {name} in {len(parts)}: give both the same parts by rows, for "
                "instance by rechunk or repartition"
            )
        rows = list(zip(rows_of(X), rows_of(values), strict=True))
        if any(a != b for a, b in rows if not np.isnan(a + b)):
            raise ValueError(
                f"the parts of X and {name} have rows {rows}: give both the same parts, for instance by rechunk"
            )


def parts_of(name: str, values: Any) -> list[Any]:
    """Return delayed parts by rows; of None, nothing."""
    if values is None:
        return []
    if isinstance(values, dask.array.Array):
        if values.ndim == 2 and values.numblocks[1] != 1:
            raise ValueError(
                f"{name} is in {values.numblocks} chunks: give chunks of whole rows, {name}.rechunk({{1: -1}})"
            )
        delayed: list[Any] = values.to_delayed().ravel().tolist()
        return delayed
    if isinstance(values, dask.dataframe.DataFrame | dask.dataframe.Series):
        return list(values.to_delayed())
    raise TypeError(f"{name} is a {type(values).__name__}: give a Dask array, Series or DataFrame in the parts of X")


def rows_of(X: Any) -> list[float]:
    """Rows of each part, NaN where Dask does not know them."""
    return list(X.chunks[0]) if isinstance(X, dask.array.Array) else [np.nan] * X.npartitions


def array_of_parts(parts: Sequence[Any], rows: Sequence[float], tail: tuple[int, ...], kind: Any) -> Any:
    """Put delayed parts together; `tail` is the shape of a row."""
    arrays = [
        dask.array.from_delayed(part, shape=(number, *tail), dtype=kind)
        for part, number in zip(parts, rows, strict=True)
    ]
    return dask.array.concatenate(arrays, axis=0, allow_unknown_chunksizes=True)


def mapped(X: Any, function: Callable[[Any], Array], tail: tuple[int, ...], kind: Any) -> Any:
    """Apply a function to each part, lazily; it is in the graph once."""
    shared = dask.delayed(function, pure=False)
    if not isinstance(X, dask.array.Array):
        return array_of_parts([shared(part) for part in parts_of("X", X)], rows_of(X), tail, kind)
    # Not through delayed parts: arrays of futures, as XGBoost returns them, would lose these.
    return dask.array.map_blocks(
        _applied,
        X,
        function=shared,
        dtype=kind,
        chunks=(X.chunks[0], *((size,) for size in tail)),
        drop_axis=list(range(1 + len(tail), X.ndim)),
        new_axis=list(range(X.ndim, 1 + len(tail))),
        meta=np.empty((0, *tail), kind),
    )


def _applied(part: Any, function: Callable[[Any], Array]) -> Array:
    return function(part)
