"""XGBoost's functions for Dask, on a loss."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import distributed
import numpy as np

from .._inputs import Array
from ..base_rates import Rates
from ..boosting import Plan, checked_totals
from ..link import Link
from ..losses import ClassTotals, Hessian, Loss, require_loss
from .labels import summed_totals
from .parts import mapped


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
    pseudo_count: float = 0.0,
    calibrate: bool = True,
    base_rate: Rates | None = None,
    **engine_kwargs: Any,
) -> dict[str, Any]:
    """Train a booster on a loss, as `xgboost.dask.train` does.

    Parameters
    ----------
    client : distributed.Client
        One that is not asynchronous.
    params, loss, hessian, max_step, normalize, pseudo_count, calibrate, base_rate
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
    # Here, because it needs XGBoost, and DaskFocalClassifier may do without.
    from xgboost import dask as xgboost_dask

    from ..xgboost.parameters import checked_parameters, classes_of
    from ..xgboost.training import arguments_of_training, warn_if_no_split

    require_loss(loss)
    require_blocking(client)
    settings = checked_parameters(params)
    if "obj" in engine_kwargs:
        raise ValueError("obj is made from loss here: leave it out, or call xgboost.dask.train(obj=Objective(loss))")
    if num_boost_round < 1:
        raise ValueError(f"num_boost_round={num_boost_round!r} trains nothing: give a number >= 1")
    classes = classes_of(settings)
    totals = checked_totals("dtrain", totals_of_matrix(client, dtrain, classes), classes)
    conditioning = {"hessian": hessian, "max_step": max_step, "normalize": normalize}
    plan = Plan(loss, totals, conditioning, pseudo_count, base_rate=base_rate)
    arguments = arguments_of_training(plan, settings, num_boost_round, calibrate, engine_kwargs)
    result: dict[str, Any] = xgboost_dask.train(client, dtrain=dtrain, num_boost_round=num_boost_round, **arguments)
    warn_if_no_split(result["booster"])
    return result


def xgboost_predict_proba(
    client: distributed.Client,
    model: Any,
    data: Any,
    *,
    loss: Loss | None = None,
    base_rate: Rates | None = None,
    **predict_kwargs: Any,
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
    base_rate : float, array-like or dict, optional
        As for `gbm_focal.xgboost.predict_proba`.
    **predict_kwargs
        For `xgboost.dask.predict`; by default `iteration_range` ends at the best iteration.

    Returns
    -------
    dask.array.Array of shape (n, 2) with the probabilities of 0 and 1; (n, K) of K classes; (n, L) of 1 for L labels
        Nothing is computed before it is asked for.

    Raises
    ------
    ValueError
        If the booster does not know its loss, and none is given; or its base rate, which version 0.1 did not store.
    """
    from xgboost import dask as xgboost_dask

    from ..xgboost.training import best_iterations, link_of

    booster = model["booster"] if isinstance(model, dict) else model
    link = link_of(booster, loss)
    if base_rate is not None:
        link = link.at_base_rate(base_rate)
    predict_kwargs.setdefault("iteration_range", best_iterations(booster))
    margin = xgboost_dask.predict(client, booster, data, output_margin=True, **predict_kwargs)
    columns = margin.shape[1] if margin.ndim == 2 else 2
    return mapped(margin, functools.partial(_probabilities, link, columns), (columns,), np.float32)


def _probabilities(link: Link, columns: int, margin: Any) -> Array:
    margin = np.asarray(margin)
    return link.probabilities(margin) if margin.shape[0] else np.empty((0, columns), np.float32)


def totals_of_matrix(client: distributed.Client, dtrain: Any, classes: int | None) -> ClassTotals:
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
    return summed_totals(client.gather(counted))


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


def require_blocking(client: distributed.Client) -> None:
    """Raise unless this is a client whose results can be waited for."""
    if not isinstance(client, distributed.Client):
        raise TypeError(f"client={client!r} is a {type(client).__name__}: give a distributed.Client")
    if client.asynchronous:
        raise ValueError("an asynchronous client cannot be waited for here: give Client(...) without asynchronous=True")
