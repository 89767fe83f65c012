"""What a loss takes from the counts of its classes: alpha, intercept and scale."""

import numpy as np
import pytest
from problems import sample
from scipy.special import logit

from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalLoss
from gbm_focal.losses import ClassTotals


def test_alpha_per_column():
    y, z, w = sample(20, columns=2)
    alphas = (0.2, 0.9)
    together = FocalLoss(alpha=alphas).gradient_hessian(y, z, w)
    for column, alpha in enumerate(alphas):
        alone = FocalLoss(alpha=alpha).gradient_hessian(y[:, column], z[:, column], w)
        for whole, part in zip(together, alone, strict=True):
            np.testing.assert_array_equal(whole[:, column], part)


def test_balanced_alpha():
    y = np.array([1, 0, 0, 0])
    assert BalancedCrossEntropy().resolve(y).alpha == 0.75
    assert BalancedCrossEntropy().resolve(y, [3, 1, 1, 1]).alpha == 0.5
    assert BalancedCrossEntropy().resolve(np.column_stack([y, 1 - y])).alpha == (0.75, 0.25)


def test_effective_alpha():
    y = np.array([1] * 10 + [0] * 990)
    beta = 0.999
    effective = [(1 - beta**n) / (1 - beta) for n in (10, 990)]
    alpha = FocalLoss(alpha="effective", beta=beta).resolve(y).alpha
    np.testing.assert_allclose(alpha / (1 - alpha), effective[1] / effective[0])


def test_resolve_leaves_the_loss_alone_and_keeps_numbers():
    loss = FocalLoss(3, alpha="balanced")
    assert loss.resolve([0, 1, 1]).get_params() == {"gamma": 3, "alpha": pytest.approx(1 / 3), "beta": 0.9999}
    assert loss.alpha == "balanced"
    for alpha in (None, 0.3):
        assert FocalLoss(alpha=alpha).resolve([0, 1]).alpha == alpha


def test_intercept_is_the_best_constant(loss):
    y, _, w = sample(500)
    base_rate = np.average(y, weights=w)
    z = loss.intercept(y, w)
    assert isinstance(z, float)
    np.testing.assert_allclose(loss.posterior([z]), base_rate, rtol=1e-10)
    total = [loss.value(y, np.full(y.shape, z + d), w).sum() for d in (-0.01, 0, 0.01)]
    assert total[1] == min(total)


def test_intercept_per_column(loss):
    y, _, w = sample(100, columns=3)
    z = loss.intercept(y, w)
    assert z.shape == (3,)
    np.testing.assert_allclose(z, [loss.intercept(y[:, column], w) for column in range(3)], atol=1e-10)


def test_intercept_undoes_balancing():
    y = np.array([1] + [0] * 99)
    np.testing.assert_allclose(BalancedCrossEntropy().intercept(y), 0, atol=1e-10)
    np.testing.assert_allclose(BalancedCrossEntropy(None).intercept(y), logit(0.01))


def test_intercept_at_the_jump_of_the_posterior():
    # With gamma_neg 0 negatives start to count abruptly at the edge of the dead zone, so the posterior jumps
    # there; for a base rate within the jump the edge itself is the best constant.
    loss, y = AsymmetricLoss(0, 0, 0.2), np.array([1] + [0] * 99)
    z = loss.intercept(y)
    np.testing.assert_allclose(z, logit(0.2), atol=1e-10)
    total = [loss.value(y, np.full(100, z + d)).sum() for d in (-0.01, 0, 0.01)]
    assert total[1] == min(total)


def test_intercept_out_of_reach_is_an_error():
    # With gamma_pos 0 the posterior stays below 1, here below 0.98.
    with pytest.raises(ValueError, match="no finite margin"):
        AsymmetricLoss(0, 0, 0.02).intercept(np.array([0] + [1] * 999))


def test_loss_too_flat_to_normalize():
    with pytest.raises(ValueError, match="normalize=False"):
        FocalLoss(500).normalizers(ClassTotals.of([1] + [0] * 99))


@pytest.mark.parametrize("method", ["resolve", "intercept"])
@pytest.mark.parametrize(
    ("y", "w", "message"),
    [
        ([0, 0], None, "single class.*label 0"),
        ([1, 1], None, "single class.*label 1"),
        ([0, 1], [1, 0], "single class.*label 0"),
        ([[0, 1], [1, 1]], None, "single class in column 1"),
        ([], None, "no rows"),
        ([0, 3], None, "class 1 of the 4 classes"),
        ([0, 1.5, 2], None, r"y_true\[1\] is 1.5"),
        ([0, -1, 2], None, r"y_true\[1\] is -1"),
    ],
)
def test_labels_without_a_base_rate(method, y, w, message):
    with pytest.raises(ValueError, match=message):
        getattr(BalancedCrossEntropy(), method)(np.array(y), w)


@pytest.mark.parametrize(
    "loss", [FocalLoss(2), FocalLoss(0.5, "balanced"), FocalLoss(3, "effective"), AsymmetricLoss()], ids=repr
)
def test_intercept_and_scale(loss):
    random = np.random.default_rng(0)
    y, w = random.choice(4, 5000, p=[0.8, 0.15, 0.04, 0.01]), random.uniform(0.5, 2, 5000)
    rates = np.bincount(y, w) / w.sum()
    resolved = loss.resolve(y, w)
    intercept = loss.intercept(y, w)
    np.testing.assert_allclose(resolved.posterior(intercept[None], multiclass=True)[0], rates, rtol=1e-9)
    totals = ClassTotals.of(y, w)
    hessian = resolved.normalizers(totals) * resolved.gradient_hessian([0], intercept[None])[1][0]
    assert hessian.sum() == pytest.approx((rates * (1 - rates)).sum())


def test_class_weights():
    y = np.repeat([0, 1, 2], [60, 30, 10])
    np.testing.assert_allclose(FocalLoss(2, "balanced").resolve(y).alpha, np.array([1, 2, 6]) / 9)
    beta = 0.9
    effective = FocalLoss(2, "effective", beta=beta).resolve(y).alpha
    np.testing.assert_allclose(
        effective, (1 / (1 - beta ** np.array([60, 30, 10]))) / np.sum(1 / (1 - beta ** np.array([60, 30, 10])))
    )
    np.testing.assert_allclose(AsymmetricLoss(alpha="balanced").resolve(y).alpha, [0.4, 0.7, 0.9])
