"""Training on data that come in batches: the model is that of the same rows in memory."""

import numpy as np
import pytest
from batches import Batches
from problems import classes_problem, rare_positives

from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalLoss

xgb = pytest.importorskip("xgboost")
engine = pytest.importorskip("gbm_focal.xgboost")


if not hasattr(xgb, "ExtMemQuantileDMatrix"):
    pytest.skip("XGBoost has ExtMemQuantileDMatrix from 3.0 on", allow_module_level=True)


PARAMS = {"max_depth": 4, "eta": 0.3, "tree_method": "hist", "nthread": 1, "max_bin": 256}


def problem(n=3000, seed=0):
    """Rows in the order of their labels, so that only the last batches hold positives, and of few distinct values."""
    X, y, w, _ = rare_positives(n, seed)
    order = np.argsort(y, kind="stable")
    return np.round(X, 1)[order], y[order], w[order]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", [FocalLoss(2, "balanced"), AsymmetricLoss(), BalancedCrossEntropy()], ids=repr)
def test_external_memory_is_the_model_in_memory(tmp_path, loss, weighted):
    X, y, w = problem()
    X_valid, y_valid, w_valid = problem(seed=1)
    weights = (w, w_valid) if weighted else (None, None)
    stored = xgb.ExtMemQuantileDMatrix(Batches(X, y, weights[0], tmp_path / "train"), max_bin=256)
    stored_valid = xgb.ExtMemQuantileDMatrix(Batches(X_valid, y_valid, weights[1], tmp_path / "valid"), ref=stored)
    batched = xgb.QuantileDMatrix(Batches(X, y, weights[0]), max_bin=256)
    batched_valid = xgb.QuantileDMatrix(Batches(X_valid, y_valid, weights[1]), ref=batched)
    whole = xgb.QuantileDMatrix(X, label=y, weight=weights[0], max_bin=256)
    whole_valid = xgb.QuantileDMatrix(X_valid, label=y_valid, weight=weights[1], ref=whole)
    boosters, histories = [], []
    for data, valid in ((whole, whole_valid), (batched, batched_valid), (stored, stored_valid)):
        histories.append({})
        evaluation = {"evals": [(valid, "valid")], "evals_result": histories[-1], "early_stopping_rounds": 4}
        boosters.append(engine.train(PARAMS, data, 100, loss=loss, verbose_eval=False, **evaluation))
    expected = engine.predict_proba(boosters[0], X_valid)
    (name,) = histories[0]["valid"]
    for booster, history in zip(boosters[1:], histories[1:], strict=True):
        assert booster.best_iteration == boosters[0].best_iteration < 90
        np.testing.assert_allclose(history["valid"][name], histories[0]["valid"][name], rtol=1e-5)
        np.testing.assert_allclose(engine.predict_proba(booster, X_valid), expected, atol=1e-5)
        link, wanted = (engine.link_of(model) for model in (booster, boosters[0]))
        np.testing.assert_allclose(link.shift, wanted.shift, atol=1e-5)
    mean = np.average(engine.predict_proba(boosters[2], stored)[:, 1], weights=weights[0])
    np.testing.assert_allclose(mean, np.average(y, weights=weights[0]), rtol=1e-4)


def test_external_memory_of_classes(tmp_path):
    X, y = classes_problem(3000)[:2]
    X = np.round(X, 1)
    params = {**PARAMS, "num_class": int(y.max()) + 1}
    stored = xgb.ExtMemQuantileDMatrix(Batches(X, y, cache=tmp_path / "train"), max_bin=256)
    whole = xgb.QuantileDMatrix(X, label=y, max_bin=256)
    found, expected = (engine.train(params, data, 8, loss=FocalLoss(2, "balanced")) for data in (stored, whole))
    np.testing.assert_allclose(engine.predict_proba(found, X), engine.predict_proba(expected, X), atol=1e-5)


def test_batches_without_labels_are_refused(tmp_path):
    X, y, _ = problem(500)

    class Unlabelled(Batches):
        def next(self, input_data):
            return super().next(lambda data, **_: input_data(data=data))

    stored = xgb.ExtMemQuantileDMatrix(Unlabelled(X, y, cache=tmp_path / "train"), max_bin=256)
    with pytest.raises(ValueError, match="no labels"):
        engine.train(PARAMS, stored, 2, loss=FocalLoss())
