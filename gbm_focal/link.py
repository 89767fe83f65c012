"""The link: from a trained model's margins to probabilities and decisions, and how it is fitted and stored."""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._inputs import Array
from .base_rates import Rates, checked_rates, log_ratio, shifted, shifted_classes
from .kernels import cuda
from .losses import KINDS, ClassTotals, Kind, Loss

# Calls a function (posterior, weight) on each part of the training data, and returns the sum of the results.
OverParts = Callable[[Callable[[Array, "Array | None"], Array]], Array]

# Fields, and entries of the JSON, that say what population the probabilities are about.
_OF_POPULATION = ("trained_base_rate", "base_rate", "alpha_follows_base_rate")

VERSION = 1  # of the JSON, which docs/link_format.md specifies
_SMALL = 100_000  # margins
_BLOCK = 16_384  # rows at a time that stay in the cache, and add nothing to the memory of training
_CANCELLED = 1e-6  # where 1 - p has lost ten of its digits
_TOLERANCE = 1e-6  # relative error of a mean that the rounding of float32 still allows to reach


@dataclass(frozen=True)
class Link:
    """What turns a trained model's margins into probabilities: its loss, and a shift of the log-odds per column.

    Boosting on cross-entropy keeps the mean prediction over the training data at the base rate, because that is
    what its gradients sum to. Other losses weigh the errors by where they are, and the mean posterior of a model
    that fits imperfectly drifts from the base rate, under balanced cross-entropy by half. A constant shift of the
    log-odds puts it back (calibration in the large: Steyerberg, Clinical Prediction Models, 2009, section 15.3).

    Another constant takes the probabilities to a population with another base rate, as `gbm_focal.base_rates.adapt`
    does. `shift` is the sum of both, so that who reads nothing else has the right probabilities.

    Attributes
    ----------
    loss : Loss
        Of the last round, with numeric `alpha`.
    shift : tuple of float
        Added to the log-odds of the posterior: one number, or one a column; of classes to the logarithms.
    kind : {"binary", "multilabel", "multiclass"}
    trained_base_rate : tuple of float, or None
        Weighted share of label 1 in the training data, or of each class, or of each label's 1. None where it is not
        known: in models of version 0.1, and in links of a bare loss. If alpha follows, of the data it was balanced on,
        which a refitted model keeps.
    base_rate : tuple of float, or None
        That of the population which the probabilities are about.
    alpha_follows_base_rate : bool
        Whether `alpha` was a word, "balanced" or "effective": decisions then do not depend on the base rate, because
        the threshold moves with the probabilities. A numeric `alpha` is a ratio of costs, and stays what it is.
    """

    loss: Loss
    shift: tuple[float, ...]
    kind: Kind = "binary"
    trained_base_rate: tuple[float, ...] | None = None
    base_rate: tuple[float, ...] | None = None
    alpha_follows_base_rate: bool = False

    @classmethod
    def fitted(
        cls,
        loss: Loss,
        totals: ClassTotals,
        margin: Array,
        weight: Array | None = None,
        *,
        offset: ArrayLike = 0.0,
        summed: Callable[[Array], Array] = lambda own: own,
    ) -> Link:
        """Choose the shift at which the mean probability over the training data is the base rate.

        `offset` is added to the margins. Where several processes hold parts of the data, `summed` adds up an array
        over all of them.
        """
        # Small data get all digits, large ones half the memory.
        kind = margin.dtype if margin.size <= _SMALL else np.dtype(np.float32)
        tolerance = _TOLERANCE if kind == np.float32 else 1e-12
        with cuda.beside(margin):
            posterior = posterior_of_training(loss, totals.kind, margin, offset, kind)
            if weight is not None:
                weight = np.asarray(weight, like=margin)
            return cls.fitted_to_sums(loss, totals, lambda sums: summed(sums(posterior, weight)), tolerance)

    @classmethod
    def fitted_to_sums(
        cls, loss: Loss, totals: ClassTotals, over_parts: OverParts, tolerance: float = _TOLERANCE
    ) -> Link:
        """Choose that shift where the training data lie in parts.

        `over_parts` calls a function with the posteriors and the weights of each part, wherever that is, and
        returns the sum of what it returned.
        """
        rates = totals.base_rates()
        if totals.kind == "multiclass":
            return cls(loss, _shifts_of_classes(over_parts, rates, tolerance), totals.kind)
        shifts = tuple(_shift_of(over_parts, column, rate, tolerance) for column, rate in enumerate(rates.tolist()))
        return cls(loss, shifts, totals.kind)

    @classmethod
    def bare(cls, loss: Loss, kind: Kind = "binary") -> Link:
        """Do without a shift."""
        return cls(loss, (0.0,), kind)

    def of_training(self, totals: ClassTotals, *, alpha_follows_base_rate: bool) -> Link:
        """Return the same link, which knows the base rates of its training data."""
        rates = tuple(totals.base_rates().tolist())
        return replace(self, trained_base_rate=rates, base_rate=rates, alpha_follows_base_rate=alpha_follows_base_rate)

    def at_base_rate(self, rate: Rates) -> Link:
        """Return the link of the same model for a population with another base rate.

        Parameters
        ----------
        rate : float, array-like of shape (K,) or (L,), or dict
            Share of label 1; of each class, with sum 1, in their order or by their numbers from 0; of each label's 1.

        Returns
        -------
        Link

        Raises
        ------
        ValueError, TypeError
            If the rate is invalid, or the link does not know which base rate it stands for.
        """
        if self.base_rate is None:
            raise ValueError(
                "this model does not say which base rate its probabilities stand for, because version 0.1 made it, or "
                "a bare loss took its place: adapt the probabilities, by gbm_focal.base_rates.adapt(probabilities, "
                "trained, used) with the base rate of its training data, or train again"
            )
        rates = checked_rates("base_rate", rate, self.kind, len(self.base_rate))
        shift = np.asarray(self.shift) + log_ratio(self.kind, self.base_rate, rates)
        return replace(self, shift=tuple(shift.tolist()), base_rate=tuple(rates.tolist()))

    @property
    def decision_shift(self) -> tuple[float, ...]:
        """The shift that decisions are made at, in the form of `shift`, from which it differs where alpha follows."""
        trained, used = self.trained_base_rate, self.base_rate
        if not self.alpha_follows_base_rate or trained is None or used is None or trained == used:
            return self.shift
        shift: Array = np.asarray(self.shift) - log_ratio(self.kind, trained, used)
        return tuple(shift.tolist())

    def probabilities(self, margin: Array) -> Array:
        """Return P(y = 0) and P(y = 1) of margins of shape (n,); P(y = 1), or one a class, of shape (n, L).

        They are computed in float64 and are of the margins' type, each accurate to a few units of its last digit.
        """
        shape = (margin.shape[0], 2) if self.kind == "binary" else margin.shape
        with cuda.beside(margin):
            result = np.empty_like(margin, shape=shape)
            for rows in _blocks(margin):
                if self.kind == "multiclass":
                    result[rows] = self._of_classes(margin[rows], self.shift)
                else:
                    negative, positive = self._of_labels(margin[rows])
                    result[rows] = positive if margin.ndim == 2 else np.column_stack([negative, positive])
            return result

    def _of_classes(self, margin: Array, shift: tuple[float, ...]) -> Array:
        posterior = self.loss.posterior(margin.astype(np.float64), multiclass=True)
        return shifted_classes(posterior, np.asarray(shift, like=posterior))

    def _of_labels(self, margin: Array) -> tuple[Array, Array]:
        """P(y = 0) and P(y = 1), neither of them as 1 minus the other where that would cancel."""
        z = margin.astype(np.float64)
        positive = self.loss.posterior(z)
        negative = 1 - positive
        near_1 = (negative < _CANCELLED).reshape(z.shape[0], -1).any(axis=1)
        if near_1.any():
            odds_of_0 = np.exp(-self.loss.log_odds(z[near_1]))
            negative[near_1] = odds_of_0 / (1 + odds_of_0)
        positive *= np.exp(np.asarray(self.shift, like=positive))
        total = positive + negative
        return negative / total, positive / total

    def decision(self, margin: Array) -> Array:
        """Score of the decision that the class weights stand for.

        Of a label its log-odds, alpha eta against (1 - alpha) (1 - eta): positive where the label 1 costs less. Of
        K classes the largest costs least: alpha_k eta_k where a mistake costs the alpha of the true class, and
        eta_k - (1 - alpha_k) where, one versus rest, a wrongly predicted class costs its 1 - alpha as well. Where alpha
        follows the base rate, eta is that of the training data: there it was balanced.
        """
        factor, term = self.decision_prior(margin.shape[1] if margin.ndim == 2 else 1)
        if self.kind == "multiclass":
            with cuda.beside(margin):
                shares = self._of_classes(margin, self.decision_shift)
                score: Array = np.asarray(factor, like=shares) * shares + np.asarray(term, like=shares)
                return score
        prior = np.asarray(self.decision_shift) + term
        return self.loss.log_odds(margin) + (prior if margin.ndim == 2 else float(prior[0]))

    def decision_prior(self, columns: int) -> tuple[Array, Array]:
        """Return what a decision multiplies probabilities of classes by, and what it adds, by the class weights.

        Of labels it adds to the log-odds, and multiplies by 1. The probabilities are those at `decision_shift`. Each
        is of shape (columns,).
        """
        factor, term = np.ones(columns), np.zeros(columns)
        if self.kind != "multiclass":
            positive, negative = self.loss.class_weights(columns)
            term = np.log(positive / negative)
        elif self.loss.alpha is not None and self.loss.has_softmax:
            factor = self.loss.softmax_weights(columns)
        elif self.loss.alpha is not None:
            term = -self.loss.class_weights(columns)[1]
        return factor, term

    def classes(self, margin: Array) -> Array:
        """Return the class, or the labels, that the decision calls for, from 0."""
        decision = self.decision(margin)
        chosen: Array = decision.argmax(axis=1) if self.kind == "multiclass" else (decision > 0).astype(np.int64)
        return chosen

    def require_columns(self, columns: int) -> None:
        """Raise unless this turns margins of so many columns into probabilities; a file may hold anything."""
        if len(self.shift) not in (1, columns):
            raise ValueError(f"log_odds_shift has {len(self.shift)} numbers: give 1 or {columns}")
        if self.base_rate is not None and len(self.base_rate) != columns:
            raise ValueError(f"base_rate has {len(self.base_rate)} numbers: give {columns}")
        self.probabilities(np.zeros(1) if self.kind == "binary" else np.zeros((1, columns)))

    def to_json(self) -> str:
        """Loss, shift, kind and base rates as JSON."""
        described = {**json.loads(self.loss.to_json()), "log_odds_shift": self.shift, "kind": self.kind}
        described["version"] = VERSION
        if self.base_rate is not None:
            described.update({name: getattr(self, name) for name in _OF_POPULATION})
        return json.dumps(described)

    @classmethod
    def from_json(cls, text: str) -> Link:
        """Read what `to_json` wrote; nothing is imported or executed."""
        try:
            stored = json.loads(text)
            version = stored.get("version", VERSION)
        except (ValueError, AttributeError) as error:
            raise ValueError(f"not the JSON description of a loss and its link: {text!r}") from error
        if version != VERSION:
            raise ValueError(
                f"the link of this model has version {version!r}, and this gbm_focal reads {VERSION}: install the "
                "version that the model was trained with, or a newer one"
            )
        loss = Loss.from_json(text)
        try:
            shift = tuple(float(number) for number in stored["log_odds_shift"])
            kind = stored.get("kind", "binary")
            if kind not in KINDS or not np.all(np.isfinite(shift)):
                raise ValueError(kind, shift)
            return cls(loss, shift, kind, *_population_of_json(stored, kind))
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"not the JSON description of a loss and its link: {text!r}") from error


def _population_of_json(
    stored: dict[str, Any], kind: Kind
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None, bool]:
    """Trained and used base rates and whether alpha follows, which version 0.1 did not store."""
    if not stored.keys() & set(_OF_POPULATION):
        return None, None, False
    trained, used, follows = (stored[name] for name in _OF_POPULATION)
    rates = [tuple(float(rate) for rate in of_columns) for of_columns in (trained, used)]
    valid = all(0 < rate < 1 for of_columns in rates for rate in of_columns) and isinstance(follows, bool)
    if not valid or len(rates[0]) != len(rates[1]) or not rates[0] or (kind == "binary" and len(rates[0]) != 1):
        raise ValueError(trained, used, follows)
    return rates[0], rates[1], follows


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


def _blocks(array: Array) -> Iterator[slice]:
    """Yield slices of rows, few at a time on the host, all at once on a device."""
    rows = int(array.shape[0])
    block = max(rows, 1) if cuda.is_device_array(array) else _BLOCK
    for start in range(0, rows, block):
        yield slice(start, start + block)


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
    for rows in _blocks(probabilities):
        p = shifted(probabilities[rows], shift)
        variance = p * (1 - p)
        if weight is not None:
            w = weight[rows]
            p *= w
            variance *= w
        # Sums, because a product with the weights would be BLAS, whose threads wait for those of the engine.
        mean += float(p.sum())
        slope += float(variance.sum())
        total += p.size if weight is None else float(w.sum())
    return np.array([mean, slope, total])


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
    for rows in _blocks(posterior):
        p = shifted_classes(posterior[rows], shift)
        if weight is not None:
            p *= weight[rows, np.newaxis]
        sums[:-1] += p.sum(axis=0, dtype=np.float64)
        sums[-1] += p.shape[0] if weight is None else float(weight[rows].sum())
    return sums


def _slope_of_classes(posterior: Array, weight: Array | None, *, shift: Array) -> Array:
    """Weighted sum of the derivatives of the shifted probabilities by the shifts, shape (K, K).

    It comes from a part of the rows, scaled to all, which bends the path to the shift and not its end.
    """
    if posterior.shape[0] == 0:
        return np.zeros((shift.size, shift.size))
    part = slice(None, None, max(1, posterior.shape[0] // 20_000))
    p = shifted_classes(posterior[part].astype(np.float64), shift)
    w = np.ones(p.shape[0]) if weight is None else weight[part].astype(np.float64)
    scale = (posterior.shape[0] if weight is None else float(weight.sum())) / max(
        float(w.sum()), float(np.finfo(np.float64).tiny)
    )
    slope: Array = scale * (np.diag(w @ p) - np.einsum("i,ik,il->kl", w, p, p))
    return slope


def _warn_of_no_shift(rates: Any) -> None:
    warnings.warn(
        f"no shift of the log-odds brings the mean probability to the base rate {rates!r}, so predict_proba is "
        "the bare posterior; most predictions are at 0 or 1, and a smaller learning rate or fewer rounds may help",
        RuntimeWarning,
        stacklevel=7,
    )
