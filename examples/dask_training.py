"""Training on a Dask cluster: XGBoost and LightGBM on partitions that each hold a kind of rows of their own.

    python examples/dask_training.py

starts two worker processes on this machine; on a cluster of yours, give --scheduler its address. All positives lie in
one partition, and yet class weights, intercept and calibration are those of all rows. About half a minute.
Needs: pip install "gbm_focal[all,dask]"
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster
from lightgbm import DaskLGBMClassifier
from sklearn.metrics import average_precision_score
from xgboost.dask import DaskDMatrix, DaskXGBClassifier

from gbm_focal import FocalLoss
from gbm_focal.dask import DaskFocalClassifier, xgboost_predict_proba, xgboost_train


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--scheduler", help="address of a cluster, such as tcp://10.0.0.1:8786")
    options = parser.parse_args(argv)
    random = np.random.default_rng(0)
    features, label = simulate(options.rows, random)
    features_test, label_test = simulate(50_000, random)
    order = np.argsort(-label, kind="stable")  # as if someone had sorted the table
    with ExitStack() as stack:
        if options.scheduler is None:
            settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
            cluster = stack.enter_context(LocalCluster(**settings))
        client = stack.enter_context(Client(options.scheduler or cluster))
        part = -(-options.rows // 8)
        X = client.persist(da.from_array(features[order], chunks=(part, -1)))
        y = client.persist(da.from_array(label[order], chunks=part))
        X_test = da.from_array(features_test, chunks=(10_000, -1))

        def report(name: str, predict: Callable[[da.Array], da.Array]) -> None:
            mean = predict(X)[:, 1].mean().compute()  # nothing was computed before
            precision = average_precision_score(label_test, predict(X_test)[:, 1].compute())
            print(f"{name:20} mean probability {mean:.5f} of {label.mean():.5f}, average precision {precision:.3f}")

        loss = FocalLoss(gamma=2.0, alpha="balanced")
        dtrain = DaskDMatrix(client, X, y)
        result = xgboost_train(
            client, {"max_depth": 4}, dtrain, 30, loss=loss, evals=[(dtrain, "train")], verbose_eval=False
        )
        report("xgboost_train", lambda data: xgboost_predict_proba(client, result, data))
        print(f"loss after the first and the last round: {' '.join(map('{:.5f}'.format, history(result)))}")

        for estimator in (
            DaskXGBClassifier(n_estimators=30, max_depth=4),
            DaskLGBMClassifier(n_estimators=30, verbosity=-1),
        ):
            classifier = DaskFocalClassifier(estimator, loss, client=client).fit(X, y)
            report(type(estimator).__name__, classifier.predict_proba)
        local = classifier.to_local()  # without Dask: save_model, SHAP, or prediction elsewhere
        print(f"on this machine: {local.predict_proba(features[:2])[:, 1]}")


def simulate(rows: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Ten features, of which three matter, and labels of which about 1.3 % are positive."""
    X = random.normal(size=(rows, 10)).astype(np.float32)
    return X, (X[:, 0] + X[:, 1] * X[:, 2] + random.normal(size=rows) > 4).astype(np.float32)


def history(result: dict) -> tuple[float, float]:
    (losses,) = result["history"]["train"].values()
    return losses[0], losses[-1]


if __name__ == "__main__":
    main()
