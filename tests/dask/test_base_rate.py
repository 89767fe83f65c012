"""base_rate on a cluster: the population of a model whose training data lie in parts."""

import pickle

import numpy as np
import pytest
from clusters import WARNINGS_OF_OTHERS, both_engines, estimators

from gbm_focal import FocalClassifier, FocalLoss

xgb = pytest.importorskip("xgboost")
dask = pytest.importorskip("dask")
pytest.importorskip("distributed")

import dask.array as da  # noqa: E402

import gbm_focal.xgboost as engine  # noqa: E402
from gbm_focal.base_rates import adapt, estimate  # noqa: E402
from gbm_focal.dask import DaskFocalClassifier, xgboost_predict_proba, xgboost_train  # noqa: E402

pytestmark = WARNINGS_OF_OTHERS

PARAMS = {"max_depth": 4, "eta": 0.3, "tree_method": "hist", "nthread": 1}
LOSS = FocalLoss(2, "balanced")


def test_functions_are_those_of_one_machine(client, skewed, tmp_path):
    booster = xgboost_train(client, PARAMS, skewed.matrix(), 8, loss=LOSS, base_rate=0.002)["booster"]
    expected = engine.train(PARAMS, skewed.local(), 8, loss=LOSS, base_rate=0.002)
    links = [engine.link_of(one) for one in (booster, expected)]
    assert links[0].base_rate == links[1].base_rate == (0.002,)
    np.testing.assert_allclose(links[0].trained_base_rate, links[1].trained_base_rate, rtol=1e-9)
    assert links[0].alpha_follows_base_rate
    found = xgboost_predict_proba(client, booster, skewed.dX).compute()
    np.testing.assert_allclose(found, engine.predict_proba(expected, skewed.local()), atol=1e-6)
    elsewhere = xgboost_predict_proba(client, booster, skewed.dX, base_rate=0.1).compute()
    np.testing.assert_allclose(elsewhere, engine.predict_proba(expected, skewed.local(), base_rate=0.1), atol=1e-5)
    booster.save_model(tmp_path / "model.ubj")
    loaded = xgb.Booster(model_file=tmp_path / "model.ubj")
    np.testing.assert_allclose(engine.predict_proba(loaded, skewed.local()), found, atol=1e-7)
    with pytest.raises(ValueError, match="base_rate=0 is out of range"):
        xgboost_train(client, PARAMS, skewed.matrix(), 8, loss=LOSS, base_rate=0)


@both_engines
def test_classifier_keeps_it_away_from_the_cluster(client, skewed, name, tmp_path):
    estimator, local = estimators()[name]
    model = DaskFocalClassifier(estimator, LOSS, base_rate=0.002, client=client).fit(skewed.dX, skewed.dy, skewed.dw)
    one_machine = FocalClassifier(local, LOSS, base_rate=0.002).fit(skewed.X, skewed.y, skewed.w)
    assert model.base_rate_ == one_machine.base_rate_ == 0.002
    np.testing.assert_allclose(model.link_.trained_base_rate, one_machine.link_.trained_base_rate, rtol=1e-9)
    found, decided = (getattr(model, method)(skewed.dX).compute() for method in ("predict_proba", "predict"))
    path = tmp_path / "model.zip"
    model.to_local().save_model(path)
    assert model.to_local().base_rate == 0.002
    for again in (model.to_local(), FocalClassifier.load_model(path), pickle.loads(pickle.dumps(model))):
        assert again.base_rate_ == 0.002
        np.testing.assert_array_equal(again.predict_proba(skewed.X), found)
        np.testing.assert_array_equal(again.predict(skewed.X), decided)
    # Afterwards, lazily, and with the client.
    there = model.at_base_rate(0.1)
    assert (type(there), there.client, there.base_rate_) == (DaskFocalClassifier, client, 0.1)
    assert model.base_rate_ == 0.002
    lazy = there.predict_proba(skewed.dX)
    assert isinstance(lazy, da.Array)
    np.testing.assert_allclose(lazy.compute(), adapt(found, 0.002, 0.1), rtol=2e-6)
    np.testing.assert_array_equal(there.predict(skewed.dX).compute(), decided)
    adapted = adapt(model.predict_proba(skewed.dX), 0.002, 0.1)
    assert isinstance(adapted, da.Array)
    np.testing.assert_allclose(adapted.compute(), lazy.compute(), rtol=2e-6)
    rate = estimate(lazy, 0.1)
    assert rate == pytest.approx(estimate(lazy.compute(), 0.1), rel=1e-8)
    assert rate == pytest.approx(skewed.y.mean(), rel=0.3)
