"""Rows on chosen workers of a Dask cluster, and estimators for them."""

import numpy as np
import pytest
from problems import rare_positives

xgb = pytest.importorskip("xgboost")
lgb = pytest.importorskip("lightgbm")
distributed = pytest.importorskip("distributed")

import dask.array as da  # noqa: E402
import xgboost.dask as dxgb  # noqa: E402

WARNINGS_OF_OTHERS = [
    # LightGBM says that it takes the workers' number of threads, where the estimator has one of its own.
    pytest.mark.filterwarnings("ignore:Parameter n_jobs will be ignored:UserWarning"),
    # Older versions of Dask warn of what a test does on purpose.
    pytest.mark.filterwarnings("ignore:Running on a single-machine scheduler when a distributed client:UserWarning"),
]


def on_workers(client, parts):
    """A Dask array of parts, each with the number of the worker that gets it."""
    addresses = sorted(client.nthreads())  # as the scheduler has them, unlike scheduler_info, which the client renews
    futures = [client.submit(np.array, part, workers=[addresses[worker]], pure=False) for worker, part in parts]
    distributed.wait(futures)
    first = parts[0][1]
    name = f"placed-{futures[0].key}"
    rest = (0,) * (first.ndim - 1)
    graph = {(name, number, *rest): future for number, future in enumerate(futures)}
    chunks = (tuple(len(part) for _, part in parts), *((size,) for size in first.shape[1:]))
    return da.Array(graph, name, chunks, dtype=first.dtype)


class Skewed:
    """All positives on one worker, all negatives on the other, in parts of unlike sizes.

    The features have few distinct values, so that XGBoost's histograms have a bin for each, and those of workers,
    merged, are those of one machine. Of other features each worker makes a sketch, and cuts differ, as they do for
    XGBoost's own objectives.
    """

    def __init__(self, client, n=6000, seed=0):
        X, y, w, _ = rare_positives(n, seed)
        order = np.argsort(-y, kind="stable")
        self.X, self.y, self.w = np.round(X, 1)[order], y[order], w[order]
        positives = int(y.sum())
        self.cuts = [(0, 0, positives), (1, positives, positives + 700), (1, positives + 700, n)]
        self.client = client
        self.dX, self.dy, self.dw = map(self.placed, (self.X, self.y, self.w))

    def placed(self, array):
        return on_workers(self.client, [(worker, array[start:end]) for worker, start, end in self.cuts])

    def matrix(self, kind=dxgb.DaskDMatrix, weighted=True):
        matrix = kind(self.client, self.dX, self.dy, weight=self.dw if weighted else None)
        assert sorted(len(parts) for parts in matrix.worker_map.values()) == [1, 2]
        return matrix

    def local(self, kind=xgb.DMatrix, weighted=True):
        return kind(self.X, label=self.y, weight=self.w if weighted else None)


def estimators(**parameters):
    shared = {"n_estimators": 15, "max_depth": 4, **parameters}
    return {
        "xgboost": (dxgb.DaskXGBClassifier(**shared), xgb.XGBClassifier(n_jobs=1, **shared)),
        "lightgbm": (
            lgb.DaskLGBMClassifier(verbosity=-1, **shared),
            lgb.LGBMClassifier(n_jobs=1, verbosity=-1, **shared),
        ),
    }


both_engines = pytest.mark.parametrize("name", ["xgboost", "lightgbm"])
