"""The losses as objective and evaluation metric of LightGBM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np

from .._inputs import Array
from ..boosting import BaseMetric, BaseObjective


class Objective(BaseObjective):
    """A loss as an objective of LightGBM.

    It goes where LightGBM takes a callable: ``params={"objective": ...}`` of `lightgbm.train` and `lightgbm.cv`,
    and ``objective=`` of the scikit-learn classes. On its own it starts at a margin of 0, which a few rounds do not
    leave where positives are rare, and no model of LightGBM keeps another start: `train` starts at the intercept and
    makes it part of the model.

    Parameters
    ----------
    loss : Loss
        With ``alpha="balanced"`` or ``"effective"`` it is resolved on the labels of the training data.
    hessian : {"fisher", "exact"}, default "fisher"
        See `Loss.gradient_hessian`.
    max_step : float or None, default 2.0
        Longest Newton step that a sample may ask for, in units of margin; None for no limit.
    normalize : bool, default True
        Scale the loss so that its Hessian at the intercept is that of the logistic loss.

    Examples
    --------
    >>> import lightgbm, numpy as np
    >>> from gbm_focal import FocalLoss
    >>> from gbm_focal.lightgbm import Objective
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> data = lightgbm.Dataset(X, label=X[:, 0] > 1)
    >>> params = {"objective": Objective(FocalLoss()), "metric": "None", "verbosity": -1}
    >>> booster = lightgbm.train(params, data, 5)
    """

    def softmax_factor(self, classes: int) -> float:
        """Return K / (K - 1), as LightGBM's own `multiclass` does."""
        return classes / (classes - 1)

    def __call__(self, first: Any, second: Any, sample_weight: Any = None) -> tuple[Array, Array]:
        """Gradient and Hessian of (margin, Dataset), or of (y_true, margin, sample_weight)."""
        data = second if isinstance(second, lightgbm.Dataset) else None
        return self.derivatives(*_in_order(first, second, sample_weight), data=data)


class Metric(BaseMetric):
    """The mean of a loss, relative to that without skill, or a metric of its posteriors, as a metric of LightGBM.

    It goes into ``feval=`` of `lightgbm.train` and ``eval_metric=`` of the scikit-learn classes, beside an
    `Objective` and ``metric="None"``: LightGBM's own probability metrics would take the margin for a
    probability.

    Parameters
    ----------
    loss : Loss
        With a word for `alpha` it is resolved on the labels of each evaluated data set.
    metric : str or callable, optional
        The name of a scikit-learn scorer ("average_precision", "neg_log_loss", ...), a scorer, or a function
        metric(y_true, y_score) of the posteriors of label 1 (or of all columns), whose name ends with _score
        (greater is better), _loss or _error, or that has an attribute `greater_is_better`. By default the loss.

    Notes
    -----
    The loss is the weighted mean over rows (and columns), divided by what it is where every prediction is the base
    rate: 1 is no skill, 0 is perfect. The unit is that of the training data inside `train` and `FocalClassifier`; in a
    bare `Metric` that of each evaluated data set, and 1 where a class is missing there.
    """

    @property
    def __name__(self) -> str:
        """Name under which LightGBM reports the metric."""
        return self._name

    def __call__(self, first: Any, second: Any, sample_weight: Any = None) -> tuple[str, float, bool]:
        """Return (name, score, greater is better) of (margin, Dataset), or of (y_true, margin, sample_weight)."""
        score = self.score(*_in_order(first, second, sample_weight))
        return self.__name__, score, self.greater_is_better


class AtFullMargin:
    """A user's evaluation function, called with the intercept in the margin."""

    def __init__(self, function: Callable[[Array, lightgbm.Dataset], Any], intercept: Array) -> None:
        self.function = function
        self.intercept = intercept

    def __call__(self, margin: Array, data: lightgbm.Dataset) -> Any:
        """Return what the function does."""
        return self.function(margin + self.intercept, data)


def _in_order(first: Any, second: Any, sample_weight: Any) -> tuple[Any, Array, Any]:
    """Labels, margin and weights, from either of the two orders in which LightGBM calls."""
    if isinstance(second, lightgbm.Dataset):
        return second.get_label(), first, second.get_weight()
    return first, np.asarray(second), sample_weight
