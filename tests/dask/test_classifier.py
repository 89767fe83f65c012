"""DaskFocalClassifier on a cluster of two processes, whose partitions are as unlike as they can be."""

import pickle

import numpy as np
import pytest
from clusters import WARNINGS_OF_OTHERS, Skewed, both_engines, estimators, on_workers
from lightgbm_data import estimators_ask_for_names
from problems import classes_problem, rare_positives
from sklearn.base import clone
from sklearn.metrics import average_precision_score

from gbm_focal import AsymmetricLoss, FocalClassifier, FocalLoss

xgb = pytest.importorskip("xgboost")
lgb = pytest.importorskip("lightgbm")
pd = pytest.importorskip("pandas")
dask = pytest.importorskip("dask")
pytest.importorskip("distributed")

import dask.array as da  # noqa: E402
import dask.dataframe as dd  # noqa: E402
import xgboost.dask as dxgb  # noqa: E402

import gbm_focal.xgboost as engine  # noqa: E402
from gbm_focal.dask import DaskFocalClassifier, xgboost_train  # noqa: E402

pytestmark = WARNINGS_OF_OTHERS

PARAMS = {"max_depth": 4, "eta": 0.3, "tree_method": "hist", "nthread": 1}


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


@estimators_ask_for_names
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
    with pytest.raises(ValueError, match="eval_class_weight is not possible on Dask: give eval_sample_weight"):
        model.fit(skewed.dX, skewed.dy, eval_set=[(valid.dX, valid.dy)], eval_class_weight=[{0: 1, 1: 2}])
    with pytest.raises(ValueError, match=r"needs rows to stop on: give fit\(.*eval_set="):
        model.fit(skewed.dX, skewed.dy)
    stopping = estimators(early_stopping_round=2)["lightgbm"][0]
    with pytest.raises(ValueError, match="early_stopping_round=2 is not possible with LightGBM on Dask"):
        DaskFocalClassifier(stopping, client=client).fit(skewed.dX, skewed.dy)
    with pytest.raises(ValueError, match="eval_set is not possible with LightGBM on Dask"):
        DaskFocalClassifier(estimators()["lightgbm"][0], client=client).fit(
            skewed.dX, skewed.dy, eval_set=[(valid.dX, valid.dy)]
        )


@pytest.mark.parametrize("name", ["xgboost", "lightgbm"])
def test_leaves_of_few_positives_are_shrunk_by_the_rate_of_all_workers(client, skewed, name):
    estimator = estimators()[name][0]
    model = DaskFocalClassifier(estimator, pseudo_count=3, client=client).fit(skewed.dX, skewed.dy)
    added = 3 * (1 - 2 * skewed.y.mean()) ** 2
    assert model.estimator_.get_params()["reg_lambda"] == pytest.approx(added + (name == "xgboost"))
    assert model.to_local().pseudo_count == 3


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
