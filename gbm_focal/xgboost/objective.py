"""The losses as objective and evaluation metric of XGBoost."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import xgboost

from .._inputs import Array
from ..boosting import BaseMetric, BaseObjective, weights_of_engine
from ..kernels import cuda
from ..losses import Hessian, Kind, Loss
from .collective import COLLECTIVE
from .device import Device

# XGBoost guesses from such a beginning that a metric is to be maximised.
_MAXIMISED_PREFIXES = ("auc", "map", "ndcg", "pre")


class Objective(BaseObjective):
    """A loss as an objective of XGBoost.

    It goes where XGBoost takes a callable: ``obj=`` of `xgboost.train`, `xgboost.cv` and `xgboost.dask.train`,
    and ``objective=`` of the scikit-learn classes. Beside ``obj=`` set ``objective="binary:logistic"`` and, as
    `train` does, ``base_score`` to the sigmoid of the intercept: XGBoost starts at a margin of 0 otherwise, and without
    either at 0.5.

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
    device : str, optional
        Where to compute, as in XGBoost's parameter: "cuda" or "cuda:1" keeps labels, weights and gradients on the
        GPU, where XGBoost takes them. It needs CuPy; without it, and for losses of your own, the host computes. The
        returned arrays are filled again in the next round. `train` does as its params say.

    Examples
    --------
    >>> import numpy as np, xgboost
    >>> from gbm_focal import FocalLoss
    >>> from gbm_focal.xgboost import Objective
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> data = xgboost.DMatrix(X, label=X[:, 0] > 1)
    >>> booster = xgboost.train({"objective": "binary:logistic"}, data, 5, obj=Objective(FocalLoss()))
    """

    processes = COLLECTIVE

    def __init__(
        self,
        loss: Loss,
        *,
        hessian: Hessian = "fisher",
        max_step: float | None = 2.0,
        normalize: bool = True,
        device: str | None = None,
    ) -> None:
        super().__init__(loss, hessian=hessian, max_step=max_step, normalize=normalize)
        self._device = Device(device, loss)

    def __getstate__(self) -> dict[str, Any]:
        """Name the device: copies find it anew."""
        return {**super().__getstate__(), "_device": self._device.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a copy."""
        super().__setstate__(Device.in_state(state))

    def beside_gradients(self, margin: Array, kind: Kind) -> Array:
        """Return margins where the link is to be fitted to them: where gradients are, and for classes on the host."""
        return margin if kind == "multiclass" else self._device.copied(margin)

    def _forget(self) -> None:
        super()._forget()
        self._weighted = True  # until the first round of `train` has seen that its data set is not

    def released(self) -> None:
        """Forget the training data, on the device as well."""
        super().released()
        self._device.forget()

    def softmax_factor(self, classes: int) -> float:
        """Return 2, as `multi:softprob` does: it bounds the whole matrix of second derivatives by its diagonal."""
        return 2.0

    def __call__(self, first: Any, second: Any, sample_weight: Any = None) -> tuple[Array, Array]:
        """Gradient and Hessian of (margin, DMatrix), or of (y_true, margin) as scikit-learn orders them."""
        # `train` alone may overwrite: there both arrays are copies that XGBoost has made for this call.
        overwrite = self._fixed is not None
        data = second if isinstance(second, xgboost.DMatrix) else None
        at_host = np.asarray(second if data is None else first)
        if self._device.is_host or at_host.shape[0] == 0:
            labels, weights = _labels_and_weights(first, second, sample_weight, weighted=self._weighted)
            if self._fixed is not None:
                self._weighted = weights_of_engine(weights) is not None
            return self.derivatives(labels, at_host, weights, data=data, overwrite=overwrite)
        owner = self if data is None else data
        given = functools.partial(_labels_and_weights, first, second, sample_weight)
        on_device, margin = self._device.load(owner, at_host, given, unchanged=self._fixed is not None)
        loss, scale = self._of_this_round(at_host, owner, on_device.totals)
        gradient, hessian = on_device.derivatives
        with cuda.beside(margin):
            self._fill(loss, scale, on_device.y, margin, on_device.weight, gradient, hessian)
        return gradient, hessian


class Metric(BaseMetric):
    """The mean of a loss, relative to that without skill, or a metric of its posteriors, as a metric of XGBoost.

    It goes into ``custom_metric=`` of `xgboost.train` and ``eval_metric=`` of the scikit-learn classes, beside an
    `Objective`: XGBoost passes the margin, which it needs, only under a custom objective. Smaller is always better,
    which is what XGBoost's early stopping takes a callable for: of a metric of which greater is better the
    negative is returned, and its name begins with ``neg_``.

    Parameters
    ----------
    loss : Loss
        With a word for `alpha` it is resolved on the labels of each evaluated data set.
    metric : str or callable, optional
        The name of a scikit-learn scorer ("average_precision", "neg_log_loss", ...), a scorer, or a function
        metric(y_true, y_score) of the posteriors of label 1 (or of all columns), whose name ends with _score
        (greater is better), _loss or _error, or that has an attribute `greater_is_better`. By default the loss.
    device : str, optional
        As for `Objective`. Only the loss is computed on the GPU, and a metric of the posteriors on the host.

    Notes
    -----
    The loss is the weighted mean over rows (and columns), divided by what it is where every prediction is the base
    rate: 1 is no skill, 0 is perfect. XGBoost prints metrics with six decimals, and its early stopping sees no more; a
    bare loss of rare positives would change in the seventh. The unit is that of the training data inside `train` and
    `FocalClassifier`; in a bare `Metric` that of each evaluated data set, and 1 where a class is missing there.

    In training by several processes both are those of all rows. The loss needs two numbers of each process; another
    metric has no such sum, so each process gets the labels, margins and weights of all, 8 to 12 bytes a row.
    """

    processes = COLLECTIVE

    def __init__(
        self, loss: Loss, metric: str | Callable[..., Any] | None = None, *, device: str | None = None
    ) -> None:
        super().__init__(loss, metric)
        self._device = Device(device if metric is None else None, loss)
        self._of_one_training = False

    def __getstate__(self) -> dict[str, Any]:
        """Name the device: copies find it anew."""
        return {**self.__dict__, "_device": self._device.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a copy."""
        self.__dict__.update(Device.in_state(state))

    def of_one_training(self) -> Metric:
        """Promise that no labels or weights change while this is used."""
        self._of_one_training = True
        return self

    @property
    def __name__(self) -> str:
        """Name under which XGBoost reports the metric."""
        name = self._name
        if self.greater_is_better:
            name = name.removeprefix("neg_") if name.startswith("neg_") else f"neg_{name}"
        return f"loss_{name}" if name.startswith(_MAXIMISED_PREFIXES) else name

    def __call__(self, first: Any, second: Any, sample_weight: Any = None) -> Any:
        """Return (name, score) of (margin, DMatrix), or the score of (y_true, margin)."""
        data = second if isinstance(second, xgboost.DMatrix) else None
        at_host = np.asarray(second if data is None else first)
        given = functools.partial(_labels_and_weights, first, second, sample_weight)
        if self._device.is_host or at_host.shape[0] == 0:
            labels, weights = given()
            score = self.score(labels, at_host, weights)
        else:
            owner, unchanged = (self, False) if data is None else (data, self._of_one_training)
            on_device, margin = self._device.load(owner, at_host, given, unchanged=unchanged)
            score = self.relative_loss(on_device.y, margin, on_device.weight, on_device.totals)
        score = -score if self.greater_is_better else score
        return score if data is None else (self.__name__, score)


def _labels_and_weights(first: Any, second: Any, sample_weight: Any, weighted: bool = True) -> tuple[Any, Any]:
    """Labels and weights, from either of the two orders in which XGBoost calls."""
    if isinstance(second, xgboost.DMatrix):
        # A DMatrix takes 50 microseconds to say that it has no weights.
        return second.get_label(), second.get_weight() if weighted else None
    return first, sample_weight
