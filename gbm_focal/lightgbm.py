"""LightGBM: the losses as objective and metric, and training whose model predicts rightly on its own.

`train` boosts from the loss's intercept and then adds it to the leaves of the first tree, so that it is part of
the model wherever that goes; and it writes the loss among the parameters of the model file, where
`predict_proba` finds it, also in another process. The model says `objective=binary` (or `multiclass`), so its
own `predict` returns sigmoid(margin) (or softmax), which is not a probability under these losses: use
`predict_proba`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

try:
    import lightgbm
except ImportError as error:
    raise ImportError("gbm_focal.lightgbm needs LightGBM 4.3 or newer: pip install 'gbm_focal[lightgbm]'") from error

from .boosting import (
    NO_METRIC,
    BaseMetric,
    BaseObjective,
    Link,
    Plan,
    require_loss,
    totals_of_training,
    warn_of_no_split,
)
from .losses import Array, Hessian, Loss
from .progress import bar_of_rounds

__all__ = ["Metric", "Objective", "predict_proba", "train"]

# Metrics of the order of the margins: right whatever the link is.
_RANKING_METRICS = NO_METRIC | {"auc", "average_precision"}
_ALIASES = {
    "objective": ("objective", "objective_type", "app", "application", "loss"),
    "boosting": ("boosting", "boosting_type", "boost"),
    "metric": ("metric", "metrics", "metric_types"),
    "is_unbalance": ("is_unbalance", "unbalance", "unbalanced_sets"),
    "linear_tree": ("linear_tree", "linear_trees"),
    "num_class": ("num_class", "num_classes"),
    "scale_pos_weight": ("scale_pos_weight",),
    "pos_bagging_fraction": ("pos_bagging_fraction", "pos_sub_row", "pos_subsample", "pos_bagging"),
    "neg_bagging_fraction": ("neg_bagging_fraction", "neg_sub_row", "neg_subsample", "neg_bagging"),
}
_ENTRY = re.compile(r"^\[gbm_focal: (.*)\]$", re.MULTILINE)


class Objective(BaseObjective):
    """A loss as an objective of LightGBM.

    It goes where LightGBM takes a callable: ``params={"objective": ...}`` of `lightgbm.train` and `lightgbm.cv`,
    and ``objective=`` of the scikit-learn classes. On its own it starts at a margin of 0; `train` starts at
    the intercept and keeps it in the model.

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
    """The weighted mean of a loss, or a metric of its posteriors, as an evaluation metric of LightGBM.

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
    """

    @property
    def __name__(self) -> str:
        """Name under which LightGBM reports the metric."""
        return self._name

    def __call__(self, first: Any, second: Any, sample_weight: Any = None) -> tuple[str, float, bool]:
        """Return (name, score, greater is better) of (margin, Dataset), or of (y_true, margin, sample_weight)."""
        score = self.score(*_in_order(first, second, sample_weight))
        return self.__name__, score, self._greater_is_better


def train(
    params: Mapping[str, Any],
    train_set: lightgbm.Dataset,
    num_boost_round: int = 100,
    *,
    loss: Loss,
    hessian: Hessian = "fisher",
    max_step: float | None = 2.0,
    normalize: bool = True,
    calibrate: bool = True,
    progress: bool = False,
    **engine_kwargs: Any,
) -> lightgbm.Booster:
    """Train a booster on a loss, as `lightgbm.train` does.

    Parameters
    ----------
    params : dict
        LightGBM's parameters. `objective` is set here. Of LightGBM's metrics only those of the order are
        accepted (auc, average_precision), and none for classes: the others would take the margin for a
        probability. `num_class` says that the labels are classes.
    train_set : lightgbm.Dataset
        Labels 0 or 1, or classes 0 to num_class - 1; its weights count. With an `init_score` of its own, training
        starts there and no intercept is set; LightGBM keeps no init_score in the model.
    num_boost_round : int, default 100
    loss : Loss
    hessian, max_step, normalize
        See `Objective`.
    calibrate : bool, default True
        Shift the log-odds of `predict_proba` by a constant, stored beside the loss, so that their mean over
        `train_set` is the base rate; see `gbm_focal.boosting.Link`. The trees and the margins are not touched.
        Cross-entropy needs no shift and gets none; nor does training from an `init_score`.
    progress : bool, default False
        Show a bar over the rounds, where stderr is a terminal. Needs tqdm.
    **engine_kwargs
        All other arguments of `lightgbm.train`: `valid_sets`, `callbacks`, ... . With `init_model` training goes
        on from that model's margins, and no new intercept is set. `feval` is by default `Metric(loss)`;
        functions of your own get the full margin, too. Callbacks see the booster without its intercept, which
        enters the model at the end.

    Returns
    -------
    lightgbm.Booster
        Its `predict(raw_score=True)` is the full margin, now and after any saving and loading.

    Raises
    ------
    ValueError, TypeError
        If a parameter contradicts the loss, or labels or weights are invalid.
    """
    require_loss(loss)
    settings = _checked_parameters(params, train_set.get_params())
    if engine_kwargs.get("keep_training_booster"):
        raise ValueError(
            "keep_training_booster=True is not possible here, because the intercept enters the finished model: go on "
            "with train(..., init_model=booster)"
        )
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
        _require_same_start(train_set, engine_kwargs.get("valid_sets"), users_start)
    totals = totals_of_training("train_set", label, weight, settings.get("num_class"))
    first_round = _rounds_of(engine_kwargs["init_model"]) if starts_from_model else 0
    plan = Plan(loss, totals, sample_weight=weight)
    resolved = plan.loss_after(first_round + num_boost_round)
    Link.bare(resolved).to_json()  # so that a parameter that cannot be stored fails before training, not after
    intercept = np.zeros(totals.positive.size)
    if not starts_from_model and not users_start:
        intercept = plan.intercepts()
    objective = Objective(loss, hessian=hessian, max_step=max_step, normalize=normalize)
    settings["objective"] = objective.fixed_on(totals, intercept, first_round)
    feval = engine_kwargs.pop("feval", None)
    if feval is None:
        feval = Metric(resolved).starting_at(intercept)
    else:
        functions = feval if isinstance(feval, list) else [feval]
        feval = [_AtFullMargin(function, intercept) for function in functions]
    engine_kwargs["keep_training_booster"] = True  # which knows the margins of the training data
    callbacks = engine_kwargs.pop("callbacks", None) or ()
    with bar_of_rounds(progress) as bar:
        engine_kwargs["callbacks"] = [*_counting(bar), *callbacks]
        booster = lightgbm.train(settings, train_set, num_boost_round, feval=feval, **engine_kwargs)
    text = booster.model_to_string(num_iteration=-1)
    calibrated = calibrate and not users_start
    margin = (lambda: _margin_of_training(booster)) if calibrated else None
    link = plan.link_after(_kept_rounds(booster), margin, intercept)
    return _completed(booster, text, link, intercept)


def predict_proba(booster: lightgbm.Booster, data: Any, *, loss: Loss | None = None, **predict_kwargs: Any) -> Array:
    """Posterior probabilities of a booster that `train` made, in this process or another.

    Parameters
    ----------
    booster : lightgbm.Booster
    data : anything that `Booster.predict` takes
    loss : Loss, optional
        For boosters that do not know their loss, because `lightgbm.train` made them: the bare posterior.
    **predict_kwargs
        For `Booster.predict`. Mind that `start_iteration` drops the intercept with the first tree.

    Returns
    -------
    ndarray of shape (n, 2) with the probabilities of 0 and 1, or (n, K) of K classes

    Raises
    ------
    ValueError
        If the booster does not know its loss, and none is given.
    """
    if loss is not None:
        link = Link.bare(loss, "multiclass" if booster.num_model_per_iteration() > 1 else "binary")
    else:
        found = _ENTRY.search(booster.model_to_string(num_iteration=1))
        if found is None:
            raise ValueError(
                "the booster's model has no entry 'gbm_focal', so its loss is unknown: train it with "
                "gbm_focal.lightgbm.train, or pass loss="
            )
        link = Link.from_json(found.group(1))
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


def _counting(bar: Any) -> list[_Counting]:
    return [] if bar is None else [_Counting(bar)]


class _AtFullMargin:
    """A user's evaluation function, called with the intercept in the margin."""

    def __init__(self, function: Callable[[Array, lightgbm.Dataset], Any], intercept: Array) -> None:
        self.function = function
        self.intercept = intercept

    def __call__(self, margin: Array, data: lightgbm.Dataset) -> Any:
        return self.function(margin + self.intercept, data)


def _in_order(first: Any, second: Any, sample_weight: Any) -> tuple[Any, Array, Any]:
    """Labels, margin and weights, from either of the two orders in which LightGBM calls."""
    if isinstance(second, lightgbm.Dataset):
        return second.get_label(), first, second.get_weight()
    return first, np.asarray(second), sample_weight


def _checked_parameters(params: Mapping[str, Any], of_data_set: Mapping[str, Any]) -> dict[str, Any]:
    settings = dict(params)

    def take(name: str, default: Any) -> Any:
        given = {alias: settings.pop(alias) for alias in _ALIASES[name] if alias in settings}
        if len(given) > 1:
            raise ValueError(f"{' and '.join(map(repr, given))} are one parameter: give it once")
        value = next(iter(given.values()), None)
        return default if value is None else value

    classes = int(take("num_class", 1))
    if classes > 1:
        settings["num_class"] = classes
    objective = take("objective", None)
    if objective not in (None, "binary" if classes == 1 else "multiclass"):
        raise ValueError(f"objective={objective!r} contradicts loss=: leave it out, the loss is the objective")
    boosting = take("boosting", "gbdt")
    if boosting in ("rf", "random_forest"):
        raise ValueError(
            f"boosting={boosting!r} is not possible with a loss of its own, because LightGBM's random forest takes no "
            "starting margin: use 'gbdt' or 'dart'"
        )
    if _is_on(take("linear_tree", False)) or any(_is_on(of_data_set.get(name)) for name in _ALIASES["linear_tree"]):
        raise ValueError(
            "linear_tree=True is not possible here, because the intercept, kept in the leaves of the first tree, "
            "would be ignored in prediction: leave linear_tree out"
        )
    if _is_on(take("is_unbalance", False)):
        raise ValueError(
            "is_unbalance=True has no effect on a custom objective: give the loss alpha='balanced' instead"
        )
    for name in ("scale_pos_weight", "pos_bagging_fraction", "neg_bagging_fraction"):
        value = take(name, 1)
        if float(value) != 1:
            raise ValueError(
                f"{name}={value!r} has no effect on a custom objective: give the loss alpha instead, a number or "
                "'balanced'"
            )
    if _is_on(settings.get("feature_pre_filter")):
        raise ValueError(
            "feature_pre_filter=True makes LightGBM fail in its core under a custom objective when it leaves no "
            "feature: leave it out"
        )
    metric = take("metric", "None")
    metrics = metric.split(",") if isinstance(metric, str) else list(metric)
    for one in metrics:
        if classes > 1 and str(one).strip().lower() not in NO_METRIC:
            raise ValueError(
                f"metric={one!r} would take the margins for probabilities: leave it out for the loss itself, or use "
                "feval=Metric(loss, 'neg_log_loss') or another"
            )
        if str(one).strip().lower() not in _RANKING_METRICS:
            raise ValueError(
                f"metric={one!r} would take the margin for a probability: leave it out for the loss itself, or use "
                "auc or average_precision"
            )
    settings.update(boosting=boosting, metric=metric)
    return settings


def _is_on(value: Any) -> bool:
    return str(value).lower() in ("true", "1", "+")


def _with_labels(train_set: lightgbm.Dataset, settings: dict[str, Any], starts_from_model: bool) -> lightgbm.Dataset:
    """Return the data set, or one made of the same file, with its labels and weights at hand."""
    if _is_constructed(train_set):
        return train_set
    settings["feature_pre_filter"] = False  # LightGBM fails in its core if it leaves no feature
    in_file = isinstance(train_set.data, str | Path)
    if not in_file and train_set.used_indices is None:
        return train_set
    params = {**(train_set.params or {}), **settings}
    if in_file and starts_from_model:  # the raw data must stay at hand for the starting model
        fields = {name: getattr(train_set, name) for name in ("label", "weight", "init_score")}
        return lightgbm.Dataset(train_set.data, params=params, **fields).construct()
    train_set.params = params
    return train_set.construct()


def _require_same_start(train_set: lightgbm.Dataset, valid_sets: Any, users_start: bool) -> None:
    given = valid_sets or []
    for number, valid in enumerate(given if isinstance(given, list | tuple) else [given]):
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
    booster.eval_train(keep)
    return margins[0]


def _kept_rounds(booster: lightgbm.Booster) -> int:
    best: int = booster.best_iteration
    return best if best > 0 else booster.current_iteration()


def _rounds_of(model: Any) -> int:
    booster = model if isinstance(model, lightgbm.Booster) else lightgbm.Booster(model_file=model)
    return booster.current_iteration()


def _completed(booster: lightgbm.Booster, text: str, link: Link, intercept: Array) -> lightgbm.Booster:
    """Write into the model what a custom objective leaves out: link and loss, and the intercept."""
    header, _, rest = _ENTRY.sub("", text).partition("\nfeature_names=")
    if "\nobjective=" not in header:
        header += f"\nobjective={_native_objective(link, intercept.size)}"
    body, _, parameters = rest.partition("\nparameters:\n")
    text = f"{header}\nfeature_names={body}\nparameters:\n[gbm_focal: {link.to_json()}]\n{parameters}"
    booster.model_from_string(text).free_dataset()
    if intercept.any():
        for number, tree in enumerate(booster.dump_model(num_iteration=1)["tree_info"]):
            for leaf in range(tree["num_leaves"]):
                booster.set_leaf_output(number, leaf, booster.get_leaf_output(number, leaf) + intercept[number])
    if booster.num_trees() and not booster.feature_importance("split").any():
        warn_of_no_split()
    return booster


def _native_objective(link: Link, columns: int) -> str:
    """LightGBM's own objective with the same shape of predictions."""
    if link.kind == "binary":
        return "binary sigmoid:1"
    if link.kind == "multiclass" and link.loss.has_softmax:
        return f"multiclass num_class:{columns}"
    return f"multiclassova num_class:{columns} sigmoid:1"


# ---- the scikit-learn classes, for FocalClassifier ----


def fit_estimator(estimator: Any, X: Any, y: Array, plan: Plan, fit_params: dict[str, Any]) -> tuple[Any, Link]:
    """Fit a clone of an `LGBMClassifier` as the plan says, and its link, which the booster stores."""
    parameters = {name: value for name, value in estimator.get_params().items() if value is not None}
    if "class_weight" in parameters:
        raise ValueError(
            f"class_weight={parameters['class_weight']!r} of the estimator has no effect: give class_weight to "
            "FocalClassifier, or the loss alpha"
        )
    for alias in _ALIASES["metric"][1:]:
        if alias in parameters:
            raise ValueError(f"{alias}={parameters[alias]!r} of the estimator would be ignored: call it metric")
    metric = plan.metric if plan.metric is not None else parameters.get("metric")
    columns = plan.totals.positive.size
    classes = {"num_class": columns} if plan.totals.kind == "multiclass" else {}
    _checked_parameters({**{name: value for name, value in parameters.items() if name != "metric"}, **classes}, {})
    intercept, first_round = np.zeros(columns), 0
    start = fit_params.get("init_model")
    if start is None:
        intercept = plan.intercepts()
    else:
        first_round = _rounds_of(start.booster_ if isinstance(start, lightgbm.LGBMModel) else start)
    objective = Objective(plan.loss, **plan.conditioning)
    objective.fixed_on(plan.totals, intercept, first_round)
    resolved = plan.loss_after(first_round + estimator.n_estimators)
    of_metric: Any = Metric(resolved, plan.named_metric(metric)).starting_at(intercept)
    model = clone(estimator).set_params(objective=objective, metric="None", feature_pre_filter=False)
    if not isinstance(model, lightgbm.LGBMClassifier):  # the regressor of gbm_focal.dask counts no classes
        model.set_params(**classes)
    eval_set, patterns = plan.eval_set, _Patterns(columns)
    if plan.totals.kind == "multilabel":
        # LightGBM has one label a row, so each data set gets a pattern that stands for its labels.
        y, eval_set = patterns.of(y), [(X_eval, patterns.of(y_eval)) for X_eval, y_eval in eval_set]
        of_metric = _OfPattern(of_metric, patterns)
        model.set_params(num_class=columns, objective=_OfPattern(objective, patterns))
    if eval_set:
        evaluation = {"eval_sample_weight": plan.eval_weights, "eval_metric": of_metric}
        if "eval_X" in inspect.signature(model.fit).parameters:  # LightGBM 4.7 has renamed it
            evaluation["eval_X"], evaluation["eval_y"] = (tuple(part) for part in zip(*eval_set, strict=True))
        else:
            evaluation["eval_set"] = eval_set
        fit_params = {**fit_params, **evaluation}
    given = model.objective
    with bar_of_rounds(plan.progress) as bar:
        fit_params = {**fit_params, "callbacks": [*_counting(bar), *(fit_params.get("callbacks") or ())]}
        model.fit(X, y, **{"sample_weight": plan.sample_weight, **fit_params})
    model.set_params(objective=given)  # of which Dask has put a worker's copy in its place
    patterns.labels.clear()
    objective.released()
    booster = model.booster_
    link = plan.link_after(_kept_rounds(booster), lambda: margin_of_estimator(model, X), intercept)
    _completed(booster, booster.model_to_string(num_iteration=-1), link, intercept)
    return model, link


def margin_of_estimator(model: Any, X: Any) -> Array:
    """Margins of a fitted `LGBMClassifier`, or of a `Booster`."""
    margin: Array = model.predict(X, raw_score=True)
    return margin


class _Patterns:
    """Numbers, one a row, that name data sets of several labels a row."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.labels: dict[bytes, Array] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> _Patterns:
        return self  # LightGBM copies its parameters, and each call must find the same labels

    def of(self, y: Array) -> Array:
        least = max(self.columns, 50)
        if y.shape[0] < least:
            raise ValueError(
                f"y has {y.shape[0]} rows of {self.columns} labels: give at least {least} rows, in evaluation sets, "
                "too, or use XGBoost"
            )
        pattern = np.random.default_rng(len(self.labels)).permutation(np.arange(y.shape[0]) % self.columns)
        self.labels[pattern.astype(np.float32).tobytes()] = y
        return pattern

    def labels_of(self, pattern: Array) -> Array:
        return self.labels[np.asarray(pattern, np.float32).tobytes()]


class _OfPattern:
    """An objective or metric, called with the labels that a pattern stands for."""

    def __init__(self, function: Objective | Metric, patterns: _Patterns) -> None:
        self.function = function
        self.patterns = patterns

    def __call__(self, pattern: Array, margin: Array, sample_weight: Any) -> Any:
        return self.function(self.patterns.labels_of(pattern), margin, sample_weight)


def evals_result_of(model: Any) -> dict[str, Any]:
    """History of the metric on the evaluation sets."""
    result: dict[str, Any] = model.evals_result_
    return result


def best_iteration_of(model: Any) -> int | None:
    """Where early stopping stopped, if it did; counted from 0 as XGBoost does."""
    best: int = model.best_iteration_
    return best - 1 if best > 0 else None


def importances_of(model: Any) -> Array:
    """Return the importances of the features."""
    if isinstance(model, lightgbm.Booster):
        return np.asarray(model.feature_importance())
    importances: Array = model.feature_importances_
    return importances


def check_columns(X: Any) -> None:
    """Raise for columns at which LightGBM would abort the process."""
    module = type(X).__module__.partition(".")[0]
    types = {}
    if module == "polars":
        types = {name: str(kind) for name, kind in X.schema.items()}
    elif module == "pyarrow":
        types = {field.name: str(field.type) for field in X.schema}
    for name, kind in types.items():
        if not re.fullmatch(r"u?int(8|16|32|64)|float(32|64)?|double|bool(ean)?", kind.lower()):
            raise ValueError(
                f"column {name!r} is of type {kind}, at which LightGBM aborts the process: make it numbers, or give a "
                "pandas data frame with a category column"
            )


MODEL_FILE = "model.txt"


def version() -> str:
    """LightGBM's version."""
    return str(lightgbm.__version__)


def model_bytes_of(model: Any) -> bytes:
    """Return the model in LightGBM's text format."""
    booster = model if isinstance(model, lightgbm.Booster) else model.booster_
    return str(booster.model_to_string()).encode()


def new_estimator(settings: dict[str, Any]) -> Any:
    """Make an `LGBMClassifier`."""
    return lightgbm.LGBMClassifier(**settings)


def estimator_from_bytes(content: bytes, settings: dict[str, Any]) -> Any:
    """Make a `Booster` of what `model_bytes_of` returned; there is no public way to a fitted `LGBMClassifier`."""
    return lightgbm.Booster(model_str=content.decode())
