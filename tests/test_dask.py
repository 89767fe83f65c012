"""Training on a cluster of two processes, whose partitions are as unlike as they can be."""

import json
import pickle
import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from problems import rare_positives
from scipy.special import expit
from sklearn.base import clone
from sklearn.metrics import average_precision_score
from test_multiclass import classes_problem

from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalClassifier, FocalLoss, LinearSchedule

xgb = pytest.importorskip("xgboost")
lgb = pytest.importorskip("lightgbm")
pd = pytest.importorskip("pandas")
dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
psutil = pytest.importorskip("psutil")  # which distributed needs as well

import dask.array as da  # noqa: E402
import dask.dataframe as dd  # noqa: E402
import xgboost.dask as dxgb  # noqa: E402

import gbm_focal.xgboost as engine  # noqa: E402
from gbm_focal.dask import DaskFocalClassifier, xgboost_predict_proba, xgboost_train  # noqa: E402

pytestmark = [
    # LightGBM says that it takes the workers' number of threads, where the estimator has one of its own.
    pytest.mark.filterwarnings("ignore:Parameter n_jobs will be ignored:UserWarning"),
    # Older versions of Dask warn of what a test does on purpose.
    pytest.mark.filterwarnings("ignore:Running on a single-machine scheduler when a distributed client:UserWarning"),
]

PARAMS = {"max_depth": 4, "eta": 0.3, "tree_method": "hist", "nthread": 1}
MATRICES = {dxgb.DaskDMatrix: xgb.DMatrix, dxgb.DaskQuantileDMatrix: xgb.QuantileDMatrix}


@pytest.fixture(scope="module")
def client():
    before = set(psutil.Process().children(recursive=True))
    settings = {"distributed.scheduler.work-stealing": False}  # parts stay where the tests put them
    with (
        dask.config.set(settings),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client
    # What is left is a resource tracker of Python's own, which lives as long as this process.
    left = set(psutil.Process().children(recursive=True)) - before
    left = {process for process in left if "resource_tracker" not in " ".join(process.cmdline())}
    _, alive = psutil.wait_procs(left, timeout=20)
    assert [process.cmdline() for process in alive] == []


def on_workers(client, parts):
    """A Dask array of parts, each with the number of the worker that gets it."""
    addresses = sorted(client.scheduler_info()["workers"])
    futures = [client.submit(np.array, part, workers=[addresses[worker]], pure=False) for worker, part in parts]
    distributed.wait(futures)
    first = parts[0][1]
    name = f"placed-{futures[0].key}"
    rest = (0,) * (first.ndim - 1)
    graph = {(name, number, *rest): future for number, future in enumerate(futures)}
    chunks = (tuple(len(part) for _, part in parts), *((size,) for size in first.shape[1:]))
    return da.Array(graph, name, chunks, dtype=first.dtype)


class Skewed:
    """All positives on one worker, all negatives on the other, in parts of unlike sizes.

    The features have few distinct values, so that XGBoost's histograms have a bin for each, and those of workers,
    merged, are those of one machine. Of other features each worker makes a sketch, and cuts differ, as they do for
    XGBoost's own objectives.
    """

    def __init__(self, client, n=6000, seed=0):
        X, y, w, _ = rare_positives(n, seed)
        order = np.argsort(-y, kind="stable")
        self.X, self.y, self.w = np.round(X, 1)[order], y[order], w[order]
        positives = int(y.sum())
        self.cuts = [(0, 0, positives), (1, positives, positives + 700), (1, positives + 700, n)]
        self.client = client
        self.dX, self.dy, self.dw = map(self.placed, (self.X, self.y, self.w))

    def placed(self, array):
        return on_workers(self.client, [(worker, array[start:end]) for worker, start, end in self.cuts])

    def matrix(self, kind=dxgb.DaskDMatrix, weighted=True):
        matrix = kind(self.client, self.dX, self.dy, weight=self.dw if weighted else None)
        assert sorted(len(parts) for parts in matrix.worker_map.values()) == [1, 2]
        return matrix

    def local(self, kind=xgb.DMatrix, weighted=True):
        return kind(self.X, label=self.y, weight=self.w if weighted else None)


@pytest.fixture(scope="module")
def skewed(client):
    return Skewed(client)


def estimators(**parameters):
    shared = {"n_estimators": 15, "max_depth": 4, **parameters}
    return {
        "xgboost": (dxgb.DaskXGBClassifier(**shared), xgb.XGBClassifier(n_jobs=1, **shared)),
        "lightgbm": (
            lgb.DaskLGBMClassifier(verbosity=-1, **shared),
            lgb.LGBMClassifier(n_jobs=1, verbosity=-1, **shared),
        ),
    }


both_engines = pytest.mark.parametrize("name", ["xgboost", "lightgbm"])


def base_score_of(booster):
    score = re.search(r'"base_score":"\[?([-+.0-9eE]+)', booster.save_config()).group(1)
    return float(score)


# ---- XGBoost's functions ----


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


@both_engines
def test_a_worker_whose_rows_all_have_no_weight(client, skewed, name):
    weight = np.where(skewed.y == 1, skewed.w, 0)
    weight[-3000:] = skewed.w[-3000:]  # of the three parts the second has no weight at all
    dw = skewed.placed(weight)
    estimator, local = estimators()[name]
    model = DaskFocalClassifier(estimator, FocalLoss(2, "balanced"), client=client).fit(skewed.dX, skewed.dy, dw)
    expected = FocalClassifier(local, FocalLoss(2, "balanced")).fit(skewed.X, skewed.y, weight)
    np.testing.assert_allclose(model.loss_.alpha, expected.loss_.alpha, rtol=1e-9)
    if name == "xgboost":
        matrix = dxgb.DaskDMatrix(client, skewed.dX, skewed.dy, weight=dw)
        booster = xgboost_train(client, {**PARAMS, "eta": 0.3}, matrix, 15, loss=FocalLoss(2, "balanced"))["booster"]
        link = engine.link_of(booster)
        np.testing.assert_allclose([link.loss.alpha, *link.shift], [model.loss_.alpha, *model.link_.shift], rtol=1e-4)


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


# ---- the classifier ----


@both_engines
@pytest.mark.parametrize("loss", [None, FocalLoss(2, "balanced"), AsymmetricLoss()], ids=repr)
def test_classifier_is_that_of_one_machine(client, skewed, name, loss):
    estimator, local = estimators()[name]
    before = estimator.get_params()
    model = DaskFocalClassifier(estimator, loss, client=client).fit(skewed.dX, skewed.dy, skewed.dw)
    assert estimator.get_params() == before
    expected = FocalClassifier(local, loss).fit(skewed.X, skewed.y, skewed.w)
    lazy = model.predict_proba(skewed.dX)
    assert isinstance(lazy, da.Array)
    assert lazy.chunks == (skewed.dX.chunks[0], (2,))
    found = lazy.compute()
    np.testing.assert_allclose(
        np.average(found[:, 1], weights=skewed.w), np.average(skewed.y, weights=skewed.w), rtol=1e-5
    )
    scores = [average_precision_score(skewed.y, p[:, 1]) for p in (found, expected.predict_proba(skewed.X))]
    assert abs(scores[0] - scores[1]) < 0.01
    assert scores[0] > 0.3
    if name == "xgboost":
        np.testing.assert_allclose(found, expected.predict_proba(skewed.X), atol=1e-5)
    if model.loss_.alpha is not None:
        np.testing.assert_allclose(model.loss_.alpha, expected.loss_.alpha, rtol=1e-9)
    np.testing.assert_array_equal(model.predict(skewed.dX).compute(), model.decision_function(skewed.dX).compute() > 0)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(skewed.dX).compute()), found, rtol=1e-5)
    assert model.n_features_in_ == 6
    assert model.feature_importances_.shape == (6,)


def test_intercept_and_scale_of_lightgbm_are_global(client, skewed):
    loss = FocalLoss(2)
    started = DaskFocalClassifier(estimators(n_estimators=1, learning_rate=1e-12)["lightgbm"][0], loss, client=client)
    started.fit(skewed.dX, skewed.dy, skewed.dw)
    margin = started.to_local().estimator_.predict(skewed.X, raw_score=True)
    np.testing.assert_allclose(margin, loss.intercept(skewed.y, skewed.w), rtol=1e-6)
    # One leaf, with a regularisation of the size of the Hessians' sum, moves by what their scale says.
    settings = {"n_estimators": 1, "learning_rate": 1.0, "max_depth": 1, "reg_lambda": 500.0}
    estimator, local = estimators(**settings)["lightgbm"]
    model = DaskFocalClassifier(estimator, loss, client=client).fit(skewed.dX, skewed.dy, skewed.dw)
    expected = FocalClassifier(local, loss).fit(skewed.X, skewed.y, skewed.w)
    found, wanted = (m.estimator_.predict(skewed.X, raw_score=True) for m in (model.to_local(), expected))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert np.ptp(found) > 0.1


@both_engines
def test_classes_of_which_each_worker_has_some(client, name):
    X, y = classes_problem(4000)[:2]
    X, order = np.round(X, 1), np.argsort(y, kind="stable")
    X, y = X[order], y[order]
    words = np.array(["ant", "bee", "cow", "dog", "elk"])[y.astype(int)]
    cut = int((y == 0).sum()) + 5
    parts = [(0, slice(0, cut)), (1, slice(cut, 4000))]
    dX, dy = (on_workers(client, [(worker, a[rows]) for worker, rows in parts]) for a in (X, words))
    estimator, local = estimators()[name]
    model = DaskFocalClassifier(estimator, FocalLoss(1, "balanced"), class_weight={"bee": 2.0}, client=client).fit(
        dX, dy
    )
    expected = FocalClassifier(local, FocalLoss(1, "balanced"), class_weight={"bee": 2.0}).fit(X, words)
    np.testing.assert_array_equal(model.classes_, expected.classes_)
    found, wanted = model.predict_proba(dX).compute(), expected.predict_proba(X)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(model.loss_.alpha, expected.loss_.alpha, rtol=1e-9)
    np.testing.assert_allclose(found.mean(axis=0), wanted.mean(axis=0), atol=2e-3)
    np.testing.assert_allclose(found, wanted, atol=1e-5 if name == "xgboost" else 0.2)
    predicted = model.predict(dX)
    assert predicted.dtype == words.dtype
    assert (predicted.compute() == words).mean() > 0.5


def test_labels_a_row(client):
    X, y, _, _ = rare_positives(3000)
    X = np.round(X, 1)
    labels = np.column_stack([y, X[:, 0] > 1]).astype(int)
    order = np.argsort(-y, kind="stable")
    X, labels = X[order], labels[order]
    dX, dy = (on_workers(client, [(0, a[:300]), (1, a[300:])]) for a in (X, labels))
    estimator, local = estimators()["xgboost"]
    model = DaskFocalClassifier(estimator, AsymmetricLoss(), client=client).fit(dX, dy)
    expected = FocalClassifier(local, AsymmetricLoss()).fit(X, labels)
    np.testing.assert_allclose(model.predict_proba(dX).compute(), expected.predict_proba(X), atol=1e-5)
    np.testing.assert_array_equal(model.predict(dX).compute(), expected.predict(X))
    with pytest.raises(ValueError, match="several labels a row are not possible with LightGBM on Dask"):
        DaskFocalClassifier(estimators()["lightgbm"][0], client=client).fit(dX, dy)


@both_engines
def test_data_frames_with_an_empty_part(client, name, tmp_path):
    X, y, w, _ = rare_positives(3000)
    table = pd.DataFrame(np.round(X, 1), columns=list("abcdef")).assign(
        kind=np.where(y == 1, "fraud", "fine"), weight=w, row=np.arange(3000)
    )
    frame = dd.from_pandas(table, npartitions=4)
    frame = frame[(frame["row"] < 750) | (frame["row"] >= 1500)]  # of the second part nothing is left
    kept = frame.compute()
    estimator, local = estimators()[name]
    features = list("abcdef")
    model = DaskFocalClassifier(estimator, FocalLoss(2), client=client)
    model.fit(frame[features], frame["kind"], frame["weight"])
    expected = FocalClassifier(local, FocalLoss(2)).fit(kept[features], kept["kind"], kept["weight"])
    assert list(model.feature_names_in_) == features
    found = model.predict_proba(frame[features]).compute()
    difference = np.abs(found - expected.predict_proba(kept[features]))
    assert difference.mean() < (1e-5 if name == "xgboost" else 0.02)  # LightGBM's workers share out the features' bins
    assert set(model.predict(frame[features]).compute()) == {"fine", "fraud"}
    # Away from the cluster: in memory, in a file, in a pickle.
    path = tmp_path / "model.zip"
    model.to_local().save_model(path)
    for copy in (model, model.to_local(), FocalClassifier.load_model(path), pickle.loads(pickle.dumps(model))):
        np.testing.assert_allclose(copy.predict_proba(kept[features]), found, atol=1e-6)
    with dask.config.set(scheduler="synchronous"):
        np.testing.assert_allclose(model.predict_proba(frame[features]).compute(), found, atol=1e-6)
    with pytest.raises(ValueError, match="feature names"):
        model.predict_proba(frame[features[::-1]]).compute(scheduler="synchronous")


def test_evaluation_sets_and_early_stopping(client, skewed):
    valid = Skewed(client, 3000, seed=1)
    estimator, local = estimators(n_estimators=200, early_stopping_rounds=4)["xgboost"]
    for metric in (None, "average_precision"):
        model = DaskFocalClassifier(estimator, FocalLoss(2, "balanced"), client=client)
        model.fit(skewed.dX, skewed.dy, eval_set=[(valid.dX, valid.dy)], eval_metric=metric)
        expected = FocalClassifier(local, FocalLoss(2, "balanced"))
        expected.fit(skewed.X, skewed.y, eval_set=[(valid.X, valid.y)], eval_metric=metric)
        assert model.best_iteration_ == expected.best_iteration_ < 190
        (found,), (wanted,) = (m.evals_result_["validation_0"].values() for m in (model, expected))
        np.testing.assert_allclose(found, wanted, rtol=1e-4)
        np.testing.assert_allclose(model.predict_proba(valid.dX).compute(), expected.predict_proba(valid.X), atol=1e-5)
    with pytest.raises(ValueError, match="eval_set is not possible with LightGBM on Dask"):
        DaskFocalClassifier(estimators()["lightgbm"][0], client=client).fit(
            skewed.dX, skewed.dy, eval_set=[(valid.dX, valid.dy)]
        )


def test_what_the_classifier_refuses(client, skewed):
    estimator = estimators()["xgboost"][0]
    model = DaskFocalClassifier(estimator, client=client)
    with pytest.raises(TypeError, match=r"use gbm_focal\.FocalClassifier for data in memory"):
        model.fit(skewed.X, skewed.y)
    with pytest.raises(TypeError, match=r"give it to gbm_focal\.dask\.DaskFocalClassifier"):
        FocalClassifier(lgb.DaskLGBMClassifier()).fit(skewed.X, skewed.y)
    with pytest.raises(TypeError, match="give a DaskXGBClassifier or a DaskLGBMClassifier"):
        DaskFocalClassifier(xgb.XGBClassifier(), client=client).fit(skewed.dX, skewed.dy)
    with pytest.raises(ValueError, match="X is in 3 parts and y in 1"):
        model.fit(skewed.dX, skewed.dy.rechunk(-1))
    with pytest.raises(ValueError, match="in chunks of whole rows"):
        model.fit(skewed.dX.rechunk({1: 2}), skewed.dy)
    with pytest.raises(ValueError, match="single class"):
        model.fit(skewed.dX, skewed.dy * 0)
    with pytest.raises(ValueError, match=r"sample_weight\[\d+\] is -1"):
        model.fit(skewed.dX, skewed.dy, skewed.dw * 0 - 1)
    with pytest.raises(ValueError, match="class_weight has the label 'yes'"):
        DaskFocalClassifier(estimator, class_weight={"yes": 2}, client=client).fit(skewed.dX, skewed.dy)
    with pytest.raises(ValueError, match="class_weight='effective' is not known"):
        DaskFocalClassifier(estimator, class_weight="effective", client=client).fit(skewed.dX, skewed.dy)


def test_clones_share_the_client(client):
    for estimator in (dxgb.DaskXGBClassifier(max_depth=2), lgb.DaskLGBMClassifier(max_depth=2, client=client)):
        model = DaskFocalClassifier(estimator, FocalLoss(gamma=1), client=client)
        copy = clone(model).set_params(loss__gamma=3, estimator__max_depth=5)
        assert copy.client is client
        assert copy.estimator.get_params()["max_depth"] == 5
        assert (model.loss.gamma, model.estimator.get_params()["max_depth"]) == (1, 2)


# ---- XGBoost's own group of processes, as Ray starts it ----

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
    command = [sys.executable, str(program), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
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


# ---- a worker that dies ----

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


def test_a_killed_worker_is_the_engines_error_and_training_can_be_repeated(tmp_path):
    program = tmp_path / "dies.py"
    program.write_text(textwrap.dedent(DIES))
    command = [sys.executable, str(program), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    for line in ("XGBoost error: xgboost", "rounds: 10 True", "LightGBM error: lightgbm", "trees: 10"):
        assert line in done.stdout.splitlines(), done.stdout + done.stderr[-3000:]
