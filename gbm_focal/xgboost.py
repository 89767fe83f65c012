"""XGBoost: the losses as objective and metric, and training whose model predicts rightly on its own.

`train` starts at the loss's intercept, stores it in the model as `base_score`, and stores the loss in the
booster's attributes; `predict_proba` reads it from there, also on a booster loaded from a file. The booster
says `binary:logistic` (or `multi:softprob`), so its own `predict` returns sigmoid(margin) (or softmax), which is
not a probability under these losses: use `predict_proba`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.base import clone

try:
    import xgboost
except ImportError as error:
    raise ImportError("gbm_focal.xgboost needs XGBoost 2.1 or newer: pip install 'gbm_focal[xgboost]'") from error

from .boosting import (
    MAXIMISED_PREFIXES,
    BaseMetric,
    BaseObjective,
    Link,
    Plan,
    require_loss,
    totals_of_training,
    warn_of_no_split,
    weights_of_engine,
)
from .losses import Array, Hessian, Loss
from .progress import bar_of_rounds

__all__ = ["Metric", "Objective", "predict_proba", "train"]

_ATTRIBUTE = "gbm_focal"
# Metrics of the order of the margins: right whatever the link is.
_RANKING_METRICS = ("auc", "aucpr", "map", "ndcg", "pre")  # with an end such as "@5"
# Older versions have one base_score for all columns.
_HAS_VECTOR_BASE_SCORE = tuple(int(part) for part in xgboost.__version__.split(".")[:2]) >= (3, 1)


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

    def softmax_factor(self, classes: int) -> float:
        """Return 2, as `multi:softprob` does: it bounds the whole matrix of second derivatives by its diagonal."""
        return 2.0

    def __call__(self, first: Any, second: Any, sample_weight: Any = None) -> tuple[Array, Array]:
        """Gradient and Hessian of (margin, DMatrix), or of (y_true, margin) as scikit-learn orders them."""
        # `train` alone may overwrite: there both arrays are copies that XGBoost has made for this call.
        overwrite = self._fixed is not None
        data = second if isinstance(second, xgboost.DMatrix) else None
        return self.derivatives(*_in_order(first, second, sample_weight), data=data, overwrite=overwrite)


class Metric(BaseMetric):
    """The weighted mean of a loss, or a metric of its posteriors, as an evaluation metric of XGBoost.

    It goes into ``custom_metric=`` of `xgboost.train` and ``eval_metric=`` of the scikit-learn classes, beside an
    `Objective`: XGBoost passes the margin, which it needs, only under a custom objective. Smaller is always better,
    which is what XGBoost's early stopping takes a callable for: of a metric of which greater is better the
    negative is returned, and its name begins with "neg_".

    Parameters
    ----------
    loss : Loss
        With a word for `alpha` it is resolved on the labels of each evaluated data set.
    metric : str or callable, optional
        The name of a scikit-learn scorer ("average_precision", "neg_log_loss", ...), a scorer, or a function
        metric(y_true, y_score) of the posteriors of label 1 (or of all columns), whose name ends with _score
        (greater is better), _loss or _error, or that has an attribute `greater_is_better`. By default the loss.
    """

    @property
    def __name__(self) -> str:
        """Name under which XGBoost reports the metric."""
        name = self._name
        if self._greater_is_better:
            name = name.removeprefix("neg_") if name.startswith("neg_") else f"neg_{name}"
        return f"loss_{name}" if name.startswith(MAXIMISED_PREFIXES) else name

    def __call__(self, first: Any, second: Any, sample_weight: Any = None) -> Any:
        """Return (name, score) of (margin, DMatrix), or the score of (y_true, margin)."""
        score = self.score(*_in_order(first, second, sample_weight))
        score = -score if self._greater_is_better else score
        return (self.__name__, score) if isinstance(second, xgboost.DMatrix) else score


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
    progress: bool = False,
    **engine_kwargs: Any,
) -> xgboost.Booster:
    """Train a booster on a loss, as `xgboost.train` does.

    Parameters
    ----------
    params : dict or list of pairs
        XGBoost's parameters. `objective` and, unless given, `base_score` are set here. Of XGBoost's metrics
        only those of the order are accepted (auc, aucpr, ...), and none for classes: the others would take
        sigmoid(margin) for a probability. `num_class` says that the labels are classes.
    dtrain : DMatrix or QuantileDMatrix
        Labels 0 or 1, of shape (n,) or (n, L), or classes 0 to num_class - 1; its weights and its base_margin
        count. Before XGBoost 3.1, which has one base_score for all columns, training on more than one column
        starts at 0 instead of the intercepts.
    num_boost_round : int, default 10
    loss : Loss
    hessian, max_step, normalize
        See `Objective`.
    calibrate : bool, default True
        Shift the log-odds of `predict_proba` by a constant, stored beside the loss, so that their mean over
        `dtrain` is the base rate; see `gbm_focal.boosting.Link`. The trees and the margins are not touched.
        Cross-entropy needs no shift and gets none.
    progress : bool, default False
        Show a bar over the rounds, where stderr is a terminal. Needs tqdm.
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
    weight = weights_of_engine(dtrain.get_weight())
    totals = totals_of_training("dtrain", y, weight, int(settings.get("num_class") or 0) or None)
    plan = Plan(loss, totals, sample_weight=weight)
    first_round = 0
    start = engine_kwargs.get("xgb_model")
    if start is not None:
        engine_kwargs["xgb_model"] = start = _to_continue(start)
        first_round = start.num_boosted_rounds()
    elif "base_score" not in settings:
        settings.update(_start(plan))
    objective = Objective(loss, hessian=hessian, max_step=max_step, normalize=normalize)
    objective.fixed_on(totals, np.zeros(1), first_round)
    del y
    resolved = plan.loss_after(first_round + num_boost_round)
    Link.bare(resolved).to_json()  # so that a parameter that cannot be stored fails before training, not after
    engine_kwargs.setdefault("custom_metric", Metric(resolved))
    calibration = _Calibration(plan, dtrain, calibrate)
    callbacks = [*(engine_kwargs.pop("callbacks", None) or ()), calibration]
    with bar_of_rounds(progress, num_boost_round) as bar:
        engine_kwargs["callbacks"] = [*_counting(bar), *callbacks]
        booster = xgboost.train(settings, dtrain, num_boost_round, obj=objective, **engine_kwargs)
    booster.set_attr(**{_ATTRIBUTE: calibration.link.to_json()})
    _warn_if_no_split(booster)
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
    ndarray of shape (n, 2) with the probabilities of 0 and 1; (n, K) of K classes; (n, L) of 1 for L labels

    Raises
    ------
    ValueError
        If the booster does not know its loss, and none is given.
    """
    if loss is not None:
        link = Link.bare(loss, "multiclass" if '"multi:' in booster.save_config() else "binary")
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

    link: Link

    def __init__(self, plan: Plan, dtrain: xgboost.DMatrix, calibrate: bool) -> None:
        self._plan = plan
        self._dtrain = dtrain
        self._calibrate = calibrate

    def after_training(self, model: xgboost.Booster) -> xgboost.Booster:
        def margin() -> Array:
            return model.predict(self._dtrain, output_margin=True, iteration_range=_best_iterations(model))

        self.link = self._plan.link_after(_kept_rounds(model), margin if self._calibrate else None)
        return model


class _Counting(xgboost.callback.TrainingCallback):
    """Moves a progress bar."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        self._bar.update()
        return False


def _counting(bar: Any) -> list[xgboost.callback.TrainingCallback]:
    """Return what goes before other callbacks, because one that stops the training hides those after it."""
    return [] if bar is None else [_Counting(bar)]


def _to_continue(model: Any) -> xgboost.Booster:
    """Copy a model without its best iteration, which would hide the trees to come."""
    if isinstance(model, xgboost.XGBModel):
        model = model.get_booster()
    booster = model.copy() if isinstance(model, xgboost.Booster) else xgboost.Booster(model_file=model)
    booster.set_attr(best_iteration=None, best_score=None)
    return booster


def _best_iterations(booster: xgboost.Booster) -> tuple[int, int]:
    """Range of the iterations up to the best one; (0, 0), all of them, where there was no early stopping."""
    best = booster.attr("best_iteration")
    return (0, 0) if best is None else (0, int(best) + 1)


def _kept_rounds(booster: xgboost.Booster) -> int:
    rounds: int = _best_iterations(booster)[1] or booster.num_boosted_rounds()
    return rounds


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


def _start(plan: Plan) -> dict[str, Any]:
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


def _warn_if_no_split(booster: xgboost.Booster) -> None:
    trees = booster.num_boosted_rounds() > 0 and '"gblinear"' not in booster.save_config()
    if trees and not booster.get_score(importance_type="weight"):
        warn_of_no_split()


# ---- the scikit-learn classes, for FocalClassifier ----


def fit_estimator(estimator: Any, X: Any, y: Array, plan: Plan, fit_params: dict[str, Any]) -> tuple[Any, Link]:
    """Fit a clone of an `XGBClassifier` as the plan says, and its link, which the booster stores."""
    parameters = estimator.get_params()
    kind = parameters.get("objective")
    if callable(kind) or (kind is not None and kind.partition(":")[0] not in ("binary", "multi")):
        raise ValueError(f"objective={kind!r} of the estimator contradicts loss: leave it out")
    if parameters.get("scale_pos_weight") is not None:
        _checked_parameters({"scale_pos_weight": parameters["scale_pos_weight"]})
    metric = plan.metric if plan.metric is not None else parameters.get("eval_metric")
    settings: dict[str, Any] = {"disable_default_eval_metric": True}
    first_round = 0
    if fit_params.get("xgb_model") is not None:
        fit_params = {**fit_params, "xgb_model": _to_continue(fit_params["xgb_model"])}
        first_round = fit_params["xgb_model"].num_boosted_rounds()
    elif parameters.get("base_score") is None:
        settings.update(_start(plan))
    objective = Objective(plan.loss, **plan.conditioning).fixed_on(plan.totals, np.zeros(1), first_round)
    resolved = plan.loss_after(first_round + estimator.get_num_boosting_rounds())
    settings["eval_metric"] = Metric(resolved, plan.named_metric(metric))
    model = clone(estimator).set_params(objective=objective, **settings)
    if plan.eval_set:
        fit_params = {**fit_params, "eval_set": plan.eval_set, "sample_weight_eval_set": plan.eval_weights}
    with bar_of_rounds(plan.progress, estimator.get_num_boosting_rounds()) as bar:
        if bar is not None:
            model.set_params(callbacks=[*_counting(bar), *(estimator.callbacks or ())])
        model.fit(X, y, **{"sample_weight": plan.sample_weight, "verbose": False, **fit_params})
        model.set_params(callbacks=estimator.callbacks)  # a bar cannot be pickled
    objective.released()
    booster = model.get_booster()
    _warn_if_no_split(booster)
    link = plan.link_after(_kept_rounds(booster), lambda: margin_of_estimator(model, X))
    booster.set_attr(**{_ATTRIBUTE: link.to_json()})
    return model, link


def margin_of_estimator(model: Any, X: Any) -> Array:
    """Margins of a fitted `XGBClassifier`."""
    margin: Array = model.predict(X, output_margin=True)
    return margin


def evals_result_of(model: Any) -> dict[str, Any]:
    """History of the metric on the evaluation sets."""
    result: dict[str, Any] = model.evals_result()
    return result


def best_iteration_of(model: Any) -> int | None:
    """Where early stopping stopped, if it did."""
    best = model.get_booster().attr("best_iteration")
    return None if best is None else int(best)


def importances_of(model: Any) -> Array:
    """Return the importances of the features."""
    importances: Array = model.feature_importances_
    return importances


MODEL_FILE = "model.ubj"


def version() -> str:
    """XGBoost's version."""
    return str(xgboost.__version__)


def model_bytes_of(model: Any) -> bytes:
    """Return the model in XGBoost's binary JSON."""
    return bytes(model.get_booster().save_raw("ubj"))


def new_estimator(settings: dict[str, Any]) -> Any:
    """Make an `XGBClassifier`."""
    return xgboost.XGBClassifier(**settings)


def estimator_from_bytes(content: bytes, settings: dict[str, Any]) -> Any:
    """Make a fitted `XGBClassifier` of what `model_bytes_of` returned."""
    model = xgboost.XGBClassifier(**settings)
    model.load_model(bytearray(content))
    return model
