"""Every built-in loss against arbitrary precision, where the issue of rounding is nastiest."""

import functools
import itertools

import mpmath
import numpy as np
import pytest
from reference import partial_losses, truth

from gbm_focal import AsymmetricLoss, FocalLoss, PowerCrossEntropy

TOLERANCE = {np.float64: 1e-13, np.float32: 2e-6}

# Near 0 (where p and q balance), through the region of ordinary margins, past the margins where exp(-|z|) falls
# below the precision of float32 (17) and float64 (37), where it becomes subnormal (87, 708) and vanishes
# (104, 745), to 1e4.
POSITIVE = (
    *(1e-8, 1e-3, 0.1, 0.3, 0.5, 0.69, 1, 1.5, 2, 2.7, 3, 4, 5, 6.5, 8, 10, 12, 15, 17, 20, 25, 30, 37, 44, 60, 75),
    *(80, 85, 87, 87.3, 88, 89, 95, 104, 200, 350, 500, 650, 700, 708, 709, 740, 746, 1000, 3000, 1e4),
)
MARGINS = (0.0, *POSITIVE, *(-z for z in POSITIVE), *np.random.default_rng(0).uniform(-40, 40, 40))
# Distances from ASL's edge logit(clip), on both sides of it.
FROM_EDGE = (0.3, 1e-1, 1e-2, 1e-3, 1e-5, 1e-7, 1e-9, 1e-12, 1e-15)

CASES = [
    *(("focal", (gamma,), FocalLoss(gamma)) for gamma in (0, 0.3, 0.5, 1, 2, 2.5, 5)),
    *(
        ("asymmetric", (positive, negative, clip), AsymmetricLoss(positive, negative, clip))
        for positive, negative, clip in itertools.product((0, 0.5, 1, 2, 4), (0, 0.5, 1, 2, 4), (0, 0.05, 0.2))
    ),
    *(("power", (power,), PowerCrossEntropy(power)) for power in (0.5, 1, 3)),
]
WEIGHTED_CASES = [
    ("focal", (2,), FocalLoss(2, alpha=0.99)),
    ("asymmetric", (1, 4, 0.05), AsymmetricLoss(alpha=0.25)),
    ("power", (3,), PowerCrossEntropy(3, alpha=0.9)),
]


def margins(family, parameters, dtype):
    grid = list(MARGINS)
    if family == "asymmetric" and parameters[2] > 0:
        edge = dtype(np.log(parameters[2] / (1 - parameters[2])))
        grid += [edge, np.nextafter(edge, dtype(9)), np.nextafter(edge, dtype(-9))]
        grid += [edge + sign * distance for distance in FROM_EDGE for sign in (1, -1)]
    return np.unique(np.array(grid, dtype))


@functools.cache
def truths(family, parameters, dtype, alpha):
    return [truth(family, parameters, float(z), alpha) for z in margins(family, parameters, dtype)]


def assert_close(computed, true, scale, dtype, label):
    """|computed - true| <= tolerance * scale wherever that is a normal number; else almost nothing."""
    smallest = float(np.finfo(dtype).tiny)
    assert computed.dtype == dtype
    assert np.all(np.isfinite(computed))
    for got, want, size in zip(computed.tolist(), true, scale, strict=True):
        size = abs(size)
        if size < smallest:
            assert abs(got) <= 1.01 * smallest, (label, got, want)
        else:
            assert abs(mpmath.mpf(got) - want) <= TOLERANCE[dtype] * size, (label, got, mpmath.nstr(want, 20))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("family", "parameters", "loss"), CASES + WEIGHTED_CASES, ids=lambda x: repr(x))
def test_exact_to_rounding(family, parameters, loss, dtype):
    z = margins(family, parameters, dtype)
    true = truths(family, parameters, dtype, loss.alpha)
    posterior = [t.posterior for t in true]
    assert_close(loss.posterior(z), posterior, posterior, dtype, "posterior")
    for label in (0, 1):
        y = np.full(z.shape, label, dtype)
        value = [t.value[label] for t in true]
        assert_close(loss.value(y, z), value, value, dtype, "value")
        slope = [t.gradient[label] for t in true]
        gradient, fisher = loss.gradient_hessian(y, z)
        assert_close(gradient, slope, slope, dtype, "gradient beside fisher")
        expected = [t.fisher for t in true]
        assert_close(fisher, expected, expected, dtype, "fisher")
        gradient, exact = loss.gradient_hessian(y, z, hessian="exact")
        assert_close(gradient, slope, slope, dtype, "gradient beside exact")
        terms = [t.exact_terms[label] for t in true]
        assert_close(exact, [t.exact[label] for t in true], terms, dtype, "exact")


def test_reference_derivatives_agree_with_numerical_ones():
    # The reference itself: its Jets against mpmath's own differentiation, at points free of its pitfalls.
    for family, parameters, _ in (CASES[3], CASES[40], CASES[-1]):
        for z in (-1.7, 0.4, 2.2):
            for label in (0, 1):
                with mpmath.workdps(60):
                    jet = partial_losses(family, parameters, z)[1 - label]

                    def value(x, family=family, parameters=parameters, label=label):
                        return partial_losses(family, parameters, x)[1 - label].f

                    assert abs(mpmath.diff(value, z) - jet.d) < 1e-20
                    assert abs(mpmath.diff(value, z, 2) - jet.dd) < 1e-12
