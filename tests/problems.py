"""Small simulated problems for the tests of the engines."""

import subprocess
import sys

import numpy as np
from scipy.special import expit


def rare_positives(n=4000, seed=0, base=-4.0):
    """Features, labels, sample weights and the true probabilities; about 4 % positives."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6))
    eta = expit(base + 1.5 * X[:, 0] + np.abs(X[:, 1]) + X[:, 2] * X[:, 3])
    y = (rng.random(n) < eta).astype(np.float32)
    return X, y, rng.uniform(0.5, 2, n), eta


def run_in_new_process(code, *arguments):
    """Standard output of a Python program that shares nothing with this process."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout
