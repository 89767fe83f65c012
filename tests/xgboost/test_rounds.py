"""Which rounds count for the link: of refreshed models, of checkpoints, and of what callbacks see."""

import numpy as np
import pytest
from problems import rare_positives
from xgboost_data import call_callbacks

from gbm_focal import FocalClassifier, FocalLoss, LinearSchedule

xgb = pytest.importorskip("xgboost")
engine = pytest.importorskip("gbm_focal.xgboost")

X, Y, _, _ = rare_positives()
MATRIX = xgb.DMatrix(X, Y)
PARAMS = {"nthread": 1, "max_depth": 3}
LOSS = FocalLoss(LinearSchedule(0, 3, 10))


@pytest.mark.filterwarnings("ignore:.*You have manually specified the `updater`")
def test_refreshed_leaves_are_those_of_the_first_rounds():
    booster = engine.train(PARAMS, MATRIX, 10, loss=LOSS)
    refresh = {**PARAMS, "process_type": "update", "updater": "refresh", "refresh_leaf": True}
    refreshed = engine.train(refresh, MATRIX, 5, loss=LOSS, xgb_model=booster)
    assert refreshed.num_boosted_rounds() == 5
    assert engine.link_of(refreshed).loss.gamma == pytest.approx(LOSS.gamma(4))
    # The same data, trees and gammas, so the same leaves.
    margins = [model.predict(MATRIX, output_margin=True) for model in (refreshed, booster[:5])]
    np.testing.assert_allclose(*margins, atol=1e-5)
    mean = engine.predict_proba(refreshed, MATRIX)[:, 1].mean()
    assert mean == pytest.approx(Y.mean(), rel=1e-4)


@pytest.mark.parametrize("through", ["train", "classifier"])
def test_checkpoints_and_callbacks_know_the_loss(tmp_path, through):
    links = []

    class Watching(xgb.callback.TrainingCallback):
        def after_iteration(self, model, epoch, evals_log):
            links.append(engine.link_of(model))
            return False

        def after_training(self, model):
            links.append(engine.link_of(model))
            return model

    callbacks = [xgb.callback.TrainingCheckPoint(tmp_path, interval=1), Watching()]
    if through == "train":
        engine.train(PARAMS, MATRIX, 4, loss=LOSS, callbacks=callbacks)
    else:
        estimator = xgb.XGBClassifier(n_estimators=4, n_jobs=1, callbacks=callbacks)
        classifier = FocalClassifier(estimator, LOSS).fit(X, Y)
        assert len(classifier.estimator_.callbacks) == 2
    np.testing.assert_allclose([link.loss.gamma for link in links], [0.0, 0.3, 0.6, 0.9, 0.9])
    for path in tmp_path.iterdir():
        booster = xgb.Booster(model_file=path)
        link = engine.link_of(booster)
        assert link.loss.gamma == pytest.approx(0.3 * (booster.num_boosted_rounds() - 1))
        margin = booster.predict(MATRIX, output_margin=True)
        posterior = link.loss.posterior(margin.astype(np.float64))
        np.testing.assert_allclose(engine.predict_proba(booster, MATRIX)[:, 1], posterior, rtol=1e-7)


@pytest.mark.parametrize("direction", [1, -1])
def test_the_best_rounds_are_saved_whoever_is_called_first(monkeypatch, direction):
    call_callbacks(monkeypatch, direction)
    X_VALID, Y_VALID, _, _ = rare_positives(seed=1)
    stopping = xgb.callback.EarlyStopping(rounds=3, save_best=True)
    valid = [(xgb.DMatrix(X_VALID, Y_VALID), "valid")]
    booster = engine.train(
        {**PARAMS, "eta": 1.0}, MATRIX, 100, loss=LOSS, evals=valid, callbacks=[stopping], verbose_eval=False
    )
    rounds = booster.num_boosted_rounds()
    assert rounds == booster.best_iteration + 1 < 100
    assert engine.link_of(booster).loss.gamma == pytest.approx(LOSS.gamma(rounds - 1))
    assert engine.predict_proba(booster, MATRIX)[:, 1].mean() == pytest.approx(Y.mean(), rel=1e-4)


@pytest.mark.parametrize("objective", ["binary:hinge", "binary:logitraw", "multi:softmax", "reg:squarederror", len])
def test_objectives_of_the_estimator_that_mean_something_else(objective):
    for y in (Y, np.arange(len(X)) % 3):
        with pytest.raises(ValueError, match="of the estimator contradicts loss"):
            FocalClassifier(xgb.XGBClassifier(n_estimators=2, objective=objective)).fit(X, y)


def test_objectives_of_the_estimator_that_mean_what_is_trained():
    for objective, y in ((None, Y), ("binary:logistic", Y), ("multi:softprob", np.arange(len(X)) % 3)):
        estimator = xgb.XGBClassifier(n_estimators=2, n_jobs=1, objective=objective)
        assert FocalClassifier(estimator).fit(X, y).predict_proba(X).shape[0] == len(X)


def test_a_training_without_splits_of_vector_leaves_is_noticed():
    matrix = xgb.DMatrix(X, np.column_stack([Y, X[:, 0] > 0]))
    params = {**PARAMS, "multi_strategy": "multi_output_tree"}
    engine.train(params, matrix, 2, loss=FocalLoss(2))
    with pytest.warns(RuntimeWarning, match="without a single split"):
        engine.train({**params, "min_child_weight": 1e9}, matrix, 2, loss=FocalLoss(2))


@pytest.mark.filterwarnings("ignore:`XGBRFClassifier` is deprecated")  # from XGBoost 3.4 on
def test_a_random_forest_takes_no_callbacks_and_needs_none():
    classifier = FocalClassifier(xgb.XGBRFClassifier(n_estimators=5, n_jobs=1), FocalLoss(2)).fit(X, Y)
    assert classifier.predict_proba(X)[:, 1].mean() == pytest.approx(Y.mean(), rel=1e-3)
