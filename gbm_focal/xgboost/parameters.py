"""XGBoost's parameters: what contradicts a loss, and what the plan of a training puts there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xgboost
from scipy.special import expit

from ..boosting import Plan

# Metrics of the order of the margins: right whatever the link is.
_RANKING_METRICS = ("auc", "aucpr", "map", "ndcg", "pre")  # with an end such as "@5"
# Older versions have one base_score for all columns.
_LAMBDA = 1.0  # XGBoost's default
_HAS_VECTOR_BASE_SCORE = tuple(int(part) for part in xgboost.__version__.split(".")[:2]) >= (3, 1)


def checked_parameters(params: Mapping[str, Any] | Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return XGBoost's parameters with the objective that its own prediction goes by, or raise if one contradicts."""
    pairs = list(params.items()) if isinstance(params, Mapping) else list(params)
    given = [value for name, value in pairs if name == "eval_metric" and value is not None]
    metrics = [metric for value in given for metric in ([value] if isinstance(value, str) else value)]
    settings = {name: value for name, value in pairs if name != "eval_metric"}
    classes = int(settings.get("num_class") or 0)
    if classes < 2:
        settings.pop("num_class", None)
    objective = "multi:softprob" if classes > 1 else "binary:logistic"
    if settings.get("objective", objective) != objective:
        raise ValueError(
            f"objective={settings['objective']!r} contradicts loss=: leave it out, the loss is the objective"
        )
    if float(settings.get("scale_pos_weight") or 1) != 1:
        raise ValueError(
            f"scale_pos_weight={settings['scale_pos_weight']!r} has no effect on a custom objective: give the loss "
            "alpha instead, a number or 'balanced'"
        )
    for metric in metrics:
        if classes > 1:
            raise ValueError(
                f"eval_metric={metric!r} would take softmax(margin) for probabilities, which they are not under this "
                "loss: leave it out for the loss itself, or use custom_metric=Metric(loss, 'neg_log_loss') or another"
            )
        if str(metric).partition("@")[0] not in _RANKING_METRICS:
            raise ValueError(
                f"eval_metric={metric!r} would take sigmoid(margin) for a probability, which it is not under this "
                f"loss: leave it out for the loss itself, or use one of {', '.join(_RANKING_METRICS)}"
            )
    settings["objective"] = objective
    if metrics:
        settings["eval_metric"] = metrics
    else:
        settings["disable_default_eval_metric"] = True
    return settings


def classes_of(settings: Mapping[str, Any]) -> int | None:
    """Return num_class, if the parameters have it."""
    return int(settings.get("num_class") or 0) or None


def device_of(settings: Mapping[str, Any]) -> str | None:
    """Return where XGBoost shall train, as it is told by its parameters."""
    # XGBoost 2.1 to 3.0 still know older ways to ask for a GPU.
    number = settings.get("gpu_id")
    if settings.get("device"):
        return str(settings["device"])
    if settings.get("tree_method") == "gpu_hist" or (number is not None and int(number) >= 0):
        return f"cuda:{number or 0}"
    return None


def penalty(plan: Plan, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the L2 penalty of leaves, with that of the plan."""
    added = plan.penalty()
    if not added or given.get("booster") == "gblinear":  # whose penalty is of coefficients
        return {}
    name = next((name for name in ("lambda", "reg_lambda") if given.get(name) is not None), "reg_lambda")
    value = given.get(name)
    return {name: (_LAMBDA if value is None else float(value)) + added}


def base_score(plan: Plan) -> dict[str, Any]:
    """Return the parameter base_score, XGBoost's way of storing the intercept: its sigmoid, as float32."""
    totals, intercept = plan.totals, plan.intercepts()
    if totals.positive.size > 1 and not _HAS_VECTOR_BASE_SCORE:
        return {"base_score": 0.5}
    if totals.kind == "multiclass":  # of multi:softprob the margin itself
        return {"base_score": intercept.tolist()}
    score = expit(intercept)
    if not np.all((np.float32(score) > 0) & (np.float32(score) < 1)):
        raise ValueError(
            f"the intercept {intercept.tolist()} of {plan.loss_after(1)!r} is too far out for XGBoost's float32 "
            "base_score; choose milder parameters of the loss, or give base_score yourself"
        )
    return {"base_score": score.tolist() if totals.kind == "multilabel" else float(score[0])}
