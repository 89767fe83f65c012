"""XGBoost as `FocalClassifier` sees it: `XGBClassifier`, and how it is fitted, asked and stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xgboost
from sklearn.base import clone

from .._inputs import Array
from ..boosting import Engine, Plan, bar_of_rounds, metric_named
from ..link import Link
from .parameters import checked_parameters
from .training import begin, counting, kept_rounds, store_link, warn_if_no_split


class XGBoost(Engine):
    """`XGBClassifier`, fitted or not."""

    name = "xgboost"
    model_file = "model.ubj"

    def trains(self, estimator: Any) -> bool:
        """Whether an estimator is an `XGBClassifier`."""
        return isinstance(estimator, xgboost.XGBClassifier)

    def new_estimator(self, settings: Mapping[str, Any]) -> Any:
        """Make an `XGBClassifier`."""
        return xgboost.XGBClassifier(**settings)

    def stops_early(self, estimator: Any, fit_params: Mapping[str, Any]) -> str | None:
        """Return the estimator's parameter, or its callback, that stops the training early."""
        if estimator.early_stopping_rounds:
            return f"early_stopping_rounds={estimator.early_stopping_rounds!r} of the estimator"
        stopping = any(isinstance(callback, xgboost.callback.EarlyStopping) for callback in estimator.callbacks or ())
        return "EarlyStopping among the estimator's callbacks" if stopping else None

    def fit(self, estimator: Any, X: Any, y: Any, plan: Plan, fit_params: dict[str, Any]) -> tuple[Any, Link]:
        """Fit a clone of an `XGBClassifier` as the plan says, and its link, which the booster stores."""
        given = estimator.get_params()
        meant = ("multi:softprob",) if plan.totals.kind == "multiclass" else ()
        if given.get("objective") not in (None, "binary:logistic", *meant):  # the second is XGBClassifier's default
            raise ValueError(f"objective={given['objective']!r} of the estimator contradicts loss: leave it out")
        if given.get("scale_pos_weight") is not None:
            checked_parameters({"scale_pos_weight": given["scale_pos_weight"]})
        metric = plan.metric if plan.metric is not None else given.get("eval_metric")
        rounds = estimator.get_num_boosting_rounds()
        beginning = begin(plan, given, rounds, fit_params.get("xgb_model"), metric_named(metric, plan.totals.kind))
        model = clone(estimator).set_params(
            objective=beginning.objective,
            eval_metric=beginning.metric,
            disable_default_eval_metric=True,
            **beginning.parameters,
        )
        fit_params = {"sample_weight": plan.sample_weight, "verbose": False, **fit_params}
        if beginning.start is not None:
            fit_params["xgb_model"] = beginning.start
        if plan.eval_set:
            fit_params.update(eval_set=plan.eval_set, sample_weight_eval_set=plan.eval_weights)
        with bar_of_rounds(plan.progress, rounds) as bar:
            # A single round has no checkpoints; and random forests, which have just one, take no callbacks.
            ours = [*counting(bar), *([beginning.storing] if rounds > 1 else [])]
            if ours:
                model.set_params(callbacks=[*ours, *(estimator.callbacks or ())])
            model.fit(X, y, **fit_params)
            model.set_params(callbacks=estimator.callbacks)  # ours are of this training; a bar cannot be pickled
        beginning.objective.released()
        booster = model.get_booster()
        warn_if_no_split(booster)
        link = plan.link_after(
            kept_rounds(booster), lambda: self.margin(model, X), from_intercept=beginning.from_intercept
        )
        store_link(booster, link)
        return model, link

    def margin(self, model: Any, X: Any) -> Array:
        """Margins up to the best iteration."""
        margin: Array = model.predict(X, output_margin=True)
        return margin

    def history(self, model: Any) -> dict[str, Any]:
        """History of the metric on the evaluation sets."""
        result: dict[str, Any] = model.evals_result()
        return result

    def best_iteration(self, model: Any) -> int | None:
        """Where early stopping stopped, if it did."""
        best = model.get_booster().attr("best_iteration")
        return None if best is None else int(best)

    def importances(self, model: Any) -> Array:
        """Return the importances of the features, by `importance_type` of the estimator."""
        return np.asarray(model.feature_importances_)

    def to_bytes(self, model: Any) -> bytes:
        """Return the model in XGBoost's binary JSON."""
        return bytes(model.get_booster().save_raw("ubj"))

    def from_bytes(self, content: bytes, settings: Mapping[str, Any]) -> Any:
        """Make a fitted `XGBClassifier`."""
        model = self.new_estimator(settings)
        model.load_model(bytearray(content))
        return model

    def version(self) -> str:
        """XGBoost's version."""
        return str(xgboost.__version__)


ENGINE = XGBoost()
