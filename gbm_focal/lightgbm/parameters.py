"""LightGBM's parameters: their other names, and what contradicts a loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..boosting import NO_METRIC, Plan

# Metrics of the order of the margins: right whatever the link is.
_RANKING_METRICS = NO_METRIC | {"auc", "average_precision"}
ALIASES = {
    "objective": ("objective", "objective_type", "app", "application", "loss"),
    "boosting": ("boosting", "boosting_type", "boost"),
    "metric": ("metric", "metrics", "metric_types"),
    "is_unbalance": ("is_unbalance", "unbalance", "unbalanced_sets"),
    "early_stopping_round": ("early_stopping_round", "early_stopping_rounds", "early_stopping", "n_iter_no_change"),
    "linear_tree": ("linear_tree", "linear_trees"),
    "lambda_l2": ("lambda_l2", "reg_lambda", "lambda"),
    "num_class": ("num_class", "num_classes"),
    "scale_pos_weight": ("scale_pos_weight",),
    "sigmoid": ("sigmoid",),
    "pos_bagging_fraction": ("pos_bagging_fraction", "pos_sub_row", "pos_subsample", "pos_bagging"),
    "neg_bagging_fraction": ("neg_bagging_fraction", "neg_sub_row", "neg_subsample", "neg_bagging"),
}


def checked_parameters(params: Mapping[str, Any], of_data_set: Mapping[str, Any]) -> dict[str, Any]:
    """Return LightGBM's parameters by their first names, without an objective, or raise if one contradicts a loss.

    `of_data_set` are those that a data set was made with.
    """
    settings = dict(params)

    def take(name: str, default: Any) -> Any:
        given = {alias: settings.pop(alias) for alias in ALIASES[name] if alias in settings}
        if len(given) > 1:
            raise ValueError(f"{' and '.join(map(repr, given))} are one parameter: give it once")
        value = next(iter(given.values()), None)
        return default if value is None else value

    classes = int(take("num_class", 1))
    if classes > 1:
        settings["num_class"] = classes
    objective = take("objective", None)
    if objective not in (None, "binary" if classes == 1 else "multiclass"):
        raise ValueError(f"objective={objective!r} contradicts loss=: leave it out, the loss is the objective")
    boosting = take("boosting", "gbdt")
    if boosting in ("rf", "random_forest"):
        raise ValueError(
            f"boosting={boosting!r} is not possible with a loss of its own, because LightGBM's random forest takes no "
            "starting margin: use 'gbdt' or 'dart'"
        )
    if _is_on(take("linear_tree", False)) or any(_is_on(of_data_set.get(name)) for name in ALIASES["linear_tree"]):
        raise ValueError(
            "linear_tree=True is not possible here, because the intercept, kept in the leaves of the first tree, "
            "would be ignored in prediction: leave linear_tree out"
        )
    if _is_on(take("is_unbalance", False)):
        raise ValueError(
            "is_unbalance=True has no effect on a custom objective: give the loss alpha='balanced' instead"
        )
    sigmoid = take("sigmoid", 1)
    if float(sigmoid) != 1:
        raise ValueError(f"sigmoid={sigmoid!r} has no effect on a custom objective: leave it out")
    for name in ("scale_pos_weight", "pos_bagging_fraction", "neg_bagging_fraction"):
        value = take(name, 1)
        if float(value) != 1:
            raise ValueError(
                f"{name}={value!r} has no effect on a custom objective: give the loss alpha instead, a number or "
                "'balanced'"
            )
    if _is_on(settings.get("feature_pre_filter")):
        raise ValueError(
            "feature_pre_filter=True makes LightGBM fail in its core under a custom objective when it leaves no "
            "feature: leave it out"
        )
    metric = take("metric", "None")
    metrics = metric.split(",") if isinstance(metric, str) else list(metric)
    for one in metrics:
        if classes > 1 and str(one).strip().lower() not in NO_METRIC:
            raise ValueError(
                f"metric={one!r} would take the margins for probabilities: leave it out for the loss itself, or use "
                "feval=Metric(loss, 'neg_log_loss') or another"
            )
        if str(one).strip().lower() not in _RANKING_METRICS:
            raise ValueError(
                f"metric={one!r} would take the margin for a probability: leave it out for the loss itself, or use "
                "auc or average_precision"
            )
    settings.update(boosting=boosting, metric=metric)
    return settings


def penalty(plan: Plan, given: Mapping[str, Any]) -> dict[str, float]:
    """Return the L2 penalty of leaves, with that of the plan."""
    name = next((alias for alias in ALIASES["lambda_l2"] if alias in given), "lambda_l2")
    return {name: float(given.get(name) or 0) + plan.penalty()}


def early_stopping_in(given: Mapping[str, Any]) -> str | None:
    """Return the name by which an estimator's parameters ask for early stopping, or None."""
    return next((alias for alias in ALIASES["early_stopping_round"] if int(given.get(alias) or 0) > 0), None)


def starts_at_zero(settings: Mapping[str, Any]) -> bool:
    """Whether the parameters forbid the intercept to start from."""
    return str(settings.get("boost_from_average", True)).lower() in ("false", "0", "-")


def drops_trees(settings: Mapping[str, Any]) -> bool:
    """Whether boosting is DART."""
    return any(settings.get(alias) == "dart" for alias in ALIASES["boosting"])


def require_no_training_margins(settings: Mapping[str, Any]) -> None:
    """Raise if the training data, evaluated after each round, would change the model.

    DART drops trees whenever training is asked for its margins, and puts them back in the next round, which after the
    last one never comes. Its own metrics do not ask, those in Python do.
    """
    if drops_trees(settings):
        raise ValueError(
            "boosting='dart' with the training data among the evaluation sets: LightGBM would drop trees from the "
            "finished model when a metric in Python asks for its margins; evaluate on other data, or after training"
        )


def _is_on(value: Any) -> bool:
    return str(value).lower() in ("true", "1", "+")
