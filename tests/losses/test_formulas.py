"""What follows from the definition of a loss, its derivatives and its posterior."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import sample
from scipy.special import expit, logit

from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalLoss, PowerCrossEntropy


def test_sample_weights_multiply(loss):
    y, z, w = sample()
    np.testing.assert_allclose(loss.value(y, z, w), w * loss.value(y, z), rtol=1e-14)
    for weighted, bare in zip(loss.gradient_hessian(y, z, w), loss.gradient_hessian(y, z), strict=True):
        np.testing.assert_allclose(weighted, w * bare, rtol=1e-14)


def test_cross_entropy_is_the_logistic_loss():
    y, z, _ = sample()
    z = np.clip(z, -7, 7)  # further out the terms of PowerCrossEntropy's exact Hessian cancel
    for loss in (FocalLoss(0), BalancedCrossEntropy(None), PowerCrossEntropy(1), AsymmetricLoss(0, 0, 0)):
        np.testing.assert_allclose(loss.value(y, z), np.logaddexp(0, z) - y * z, rtol=1e-12)
        for kind in ("fisher", "exact"):
            gradient, hessian = loss.gradient_hessian(y, z, hessian=kind)
            np.testing.assert_allclose(gradient, expit(z) - y, rtol=1e-12)
            np.testing.assert_allclose(hessian, expit(z) * expit(-z), rtol=1e-12)
        np.testing.assert_allclose(loss.posterior(z), expit(z), rtol=1e-14)


def test_posterior_of_known_losses():
    z = np.linspace(-20, 20, 101)
    np.testing.assert_allclose(PowerCrossEntropy(2.5).posterior(z), expit(z) ** 2.5, rtol=1e-13)
    # Weights alpha and 1 - alpha shift the logit by their logit.
    np.testing.assert_allclose(BalancedCrossEntropy(0.9).posterior(z), expit(z - logit(0.9)), rtol=1e-13)


@pytest.mark.parametrize("eta", [1e-6, 0.003, 0.2, 0.5, 0.9])
def test_posterior_is_where_the_expected_loss_is_smallest(loss, eta):
    z = loss.intercept([0, 1], [1 - eta, eta])
    below, above = loss.posterior([z - 1e-9, z + 1e-9])
    assert below < eta < above

    def expected_gradient(margin):
        on_0, on_1 = (loss.gradient_hessian([label], [margin])[0][0] for label in (0, 1))
        return eta * on_1 + (1 - eta) * on_0

    for distance in (1e-8, 1e-4, 0.1, 2, 10):
        assert expected_gradient(z - distance) < 0 < expected_gradient(z + distance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_posterior_increases_inside_the_unit_interval(loss, dtype):
    z = np.linspace(-11, 11, 4001).astype(dtype)
    posterior = loss.posterior(z)
    steps = np.diff(posterior)
    assert np.all(posterior > 0)
    assert np.all(posterior <= 1)
    # Near 1 neighbours may round to one number; where they are far from it they may not.
    assert np.all(steps >= -4 * np.finfo(dtype).eps)
    assert np.all(steps[posterior[1:] < 0.99] > 0)


def test_posterior_in_the_dead_zone_has_a_finite_logit():
    loss = AsymmetricLoss()
    for dtype in (np.float32, np.float64):
        z = np.concatenate([np.linspace(-40, -3, 500), logit(0.05) + np.logspace(-9, -1, 50)]).astype(dtype)
        odds = logit(loss.posterior(z).astype(float))
        assert np.all(np.isfinite(odds))
        assert np.all(np.diff(odds[:500]) > 0)
        assert np.all(np.diff(odds[500:]) >= 0)


@given(
    st.floats(-50, 50),
    st.sampled_from([0, 1]),
    st.floats(0, 10),
    st.floats(0, 10),
    st.floats(0, 0.999),
    st.one_of(st.none(), st.floats(0.001, 0.999)),
)
def test_fisher_hessian_is_never_negative(z, y, gamma_pos, gamma_neg, clip, alpha):
    if 0 < clip < 1e-9:
        clip = 0
    losses = (FocalLoss(gamma_pos, alpha), AsymmetricLoss(gamma_pos, gamma_neg, clip, alpha))
    for loss in (*losses, PowerCrossEntropy(gamma_pos + 0.01, alpha)):
        for dtype in (np.float32, np.float64):
            margin = np.array([z], dtype)
            gradient, hessian = loss.gradient_hessian([y], margin)
            assert hessian[0] >= 0
            bounded = loss.gradient_hessian([y], margin, max_step=2)[1][0]
            assert bounded > 0
            assert abs(gradient[0]) <= 2 * bounded * (1 + 1e-6)


def test_fisher_hessian_is_the_expectation_of_the_exact_one(loss):
    z = np.linspace(-6, 6, 41)
    eta = loss.posterior(z)
    exact = [loss.gradient_hessian(np.full(z.shape, label), z, hessian="exact")[1] for label in (0, 1)]
    fisher = loss.gradient_hessian(np.ones(z.shape), z)[1]
    np.testing.assert_array_equal(fisher, loss.gradient_hessian(np.zeros(z.shape), z)[1])
    scale = eta * np.abs(exact[1]) + (1 - eta) * np.abs(exact[0])
    # Not in the dead zone, where the posterior is a continuation, nor where 1 - eta has lost its digits.
    sound = (loss.gradient_hessian(np.zeros(z.shape), z)[0] > 1e-6) & (eta < 0.999)
    expectation = eta * exact[1] + (1 - eta) * exact[0]
    assert np.all(np.abs(expectation - fisher)[sound] <= 1e-11 * scale[sound])


@pytest.mark.parametrize("kind", ["fisher", "exact"])
def test_max_step_bounds_newton_steps(loss, kind):
    y, z, w = sample()
    gradient, bare = loss.gradient_hessian(y, z, w, hessian=kind)
    same, bounded = loss.gradient_hessian(y, z, w, hessian=kind, max_step=0.5)
    np.testing.assert_array_equal(gradient, same)
    tiny = np.finfo(float).tiny
    np.testing.assert_allclose(bounded, np.maximum(bare, np.abs(gradient) / 0.5 + tiny), rtol=1e-15)
    positive = loss.gradient_hessian(y, z, w, hessian=kind, max_step=np.inf)[1]
    np.testing.assert_array_equal(positive, np.maximum(bare, tiny))
    if kind == "exact" and loss.get_params().get("gamma", 0) > 0:
        assert bare.min() < 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_finite_margins_of_any_size_give_finite_results(loss, dtype):
    largest = np.finfo(dtype).max
    z = np.array([0, 1e4, 1e10, 1e30, largest / 2, largest], dtype)
    z = np.concatenate([z, -z])
    for label in (0, 1):
        y = np.full(z.shape, label)
        results = [loss.value(y, z), loss.posterior(z)]
        for kind in ("fisher", "exact"):
            for max_step in (None, 2, np.inf):
                results += loss.gradient_hessian(y, z, hessian=kind, max_step=max_step)
        assert all(np.all(np.isfinite(r)) for r in results)


def test_gradient_is_the_slope_of_the_value(loss):
    z = np.linspace(-5, 5, 31) + 0.01
    for label in (0, 1):
        y = np.full(z.shape, label)
        slope = (loss.value(y, z + 1e-6) - loss.value(y, z - 1e-6)) / 2e-6
        np.testing.assert_allclose(loss.gradient_hessian(y, z)[0], slope, atol=1e-8)
