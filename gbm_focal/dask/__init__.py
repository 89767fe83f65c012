"""Dask: the losses on a cluster, for data that lie in parts on several workers.

`xgboost_train` is `xgboost.dask.train`, and `DaskFocalClassifier` is `FocalClassifier` around `DaskXGBClassifier` or
`DaskLGBMClassifier`. Class weights, intercept, scale, metric and calibration come from the rows of all workers,
never from a worker's own: a worker without positives, or without rows, changes nothing.

Both engines share their work among the workers that hold data, and if one of them dies they end with an error. There
is no half model; train again, from the last checkpoint if there was one (see docs/scaling.md).
"""

from __future__ import annotations

try:
    import dask.array
    import dask.dataframe  # noqa: F401
    import distributed  # noqa: F401
except ImportError as error:
    raise ImportError("gbm_focal.dask needs Dask 2025.4 or newer: pip install 'gbm_focal[dask]'") from error

from .classifier import DaskFocalClassifier
from .training import xgboost_predict_proba, xgboost_train

__all__ = ["DaskFocalClassifier", "xgboost_predict_proba", "xgboost_train"]
