"""Training by XGBoost's own functions, and what its boosters predict."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost

from .._inputs import Array
from ..base_rates import Rates
from ..boosting import Plan, bar_of_rounds, checked_totals, warn_of_no_split, weights_of_engine
from ..link import Link
from ..losses import Hessian, Loss, require_loss
from .collective import COLLECTIVE
from .objective import Metric, Objective
from .parameters import base_score, checked_parameters, classes_of, device_of, penalty

_ATTRIBUTE = "gbm_focal"


def train(
    params: Mapping[str, Any] | Sequence[tuple[str, Any]],
    dtrain: xgboost.DMatrix,
    num_boost_round: int = 10,
    *,
    loss: Loss,
    hessian: Hessian = "fisher",
    max_step: float | None = 2.0,
    normalize: bool = True,
    pseudo_count: float = 0.0,
    calibrate: bool = True,
    base_rate: Rates | None = None,
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
    pseudo_count : float in [0, inf), default 0.0
        Shrinks leaves of few positives: this times (1 - 2 pi)^2, where pi is the base rate, is added to `lambda`. See
        `Plan.penalty <gbm_focal.boosting.Plan.penalty>`. 0 leaves `lambda` as it is.
    calibrate : bool, default True
        Shift the log-odds of `predict_proba` by a constant, stored beside the loss, so that their mean over
        `dtrain` is the base rate; see `gbm_focal.link.Link`. The trees and the margins are not touched.
        Cross-entropy needs no shift and gets none, unless training starts elsewhere than at the base rate: at a
        base_score or base_margin of yours, or at a model.
    base_rate : float, array-like of shape (K,) or (L,), or dict by class, optional
        Share of label 1 where the model will be used, if that is another than in `dtrain`, because negatives were
        dropped or rows weighted; of K classes one for each, with sum 1, of L labels one for each. `predict_proba` is
        then about that population, here and after any saving and loading. The trees and the margins do not depend on
        it, nor do metrics of evaluation sets. By default it is the (weighted) share in `dtrain`.
    progress : bool, default False
        Show a bar over the rounds, where stderr is a terminal. Needs tqdm.
    **engine_kwargs
        All other arguments of `xgboost.train`: `evals`, `early_stopping_rounds`, `callbacks`, ... . With
        `xgb_model` training goes on from that model's margins, and no new intercept is set; base rates are those of
        the new data and of this call, whatever that model's were. `custom_metric` is by default `Metric(loss)`, the
        one that early stopping looks at.

    Returns
    -------
    xgboost.Booster
        Its attribute "gbm_focal" holds the loss and the base rates as JSON.

    Raises
    ------
    ValueError, TypeError
        If a parameter contradicts the loss, or labels or weights are invalid.
    """
    require_loss(loss)
    settings = checked_parameters(params)
    if "obj" in engine_kwargs:
        raise ValueError("obj is made from loss here: leave it out, or call xgboost.train(obj=Objective(loss))")
    evals = engine_kwargs.get("evals")
    if evals is not None and not isinstance(evals, list | tuple):
        raise TypeError(f"evals is a {type(evals).__name__}: give a list of pairs, [(dvalid, 'valid')]")
    if not isinstance(dtrain, xgboost.DMatrix):
        raise TypeError(f"dtrain is a {type(dtrain).__name__}: give xgboost.DMatrix(X, label=y), or QuantileDMatrix")
    y = dtrain.get_label()
    if y.size == 0 and (dtrain.num_row() or COLLECTIVE.number() == 1):
        raise ValueError("dtrain has no labels: give DMatrix(..., label=y) with y of 0 and 1")
    if y.size > dtrain.num_row():
        y = y.reshape(dtrain.num_row(), -1)
    weight = weights_of_engine(dtrain.get_weight())
    classes = classes_of(settings)
    totals = checked_totals("dtrain", COLLECTIVE.totals(y, weight, classes), classes)
    del y, weight
    conditioning = {"hessian": hessian, "max_step": max_step, "normalize": normalize}
    plan = Plan(loss, totals, conditioning, pseudo_count, base_rate=base_rate)
    arguments = arguments_of_training(plan, settings, num_boost_round, calibrate, engine_kwargs, dtrain)
    with bar_of_rounds(progress, num_boost_round) as bar:
        arguments["callbacks"] = [*counting(bar), *arguments["callbacks"]]
        booster = xgboost.train(dtrain=dtrain, num_boost_round=num_boost_round, **arguments)
    warn_if_no_split(booster)
    return booster


@dataclass(frozen=True)
class Beginning:
    """What every training begins with, whoever runs its rounds: `train`, Dask, or a scikit-learn class."""

    start: xgboost.Booster | None  # the model to continue
    parameters: dict[str, Any]  # those that the plan sets: the penalty, and base_score unless the start is another
    from_intercept: bool  # or from a model, or from where the user says
    objective: Objective
    metric: Metric
    storing: xgboost.callback.TrainingCallback


def begin(
    plan: Plan, given: Mapping[str, Any], rounds: int, start: Any, metric: str | Callable[..., Any] | None = None
) -> Beginning:
    """Begin a training of so many rounds.

    `given` are XGBoost's parameters, and `start` is the model to continue, if there is one.
    """
    first_round = 0
    from_intercept = start is None and given.get("base_score") is None
    score = base_score(plan) if from_intercept else {}
    if start is not None:
        start = _to_continue(start)
        # With "update" the rounds are those of the model's own trees, from the first one on, whose leaves are refitted.
        first_round = 0 if given.get("process_type") == "update" else start.num_boosted_rounds()
    device = device_of(given)
    objective = Objective(plan.loss, **plan.conditioning, device=device)
    objective.fixed_on(plan.totals, np.zeros(1), first_round)
    resolved = plan.loss_after(first_round + rounds)
    Link.bare(resolved).to_json()  # so that a parameter that cannot be stored fails before training, not after
    of_metric = Metric(resolved, metric, device=device).relative_to(plan.totals).of_one_training()
    return Beginning(
        start, {**score, **penalty(plan, given)}, from_intercept, objective, of_metric, _LinkOfRound(plan, first_round)
    )


def arguments_of_training(
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
    beginning = begin(plan, settings, num_boost_round, engine_kwargs.get("xgb_model"))
    calibration = _Calibration(plan, beginning, calibrate, dtrain)
    return {
        "custom_metric": beginning.metric,
        **engine_kwargs,
        "params": {**settings, **beginning.parameters},
        "obj": beginning.objective,
        "xgb_model": beginning.start,
        "callbacks": [beginning.storing, *(engine_kwargs.get("callbacks") or ()), calibration],
    }


def predict_proba(
    booster: xgboost.Booster,
    data: Any,
    *,
    loss: Loss | None = None,
    base_rate: Rates | None = None,
    **predict_kwargs: Any,
) -> Array:
    """Posterior probabilities of a booster that `train` made, in this process or another.

    Parameters
    ----------
    booster : xgboost.Booster
    data : DMatrix, or anything that `Booster.inplace_predict` takes
    loss : Loss, optional
        For boosters that do not know their loss, because `xgboost.train` made them: the bare posterior.
    base_rate : float, array-like of shape (K,) or (L,), or dict by class, optional
        Share of label 1, or of each class or label, in the population that the probabilities shall be about. By default
        that which `train` was given.
    **predict_kwargs
        For `Booster.predict`; by default `iteration_range` ends at the best iteration, if there was early
        stopping.

    Returns
    -------
    ndarray of shape (n, 2) with the probabilities of 0 and 1; (n, K) of K classes; (n, L) of 1 for L labels

    Raises
    ------
    ValueError
        If the booster does not know its loss, and none is given; or its base rate, which version 0.1 did not store.
    """
    link = link_of(booster, loss)
    if base_rate is not None:
        link = link.at_base_rate(base_rate)
    predict_kwargs.setdefault("iteration_range", best_iterations(booster))
    if isinstance(data, xgboost.DMatrix):
        margin = booster.predict(data, output_margin=True, **predict_kwargs)
    else:
        margin = booster.inplace_predict(data, predict_type="margin", **predict_kwargs)
    return link.probabilities(margin)


def link_of(booster: xgboost.Booster, loss: Loss | None = None) -> Link:
    """Return the link that a booster stores, or the bare one of a loss.

    Raises
    ------
    ValueError
        If the booster does not know its loss, and none is given.
    TypeError
        If it is none of XGBoost.
    """
    if not isinstance(booster, xgboost.Booster):
        kind = type(booster)
        raise TypeError(
            f"booster is a {kind.__module__}.{kind.__name__}: give an xgboost.Booster; those of LightGBM go to "
            "gbm_focal.lightgbm, and a FocalClassifier has its own predict_proba"
        )
    if loss is not None:
        return Link.bare(loss, "multiclass" if '"multi:' in booster.save_config() else "binary")
    stored = booster.attr(_ATTRIBUTE)
    if stored is None:
        raise ValueError(
            "the booster has no attribute 'gbm_focal', so its loss is unknown: train it with "
            "gbm_focal.xgboost.train, or pass loss= to predict_proba"
        )
    return Link.from_json(stored)


def store_link(booster: xgboost.Booster, link: Link) -> None:
    """Write a link where `link_of` finds it, in whatever file the booster is saved."""
    booster.set_attr(**{_ATTRIBUTE: link.to_json()})


class _LinkOfRound(xgboost.callback.TrainingCallback):
    """Stores the bare link from the first round on, for who looks at the booster before training ends: checkpoints."""

    def __init__(self, plan: Plan, first_round: int) -> None:
        # The rest of it may not go to the workers of a cluster.
        self._plan = Plan(plan.loss, plan.totals, base_rate=plan.base_rate)
        self._first_round = first_round

    def before_iteration(self, model: xgboost.Booster, epoch: int, evals_log: Any) -> bool:
        if epoch == 0 or self._plan.loss.is_scheduled:
            store_link(model, self._plan.link_after(self._first_round + epoch + 1, None))
        return False


class _Calibration(xgboost.callback.TrainingCallback):
    """Stores the link in the booster when training ends, while XGBoost has the margins of the training data at hand."""

    def __init__(self, plan: Plan, beginning: Beginning, calibrate: bool, dtrain: xgboost.DMatrix | None) -> None:
        self._plan = plan
        self._objective = beginning.objective
        self._from_intercept = beginning.from_intercept
        self._calibrate = calibrate
        self._dtrain = dtrain

    def after_training(self, model: xgboost.Booster) -> xgboost.Booster:
        dtrain = self._objective.training_data() if self._dtrain is None else self._dtrain

        def margin() -> Array:
            of_training = model.predict(dtrain, output_margin=True, iteration_range=best_iterations(model))
            return self._objective.beside_gradients(of_training, self._plan.totals.kind)

        known = self._calibrate and dtrain is not None
        weight = weights_of_engine(dtrain.get_weight()) if known else None
        # A worker without rows has no base_margin, and all of them fit the link or none does.
        elsewhere = known and COLLECTIVE.sum(np.array([dtrain.get_base_margin().size])).any()
        link = self._plan.link_after(
            kept_rounds(model),
            margin if known else None,
            weight,
            from_intercept=self._from_intercept and not elsewhere,
            processes=COLLECTIVE,
        )
        store_link(model, link)
        return model


class _Counting(xgboost.callback.TrainingCallback):
    """Moves a progress bar.

    XGBoost before 3.2 calls callbacks in any order, and one that stops the training hides those after it. So a round
    counts when the next one begins, and the last when training has ended.
    """

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._begun = 0

    def before_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        self._bar.update(self._begun - self._bar.n)
        self._begun += 1
        return False

    def after_training(self, model: Any) -> Any:
        self._bar.update(self._begun - self._bar.n)
        return model


def counting(bar: Any) -> list[xgboost.callback.TrainingCallback]:
    """Return the callbacks that move a bar, if there is one."""
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


def kept_rounds(booster: xgboost.Booster) -> int:
    """How many rounds count: up to the best one, if there was early stopping."""
    rounds: int = best_iterations(booster)[1] or booster.num_boosted_rounds()
    return rounds


def warn_if_no_split(booster: xgboost.Booster) -> None:
    """Warn of a booster whose trees are all a single leaf."""
    config = booster.save_config()
    if booster.num_boosted_rounds() == 0 or '"gblinear"' in config:
        return
    if "multi_output_tree" in config:  # of which XGBoost 2.1 crashes when it is asked for importances
        model = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]
        trees = model.get("gbtree", model)["model"]["trees"]
        has_split = any(len(tree["left_children"]) > 1 for tree in trees)
    else:
        has_split = bool(booster.get_score(importance_type="weight"))
    if not has_split:
        warn_of_no_split()
