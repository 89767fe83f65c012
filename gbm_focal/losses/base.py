"""Loss: what every loss can do, and the contract of a subclass."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone

from .._inputs import Array, check_hessian, margins, real, rows
from ..kernels import cuda
from ..schedules import Schedule, subclasses_of
from . import description
from .class_totals import ClassTotals, margin_of_posterior, margins_of_posterior
from .formulas import Formulas

Alpha = float | Sequence[float] | Literal["balanced", "effective"] | None
Hessian = Literal["fisher", "exact"]
_Self = TypeVar("_Self", bound="Loss")

_CLASS_WEIGHT = "[1e-12, 1e+12]"  # of the softmax form, so that no quotient of two leaves float32


class Loss(Formulas, BaseEstimator):  # type: ignore[misc]
    """Base class of all losses, and the way to write one of your own.

    A loss is a scikit-learn `BaseEstimator` without state: its constructor parameters are all there is, so
    `clone`, `get_params`, `set_params`, `repr`, pickle and JSON (`to_json`, `from_json`) work.

    A subclass gives three formulas, as NumPy expressions of the margin, each as a pair (for y = 1, for
    y = 0): `partial_values`, `partial_gradients`, `partial_hessians`. Class weights, sample weights, the
    Fisher Hessian, the posterior, the intercept and the use in XGBoost and LightGBM follow from these. The
    formulas are called with float32 or float64 arrays of any shape and must return the same type and shape.
    The posterior exists where l0' - l1' > 0, and the Fisher Hessian is positive where it increases. Models go to ONNX
    where a method `onnx_log_odds` says how; see `gbm_focal.onnx`.

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
        y, z, weight = rows(y_true, margin, sample_weight)
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
        y, z, weight = rows(y_true, margin, sample_weight)
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
            slopes = [np.abs(self.gradient_hessian(np.full_like(z, y), z)[0]) for y in (0, 1)]
            low_odds = np.log(eta) - np.log1p(-np.where(high, 0.5, eta))
            high_odds = np.log(np.maximum(slopes[0], tiny)) - np.log(np.maximum(slopes[1], tiny))
            # That of label 1 vanishes first, but the other may, too, as with a clip: their ratio then says nothing.
            high_odds = np.where(slopes[1] < tiny, -np.log(tiny), high_odds)
            odds: Array = np.where(high, high_odds, low_odds)
            return odds

    def to_json(self) -> str:
        """Name and parameters as JSON, for `from_json`."""
        kind = type(self)
        module = description.BUILT_IN if description.is_built_in(kind.__module__) else kind.__module__
        described = {"loss": kind.__name__, "module": module, "parameters": self.get_params(deep=False)}
        try:
            return json.dumps(described, default=description.as_json, allow_nan=False)
        except ValueError as error:
            raise ValueError(f"{self!r} has a parameter that is no finite number, which JSON cannot hold") from error

    @staticmethod
    def from_json(text: str) -> Loss:
        """Make the loss that `to_json` described.

        Nothing is imported or executed: the name must be that of a `Loss` subclass that this process has
        already defined.
        """
        try:
            stored = json.loads(text)
            name, parameters = stored["loss"], dict(stored["parameters"])
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"not the JSON description of a loss: {text!r}") from error
        # A user's class may move between modules, and the last definition counts.
        built_in = description.is_built_in(stored.get("module", description.BUILT_IN))
        named = [loss for loss in subclasses_of(Loss) if loss.__name__ == name]
        candidates = [loss for loss in named if description.is_built_in(loss.__module__) == built_in]
        if not candidates:
            raise ValueError(
                f"no loss named {name!r} is defined here; if it is your own, import the module that defines it first"
            )
        known = candidates[-1]
        parameters = {name: description.of_json(value) for name, value in parameters.items()}
        unknown = set(parameters) - set(known().get_params())
        if unknown:
            raise ValueError(f"{name} has no parameter {sorted(unknown)[0]!r}; this version knows {known()!r}")
        loss: Loss = known(**parameters)
        return loss

    # ---- what the engines and both ways of evaluation ask for ----

    def class_weights(self, columns: int) -> tuple[Array, Array]:
        """Weights of the labels 1 and 0, each of shape (columns,)."""
        if self.alpha is None:
            return np.ones(columns), np.ones(columns)
        positive = self._numbers_of_alpha("(0, 1)", columns, f"{columns} columns of labels")
        return positive, 1 - positive

    def softmax_weights(self, classes: int) -> Array:
        """Weight of each class in the softmax form, shape (classes,)."""
        if self.alpha is None:
            return np.ones(classes)
        if np.asarray(self.alpha, object).ndim == 0 and not isinstance(self.alpha, str):
            raise ValueError(
                f"alpha={self.alpha!r} is one number, but there are {classes} classes: give one weight for each, "
                "'balanced', 'effective' or None"
            )
        return self._numbers_of_alpha(_CLASS_WEIGHT, classes, f"{classes} classes")

    def _numbers_of_alpha(self, interval: str, size: int, of_what: str) -> Array:
        alpha = self.alpha
        if isinstance(alpha, str):
            raise ValueError(
                f"alpha={alpha!r} is still a word: call loss.resolve(y_true, sample_weight) to turn it into a number"
            )
        given = np.asarray(alpha, object)  # whatever is in a list, so that the error can say what it is
        if given.ndim == 0:
            return np.full(size, real("alpha", alpha, interval))
        numbers = np.array([real("alpha", number, interval) for number in given.tolist()])
        if numbers.size != size:
            raise ValueError(f"alpha has {numbers.size} numbers, but there are {of_what}: give one for each")
        return numbers

    def resolve_totals(self: _Self, totals: ClassTotals) -> _Self:
        """Do as `resolve` does, from the class totals of the whole training set."""
        softmax = self._is_joint(totals)
        resolved: _Self = clone(self)
        if isinstance(self.alpha, str):
            resolved.set_params(alpha=totals.alpha(self.alpha, self.beta, softmax=softmax))
        # Raises if alpha is out of range, or not one per column.
        (resolved.softmax_weights if softmax else resolved.class_weights)(totals.positive.size)
        return resolved

    def _is_joint(self, totals: ClassTotals) -> bool:
        """Whether these labels are learned by the softmax form."""
        return totals.kind == "multiclass" and self.has_softmax

    def intercepts(self, totals: ClassTotals) -> Array:
        """Margins at which the posterior is the base rate, shape (L,); see `intercept`."""
        rates = totals.base_rates()
        if self._is_joint(totals):
            return margins_of_posterior(lambda z: self.posterior(z[np.newaxis], multiclass=True)[0], rates, repr(self))

        def posterior_of(column: int, z: float) -> float:
            return float(self.posterior(np.full((1, rates.size), z))[0, column])

        return np.array(
            [
                margin_of_posterior(functools.partial(posterior_of, column), rate, repr(self))
                for column, rate in enumerate(rates.tolist())
            ]
        )

    def value_without_skill(self, totals: ClassTotals) -> float:
        """Mean value of the loss, over rows and columns, where every margin is the intercept."""
        at, rates = self.intercepts(totals), totals.base_rates()
        if totals.kind == "multiclass":
            classes = np.arange(rates.size)
            return float(np.sum(rates * self.value(classes, np.tile(at, (rates.size, 1)))))
        on_1, on_0 = self.value(np.repeat([[1], [0]], rates.size, axis=1), np.tile(at, (2, 1)))
        return float(np.mean(rates * on_1 + (1 - rates) * on_0))

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


def require_loss(loss: Any) -> None:
    """Raise unless this is an instance of a loss."""
    if isinstance(loss, type) and issubclass(loss, Loss):
        raise TypeError(f"loss={loss.__name__} is a class: give an instance, {loss.__name__}()")
    if not isinstance(loss, Loss):
        raise TypeError(f"loss={loss!r} is a {type(loss).__name__}: give a gbm_focal loss, for instance FocalLoss()")


def is_symmetric(loss: Loss) -> bool:
    """Whether a loss treats the labels 1 and 0 alike, so that either may be called positive.

    Words for alpha do, because they weigh each label by its own share.
    """
    loss = loss.at_round(np.inf)
    if loss.alpha is not None:
        if not isinstance(loss.alpha, str):
            return bool(np.all(np.asarray(loss.alpha) == 0.5)) and is_symmetric(clone(loss).set_params(alpha=None))
        loss = clone(loss).set_params(alpha=None)
    margin = np.array([-4.0, -1.0, 0.5, 3.0])
    return bool(np.allclose(loss.value(np.ones(4), margin), loss.value(np.zeros(4), -margin), rtol=1e-9))
