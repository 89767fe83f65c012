"""Scores for imbalanced problems: skill of forecasts, alerts within a budget, costs, and calibration.

They are called as scikit-learn's metrics are, and stand beside them: average precision, recall, Brier score and the
like are in `sklearn.metrics`. `SCORERS` holds them as scorers, for cross-validation and searches; both kinds are
evaluation metrics for early stopping as well, in `gbm_focal.xgboost.Metric`, `gbm_focal.lightgbm.Metric` and
``FocalClassifier.fit(eval_metric=...)``. Give other parameters by `functools.partial`:

>>> from functools import partial
>>> metric = partial(recall_at_alert_rate, alert_rate=0.05)

Conventions of all of them. A row counts as often as its sample weight says, so that rows of weight 0 are not there,
and whole weights are repetitions. Results do not depend on the order of the rows, also where scores are tied. What
has no value, such as recall without positives, is a ValueError and never NaN; so are NaN and infinity in the input.
"""

from __future__ import annotations

from .alerts import precision_at_alert_rate, recall_at_alert_rate, recall_at_precision
from .budgets import precision_at_top, recall_at_top
from .calibration import Reliability, expected_calibration_error, reliability_curve
from .costs import cost_optimal_threshold, expected_cost, least_cost_threshold, savings_score
from .scorers import SCORERS
from .skill import heidke_skill_score, true_skill_score
from .thresholds import threshold_at_alert_rate, threshold_at_precision, threshold_at_recall

__all__ = [
    "SCORERS",
    "Reliability",
    "cost_optimal_threshold",
    "expected_calibration_error",
    "expected_cost",
    "heidke_skill_score",
    "least_cost_threshold",
    "precision_at_alert_rate",
    "precision_at_top",
    "recall_at_alert_rate",
    "recall_at_precision",
    "recall_at_top",
    "reliability_curve",
    "savings_score",
    "threshold_at_alert_rate",
    "threshold_at_precision",
    "threshold_at_recall",
    "true_skill_score",
]
