"""What both engines share: a loss as objective, as metric, and as the link from a trained model to probabilities."""

from __future__ import annotations

import functools
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

from ._inputs import check_rows
from .kernels import cuda
from .losses import Array, ClassTotals, Hessian, Kind, Loss, check_hessian
from .metrics.scorers import is_scorer, name_and_direction, scorer_of

# XGBoost guesses from such a beginning that a metric is to be maximised.
MAXIMISED_PREFIXES = ("auc", "map", "ndcg", "pre")
_SMALL = 100_000  # margins
_OF_TRAINING = ("_latest", "_rounds", "_data")  # attributes of an objective that a copy does without
_BLOCK = 16_384  # rows at a time that stay in the cache, and add nothing to the memory of training


class Processes:
    """What the processes that train one model together know of each other; here there is one, and it knows all.

    Each function is called by all of them at the same point of the training, also by those without rows.
    """

    def number(self) -> int:
        """How many train together."""
        return 1

    def sum(self, own: Array) -> Array:
        """Add up an array of one shape and type over all processes."""
        return own

    def gather(self, own: Any) -> list[Any]:
        """Return what each process has given."""
        return [own]

    def totals(self, y: Array, weight: Array | None, classes: int | None = None) -> ClassTotals:
        """Class totals of the labels of all processes."""
        return ClassTotals.of(y, weight, classes=classes)


ALONE = Processes()


class BaseObjective:
    """A loss, and how its derivatives are conditioned for an engine; parameters as in the engines' `Objective`."""

    processes = ALONE

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
        self._data: weakref.ref[Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to a running training: copies start anew."""
        return {name: value for name, value in self.__dict__.items() if name not in _OF_TRAINING}

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
        loss, scale = self._of_this_round(
            margin, self if data is None else data, lambda: totals_of_engine(y, margin, weight, self.processes)
        )
        if margin.shape[0] == 0:  # of a worker without rows, whose margins do not say how many columns the others have
            nothing = np.empty((0, scale.size) if scale.size > 1 else 0, np.float32)
            return nothing, nothing
        if y.ndim < margin.ndim:  # classes, for which the kernel is faster in Fortran's order
            gradient = np.empty(margin.shape, np.float32, "F")
            hessian = np.empty_like(gradient)
        else:
            gradient = margin if overwrite and _replaceable(margin) else np.empty_like(margin, np.float32)
            hessian = y if overwrite and _replaceable(y) else np.empty_like(gradient)
        self._fill(loss, scale, y, margin, weight, gradient, hessian)
        return gradient, hessian

    def _fill(
        self, loss: Loss, scale: Array, y: Array, margin: Array, weight: Array | None, gradient: Array, hessian: Array
    ) -> None:
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

    def _of_this_round(self, margin: Array, data: Any, totals_of_data: Callable[[], ClassTotals]) -> tuple[Loss, Array]:
        """Return the resolved loss and its scale; what does not change from round to round is not looked at again."""
        if self._fixed is not None and self._latest is not None and not self.loss.is_scheduled:
            return self._latest[1]
        totals = self._fixed or totals_of_data()
        return self._resolved(self.loss.at_round(self._round_of(data, margin)), totals)

    def _round_of(self, data: Any, margin: Array) -> int:
        """Count the calls with a data set; where the margins are again those of the first, training starts anew."""
        some = margin[:64].tobytes()
        start, number = self._rounds.get(data, (some, self._first_round - 1))
        number = self._first_round if some == start else number + 1
        self._rounds[data] = (start, number)
        self._data = weakref.ref(data)
        return number

    def training_data(self) -> Any:
        """Return the data set that training has last called with; None before and after training."""
        return None if self._data is None else self._data()

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

    processes = ALONE

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
        loss = self._resolved(lambda: totals_of_engine(y, margin, weight, self.processes))
        if self.metric is not None:
            return self._of_posteriors(loss, *self._of_all_rows(y, margin, weight))
        return self._mean(loss, y, margin, weight)

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


def _name_and_direction(loss: Loss, metric: Any) -> tuple[str, bool]:
    if metric is None:
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", type(loss).__name__).lower(), False
    return name_and_direction(metric)


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
    processes: Processes = ALONE
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
        return self._fitted_link(loss, margin(), offset)

    def _fitted_link(self, loss: Loss, margin: Any, offset: ArrayLike) -> Link:
        return Link.fitted(loss, self.totals, margin, self.sample_weight, offset, self.processes)

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
        cls,
        loss: Loss,
        totals: ClassTotals,
        margin: Array,
        sample_weight: Any,
        offset: ArrayLike = 0.0,
        processes: Processes = ALONE,
    ) -> Link:
        """Choose the shift at which the mean probability over the training data is the base rate."""
        # Small data get all digits, large ones half the memory.
        kind = margin.dtype if margin.size <= _SMALL else np.dtype(np.float32)
        weight = weights_of_engine(sample_weight)
        tolerance = _TOLERANCE if kind == np.float32 else 1e-12
        with cuda.beside(margin):
            posterior = posterior_of_training(loss, totals.kind, margin, offset, kind)
            if weight is not None:
                weight = np.asarray(weight, like=margin)
            return cls.fitted_to_sums(loss, totals, lambda sums: processes.sum(sums(posterior, weight)), tolerance)

    @classmethod
    def fitted_to_sums(
        cls, loss: Loss, totals: ClassTotals, over_parts: OverParts, tolerance: float | None = None
    ) -> Link:
        """Choose that shift where the training data lie in parts.

        `over_parts` calls a function with the posteriors and the weights of each part, wherever that is, and
        returns the sum of what it returned.
        """
        tolerance = _TOLERANCE if tolerance is None else tolerance
        rates = totals.base_rates()
        if totals.kind == "multiclass":
            return cls(loss, _shifts_of_classes(over_parts, rates, tolerance), totals.kind)
        shifts = tuple(_shift_of(over_parts, column, rate, tolerance) for column, rate in enumerate(rates.tolist()))
        return cls(loss, shifts, totals.kind)

    @classmethod
    def bare(cls, loss: Loss, kind: Kind = "binary") -> Link:
        """Do without a shift."""
        return cls(loss, (0.0,), kind)

    def probabilities(self, margin: Array) -> Array:
        """Return P(y = 0) and P(y = 1) of margins of shape (n,); P(y = 1), or one a class, of shape (n, L)."""
        with cuda.beside(margin):
            shift = np.asarray(self.shift, like=margin)
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


# Calls a function (posterior, weight) on each part of the training data, and returns the sum of the results.
OverParts = Callable[[Callable[[Array, "Array | None"], Array]], Array]
_TOLERANCE = 1e-6  # relative error of a mean that the rounding of float32 still allows to reach


def posterior_of_training(loss: Loss, kind: Kind, margin: Array, offset: ArrayLike, dtype: Any = np.float32) -> Array:
    """Bare posteriors of margins, as the search of the shift takes them."""
    posterior = np.empty_like(margin, dtype)
    if margin.shape[0]:  # a part without rows does not know its columns
        loss.fill_posterior(margin, posterior, offset=offset, multiclass=kind == "multiclass")
    return posterior


def _shift_of(over_parts: OverParts, column: int, base_rate: float, tolerance: float) -> float:
    # Newton's method on the logarithm of the mean, which is nearly linear in the shift: 3 or 4 steps.
    shift = 0.0
    for _ in range(50):
        summed, slope, total = over_parts(functools.partial(_sums_of_column, column=column, shift=shift)).tolist()
        mean, slope = summed / total, slope / total
        if abs(mean / base_rate - 1) < tolerance:
            return shift
        if not (mean > 0 and slope > 0):
            break
        shift += float(np.clip(np.log(base_rate / mean) * mean / slope, -1, 1))
    if abs(mean / base_rate - 1) < 1e-3:
        return shift
    _warn_of_no_shift(base_rate)
    return 0.0


def _sums_of_column(posterior: Array, weight: Array | None, *, column: int, shift: float) -> Array:
    """Weighted sum of the shifted probabilities, its derivative by the shift, and the sum of the weights."""
    mean = slope = total = 0.0
    probabilities = posterior.reshape(posterior.shape[0], -1)[:, column] if posterior.size else posterior
    block = max(probabilities.size, 1) if cuda.is_device_array(probabilities) else _BLOCK
    for start in range(0, probabilities.size, block):
        shifted = _shifted(probabilities[start : start + block], shift)
        variance = shifted * (1 - shifted)
        if weight is not None:
            w = weight[start : start + block]
            shifted *= w
            variance *= w
        # Sums, because a product with the weights would be BLAS, whose threads wait for those of the engine.
        mean += float(shifted.sum())
        slope += float(variance.sum())
        total += shifted.size if weight is None else float(w.sum())
    return np.array([mean, slope, total])


def _shifted(posterior: Array, shift: float | Array) -> Array:
    """Probability whose log-odds are those of the posterior plus the shift, in the posterior's type."""
    odds = np.exp(shift, dtype=np.float64).astype(posterior.dtype) * posterior
    shifted: Array = odds / (odds + (1 - posterior))
    return shifted


def _replaceable(array: Array) -> bool:
    return array.dtype == np.float32 and array.flags.c_contiguous and array.flags.writeable


def _shifts_of_classes(over_parts: OverParts, rates: Array, tolerance: float) -> tuple[float, ...]:
    # Newton's method on the means, once near; before, each class's logarithm as if it were alone.
    shift = np.zeros(rates.size)
    for _ in range(100):
        *summed, total = over_parts(functools.partial(_sums_of_classes, shift=shift))
        mean = np.array(summed) / total
        error = np.log(np.maximum(mean, np.finfo(np.float64).tiny) / rates)
        if np.max(np.abs(error)) < tolerance:
            break
        if np.max(np.abs(error)) > 0.1:
            shift = shift - error
        else:
            slope = over_parts(functools.partial(_slope_of_classes, shift=shift)) / total
            # A shift of all classes alike changes nothing; the ones say that it is not wanted.
            step = np.linalg.solve(slope + np.outer(rates, rates), rates - mean)
            shift = shift + np.clip(step, -1, 1)
        shift = shift - shift.mean()
    if np.max(np.abs(error)) < 1e-3:
        return tuple(shift.tolist())
    _warn_of_no_shift(rates.tolist())
    return (0.0,)


def _sums_of_classes(posterior: Array, weight: Array | None, *, shift: Array) -> Array:
    """Weighted sums of the shifted probabilities, and the sum of the weights."""
    sums = np.zeros(shift.size + 1)
    for start in range(0, posterior.shape[0], _BLOCK):
        shifted = _shifted_classes(posterior[start : start + _BLOCK], shift)
        if weight is not None:
            shifted *= weight[start : start + _BLOCK, np.newaxis]
        sums[:-1] += shifted.sum(axis=0, dtype=np.float64)
        sums[-1] += shifted.shape[0] if weight is None else float(weight[start : start + _BLOCK].sum())
    return sums


def _slope_of_classes(posterior: Array, weight: Array | None, *, shift: Array) -> Array:
    """Weighted sum of the derivatives of the shifted probabilities by the shifts, shape (K, K).

    It comes from a part of the rows, scaled to all, which bends the path to the shift and not its end.
    """
    if posterior.shape[0] == 0:
        return np.zeros((shift.size, shift.size))
    part = slice(None, None, max(1, posterior.shape[0] // 20_000))
    p = _shifted_classes(posterior[part].astype(np.float64), shift)
    w = np.ones(p.shape[0]) if weight is None else weight[part].astype(np.float64)
    scale = (posterior.shape[0] if weight is None else float(weight.sum())) / max(
        float(w.sum()), float(np.finfo(np.float64).tiny)
    )
    slope: Array = scale * (np.diag(w @ p) - np.einsum("i,ik,il->kl", w, p, p))
    return slope


def _shifted_classes(posterior: Array, shift: Array) -> Array:
    odds = np.exp(shift).astype(posterior.dtype) * posterior
    shifted: Array = odds / odds.sum(axis=1, keepdims=True)
    return shifted


def _warn_of_no_shift(rates: Any) -> None:
    warnings.warn(
        f"no shift of the log-odds brings the mean probability to the base rate {rates!r}, so predict_proba is "
        "the bare posterior; most predictions are at 0 or 1, and a smaller learning rate or fewer rounds may help",
        RuntimeWarning,
        stacklevel=7,
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


def totals_of_training(
    name: str, y: Array, weight: Array | None, classes: int | None, processes: Processes = ALONE
) -> ClassTotals:
    """Class totals of the data set that `train` calls `name`; `classes` is num_class, if it was given."""
    return checked_totals(name, processes.totals(y, weight, classes), classes)


def checked_totals(name: str, totals: ClassTotals, classes: int | None) -> ClassTotals:
    """Return totals of the data set `name`, or raise if no training can start from them."""
    if totals.kind == "multiclass" and not classes:
        raise ValueError(
            f"the labels of {name} go up to {totals.positive.size - 1}: give labels 0 and 1, or, if they are classes, "
            f"num_class={totals.positive.size} in params"
        )
    totals.require_all_classes()
    return totals


def totals_of_engine(y: Array, margin: Array, weight: Array | None, processes: Processes = ALONE) -> ClassTotals:
    """Class totals of labels in the shape of the margins, or of classes beside margins (n, K)."""
    return processes.totals(y, weight, margin.shape[1] if y.ndim < margin.ndim else None)


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
