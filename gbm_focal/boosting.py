"""What both engines share: a loss as objective, as metric, and as the link from a trained model to probabilities."""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .losses import Array, ClassTotals, Hessian, Loss, check_hessian

# XGBoost guesses from such a beginning that a metric is to be maximised.
_MAXIMISED_PREFIXES = ("auc", "map", "ndcg", "pre")
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
        self._fixed: tuple[Loss, Array] | None = None
        self._offset: Array = np.zeros(1)
        self._latest: tuple[Any, tuple[Loss, Array]] | None = None

    def __repr__(self) -> str:
        """Show the parameters, as scikit-learn does."""
        return (
            f"{type(self).__name__}({self.loss!r}, hessian={self.hessian!r}, max_step={self.max_step!r}, "
            f"normalize={self.normalize!r})"
        )

    def fixed_on(self, totals: ClassTotals, offset: Array) -> BaseObjective:
        """Resolve the loss once, for training data with these totals, and add `offset` to all margins."""
        self._fixed = self._resolved(totals)
        self._offset = offset
        return self

    def derivatives(
        self, y: ArrayLike, margin: Array, sample_weight: Any, *, overwrite: bool = False
    ) -> tuple[Array, Array]:
        """Return float32 gradient and Hessian, in the shape and memory order of the margin.

        With `overwrite` they take the place of margin and labels, where those have the right type: 8 bytes a row
        less at the peak of training.
        """
        y = labels_of_engine(y, margin)
        weight = weights_of_engine(sample_weight)
        loss, scale = self._fixed or self._resolved_anew(ClassTotals.of(y, weight))
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
        )
        return gradient, hessian

    def _resolved_anew(self, totals: ClassTotals) -> tuple[Loss, Array]:
        # An engine calls every round with the same data set, but it may be another next time: the totals tell.
        key = (self.loss.to_json(), self.normalize, totals.positive.tobytes(), totals.negative.tobytes())
        if self._latest is None or self._latest[0] != key:
            self._latest = (key, self._resolved(totals))
        return self._latest[1]

    def _resolved(self, totals: ClassTotals) -> tuple[Loss, Array]:
        loss = self.loss.resolve_totals(totals)
        return loss, loss.normalizers(totals) if self.normalize else np.ones(totals.positive.size)


class BaseMetric:
    """The weighted mean of a loss; smaller is better."""

    def __init__(self, loss: Loss) -> None:
        require_loss(loss)
        self.loss = loss
        self._offset: Array = np.zeros(1)

    def __repr__(self) -> str:
        """Show the parameters, as scikit-learn does."""
        return f"{type(self).__name__}({self.loss!r})"

    @property
    def __name__(self) -> str:
        """Name under which the engines report the metric: that of the loss, in snake case."""
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", type(self.loss).__name__).lower()
        return f"loss_{name}" if name.startswith(_MAXIMISED_PREFIXES) else name

    def starting_at(self, offset: Array) -> BaseMetric:
        """Add `offset` to all margins."""
        self._offset = offset
        return self

    def mean(self, y: ArrayLike, margin: Array, sample_weight: Any) -> float:
        """Weighted mean of the loss over all rows (and columns)."""
        y = labels_of_engine(y, margin)
        weight = weights_of_engine(sample_weight)
        loss = self.loss
        if isinstance(loss.alpha, str):
            loss = loss.resolve_totals(ClassTotals.of(y, weight))
        values = np.empty_like(margin, np.float32)
        loss.fill_value(y, margin, weight, values, offset=self._offset)
        total = float(margin.shape[0] if weight is None else np.sum(weight, dtype=np.float64))
        if not total > 0:
            raise ValueError(f"{self!r} has no mean over data whose {margin.shape[0]} rows have no weight")
        summed = float(np.sum(values, dtype=np.float64))
        columns: int = values.size // margin.shape[0]
        return summed / (total * columns)


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

    @classmethod
    def fitted(
        cls, loss: Loss, totals: ClassTotals, margin: Array, sample_weight: Any, offset: ArrayLike = 0.0
    ) -> Link:
        """Choose the shift at which the mean probability over the training data is the base rate."""
        posterior = np.empty(margin.shape, np.float32)
        loss.fill_posterior(margin, posterior, offset=offset)
        columns = posterior.reshape(margin.shape[0], -1).T
        weight = weights_of_engine(sample_weight)
        rates = totals.base_rates().tolist()
        return cls(loss, tuple(_shift_of(column, weight, rate) for column, rate in zip(columns, rates, strict=True)))

    @classmethod
    def bare(cls, loss: Loss) -> Link:
        """Do without a shift."""
        return cls(loss, (0.0,))

    def probabilities(self, margin: Array) -> Array:
        """Return P(y = 0) and P(y = 1) of margins of shape (n,); P(y = 1) of shape (n, L)."""
        positive = _shifted(self.loss.posterior(margin), np.asarray(self.shift))
        return positive if positive.ndim == 2 else np.column_stack([1 - positive, positive])

    def to_json(self) -> str:
        """Loss and shift as JSON."""
        return json.dumps({**json.loads(self.loss.to_json()), "log_odds_shift": self.shift})

    @classmethod
    def from_json(cls, text: str) -> Link:
        """Read what `to_json` wrote; nothing is imported or executed."""
        return cls(Loss.from_json(text), tuple(float(shift) for shift in json.loads(text)["log_odds_shift"]))


def keeps_the_base_rate(loss: Loss) -> bool:
    """Whether l0' - l1' is constant, so that the gradients sum to the error of the mean posterior."""
    columns = np.size(loss.alpha) if np.ndim(loss.alpha) else 1  # type: ignore[arg-type]
    margin = np.repeat([[-5.0], [-1.0], [0.0], [2.0]], columns, axis=1)
    on_0, on_1 = (loss.gradient_hessian(np.full(margin.shape, label), margin)[0] for label in (0, 1))
    return bool(np.allclose(on_0 - on_1, (on_0 - on_1)[0], rtol=1e-9))


def _shift_of(posterior: Array, weight: Array | None, base_rate: float) -> float:
    # Newton's method on the logarithm of the mean, which is nearly linear in the shift: 3 or 4 steps.
    shift = 0.0
    for _ in range(50):
        mean, slope = _mean_and_slope(posterior, weight, shift)
        if abs(mean / base_rate - 1) < 1e-6:
            return shift
        if not (mean > 0 and slope > 0):
            break
        shift += float(np.clip(np.log(base_rate / mean) * mean / slope, -1, 1))
    if abs(mean / base_rate - 1) < 1e-3:
        return shift
    warnings.warn(
        f"no shift of the log-odds brings the mean probability to the base rate {base_rate:.3g}, so predict_proba is "
        "the bare posterior; most predictions are at 0 or 1, and a smaller learning rate or fewer rounds may help",
        RuntimeWarning,
        stacklevel=4,
    )
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


def require_loss(loss: Any) -> None:
    """Raise unless this is an instance of a loss."""
    if isinstance(loss, type) and issubclass(loss, Loss):
        raise TypeError(f"loss={loss.__name__} is a class: give an instance, {loss.__name__}()")
    if not isinstance(loss, Loss):
        raise TypeError(f"loss={loss!r} is a {type(loss).__name__}: give a gbm_focal loss, for instance FocalLoss()")


def labels_of_engine(labels: ArrayLike, margin: Array) -> Array:
    """Labels as an engine keeps them, in the shape of its margins."""
    y = np.asarray(labels)
    if y.size != margin.size:
        raise ValueError(
            f"the data set has labels of shape {y.shape} for margins of shape {margin.shape}: give one label, 0 or 1, "
            "for each margin"
        )
    return y.reshape(margin.shape)


def weights_of_engine(sample_weight: Any) -> Array | None:
    """Sample weights as an engine keeps them: an empty array, too, says that there are none."""
    if sample_weight is None or np.size(sample_weight) == 0:
        return None
    return np.asarray(sample_weight)
