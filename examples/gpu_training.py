"""Focal loss on a GPU: XGBoost's histograms and our gradients on the same device.

    pip install ".[all,gpu]" && python examples/gpu_training.py

trains on a million simulated transactions, of which 0.5 % are fraud, on the host and on the GPU, in three ways: by
`gbm_focal.xgboost.train`, by XGBoost's own `train` with an `Objective`, and by `FocalClassifier`. `device` is all
that changes. Without a GPU, or without CuPy, it says so and shows the host alone. CuPy for CUDA 12 is
`pip install cupy-cuda12x`.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import xgboost
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.metrics import average_precision_score, log_loss

from gbm_focal import FocalClassifier, FocalLoss
from gbm_focal.kernels.cuda import usable_device
from gbm_focal.xgboost import Objective, predict_proba, train

ROUNDS = 100
LOSS = FocalLoss(gamma=2.0)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--device", default="cuda", help="as in XGBoost: cpu, cuda, cuda:1")
    options = parser.parse_args(argv)
    X, y = simulate(options.rows, seed=0)
    X_test, y_test = simulate(max(options.rows // 5, 1000), seed=1)
    devices = ["cpu"]
    if usable_device(options.device) is not None:  # it warns, if this asks for a GPU that cannot be used
        devices.append(options.device)
    print(f"{options.rows:,} transactions, {y.mean():.2%} fraud, {ROUNDS} rounds")
    print(f"{'device':<8}{'way':<28}{'seconds':>8}{'average precision':>19}{'log loss':>10}")
    for device in devices:
        for way in (with_train, with_objective, with_classifier):
            start = time.perf_counter()
            probability = way(X, y, X_test, device)
            seconds = time.perf_counter() - start
            precision, loss = average_precision_score(y_test, probability), log_loss(y_test, probability)
            print(f"{device:<8}{way.__name__:<28}{seconds:8.2f}{precision:19.4f}{loss:10.5f}", flush=True)


def with_train(X: NDArray, y: NDArray, X_test: NDArray, device: str) -> NDArray:
    """Gradients go from our kernel to XGBoost without leaving the device."""
    data = xgboost.QuantileDMatrix(X, y)
    booster = train({"device": device, "max_depth": 6}, data, ROUNDS, loss=LOSS)
    return predict_proba(booster, xgboost.DMatrix(X_test))[:, 1]


def with_objective(X: NDArray, y: NDArray, X_test: NDArray, device: str) -> NDArray:
    """XGBoost's own `train`: the objective is told the device, and training starts at the loss's intercept."""
    data = xgboost.QuantileDMatrix(X, y)
    start = float(expit(LOSS.intercept(y)))
    params = {"device": device, "max_depth": 6, "objective": "binary:logistic", "base_score": start}
    booster = xgboost.train(params, data, ROUNDS, obj=Objective(LOSS, device=device))
    return predict_proba(booster, xgboost.DMatrix(X_test), loss=LOSS)[:, 1]


def with_classifier(X: NDArray, y: NDArray, X_test: NDArray, device: str) -> NDArray:
    """Fit a classifier, whose estimator says the device."""
    classifier = FocalClassifier(xgboost.XGBClassifier(n_estimators=ROUNDS, max_depth=6, device=device), LOSS)
    return classifier.fit(X, y).predict_proba(X_test)[:, 1]


def simulate(rows: int, seed: int) -> tuple[NDArray, NDArray]:
    """Twenty standardised features of transactions, and whether each is fraud."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, 20)).astype(np.float32)
    signal = X[:, 0] + X[:, 1] * X[:, 2] + np.sin(2 * X[:, 3]) + (X[:, 4] > 1.5)
    return X, (random.random(rows) < expit(-7.6 + 1.3 * signal)).astype(np.float32)


if __name__ == "__main__":
    main()
