"""XGBoost's functions on a cluster of two processes, whose partitions are as unlike as they can be."""

import re

import numpy as np
import pytest
from clusters import WARNINGS_OF_OTHERS, Skewed, on_workers
from problems import classes_problem, rare_positives
from scipy.special import expit

from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalLoss, LinearSchedule

xgb = pytest.importorskip("xgboost")
pytest.importorskip("distributed")

import dask.array as da  # noqa: E402
import xgboost.dask as dxgb  # noqa: E402

import gbm_focal.xgboost as engine  # noqa: E402
from gbm_focal.dask import xgboost_predict_proba, xgboost_train  # noqa: E402

pytestmark = WARNINGS_OF_OTHERS

PARAMS = {"max_depth": 4, "eta": 0.3, "tree_method": "hist", "nthread": 1}
MATRICES = {dxgb.DaskDMatrix: xgb.DMatrix, dxgb.DaskQuantileDMatrix: xgb.QuantileDMatrix}


def base_score_of(booster):
    score = re.search(r'"base_score":"\[?([-+.0-9eE]+)', booster.save_config()).group(1)
    return float(score)


@pytest.mark.parametrize("kind", MATRICES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("loss", [FocalLoss(2, "balanced"), AsymmetricLoss(), FocalLoss(1, "effective")], ids=repr)
def test_xgboost_is_the_model_of_one_machine(client, skewed, loss, kind):
    matrix = skewed.matrix(kind)
    result = xgboost_train(client, PARAMS, matrix, 15, loss=loss, evals=[(matrix, "train")], verbose_eval=False)
    local, history = skewed.local(MATRICES[kind]), {}
    evaluation = {"evals": [(local, "train")], "evals_result": history, "verbose_eval": False}
    expected = engine.train(PARAMS, local, 15, loss=loss, **evaluation)
    found = xgboost_predict_proba(client, result, skewed.dX)
    assert isinstance(found, da.Array)
    assert found.shape == (6000, 2)
    found = found.compute()
    np.testing.assert_allclose(found, engine.predict_proba(expected, local), atol=1e-5)
    np.testing.assert_allclose(
        np.average(found[:, 1], weights=skewed.w), np.average(skewed.y, weights=skewed.w), rtol=1e-5
    )
    np.testing.assert_allclose(base_score_of(result["booster"]), base_score_of(expected), rtol=1e-6)
    np.testing.assert_allclose(engine.link_of(result["booster"]).shift, engine.link_of(expected).shift, atol=1e-5)
    (name,) = history["train"]
    np.testing.assert_allclose(result["history"]["train"][name], history["train"][name], rtol=1e-5)


def test_xgboost_booster_is_whole_after_saving(client, skewed, tmp_path):
    booster = xgboost_train(client, PARAMS, skewed.matrix(), 5, loss=FocalLoss(2))["booster"]
    booster.save_model(tmp_path / "model.json")
    loaded = xgb.Booster(model_file=tmp_path / "model.json")
    expected = xgboost_predict_proba(client, booster, skewed.dX).compute()
    np.testing.assert_allclose(engine.predict_proba(loaded, skewed.local()), expected, atol=1e-6)


def test_xgboost_continues_and_stops_early(client, skewed):
    valid = Skewed(client, 3000, seed=1)
    evals = [(dxgb.DaskDMatrix(client, valid.dX, valid.dy), "valid")]
    loss = FocalLoss(LinearSchedule(0, 2, 30), "balanced")
    stopping = {"early_stopping_rounds": 3, "verbose_eval": False}
    first = xgboost_train(client, PARAMS, skewed.matrix(), 5, loss=loss)["booster"]
    result = xgboost_train(client, PARAMS, skewed.matrix(), 60, loss=loss, xgb_model=first, evals=evals, **stopping)
    local = engine.train(PARAMS, skewed.local(), 5, loss=loss)
    local = engine.train(
        PARAMS,
        skewed.local(),
        60,
        loss=loss,
        xgb_model=local,
        evals=[(valid.local(weighted=False), "valid")],
        **stopping,
    )
    assert result["booster"].best_iteration == local.best_iteration < 60
    found = xgboost_predict_proba(client, result, skewed.matrix()).compute()
    np.testing.assert_allclose(found, engine.predict_proba(local, skewed.local()), atol=1e-4)


def test_xgboost_classes_and_labels(client):
    X, y = classes_problem(3000)[:2]
    X, order = np.round(X, 1), np.argsort(y, kind="stable")
    X, y = X[order], y[order]
    cut = int((y == 0).sum())  # one worker has the class 0, the other has all others
    dX = on_workers(client, [(0, X[:cut]), (1, X[cut:])])
    labels = np.column_stack([y == 0, y > 0, X[:, 0] > 1]).astype(np.float32)
    for target, params in ((y, {**PARAMS, "num_class": int(y.max()) + 1}), (labels, PARAMS)):
        target = target.astype(np.float32)
        dy = on_workers(client, [(0, target[:cut]), (1, target[cut:])])
        matrix = dxgb.DaskDMatrix(client, dX, dy)
        assert len(matrix.worker_map) == 2
        result = xgboost_train(client, params, matrix, 5, loss=FocalLoss(2, "balanced"))
        local = xgb.DMatrix(X, label=target)
        expected = engine.predict_proba(engine.train(params, local, 5, loss=FocalLoss(2, "balanced")), local)
        found = xgboost_predict_proba(client, result, dX)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found.compute(), expected, atol=1e-5)


@pytest.mark.parametrize("classes", [None, 3])
def test_a_worker_without_training_rows_changes_nothing(client, classes):
    X, y, _, _ = rare_positives(2000)
    X = np.round(X, 1)
    params = dict(PARAMS)
    if classes:
        y, params["num_class"] = np.where(y == 1, 2, X[:, 0] > 0).astype(np.float32), classes
    dX, dy = on_workers(client, [(0, X)]), on_workers(client, [(0, y)])
    eX, ey = on_workers(client, [(1, X[:500])]), on_workers(client, [(1, y[:500])])
    train, valid = dxgb.DaskDMatrix(client, dX, dy), dxgb.DaskDMatrix(client, eX, ey)
    assert set(train.worker_map) & set(valid.worker_map) == set()
    loss = FocalLoss(2, "balanced")
    result = xgboost_train(client, params, train, 8, loss=loss, evals=[(valid, "valid")], verbose_eval=False)
    local, history = xgb.DMatrix(X, label=y), {}
    evaluation = {"evals": [(xgb.DMatrix(X[:500], label=y[:500]), "valid")], "evals_result": history}
    booster = engine.train(params, local, 8, loss=loss, verbose_eval=False, **evaluation)
    found = xgboost_predict_proba(client, result, dX).compute()
    np.testing.assert_allclose(found, engine.predict_proba(booster, local), atol=1e-5)
    np.testing.assert_allclose(result["history"]["valid"]["focal_loss"], history["valid"]["focal_loss"], rtol=1e-4)


def test_objective_and_metrics_in_xgboosts_own_training(client, skewed):
    """Without `xgboost_train` too, alpha, scale and metric are those of all rows."""
    loss = BalancedCrossEntropy("balanced")
    params = {**PARAMS, "objective": "binary:logistic", "disable_default_eval_metric": True}
    params["base_score"] = float(expit(loss.intercept(skewed.y, skewed.w)))
    for metric in (None, "average_precision", "neg_log_loss"):
        matrix, local, history = skewed.matrix(), skewed.local(), {}
        arguments = {"custom_metric": engine.Metric(loss, metric), "verbose_eval": False}
        result = dxgb.train(
            client, params, matrix, 5, obj=engine.Objective(loss), evals=[(matrix, "train")], **arguments
        )
        evaluation = {"evals": [(local, "train")], "evals_result": history}
        booster = xgb.train(params, local, 5, obj=engine.Objective(loss), **evaluation, **arguments)
        np.testing.assert_allclose(result["booster"].predict(local), booster.predict(local), atol=1e-5)
        (name,) = history["train"]
        np.testing.assert_allclose(result["history"]["train"][name], history["train"][name], rtol=1e-5)


def test_what_xgboost_train_refuses(client, skewed):
    def train(matrix, loss=None, **arguments):
        params = {**PARAMS, **arguments.pop("params", {})}
        return xgboost_train(arguments.pop("client", client), params, matrix, loss=loss or FocalLoss(), **arguments)

    matrix = skewed.matrix(weighted=False)
    with pytest.raises(TypeError, match=r"give a distributed\.Client"):
        train(matrix, client=None)
    with pytest.raises(TypeError, match="without parts on workers"):
        train(skewed.local())
    with pytest.raises(ValueError, match="contradicts loss"):
        train(matrix, params={"objective": "reg:squarederror"})
    with pytest.raises(ValueError, match="trains nothing"):
        train(matrix, num_boost_round=0)
    with pytest.raises(ValueError, match="has no labels"):
        train(dxgb.DaskDMatrix(client, skewed.dX))
    with pytest.raises(ValueError, match="num_class=4"):
        train(dxgb.DaskDMatrix(client, skewed.dX, skewed.dy * 3))
    with pytest.raises(ValueError, match="holds a single class"):
        train(dxgb.DaskDMatrix(client, skewed.dX, skewed.dy * 0))
    with pytest.raises(ValueError, match=r"y_true\[\d+\] is nan"):
        train(dxgb.DaskDMatrix(client, skewed.dX, da.where(skewed.dy == 1, np.nan, skewed.dy)))
    with pytest.raises(ValueError, match=r"sample_weight\[\d+\] is -1"):
        train(dxgb.DaskDMatrix(client, skewed.dX, skewed.dy, weight=skewed.dw * 0 - 1))
    matrix.worker_map = {worker: [client.submit(list)] for worker in matrix.worker_map}
    with pytest.raises(TypeError, match="keeps its parts in another way"):
        train(matrix)
