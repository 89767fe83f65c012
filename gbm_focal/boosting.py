"""What both engines share: a loss as objective, as metric, and as the link from a trained model to probabilities."""

from __future__ import annotations

import functools
import inspect
import json
import re
import warnings
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer

from ._inputs import check_rows
from .losses import Array, ClassTotals, Hessian, Kind, Loss, check_hessian

# XGBoost guesses from such a beginning that a metric is to be maximised.
MAXIMISED_PREFIXES = ("auc", "map", "ndcg", "pre")
_SMALL = 100_000  # margins
_BLOCK = 16_384  # rows at a time that stay in the cache, and add nothing to the memory of training


class BaseObjective:
    """A loss, and how its derivatives are conditioned for an engine; parameters as in the engines' `Objective`."""

    def __init__(
        self, loss: Loss, *, hessian: Hessian = "fisher", max_step: float | None = 2.0, normalize: bool = True
    ) -> None:
        require_loss(loss)
        check_hessian(hessian, max_step)
        self.loss = loss
        self.hessian = hessian
        self.max_step = max_step
        self.normalize = normalize
        self._fixed: ClassTotals | None = None
        self._offset: Array = np.zeros(1)
        self._first_round = 0
        self._forget()

    def _forget(self) -> None:
        self._latest: tuple[Any, tuple[Loss, Array]] | None = None
        self._rounds: weakref.WeakKeyDictionary[Any, tuple[bytes, int]] = weakref.WeakKeyDictionary()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to a running training: copies start anew."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_latest", "_rounds")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a copy."""
        self.__dict__.update(state)
        self._forget()

    def __repr__(self) -> str:
        """Show the parameters, as scikit-learn does."""
        return (
            f"{type(self).__name__}({self.loss!r}, hessian={self.hessian!r}, max_step={self.max_step!r}, "
            f"normalize={self.normalize!r})"
        )

    def softmax_factor(self, classes: int) -> float:
        """Multiple of the Fisher Hessian's diagonal that the engine takes for the softmax form."""
        raise NotImplementedError

    def fixed_on(self, totals: ClassTotals, offset: Array, first_round: int = 0) -> BaseObjective:
        """Resolve the loss for training data with these totals, and add `offset` to all margins."""
        self._fixed = totals
        self._offset = offset
        self._first_round = first_round
        return self

    def derivatives(
        self, y: ArrayLike, margin: Array, sample_weight: Any, *, data: Any = None, overwrite: bool = False
    ) -> tuple[Array, Array]:
        """Return float32 gradient and Hessian, in the shape of the margin.

        Rounds are counted for each data set apart, so that folds that train in turn do not share a schedule.

        With `overwrite` they take the place of margin and labels, where those have the right type: 8 bytes a row
        less at the peak of training.
        """
        y = labels_of_engine(y, margin)
        weight = weights_of_engine(sample_weight)
        loss, scale = self._of_this_round(y, margin, weight, self if data is None else data)
        if y.ndim < margin.ndim:  # classes, for which the kernel is faster in Fortran's order
            gradient = np.empty(margin.shape, np.float32, "F")
            hessian = np.empty_like(gradient)
        else:
            gradient = margin if overwrite and _replaceable(margin) else np.empty_like(margin, np.float32)
            hessian = y if overwrite and _replaceable(y) else np.empty_like(gradient)
        loss.fill_derivatives(
            y,
            margin,
            weight,
            gradient,
            hessian,
            exact=self.hessian == "exact",
            max_step=np.inf if self.max_step is None else self.max_step,
            scale=scale,
            offset=self._offset,
            softmax_factor=self.softmax_factor(margin.shape[1]) if y.ndim < margin.ndim else 1.0,
        )
        return gradient, hessian

    def _of_this_round(self, y: Array, margin: Array, weight: Array | None, data: Any) -> tuple[Loss, Array]:
        """Return the resolved loss and its scale; what does not change from round to round is not looked at again."""
        if self._fixed is not None and self._latest is not None and not self.loss.is_scheduled:
            return self._latest[1]
        totals = self._fixed or totals_of_engine(y, margin, weight)
        return self._resolved(self.loss.at_round(self._round_of(data, margin)), totals)

    def _round_of(self, data: Any, margin: Array) -> int:
        """Count the calls with a data set; where the margins are again those of the first, training starts anew."""
        some = margin[:64].tobytes()
        start, number = self._rounds.get(data, (some, self._first_round - 1))
        number = self._first_round if some == start else number + 1
        self._rounds[data] = (start, number)
        return number

    def released(self) -> None:
        """Forget the training data, so that later calls resolve the loss on their own."""
        self._fixed, self._offset, self._first_round = None, np.zeros(1), 0
        self._forget()

    def _resolved(self, loss: Loss, totals: ClassTotals) -> tuple[Loss, Array]:
        # An engine calls every round with the same data set, but it may be another next time: the totals tell.
        key = (loss.to_json(), self.normalize, totals.kind, totals.positive.tobytes(), totals.negative.tobytes())
        if self._latest is None or self._latest[0] != key:
            resolved = loss.resolve_totals(totals)
            scale = resolved.normalizers(totals) if self.normalize else np.ones(totals.positive.size)
            self._latest = (key, (resolved, scale))
        return self._latest[1]


class BaseMetric:
    """The weighted mean of a loss, or another metric of its posteriors; parameters as in the engines' `Metric`."""

    def __init__(self, loss: Loss, metric: str | Callable[..., Any] | None = None) -> None:
        require_loss(loss)
        self.loss = loss
        self.metric = metric
        self._offset: Array = np.zeros(1)
        self._name, self._greater_is_better = _name_and_direction(loss, metric)

    def __repr__(self) -> str:
        """Show the parameters, as scikit-learn does."""
        metric = "" if self.metric is None else f", {self.metric!r}"
        return f"{type(self).__name__}({self.loss!r}{metric})"

    def starting_at(self, offset: Array) -> BaseMetric:
        """Add `offset` to all margins."""
        self._offset = offset
        return self

    def score(self, y: ArrayLike, margin: Array, sample_weight: Any) -> float:
        """Weighted mean of the loss over all rows (and columns), or the metric of the posteriors."""
        y = labels_of_engine(y, margin)
        weight = weights_of_engine(sample_weight)
        loss = self.loss.at_round(np.inf)
        if isinstance(loss.alpha, str):
            loss = loss.resolve_totals(totals_of_engine(y, margin, weight))
        if self.metric is not None:
            return self._of_posteriors(loss, y, margin, weight)
        joint = loss.has_softmax and y.ndim < margin.ndim
        values = np.empty(y.shape, np.float32) if joint else np.empty_like(margin, np.float32)
        loss.fill_value(y, margin, weight, values, offset=self._offset)
        total = float(margin.shape[0] if weight is None else np.sum(weight, dtype=np.float64))
        if not total > 0:
            raise ValueError(f"{self!r} has no mean over data whose {margin.shape[0]} rows have no weight")
        summed = float(np.sum(values, dtype=np.float64))
        columns: int = values.size // margin.shape[0] if y.ndim == margin.ndim else 1
        return summed / (total * columns)

    def _of_posteriors(self, loss: Loss, y: Array, margin: Array, weight: Array | None) -> float:
        kind: Kind = "binary" if margin.ndim == 1 else "multilabel" if y.ndim == 2 else "multiclass"
        link = Link.bare(loss, kind)
        full = margin + np.asarray(self._offset, margin.dtype)
        predictions = _Predictions(link.probabilities(full), link.classes(full), kind)
        check_rows(y, margin, weight)
        y = y.astype(np.int64)
        weights = {} if weight is None else {"sample_weight": weight}
        if isinstance(self.metric, str) or _is_scorer(self.metric):
            return float(get_scorer(self.metric)(predictions, np.empty((y.shape[0], 0)), y, **weights))
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


def _is_scorer(metric: Any) -> bool:
    """Whether a callable is a scorer(estimator, X, y), not a metric(y_true, y_score)."""
    parameters = list(inspect.signature(metric).parameters)
    return len(parameters) >= 3 and parameters[0] == "estimator"


def _name_and_direction(loss: Loss, metric: Any) -> tuple[str, bool]:
    if metric is None:
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", type(loss).__name__).lower(), False
    if isinstance(metric, str):
        get_scorer(metric)  # whose error names all that are known
        return metric, True
    if not callable(metric):
        raise TypeError(
            f"metric={metric!r} is a {type(metric).__name__}: give the name of a scikit-learn scorer, or a function "
            "metric(y_true, y_score)"
        )
    if _is_scorer(metric):
        return str(getattr(metric, "__name__", "score")), True
    if isinstance(metric, functools.partial):  # which has neither name nor direction of its own
        metric = metric.func
    name = str(getattr(metric, "__name__", type(metric).__name__))
    if hasattr(metric, "greater_is_better"):
        return name, bool(metric.greater_is_better)
    if name.endswith(("_score", "_auc", "auc", "precision", "recall")):
        return name, True
    if name.endswith(("_loss", "_error", "_deviance", "_cost")):
        return name, False
    raise ValueError(
        f"metric={name} does not say whether greater is better: give the function an attribute greater_is_better, or "
        "let its name end with _score (greater is better), _loss or _error (smaller is)"
    )


NO_METRIC = frozenset(("none", "null", "na", "custom", ""))  # LightGBM's words for it
# What the engines call the metrics that scikit-learn has as well.
_SCORERS = {
    **dict.fromkeys(("logloss", "mlogloss", "binary_logloss", "multi_logloss", "log_loss"), "neg_log_loss"),
    **dict.fromkeys(("error", "merror", "binary_error", "multi_error"), "accuracy"),
    "aucpr": "average_precision",
}


@dataclass(frozen=True)
class Plan:
    """What a training is about: the loss, the totals of the training data, and what `FocalClassifier` adds."""

    loss: Loss
    totals: ClassTotals
    sample_weight: Array | None = None
    conditioning: dict[str, Any] = field(default_factory=dict)  # hessian, max_step and normalize
    metric: Any = None  # as the user names it
    eval_set: list[tuple[Any, Array]] = field(default_factory=list)
    eval_weights: list[Any] | None = None
    progress: bool = False

    def loss_after(self, rounds: int) -> Loss:
        """Return the resolved loss of the last of so many rounds."""
        return self.loss.at_round(max(rounds - 1, 0)).resolve_totals(self.totals)

    def intercepts(self) -> Array:
        """Return the margins at which training starts."""
        return self.loss_after(1).intercepts(self.totals)

    def link_after(self, rounds: int, margin: Callable[[], Array] | None, offset: ArrayLike = 0.0) -> Link:
        """Link of a model of so many rounds; its margins of the training data are asked for if they are needed.

        Without them it is the bare one.
        """
        loss = self.loss_after(rounds)
        if margin is None or keeps_the_base_rate(loss, self.totals.kind):
            return Link.bare(loss, self.totals.kind)
        return Link.fitted(loss, self.totals, margin(), self.sample_weight, offset)

    def named_metric(self, metric: Any) -> Any:
        """Translate an engine's name of a metric into scikit-learn's; None stands for the loss."""
        if isinstance(metric, list | tuple):
            if len(metric) > 1:
                raise ValueError(f"eval_metric={metric!r} names {len(metric)} metrics: give the one to stop on")
            metric = metric[0] if metric else None
        if isinstance(metric, str) and metric.lower() in NO_METRIC:
            return None
        if metric == "auc":
            return "roc_auc_ovr" if self.totals.kind == "multiclass" else "roc_auc"
        return _SCORERS.get(metric, metric) if isinstance(metric, str) else metric


@dataclass(frozen=True)
class Link:
    """What turns a trained model's margins into probabilities: its loss, and a shift of the log-odds per column.

    Boosting on cross-entropy keeps the mean prediction over the training data at the base rate, because that is
    what its gradients sum to. Other losses weigh the errors by where they are, and the mean posterior of a model
    that fits imperfectly drifts from the base rate, under balanced cross-entropy by half. A constant shift of the
    log-odds puts it back (calibration in the large: Steyerberg, Clinical Prediction Models, 2009, section 15.3).
    """

    loss: Loss
    shift: tuple[float, ...]
    kind: Kind = "binary"

    @classmethod
    def fitted(
        cls, loss: Loss, totals: ClassTotals, margin: Array, sample_weight: Any, offset: ArrayLike = 0.0
    ) -> Link:
        """Choose the shift at which the mean probability over the training data is the base rate."""
        # Small data get all digits, large ones half the memory.
        posterior = np.empty(margin.shape, margin.dtype if margin.size <= _SMALL else np.float32)
        loss.fill_posterior(margin, posterior, offset=offset, multiclass=totals.kind == "multiclass")
        weight = weights_of_engine(sample_weight)
        if totals.kind == "multiclass":
            return cls(loss, _shifts_of_classes(posterior, weight, totals.base_rates()), totals.kind)
        columns = posterior.reshape(margin.shape[0], -1).T
        rates = totals.base_rates().tolist()
        shifts = tuple(_shift_of(column, weight, rate) for column, rate in zip(columns, rates, strict=True))
        return cls(loss, shifts, totals.kind)

    @classmethod
    def bare(cls, loss: Loss, kind: Kind = "binary") -> Link:
        """Do without a shift."""
        return cls(loss, (0.0,), kind)

    def probabilities(self, margin: Array) -> Array:
        """Return P(y = 0) and P(y = 1) of margins of shape (n,); P(y = 1), or one a class, of shape (n, L)."""
        shift = np.asarray(self.shift)
        if self.kind == "multiclass":
            return _shifted_classes(self.loss.posterior(margin, multiclass=True), shift)
        positive = _shifted(self.loss.posterior(margin), shift)
        return positive if positive.ndim == 2 else np.column_stack([1 - positive, positive])

    def decision(self, margin: Array) -> Array:
        """Score of the decision that the class weights stand for.

        Of a label its log-odds, alpha eta against (1 - alpha) (1 - eta): positive where the label 1 costs less. Of
        K classes the largest costs least: alpha_k eta_k where a mistake costs the alpha of the true class, and
        eta_k - (1 - alpha_k) where, one versus rest, a wrongly predicted class costs its 1 - alpha as well.
        """
        columns = margin.shape[1] if margin.ndim == 2 else 1
        if self.kind == "multiclass":
            probabilities = self.probabilities(margin)
            if self.loss.alpha is None:
                return probabilities
            if self.loss.has_softmax:
                return probabilities * self.loss.softmax_weights(columns)
            return probabilities - self.loss.class_weights(columns)[1]
        positive, negative = self.loss.class_weights(columns)
        prior = np.asarray(self.shift) + np.log(positive / negative)
        return self.loss.log_odds(margin) + (prior if margin.ndim == 2 else float(prior[0]))

    def classes(self, margin: Array) -> Array:
        """Return the class, or the labels, that the decision calls for, from 0."""
        decision = self.decision(margin)
        chosen: Array = decision.argmax(axis=1) if self.kind == "multiclass" else (decision > 0).astype(np.int64)
        return chosen

    def to_json(self) -> str:
        """Loss, shift and kind as JSON."""
        return json.dumps({**json.loads(self.loss.to_json()), "log_odds_shift": self.shift, "kind": self.kind})

    @classmethod
    def from_json(cls, text: str) -> Link:
        """Read what `to_json` wrote; nothing is imported or executed."""
        loss = Loss.from_json(text)
        try:
            stored = json.loads(text)
            shift = tuple(float(number) for number in stored["log_odds_shift"])
            kind = stored.get("kind", "binary")
            if kind not in ("binary", "multilabel", "multiclass") or not np.all(np.isfinite(shift)):
                raise ValueError(kind, shift)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"not the JSON description of a loss and its link: {text!r}") from error
        return cls(loss, shift, kind)


def keeps_the_base_rate(loss: Loss, kind: Kind = "binary") -> bool:
    """Whether the gradients sum to the error of the mean posterior, because l0' - l1' is constant."""
    if kind == "multiclass" and not loss.has_softmax:
        return False  # the posteriors are divided by their sum
    if kind == "multiclass":
        columns = 2 if np.ndim(loss.alpha) == 0 else np.size(loss.alpha)  # type: ignore[arg-type]
        margin = np.linspace([-5.0] * columns, np.arange(columns), 4)
        gradients = np.array([loss.gradient_hessian(np.full(4, label), margin)[0] for label in range(columns)])
        differences = gradients[1:] - gradients[:1]  # -(e_t - e_0) for cross-entropy
        return bool(np.allclose(differences, differences[:, :1], rtol=1e-9))
    columns = np.size(loss.alpha) if np.ndim(loss.alpha) else 1  # type: ignore[arg-type]
    margin = np.repeat([[-5.0], [-1.0], [0.0], [2.0]], columns, axis=1)
    on_0, on_1 = (loss.gradient_hessian(np.full(margin.shape, label), margin)[0] for label in (0, 1))
    return bool(np.allclose(on_0 - on_1, (on_0 - on_1)[0], rtol=1e-9))


def _shift_of(posterior: Array, weight: Array | None, base_rate: float) -> float:
    # Newton's method on the logarithm of the mean, which is nearly linear in the shift: 3 or 4 steps.
    shift = 0.0
    for _ in range(50):
        mean, slope = _mean_and_slope(posterior, weight, shift)
        if abs(mean / base_rate - 1) < _tolerance(posterior):
            return shift
        if not (mean > 0 and slope > 0):
            break
        shift += float(np.clip(np.log(base_rate / mean) * mean / slope, -1, 1))
    if abs(mean / base_rate - 1) < 1e-3:
        return shift
    _warn_of_no_shift(base_rate)
    return 0.0


def _mean_and_slope(posterior: Array, weight: Array | None, shift: float) -> tuple[float, float]:
    """Weighted mean of the shifted probabilities, and its derivative by the shift."""
    mean = slope = total = 0.0
    for start in range(0, posterior.size, _BLOCK):
        shifted = _shifted(posterior[start : start + _BLOCK], shift)
        variance = shifted * (1 - shifted)
        if weight is not None:
            w = weight[start : start + _BLOCK]
            shifted *= w
            variance *= w
        # Sums, because a product with the weights would be BLAS, whose threads wait for those of the engine.
        mean += float(shifted.sum())
        slope += float(variance.sum())
        total += shifted.size if weight is None else float(w.sum())
    return mean / total, slope / total


def _shifted(posterior: Array, shift: float | Array) -> Array:
    """Probability whose log-odds are those of the posterior plus the shift, in the posterior's type."""
    odds = np.exp(shift, dtype=np.float64).astype(posterior.dtype) * posterior
    shifted: Array = odds / (odds + (1 - posterior))
    return shifted


def _replaceable(array: Array) -> bool:
    return array.dtype == np.float32 and array.flags.c_contiguous and array.flags.writeable


def _shifts_of_classes(posterior: Array, weight: Array | None, rates: Array) -> tuple[float, ...]:
    # Newton's method on the means, once near; before, each class's logarithm as if it were alone. The derivatives
    # come from a part of the rows, which bends the path and not its end.
    part = slice(None, None, max(1, posterior.shape[0] // 20_000))
    shift = np.zeros(rates.size)
    tolerance = _tolerance(posterior)
    for _ in range(100):
        mean = _mean_of_classes(posterior, weight, shift)
        error = np.log(np.maximum(mean, np.finfo(np.float64).tiny) / rates)
        if np.max(np.abs(error)) < tolerance:
            break
        if np.max(np.abs(error)) > 0.1:
            shift -= error
        else:
            p = _shifted_classes(posterior[part].astype(np.float64), shift)
            w = np.ones(p.shape[0]) if weight is None else weight[part].astype(np.float64)
            second = np.einsum("i,ik,il->kl", w, p, p) / w.sum()
            slope = np.diag(np.average(p, axis=0, weights=w)) - second
            # A shift of all classes alike changes nothing; the ones say that it is not wanted.
            shift += np.clip(np.linalg.solve(slope + np.outer(rates, rates), rates - mean), -1, 1)
        shift -= shift.mean()
    if np.max(np.abs(error)) < 1e-3:
        return tuple(shift.tolist())
    _warn_of_no_shift(rates.tolist())
    return (0.0,)


def _mean_of_classes(posterior: Array, weight: Array | None, shift: Array) -> Array:
    total, rows = np.zeros(shift.size), 0.0
    for start in range(0, posterior.shape[0], _BLOCK):
        shifted = _shifted_classes(posterior[start : start + _BLOCK], shift)
        if weight is not None:
            shifted *= weight[start : start + _BLOCK, np.newaxis]
        total += shifted.sum(axis=0, dtype=np.float64)
        rows += shifted.shape[0] if weight is None else float(weight[start : start + _BLOCK].sum())
    return total / rows


def _tolerance(posterior: Array) -> float:
    """Relative error of a mean that its rounding still allows to reach."""
    return 1e-12 if posterior.dtype == np.float64 else 1e-6


def _shifted_classes(posterior: Array, shift: Array) -> Array:
    odds = np.exp(shift).astype(posterior.dtype) * posterior
    shifted: Array = odds / odds.sum(axis=1, keepdims=True)
    return shifted


def _warn_of_no_shift(rates: Any) -> None:
    warnings.warn(
        f"no shift of the log-odds brings the mean probability to the base rate {rates!r}, so predict_proba is "
        "the bare posterior; most predictions are at 0 or 1, and a smaller learning rate or fewer rounds may help",
        RuntimeWarning,
        stacklevel=5,
    )


def warn_of_no_split() -> None:
    """Say what to do when training has ended without any split."""
    warnings.warn(
        "training ended without a single split, so every prediction is the base rate: lower what forbids splits "
        "(min_child_weight, gamma and lambda of XGBoost; min_child_samples, min_sum_hessian_in_leaf and "
        "min_split_gain of LightGBM), give the rare class more weight (alpha), or check that the features vary",
        RuntimeWarning,
        stacklevel=4,
    )


def totals_of_training(name: str, y: Array, weight: Array | None, classes: int | None) -> ClassTotals:
    """Class totals of the data set that `train` calls `name`; `classes` is num_class, if it was given."""
    totals = ClassTotals.of(y, weight, classes=classes)
    if totals.kind == "multiclass" and not classes:
        raise ValueError(
            f"the labels of {name} go up to {totals.positive.size - 1}: give labels 0 and 1, or, if they are classes, "
            f"num_class={totals.positive.size} in params"
        )
    totals.require_all_classes()
    return totals


def totals_of_engine(y: Array, margin: Array, weight: Array | None) -> ClassTotals:
    """Class totals of labels in the shape of the margins, or of classes beside margins (n, K)."""
    return ClassTotals.of(y, weight, classes=margin.shape[1] if y.ndim < margin.ndim else None)


def require_loss(loss: Any) -> None:
    """Raise unless this is an instance of a loss."""
    if isinstance(loss, type) and issubclass(loss, Loss):
        raise TypeError(f"loss={loss.__name__} is a class: give an instance, {loss.__name__}()")
    if not isinstance(loss, Loss):
        raise TypeError(f"loss={loss!r} is a {type(loss).__name__}: give a gbm_focal loss, for instance FocalLoss()")


def labels_of_engine(labels: ArrayLike, margin: Array) -> Array:
    """Labels as an engine keeps them, in the shape of its margins; classes, one a row, beside margins (n, K)."""
    y = np.asarray(labels)
    if y.size == margin.size:
        return y.reshape(margin.shape)
    if margin.ndim == 2 and y.size == margin.shape[0]:
        return y.reshape(-1)
    raise ValueError(
        f"the data set has labels of shape {y.shape} for margins of shape {margin.shape}: give one label, 0 or 1, "
        "for each margin, or one class for each row"
    )


def weights_of_engine(sample_weight: Any) -> Array | None:
    """Sample weights as an engine keeps them: an empty array, too, says that there are none."""
    if sample_weight is None or np.size(sample_weight) == 0:
        return None
    return np.asarray(sample_weight)
