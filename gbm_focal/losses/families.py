"""The built-in losses, which the compiled kernel evaluates."""

from __future__ import annotations

import decimal
import functools
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from .. import kernels
from .._inputs import Array, check_rows, columns_of, real
from .base import Alpha, Loss

_SMALLEST_CLIP = 1e-9
_LARGEST_SOFTMAX_GAMMA = 100  # 2^-gamma, the smallest power of the rest of a class, must be a normal float32


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
            self.divide_by_sums(out, z, offset)


class FocalLoss(KernelLoss):
    """Focal loss: cross-entropy that counts well-classified samples less.

    l1 = alpha q^gamma n,  l0 = (1 - alpha) p^gamma m

    for the labels 1 and 0, where z is the margin, p = sigmoid(z), q = 1 - p, n = -log p and m = -log q.

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
        weight of each, from 1e-12 to 1e12.
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

    l1 = alpha q^gamma_pos n,  l0 = (1 - alpha) a^gamma_neg (-log(1 - a)),  a = max(p - clip, 0)

    for the labels 1 and 0, where z is the margin, p = sigmoid(z), q = 1 - p and n = -log p.

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

    l1 = alpha n,  l0 = (1 - alpha) m

    for the labels 1 and 0, where z is the margin, p = sigmoid(z), n = -log p and m = -log(1 - p). For K classes it is
    the softmax form of `FocalLoss` with gamma 0.

    Parameters
    ----------
    alpha : float in (0, 1), sequence of float, "balanced", "effective" or None, default "balanced"
        Weight of label 1, for all columns or each; label 0 gets 1 - alpha. None: both 1, the logistic loss. For
        K classes a weight of each, from 1e-12 to 1e12.
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

    l1 = alpha power n,  l0 = -(1 - alpha) log(1 - p^power)

    for the labels 1 and 0, where z is the margin, p = sigmoid(z) and n = -log p.

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


def _gamma(name: str, value: Any) -> float:
    return real(name, value, "[0, 1000]")


def _raise_for_rows(y: Array | None, z: Array, weight: Array | None) -> NoReturn:
    """Explain why the kernel refused these rows."""
    check_rows(y, z, weight)
    raise ValueError(
        "a label, margin or sample weight is beyond the range of float32, in which this is computed: the largest "
        f"margin is {float(np.max(np.abs(z)))!r}"
        + ("" if weight is None else f", the largest weight {float(np.max(weight))!r}")
    )


@functools.lru_cache(maxsize=128)
def _logit_in_two_parts(probability: float) -> tuple[float, float]:
    with decimal.localcontext() as context:
        context.prec = 60
        exact = decimal.Decimal(probability)
        result = exact.ln() - (1 - exact).ln()
        high = float(result)
        return high, float(result - decimal.Decimal(high))
