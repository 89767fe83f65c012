"""XGBoost: the losses as objective and metric, and training whose model predicts rightly on its own.

`train` starts at the loss's intercept, stores it in the model as `base_score`, and stores the loss in the
booster's attributes; `predict_proba` reads it from there, also on a booster loaded from a file. The booster
says `binary:logistic` (or `multi:softprob`), so its own `predict` returns sigmoid(margin) (or softmax), which is
not a probability under these losses: use `predict_proba`.

Where several processes train one model (XGBoost's collective: Dask, Ray, or a communicator of your own), everything
here is about the data of all of them: class totals, intercept, scale, metric, and the shift of the link.
"""

from __future__ import annotations

import dataclasses
import functools
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.base import clone

try:
    import xgboost
    from xgboost import collective
except ImportError as error:
    raise ImportError("gbm_focal.xgboost needs XGBoost 2.1 or newer: pip install 'gbm_focal[xgboost]'") from error

from .boosting import (
    MAXIMISED_PREFIXES,
    BaseMetric,
    BaseObjective,
    Link,
    Plan,
    Processes,
    labels_of_engine,
    require_loss,
    totals_of_engine,
    totals_of_training,
    warn_of_no_split,
    weights_of_engine,
)
from .kernels import cuda
from .losses import KINDS, Array, ClassTotals, Hessian, KernelLoss, Kind, Loss
from .progress import bar_of_rounds

__all__ = ["Metric", "Objective", "predict_proba", "train"]

_ATTRIBUTE = "gbm_focal"
# Metrics of the order of the margins: right whatever the link is.
_RANKING_METRICS = ("auc", "aucpr", "map", "ndcg", "pre")  # with an end such as "@5"
# Older versions have one base_score for all columns.
_HAS_VECTOR_BASE_SCORE = tuple(int(part) for part in xgboost.__version__.split(".")[:2]) >= (3, 1)


class _Collective(Processes):
    """The processes that XGBoost trains one model in; outside of such a group, this one."""

    def number(self) -> int:
        workers: int = collective.get_world_size()
        return workers

    def sum(self, own: Array) -> Array:
        if self.number() == 1:
            return own
        summed: Array = collective.allreduce(own, collective.Op.SUM).reshape(own.shape)
        return summed

    def gather(self, own: Any) -> list[Any]:
        rank = collective.get_rank()
        return [collective.broadcast(own if rank == root else None, root) for root in range(self.number())]

    def totals(self, y: Array, weight: Array | None, classes: int | None = None) -> ClassTotals:
        if self.number() == 1:
            return ClassTotals.of(y, weight, classes=classes)
        own = ClassTotals.of_part(y, weight, classes=classes)
        # A worker without rows learns from the others how many columns there are, and of which kind.
        shape = np.array([KINDS.index(own.kind), own.positive.size])
        kind, columns = collective.allreduce(shape, collective.Op.MAX).tolist()
        sums = np.zeros((2, columns))
        if y.shape[0]:
            if own.kind != KINDS[kind] or own.positive.size != columns:
                raise ValueError(
                    f"this worker's labels are {own.kind} of {own.positive.size} columns, another's {KINDS[kind]} of "
                    f"{columns}: give all workers labels of one shape, and num_class if they are classes"
                )
            sums[:] = own.positive, own.negative
        positive, negative = self.sum(sums)
        return ClassTotals(positive, negative, KINDS[kind])


_COLLECTIVE = _Collective()


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

    processes = _COLLECTIVE

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
        self._device = _Device(device, loss)

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
            given = _in_order(first, second, sample_weight, weighted=self._weighted)
            if self._fixed is not None:
                self._weighted = weights_of_engine(given[2]) is not None
            return self.derivatives(*given, data=data, overwrite=overwrite)
        owner = self if data is None else data
        on_device, margin = self._device.load(owner, first, second, sample_weight, unchanged=self._fixed is not None)
        loss, scale = self._of_this_round(at_host, owner, on_device.totals)
        gradient, hessian = on_device.derivatives
        with cuda.beside(margin):
            self._fill(loss, scale, on_device.y, margin, on_device.weight, gradient, hessian)
        return gradient, hessian


class Metric(BaseMetric):
    """The weighted mean of a loss, or a metric of its posteriors, as an evaluation metric of XGBoost.

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
    In training by several processes both are those of all rows. The loss needs two numbers of each process; another
    metric has no such sum, so each process gets the labels, margins and weights of all, 8 to 12 bytes a row.
    """

    processes = _COLLECTIVE

    def __init__(
        self, loss: Loss, metric: str | Callable[..., Any] | None = None, *, device: str | None = None
    ) -> None:
        super().__init__(loss, metric)
        self._device = _Device(device if metric is None else None, loss)
        self._of_one_training = False

    def of_one_training(self) -> Metric:
        """Promise that no labels or weights change while this is used."""
        self._of_one_training = True
        return self

    @property
    def __name__(self) -> str:
        """Name under which XGBoost reports the metric."""
        name = self._name
        if self._greater_is_better:
            name = name.removeprefix("neg_") if name.startswith("neg_") else f"neg_{name}"
        return f"loss_{name}" if name.startswith(MAXIMISED_PREFIXES) else name

    def __call__(self, first: Any, second: Any, sample_weight: Any = None) -> Any:
        """Return (name, score) of (margin, DMatrix), or the score of (y_true, margin)."""
        data = second if isinstance(second, xgboost.DMatrix) else None
        if self._device.is_host or np.shape(second if data is None else first)[0] == 0:
            score = self.score(*_in_order(first, second, sample_weight))
        else:
            owner, unchanged = (self, False) if data is None else (data, self._of_one_training)
            on_device, margin = self._device.load(owner, first, second, sample_weight, unchanged=unchanged)
            score = self._mean(self._resolved(on_device.totals), on_device.y, margin, on_device.weight)
        score = -score if self._greater_is_better else score
        return score if data is None else (self.__name__, score)


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
    settings = checked_parameters(params)
    if "obj" in engine_kwargs:
        raise ValueError("obj is made from loss here: leave it out, or call xgboost.train(obj=Objective(loss))")
    if not isinstance(dtrain, xgboost.DMatrix):
        raise TypeError(f"dtrain is a {type(dtrain).__name__}: give xgboost.DMatrix(X, label=y), or QuantileDMatrix")
    y = dtrain.get_label()
    if y.size == 0 and (dtrain.num_row() or _COLLECTIVE.number() == 1):
        raise ValueError("dtrain has no labels: give DMatrix(..., label=y) with y of 0 and 1")
    if y.size > dtrain.num_row():
        y = y.reshape(dtrain.num_row(), -1)
    weight = weights_of_engine(dtrain.get_weight())
    totals = totals_of_training("dtrain", y, weight, classes_of(settings), _COLLECTIVE)
    del y, weight
    plan = Plan(loss, totals, conditioning={"hessian": hessian, "max_step": max_step, "normalize": normalize})
    arguments = prepared(plan, settings, num_boost_round, calibrate, engine_kwargs, dtrain)
    with bar_of_rounds(progress, num_boost_round) as bar:
        arguments["callbacks"] = [*_counting(bar), *arguments["callbacks"]]
        booster = xgboost.train(dtrain=dtrain, num_boost_round=num_boost_round, **arguments)
    warn_if_no_split(booster)
    return booster


def prepared(
    plan: Plan,
    settings: dict[str, Any],
    num_boost_round: int,
    calibrate: bool,
    engine_kwargs: dict[str, Any],
    dtrain: xgboost.DMatrix | None = None,
) -> dict[str, Any]:
    """Return what `xgboost.train`, or its form for several workers, is called with to carry out a plan.

    `settings` are the parameters. Where the workers make `dtrain`, each of them finds its own.
    """
    first_round = 0
    start = engine_kwargs.get("xgb_model")
    if start is not None:
        start = _to_continue(start)
        first_round = start.num_boosted_rounds()
    elif "base_score" not in settings:
        settings = {**settings, **_start(plan)}
    device = _device_of(settings)
    objective = Objective(plan.loss, **plan.conditioning, device=device)
    objective.fixed_on(plan.totals, np.zeros(1), first_round)
    resolved = plan.loss_after(first_round + num_boost_round)
    Link.bare(resolved).to_json()  # so that a parameter that cannot be stored fails before training, not after
    calibration = _Calibration(plan, objective, calibrate, dtrain)
    return {
        "custom_metric": Metric(resolved, device=device).of_one_training(),
        **engine_kwargs,
        "params": settings,
        "obj": objective,
        "xgb_model": start,
        "callbacks": [*(engine_kwargs.get("callbacks") or ()), calibration],
    }


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
    link = link_of(booster, loss)
    predict_kwargs.setdefault("iteration_range", best_iterations(booster))
    if isinstance(data, xgboost.DMatrix):
        margin = booster.predict(data, output_margin=True, **predict_kwargs)
    else:
        margin = booster.inplace_predict(data, predict_type="margin", **predict_kwargs)
    return link.probabilities(margin)


def link_of(booster: xgboost.Booster, loss: Loss | None = None) -> Link:
    """Return the link that a booster stores, or the bare one of a loss."""
    if loss is not None:
        return Link.bare(loss, "multiclass" if '"multi:' in booster.save_config() else "binary")
    stored = booster.attr(_ATTRIBUTE)
    if stored is None:
        raise ValueError(
            "the booster has no attribute 'gbm_focal', so its loss is unknown: train it with "
            "gbm_focal.xgboost.train, or pass loss="
        )
    return Link.from_json(stored)


class _Calibration(xgboost.callback.TrainingCallback):
    """Stores the link in the booster when training ends, while XGBoost has the margins of the training data at hand."""

    def __init__(self, plan: Plan, objective: Objective, calibrate: bool, dtrain: xgboost.DMatrix | None) -> None:
        self._plan = plan
        self._objective = objective
        self._calibrate = calibrate
        self._dtrain = dtrain

    def after_training(self, model: xgboost.Booster) -> xgboost.Booster:
        dtrain = self._objective.training_data() if self._dtrain is None else self._dtrain

        def margin() -> Array:
            of_training = model.predict(dtrain, output_margin=True, iteration_range=best_iterations(model))
            return self._objective.beside_gradients(of_training, self._plan.totals.kind)

        known = self._calibrate and dtrain is not None
        weight = dtrain.get_weight() if known else None
        plan = dataclasses.replace(self._plan, sample_weight=weight, processes=_COLLECTIVE)
        link = plan.link_after(_kept_rounds(model), margin if known else None)
        model.set_attr(**{_ATTRIBUTE: link.to_json()})
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


def best_iterations(booster: xgboost.Booster) -> tuple[int, int]:
    """Range of the iterations up to the best one; (0, 0), all of them, where there was no early stopping."""
    best = booster.attr("best_iteration")
    return (0, 0) if best is None else (0, int(best) + 1)


def _kept_rounds(booster: xgboost.Booster) -> int:
    rounds: int = best_iterations(booster)[1] or booster.num_boosted_rounds()
    return rounds


class _Device:
    """Where an objective or a metric computes, and what stays there from round to round."""

    def __init__(self, name: str | None, loss: Loss) -> None:
        self._name = name if isinstance(loss, KernelLoss) else None
        self.forget()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the data: copies find their device anew."""
        return {"_name": self._name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.forget()

    def forget(self) -> None:
        self._held: weakref.WeakKeyDictionary[Any, _DataOnDevice] = weakref.WeakKeyDictionary()

    @functools.cached_property
    def _number(self) -> int | None:
        return cuda.usable_device(self._name)

    @property
    def is_host(self) -> bool:
        return self._number is None

    def copied(self, array: Array) -> Any:
        """Return an array of the host on the device, if this is one."""
        return array if self._number is None or array.shape[0] == 0 else cuda.copied_to(self._number, array)

    def load(
        self, owner: Any, first: Any, second: Any, sample_weight: Any, *, unchanged: bool
    ) -> tuple[_DataOnDevice, Any]:
        """Return the data set and its margins on the device, where labels and weights go when they are new.

        Unless they are known to be `unchanged` since the last call for this owner, they are compared on the host.
        """
        held = self._held.get(owner)
        if held is None or not unchanged:
            labels, margin, weight = _in_order(first, second, sample_weight)
            y, weight = labels_of_engine(labels, margin), weights_of_engine(weight)
            if held is None or not held.holds(y, weight):
                self._held[owner] = held = _DataOnDevice(self.copied, y, weight, comparable=not unchanged)
        margin = first if isinstance(second, xgboost.DMatrix) else second
        return held, held.receive(np.asarray(margin, np.float32))


class _DataOnDevice:
    """Labels and weights of a data set on a CUDA device, and the arrays that every round fills again."""

    def __init__(self, copied: Callable[[Array], Any], y: Array, weight: Array | None, *, comparable: bool) -> None:
        self._copied = copied
        self._host = (y, weight) if comparable else None
        self._totals: ClassTotals | None = None
        self._margin: Any = None
        self.y = copied(y)
        self.weight = None if weight is None else copied(weight)

    def totals(self) -> ClassTotals:
        """Class totals of all processes."""
        # Processes add up theirs together, and each reads its data anew when it sees fit.
        if self._totals is None or _COLLECTIVE.number() > 1:
            self._totals = totals_of_engine(self.y, self._margin, self.weight, _COLLECTIVE)
        return self._totals

    @functools.cached_property
    def derivatives(self) -> tuple[Any, Any]:
        # Neighbouring threads take neighbouring rows.
        with cuda.beside(self._margin):
            return np.empty_like(self._margin, order="F"), np.empty_like(self._margin, order="F")

    def holds(self, y: Array, weight: Array | None) -> bool:
        """Whether these are the labels and weights that were copied."""
        if self._host is None or not np.array_equal(self._host[0], y):
            return False
        held = self._host[1]
        return weight is None if held is None else weight is not None and np.array_equal(held, weight)

    def receive(self, margin: Array) -> Any:
        if self._margin is None or self._margin.shape != margin.shape:
            self._margin = self._copied(margin)
            self.__dict__.pop("derivatives", None)
        else:
            with cuda.beside(self._margin):
                self._margin.set(margin)
        return self._margin


def _in_order(first: Any, second: Any, sample_weight: Any, weighted: bool = True) -> tuple[Any, Array, Any]:
    """Labels, margin and weights, from either of the two orders in which XGBoost calls."""
    if isinstance(second, xgboost.DMatrix):
        # A DMatrix takes 50 microseconds to say that it has no weights.
        return second.get_label(), first, second.get_weight() if weighted else None
    return first, np.asarray(second), sample_weight


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


def _device_of(settings: Mapping[str, Any]) -> str | None:
    # XGBoost 2.1 to 3.0 still know older ways to ask for a GPU.
    number = settings.get("gpu_id")
    if settings.get("device"):
        return str(settings["device"])
    if settings.get("tree_method") == "gpu_hist" or (number is not None and int(number) >= 0):
        return f"cuda:{number or 0}"
    return None


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


def warn_if_no_split(booster: xgboost.Booster) -> None:
    """Warn of a booster whose trees are all a single leaf."""
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
        checked_parameters({"scale_pos_weight": parameters["scale_pos_weight"]})
    metric = plan.metric if plan.metric is not None else parameters.get("eval_metric")
    settings: dict[str, Any] = {"disable_default_eval_metric": True}
    first_round = 0
    if fit_params.get("xgb_model") is not None:
        fit_params = {**fit_params, "xgb_model": _to_continue(fit_params["xgb_model"])}
        first_round = fit_params["xgb_model"].num_boosted_rounds()
    elif parameters.get("base_score") is None:
        settings.update(_start(plan))
    device = _device_of(parameters)
    objective = Objective(plan.loss, **plan.conditioning, device=device)
    objective.fixed_on(plan.totals, np.zeros(1), first_round)
    resolved = plan.loss_after(first_round + estimator.get_num_boosting_rounds())
    settings["eval_metric"] = Metric(resolved, plan.named_metric(metric), device=device)
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
    warn_if_no_split(booster)
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
