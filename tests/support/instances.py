"""The losses that tests run over."""

import numpy as np
from scipy.special import expit

from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalLoss, Loss, PowerCrossEntropy

# What is true of every loss is tested on these.
LOSS_INSTANCES = [
    FocalLoss(0),
    FocalLoss(2),
    FocalLoss(0.5, alpha=0.8),
    FocalLoss(5),
    AsymmetricLoss(),
    AsymmetricLoss(1, 0.5, 0.2, alpha=0.3),
    AsymmetricLoss(0.5, 2.5, 0.01),
    AsymmetricLoss(2, 1, 0),
    BalancedCrossEntropy(0.7),
    BalancedCrossEntropy(None),
    PowerCrossEntropy(0.5),
    PowerCrossEntropy(3, alpha=0.6),
]

# What is true of every training is tested with these.
TRAINED = [FocalLoss(2), AsymmetricLoss(), BalancedCrossEntropy(), PowerCrossEntropy(2), FocalLoss(0.5, "effective")]


class NumpyFocalLoss(Loss):
    """The focal loss as a user would write it."""

    def __init__(self, gamma=2.0, alpha=None):
        self.gamma = gamma
        self.alpha = alpha

    def partial_values(self, margin):
        p, q = expit(margin), expit(-margin)
        return q**self.gamma * np.logaddexp(0, -margin), p**self.gamma * np.logaddexp(0, margin)

    def partial_gradients(self, margin):
        p, q, g = expit(margin), expit(-margin), self.gamma
        n, m = np.logaddexp(0, -margin), np.logaddexp(0, margin)
        return -(q**g) * (g * p * n + q), p**g * (g * q * m + p)

    def partial_hessians(self, margin):
        p, q, g = expit(margin), expit(-margin), self.gamma
        n, m = np.logaddexp(0, -margin), np.logaddexp(0, margin)
        return (
            q**g * p * ((1 + 2 * g) * q + g * n * (g * p - q)),
            p**g * q * ((1 + 2 * g) * p + g * m * (g * q - p)),
        )


def without_skill(loss, y, sample_weight=None):
    """Mean of a loss, whose alpha is a number, where every margin is the intercept: two labels, (n,)."""
    at, rate = np.full(2, loss.intercept(y, sample_weight)), np.average(y, weights=sample_weight)
    return loss.value([1, 0], at) @ [rate, 1 - rate]
