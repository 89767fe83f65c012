"""What all tests share: the losses, and settings of hypothesis."""

import os

import pytest
from hypothesis import settings

from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalLoss, PowerCrossEntropy

settings.register_profile("default", deadline=None, derandomize=True, max_examples=100)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

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


@pytest.fixture(params=LOSS_INSTANCES, ids=repr)
def loss(request):
    return request.param
