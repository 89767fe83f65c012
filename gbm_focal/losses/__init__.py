"""The losses: what each one is, its parameters, its posterior and its intercept.

Notation, as in the papers: *z* is the margin (raw score), p = sigmoid(z), q = 1 - p, n = -log p, m = -log q.
A loss has a partial loss for each label, l1(z) for y = 1 and l0(z) for y = 0; primes are derivatives with
respect to z. ``alpha`` weighs l1, and ``1 - alpha`` weighs l0; with ``alpha=None`` both count once.

Shapes say what is learned. Labels (n,) of 0 and 1 with margins (n,): two classes. Labels (n, L) of 0 and 1 with
margins (n, L): L labels for each row. Labels (n,) of 0 to K - 1 with margins (n, K): K classes, of which each row
has one.
"""

from .base import Alpha, Hessian, Loss, is_symmetric, require_loss
from .class_totals import KINDS, ClassTotals, Kind
from .families import AsymmetricLoss, BalancedCrossEntropy, FocalLoss, KernelLoss, PowerCrossEntropy

__all__ = [
    "KINDS",
    "Alpha",
    "AsymmetricLoss",
    "BalancedCrossEntropy",
    "ClassTotals",
    "FocalLoss",
    "Hessian",
    "KernelLoss",
    "Kind",
    "Loss",
    "PowerCrossEntropy",
    "is_symmetric",
    "require_loss",
]
