"""The losses in arbitrary precision, straight from their definitions.

Independent of the package: each partial loss is written once, as the papers define it, and its derivatives
come from truncated Taylor arithmetic (`Jet`), not from a formula. So a mistake in a derivation cannot be here
as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import mpmath

DIGITS = 60  # of the results, after cancellation
DEAD_ZONE_SLOPE = mpmath.mpf(1e-9)  # AsymmetricLoss's documented continuation of the posterior


@dataclass
class Jet:
    """A function's value, first and second derivative at a point."""

    f: mpmath.mpf
    d: mpmath.mpf
    dd: mpmath.mpf

    def __add__(self, other):
        other = constant(other)
        return Jet(self.f + other.f, self.d + other.d, self.dd + other.dd)

    def __mul__(self, other):
        other = constant(other)
        return Jet(
            self.f * other.f,
            self.d * other.f + self.f * other.d,
            self.dd * other.f + 2 * self.d * other.d + self.f * other.dd,
        )

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + (-constant(other))

    def apply(self, f, d, dd):
        """Chain rule for an outer function with these derivatives at self.f."""
        return Jet(f, d * self.d, dd * self.d**2 + d * self.dd)


def constant(x):
    return x if isinstance(x, Jet) else Jet(mpmath.mpf(x), mpmath.mpf(0), mpmath.mpf(0))


def log1p(jet):
    one = 1 + jet.f
    return jet.apply(mpmath.log1p(jet.f), 1 / one, -1 / one**2)


def log(jet):
    return jet.apply(mpmath.log(jet.f), 1 / jet.f, -1 / jet.f**2)


def power(jet, exponent):
    exponent = mpmath.mpf(exponent)
    if exponent == 0:
        return constant(1)
    f = jet.f**exponent
    return jet.apply(f, exponent * f / jet.f, exponent * (exponent - 1) * f / jet.f**2)


def exp(jet):
    f = mpmath.exp(jet.f)
    return jet.apply(f, f, f)


def softplus(jet):
    """log(1 + exp(x)) without losing either end."""
    x = jet.f
    p = 1 / (1 + mpmath.exp(-x))
    q = 1 / (1 + mpmath.exp(x))
    f = mpmath.log1p(mpmath.exp(-abs(x))) + max(x, mpmath.mpf(0))
    return jet.apply(f, p, p * q)


def partial_losses(family, parameters, margin):
    """Jets of l1 and l0 at a margin, without class weights; zero jets in ASL's dead zone."""
    z = Jet(mpmath.mpf(margin), mpmath.mpf(1), mpmath.mpf(0))
    n, m = softplus(-z), softplus(z)  # -log p and -log q
    if family == "focal":
        (gamma,) = parameters
        return exp(-m * gamma) * n, exp(-n * gamma) * m
    if family == "power":
        (k,) = (mpmath.mpf(p) for p in parameters)
        # 1 - p^k cancels to nothing at large margins; expm1(-k n) does not.
        kn = n * k
        s = exp(-kn)
        if s.f < mpmath.mpf("0.5"):
            return kn, -log1p(-s)
        complement = kn.apply(-mpmath.expm1(-kn.f), s.f, -s.f)
        return kn, -log(complement)
    gamma_pos, gamma_neg, clip = parameters
    clip = mpmath.mpf(clip)
    positive = exp(-m * gamma_pos) * n
    if clip == 0:
        return positive, exp(-n * gamma_neg) * m
    a = exp(-n) - clip
    if a.f <= 0:
        return positive, constant(0)
    # 1 - a = q + clip, with q = exp(-m) and no cancellation.
    b = exp(-m) + clip
    # Near the edge log(1 - a) must come from a.
    negative_log = -log1p(-a) if a.f < mpmath.mpf("0.5") else -log(b)
    return positive, power(a, gamma_neg) * negative_log


@dataclass
class Truth:
    """Everything the package can say of one margin."""

    value: tuple
    gradient: tuple
    exact: tuple
    exact_terms: tuple  # the sum of the magnitudes of the terms of each second derivative
    fisher: mpmath.mpf
    posterior: mpmath.mpf


def truth(family, parameters, margin, alpha=None):
    """Evaluate a loss; pairs are (for y = 0, for y = 1).

    The two halves of the Fisher Hessian cancel in proportion to exp(-|z|), so the working precision grows with
    the margin, as far as a double can hold the result.
    """
    with mpmath.workdps(max(mpmath.mp.dps, DIGITS + int(min(abs(margin), 1500)))):
        positive, negative = partial_losses(family, parameters, margin)
        w1, w0 = (1, 1) if alpha is None else (mpmath.mpf(alpha), 1 - mpmath.mpf(alpha))
        positive, negative = positive * w1, negative * w0
        slope = negative.d - positive.d
        fisher = (negative.d * positive.dd - positive.d * negative.dd) / slope
        rising = negative.d
        if family == "asymmetric" and parameters[2] > 0:
            z = mpmath.mpf(margin)
            pq = 1 / ((1 + mpmath.exp(z)) * (1 + mpmath.exp(-z)))
            rising = max(rising, DEAD_ZONE_SLOPE * w0 * pq)
        posterior = rising / (rising - positive.d)
        terms = hessian_terms(family, parameters, mpmath.mpf(margin))
        return Truth(
            value=(negative.f, positive.f),
            gradient=(negative.d, positive.d),
            exact=(negative.dd, positive.dd),
            exact_terms=(w0 * terms[0], w1 * terms[1]),
            fisher=fisher,
            posterior=posterior,
        )


def hessian_terms(family, parameters, z):
    """Sum of the magnitudes of the terms of l0'' and l1'': the scale of what their rounding may cost."""
    p, q = 1 / (1 + mpmath.exp(-z)), 1 / (1 + mpmath.exp(z))
    n, m = mpmath.log1p(mpmath.exp(-z)), mpmath.log1p(mpmath.exp(z))

    def focal(gamma, p, q, n):
        return q**gamma * p * ((1 + 2 * gamma) * q + gamma * n * (gamma * p + q))

    if family == "focal":
        (gamma,) = parameters
        return focal(gamma, q, p, m), focal(gamma, p, q, n)
    if family == "power":
        (k,) = parameters
        s = p**k
        complement = -mpmath.expm1(-k * n)
        return k * s * q * (k * q / complement**2 + p / complement), k * p * q
    gamma_pos, g, clip = parameters
    if clip == 0:
        return focal(g, q, p, m), focal(gamma_pos, p, q, n)
    a, b = p - mpmath.mpf(clip), q + mpmath.mpf(clip)
    if a <= 0:
        return mpmath.mpf(0), focal(gamma_pos, p, q, n)
    log_term = -mpmath.log(b)
    first = g * a ** (g - 1) * log_term + a**g / b
    second = g * abs(g - 1) * a ** (g - 2) * log_term + 2 * g * a ** (g - 1) / b + a**g / b**2
    return second * (p * q) ** 2 + first * p * q * abs(q - p), focal(gamma_pos, p, q, n)
