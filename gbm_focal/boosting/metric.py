"""A loss, or any metric of its posteriors, as an evaluation metric: the same number whoever trains together."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin

from .._inputs import Array, check_rows
from ..kernels import cuda
from ..link import Link
from ..losses import ClassTotals, Kind, Loss, require_loss
from ..metrics.scorers import is_scorer, name_and_direction, scorer_of
from .processes import ALONE, labels_of_engine, totals_of_engine, weights_of_engine

_Self = TypeVar("_Self", bound="BaseMetric")

NO_METRIC = frozenset(("none", "null", "na", "custom", ""))  # LightGBM's words for it
# What the engines call the metrics that scikit-learn has as well.
_SCORERS = {
    **dict.fromkeys(("logloss", "mlogloss", "binary_logloss", "multi_logloss", "log_loss"), "neg_log_loss"),
    **dict.fromkeys(("error", "merror", "binary_error", "multi_error"), "accuracy"),
    "aucpr": "average_precision",
}


def metric_named(metric: Any, kind: Kind) -> Any:
    """Translate an engine's name of a metric into scikit-learn's; None stands for the loss."""
    if isinstance(metric, list | tuple):
        if len(metric) > 1:
            raise ValueError(f"eval_metric={metric!r} names {len(metric)} metrics: give the one to stop on")
        metric = metric[0] if metric else None
    if isinstance(metric, str) and metric.lower() in NO_METRIC:
        return None
    if metric == "auc":
        return "roc_auc_ovr" if kind == "multiclass" else "roc_auc"
    return _SCORERS.get(metric, metric) if isinstance(metric, str) else metric


class BaseMetric:
    """The weighted mean of a loss, or another metric of its posteriors; parameters as in the engines' `Metric`."""

    processes = ALONE
    _unit: float | None = None  # of the loss, where it is that of the training data
    _latest: tuple[Any, float] | None = None  # else for which totals it was sought, and what it was

    def __init__(self, loss: Loss, metric: str | Callable[..., Any] | None = None) -> None:
        require_loss(loss)
        self.loss = loss
        self.metric = metric
        self._offset: Array = np.zeros(1)
        self._name, self._greater_is_better = _name_and_direction(loss, metric)

    @property
    def greater_is_better(self) -> bool:
        """Whether the score is to be maximised."""
        return self._greater_is_better

    def __repr__(self) -> str:
        """Show the parameters, as scikit-learn does."""
        metric = "" if self.metric is None else f", {self.metric!r}"
        return f"{type(self).__name__}({self.loss!r}{metric})"

    def starting_at(self: _Self, offset: Array) -> _Self:
        """Add `offset` to all margins."""
        self._offset = offset
        return self

    def relative_to(self: _Self, totals: ClassTotals) -> _Self:
        """Take as unit what the loss, whose alpha is a number, is at the base rate of these totals."""
        if self.metric is None:
            self._unit = _unit(self.loss.at_round(np.inf), totals)
        return self

    def score(self, y: ArrayLike, margin: Array, sample_weight: Any) -> float:
        """Weighted mean of the loss over all rows (and columns) in its unit, or the metric of the posteriors."""
        y = labels_of_engine(y, margin)
        weight = weights_of_engine(sample_weight)

        def totals() -> ClassTotals:
            return totals_of_engine(y, margin, weight, self.processes)

        if self.metric is not None:
            return self._of_posteriors(self._resolved(totals), *self._of_all_rows(y, margin, weight))
        return self.relative_loss(y, margin, weight, totals)

    def relative_loss(
        self, y: Array, margin: Array, weight: Array | None, totals_of_data: Callable[[], ClassTotals]
    ) -> float:
        """Weighted mean of the loss in units of its mean without skill: 1 is a model that knows only the base rate.

        XGBoost's early stopping sees six decimals of a metric, and under rare positives a bare loss is about 1e-4.
        """
        totals = functools.cache(totals_of_data)  # processes add up theirs together, so all of them equally often
        loss = self._resolved(totals)
        mean = self._mean(loss, y, margin, weight)
        return mean / (self._unit_of(loss, totals()) if self._unit is None else self._unit)

    def _unit_of(self, loss: Loss, totals: ClassTotals) -> float:
        # Each round evaluates the same data set, whose intercept is a root that takes as long as the metric itself.
        key = (loss.to_json(), totals.key())
        if self._latest is None or self._latest[0] != key:
            self._latest = (key, _unit(loss, totals))
        return self._latest[1]

    def _resolved(self, totals_of_data: Callable[[], ClassTotals]) -> Loss:
        loss = self.loss.at_round(np.inf)
        return loss.resolve_totals(totals_of_data()) if isinstance(loss.alpha, str) else loss

    def _mean(self, loss: Loss, y: Array, margin: Array, weight: Array | None) -> float:
        # The mean over all processes is that of their sums, whatever share of the rows each of them has.
        summed, total = self.processes.sum(np.array(self._sums(loss, y, margin, weight)))
        if not total > 0:
            raise ValueError(f"{self!r} has no mean over data whose {margin.shape[0]} rows have no weight")
        return float(summed / total)

    def _sums(self, loss: Loss, y: Array, margin: Array, weight: Array | None) -> tuple[float, float]:
        """Weighted sum of the loss over rows and columns, and the sum of the weights."""
        if margin.shape[0] == 0:
            return 0.0, 0.0
        joint = loss.has_softmax and y.ndim < margin.ndim
        columns: int = margin.size // margin.shape[0] if y.ndim == margin.ndim else 1
        with cuda.beside(margin):
            values = np.empty_like(y if joint else margin, np.float32)
            loss.fill_value(y, margin, weight, values, offset=self._offset)
            total = float(margin.shape[0] if weight is None else np.sum(weight, dtype=np.float64))
            return float(np.sum(values, dtype=np.float64)), total * columns

    def _of_all_rows(self, y: Array, margin: Array, weight: Array | None) -> tuple[Array, Array, Array | None]:
        """Labels, margins and weights of all processes: no sum of parts' scores is a ranking's, so each gets them."""
        if self.processes.number() == 1:
            return y, margin, weight
        parts = [part for part in self.processes.gather((y, margin, weight)) if part[1].shape[0]]
        if not parts:
            raise ValueError(f"{self!r} has no rows on any of the {self.processes.number()} workers")
        ys, margins, weights = zip(*parts, strict=True)
        return np.concatenate(ys), np.concatenate(margins), None if weights[0] is None else np.concatenate(weights)

    def _of_posteriors(self, loss: Loss, y: Array, margin: Array, weight: Array | None) -> float:
        kind: Kind = "binary" if margin.ndim == 1 else "multilabel" if y.ndim == 2 else "multiclass"
        link = Link.bare(loss, kind)
        full = margin + np.asarray(self._offset, margin.dtype)
        predictions = _Predictions(link.probabilities(full), link.classes(full), kind)
        check_rows(y, margin, weight)
        y = y.astype(np.int64)
        weights = {} if weight is None else {"sample_weight": weight}
        if isinstance(self.metric, str) or is_scorer(self.metric):
            return float(scorer_of(self.metric)(predictions, np.empty((y.shape[0], 0)), y, **weights))
        scores = predictions.probabilities
        return float(self.metric(y, scores[:, 1] if kind == "binary" else scores, **weights))  # type: ignore[misc]


class _Predictions(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted classifier, as scikit-learn's scorers want one, that has made its predictions."""

    def __init__(self, probabilities: Array, predicted: Array, kind: Kind) -> None:
        self.probabilities = probabilities
        self.predicted = predicted
        self.kind = kind
        # Several labels a row are several outputs to scikit-learn, each of two classes.
        columns = probabilities.shape[1]
        self.classes_ = [np.arange(2)] * columns if kind == "multilabel" else np.arange(columns)

    def predict_proba(self, X: Array) -> Array:
        return self.probabilities

    def predict(self, X: Array) -> Array:
        return self.predicted


def _unit(loss: Loss, totals: ClassTotals) -> float:
    """Mean loss without skill; 1 where a class is missing, or no class's rows count, so that there is none."""
    if np.any(totals.positive == 0) or np.any(totals.negative == 0):
        return 1.0
    value = loss.value_without_skill(totals)
    return value if value > np.finfo(np.float32).tiny else 1.0


def _name_and_direction(loss: Loss, metric: Any) -> tuple[str, bool]:
    if metric is not None:
        return name_and_direction(metric)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", type(loss).__name__).lower(), False
