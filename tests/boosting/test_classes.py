"""Several classes, in both engines."""

import numpy as np
import pytest
from problems import classes_problem
from programs import run_where_nothing_is_known
from sklearn.metrics import log_loss

from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalLoss


def xgboost_model(loss, X, y, w=None, **kwargs):
    xgb = pytest.importorskip("xgboost")
    from gbm_focal.xgboost import predict_proba, train

    params = {"num_class": 4, "max_depth": 3, "nthread": 1}
    booster = train(params, xgb.DMatrix(X, y, weight=w), 20, loss=loss, **kwargs)
    return booster, lambda X: predict_proba(booster, xgb.DMatrix(X)), lambda X: booster.predict(xgb.DMatrix(X))


def lightgbm_model(loss, X, y, w=None, **kwargs):
    lgb = pytest.importorskip("lightgbm")
    from gbm_focal.lightgbm import predict_proba, train

    params = {"num_class": 4, "max_depth": 3, "num_threads": 1, "verbosity": -1}
    booster = train(params, lgb.Dataset(X, y, weight=w), 20, loss=loss, **kwargs)
    return booster, lambda X: predict_proba(booster, X), lambda X: booster.predict(X)


ENGINES = {"xgboost": xgboost_model, "lightgbm": lightgbm_model}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("loss", [FocalLoss(2), AsymmetricLoss(), BalancedCrossEntropy()], ids=repr)
def test_trained_models_are_calibrated_in_the_large(engine, loss):
    X, y, w, eta = classes_problem()
    _, predict_proba, _ = ENGINES[engine](loss, X, y, w)
    probabilities = predict_proba(X)
    assert probabilities.shape == (6000, 4)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.average(probabilities, axis=0, weights=w), np.bincount(y, w) / w.sum(), rtol=1e-3)
    X, y, _, eta = classes_problem(seed=1)
    assert log_loss(y, predict_proba(X)) < 1.15 * log_loss(y, eta)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("weighted", [False, True])
def test_gamma_0_is_the_native_objective(engine, weighted):
    X, y, w, _ = classes_problem()
    w = w if weighted else None
    start = FocalLoss(0).intercept(y, w)
    _, predict_proba, predict = ENGINES[engine](FocalLoss(0), X, y, w, max_step=None)
    if engine == "xgboost":
        xgb = pytest.importorskip("xgboost")
        from xgboost_data import XGBOOST_STARTS_COLUMNS_APART

        params = {
            "num_class": 4,
            "max_depth": 3,
            "nthread": 1,
            "objective": "multi:softprob",
            "base_score": start.tolist() if XGBOOST_STARTS_COLUMNS_APART else 0.5,
        }
        native = xgb.train(params, xgb.DMatrix(X, y, weight=w), 20).predict(xgb.DMatrix(X))
    else:
        lgb = pytest.importorskip("lightgbm")
        params = {"num_class": 4, "max_depth": 3, "num_threads": 1, "verbosity": -1, "objective": "multiclass"}
        native = lgb.train(params, lgb.Dataset(X, y, weight=w), 20).predict(X)
    np.testing.assert_allclose(predict_proba(X), native, atol=1e-5)
    np.testing.assert_allclose(predict(X), native, atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("loss", [FocalLoss(2, "balanced"), AsymmetricLoss()], ids=repr)
def test_saved_model_predicts_the_same_in_a_new_process(tmp_path, engine, loss):
    X, y, _, _ = classes_problem()
    booster, predict_proba, _ = ENGINES[engine](loss, X, y)
    booster.save_model(tmp_path / "model.json")
    np.save(tmp_path / "X.npy", X)
    run_where_nothing_is_known(
        f"import sys, numpy, {engine}, gbm_focal.{engine} as ours\n"
        f"booster = {engine}.Booster(model_file=sys.argv[1])\n"
        "X = numpy.load(sys.argv[2])\n"
        f"X = {'xgboost.DMatrix(X)' if engine == 'xgboost' else 'X'}\n"
        "numpy.save(sys.argv[3], ours.predict_proba(booster, X))",
        *(tmp_path / "model.json", tmp_path / "X.npy", tmp_path / "out.npy"),
    )
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), predict_proba(X), rtol=1e-12)


def test_lightgbm_saves_the_intercepts_of_all_classes():
    lgb = pytest.importorskip("lightgbm")
    X, y, _, _ = classes_problem()
    booster, _, _ = lightgbm_model(FocalLoss(2), X, y)
    first = lgb.Booster(model_str=booster.model_to_string(num_iteration=1)).predict(X, raw_score=True)
    intercept = FocalLoss(2).intercept(y)
    # One tree with learning rate 0.1 and steps of at most 2 stays within 0.2 of the intercept.
    assert np.all(np.abs(first - intercept) <= 0.2 + 1e-6)
    assert np.all(np.abs(intercept) > 0.3)


@pytest.mark.parametrize("engine", ENGINES)
def test_native_metrics_of_classes_are_refused(engine):
    X, y, _, _ = classes_problem(500)
    name = "eval_metric" if engine == "xgboost" else "metric"
    module = pytest.importorskip(f"gbm_focal.{engine}")
    native = pytest.importorskip(engine)
    data = native.DMatrix(X, y) if engine == "xgboost" else native.Dataset(X, y)
    with pytest.raises(ValueError, match="Metric\\(loss, 'neg_log_loss'\\)"):
        module.train({"num_class": 4, name: "auc"}, data, 2, loss=FocalLoss())
    data = native.DMatrix(X, y) if engine == "xgboost" else native.Dataset(X, y)
    with pytest.raises(ValueError, match="num_class=4 in params"):
        module.train({}, data, 2, loss=FocalLoss())
