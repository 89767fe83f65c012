"""The losses: what each one is, its parameters, its posterior and its intercept.

Notation, as in the papers: *z* is the margin (raw score), p = sigmoid(z), q = 1 - p, n = -log p, m = -log q.
A loss has a partial loss for each label, l1(z) for y = 1 and l0(z) for y = 0; primes are derivatives with
respect to z. ``alpha`` weighs l1, and ``1 - alpha`` weighs l0; with ``alpha=None`` both count once.

Shapes say what is learned. Labels (n,) of 0 and 1 with margins (n,): two classes. Labels (n, L) of 0 and 1 with
margins (n, L): L labels for each row. Labels (n,) of 0 to K - 1 with margins (n, K): K classes, of which each row
has one.
"""

from __future__ import annotations

import decimal
import functools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, root
from scipy.special import logit
from sklearn.base import BaseEstimator, clone

from . import kernels
from ._inputs import check_rows, columns_of, labels, margins, on_host, real, require_one_place, weights
from .kernels import cuda
from .schedules import Schedule

Array = NDArray[Any]
Alpha = float | Sequence[float] | Literal["balanced", "effective"] | None
Hessian = Literal["fisher", "exact"]
_Self = TypeVar("_Self", bound="Loss")

_LARGEST_MARGIN = 1e4  # the intercept is sought within these margins


class Loss(BaseEstimator):  # type: ignore[misc]
    """Base class of all losses, and the way to write one of your own.

    A loss is a scikit-learn `BaseEstimator` without state: its constructor parameters are all there is, so
    `clone`, `get_params`, `set_params`, `repr`, pickle and JSON (`to_json`, `from_json`) work.

    A subclass gives three formulas, as NumPy expressions of the margin, each as a pair (for y = 1, for
    y = 0): `partial_values`, `partial_gradients`, `partial_hessians`. Class weights, sample weights, the
    Fisher Hessian, the posterior, the intercept and the use in XGBoost and LightGBM follow from these. The
    formulas are called with float32 or float64 arrays of any shape and must return the same type and shape.
    The posterior exists where l0' - l1' > 0, and the Fisher Hessian is positive where it increases.

    K classes are learned one versus rest: the loss of a row is the sum over the classes, and the posteriors are
    divided by their sum. `FocalLoss` and `BalancedCrossEntropy` have a softmax form of their own.

    Examples
    --------
    The exponential loss of AdaBoost (Friedman, Hastie and Tibshirani, Annals of Statistics 2000):

    >>> import numpy as np
    >>> from gbm_focal import Loss
    >>> class ExponentialLoss(Loss):
    ...     def __init__(self, alpha=None):
    ...         self.alpha = alpha
    ...
    ...     def partial_values(self, margin):
    ...         return np.exp(-margin / 2), np.exp(margin / 2)
    ...
    ...     def partial_gradients(self, margin):
    ...         return -np.exp(-margin / 2) / 2, np.exp(margin / 2) / 2
    ...
    ...     def partial_hessians(self, margin):
    ...         return np.exp(-margin / 2) / 4, np.exp(margin / 2) / 4
    >>> float(ExponentialLoss().posterior(np.array([0.0]))[0])
    0.5
    """

    alpha: Alpha = None
    beta: float = 0.9999
    has_softmax = False  # whether K classes have a joint form, or are learned one versus rest

    # ---- what a subclass says ----

    def partial_values(self, margin: Array) -> tuple[Array, Array]:
        """Return l1 and l0 at each margin."""
        raise NotImplementedError(f"{type(self).__name__} must define partial_values(margin)")

    def partial_gradients(self, margin: Array) -> tuple[Array, Array]:
        """Return the first derivatives of l1 and l0 at each margin."""
        raise NotImplementedError(f"{type(self).__name__} must define partial_gradients(margin)")

    def partial_hessians(self, margin: Array) -> tuple[Array, Array]:
        """Return the second derivatives of l1 and l0 at each margin."""
        raise NotImplementedError(f"{type(self).__name__} must define partial_hessians(margin)")

    # ---- what everybody uses ----

    def resolve(self: _Self, y_true: ArrayLike, sample_weight: ArrayLike | None = None) -> _Self:
        """Turn ``alpha="balanced"`` or ``"effective"`` into numbers.

        Parameters
        ----------
        y_true : array-like of shape (n,) or (n, L)
            Labels 0 and 1, or classes 0 to K - 1.
        sample_weight : array-like of shape (n,), optional
            Non-negative weights; a label counts with its weight.

        Returns
        -------
        Loss
            The same loss with a numeric `alpha`: W0 / (W0 + W1) for "balanced", where W1 and W0 are the total
            weights of the labels 1 and 0, and the same with the effective numbers (1 - beta^W) / (1 - beta)
            of Cui et al. (CVPR 2019, equation 2) for "effective". One number a column for 2-D labels. For K
            classes one number a class, in inverse proportion to its total weight or effective number, with
            sum 1; one versus rest, that of each class against the others.

        Raises
        ------
        ValueError
            If labels or weights are invalid, or a label is missing so that no ratio exists.
        """
        return self.resolve_totals(ClassTotals.of(y_true, sample_weight))

    def value(self, y_true: ArrayLike, margin: ArrayLike, sample_weight: ArrayLike | None = None) -> Array:
        """Value of the loss, sample by sample.

        Parameters
        ----------
        y_true : array-like of shape (n,) or (n, L)
            Labels 0 and 1, or classes 0 to K - 1.
        margin : array-like of the same shape, or (n, K) for classes
            Finite margins. float32 gives float32 results; any other real type gives float64. CuPy arrays give CuPy
            arrays, computed on their device; labels and weights must then be CuPy arrays on it, too.
        sample_weight : array-like of shape (n,), optional
            Non-negative weights that multiply the values.

        Returns
        -------
        ndarray of the shape of `y_true`
            Values >= 0.

        Raises
        ------
        ValueError, TypeError
            If an input is not as described; the message names the offending value.
        """
        y, z, weight = _checked(y_true, margin, sample_weight)
        joint = self.has_softmax and y.ndim < z.ndim
        with cuda.beside(z):
            out = np.empty_like(z, shape=z.shape[:1] if joint else z.shape)
            self.fill_value(y, z, weight, out)
            return out.sum(axis=1) if y.ndim < out.ndim else out

    def gradient_hessian(
        self,
        y_true: ArrayLike,
        margin: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        hessian: Hessian = "fisher",
        max_step: float | None = None,
    ) -> tuple[Array, Array]:
        """First and second derivative of the loss with respect to the margin.

        Parameters
        ----------
        y_true, margin, sample_weight
            As for `value`.
        hessian : {"fisher", "exact"}, default "fisher"
            "exact" is the second derivative, which these losses have negative on much of the plane. "fisher"
            is its expectation at the loss's own posterior, eta l1'' + (1 - eta) l0'': the same for both
            labels, never negative, and p q for cross-entropy. Of K classes it is the diagonal.
        max_step : float, optional
            Raise the Hessian to at least ``|gradient| / max_step``, so that no sample, and no leaf, asks for a
            Newton step longer than this many units of margin, and above 0. ``inf`` asks only for the
            latter. By default the derivatives are returned bare.

        Returns
        -------
        gradient, hessian : ndarray of the shape of `margin`

        Raises
        ------
        ValueError, TypeError
            If an input is not as described; the message names the offending value.
        """
        y, z, weight = _checked(y_true, margin, sample_weight)
        check_hessian(hessian, max_step)
        # The kernel works class after class, and both engines take either order.
        order: Literal["C", "F"] = "F" if y.ndim < z.ndim else "C"
        with cuda.beside(z):
            gradient, second = np.empty_like(z, order=order), np.empty_like(z, order=order)
            self.fill_derivatives(y, z, weight, gradient, second, exact=hessian == "exact", max_step=max_step)
            return gradient, second

    def posterior(self, margin: ArrayLike, *, multiclass: bool = False) -> Array:
        """Probability of label 1 that a margin stands for, P(y = 1 | x).

        It is the probability eta at which this margin minimises the expected loss, l0' / (l0' - l1'). It
        undoes the distortion by gamma, clip and alpha; sigmoid(margin) does not.

        Parameters
        ----------
        margin : array-like of shape (n,) or (n, L)
            Finite margins.
        multiclass : bool, default False
            Whether the columns are classes, of which a row has one: the probabilities of a row then sum to 1.

        Returns
        -------
        ndarray of the shape of `margin`
            Probabilities, increasing with the margin.

        Raises
        ------
        ValueError, TypeError
            If the margins are not as described.
        """
        z = margins(margin)
        if multiclass and (z.ndim != 2 or z.shape[1] < 2):
            raise ValueError(f"margin has shape {z.shape}: with multiclass=True give (n, K) for K classes")
        with cuda.beside(z):
            out = np.empty_like(z)
            self.fill_posterior(z, out, multiclass=multiclass)
            return out

    def intercept(self, y_true: ArrayLike, sample_weight: ArrayLike | None = None) -> float | Array:
        """Constant margin with the smallest total loss: the one whose posterior is the base rate.

        Parameters
        ----------
        y_true : array-like of shape (n,) or (n, L)
            Labels 0 and 1, both of which must occur (in each column), or classes 0 to K - 1, of which all must.
        sample_weight : array-like of shape (n,), optional
            Non-negative weights.

        Returns
        -------
        float; ndarray of shape (L,) for 2-D labels, (K,) for classes

        Raises
        ------
        ValueError, TypeError
            If labels or weights are invalid, or no finite margin has that posterior.
        """
        totals = ClassTotals.of(y_true, sample_weight)
        return totals.in_shape_of_labels(self.resolve_totals(totals).intercepts(totals))

    @property
    def is_scheduled(self) -> bool:
        """Whether a parameter changes over the boosting rounds."""
        return any(isinstance(value, Schedule) for value in vars(self).values())

    def at_round(self, iteration: float) -> Loss:
        """Return the loss in a boosting round, counted from 0: a `Schedule` among its parameters becomes a number.

        ``inf`` gives the loss of the last round, whatever their number.
        """
        scheduled = {name: value for name, value in self.get_params(deep=False).items() if isinstance(value, Schedule)}
        if not scheduled:
            return self
        numbers = {name: schedule(iteration) for name, schedule in scheduled.items()}
        return type(self)(**{**self.get_params(deep=False), **numbers})

    def to_json(self) -> str:
        """Name and parameters as JSON, for `from_json`."""
        kind = type(self)
        description = {"loss": kind.__name__, "module": kind.__module__, "parameters": self.get_params(deep=False)}
        return json.dumps(description, default=_as_json)

    @staticmethod
    def from_json(text: str) -> Loss:
        """Make the loss that `to_json` described.

        Nothing is imported or executed: the name must be that of a `Loss` subclass that this process has
        already defined.
        """
        try:
            description = json.loads(text)
            name, parameters = description["loss"], dict(description["parameters"])
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"not the JSON description of a loss: {text!r}") from error
        # A class of this module is built in; a user's class may move between modules, and the last definition counts.
        built_in = description.get("module", __name__) == __name__
        named = [loss for loss in _subclasses(Loss) if loss.__name__ == name]
        candidates = [loss for loss in named if (loss.__module__ == __name__) == built_in]
        if not candidates:
            raise ValueError(
                f"no loss named {name!r} is defined here; if it is your own, import the module that defines it first"
            )
        known = candidates[-1]
        parameters = {name: _of_json(value) for name, value in parameters.items()}
        unknown = set(parameters) - set(known().get_params())
        if unknown:
            raise ValueError(f"{name} has no parameter {sorted(unknown)[0]!r}; this version knows {known()!r}")
        loss: Loss = known(**parameters)
        return loss

    # ---- evaluation into given arrays: by the formulas above, or by the kernel (KernelLoss) ----
    # y, z and weight have valid types and shapes; the rows are still to be checked. `scale` multiplies the
    # loss and `offset` is added to the margins, each a number or one per column; `softmax_factor` multiplies the
    # Fisher Hessian of the softmax form. Values of the softmax form are one a row, else of the shape of z.

    def fill_value(self, y: Array, z: Array, weight: Array | None, out: Array, *, offset: ArrayLike = 0.0) -> None:
        """Write `value` to an array."""
        check_rows(y, z, weight)
        y = _one_versus_rest(y, z)
        w1, w0 = (np.asarray(w, like=z) for w in self.class_weights(columns_of(z)))
        l1, l0 = self._of_formulas("partial_values", z + np.asarray(offset, z.dtype, like=z))
        out[...] = np.where(y == 1, w1 * l1, w0 * l0) * _beside(weight, z)

    def fill_derivatives(
        self,
        y: Array,
        z: Array,
        weight: Array | None,
        gradient: Array,
        hessian: Array,
        *,
        exact: bool,
        max_step: float | None,
        scale: ArrayLike = 1.0,
        offset: ArrayLike = 0.0,
        softmax_factor: float = 1.0,
    ) -> None:
        """Write `gradient_hessian` to two arrays."""
        check_rows(y, z, weight)
        y = _one_versus_rest(y, z)
        w1, w0 = (np.asarray(scale * w, like=z) for w in self.class_weights(columns_of(z)))
        at = z + np.asarray(offset, z.dtype, like=z)
        g1, g0 = self._of_formulas("partial_gradients", at)
        h1, h0 = self._of_formulas("partial_hessians", at)
        g1, g0, h1, h0 = w1 * g1, w0 * g0, w1 * h1, w0 * h0
        if exact:
            second = np.where(y == 1, h1, h0)
        else:
            alive = g0 - g1 > 0
            eta = np.where(alive, g0, 0) / np.where(alive, g0 - g1, 1)
            second = np.where(alive, eta * h1 + (1 - eta) * h0, 0.0)
        column = _beside(weight, z)
        first = np.where(y == 1, g1, g0) * column
        second = second * column
        if max_step is not None:
            second = np.maximum(second, np.abs(first) / max_step + np.finfo(hessian.dtype).tiny)
        gradient[...], hessian[...] = first, second

    def fill_posterior(self, z: Array, out: Array, *, offset: ArrayLike = 0.0, multiclass: bool = False) -> None:
        """Write `posterior` to an array."""
        check_rows(None, z, None)
        w1, w0 = (np.asarray(w, like=z) for w in self.class_weights(columns_of(z)))
        g1, g0 = self._of_formulas("partial_gradients", z + np.asarray(offset, z.dtype, like=z))
        slope = w0 * g0 - w1 * g1
        if not np.all(slope > 0):
            worst = z[~(slope > 0)].flat[0].item()
            raise ValueError(
                f"{self!r} has no posterior at margin {worst!r}, because both partial gradients vanish there"
            )
        out[...] = w0 * g0 / slope
        if multiclass:
            _normalise(out, z, offset)

    def log_odds(self, margin: ArrayLike) -> Array:
        """Logarithm of the odds that a margin stands for, log(posterior / (1 - posterior)), in float64.

        Unlike the posterior it stays apart from 0 and 1 as far as float64 goes, log(2e-308).

        Parameters
        ----------
        margin : array-like of shape (n,) or (n, L)

        Returns
        -------
        ndarray of the shape of `margin`
        """
        given = margins(margin)
        tiny = np.finfo(np.float64).tiny
        with cuda.beside(given):
            z = given.astype(np.float64)
            eta = np.maximum(self.posterior(z), tiny)
            high = eta > 0.5  # there 1 - posterior cancels, and the slopes do not
            slopes = [np.maximum(np.abs(self.gradient_hessian(np.full_like(z, y), z)[0]), tiny) for y in (0, 1)]
            low_odds = np.log(eta) - np.log1p(-np.where(high, 0.5, eta))
            odds: Array = np.where(high, np.log(slopes[0]) - np.log(slopes[1]), low_odds)
            return odds

    def _of_formulas(self, name: str, margin: Array) -> tuple[Array, Array]:
        pair = tuple(np.asarray(part, like=margin) for part in getattr(self, name)(margin))
        if len(pair) != 2 or any(part.shape != margin.shape for part in pair):
            raise ValueError(
                f"{type(self).__name__}.{name} must return two arrays of the shape {margin.shape} of the margin, "
                f"not {[part.shape for part in pair]}"
            )
        for part in pair:
            if not np.all(np.isfinite(part)):
                worst = int(np.argmin(np.isfinite(part)))
                raise ValueError(
                    f"{type(self).__name__}.{name} returned {part.ravel()[worst].item()!r} at margin "
                    f"{margin.ravel()[worst].item()!r}"
                )
        return pair

    # ---- shared by both ----

    def class_weights(self, columns: int) -> tuple[Array, Array]:
        """Weights of the labels 1 and 0, each of shape (columns,)."""
        alpha = self.alpha
        if alpha is None:
            return np.ones(columns), np.ones(columns)
        if isinstance(alpha, str):
            raise ValueError(
                f"alpha={alpha!r} is still a word: call loss.resolve(y_true, sample_weight) to turn it into a number"
            )
        if np.ndim(alpha) == 0:
            number = real("alpha", alpha, "(0, 1)")
            positive = np.full(columns, number)
        else:
            positive = np.array([real("alpha", a, "(0, 1)") for a in np.asarray(alpha).tolist()])
            if positive.size != columns:
                raise ValueError(f"alpha has {positive.size} numbers, but there are {columns} columns of labels")
        return positive, 1 - positive

    def softmax_weights(self, classes: int) -> Array:
        """Weight of each class in the softmax form, shape (classes,)."""
        alpha = self.alpha
        if alpha is None:
            return np.ones(classes)
        if isinstance(alpha, str):
            raise ValueError(
                f"alpha={alpha!r} is still a word: call loss.resolve(y_true, sample_weight) to turn it into numbers"
            )
        if np.ndim(alpha) == 0:
            raise ValueError(
                f"alpha={alpha!r} is one number, but there are {classes} classes: give one weight for each, "
                "'balanced', 'effective' or None"
            )
        array = np.array([real("alpha", a, "(0, inf)") for a in np.asarray(alpha).tolist()])
        if array.size != classes:
            raise ValueError(f"alpha has {array.size} numbers, but there are {classes} classes: give one for each")
        return array

    # ---- what the totals of the classes determine ----

    def resolve_totals(self: _Self, totals: ClassTotals) -> _Self:
        """Do as `resolve` does, from the class totals of the whole training set."""
        alpha = self.alpha
        resolved: _Self = clone(self)
        if isinstance(alpha, str):
            if alpha not in ("balanced", "effective"):
                raise ValueError(
                    f"alpha={alpha!r} is not known: give None, a number in (0, 1), 'balanced' or 'effective'"
                )
            totals.require_all_classes()
            positive, negative = totals.positive, totals.negative
            if alpha == "effective":
                log_beta = np.log(real("beta", self.beta, "(0, 1)"))
                positive, negative = -np.expm1(positive * log_beta), -np.expm1(negative * log_beta)
            ratio = negative / (positive + negative)
            if self._is_joint(totals):
                ratio = 1 / positive / np.sum(1 / positive)
            shaped = totals.in_shape_of_labels(ratio)
            resolved.set_params(alpha=shaped if isinstance(shaped, float) else tuple(float(a) for a in shaped))
        # Raises if alpha is out of range, or not one per column.
        if self._is_joint(totals):
            resolved.softmax_weights(totals.positive.size)
        else:
            resolved.class_weights(totals.positive.size)
        return resolved

    def _is_joint(self, totals: ClassTotals) -> bool:
        """Whether these labels are learned by the softmax form."""
        return totals.kind == "multiclass" and self.has_softmax

    def intercepts(self, totals: ClassTotals) -> Array:
        """Margins at which the posterior is the base rate, shape (L,); see `intercept`."""
        rates = totals.base_rates()
        if self._is_joint(totals):
            return self._softmax_margins_of(rates)
        return np.array([self._margin_of(rate, column, rates.size) for column, rate in enumerate(rates)])

    def normalizers(self, totals: ClassTotals) -> Array:
        """Factors, shape (L,), that give the loss at its intercept the Hessian of the logistic loss.

        pi (1 - pi) / h(intercept), where pi is the base rate and h the Fisher Hessian. With them, engine
        parameters that are compared with Hessians (min_child_weight, min_sum_hessian_in_leaf, lambda) mean
        what they mean for the logistic loss. The softmax form has one factor for all its classes, from the sums
        over them.
        """
        rates = totals.base_rates()
        at = self.intercepts(totals)[np.newaxis]
        joint = self._is_joint(totals)
        labels_of_any_kind = np.zeros(1) if joint else np.ones_like(at)
        hessian: Array = self.gradient_hessian(labels_of_any_kind, at)[1][0]
        # An intercept at the very edge of ASL's dead zone has no curvature; what counts is the one just above.
        above: Array = self.gradient_hessian(labels_of_any_kind, at + 1e-6)[1][0]
        hessian = np.where(hessian > 0, hessian, np.maximum(above, np.finfo(float).tiny))
        wanted = rates * (1 - rates)
        factors: Array = np.full(rates.size, wanted.sum() / hessian.sum()) if joint else wanted / hessian
        if not np.all((factors > 1e-30) & (factors < 1e30)):
            raise ValueError(
                f"{self!r} has the Hessian {hessian.tolist()} at its intercept {at[0].tolist()}, which cannot be "
                "scaled to that of the logistic loss: choose milder parameters of the loss, or normalize=False"
            )
        return factors

    def _softmax_margins_of(self, rates: Array) -> Array:
        """Margins, with mean 0, at which the softmax posterior is `rates`."""
        wanted = np.log(rates)

        def excess(z: Array) -> Array:
            eta = self.posterior(z[np.newaxis], multiclass=True)[0]
            # A shift of all margins changes nothing, so their mean is asked for as well.
            error: Array = np.log(np.maximum(eta, np.finfo(float).tiny)) - wanted + np.mean(z)
            return error

        found = root(excess, wanted - wanted.mean(), tol=1e-14)
        if not np.max(np.abs(excess(found.x))) < 1e-9:
            raise ValueError(
                f"{self!r} has no margins, or none that can be found, whose posterior is the base rates "
                f"{rates.tolist()!r}; choose milder parameters of the loss"
            )
        margin: Array = found.x
        return margin

    def _margin_of(self, probability: float, column: int, columns: int) -> float:
        """Margin of one column at which the posterior is `probability`."""

        def excess(z: float) -> float:
            return float(self.posterior(np.full((1, columns), z))[0, column]) / probability - 1

        low = high = float(np.clip(logit(probability), -_LARGEST_MARGIN, _LARGEST_MARGIN))
        step = 1.0
        while excess(low) > 0 and low > -_LARGEST_MARGIN:
            low, step = low - step, 2 * step
        step = 1.0
        while excess(high) < 0 and high < _LARGEST_MARGIN:
            high, step = high + step, 2 * step
        if excess(low) > 0 or excess(high) < 0:
            raise ValueError(
                f"{self!r} has no finite margin whose posterior is the base rate {probability!r}: within margins of "
                f"{_LARGEST_MARGIN:g} it reaches from {probability * (1 + excess(-_LARGEST_MARGIN)):.3g} to "
                f"{probability * (1 + excess(_LARGEST_MARGIN)):.3g}; choose milder parameters of the loss"
            )
        return float(brentq(excess, low, high, xtol=1e-13, rtol=1e-14)) if low < high else low


class KernelLoss(Loss):
    """A loss that the compiled kernel evaluates. Subclasses name the kernel's family and its parameters."""

    def _kernel(self) -> tuple[str, list[float]]:
        raise NotImplementedError

    def _in_kernel(
        self, z: Array, scale: ArrayLike = 1.0, offset: ArrayLike = 0.0, *, multiclass: bool = False
    ) -> kernels.Losses:
        columns = columns_of(z)
        family, parameters = self._kernel()
        if multiclass and self.has_softmax:
            if parameters[0] > _LARGEST_SOFTMAX_GAMMA:
                raise ValueError(f"gamma={parameters[0]!r} is out of range for {columns} classes: give at most 100")
            family, parameters = "softmax", parameters[:1]
            positive = negative = self.softmax_weights(columns)
        else:
            positive, negative = self.class_weights(columns)
        offsets = [float(o) for o in np.ravel(offset)]
        offsets = offsets * columns if len(offsets) == 1 else offsets
        return kernels.Losses(family, parameters, list(positive * scale), list(negative * scale), offsets)

    def fill_value(self, y: Array, z: Array, weight: Array | None, out: Array, *, offset: ArrayLike = 0.0) -> None:
        """Write `value` to an array."""
        losses = self._in_kernel(z, offset=offset, multiclass=y.ndim < z.ndim)
        if not kernels.value(losses, y, z, weight, out):
            _raise_for_rows(y, z, weight)

    def fill_derivatives(
        self,
        y: Array,
        z: Array,
        weight: Array | None,
        gradient: Array,
        hessian: Array,
        *,
        exact: bool,
        max_step: float | None,
        scale: ArrayLike = 1.0,
        offset: ArrayLike = 0.0,
        softmax_factor: float = 1.0,
    ) -> None:
        """Write `gradient_hessian` to two arrays."""
        losses = self._in_kernel(z, scale, offset, multiclass=y.ndim < z.ndim)
        if not kernels.gradient_hessian(
            losses, y, z, weight, gradient, hessian, exact=exact, max_step=max_step, softmax_factor=softmax_factor
        ):
            _raise_for_rows(y, z, weight)

    def fill_posterior(self, z: Array, out: Array, *, offset: ArrayLike = 0.0, multiclass: bool = False) -> None:
        """Write `posterior` to an array."""
        if not kernels.posterior(self._in_kernel(z, offset=offset, multiclass=multiclass), z, out):
            _raise_for_rows(None, z, None)
        if multiclass and not self.has_softmax:
            _normalise(out, z, offset)


class FocalLoss(KernelLoss):
    """Focal loss: cross-entropy that counts well-classified samples less.

    l1 = alpha q^gamma n,  l0 = (1 - alpha) p^gamma m.

    For K classes with p = softmax(z), q = 1 - p, n = -log p and the true class t, l = alpha_t q_t^gamma n_t. Its
    Fisher Hessian is the diagonal of the expected second derivatives at the posterior of the margin,
    eta_k proportional to p_k / (alpha_k A_k) with A = q^gamma (1 + gamma p n / q). The margin minimises the
    expected loss there, so they are J^T diag(eta_t alpha_t f''(p_t)) J with f(p) = (1 - p)^gamma (-log p), which
    is convex for every gamma >= 0, and J = diag(p) - p p^T: never negative, and p q for cross-entropy. Engines grow
    the trees of all classes at once and look at the diagonal alone, so that their step can overshoot; for
    cross-entropy twice the diagonal bounds the whole matrix (Gershgorin: a row's other entries sum to minus its
    diagonal). `gbm_focal.xgboost` takes twice the diagonal, and `gbm_focal.lightgbm` K / (K - 1) times, as these
    engines do for cross-entropy.

    Parameters
    ----------
    gamma : float in [0, 1000], or Schedule, default 2.0
        Focus on hard samples; 0 is cross-entropy. At most 100 for K classes.
    alpha : float in (0, 1), sequence of float, "balanced", "effective" or None, default None
        Weight of label 1, for all columns or each; label 0 gets 1 - alpha. None: both 1. For K classes a
        positive weight of each.
    beta : float in (0, 1), default 0.9999
        For ``alpha="effective"`` only.

    References
    ----------
    Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, equations 4 and 5. Posterior: Charoenphakdee
    et al., CVPR 2021, theorem 11, extended by alpha.
    """

    has_softmax = True

    def __init__(self, gamma: float = 2.0, alpha: Alpha = None, *, beta: float = 0.9999) -> None:
        self.gamma = gamma
        self.alpha = alpha
        self.beta = beta

    def _kernel(self) -> tuple[str, list[float]]:
        gamma = _gamma("gamma", self.gamma)
        return "focal", [gamma, gamma]


class AsymmetricLoss(KernelLoss):
    """Asymmetric loss (ASL): its own gamma for each label, and easy negatives dropped altogether.

    l1 = alpha q^gamma_pos n,  l0 = (1 - alpha) a^gamma_neg (-log(1 - a)),  a = max(p - clip, 0).

    Where p <= clip (the dead zone) negatives have no gradient and the formula of the posterior gives 0. There
    `posterior` continues as if l0' were 1e-9 (1 - alpha) p q, wherever that is larger than l0', so that it
    stays positive and increasing.

    Parameters
    ----------
    gamma_pos, gamma_neg : float in [0, 1000], defaults 1.0 and 4.0
        Focus on hard positives and hard negatives.
    clip : float in [0, 1), default 0.05
        Probability shift of the negatives (*m* in the papers).
    alpha, beta
        As for `FocalLoss`.

    References
    ----------
    Ridnik et al., "Asymmetric Loss For Multi-Label Classification", ICCV 2021, equations 5 to 7. With both
    gammas 0 it is the asymmetric cross-entropy (ACE) of the gbdtCBL paper, with alpha its AWE.
    """

    def __init__(
        self,
        gamma_pos: float = 1.0,
        gamma_neg: float = 4.0,
        clip: float = 0.05,
        alpha: Alpha = None,
        *,
        beta: float = 0.9999,
    ) -> None:
        self.gamma_pos = gamma_pos
        self.gamma_neg = gamma_neg
        self.clip = clip
        self.alpha = alpha
        self.beta = beta

    def _kernel(self) -> tuple[str, list[float]]:
        gammas = [_gamma("gamma_pos", self.gamma_pos), _gamma("gamma_neg", self.gamma_neg)]
        clip = real("clip", self.clip, "[0, 1)")
        if clip == 0:
            return "focal", gammas
        if clip < _SMALLEST_CLIP:
            raise ValueError(f"clip={clip!r} is too small for float32: give 0 or a number in [{_SMALLEST_CLIP}, 1)")
        return "asymmetric", [*gammas, clip, *_logit_in_two_parts(clip)]


class BalancedCrossEntropy(KernelLoss):
    """Cross-entropy with class weights.

    l1 = alpha n,  l0 = (1 - alpha) m.  For K classes it is the softmax form of `FocalLoss` with gamma 0.

    Parameters
    ----------
    alpha : float in (0, 1), sequence of float, "balanced", "effective" or None, default "balanced"
        Weight of label 1, for all columns or each; label 0 gets 1 - alpha. None: both 1, the logistic loss. For
        K classes a positive weight of each.
    beta : float in (0, 1), default 0.9999
        For ``alpha="effective"`` only.

    References
    ----------
    Xie and Tu, "Holistically-Nested Edge Detection", ICCV 2015, equation 2; Cui et al., "Class-Balanced Loss
    Based on Effective Number of Samples", CVPR 2019, for "effective".
    """

    has_softmax = True

    def __init__(self, alpha: Alpha = "balanced", *, beta: float = 0.9999) -> None:
        self.alpha = alpha
        self.beta = beta

    def _kernel(self) -> tuple[str, list[float]]:
        return "focal", [0.0, 0.0]


class PowerCrossEntropy(KernelLoss):
    """Cross-entropy of a power of the sigmoid: p^power takes the place of p.

    l1 = alpha power n,  l0 = -(1 - alpha) log(1 - p^power).

    Parameters
    ----------
    power : float in [0.001, 1000], default 2.0
        Above 1 the model needs a larger margin to call a sample positive; 1 is cross-entropy.
    alpha, beta
        As for `FocalLoss`.

    References
    ----------
    The power (Lehmann) family of links in binary regression: Prentice, "A Generalization of the Probit and
    Logit Methods for Dose Response Curves", Biometrics 1976.
    """

    def __init__(self, power: float = 2.0, alpha: Alpha = None, *, beta: float = 0.9999) -> None:
        self.power = power
        self.alpha = alpha
        self.beta = beta

    def _kernel(self) -> tuple[str, list[float]]:
        return "power", [real("power", self.power, "[0.001, 1000]")]


_SMALLEST_CLIP = 1e-9
_LARGEST_SOFTMAX_GAMMA = 100  # 2^-gamma, the smallest power of the rest of a class, must be a normal float32


def _gamma(name: str, value: Any) -> float:
    return real(name, value, "[0, 1000]")


def _checked(
    y_true: ArrayLike, margin: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[Array, Array, Array | None]:
    y, z = labels(y_true), margins(margin)
    if y.shape != z.shape and (y.ndim == z.ndim or y.shape[0] != z.shape[0] or y.ndim == 2):
        raise ValueError(
            f"y_true has shape {y.shape} and margin {z.shape}: give both one shape, (n,) or (n, L), or classes of "
            "shape (n,) with margins of shape (n, K)"
        )
    if y.ndim < z.ndim and z.shape[1] < 2:
        raise ValueError(f"margin has shape {z.shape} beside classes of shape {y.shape}: give a column for each class")
    weight = weights(sample_weight, z.shape[0])
    require_one_place(z, y_true=y, sample_weight=weight)
    return y, z, weight


def _one_versus_rest(y: Array, z: Array) -> Array:
    """Labels in the shape of z: classes become one column each."""
    return y[:, np.newaxis] == np.arange(z.shape[1], like=z) if y.ndim < z.ndim else y


def _normalise(posterior: Array, z: Array, offset: ArrayLike) -> None:
    """Divide each row by its sum; where all have vanished the margins alone say which were the largest."""
    total = posterior.sum(axis=1, keepdims=True)
    lost = total[:, 0] < np.finfo(posterior.dtype).tiny
    if lost.any():
        rest = z[lost] + np.asarray(offset, like=z)
        odds = np.exp(rest - rest.max(axis=1, keepdims=True))
        posterior[lost] = odds / odds.sum(axis=1, keepdims=True)
        total[lost] = 1
    posterior /= total


def _raise_for_rows(y: Array | None, z: Array, weight: Array | None) -> NoReturn:
    """Explain why the kernel refused these rows."""
    check_rows(y, z, weight)
    raise ValueError(
        "a label, margin or sample weight is beyond the range of float32, in which this is computed: the largest "
        f"margin is {float(np.max(np.abs(z)))!r}"
        + ("" if weight is None else f", the largest weight {float(np.max(weight))!r}")
    )


def _beside(weight: Array | None, z: Array) -> Array | float:
    """Sample weights in a shape that multiplies an array like z."""
    if weight is None:
        return 1.0
    return weight if z.ndim == 1 else weight[:, np.newaxis]


def check_hessian(hessian: str, max_step: float | None) -> None:
    """Raise if `hessian` or `max_step` is not what `Loss.gradient_hessian` takes."""
    if hessian not in ("fisher", "exact"):
        raise ValueError(f"hessian={hessian!r} is not known: give 'fisher' or 'exact'")
    if max_step is not None:
        real("max_step", max_step, "[1e-6, inf]")


Kind = Literal["binary", "multilabel", "multiclass"]
KINDS: tuple[Kind, ...] = ("binary", "multilabel", "multiclass")


@dataclass(frozen=True, eq=False)
class ClassTotals:
    """Total weight of the labels 1 and 0 in each column: all that alpha, intercept and scale depend on.

    Of K classes each is a column, and 0 stands for all others. The totals add up, so those of a distributed
    training set are the sums of its parts'.
    """

    positive: Array  # shape (L,) or (K,)
    negative: Array
    kind: Kind

    @classmethod
    def of(
        cls, y_true: ArrayLike, sample_weight: ArrayLike | None = None, *, classes: int | None = None
    ) -> ClassTotals:
        """Count labels of shape (n,) or (n, L), each with its sample weight.

        Labels (n,) are those of two classes if none is above 1, unless the number of classes is given.
        """
        y = labels(on_host(y_true))
        weight = weights(on_host(sample_weight), y.shape[0])
        if classes is None and y.ndim == 1 and y.size and np.max(y) > 1:  # a NaN is found below
            classes = int(np.max(y)) + 1 if np.max(y) < _MOST_CLASSES else 2
        check_rows(y, None, weight, classes)
        if classes is not None and y.ndim == 1:
            counts = np.bincount(y.astype(np.int64), weight, minlength=classes).astype(np.float64)
            return cls(counts, counts.sum() - counts, "multiclass")
        rows = y if y.ndim == 2 else y[:, np.newaxis]
        if weight is None:
            positive = rows.sum(axis=0, dtype=np.float64)
            negative = rows.shape[0] - positive
        else:
            beside = weight[:, np.newaxis]
            positive, negative = (
                np.sum(np.broadcast_to(beside, rows.shape), axis=0, dtype=np.float64, where=rows == label)
                for label in (1, 0)
            )
        return cls(positive, negative, "multilabel" if y.ndim == 2 else "binary")

    @classmethod
    def of_part(
        cls, y_true: ArrayLike, sample_weight: ArrayLike | None = None, *, classes: int | None = None
    ) -> ClassTotals:
        """Count one part of the labels, of which all weights may be 0."""
        if sample_weight is None or np.size(sample_weight) == 0 or np.any(sample_weight):
            return cls.of(y_true, sample_weight, classes=classes)
        unweighted = cls.of(y_true, classes=classes)
        return cls(unweighted.positive * 0, unweighted.negative * 0, unweighted.kind)

    def require_all_classes(self) -> None:
        """Raise if a class has no weight."""
        if self.kind == "multiclass" and np.count_nonzero(self.positive) > 1:
            missing = np.flatnonzero(self.positive == 0)
            if missing.size:
                raise ValueError(
                    f"y_true holds no weight on class {missing[0]} of the {self.positive.size} classes: base rate and "
                    "class weights need all of them; number the classes without gaps"
                )
            return
        for column in np.flatnonzero((self.positive == 0) | (self.negative == 0)):
            where = f" in column {column}" if self.kind == "multilabel" else ""
            if self.positive[column] == self.negative[column]:
                raise ValueError(f"y_true{where} has no rows: base rate and class weights need both labels, 0 and 1")
            label = 0 if self.positive[column] == 0 else 1
            if self.kind == "multiclass":
                label = int(np.argmax(self.positive))
            raise ValueError(
                f"y_true holds a single class{where}: all its weight is on label {label}; base rate and class weights "
                "need more than one"
            )

    def base_rates(self) -> Array:
        """Share of the label 1 in each column, or of each class."""
        self.require_all_classes()
        rates: Array = self.positive / (self.positive + self.negative)
        return rates

    def in_shape_of_labels(self, per_column: Array) -> float | Array:
        """Return a number for two classes, else the array."""
        return float(per_column[0]) if self.kind == "binary" else per_column


_MOST_CLASSES = 2**24  # which float32, the engines' type of labels, can number


def _as_json(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Schedule):
        return {"schedule": type(value).__name__, "parameters": value.get_params(deep=False)}
    raise TypeError(f"{value!r} is a {type(value).__name__}, which JSON cannot hold: give a number, word or schedule")


def _of_json(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    if not isinstance(value, dict):
        return value
    named = {kind.__name__: kind for kind in _subclasses(Schedule)}
    if value.get("schedule") not in named:
        raise ValueError(f"no schedule named {value.get('schedule')!r} is defined here")
    try:
        schedule: Schedule = named[value["schedule"]](**value["parameters"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the JSON description of a schedule: {value!r}") from error
    return schedule


@functools.lru_cache(maxsize=128)
def _logit_in_two_parts(probability: float) -> tuple[float, float]:
    with decimal.localcontext() as context:
        context.prec = 60
        exact = decimal.Decimal(probability)
        result = exact.ln() - (1 - exact).ln()
        high = float(result)
        return high, float(result - decimal.Decimal(high))


def _subclasses(parent: type[Any]) -> Iterator[type[Any]]:
    for child in parent.__subclasses__():
        yield child
        yield from _subclasses(child)
