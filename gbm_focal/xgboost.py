"""XGBoost: the losses as objective and metric, and training whose model predicts rightly on its own.

`train` starts at the loss's intercept, stores it in the model as `base_score`, and stores the loss in the
booster's attributes; `predict_proba` reads it from there, also on a booster loaded from a file. The booster
says `binary:logistic`, so its own `predict` returns sigmoid(margin), which is not a probability under these
losses: use `predict_proba`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import expit

try:
    import xgboost
except ImportError as error:
    raise ImportError("gbm_focal.xgboost needs XGBoost 2.1 or newer: pip install 'gbm_focal[xgboost]'") from error

from .boosting import BaseMetric, BaseObjective, Link, keeps_the_base_rate, require_loss, weights_of_engine
from .losses import Array, ClassTotals, Hessian, Loss

__all__ = ["Metric", "Objective", "predict_proba", "train"]

_ATTRIBUTE = "gbm_focal"
# Metrics of the order of the margins: right whatever the link is.
_RANKING_METRICS = ("auc", "aucpr", "map", "ndcg", "pre")  # with an end such as "@5"


class Objective(BaseObjective):
    """A loss as an objective of XGBoost.

    It goes where XGBoost takes a callable: ``obj=`` of `xgboost.train`, `xgboost.cv` and `xgboost.dask.train`,
    and ``objective=`` of the scikit-learn classes. Beside ``obj=`` set ``objective="binary:logistic"`` and, as
    `train` does, ``base_score`` to the sigmoid of the intercept: XGBoost starts at a margin of 0.5 otherwise.

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
    >>> import numpy as np, xgboost
    >>> from gbm_focal import FocalLoss
    >>> from gbm_focal.xgboost import Objective
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> data = xgboost.DMatrix(X, label=X[:, 0] > 1)
    >>> booster = xgboost.train({"objective": "binary:logistic"}, data, 5, obj=Objective(FocalLoss()))
    """

    def __call__(self, first: Any, second: Any, sample_weight: Any = None) -> tuple[Array, Array]:
        """Gradient and Hessian of (margin, DMatrix), or of (y_true, margin) as scikit-learn orders them."""
        # `train` alone may overwrite: there both arrays are copies that XGBoost has made for this call.
        overwrite = self._fixed is not None
        return self.derivatives(*_in_order(first, second, sample_weight), overwrite=overwrite)


class Metric(BaseMetric):
    """The weighted mean of a loss as an evaluation metric of XGBoost; smaller is better.

    It goes into ``custom_metric=`` of `xgboost.train` and ``eval_metric=`` of the scikit-learn classes, beside an
    `Objective`: XGBoost passes the margin, which it needs, only under a custom objective.

    Parameters
    ----------
    loss : Loss
        With a word for `alpha` it is resolved on the labels of each evaluated data set.
    """

    def __call__(self, first: Any, second: Any, sample_weight: Any = None) -> Any:
        """Return (name, mean) of (margin, DMatrix), or the mean of (y_true, margin)."""
        mean = self.mean(*_in_order(first, second, sample_weight))
        return (self.__name__, mean) if isinstance(second, xgboost.DMatrix) else mean


def train(
    params: Mapping[str, Any] | Sequence[tuple[str, Any]],
    dtrain: xgboost.DMatrix,
    num_boost_round: int = 10,
    *,
    loss: Loss,
    hessian: Hessian = "fisher",
    max_step: float | None = 2.0,
    normalize: bool = True,
    calibrate: bool = True,
    **engine_kwargs: Any,
) -> xgboost.Booster:
    """Train a booster on a loss, as `xgboost.train` does.

    Parameters
    ----------
    params : dict or list of pairs
        XGBoost's parameters. `objective` and, unless given, `base_score` are set here. Of XGBoost's metrics
        only those of the order are accepted (auc, aucpr, ...): the others would take sigmoid(margin) for a
        probability.
    dtrain : DMatrix or QuantileDMatrix
        Labels 0 or 1, of shape (n,) or (n, L); its weights and its base_margin count.
    num_boost_round : int, default 10
    loss : Loss
    hessian, max_step, normalize
        See `Objective`.
    calibrate : bool, default True
        Shift the log-odds of `predict_proba` by a constant, stored beside the loss, so that their mean over
        `dtrain` is the base rate; see `gbm_focal.boosting.Link`. The trees and the margins are not touched.
        Cross-entropy needs no shift and gets none.
    **engine_kwargs
        All other arguments of `xgboost.train`: `evals`, `early_stopping_rounds`, `callbacks`, ... . With
        `xgb_model` training goes on from that model's margins, and no new intercept is set. `custom_metric`
        is by default `Metric(loss)`, the one that early stopping looks at.

    Returns
    -------
    xgboost.Booster
        Its attribute "gbm_focal" holds the loss as JSON.

    Raises
    ------
    ValueError, TypeError
        If a parameter contradicts the loss, or labels or weights are invalid.
    """
    require_loss(loss)
    settings = _checked_parameters(params)
    if "obj" in engine_kwargs:
        raise ValueError("obj is made from loss here: leave it out, or call xgboost.train(obj=Objective(loss))")
    y = dtrain.get_label()
    if y.size == 0:
        raise ValueError("dtrain has no labels: give DMatrix(..., label=y) with y of 0 and 1")
    if y.size > dtrain.num_row():
        y = y.reshape(dtrain.num_row(), -1)
    totals = ClassTotals.of(y, weights_of_engine(dtrain.get_weight()))
    totals.require_both_classes()
    resolved = loss.resolve_totals(totals)
    Link.bare(resolved).to_json()  # so that a parameter that cannot be stored fails before training, not after
    start = engine_kwargs.get("xgb_model")
    if start is not None:
        # Left in place, the best iteration of the earlier training would hide the new trees.
        start = start.copy() if isinstance(start, xgboost.Booster) else xgboost.Booster(model_file=start)
        start.set_attr(best_iteration=None, best_score=None)
        engine_kwargs["xgb_model"] = start
    elif "base_score" not in settings:
        settings["base_score"] = _base_score(resolved, totals)
    objective = Objective(loss, hessian=hessian, max_step=max_step, normalize=normalize)
    objective.fixed_on(totals, np.zeros(1))
    del y
    engine_kwargs.setdefault("custom_metric", Metric(resolved))
    calibration = _Calibration(resolved, totals, dtrain)
    if calibrate and not keeps_the_base_rate(resolved):
        engine_kwargs["callbacks"] = [*(engine_kwargs.get("callbacks") or ()), calibration]
    booster = xgboost.train(settings, dtrain, num_boost_round, obj=objective, **engine_kwargs)
    booster.set_attr(**{_ATTRIBUTE: calibration.link.to_json()})
    return booster


def predict_proba(booster: xgboost.Booster, data: Any, *, loss: Loss | None = None, **predict_kwargs: Any) -> Array:
    """Posterior probabilities of a booster that `train` made, in this process or another.

    Parameters
    ----------
    booster : xgboost.Booster
    data : DMatrix, or anything that `Booster.inplace_predict` takes
    loss : Loss, optional
        For boosters that do not know their loss, because `xgboost.train` made them: the bare posterior.
    **predict_kwargs
        For `Booster.predict`; by default `iteration_range` ends at the best iteration, if there was early
        stopping.

    Returns
    -------
    ndarray of shape (n, 2) with the probabilities of 0 and 1; (n, L) with those of 1 for L labels
    """
    if loss is not None:
        link = Link.bare(loss)
    else:
        stored = booster.attr(_ATTRIBUTE)
        if stored is None:
            raise ValueError(
                "the booster has no attribute 'gbm_focal', so its loss is unknown: train it with "
                "gbm_focal.xgboost.train, or pass loss="
            )
        link = Link.from_json(stored)
    predict_kwargs.setdefault("iteration_range", _best_iterations(booster))
    if isinstance(data, xgboost.DMatrix):
        margin = booster.predict(data, output_margin=True, **predict_kwargs)
    else:
        margin = booster.inplace_predict(data, predict_type="margin", **predict_kwargs)
    return link.probabilities(margin)


class _Calibration(xgboost.callback.TrainingCallback):
    """Fits the link when training ends, while XGBoost still has the margins of the training data at hand."""

    def __init__(self, loss: Loss, totals: ClassTotals, dtrain: xgboost.DMatrix) -> None:
        self.link = Link.bare(loss)
        self._totals = totals
        self._dtrain = dtrain

    def after_training(self, model: xgboost.Booster) -> xgboost.Booster:
        margin = model.predict(self._dtrain, output_margin=True, iteration_range=_best_iterations(model))
        self.link = Link.fitted(self.link.loss, self._totals, margin, self._dtrain.get_weight())
        return model


def _best_iterations(booster: xgboost.Booster) -> tuple[int, int]:
    """Range of the iterations up to the best one; (0, 0), all of them, where there was no early stopping."""
    best = booster.attr("best_iteration")
    return (0, 0) if best is None else (0, int(best) + 1)


def _in_order(first: Any, second: Any, sample_weight: Any) -> tuple[Any, Array, Any]:
    """Labels, margin and weights, from either of the two orders in which XGBoost calls."""
    if isinstance(second, xgboost.DMatrix):
        return second.get_label(), first, second.get_weight()
    return first, np.asarray(second), sample_weight


def _checked_parameters(params: Mapping[str, Any] | Sequence[tuple[str, Any]]) -> dict[str, Any]:
    pairs = list(params.items()) if isinstance(params, Mapping) else list(params)
    given = [value for name, value in pairs if name == "eval_metric" and value is not None]
    metrics = [metric for value in given for metric in ([value] if isinstance(value, str) else value)]
    settings = {name: value for name, value in pairs if name != "eval_metric"}
    if settings.get("objective", "binary:logistic") != "binary:logistic":
        raise ValueError(
            f"objective={settings['objective']!r} contradicts loss=: leave it out, the loss is the objective"
        )
    if float(settings.get("scale_pos_weight") or 1) != 1:
        raise ValueError(
            f"scale_pos_weight={settings['scale_pos_weight']!r} has no effect on a custom objective: give the loss "
            "alpha instead, a number or 'balanced'"
        )
    if int(settings.get("num_class") or 0) > 1:
        raise ValueError(
            f"num_class={settings['num_class']!r} is not possible with a loss of two classes: leave it out"
        )
    for metric in metrics:
        if str(metric).partition("@")[0] not in _RANKING_METRICS:
            raise ValueError(
                f"eval_metric={metric!r} would take sigmoid(margin) for a probability, which it is not under this "
                f"loss: leave it out for the loss itself, or use one of {', '.join(_RANKING_METRICS)}"
            )
    settings["objective"] = "binary:logistic"
    if metrics:
        settings["eval_metric"] = metrics
    else:
        settings["disable_default_eval_metric"] = True
    return settings


def _base_score(loss: Loss, totals: ClassTotals) -> float | list[float]:
    """XGBoost's way of storing the intercept: its sigmoid, as float32."""
    intercept = loss.intercepts(totals)
    score = expit(intercept)
    if not np.all((np.float32(score) > 0) & (np.float32(score) < 1)):
        raise ValueError(
            f"the intercept {intercept.tolist()} of {loss!r} is too far out for XGBoost's float32 base_score; choose "
            "milder parameters of the loss, or give base_score yourself"
        )
    return score.tolist() if totals.two_dimensional else float(score[0])
