"""Bad input: the error holds the offending value."""

import numpy as np
import pytest
from problems import sample

from gbm_focal import AsymmetricLoss, FocalLoss, PowerCrossEntropy


@pytest.mark.parametrize(
    ("y", "z", "w", "error", "message"),
    [
        ([0, 2], [0, 1], None, ValueError, r"y_true\[1\] is 2"),
        ([0, -1], [0, 1], None, ValueError, r"y_true\[1\] is -1"),
        ([0, 0.5], [0, 1], None, ValueError, r"y_true\[1\] is 0.5"),
        ([np.nan, 1], [0, 1], None, ValueError, r"y_true\[0\] is nan"),
        ([0, 1], [0, np.nan], None, ValueError, r"margin\[1\] is nan"),
        ([0, 1], [-np.inf, 1], None, ValueError, r"margin\[0\] is -inf"),
        ([0, 1], [0, 1], [1, -2], ValueError, r"sample_weight\[1\] is -2"),
        ([0, 1], [0, 1], [np.nan, 1], ValueError, r"sample_weight\[0\] is nan"),
        ([0, 1], [0, 1], [np.inf, 1], ValueError, r"sample_weight\[0\] is inf"),
        ([0, 1], [0, 1], [0, 0], ValueError, "sample_weight is 0 in all 2 rows"),
        ([0, 1], [0, 1], [1, 1, 1], ValueError, r"sample_weight has shape \(3,\)"),
        ([0, 1, 1], [0, 1], None, ValueError, r"\(3,\) and margin \(2,\)"),
        ([[0, 1]], [0, 1], None, ValueError, r"\(1, 2\) and margin \(2,\)"),
        (0, 1, None, ValueError, r"y_true has shape \(\)"),
        ([[[0]]], [[[1]]], None, ValueError, r"y_true has shape \(1, 1, 1\)"),
        (["0", "1"], [0, 1], None, TypeError, "y_true is an array of <U1, for instance .*'0'"),
        ([0, 1], [1j, 0], None, TypeError, "margin is an array of complex128"),
        ([0, 1], ["a", "b"], None, TypeError, "margin is an array of <U1"),
        ([0, None], [0, 1], None, ValueError, r"y_true\[1\] is nan"),
        ([0, "x"], [0, 1], None, TypeError, "y_true is an array of"),
        ([0, 1], np.zeros(2, np.longdouble), None, TypeError, "margin is an array of .*128"),
    ],
)
def test_bad_arrays(loss, y, z, w, error, message):
    with pytest.raises(error, match=message):
        loss.value(y, z, w)
    with pytest.raises(error, match=message):
        loss.gradient_hessian(y, z, w)


def test_finite_in_float64_but_not_in_float32():
    with pytest.raises(ValueError, match="beyond the range of float32"):
        FocalLoss().value([0, 1], np.zeros(2, np.float32), [1e39, 1.0])


def test_bad_row_in_any_block_is_found(loss):
    for row in (0, 511, 512, 1200, 1499):
        y, z, w = sample(1500, np.float32)
        z[row] = np.nan
        with pytest.raises(ValueError, match=rf"margin\[{row}\] is nan"):
            loss.gradient_hessian(y, z, w)
        with pytest.raises(ValueError, match=rf"margin\[{row}\] is nan"):
            loss.posterior(z)


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (FocalLoss(-1), ValueError, "gamma=-1 "),
        (FocalLoss(np.nan), ValueError, "gamma=nan"),
        (FocalLoss(np.inf), ValueError, "gamma=inf"),
        (FocalLoss("2"), TypeError, "gamma='2'"),
        (FocalLoss(None), TypeError, "gamma=None"),
        (FocalLoss(True), TypeError, "gamma=True"),
        (FocalLoss(alpha=0), ValueError, "alpha=0 "),
        (FocalLoss(alpha=1.0), ValueError, "alpha=1.0 "),
        (FocalLoss(alpha=-0.2), ValueError, "alpha=-0.2 "),
        (FocalLoss(alpha=(0.5, 1.5)), ValueError, "alpha=1.5 "),
        (FocalLoss(alpha=(0.5, 0.5)), ValueError, "alpha has 2 numbers, but there are 1"),
        (FocalLoss(alpha="balanced"), ValueError, "resolve"),
        (AsymmetricLoss(gamma_pos=-0.1), ValueError, "gamma_pos=-0.1"),
        (AsymmetricLoss(gamma_neg=-3), ValueError, "gamma_neg=-3"),
        (AsymmetricLoss(clip=1), ValueError, "clip=1 "),
        (AsymmetricLoss(clip=-0.05), ValueError, "clip=-0.05"),
        (AsymmetricLoss(clip=1e-40), ValueError, "clip=1e-40"),
        (PowerCrossEntropy(0), ValueError, "power=0 "),
        (PowerCrossEntropy(-2), ValueError, "power=-2 "),
    ],
)
def test_bad_parameters(loss, error, message):
    with pytest.raises(error, match=message):
        loss.value([0, 1], [0.0, 1.0])
    with pytest.raises(error, match=message):
        loss.posterior([0.0, 1.0])


def test_bad_words():
    with pytest.raises(ValueError, match="alpha='heavy'"):
        FocalLoss(alpha="heavy").resolve([0, 1])
    with pytest.raises(ValueError, match=r"beta=1\.5"):
        FocalLoss(alpha="effective", beta=1.5).resolve([0, 1])
    with pytest.raises(ValueError, match="hessian='newton'"):
        FocalLoss().gradient_hessian([0, 1], [0.0, 1.0], hessian="newton")
    with pytest.raises(ValueError, match="max_step=0 "):
        FocalLoss().gradient_hessian([0, 1], [0.0, 1.0], max_step=0)
