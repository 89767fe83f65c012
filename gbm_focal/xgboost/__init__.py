"""XGBoost: the losses as objective and metric, and training whose model predicts rightly on its own.

`train` starts at the loss's intercept, stores it in the model as `base_score`, and stores the loss in the
booster's attributes; `predict_proba` reads it from there, also on a booster loaded from a file. The booster
says `binary:logistic` (or `multi:softprob`), so its own `predict` returns sigmoid(margin) (or softmax), which is
not a probability under these losses: use `predict_proba`.

Where several processes train one model (XGBoost's collective: Dask, Ray, or a communicator of your own), everything
here is about the data of all of them: class totals, intercept, scale, metric, and the shift of the link.
"""

from __future__ import annotations

try:
    import xgboost  # noqa: F401
except ImportError as error:
    raise ImportError("gbm_focal.xgboost needs XGBoost 2.1.4 or newer: pip install 'gbm_focal[xgboost]'") from error

from .device import Device as _Device  # noqa: F401  (pickles of version 0.1 name it here)
from .objective import Metric, Objective
from .training import link_of, predict_proba, train

__all__ = ["Metric", "Objective", "link_of", "predict_proba", "train"]
