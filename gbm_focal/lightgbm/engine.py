"""LightGBM as `FocalClassifier` sees it: `LGBMClassifier`, and how it is fitted, asked and stored."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import lightgbm
import numpy as np
from scipy import sparse
from sklearn.base import clone

from .._inputs import Array
from ..boosting import Engine, Plan, bar_of_rounds, metric_named
from ..link import Link
from .model_text import complete
from .parameters import (
    ALIASES,
    checked_parameters,
    early_stopping_in,
    penalty,
    require_no_training_margins,
    starts_at_zero,
)
from .several_labels import OfPattern, Patterns
from .training import begin, counting, kept_rounds, warn_if_no_split

_BEFORE_4_7 = tuple(int(part) for part in lightgbm.__version__.split(".")[:2]) < (4, 7)


class LightGBM(Engine):
    """`LGBMClassifier`; a fitted one that was loaded is a `Booster`."""

    name = "lightgbm"
    model_file = "model.txt"

    def trains(self, estimator: Any) -> bool:
        """Whether an estimator is an `LGBMClassifier`, and not the one for Dask."""
        return isinstance(estimator, lightgbm.LGBMClassifier) and not isinstance(estimator, lightgbm.DaskLGBMClassifier)

    def made(self, model: Any) -> bool:
        """Whether a fitted model is an `LGBMClassifier` or a `Booster`."""
        return isinstance(model, lightgbm.Booster) or self.trains(model)

    def new_estimator(self, settings: Mapping[str, Any]) -> Any:
        """Make an `LGBMClassifier`."""
        return lightgbm.LGBMClassifier(**settings)

    def stops_early(self, estimator: Any, fit_params: Mapping[str, Any]) -> str | None:
        """Return the estimator's parameter, or the callback, that stops the training early."""
        given = estimator.get_params()
        alias = early_stopping_in(given)
        if alias is not None:
            return f"{alias}={given[alias]!r} of the estimator"
        kind = type(lightgbm.early_stopping(1, verbose=False))  # which LightGBM does not name in public
        stopping = any(isinstance(callback, kind) for callback in fit_params.get("callbacks") or ())
        return "early_stopping among the callbacks" if stopping else None

    def fit(self, estimator: Any, X: Any, y: Any, plan: Plan, fit_params: dict[str, Any]) -> tuple[Any, Link]:
        """Fit a clone of an `LGBMClassifier` as the plan says, and its link, which the booster stores."""
        given = {name: value for name, value in estimator.get_params().items() if value is not None}
        _require_no_contradiction(given, plan)
        for features in (X, *(X_eval for X_eval, _ in plan.eval_set)):
            _require_columns(features)
            _require_known_frame(features)
        metric = metric_named(plan.metric if plan.metric is not None else given.get("metric"), plan.totals.kind)
        start = fit_params.get("init_model")
        beginning = begin(plan, estimator.n_estimators, start, metric, at_zero=starts_at_zero(given))
        objective: Any = beginning.objective
        of_metric: Any = beginning.metric
        model = clone(estimator).set_params(metric="None", feature_pre_filter=False, **penalty(plan, given))
        eval_set = plan.eval_set
        patterns = Patterns(plan.totals.positive.size)
        if plan.totals.kind == "multilabel":
            pattern = patterns.of(y)
            # The training data among the evaluation sets stay the same array.
            eval_set = [(X_eval, pattern if y_eval is y else patterns.of(y_eval)) for X_eval, y_eval in eval_set]
            y = pattern
            objective, of_metric = OfPattern(objective, patterns), OfPattern(of_metric, patterns)
            model.set_params(num_class=patterns.columns)
        model.set_params(objective=objective)
        silenced: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
        if eval_set:
            fit_params = {**fit_params, "eval_sample_weight": plan.eval_weights, "eval_metric": of_metric}
            # LightGBM 4.7 calls eval_set deprecated; but by eval_X and eval_y it does not know the training data again,
            # which then could stop the training.
            trained_on = any(X_eval is X and y_eval is y for X_eval, y_eval in eval_set)
            if trained_on:
                require_no_training_margins(given)
            if trained_on or _BEFORE_4_7:
                fit_params["eval_set"] = eval_set
                silenced = silenced if _BEFORE_4_7 else _without_deprecation()
            else:
                fit_params["eval_X"], fit_params["eval_y"] = (tuple(part) for part in zip(*eval_set, strict=True))
        with bar_of_rounds(plan.progress) as bar, silenced:
            fit_params = {**fit_params, "callbacks": [*counting(bar), *(fit_params.get("callbacks") or ())]}
            model.fit(X, y, **{"sample_weight": plan.sample_weight, **fit_params})
        # What is fitted shows the loss: not the copy of a worker, which Dask has put in its place, nor patterns.
        model.set_params(objective=beginning.objective)
        patterns.labels.clear()
        beginning.objective.released()
        booster = model.booster_
        link = plan.link_after(
            kept_rounds(booster),
            lambda: self.margin(model, X),
            from_intercept=beginning.from_intercept,
            offset=beginning.intercept,
        )
        complete(booster, link, beginning.intercept)
        warn_if_no_split(booster)
        return model, link

    def margin(self, model: Any, X: Any) -> Array:
        """Margins up to the best iteration."""
        _require_columns(X)
        settings = {}
        if (isinstance(X, np.ndarray) or sparse.issparse(X)) and hasattr(model, "feature_names_in_"):
            # `FocalClassifier` has looked for names already. The estimator would do so again, and that of LightGBM 4.6
            # warns even if it was fitted without, because it calls the columns Column_0, Column_1, ... itself.
            given, model = model.get_params(), model.booster_
            settings = {name: value for name, value in given.items() if name.startswith("pred")}
            settings["num_threads"] = max(given["n_jobs"] or 0, 0) or model.params.get("num_threads", 0)
        margin: Array = model.predict(X, raw_score=True, **settings)
        return margin

    def history(self, model: Any) -> dict[str, Any]:
        """History of the metric on the evaluation sets."""
        result: dict[str, Any] = model.evals_result_
        return result

    def best_iteration(self, model: Any) -> int | None:
        """Where early stopping stopped, if it did; counted from 0, unlike LightGBM's own."""
        best: int = model.best_iteration_
        return best - 1 if best > 0 else None

    def importances(self, model: Any) -> Array:
        """Return the importances of the features, by `importance_type` of the estimator."""
        if isinstance(model, lightgbm.Booster):
            return np.asarray(model.feature_importance())
        return np.asarray(model.feature_importances_)

    def to_bytes(self, model: Any) -> bytes:
        """Return the model in LightGBM's text format."""
        booster = model if isinstance(model, lightgbm.Booster) else model.booster_
        return str(booster.model_to_string()).encode()

    def from_bytes(self, content: bytes, settings: Mapping[str, Any]) -> Any:
        """Make a `Booster`; there is no public way to a fitted `LGBMClassifier`."""
        return lightgbm.Booster(model_str=content.decode())

    def version(self) -> str:
        """LightGBM's version."""
        return str(lightgbm.__version__)


@contextlib.contextmanager
def _without_deprecation() -> Iterator[None]:
    # Filters are those of the whole process, so they are touched only where it must be.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The argument 'eval_set' is deprecated")
        yield


def _require_known_frame(X: Any) -> None:
    """Raise for data frames that the estimators of older versions do not know."""
    kind = type(X)
    if _BEFORE_4_7 and kind.__module__.partition(".")[0] in ("polars", "pyarrow"):
        raise TypeError(
            f"X is a {kind.__module__}.{kind.__name__}, which LightGBM {lightgbm.__version__} does not take: give a "
            "pandas data frame, or install LightGBM 4.7 or newer"
        )


def _require_columns(X: Any) -> None:
    """Raise for columns at which LightGBM would abort the process."""
    module = type(X).__module__.partition(".")[0]
    types = {}
    if module == "polars":
        types = {name: str(kind) for name, kind in X.schema.items()}
    elif module == "pyarrow":
        types = {field.name: str(field.type) for field in X.schema}
    for name, kind in types.items():
        if not re.fullmatch(r"u?int(8|16|32|64)|float(32|64)?|double|bool(ean)?", kind.lower()):
            raise ValueError(
                f"column {name!r} is of type {kind}, at which LightGBM aborts the process: make it numbers, or "
                "give a pandas data frame with a category column"
            )


def _require_no_contradiction(given: Mapping[str, Any], plan: Plan) -> None:
    """Raise if a parameter of the estimator contradicts the loss, or would be ignored."""
    if "class_weight" in given:
        raise ValueError(
            f"class_weight={given['class_weight']!r} of the estimator has no effect: give class_weight to "
            "FocalClassifier, or the loss alpha"
        )
    for alias in ALIASES["metric"][1:]:
        if alias in given:
            raise ValueError(f"{alias}={given[alias]!r} of the estimator would be ignored: call it metric")
    classes = plan.totals.positive.size if plan.totals.kind == "multiclass" else 1
    for alias in ALIASES["num_class"]:
        if alias in given and int(given[alias]) != classes:
            raise ValueError(
                f"{alias}={given[alias]!r} of the estimator contradicts the labels, by which it is {classes}: leave it "
                "out"
            )
    others = {name: value for name, value in given.items() if name not in ("metric", *ALIASES["num_class"])}
    checked_parameters({**others, "num_class": classes}, {})


ENGINE = LightGBM()
