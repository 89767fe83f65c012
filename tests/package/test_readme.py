"""The README's snippets run as they stand."""

import functools

import numpy as np
import pytest
from batches import Batches
from problems import rare_positives
from repository import README
from snippets import blocks_of

from gbm_focal import FocalClassifier, FocalLoss


@pytest.fixture
def dask_names():
    """Collections of a cluster inside this process, as a snippet about Dask finds them."""
    distributed = pytest.importorskip("distributed")
    import dask.array as da
    from xgboost.dask import DaskXGBClassifier

    X, y, _, _ = rare_positives()
    settings = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": ":0"}
    with distributed.LocalCluster(**settings) as cluster, distributed.Client(cluster):
        yield {
            "dask_X": da.from_array(X, chunks=(1000, -1)),
            "dask_y": da.from_array(y, chunks=1000),
            "DaskXGBClassifier": DaskXGBClassifier,
        }


@pytest.mark.parametrize("number", range(9))
def test_snippet(number, request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    xgb, lgb = pytest.importorskip("xgboost"), pytest.importorskip("lightgbm")
    snippets = [block.code for block in blocks_of(README) if block.language == "python"]
    assert len(snippets) == 9
    if "ExtMem" in snippets[number] and not hasattr(xgb, "ExtMemQuantileDMatrix"):
        pytest.skip("XGBoost has ExtMemQuantileDMatrix from 3.0 on")
    X, y, _, _ = rare_positives()
    names = {
        "dtrain": xgb.DMatrix(X, y),
        "dtest": xgb.DMatrix(X),
        "train_set": lgb.Dataset(X, y),
        "X_test": X,
        "xgboost": xgb,
        "batches": Batches(X, y, cache=tmp_path / "pages"),
        "X": X,
        "y": y.astype(int),
        # One thread: several wait for each other, for a minute where other programs are running.
        "XGBClassifier": functools.partial(xgb.XGBClassifier, n_jobs=1),
        "LGBMClassifier": functools.partial(lgb.LGBMClassifier, n_jobs=1),
        "FocalClassifier": FocalClassifier,
        "FocalLoss": FocalLoss,
    }
    if "threshold_at_precision" in snippets[number]:
        model = FocalClassifier(names["XGBClassifier"](max_depth=3)).fit(X, y)
        names.update(y_test=y, probability=model.predict_proba(X)[:, 1], amount=np.linspace(5, 500, y.size))
    if "dask" in snippets[number]:
        names.update(request.getfixturevalue("dask_names"))
    exec(snippets[number], names)
    if "alert" in names:
        assert y[names["probability"] >= names["threshold"]].mean() >= 0.3
        assert 0 < names["alert"].mean() < 0.9
    elif "adapted" in names:
        np.testing.assert_allclose([names["rate"], names["adapted"].mean()], y.mean(), rtol=0.1)
    elif "probability" in names:
        np.testing.assert_allclose(float(names["probability"].mean()), y.mean(), rtol=1e-3)
    elif "search" in names:
        assert names["search"].best_params_["loss__gamma"] in (0, 1, 2)
    else:
        assert names["booster"].num_boosted_rounds() == 100
