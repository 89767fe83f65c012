"""Metrics by name, and what an engine must know of one: its name, its direction, how it is called."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from typing import Any

from sklearn.metrics import get_scorer, get_scorer_names, make_scorer

from .alerts import precision_at_alert_rate, recall_at_alert_rate, recall_at_precision
from .calibration import expected_calibration_error
from .skill import heidke_skill_score, true_skill_score


def _named(function: Callable[..., Any], name: str, **arguments: Any) -> Any:
    scorer = make_scorer(function, **arguments)
    scorer.__name__ = name  # under which the engines report it
    return scorer


# Scorers by name, for ``scoring=`` of scikit-learn and ``eval_metric=``; of all of them greater is better.
SCORERS: dict[str, Any] = {
    "true_skill_score": _named(true_skill_score, "true_skill_score"),
    "heidke_skill_score": _named(heidke_skill_score, "heidke_skill_score"),
    **{
        function.__name__: _named(function, function.__name__, response_method="predict_proba")
        for function in (recall_at_alert_rate, precision_at_alert_rate, recall_at_precision)
    },
    "neg_expected_calibration_error": _named(
        expected_calibration_error,
        "neg_expected_calibration_error",
        response_method="predict_proba",
        greater_is_better=False,
    ),
}


def scorer_of(metric: Any) -> Any:
    """Return a scorer of scikit-learn or of `gbm_focal.metrics`, by its name, or the scorer that was given.

    A name that is none's is a ValueError that lists those near it.
    """
    if not isinstance(metric, str):
        return metric
    if metric in SCORERS:
        return SCORERS[metric]
    try:
        return get_scorer(metric)
    except ValueError as error:
        near = difflib.get_close_matches(metric, [*get_scorer_names(), *SCORERS], n=3)
        meant = (
            f"did you mean {' or '.join(map(repr, near))}?" if near else "sklearn.metrics.get_scorer_names() has them"
        )
        message = f"metric={metric!r} is no scorer of scikit-learn or of gbm_focal.metrics.SCORERS: {meant}"
        raise ValueError(message) from error


def is_scorer(metric: Any) -> bool:
    """Whether a callable is a scorer(estimator, X, y), not a metric(y_true, y_score)."""
    parameters = list(inspect.signature(metric).parameters)
    return len(parameters) >= 3 and parameters[0] == "estimator"


def name_and_direction(metric: Any) -> tuple[str, bool]:
    """Name under which an engine reports a scorer, its name, or a metric; and whether greater is better.

    Scorers are always better when greater. A metric says so in its attribute `greater_is_better`, or by the end of its
    name; else it is a ValueError, and a TypeError what is neither a name nor a function.
    """
    if isinstance(metric, str):
        scorer_of(metric)
        return metric, True
    if not callable(metric):
        raise TypeError(
            f"metric={metric!r} is a {type(metric).__name__}: give the name of a scikit-learn scorer, or a function "
            "metric(y_true, y_score)"
        )
    if is_scorer(metric):
        return str(getattr(metric, "__name__", "score")), True
    if isinstance(metric, functools.partial):  # which has neither name nor direction of its own
        metric = metric.func
    name = str(getattr(metric, "__name__", type(metric).__name__))
    if hasattr(metric, "greater_is_better"):
        return name, bool(metric.greater_is_better)
    if name.endswith(("_score", "_auc", "auc", "precision", "recall")) and not name.startswith("threshold"):
        return name, True
    if name.endswith(("_loss", "_error", "_deviance", "_cost")):
        return name, False
    raise ValueError(
        f"metric={name} does not say whether greater is better: give the function an attribute greater_is_better, or "
        "let its name end with _score (greater is better), _loss or _error (smaller is)"
    )
