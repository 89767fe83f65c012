"""A loss of one's own, of NumPy formulas."""

import numpy as np
import pytest
from instances import NumpyFocalLoss
from problems import sample

from gbm_focal import FocalLoss, Loss


@pytest.mark.parametrize("alpha", [None, 0.8, "balanced"])
@pytest.mark.parametrize("columns", [None, 2])
def test_own_loss_equals_the_built_in_one(alpha, columns):
    y, z, w = sample(columns=columns)
    own, built_in = (kind(2.0, alpha).resolve(y, w) for kind in (NumpyFocalLoss, FocalLoss))
    assert own.alpha == built_in.alpha
    np.testing.assert_allclose(own.value(y, z, w), built_in.value(y, z, w), rtol=1e-10)
    np.testing.assert_allclose(own.posterior(z), built_in.posterior(z), rtol=1e-10)
    np.testing.assert_allclose(own.intercept(y, w), built_in.intercept(y, w), atol=1e-10)
    for kind in ("fisher", "exact"):
        for max_step in (None, 2.0):
            pairs = (x.gradient_hessian(y, z, w, hessian=kind, max_step=max_step) for x in (own, built_in))
            for own_array, built_in_array in zip(*pairs, strict=True):
                np.testing.assert_allclose(own_array, built_in_array, rtol=1e-9, atol=1e-12)
    assert own.value(y.astype("f4"), z.astype("f4")).dtype == np.float32


def test_own_loss_that_is_wrong_is_told_so():
    class Broken(NumpyFocalLoss):
        def partial_values(self, margin):
            return margin[:1], margin[:1]

        def partial_gradients(self, margin):
            return np.full_like(margin, np.nan), margin

    with pytest.raises(ValueError, match=r"Broken.partial_values must return two arrays of the shape \(3,\)"):
        Broken().value([0, 1, 0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"Broken.partial_gradients returned .*nan.* at margin .*1\.0"):
        Broken().posterior([1.0, 2.0])
    with pytest.raises(NotImplementedError, match="partial_values"):
        Loss().value([0], [1.0])


def test_own_loss_without_alpha():
    class Square(Loss):
        def partial_values(self, margin):
            return (margin - 1) ** 2, (margin + 1) ** 2

        def partial_gradients(self, margin):
            return 2 * (margin - 1), 2 * (margin + 1)

        def partial_hessians(self, margin):
            return np.full_like(margin, 2), np.full_like(margin, 2)

    np.testing.assert_allclose(Square().intercept([0, 0, 0, 1]), -0.5)
