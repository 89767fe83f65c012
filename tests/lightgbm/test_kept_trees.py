"""After early stopping a booster of `train` ends with its best iteration, whatever it is put through; and its start."""

import copy
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from lightgbm_data import estimators_ask_for_names
from problems import rare_positives

from gbm_focal import FocalClassifier, FocalLoss, LinearSchedule

lgb = pytest.importorskip("lightgbm")
engine = pytest.importorskip("gbm_focal.lightgbm")

PARAMS = {"num_threads": 1, "verbosity": -1, "learning_rate": 0.5, "seed": 0}
X, Y, _, _ = rare_positives()
X_VALID, Y_VALID, _, _ = rare_positives(seed=1)


@pytest.fixture(scope="module")
def stopped():
    """A booster that early stopping has ended, and the rounds that it ran."""
    history = {}
    booster = engine.train(
        {**PARAMS, "early_stopping_round": 8},
        lgb.Dataset(X, Y),
        60,
        loss=FocalLoss(2),
        valid_sets=[lgb.Dataset(X_VALID, Y_VALID)],
        callbacks=[lgb.record_evaluation(history)],
    )
    (scores,) = history["valid_0"].values()
    assert booster.best_iteration == np.argmin(scores) + 1 < len(scores)
    return booster


def test_trees_after_the_best_iteration_are_gone(stopped, tmp_path):
    assert stopped.num_trees() == stopped.best_iteration
    expected = engine.predict_proba(stopped, X_VALID)
    stopped.save_model(tmp_path / "model.txt")
    for other in (
        copy.copy(stopped),
        copy.deepcopy(stopped),
        pickle.loads(pickle.dumps(stopped)),
        lgb.Booster(model_file=tmp_path / "model.txt"),
        lgb.Booster(model_str=stopped.model_to_string(num_iteration=-1)),
    ):
        np.testing.assert_allclose(engine.predict_proba(other, X_VALID), expected, rtol=1e-12)


def test_training_continues_from_the_best_iteration(stopped):
    continued = engine.train(PARAMS, lgb.Dataset(X, Y), 2, loss=FocalLoss(2), init_model=stopped)
    assert continued.num_trees() == stopped.best_iteration + 2
    first = continued.predict(X_VALID, raw_score=True, num_iteration=stopped.best_iteration)
    np.testing.assert_allclose(first, stopped.predict(X_VALID, raw_score=True), rtol=1e-12)


@estimators_ask_for_names
def test_training_continues_from_a_fitted_classifier():
    classifier = FocalClassifier(lgb.LGBMClassifier(n_estimators=3, **PARAMS), FocalLoss(2)).fit(X, Y)
    continued = engine.train(PARAMS, lgb.Dataset(X, Y), 2, loss=FocalLoss(2), init_model=classifier.estimator_)
    assert continued.num_trees() == 5
    first = continued.predict(X_VALID, raw_score=True, num_iteration=3)
    np.testing.assert_allclose(first, classifier.estimator_.predict(X_VALID, raw_score=True), rtol=1e-12)


def test_a_schedule_ends_with_the_trees_that_are_kept():
    booster = engine.train(
        {**PARAMS, "early_stopping_round": 5},
        lgb.Dataset(X, Y),
        60,
        loss=FocalLoss(LinearSchedule(0, 3, 60)),
        valid_sets=[lgb.Dataset(X_VALID, Y_VALID)],
    )
    assert booster.num_trees() < 60
    assert engine.link_of(booster).loss.gamma == pytest.approx(3 * (booster.num_trees() - 1) / 60)


def test_the_classifier_keeps_the_same_trees():
    estimator = lgb.LGBMClassifier(n_estimators=60, early_stopping_round=8, **PARAMS)
    for loss in (FocalLoss(2), FocalLoss(0)):
        classifier = FocalClassifier(estimator, loss).fit(X, Y, eval_set=[(X_VALID, Y_VALID)])
        booster = classifier.estimator_.booster_
        assert booster.num_trees() == classifier.best_iteration_ + 1 < 60
        copied = copy.deepcopy(classifier)
        np.testing.assert_array_equal(copied.predict_proba(X_VALID), classifier.predict_proba(X_VALID))


@pytest.mark.parametrize("columns", [1, 2])
def test_training_data_in_eval_set_do_not_stop_the_training(columns):
    # Labels of noise: on the training data the loss falls for ever, on others it rises at once.
    rng, features, others = np.random.default_rng(0), X[:2000], X[2000:]
    y, y_valid = (np.squeeze(rng.random((2000, columns)) < 0.3).astype(int) for _ in range(2))
    estimator = lgb.LGBMClassifier(n_estimators=30, early_stopping_round=2, **PARAMS)
    with pytest.warns(UserWarning, match="Only training set found"):  # LightGBM's own
        alone = FocalClassifier(estimator).fit(features, y, eval_set=[(features, y)])
    assert list(alone.evals_result_) == ["training"]
    assert alone.best_iteration_ is None
    assert alone.estimator_.booster_.current_iteration() == 30
    both = FocalClassifier(estimator).fit(features, y, eval_set=[(features, y), (others, y_valid)])
    assert list(both.evals_result_) == ["training", "valid_1"]
    assert both.best_iteration_ < 5


@estimators_ask_for_names
def test_training_starts_at_0_where_boost_from_average_is_off():
    off = {**PARAMS, "boost_from_average": False}
    rounds = 1
    bare = lgb.train({**off, "objective": engine.Objective(FocalLoss(2)), "metric": "None"}, lgb.Dataset(X, Y), rounds)
    booster = engine.train(off, lgb.Dataset(X, Y), rounds, loss=FocalLoss(2))
    np.testing.assert_allclose(booster.predict(X, raw_score=True), bare.predict(X), rtol=1e-12)
    classifier = FocalClassifier(lgb.LGBMClassifier(n_estimators=rounds, **off), FocalLoss(2)).fit(X, Y)
    np.testing.assert_allclose(classifier.estimator_.predict(X, raw_score=True), bare.predict(X), rtol=1e-12)
    started = engine.train(PARAMS, lgb.Dataset(X, Y), rounds, loss=FocalLoss(2))
    assert (started.predict(X, raw_score=True) - bare.predict(X)).mean() < -0.3


@pytest.mark.parametrize(("classes", "wrong"), [(2, 2), (2, 3), (3, 2)])
def test_num_class_that_contradicts_the_labels(classes, wrong):
    y = np.arange(len(X)) % classes
    with pytest.raises(ValueError, match=f"num_class={wrong} of the estimator contradicts the labels"):
        FocalClassifier(lgb.LGBMClassifier(n_estimators=2, num_class=wrong, **PARAMS)).fit(X, y)
    fitting = lgb.LGBMClassifier(n_estimators=2, num_class=classes if classes > 2 else 1, **PARAMS)
    assert FocalClassifier(fitting).fit(X, y).predict_proba(X).shape == (len(X), classes)


def test_fits_in_threads_leave_the_filters_of_warnings_alone():
    before = list(warnings.filters)
    estimator = lgb.LGBMClassifier(n_estimators=5, **PARAMS)

    def fit(_):
        return FocalClassifier(estimator).fit(X, Y, eval_set=[(X_VALID, Y_VALID)])

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(fit, range(9)))
    assert warnings.filters == before
