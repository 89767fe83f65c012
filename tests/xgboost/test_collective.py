"""XGBoost's own group of processes, as Ray starts it."""

import json
import textwrap

import numpy as np
import pytest
from problems import rare_positives
from programs import run_program

from gbm_focal import FocalLoss

xgb = pytest.importorskip("xgboost")
engine = pytest.importorskip("gbm_focal.xgboost")

COLLECTIVE = """
    import json, multiprocessing, sys
    import numpy as np, xgboost as xgb
    from xgboost import collective
    from xgboost.tracker import RabitTracker
    from gbm_focal import FocalLoss
    from gbm_focal.xgboost import Metric, predict_proba, train

    def train_function(rank, arguments, folder):
        data = np.load(f"{folder}/data.npz")
        rows = data["part"] == rank
        found = []
        with collective.CommunicatorContext(**arguments):
            dtrain = xgb.DMatrix(data["X"][rows], data["y"][rows], nthread=1)
            params = {"max_depth": 4, "nthread": 1}
            for metric in (None, "average_precision"):
                loss, history = FocalLoss(2, "balanced"), {}
                evaluation = dict(evals=[(dtrain, "train")], evals_result=history, verbose_eval=False)
                booster = train(params, dtrain, 6, loss=loss, custom_metric=Metric(loss, metric), **evaluation)
                found += history["train"].values()
        with open(f"{folder}/history-{rank}.json", "w") as file:
            json.dump(found, file)
        booster.save_model(f"{folder}/model-{rank}.json")

    if __name__ == "__main__":
        tracker = RabitTracker(n_workers=2, host_ip="127.0.0.1")
        tracker.start()
        arguments = [(rank, tracker.worker_args(), sys.argv[1]) for rank in range(2)]
        context = multiprocessing.get_context("spawn")
        workers = [context.Process(target=train_function, args=each) for each in arguments]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        sys.exit(max(worker.exitcode for worker in workers))
"""


def test_train_in_xgboosts_collective_is_about_all_rows(tmp_path):
    X, y, _, _ = rare_positives(3000)
    X = np.round(X, 1)
    np.savez(tmp_path / "data.npz", X=X, y=y, part=(y == 1).astype(int))  # all positives in one process
    program = tmp_path / "collective.py"
    program.write_text(textwrap.dedent(COLLECTIVE))
    run_program(program, tmp_path)
    dtrain, history = xgb.DMatrix(X, y), {}
    loss = FocalLoss(2, "balanced")
    expected = []
    for metric in (None, "average_precision"):
        evaluation = {"evals": [(dtrain, "train")], "evals_result": history, "verbose_eval": False}
        params = {"max_depth": 4, "nthread": 1}
        booster = engine.train(params, dtrain, 6, loss=loss, custom_metric=engine.Metric(loss, metric), **evaluation)
        expected += history["train"].values()
    for rank in range(2):
        found = json.loads((tmp_path / f"history-{rank}.json").read_text())
        np.testing.assert_allclose(found, expected, rtol=1e-4)
        model = xgb.Booster(model_file=tmp_path / f"model-{rank}.json")
        np.testing.assert_allclose(engine.predict_proba(model, X), engine.predict_proba(booster, X), atol=1e-5)
