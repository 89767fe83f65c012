"""LightGBM: the losses as objective and metric, and training whose model predicts rightly on its own.

`train` boosts from the loss's intercept and then adds it to the leaves of the first tree, so that it is part of
the model wherever that goes; and it writes the loss among the parameters of the model file, where
`predict_proba` finds it, also in another process. The model says `objective=binary` (or `multiclass`), so its
own `predict` returns sigmoid(margin) (or softmax), which is not a probability under these losses: use
`predict_proba`.
"""

from __future__ import annotations

try:
    import lightgbm  # noqa: F401
except ImportError as error:
    raise ImportError("gbm_focal.lightgbm needs LightGBM 4.6 or newer: pip install 'gbm_focal[lightgbm]'") from error

from .model_text import link_of
from .objective import Metric, Objective
from .refitting import refit
from .several_labels import OfPattern as _OfPattern  # noqa: F401  (pickles of version 0.1 name it here)
from .several_labels import Patterns as _Patterns  # noqa: F401
from .training import predict_proba, train

__all__ = ["Metric", "Objective", "link_of", "predict_proba", "refit", "train"]
