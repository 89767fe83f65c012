"""Focal, asymmetric and balanced losses for XGBoost and LightGBM: exact, fast, calibrated.

The losses are here; `gbm_focal.xgboost` and `gbm_focal.lightgbm`, imported when first used, hold what is
specific to each engine; `gbm_focal.metrics` and `gbm_focal.plotting` judge and show the models.
"""

from __future__ import annotations

import importlib
from typing import Any

from .classifier import FocalClassifier
from .losses import (
    AsymmetricLoss,
    BalancedCrossEntropy,
    FocalLoss,
    Loss,
    PowerCrossEntropy,
)
from .schedules import ConstantSchedule, CosineSchedule, LinearSchedule
from .thresholds import ConstrainedThresholdClassifierCV

__all__ = [
    "AsymmetricLoss",
    "BalancedCrossEntropy",
    "ConstantSchedule",
    "ConstrainedThresholdClassifierCV",
    "CosineSchedule",
    "FocalClassifier",
    "FocalLoss",
    "LinearSchedule",
    "Loss",
    "PowerCrossEntropy",
]
__version__ = "0.2.0.dev0"


def __getattr__(name: str) -> Any:
    if name in ("dask", "lightgbm", "metrics", "onnx", "plotting", "xgboost"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
