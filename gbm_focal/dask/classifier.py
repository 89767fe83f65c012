"""DaskFocalClassifier: `FocalClassifier` for data that lie in parts on several workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import dask
import dask.array
import dask.dataframe
import distributed
import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from .._inputs import Array
from ..base_rates import Rates
from ..boosting import ENGINES, Engines, Plan, Processes
from ..classifier import FocalClassifier, TrainingData
from ..labels import Labels
from ..link import Link, OverParts, posterior_of_training
from ..losses import Hessian, Loss
from .labels import DaskLabels, encoded_part, labels_of_part, weights_of_part
from .parts import array_of_parts, columns_of, mapped, parts_of, require_alike, rows_of
from .training import require_blocking


class DaskFocalClassifier(FocalClassifier):
    """`FocalClassifier` for Dask collections: it trains on a cluster, and predicts lazily.

    Parameters
    ----------
    estimator : DaskXGBClassifier, DaskLGBMClassifier or None, default None
        The engine with its parameters; it is cloned, never changed. None: `DaskXGBClassifier` if XGBoost is
        installed, else `DaskLGBMClassifier`.
    loss, hessian, max_step, normalize, pseudo_count, class_weight, pos_label, base_rate
        As for `FocalClassifier`.
    client : distributed.Client or None, default None
        None: the client of the estimator, or else the current one. It is not part of a pickled classifier.

    Attributes
    ----------
    estimator_ : DaskXGBClassifier or DaskLGBMRegressor
        The fitted engine. `DaskLGBMClassifier` numbers the labels by those that each worker has, which is wrong where
        a worker lacks one; the regressor takes them as they are, and grows the same trees.
    loss_, link_, classes_, pos_label_, base_rate_, n_features_in_, feature_names_in_, evals_result_, best_iteration_
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

    _engines = Engines(
        {"xgboost": "gbm_focal.dask.xgboost", "lightgbm": "gbm_focal.dask.lightgbm"},
        "a DaskXGBClassifier or a DaskLGBMClassifier",
    )

    def __init__(
        self,
        estimator: Any = None,
        loss: Loss | None = None,
        *,
        hessian: Hessian = "fisher",
        max_step: float | None = 2.0,
        normalize: bool = True,
        pseudo_count: float = 0.0,
        class_weight: Mapping[Any, float] | str | None = None,
        pos_label: Any = None,
        base_rate: Rates | None = None,
        client: distributed.Client | None = None,
    ) -> None:
        super().__init__(
            estimator,
            loss,
            hessian=hessian,
            max_step=max_step,
            normalize=normalize,
            pseudo_count=pseudo_count,
            class_weight=class_weight,
            pos_label=pos_label,
            base_rate=base_rate,
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
        if fit_params.get("eval_class_weight") is not None:
            raise ValueError(
                "eval_class_weight is not possible on Dask: give eval_sample_weight, a Dask array for each of the sets"
            )
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
        settings = {} if self.estimator is None else self.estimator.get_params()
        settings = {name: value for name, value in settings.items() if name not in ("client", "coll_cfg")}
        engine = ENGINES.named(self._engines.of_model(self.estimator_).name)
        local = FocalClassifier(
            engine.new_estimator(settings),
            self.loss,
            hessian=self.hessian,
            max_step=self.max_step,
            normalize=self.normalize,
            pseudo_count=self.pseudo_count,
            class_weight=self.class_weight,
            pos_label=self.pos_label,
            base_rate=self.base_rate,
        )
        for name, value in vars(self).items():
            if name.endswith("_") and name != "estimator_":
                setattr(local, name, value)
        local.estimator_ = engine.from_bytes(engine.to_bytes(self.estimator_), settings)
        return local

    # ---- inside ----

    def _client(self) -> distributed.Client:
        client = self.client or getattr(self.estimator, "client", None) or distributed.default_client()
        require_blocking(client)
        return client

    def _plan(self, **content: Any) -> Plan:
        return _DaskPlan(**content, client=self._client())

    def _training_data(self, X: Any, y: Any, sample_weight: Any) -> TrainingData:
        columns, names = columns_of(X)
        require_alike(X, y=y, sample_weight=sample_weight)
        y_parts = parts_of("y", y)
        weight_parts = parts_of("sample_weight", sample_weight) or [None] * len(y_parts)
        self.n_features_in_ = columns
        self.__dict__.pop("feature_names_in_", None)
        if names is not None:
            self.feature_names_in_ = names
        client = self._client()
        counted = client.gather(
            client.compute([dask.delayed(labels_of_part)(*pair) for pair in zip(y_parts, weight_parts, strict=True)])
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
        labels = DaskLabels.of(counted)
        labels = replace(labels, positive=labels.place_of(self.pos_label))
        by_class = labels.weights_of(self.class_weight)
        encoded_parts = [dask.delayed(encoded_part)(part, labels) for part in y_parts]
        encoded = array_of_parts(encoded_parts, rows, _tail_of(labels), np.float32)
        weight = None
        if sample_weight is not None or by_class is not None:
            by_code = by_class if by_class is None or labels.positive == 1 else by_class[::-1]
            weighted = [
                dask.delayed(weights_of_part)(w, part, by_code)
                for w, part in zip(weight_parts, encoded_parts, strict=True)
            ]
            weight = array_of_parts(weighted, rows, (), np.float64)

        return TrainingData(X, encoded, weight, labels.totals(by_class), labels)

    def _evaluation_data(self, labels: Labels, X: Any, y: Any) -> tuple[Any, Any]:
        columns_of(X)
        require_alike(X, y=y)
        encoded = [dask.delayed(encoded_part)(part, labels) for part in parts_of("y", y)]
        return X, array_of_parts(encoded, rows_of(X), _tail_of(labels), np.float32)

    def _predicted(self, method: str, X: Any) -> Any:
        local = self.to_local()
        if not isinstance(X, dask.array.Array | dask.dataframe.DataFrame):
            return getattr(local, method)(X)
        columns_of(X)
        kind: Any = np.float64
        if method == "predict":
            kind = np.int64 if self.link_.kind == "multilabel" else self.classes_.dtype
        one_a_row = method == "predict" if self.link_.kind == "multiclass" else not method.endswith("proba")
        tail = () if one_a_row and self.link_.kind != "multilabel" else (len(self.classes_),)
        return mapped(X, _OnPart(local, method, tail, kind), tail, kind)


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

    def fitted_link(self, loss: Loss, margin: Any, weight: Any, offset: ArrayLike, processes: Processes) -> Link:
        """Fit the link where the margins lie: a step of the search brings two sums of each part here."""
        margins = parts_of("margin", margin)
        weights = parts_of("sample_weight", weight) or [None] * len(margins)
        held = self.client.compute(
            [
                dask.delayed(_posterior_and_weight)(loss, self.totals.kind, part, of_part, offset)
                for part, of_part in zip(margins, weights, strict=True)
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


def _tail_of(labels: Labels) -> tuple[int, ...]:
    """Shape of the labels of one row."""
    return (len(labels.classes),) if labels.kind == "multilabel" else ()


def _copied(estimator: Any) -> Any:
    """Clone an estimator; a client among its parameters, as LightGBM has it, is shared, for it has no copies."""
    settings = estimator.get_params()
    if "client" not in settings:
        return clone(estimator)
    client = settings.pop("client")
    return type(estimator)(client=client, **{name: clone(value, safe=False) for name, value in settings.items()})
