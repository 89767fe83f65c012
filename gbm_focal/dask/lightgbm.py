"""LightGBM as `DaskFocalClassifier` sees it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
from lightgbm import DaskLGBMClassifier, DaskLGBMRegressor

from .._inputs import Array
from ..boosting import Plan
from ..lightgbm.engine import LightGBM
from ..lightgbm.parameters import early_stopping_in
from ..link import Link
from .parts import mapped


class DaskLightGBM(LightGBM):
    """`DaskLGBMClassifier`, in whose place a `DaskLGBMRegressor` is fitted, which takes labels as they are."""

    def trains(self, estimator: Any) -> bool:
        """Whether an estimator is a `DaskLGBMClassifier`."""
        return isinstance(estimator, DaskLGBMClassifier)

    def made(self, model: Any) -> bool:
        """Whether a fitted model is a `DaskLGBMRegressor`, or came from a file."""
        return isinstance(model, DaskLGBMRegressor) or super().made(model)

    def new_estimator(self, settings: Mapping[str, Any]) -> Any:
        """Make a `DaskLGBMClassifier`."""
        return DaskLGBMClassifier(**settings)

    def stops_early(self, estimator: Any, fit_params: Mapping[str, Any]) -> str | None:
        """Return None: `fit` refuses."""
        return None

    def fit(self, estimator: Any, X: Any, y: Any, plan: Plan, fit_params: dict[str, Any]) -> tuple[Any, Link]:
        """Fit a regressor with the parameters of a `DaskLGBMClassifier`, and its link."""
        given = estimator.get_params()
        stopping = early_stopping_in(given)
        if stopping is not None:
            raise ValueError(
                f"{stopping}={given[stopping]!r} is not possible with LightGBM on Dask, because each worker "
                "would stop on its own rows: use DaskXGBClassifier, or leave it out"
            )
        if plan.eval_set:
            raise ValueError(
                "eval_set is not possible with LightGBM on Dask, because each worker would evaluate, and stop on, its "
                "own rows: use DaskXGBClassifier, or evaluate predict_proba after training"
            )
        if plan.totals.kind == "multilabel":
            raise ValueError("several labels a row are not possible with LightGBM on Dask: use DaskXGBClassifier")
        settings = {name: value for name, value in given.items() if name != "client"}  # the current one is asked for
        if plan.totals.kind == "multiclass":  # a classifier counts its classes, a regressor does not
            settings["num_class"] = plan.totals.positive.size
        return super().fit(DaskLGBMRegressor(**settings), X, y, plan, fit_params)

    def margin(self, model: Any, X: Any) -> Any:
        """Margins of a Dask collection, each part's where it lies, and by the same way as those of one machine."""
        local = model.to_local()
        columns = local.booster_.num_model_per_iteration()
        tail = (columns,) if columns > 1 else ()
        return mapped(X, functools.partial(self._margin_of_part, local, tail), tail, np.float64)

    def _margin_of_part(self, local: Any, tail: tuple[int, ...], X: Any) -> Array:
        return super().margin(local, X) if X.shape[0] else np.empty((0, *tail))


ENGINE = DaskLightGBM()
