"""XGBoost as `DaskFocalClassifier` sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xgboost.dask import DaskXGBClassifier

from ..xgboost.engine import XGBoost


class DaskXGBoost(XGBoost):
    """`DaskXGBClassifier`, which is fitted and asked as `XGBClassifier` is."""

    def trains(self, estimator: Any) -> bool:
        """Whether an estimator is a `DaskXGBClassifier`."""
        return isinstance(estimator, DaskXGBClassifier)

    def made(self, model: Any) -> bool:
        """Whether a fitted model is a `DaskXGBClassifier`, or came from a file."""
        return self.trains(model) or super().trains(model)

    def new_estimator(self, settings: Mapping[str, Any]) -> Any:
        """Make a `DaskXGBClassifier`."""
        return DaskXGBClassifier(**settings)


ENGINE = DaskXGBoost()
