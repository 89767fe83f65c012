"""A worker that dies."""

import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("xgboost")
pytest.importorskip("lightgbm")
pytest.importorskip("distributed")

DIES = """
    import os, signal, sys
    import dask.array as da, lightgbm as lgb, numpy as np, xgboost as xgb
    from distributed import Client, LocalCluster
    from xgboost.dask import DaskDMatrix
    from gbm_focal import FocalLoss
    from gbm_focal.dask import DaskFocalClassifier, xgboost_train

    def dies_once(name):
        try:
            os.close(os.open(os.path.join(sys.argv[1], name), os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

    class DiesInXGBoost(xgb.callback.TrainingCallback):
        def after_iteration(self, model, epoch, evals_log):
            if epoch == 3 and xgb.collective.get_rank() == 1:
                dies_once("xgboost")

    def dies_in_lightgbm(env):
        if env.iteration == 3:
            dies_once("lightgbm")

    def failing(name, train):
        try:
            train()
        except Exception as error:
            print(name, "error:", type(error).__module__.partition(".")[0])

    def main():
        random = np.random.default_rng(0)
        X = random.normal(size=(4000, 4))
        y = (X[:, 0] + random.normal(size=4000) > 2).astype(np.float32)
        dX, dy = da.from_array(X, chunks=(500, -1)), da.from_array(y, chunks=500)
        settings = dict(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0")
        keep = xgb.callback.TrainingCheckPoint(directory=sys.argv[1], interval=1, name="kept")
        with LocalCluster(**settings) as cluster, Client(cluster) as client:
            def train(rounds, *callbacks, **arguments):
                matrix = DaskDMatrix(client, dX, dy)
                arguments.update(loss=FocalLoss(2), callbacks=callbacks)
                return xgboost_train(client, dict(max_depth=3), matrix, rounds, **arguments)["booster"]

            failing("XGBoost", lambda: train(10, keep, DiesInXGBoost()))
            client.wait_for_workers(2)
            kept = xgb.Booster(model_file=os.path.join(sys.argv[1], "kept_2.ubj"))
            booster = train(7, xgb_model=kept)
            print("rounds:", booster.num_boosted_rounds(), booster.attr("gbm_focal") is not None)

            estimator = lgb.DaskLGBMClassifier(n_estimators=10, verbosity=-1)
            classifier = DaskFocalClassifier(estimator, FocalLoss(2), client=client)
            failing("LightGBM", lambda: classifier.fit(dX, dy, callbacks=[dies_in_lightgbm]))
            client.restart()  # LightGBM's connections of the worker that is left are broken
            print("trees:", classifier.fit(dX, dy).estimator_.booster_.num_trees())

    if __name__ == "__main__":
        main()
"""


@pytest.mark.slow
def test_a_killed_worker_is_the_engines_error_and_training_can_be_repeated(tmp_path):
    program = tmp_path / "dies.py"
    program.write_text(textwrap.dedent(DIES))
    command = [sys.executable, str(program), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    for line in ("XGBoost error: xgboost", "rounds: 10 True", "LightGBM error: lightgbm", "trees: 10"):
        assert line in done.stdout.splitlines(), done.stdout + done.stderr[-3000:]
