"""One program, run twice: by an engine with its own logistic loss, and by ours at gamma = 0 and no longest step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit, softmax

from gbm_focal import FocalLoss

TOLERANCE = 1e-5  # of margins, absolute
SAME_LOSS = {"loss": FocalLoss(0), "max_step": None, "pseudo_count": 0}


class Case(NamedTuple):
    """A path through an engine.

    `run` takes a side, the engine's own or ours, and returns the arrays that both must have in common; the first are
    margins. `refused` are words of our error where we do not go that way, and `differs` says how a known difference
    looks: such a case fails as long as there is the difference.
    """

    path: str
    run: Callable[[Any], list[np.ndarray]]
    refused: str | None = None
    differs: str | None = None

    @property
    def outcome(self):
        """What the table says."""
        if self.refused:
            return f'refused: "{self.refused}"'
        return f"differs: {self.differs}" if self.differs else "agrees"


# No two rows have the same features or weights, so no two splits have the same gain, whose order would be a matter of
# rounding.
def binary(n=1500, seed=0):
    """Features, labels, of which a third are 1, and weights."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 5))
    eta = expit(-1.5 + 1.2 * X[:, 0] + 0.8 * np.abs(X[:, 1]) + X[:, 2] * X[:, 3])
    return X, (random.random(n) < eta).astype(np.float32), random.uniform(0.5, 2, n).astype(np.float32)


def three_classes(n=1500, seed=0):
    """Features, classes and weights."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 5))
    eta = softmax(np.column_stack([0.5 + 0 * X[:, 0], X[:, 0] + X[:, 1] * X[:, 2], X[:, 3] - X[:, 0] - 0.5]), axis=1)
    y = (random.random((n, 1)) > eta.cumsum(axis=1)).sum(axis=1)
    return X, y.astype(np.float32), random.uniform(0.5, 2, n).astype(np.float32)


def two_labels(n=1500, seed=0):
    """Features, two labels a row, and weights."""
    X, y, w = binary(n, seed)
    other = X[:, 4] - X[:, 1] + np.random.default_rng(seed).normal(size=n) > 0.5
    return X, np.column_stack([y, other]).astype(np.float32), w


def with_gaps(n=1500, seed=0):
    """Two classes, and a tenth of the features missing."""
    X, y, w = binary(n, seed)
    return np.where(np.random.default_rng(seed + 100).random(X.shape) < 0.1, np.nan, X), y, w


def with_categories(n=1500, seed=0):
    """Two classes, and a data frame with a column of 12 categories that matter."""
    import pandas as pd

    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 4))
    kind = random.integers(0, 12, n)
    effect = np.random.default_rng(1).normal(size=12)
    y = random.random(n) < expit(X[:, 0] + 1.5 * effect[kind] - 1)
    frame = pd.DataFrame(X, columns=list("abcd"))
    frame["kind"] = pd.Categorical.from_codes(kind, [f"k{code}" for code in range(12)])
    return frame, y.astype(np.float32), random.uniform(0.5, 2, n).astype(np.float32)


def start_of(y):
    """Margins to start at, another in each row."""
    return np.linspace(-2, 1, y.size)
