"""The softmax losses against arbitrary precision."""

import itertools

import mpmath
import numpy as np
import pytest

from gbm_focal import FocalLoss

TOLERANCE = {np.float64: 1e-13, np.float32: 2e-6}
WEIGHTS = (0.7, 3.0, 1.0, 0.02)


def truth(gamma, weights, z, label):
    """Value, gradient and exact second derivatives of one row, from the definition, by mpmath's own derivatives.

    The terms of the second derivatives are those of the product rule, whose magnitudes say what rounding may cost.
    """
    z = [mpmath.mpf(float(x)) for x in z]
    total = sum(mpmath.exp(x - max(z)) for x in z)
    p = [mpmath.exp(x - max(z)) / total for x in z]
    q = [sum(p[:k] + p[k + 1 :]) for k in range(len(z))]
    n = [-mpmath.log(x) for x in p]
    w, g, t = mpmath.mpf(weights[label]), mpmath.mpf(gamma), label

    def power(x, exponent):
        return mpmath.mpf(1) if exponent == 0 else x**exponent

    value = w * power(q[t], g) * n[t]
    # f(p) = (1 - p)^g (-log p); d p_t / d z_k = p_t ([k = t] - p_k)
    first = -(g * power(q[t], g) / q[t] * n[t] + power(q[t], g) / p[t])
    second = (
        g * (g - 1) * power(q[t], g) / q[t] ** 2 * n[t]
        + 2 * g * power(q[t], g) / (q[t] * p[t])
        + power(q[t], g) / p[t] ** 2
    )
    gradient, hessian, terms = [], [], []
    for k in range(len(z)):
        delta = mpmath.mpf(1 if k == t else 0)
        difference = q[k] if k == t else -p[k]
        slope = p[t] * difference
        bend = p[t] * (difference**2 - p[k] * q[k])
        gradient.append(w * first * slope)
        hessian.append(w * (second * slope**2 + first * bend))
        terms.append(w * (abs(second) * slope**2 + abs(first) * p[t] * (difference**2 + p[k] * q[k])) + 0 * delta)
    return value, gradient, hessian, terms


def truth_of_posterior(gamma, weights, z):
    """Posterior, and the diagonal of the expected second derivatives at it."""
    classes = range(len(z))
    rows = [truth(gamma, weights, z, t) for t in classes]
    z = [mpmath.mpf(float(x)) for x in z]
    total = sum(mpmath.exp(x - max(z)) for x in z)
    p = [mpmath.exp(x - max(z)) / total for x in z]
    q = [sum(p[:k] + p[k + 1 :]) for k in classes]
    g = mpmath.mpf(gamma)
    odds = [
        p[k] / (mpmath.mpf(weights[k]) * ((q[k] ** g if g else 1) + (g * q[k] ** (g - 1) * p[k] * -mpmath.log(p[k]))))
        for k in classes
    ]
    eta = [x / sum(odds) for x in odds]
    return eta, [sum(eta[t] * rows[t][2][k] for t in classes) for k in classes]


def margins_of_rows(dtype):
    random = np.random.default_rng(0)
    rows = [
        *random.normal(0, 1, (6, 4)),
        *random.normal(0, 6, (8, 4)),
        *random.normal(0, 30, (6, 4)),
        [0, 0, 0, 0],
        [5, 5, -5, -5],
        [1e-3, 0, 0, 1e-8],
        [80, 0, -3, 2],
        [-700, -701, -702, -650],
        [1e4, 9990, 9980, 1e4 - 45],
        [30, 30, -30, -60],
        [1234.567, 1230.123, 1222.2, 1200.01],
    ]
    return np.array(rows, dtype)


def assert_close(computed, true, scale, dtype, label):
    for got, want, size in zip(computed, true, scale, strict=True):
        if abs(size) < float(np.finfo(dtype).tiny) * 1e3:
            assert abs(got) <= 1.01e3 * float(np.finfo(dtype).tiny), (label, got, want)
        else:
            assert abs(mpmath.mpf(float(got)) - want) <= TOLERANCE[dtype] * abs(size), (label, got, want)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2, 2.5, 5])
def test_softmax_is_exact_to_rounding(gamma, weights, dtype):
    loss = FocalLoss(gamma, alpha=weights)
    for z in margins_of_rows(dtype):
        with mpmath.workdps(60 + int(min(1000, z.max() - z.min()))):
            w = weights or (1, 1, 1, 1)
            eta, fisher = truth_of_posterior(gamma, w, z)
            assert_close(loss.posterior(z[None], multiclass=True)[0], eta, eta, dtype, "posterior")
            for t in range(4):
                value, gradient, exact, terms = truth(gamma, w, z, t)
                assert_close(loss.value([t], z[None]), [value], [value], dtype, "value")
                first, second = loss.gradient_hessian([t], z[None])
                assert first.dtype == second.dtype == dtype
                assert_close(first[0], gradient, gradient, dtype, "gradient")
                assert_close(second[0], fisher, fisher, dtype, "fisher")
                first, second = loss.gradient_hessian([t], z[None], hessian="exact")
                assert_close(first[0], gradient, gradient, dtype, "gradient beside exact")
                assert_close(second[0], exact, terms, dtype, "exact")


def test_reference_agrees_with_numerical_derivatives():
    z = [0.3, -1.2, 2.0]
    for gamma, t in itertools.product((0, 0.5, 2), range(3)):
        with mpmath.workdps(50):
            value, gradient, hessian, _ = truth(gamma, (1, 2, 3), z, t)
            for k in range(3):

                def at(x, k=k, t=t, gamma=gamma):
                    return truth(gamma, (1, 2, 3), [*map(mpmath.mpf, z[:k]), x, *map(mpmath.mpf, z[k + 1 :])], t)[0]

                # float() in truth() would round the step away
                step = 1e-4
                up, down = at(z[k] + step), at(z[k] - step)
                assert abs((up - down) / (2 * step) - gradient[k]) < 1e-6
                assert abs((up - 2 * value + down) / step**2 - hessian[k]) < 1e-5
