"""The losses of K classes."""

import numpy as np
import pytest
from instances import NumpyFocalLoss
from scipy.optimize import minimize
from scipy.special import log_softmax

from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalLoss, PowerCrossEntropy


@pytest.mark.parametrize(
    "loss", [FocalLoss(2), FocalLoss(0.5, (1, 4, 0.3)), FocalLoss(5), BalancedCrossEntropy(None)], ids=repr
)
def test_posterior_undoes_minimisation(loss):
    for eta in ([0.7, 0.2, 0.1], [0.98, 0.019, 0.001], [0.4, 0.4, 0.2]):

        def risk(z, eta=eta):
            return sum(share * loss.value([t], z[None])[0] for t, share in enumerate(eta))

        def slope(z, eta=eta):
            return sum(share * loss.gradient_hessian([t], z[None])[0][0] for t, share in enumerate(eta))

        found = minimize(risk, np.log(eta), jac=slope, method="BFGS", options={"gtol": 1e-13, "maxiter": 1000})
        np.testing.assert_allclose(loss.posterior(found.x[None], multiclass=True)[0], eta, atol=1e-8)


def test_two_classes_are_the_binary_loss():
    z = np.random.default_rng(0).normal(size=(50, 2)) * 3
    y = np.arange(50) % 2
    for gamma in (0, 0.5, 2):
        loss = FocalLoss(gamma)
        np.testing.assert_allclose(loss.value(y, z), loss.value(y, z[:, 1] - z[:, 0]), rtol=1e-12)
        np.testing.assert_allclose(
            loss.posterior(z, multiclass=True)[:, 1], loss.posterior(z[:, 1] - z[:, 0]), rtol=1e-12
        )
        for hessian in ("fisher", "exact"):
            joint = loss.gradient_hessian(y, z, hessian=hessian)
            binary = loss.gradient_hessian(y, z[:, 1] - z[:, 0], hessian=hessian)
            for ours, theirs in zip(joint, binary, strict=True):
                np.testing.assert_allclose(ours[:, 1], theirs, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("classes", [3, 7, 600])
def test_many_classes_any_layout_and_weights(classes, order):
    random = np.random.default_rng(0)
    z = np.asarray(random.normal(size=(700, classes)), order=order)
    y, w = random.integers(classes, size=700), random.uniform(0, 2, 700)
    loss = FocalLoss(2, tuple(random.uniform(0.5, 2, classes)))
    gradient, hessian = loss.gradient_hessian(y, z, w, max_step=2)
    # The formulas again, in NumPy.
    logp = log_softmax(z, axis=1)
    p, n = np.exp(logp), -logp[np.arange(700), y]
    pt, weight = p[np.arange(700), y], w * np.array(loss.alpha)[y]
    np.testing.assert_allclose(loss.value(y, z, w), weight * (1 - pt) ** 2 * n, rtol=1e-9)
    slope = weight * (1 - pt) * (2 * pt * n + 1 - pt)
    np.testing.assert_allclose(gradient, slope[:, None] * (p - np.eye(classes)[y]), rtol=1e-9, atol=1e-15)
    assert np.all(np.abs(gradient) <= 2 * hessian * (1 + 1e-12))
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-12)


@pytest.mark.parametrize("loss", [AsymmetricLoss(), PowerCrossEntropy(3), NumpyFocalLoss(2.0)], ids=repr)
def test_one_versus_rest(loss):
    random = np.random.default_rng(0)
    z, y = random.normal(size=(300, 4)), random.integers(4, size=300)
    labels = (y[:, None] == np.arange(4)).astype(float)
    np.testing.assert_allclose(loss.value(y, z), loss.value(labels, z).sum(axis=1), rtol=1e-12)
    for ours, theirs in zip(loss.gradient_hessian(y, z), loss.gradient_hessian(labels, z), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    columns = loss.posterior(z)
    np.testing.assert_allclose(
        loss.posterior(z, multiclass=True), columns / columns.sum(axis=1, keepdims=True), rtol=1e-12
    )


def test_vanished_posteriors_are_still_probabilities():
    posterior = AsymmetricLoss().posterior(np.full((1, 3), -9e3), multiclass=True)
    np.testing.assert_allclose(posterior, 1 / 3)


@pytest.mark.parametrize("loss", [AsymmetricLoss(), PowerCrossEntropy(3), NumpyFocalLoss(2.0)], ids=repr)
def test_float32_keeps_the_shares_of_small_posteriors(loss):
    # Of margins of -50 a power of 3 leaves 1e-65, which float32 does not have.
    z = np.array([[-50, -40, -41], [-30, -29, -18]])
    expected = loss.posterior(z.astype(np.float64), multiclass=True)
    np.testing.assert_allclose(loss.posterior(z.astype(np.float32), multiclass=True), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 3], np.zeros((2, 3))), r"y_true\[1\] is 3"),
        (([0, 1.5], np.zeros((2, 3))), r"y_true\[1\] is 1.5"),
        (([0, -1], np.zeros((2, 3))), r"y_true\[1\] is -1"),
        (([0, np.nan], np.zeros((2, 3))), r"y_true\[1\] is nan"),
        (([0, 1], np.array([[0, 1, np.inf], [0, 1, 2]])), r"margin\[0, 2\] is inf"),
        (([0, 1, 1], np.zeros((2, 3))), "shape"),
        (([0, 0], np.zeros((2, 1))), "a column for each class"),
        (([0, 0], np.zeros((2, 0))), "a column for each class"),
        (([0, 1], np.zeros((2, 3)), [1, -1]), r"sample_weight\[1\] is -1"),
    ],
)
@pytest.mark.parametrize("loss", [FocalLoss(2), AsymmetricLoss(), NumpyFocalLoss(2.0)], ids=repr)
def test_bad_input(loss, arguments, message):
    for method in (loss.value, loss.gradient_hessian):
        with pytest.raises(ValueError, match=message):
            method(*arguments)


def test_bad_parameters():
    z = np.zeros((2, 3))
    with pytest.raises(ValueError, match="at most 100"):
        FocalLoss(101).value([0, 1], z)
    with pytest.raises(ValueError, match="one weight for each"):
        FocalLoss(2, 0.5).value([0, 1], z)
    with pytest.raises(ValueError, match="2 numbers, but there are 3 classes"):
        FocalLoss(2, (1, 2)).value([0, 1], z)
    with pytest.raises(ValueError, match="still a word"):
        FocalLoss(2, "balanced").value([0, 1], z)
    with pytest.raises(ValueError, match="multiclass=True"):
        FocalLoss(2).posterior([0.0, 1.0], multiclass=True)


def test_extreme_margins_are_finite():
    z = np.array([[3e38, -3e38, 0], [1e30, 1e30, -1e30], [-3e38, -3e38, -3e38]], np.float32)
    for loss in (FocalLoss(2), FocalLoss(0.3), FocalLoss(0)):
        for label in range(3):
            for hessian in ("fisher", "exact"):
                for array in loss.gradient_hessian([label] * 3, z, hessian=hessian, max_step=2):
                    assert np.all(np.isfinite(array))
            assert np.all(np.isfinite(loss.value([label] * 3, z)))
        np.testing.assert_allclose(loss.posterior(z, multiclass=True).sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("weight", [0, 1e-13, 1e13, np.inf, np.nan])
def test_class_weights_that_float32_cannot_hold_are_refused(weight):
    with pytest.raises(ValueError, match=r"alpha=.* is out of range: give a number in \[1e-12, 1e\+12\]"):
        FocalLoss(2, alpha=(1, 1, weight)).posterior(np.zeros((2, 3), np.float32), multiclass=True)
