"""New values for the leaves of a trained booster, from other data: what LightGBM's `refit` does for its own losses."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import ArrayLike

from .._inputs import Array, labels, on_host, real, weights
from ..base_rates import Rates
from ..boosting import Plan, checked_totals
from ..losses import ClassTotals, Hessian, Loss
from .model_text import complete, link_of, parameters_of, shrinkages_of
from .objective import Objective
from .parameters import starts_at_zero

_EPSILON = 1e-15  # that LightGBM adds to the Hessians of a leaf, which may have no rows


def refit(
    booster: lightgbm.Booster,
    data: Any,
    label: ArrayLike,
    decay_rate: float = 0.9,
    *,
    weight: ArrayLike | None = None,
    init_score: ArrayLike | None = None,
    loss: Loss | None = None,
    hessian: Hessian = "fisher",
    max_step: float | None = 2.0,
    normalize: bool = True,
    calibrate: bool = True,
    base_rate: Rates | None = None,
    **predict_kwargs: Any,
) -> lightgbm.Booster:
    """Fit the leaves of a booster to other data, and keep its splits, as `lightgbm.Booster.refit` does.

    Each leaf becomes ``decay_rate * old + (1 - decay_rate) * new``, where `new` is the Newton step of its rows in the
    other data, tree after tree. The intercept, which is part of the first tree's leaves, goes with them. `lambda_l1`,
    `lambda_l2`, `max_delta_step` and learning rates are those of the model. As in LightGBM's own, all rows count in
    every tree, and nothing else of the training is repeated: subsampling, `cat_l2`, quantised gradients, the trees that
    DART drops, monotone constraints.

    Parameters
    ----------
    booster : lightgbm.Booster
        One that `train` made, in this process or another. It stays as it is.
    data : anything that `Booster.predict` takes
    label : array-like of shape (n,), or (n, L) of several labels a row
        0 or 1, or classes 0 to K - 1.
    decay_rate : float in [0, 1], default 0.9
        Share of the old leaves: 1 leaves them as they are, 0 forgets them.
    weight : array-like of shape (n,), optional
    init_score : array-like of shape (n,) or (n, K), optional
        For a model that was trained from one: the margins to start at, without an intercept.
    loss : Loss, optional
        By default that of the booster, its alpha a number. Give it anew if a parameter is a schedule, of which the
        booster knows the last round only, or if alpha is a word and training shall balance the other data anew;
        decisions go by the word either way.
    hessian, max_step, normalize
        See `Objective`. The booster does not know them: give them as in training.
    calibrate : bool, default True
        Let the mean probability over `data` be their base rate, as in `train`.
    base_rate : float, or array-like of shape (K,) or (L,), optional
        Of the population that `predict_proba` is to be about, as in `train`; by default that of `data`.
    **predict_kwargs
        For `Booster.predict`, which finds the leaf of each row.

    Returns
    -------
    lightgbm.Booster

    Raises
    ------
    ValueError, TypeError
        If the booster does not know its loss, labels or weights are invalid, or the model has `path_smooth`.

    Warns
    -----
    RuntimeWarning
        If the model was trained under monotone constraints, which the new leaves may break.
    """
    decay_rate = real("decay_rate", decay_rate, "[0, 1]")
    link = link_of(booster)
    refitted = lightgbm.Booster(model_str=booster.model_to_string(num_iteration=-1))
    settings = parameters_of(refitted)
    if float(settings.get("path_smooth", 0)):
        raise ValueError("path_smooth ties a leaf to those above it, which a model does not keep: train anew")
    if any(sign not in "0," for sign in settings.get("monotone_constraints", "")):
        warnings.warn(
            "the model was trained under monotone_constraints, which refitted leaves may break, as in LightGBM's own "
            "refit: train anew if they must hold",
            RuntimeWarning,
            stacklevel=2,
        )
    columns = refitted.num_model_per_iteration()
    y = labels(on_host(label))
    weighted = weights(on_host(weight), y.shape[0])
    classes = columns if link.kind == "multiclass" else None
    totals = checked_totals("data", ClassTotals.of(y, weighted, classes=classes), classes)
    if (totals.kind, totals.positive.size) != (link.kind, columns):
        shape = f"(n, {columns})" if link.kind == "multilabel" else "(n,)"
        raise ValueError(f"label has shape {y.shape}: give {shape}, as in the training of the booster")
    leaves = np.asarray(refitted.predict(data, pred_leaf=True, **predict_kwargs)).astype(np.intp)
    leaves = leaves.reshape(leaves.shape[0], -1)
    if leaves.shape[0] != y.shape[0]:
        raise ValueError(f"label has {y.shape[0]} rows and data {leaves.shape[0]}: give one label for each row")
    plan = Plan(
        link.loss if loss is None else loss,
        totals,
        {"hessian": hessian, "max_step": max_step, "normalize": normalize},
        sample_weight=weighted,
        base_rate=base_rate,
    )
    from_intercept = init_score is None and not starts_at_zero(settings)
    start = plan.intercepts() if from_intercept else np.zeros(columns)
    margin = _starting_margin(init_score, start, y.shape[0])
    _refit_leaves(refitted, settings, leaves, plan, y, margin, start, decay_rate)
    known = (lambda: margin) if calibrate and init_score is None else None
    fitted = plan.link_after(leaves.shape[1] // columns, known, from_intercept=from_intercept and decay_rate == 0)
    if loss is None and link.alpha_follows_base_rate:  # its alpha is the number at which that training balanced
        fitted = replace(fitted, alpha_follows_base_rate=True, trained_base_rate=link.trained_base_rate)
    complete(refitted, fitted, np.zeros(columns))
    return refitted


def _starting_margin(init_score: ArrayLike | None, start: Array, rows: int) -> Array:
    shape = (rows,) if start.size == 1 else (rows, start.size)
    if init_score is None:
        return np.full(shape, start)
    margin = np.array(init_score, np.float64)
    if margin.shape != shape:
        raise ValueError(f"init_score has shape {margin.shape}: give {shape}, the shape of the margins")
    return margin


def _refit_leaves(
    booster: lightgbm.Booster,
    settings: Mapping[str, str],
    leaves: Array,
    plan: Plan,
    y: Array,
    margin: Array,
    start: Array,
    decay_rate: float,
) -> None:
    """Change the leaves tree by tree, and let the margins, which begin at the start, follow."""
    by_column = margin.reshape(margin.shape[0], -1)
    columns = start.size
    for tree, (shrinkage, number) in enumerate(shrinkages_of(booster)):
        iteration, column = divmod(tree, columns)
        if column == 0:
            objective = Objective(plan.loss.at_round(iteration), **plan.conditioning)
            objective.fixed_on(plan.totals, np.zeros(columns))
            gradient, hessian = (
                derivative.reshape(by_column.shape)
                for derivative in objective.derivatives(y, margin, plan.sample_weight)
            )
        of_row = leaves[:, tree]
        new = shrinkage * _leaf_values(
            np.bincount(of_row, gradient[:, column], number),
            np.bincount(of_row, hessian[:, column], number),
            settings,
        )
        start_here = start[column] if iteration == 0 else 0.0
        old = np.array([booster.get_leaf_output(tree, leaf) for leaf in range(number)])
        output = decay_rate * old + (1 - decay_rate) * (start_here + new)
        for leaf, value in enumerate(output.tolist()):
            booster.set_leaf_output(tree, leaf, value)
        by_column[:, column] += (output - start_here)[of_row]


def _leaf_values(gradient: Array, hessian: Array, settings: Mapping[str, str]) -> Array:
    """Return LightGBM's value of leaves with these sums of derivatives, before the learning rate."""
    l1, l2, largest = (float(settings.get(name, 0)) for name in ("lambda_l1", "lambda_l2", "max_delta_step"))
    beyond_l1 = np.sign(gradient) * np.maximum(np.abs(gradient) - l1, 0)
    values: Array = -beyond_l1 / (hessian + _EPSILON + l2)
    return np.clip(values, -largest, largest) if largest > 0 else values
