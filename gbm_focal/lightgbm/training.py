"""Training by LightGBM's own `train`, and what its boosters predict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from .._inputs import Array
from ..base_rates import Rates
from ..boosting import Plan, bar_of_rounds, checked_totals, warn_of_no_split
from ..link import Link
from ..losses import ClassTotals, Hessian, Loss, require_loss
from .model_text import complete, link_of
from .objective import AtFullMargin, Metric, Objective
from .parameters import checked_parameters, drops_trees, penalty, require_no_training_margins, starts_at_zero


def train(
    params: Mapping[str, Any],
    train_set: lightgbm.Dataset,
    num_boost_round: int = 100,
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
) -> lightgbm.Booster:
    """Train a booster on a loss, as `lightgbm.train` does.

    Parameters
    ----------
    params : dict
        LightGBM's parameters. `objective` is set here. Of LightGBM's metrics only those of the order are
        accepted (auc, average_precision), and none for classes: the others would take the margin for a
        probability. `num_class` says that the labels are classes. ``boost_from_average=False`` starts at a margin of 0.
    train_set : lightgbm.Dataset
        Labels 0 or 1, or classes 0 to num_class - 1; its weights count. With an `init_score` of its own, training
        starts there and no intercept is set; LightGBM keeps no init_score in the model.
    num_boost_round : int, default 100
    loss : Loss
    hessian, max_step, normalize
        See `Objective`.
    pseudo_count : float in [0, inf), default 0.0
        Shrinks leaves of few positives: this times (1 - 2 pi)^2, where pi is the base rate, is added to `lambda_l2`.
        See `Plan.penalty <gbm_focal.boosting.Plan.penalty>`. 0 leaves `lambda_l2` as it is.
    calibrate : bool, default True
        Shift the log-odds of `predict_proba` by a constant, stored beside the loss, so that their mean over
        `train_set` is the base rate; see `gbm_focal.link.Link`. The trees and the margins are not touched.
        Cross-entropy needs no shift and gets none, unless training starts elsewhere than at the base rate: at 0, or at
        a model. Training from an `init_score` gets none.
    base_rate : float, array-like of shape (K,), or dict by class, optional
        Share of label 1 where the model will be used, if that is another than in `train_set`, because negatives were
        dropped or rows weighted; of K classes one for each, with sum 1. `predict_proba` is then about that population,
        here and after any saving and loading. The trees and the margins do not depend on it, nor do metrics of
        evaluation sets. By default it is the (weighted) share in `train_set`.
    progress : bool, default False
        Show a bar over the rounds, where stderr is a terminal. Needs tqdm.
    **engine_kwargs
        All other arguments of `lightgbm.train`: `valid_sets`, `callbacks`, ... . With `init_model` training goes
        on from that model's margins, and no new intercept is set; base rates are those of the new data and of this
        call, whatever that model's were. `feval` is by default `Metric(loss)`; functions of your own get the full
        margin, too. Callbacks see the booster without its intercept, which enters the model at the end.

    Returns
    -------
    lightgbm.Booster
        Its `predict(raw_score=True)` is the full margin, now and after any saving and loading. After early stopping it
        ends with the best iteration.

    Raises
    ------
    ValueError, TypeError
        If a parameter contradicts the loss, or labels or weights are invalid.
    """
    require_loss(loss)
    if not isinstance(train_set, lightgbm.Dataset):
        raise TypeError(f"train_set is a {type(train_set).__name__}: give lightgbm.Dataset(X, label=y)")
    valid_sets = _as_list(engine_kwargs.get("valid_sets"))
    settings = checked_parameters(params, train_set.get_params())
    classes = settings.get("num_class")
    if engine_kwargs.get("keep_training_booster"):
        raise ValueError(
            "keep_training_booster=True is not possible here, because the intercept enters the finished model: go on "
            "with train(..., init_model=booster)"
        )
    if isinstance(engine_kwargs.get("init_model"), lightgbm.LGBMModel):
        engine_kwargs["init_model"] = engine_kwargs["init_model"].booster_
    starts_from_model = engine_kwargs.get("init_model") is not None
    inherited = getattr(train_set, "_predictor", None) is not None  # its init_score is an earlier init_model's
    if inherited and not starts_from_model:
        raise ValueError(
            "train_set still holds the margins of an init_model that it was trained from before: make a new Dataset"
        )
    source = _with_labels(train_set, settings, starts_from_model)
    constructed = _is_constructed(source)
    if constructed and source is train_set:
        _require_usable_features(train_set)
    label, weight, init_score = (_field(source, name, constructed) for name in ("label", "weight", "init_score"))
    if label is None:
        raise ValueError("train_set has no labels: give Dataset(..., label=y) with y of 0 and 1")
    users_start = init_score is not None and not inherited
    if not starts_from_model:
        _require_same_start(train_set, valid_sets, users_start)
    if any(valid_set is train_set for valid_set in valid_sets):
        require_no_training_margins(settings)
    totals = checked_totals("train_set", ClassTotals.of(label, weight, classes=classes), classes)
    conditioning = {"hessian": hessian, "max_step": max_step, "normalize": normalize}
    plan = Plan(loss, totals, conditioning, pseudo_count, base_rate=base_rate)
    settings.update(penalty(plan, settings))
    at_zero = users_start or starts_at_zero(settings)
    beginning = begin(plan, num_boost_round, engine_kwargs.get("init_model"), at_zero=at_zero)
    settings["objective"] = beginning.objective
    feval = engine_kwargs.pop("feval", None)
    if feval is None:
        feval = beginning.metric
    else:
        functions = feval if isinstance(feval, list) else [feval]
        feval = [AtFullMargin(function, beginning.intercept) for function in functions]
    engine_kwargs["keep_training_booster"] = True  # which knows the margins of the training data
    callbacks = engine_kwargs.pop("callbacks", None) or ()
    with bar_of_rounds(progress) as bar:
        engine_kwargs["callbacks"] = [*counting(bar), *callbacks]
        # Not `lightgbm.train`, by which tools such as MLflow would log a booster that is not finished.
        booster = lightgbm.engine.train(settings, train_set, num_boost_round, feval=feval, **engine_kwargs)
    margin = (lambda: _margin_of_training(booster)) if calibrate and not users_start else None
    link = plan.link_after(
        kept_rounds(booster), margin, weight, from_intercept=beginning.from_intercept, offset=beginning.intercept
    )
    complete(booster, link, beginning.intercept)
    warn_if_no_split(booster)
    return booster


@dataclass(frozen=True)
class Beginning:
    """What every training begins with, whoever runs its rounds: `train` or a scikit-learn class."""

    objective: Objective
    metric: Metric
    intercept: Array  # which the objective adds to the margins, and `complete` to the model
    from_intercept: bool  # or from a model, or from 0


def begin(
    plan: Plan,
    rounds: int,
    start: Any,
    metric: str | Callable[..., Any] | None = None,
    *,
    at_zero: bool = False,
) -> Beginning:
    """Begin a training of so many rounds.

    `start` is the model to continue, if there is one; neither with it nor `at_zero` is there an intercept.
    """
    from_intercept = start is None and not at_zero
    first_round = 0 if start is None else _rounds_of(start)
    intercept = plan.intercepts() if from_intercept else np.zeros(plan.totals.positive.size)
    objective = Objective(plan.loss, **plan.conditioning)
    objective.fixed_on(plan.totals, intercept, first_round)
    resolved = plan.loss_after(first_round + rounds)
    Link.bare(resolved).to_json()  # so that a parameter that cannot be stored fails before training, not after
    of_metric = Metric(resolved, metric).relative_to(plan.totals).starting_at(intercept)
    return Beginning(objective, of_metric, intercept, from_intercept)


def predict_proba(
    booster: lightgbm.Booster,
    data: Any,
    *,
    loss: Loss | None = None,
    base_rate: Rates | None = None,
    **predict_kwargs: Any,
) -> Array:
    """Posterior probabilities of a booster that `train` made, in this process or another.

    Parameters
    ----------
    booster : lightgbm.Booster
    data : anything that `Booster.predict` takes
    loss : Loss, optional
        For boosters that do not know their loss, because `lightgbm.train` made them: the bare posterior.
    base_rate : float, array-like of shape (K,), or dict by class, optional
        Share of label 1, or of each class, in the population that the probabilities shall be about. By default that
        which `train` was given.
    **predict_kwargs
        For `Booster.predict`. Mind that `start_iteration` drops the intercept with the first tree.

    Returns
    -------
    ndarray of shape (n, 2) with the probabilities of 0 and 1, or (n, K) of K classes

    Raises
    ------
    ValueError
        If the booster does not know its loss, and none is given; or its base rate, which version 0.1 did not store.
    """
    link = link_of(booster, loss)
    if base_rate is not None:
        link = link.at_base_rate(base_rate)
    return link.probabilities(np.asarray(booster.predict(data, raw_score=True, **predict_kwargs)))


class _Counting:
    """Moves a progress bar, before a callback that may stop the training."""

    order = 0

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def __call__(self, environment: Any) -> None:
        # The parameters, too, can say how many rounds there are.
        self._bar.total = environment.end_iteration - environment.begin_iteration
        self._bar.update()


def counting(bar: Any) -> list[_Counting]:
    """Return the callbacks that move a bar, if there is one."""
    return [] if bar is None else [_Counting(bar)]


def _with_labels(train_set: lightgbm.Dataset, settings: dict[str, Any], starts_from_model: bool) -> lightgbm.Dataset:
    """Return the data set, or one made of the same file, with its labels and weights at hand."""
    if _is_constructed(train_set):
        return train_set
    settings["feature_pre_filter"] = False  # LightGBM fails in its core if it leaves no feature
    in_file = isinstance(train_set.data, str | Path)
    if not in_file and train_set.used_indices is None:
        return train_set
    # Without an objective, which comes later, LightGBM takes several classes for a mistake.
    params = {**(train_set.params or {}), **{name: value for name, value in settings.items() if name != "num_class"}}
    if in_file and starts_from_model:  # the raw data must stay at hand for the starting model
        fields = {name: getattr(train_set, name) for name in ("label", "weight", "init_score")}
        return lightgbm.Dataset(train_set.data, params=params, **fields).construct()
    train_set.params = params
    return train_set.construct()


def _as_list(valid_sets: Any) -> list[lightgbm.Dataset]:
    given = [] if valid_sets is None else valid_sets
    datasets = list(given) if isinstance(given, list | tuple) else [given]
    for dataset in datasets:
        if not isinstance(dataset, lightgbm.Dataset):
            raise TypeError(
                f"valid_sets is, or holds, a {type(dataset).__name__}: give a list of lightgbm.Dataset, made with "
                "reference=train_set"
            )
    return datasets


def _require_same_start(train_set: lightgbm.Dataset, valid_sets: list[lightgbm.Dataset], users_start: bool) -> None:
    for number, valid in enumerate(valid_sets):
        if valid is not train_set and (valid.init_score is not None) != users_start:
            raise ValueError(
                f"train_set has {'an' if users_start else 'no'} init_score, but valid_sets[{number}] has "
                f"{'none' if users_start else 'one'}: give it to both or to neither, or the metric is wrong"
            )


def _is_constructed(data: lightgbm.Dataset) -> bool:
    try:
        data.num_feature()
    except lightgbm.basic.LightGBMError:
        return False
    return True


def _field(data: lightgbm.Dataset, name: str, constructed: bool) -> Array | None:
    """Label, weight or init_score, whether the data set is constructed or not."""
    value = data.get_field(name) if constructed else getattr(data, name)
    return None if value is None else np.asarray(value)


def _require_usable_features(train_set: lightgbm.Dataset) -> None:
    features = train_set.num_feature()
    if not any(train_set.feature_num_bin(feature) > 1 for feature in range(features)):
        raise ValueError(
            f"LightGBM's feature_pre_filter has dropped all {features} features of train_set, and no custom objective "
            "can train on that: make it with Dataset(..., params={'feature_pre_filter': False})"
        )


def _margin_of_training(booster: lightgbm.Booster) -> Array:
    """Margins of the training data after the best iteration, without intercept; the booster loses the later trees."""
    margins: list[Array] = []

    def keep(margin: Array, _: lightgbm.Dataset) -> tuple[str, float, bool]:
        margins.append(margin)
        return "keep", 0.0, False

    while 0 < booster.best_iteration < booster.current_iteration():
        booster.rollback_one_iter()
    if drops_trees(booster.params):  # which it would do now
        skipping = booster.params.get("skip_drop", 0.5)
        booster.reset_parameter({"skip_drop": 1.0}).eval_train(keep)
        booster.reset_parameter({"skip_drop": skipping})
    else:
        booster.eval_train(keep)
    return margins[0]


def kept_rounds(booster: lightgbm.Booster) -> int:
    """How many rounds count: up to the best one, if there was early stopping."""
    best: int = booster.best_iteration
    return best if best > 0 else booster.current_iteration()


def _rounds_of(model: Any) -> int:
    if isinstance(model, lightgbm.LGBMModel):
        model = model.booster_
    booster = model if isinstance(model, lightgbm.Booster) else lightgbm.Booster(model_file=model)
    return booster.current_iteration()


def warn_if_no_split(booster: lightgbm.Booster) -> None:
    """Warn of a booster whose trees are all a single leaf."""
    if booster.num_trees() and not booster.feature_importance("split").any():
        warn_of_no_split()
