"""Small simulated problems."""

import numpy as np
from scipy.special import expit, softmax


def rare_positives(n=4000, seed=0, base=-4.0):
    """Features, labels, sample weights and the true probabilities; about 4 % positives."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6))
    eta = expit(base + 1.5 * X[:, 0] + np.abs(X[:, 1]) + X[:, 2] * X[:, 3])
    y = (rng.random(n) < eta).astype(np.float32)
    return X, y, rng.uniform(0.5, 2, n), eta


def classes_problem(n=6000, seed=0):
    """Four classes with known probabilities; the last two are rare."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 6))
    scores = np.column_stack([1.5 + 0 * X[:, 0], X[:, 0] + X[:, 1] * X[:, 2], X[:, 3] * 2 - 2, X[:, 4] + X[:, 0] - 2.5])
    eta = softmax(scores, axis=1)
    y = (random.random((n, 1)) > eta.cumsum(axis=1)).sum(axis=1)
    return X, y, random.uniform(0.5, 2, n), eta


def labels_problem(n=3000, seed=0):
    """Three labels a row, of very different rates."""
    X, y, _, _ = rare_positives(n, seed)
    random = np.random.default_rng(seed)
    other = X[:, 0] - X[:, 4] + random.normal(size=n) > 0
    third = X[:, 1] + X[:, 5] + random.normal(size=n) > 2.5
    return X, np.column_stack([y, other, third]).astype(int)


PROBLEMS = {
    "binary": lambda: rare_positives()[:2],
    "classes": lambda: classes_problem(4000)[:2],
    "labels": labels_problem,
}


def sample(n=200, dtype=np.float64, columns=None):
    """Labels of both classes, margins and weights, without a model."""
    random = np.random.default_rng(0)
    shape = (n,) if columns is None else (n, columns)
    y = (random.random(shape) < 0.3).astype(dtype)
    y[0], y[1] = 0, 1
    return y, (3 * random.normal(size=shape)).astype(dtype), random.random(n).astype(dtype) + 0.1
