"""Dask: the losses on a cluster, for data that lie in parts on several workers.

`xgboost_train` is `xgboost.dask.train`, and `DaskFocalClassifier` is `FocalClassifier` around `DaskXGBClassifier` or
`DaskLGBMClassifier`. Class weights, intercept, scale, metric and calibration come from the rows of all workers,
never from a worker's own: a worker without positives, or without rows, changes nothing.

Both engines share their work among the workers that hold data, and if one of them dies they end with an error. There
is no half model; train again, from the last checkpoint if there was one (see docs/scaling.md).
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

try:
    import dask
    import dask.array
    import dask.dataframe
    import distributed
except ImportError as error:
    raise ImportError("gbm_focal.dask needs Dask: pip install 'gbm_focal[dask]'") from error

from ._inputs import Array, check_rows
from .boosting import Link, OverParts, Plan, checked_totals, posterior_of_training, require_loss
from .classifier import FocalClassifier, TrainingData, encoded_as, indicators, plain_labels
from .losses import ClassTotals, Hessian, Loss

__all__ = ["DaskFocalClassifier", "xgboost_predict_proba", "xgboost_train"]


# ---- XGBoost's functions ----


def xgboost_train(
    client: distributed.Client,
    params: Mapping[str, Any] | Sequence[tuple[str, Any]],
    dtrain: Any,
    num_boost_round: int = 10,
    *,
    loss: Loss,
    hessian: Hessian = "fisher",
    max_step: float | None = 2.0,
    normalize: bool = True,
    calibrate: bool = True,
    **engine_kwargs: Any,
) -> dict[str, Any]:
    """Train a booster on a loss, as `xgboost.dask.train` does.

    Parameters
    ----------
    client : distributed.Client
        One that is not asynchronous.
    params, loss, hessian, max_step, normalize, calibrate
        As for `gbm_focal.xgboost.train`.
    dtrain : xgboost.dask.DaskDMatrix or DaskQuantileDMatrix
        Its weights and its base_margin count.
    num_boost_round : int >= 1, default 10
    **engine_kwargs
        All other arguments of `xgboost.dask.train`: `evals`, `early_stopping_rounds`, `callbacks`, `xgb_model`, ... .
        `custom_metric` is by default `gbm_focal.xgboost.Metric(loss)`, over the rows of all workers.

    Returns
    -------
    dict
        "booster", whose attribute "gbm_focal" holds the loss as JSON, so that `gbm_focal.xgboost.predict_proba`
        works on it, also after saving and loading; and "history".

    Raises
    ------
    ValueError, TypeError
        If a parameter contradicts the loss, or labels or weights are invalid.
    RuntimeError, xgboost.core.XGBoostError
        XGBoost's own, if a worker is lost.
    """
    from . import xgboost as engine

    require_loss(loss)
    _require_blocking(client)
    settings = engine.checked_parameters(params)
    if "obj" in engine_kwargs:
        raise ValueError("obj is made from loss here: leave it out, or call xgboost.dask.train(obj=Objective(loss))")
    if num_boost_round < 1:
        raise ValueError(f"num_boost_round={num_boost_round!r} trains nothing: give a number >= 1")
    classes = engine.classes_of(settings)
    totals = checked_totals("dtrain", _totals_of_matrix(client, dtrain, classes), classes)
    plan = Plan(loss, totals, conditioning={"hessian": hessian, "max_step": max_step, "normalize": normalize})
    arguments = engine.prepared(plan, settings, num_boost_round, calibrate, engine_kwargs)
    train = importlib.import_module("xgboost.dask").train
    result: dict[str, Any] = train(client, dtrain=dtrain, num_boost_round=num_boost_round, **arguments)
    engine.warn_if_no_split(result["booster"])
    return result


def xgboost_predict_proba(
    client: distributed.Client, model: Any, data: Any, *, loss: Loss | None = None, **predict_kwargs: Any
) -> Any:
    """Posterior probabilities of a booster, as `xgboost.dask.predict` has its predictions.

    Parameters
    ----------
    client : distributed.Client
    model : dict or xgboost.Booster
        What `xgboost_train` returned, or a booster that it, or `gbm_focal.xgboost.train`, has made.
    data : dask.array.Array, dask.dataframe.DataFrame or DaskDMatrix
    loss : Loss, optional
        For boosters that do not know their loss: the bare posterior.
    **predict_kwargs
        For `xgboost.dask.predict`; by default `iteration_range` ends at the best iteration.

    Returns
    -------
    dask.array.Array of shape (n, 2) with the probabilities of 0 and 1; (n, K) of K classes; (n, L) of 1 for L labels
        Nothing is computed before it is asked for.

    Raises
    ------
    ValueError
        If the booster does not know its loss, and none is given.
    """
    from . import xgboost as engine

    booster = model["booster"] if isinstance(model, dict) else model
    link = engine.link_of(booster, loss)
    predict_kwargs.setdefault("iteration_range", engine.best_iterations(booster))
    predict = importlib.import_module("xgboost.dask").predict
    margin = predict(client, booster, data, output_margin=True, **predict_kwargs)
    columns = margin.shape[1] if margin.ndim == 2 else 2
    return _mapped(margin, functools.partial(_probabilities, link, columns), (columns,), np.float32)


def _probabilities(link: Link, columns: int, margin: Any) -> Array:
    margin = np.asarray(margin)
    return link.probabilities(margin) if margin.shape[0] else np.empty((0, columns), np.float32)


def _totals_of_matrix(client: distributed.Client, dtrain: Any, classes: int | None) -> ClassTotals:
    """Add up the class totals of the parts of a DaskDMatrix, each counted on the worker that has it.

    XGBoost gives no public way to the labels of a DaskDMatrix, and base_score must be known before training. Since
    its version 1.0 the attribute `worker_map` holds, for each worker, futures of the parts: dictionaries with "data",
    "label" and, where there are weights, "weight".
    """
    parts = [(worker, part) for worker, held in getattr(dtrain, "worker_map", {}).items() for part in held]
    if not parts:
        raise TypeError(
            f"dtrain is a {type(dtrain).__name__} without parts on workers: give an xgboost.dask.DaskDMatrix or "
            "DaskQuantileDMatrix with rows; if it is one, this version of XGBoost keeps them elsewhere, so use "
            "DaskFocalClassifier"
        )
    counted = [
        client.submit(_totals_of_part, part, classes, workers=[worker], allow_other_workers=True, pure=False)
        for worker, part in parts
    ]
    return _summed_totals(client.gather(counted))


def _totals_of_part(part: Any, classes: int | None) -> ClassTotals | None:
    if not isinstance(part, dict) or "data" not in part:
        raise TypeError(
            f"a part of the DaskDMatrix is a {type(part).__name__}, not a dictionary with 'data': this version of "
            "XGBoost keeps its parts in another way, so use DaskFocalClassifier"
        )
    if part.get("label") is None:
        raise ValueError("dtrain has no labels: give DaskDMatrix(..., label=y) with y of 0 and 1")
    y, weight = np.asarray(part["label"]), part.get("weight")
    if y.shape[0] == 0:
        return None
    y = y.ravel() if y.size == y.shape[0] else y
    return ClassTotals.of_part(y, None if weight is None else np.asarray(weight).ravel(), classes=classes)


def _summed_totals(parts: Sequence[ClassTotals | None]) -> ClassTotals:
    """Add up the totals of parts, of which None has no rows."""
    counted = [part for part in parts if part is not None]
    if not counted:
        raise ValueError("there are no rows on any worker: give data with rows of at least two classes")
    most = max(counted, key=lambda part: part.positive.size)
    if most.kind == "multiclass" and any(
        part.kind != "multiclass" or part.positive.size != most.positive.size for part in counted
    ):
        return most  # one part has found classes that nobody has announced, which is an error that names their number
    positive, negative = (
        np.sum([getattr(part, name) for part in counted], axis=0) for name in ("positive", "negative")
    )
    return ClassTotals(positive, negative, most.kind)


def _require_blocking(client: distributed.Client) -> None:
    if not isinstance(client, distributed.Client):
        raise TypeError(f"client={client!r} is a {type(client).__name__}: give a distributed.Client")
    if client.asynchronous:
        raise ValueError("an asynchronous client cannot be waited for here: give Client(...) without asynchronous=True")


# ---- the scikit-learn way ----


class DaskFocalClassifier(FocalClassifier):
    """`FocalClassifier` for Dask collections: it trains on a cluster, and predicts lazily.

    Parameters
    ----------
    estimator : DaskXGBClassifier, DaskLGBMClassifier or None, default None
        The engine with its parameters; it is cloned, never changed. None: `DaskXGBClassifier`.
    loss, hessian, max_step, normalize, class_weight
        As for `FocalClassifier`.
    client : distributed.Client or None, default None
        None: the client of the estimator, or else the current one. It is not part of a pickled classifier.

    Attributes
    ----------
    estimator_ : DaskXGBClassifier or DaskLGBMRegressor
        The fitted engine. `DaskLGBMClassifier` numbers the labels by those that each worker has, which is wrong where
        a worker lacks one; the regressor takes them as they are, and grows the same trees.
    loss_, link_, classes_, n_features_in_, feature_names_in_, evals_result_, best_iteration_
        As for `FocalClassifier`.

    Notes
    -----
    `predict_proba`, `decision_function` and `predict` of a Dask array or data frame return a Dask array of the same
    partitions, and compute nothing; any Dask scheduler can, and no cluster is needed. Of anything else they return
    what `FocalClassifier` does. Several labels a row need XGBoost.

    Examples
    --------
    >>> from gbm_focal import FocalLoss
    >>> from gbm_focal.dask import DaskFocalClassifier
    >>> DaskFocalClassifier(loss=FocalLoss(gamma=1))
    DaskFocalClassifier(loss=FocalLoss(gamma=1))
    """

    def __init__(
        self,
        estimator: Any = None,
        loss: Loss | None = None,
        *,
        hessian: Hessian = "fisher",
        max_step: float | None = 2.0,
        normalize: bool = True,
        class_weight: Mapping[Any, float] | str | None = None,
        client: distributed.Client | None = None,
    ) -> None:
        super().__init__(
            estimator, loss, hessian=hessian, max_step=max_step, normalize=normalize, class_weight=class_weight
        )
        self.client = client

    def __sklearn_clone__(self) -> DaskFocalClassifier:
        """Copy the parameters, and share the client, which has no copies."""
        given = self.get_params(deep=False)
        client, estimator = given.pop("client"), given.pop("estimator")
        copied = {name: clone(value, safe=False) for name, value in given.items()}
        return type(self)(None if estimator is None else _copied(estimator), client=client, **copied)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {**state, "client": None}

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        eval_set: list[tuple[Any, Any]] | None = None,
        *,
        eval_metric: Any = None,
        eval_sample_weight: list[Any] | None = None,
        **fit_params: Any,
    ) -> DaskFocalClassifier:
        """Fit the engine on all workers that have data.

        Parameters
        ----------
        X : dask.array.Array or dask.dataframe.DataFrame of shape (n, features)
            In parts by rows, each with all columns. It is read more than once, so persist it if that is dear.
        y : dask.array.Array, Series or DataFrame of shape (n,), or (n, L) of 0 and 1
            Labels of any type, or an indicator matrix, in the same parts.
        sample_weight : dask.array.Array or Series of shape (n,), optional
            Non-negative weights, in the same parts.
        eval_set : list of (X, y), optional
            Evaluation sets, with XGBoost only: LightGBM would look at each worker's own rows.
        eval_metric, eval_sample_weight, **fit_params
            As for `FocalClassifier.fit`.

        Returns
        -------
        DaskFocalClassifier

        Raises
        ------
        ValueError, TypeError
            If an input or parameter is invalid, or contradicts the loss.
        """
        client = self._client()
        with client.as_current():  # which both engines ask for the client
            super().fit(
                X,
                y,
                sample_weight,
                eval_set,
                eval_metric=eval_metric,
                eval_sample_weight=eval_sample_weight,
                **fit_params,
            )
        return self

    def predict_proba(self, X: Any) -> Any:
        """Posterior probabilities, as `FocalClassifier.predict_proba`; lazy for Dask collections."""
        return self._predicted("predict_proba", X)

    def predict_log_proba(self, X: Any) -> Any:
        """Logarithms of `predict_proba`; lazy for Dask collections."""
        return self._predicted("predict_log_proba", X)

    def decision_function(self, X: Any) -> Any:
        """Log-odds of the decision, as `FocalClassifier.decision_function`; lazy for Dask collections."""
        return self._predicted("decision_function", X)

    def predict(self, X: Any) -> Any:
        """Labels; lazy for Dask collections."""
        return self._predicted("predict", X)

    def to_local(self) -> FocalClassifier:
        """Return the fitted classifier without Dask, for prediction, saving and explanation on one machine.

        Its `estimator_` is an `XGBClassifier`, or a `lightgbm.Booster`.
        """
        check_is_fitted(self)
        engine = self._engine_of(self.estimator_)
        settings = {} if self.estimator is None else self.estimator.get_params()
        settings = {name: value for name, value in settings.items() if name not in ("client", "coll_cfg")}
        local = FocalClassifier(
            engine.new_estimator(settings),
            self.loss,
            hessian=self.hessian,
            max_step=self.max_step,
            normalize=self.normalize,
            class_weight=self.class_weight,
        )
        for name, value in vars(self).items():
            if name.endswith("_") and name != "estimator_":
                setattr(local, name, value)
        local.estimator_ = engine.estimator_from_bytes(engine.model_bytes_of(self.estimator_), settings)
        return local

    # ---- inside ----

    def _client(self) -> distributed.Client:
        client = self.client or getattr(self.estimator, "client", None) or distributed.default_client()
        _require_blocking(client)
        return client

    def _engine(self) -> tuple[ModuleType, Any]:
        if self.estimator is None:
            engine = importlib.import_module(f"{__package__}.xgboost")
            return engine, importlib.import_module("xgboost.dask").DaskXGBClassifier()
        engine = self._engine_of(self.estimator)
        kind = type(self.estimator).__name__
        if kind not in ("DaskXGBClassifier", "DaskLGBMClassifier"):
            raise TypeError(
                f"estimator={self.estimator!r} is a {kind}: give a DaskXGBClassifier or a DaskLGBMClassifier"
            )
        if kind == "DaskXGBClassifier":
            return engine, clone(self.estimator)
        settings = self.estimator.get_params()
        settings.pop("client")
        return engine, importlib.import_module("lightgbm").DaskLGBMRegressor(**settings)

    @staticmethod
    def _engine_of(estimator: Any) -> ModuleType:
        names = {kind.__module__.partition(".")[0] for kind in type(estimator).__mro__}
        for name in ("xgboost", "lightgbm"):
            if name in names:
                return importlib.import_module(f"{__package__}.{name}")
        raise TypeError(
            f"estimator={estimator!r} is a {type(estimator).__name__}: give a DaskXGBClassifier or a DaskLGBMClassifier"
        )

    def _plan(self, **content: Any) -> Plan:
        if content["eval_set"] and "LGBM" in type(self.estimator).__name__:
            raise ValueError(
                "eval_set is not possible with LightGBM on Dask, because each worker would evaluate, and stop on, its "
                "own rows: use DaskXGBClassifier, or evaluate predict_proba after training"
            )
        return _DaskPlan(**content, client=self._client())

    def _training_data(self, engine: ModuleType, X: Any, y: Any, sample_weight: Any) -> TrainingData:
        columns, names = _columns_of(X)
        _require_alike(X, y=y, sample_weight=sample_weight)
        y_parts = _parts("y", y)
        weight_parts = _parts("sample_weight", sample_weight) or [None] * len(y_parts)
        self.n_features_in_ = columns
        self.__dict__.pop("feature_names_in_", None)
        if names is not None:
            self.feature_names_in_ = names
        client = self._client()
        counted = client.gather(
            client.compute([dask.delayed(_labels_of_part)(*pair) for pair in zip(y_parts, weight_parts, strict=True)])
        )
        kept = [number for number, part in enumerate(counted) if part.rows]
        if not kept:
            raise ValueError("X and y have no rows in any of their parts: give rows of at least two classes")
        if len(kept) < len(counted):  # an engine's worker may not start with nothing but parts without rows
            X = X.partitions[kept] if isinstance(X, dask.dataframe.DataFrame) else X.blocks[kept]
            counted, y_parts, weight_parts = (
                [parts[number] for number in kept] for parts in (counted, y_parts, weight_parts)
            )
        rows = [part.rows for part in counted]
        labels = _Labels.of(counted)
        if labels.kind == "multilabel" and "lightgbm" in engine.__name__:
            raise ValueError("several labels a row are not possible with LightGBM on Dask: use DaskXGBClassifier")
        by_class = labels.weights_of(self.class_weight)
        tail = (len(labels.classes),) if labels.kind == "multilabel" else ()
        encoded_parts = [dask.delayed(_encoded_part)(part, labels.encoder, len(labels.classes)) for part in y_parts]
        encoded = _array(encoded_parts, rows, tail, np.float32)
        weight = None
        if sample_weight is not None or by_class is not None:
            weighted = [
                dask.delayed(_weights_of_part)(w, part, by_class)
                for w, part in zip(weight_parts, encoded_parts, strict=True)
            ]
            weight = _array(weighted, rows, (), np.float64)

        def encoded_alike(X_eval: Any, y_eval: Any) -> tuple[Any, Any]:
            _columns_of(X_eval)
            _require_alike(X_eval, y=y_eval)
            parts = _parts("y", y_eval)
            alike = [dask.delayed(_encoded_part)(part, labels.encoder, len(labels.classes)) for part in parts]
            return X_eval, _array(alike, _rows_of(X_eval), tail, np.float32)

        return TrainingData(X, encoded, weight, labels.totals(by_class), labels.classes, encoded_alike)

    def _predicted(self, method: str, X: Any) -> Any:
        local = self.to_local()
        if not isinstance(X, dask.array.Array | dask.dataframe.DataFrame):
            return getattr(local, method)(X)
        _columns_of(X)
        kind: Any = np.float64
        if method == "predict":
            kind = np.int64 if self.link_.kind == "multilabel" else self.classes_.dtype
        one_a_row = method == "predict" if self.link_.kind == "multiclass" else not method.endswith("proba")
        tail = () if one_a_row and self.link_.kind != "multilabel" else (len(self.classes_),)
        return _mapped(X, _OnPart(local, method, tail, kind), tail, kind)


class _OnPart:
    """A method of a fitted classifier, applied to one part of a Dask collection."""

    def __init__(self, local: FocalClassifier, method: str, tail: tuple[int, ...], kind: Any) -> None:
        self.local = local
        self.method = method
        self.tail = tail
        self.kind = kind

    def __call__(self, X: Any) -> Array:
        if X.shape[0] == 0:
            return np.empty((0, *self.tail), self.kind)
        predicted: Array = getattr(self.local, self.method)(X)
        return predicted.astype(self.kind, copy=False)


@dataclass(frozen=True)
class _DaskPlan(Plan):
    """A plan whose margins and weights are Dask collections."""

    client: Any = None

    def _fitted_link(self, loss: Loss, margin: Any, offset: ArrayLike) -> Link:
        weights = _parts("sample_weight", self.sample_weight)
        margins = _parts("margin", margin)
        if self.sample_weight is None:
            weights = [None] * len(margins)
        # The posteriors stay where the margins are; a step of the search brings two sums of each part here.
        held = self.client.compute(
            [
                dask.delayed(_posterior_and_weight)(loss, self.totals.kind, part, weight, offset)
                for part, weight in zip(margins, weights, strict=True)
            ]
        )
        return Link.fitted_to_sums(loss, self.totals, _over(self.client, held))


def _over(client: distributed.Client, held: list[Any]) -> OverParts:
    def over_parts(sums: Callable[[Array, Array | None], Array]) -> Array:
        parts = [client.submit(_sums_of_pair, sums, part, pure=False) for part in held]
        total: Array = np.sum(client.gather(parts), axis=0)
        return total

    return over_parts


def _posterior_and_weight(
    loss: Loss, kind: Any, margin: Any, weight: Array | None, offset: ArrayLike
) -> tuple[Array, Array | None]:
    return posterior_of_training(loss, kind, np.asarray(margin), offset), weight


def _sums_of_pair(sums: Callable[[Array, Array | None], Array], pair: tuple[Array, Array | None]) -> Array:
    return sums(*pair)


@dataclass(frozen=True)
class _LabelCounts:
    """Labels of one part, with the number and the total weight of each; or the class totals of indicators."""

    rows: int
    labels: Array
    counts: Array
    weights: Array
    totals: ClassTotals | None = None


def _labels_of_part(y: Any, weight: Any) -> _LabelCounts:
    y = plain_labels(y)
    rows = int(y.shape[0])
    weight = None if weight is None else _weights_of_part(weight, y, None)
    if y.ndim == 2 and y.shape[1] > 1:
        totals = ClassTotals.of_part(indicators(y), weight) if rows else None
        return _LabelCounts(rows, np.arange(2), np.zeros(2), np.zeros(2), totals)
    y = y.ravel()
    if rows:
        check_classification_targets(y)
    labels, place = np.unique(y, return_inverse=True)
    counts, weights = (np.bincount(place, w, minlength=labels.size).astype(np.float64) for w in (None, weight))
    return _LabelCounts(rows, labels, counts, weights)


@dataclass(frozen=True)
class _Labels:
    """Labels of all parts."""

    kind: Any
    classes: Any
    encoder: LabelEncoder | None
    counts: Array  # rows and weight of each class
    weights: Array
    indicators: ClassTotals | None = None

    @classmethod
    def of(cls, parts: Sequence[_LabelCounts]) -> _Labels:
        if any(part.totals is not None for part in parts):
            totals = _summed_totals([part.totals for part in parts])
            classes = [np.arange(2)] * totals.positive.size
            return cls("multilabel", classes, None, np.zeros(0), np.zeros(0), totals)
        encoder = LabelEncoder().fit(np.concatenate([part.labels for part in parts]))
        classes = encoder.classes_
        if len(classes) < 2:
            raise ValueError(f"y holds a single class, {classes[0]!r}: a classifier needs more than one class")
        counts, weights = np.zeros(len(classes)), np.zeros(len(classes))
        for part in parts:
            where = encoder.transform(part.labels)
            counts[where] += part.counts
            weights[where] += part.weights
        return cls("multiclass" if len(classes) > 2 else "binary", classes, encoder, counts, weights)

    def weights_of(self, class_weight: Any) -> Array | None:
        """Weight of each class, as scikit-learn's `class_weight` says."""
        if class_weight is None:
            return None
        if self.kind == "multilabel":
            raise ValueError(f"class_weight={class_weight!r} is not possible for several labels a row: use loss alpha")
        if isinstance(class_weight, str):
            if class_weight != "balanced":
                raise ValueError(f"class_weight={class_weight!r} is not known: give a dict, 'balanced' or None")
            balanced: Array = self.counts.sum() / (len(self.classes) * self.counts)
            return balanced
        labels = self.classes.tolist()
        unknown = [label for label in class_weight if label not in labels]
        if unknown:
            raise ValueError(f"class_weight has the label {unknown[0]!r}, but y holds only {labels!r}")
        return np.array([float(class_weight.get(label, 1.0)) for label in labels])

    def totals(self, by_class: Array | None) -> ClassTotals:
        """Class totals, after `class_weight`."""
        if self.indicators is not None:
            return self.indicators
        weights = self.weights if by_class is None else self.weights * by_class
        if self.kind == "binary":
            return ClassTotals(weights[1:], weights[:1], "binary")
        return ClassTotals(weights, weights.sum() - weights, "multiclass")


def _encoded_part(y: Any, encoder: LabelEncoder | None, columns: int) -> Array:
    y = plain_labels(y)
    return encoded_as(y.ravel() if encoder is not None else y, encoder, columns).astype(np.float32)


def _weights_of_part(weight: Any, y: Array, by_class: Array | None) -> Array:
    """Weights of one part, checked, and multiplied with those of the classes of the encoded labels y."""
    array = np.ones(y.shape[0]) if weight is None else np.asarray(weight, np.float64)
    if array.size != y.shape[0]:
        raise ValueError(f"a part of sample_weight has shape {array.shape}, that of y {y.shape}: give one weight a row")
    array = array.ravel()
    check_rows(None, None, array)
    return array if by_class is None else array * by_class[y.astype(np.int64)]


# ---- Dask collections as lists of parts by rows ----


def _columns_of(X: Any) -> tuple[int, Array | None]:
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


def _require_alike(X: Any, **given: Any) -> None:
    for name, values in given.items():
        if values is None:
            continue
        parts = _parts(name, values)
        if len(parts) != X.npartitions:
            raise ValueError(
                f"X is in {X.npartitions} parts and {name} in {len(parts)}: give both the same parts by rows, for "
                "instance by rechunk or repartition"
            )
        rows = list(zip(_rows_of(X), _rows_of(values), strict=True))
        if any(a != b for a, b in rows if not np.isnan(a + b)):
            raise ValueError(
                f"the parts of X and {name} have rows {rows}: give both the same parts, for instance by rechunk"
            )


def _copied(estimator: Any) -> Any:
    """Clone an estimator; a client among its parameters, as LightGBM has it, is shared, for it has no copies."""
    settings = estimator.get_params()
    if "client" not in settings:
        return clone(estimator)
    client = settings.pop("client")
    return type(estimator)(client=client, **{name: clone(value, safe=False) for name, value in settings.items()})


def _parts(name: str, values: Any) -> list[Any]:
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


def _rows_of(X: Any) -> list[float]:
    """Rows of each part, NaN where Dask does not know them."""
    return list(X.chunks[0]) if isinstance(X, dask.array.Array) else [np.nan] * X.npartitions


def _array(parts: Sequence[Any], rows: Sequence[float], tail: tuple[int, ...], kind: Any) -> Any:
    arrays = [
        dask.array.from_delayed(part, shape=(number, *tail), dtype=kind)
        for part, number in zip(parts, rows, strict=True)
    ]
    return dask.array.concatenate(arrays, axis=0, allow_unknown_chunksizes=True)


def _mapped(X: Any, function: Callable[[Any], Array], tail: tuple[int, ...], kind: Any) -> Any:
    """Apply a function to each part, lazily; it is in the graph once."""
    shared = dask.delayed(function, pure=False)
    if not isinstance(X, dask.array.Array):
        return _array([shared(part) for part in _parts("X", X)], _rows_of(X), tail, kind)
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
