"""The metrics in scikit-learn and in training."""

import functools
import pickle

import numpy as np
import pytest
from engines import both_engines, patience, xgboost_classifier
from problems import rare_positives
from sklearn.metrics import make_scorer
from sklearn.model_selection import cross_val_score

from gbm_focal import FocalClassifier, FocalLoss
from gbm_focal.metrics import (
    SCORERS,
    expected_calibration_error,
    expected_cost,
    recall_at_alert_rate,
    recall_at_precision,
    savings_score,
    threshold_at_precision,
    threshold_at_recall,
)

STOPPING = {
    "true_skill_score": SCORERS["true_skill_score"],
    "heidke_skill_score": SCORERS["heidke_skill_score"],
    "recall_at_alert_rate": recall_at_alert_rate,
    "precision_at_alert_rate": SCORERS["precision_at_alert_rate"],
    "recall_at_precision": functools.partial(recall_at_precision, precision=0.3),
    "expected_cost": functools.partial(expected_cost, cost_false_negative=20),
    "savings_score": functools.partial(savings_score, cost_false_negative=20, cost_true_positive=1),
    "expected_calibration_error": expected_calibration_error,
    "neg_expected_calibration_error": SCORERS["neg_expected_calibration_error"],
}


@both_engines
@pytest.mark.parametrize("name", STOPPING)
def test_early_stopping(engine, name):
    metric = STOPPING[name]
    greater = name not in ("expected_cost", "expected_calibration_error")
    X, y, w, _ = rare_positives(3000)
    X_eval, y_eval, w_eval, _ = rare_positives(3000, seed=1)
    estimator = engine(n_estimators=150, learning_rate=0.3, **patience(engine, 10))
    model = FocalClassifier(estimator, FocalLoss(2, "balanced"))
    model.fit(X, y, w, [(X_eval, y_eval)], eval_metric=metric, eval_sample_weight=[w_eval])
    reported, history = next(iter(next(iter(model.evals_result_.values())).items()))
    history = np.array(history)
    if engine is xgboost_classifier and greater:
        history = -history
        assert reported in (f"neg_{name}", name.removeprefix("neg_"), f"loss_neg_{name}")
    else:
        assert reported == name
    best = np.argmax(history) if greater else np.argmin(history)
    assert model.best_iteration_ == best
    assert len(history) == min(best + 11, 150)
    assert np.ptp(history) > 0
    # The calibration, which comes after, shifts the log-odds and keeps the order: of the best round, as reported.
    if metric is SCORERS.get(name) and "alert" in name:
        assert metric(model, X_eval, y_eval, sample_weight=w_eval) == pytest.approx(history[best], rel=1e-6, abs=5.1e-7)
    elif "recall" in name:
        probability = model.predict_proba(X_eval)[:, 1]
        assert metric(y_eval, probability, sample_weight=w_eval) == pytest.approx(history[best], rel=1e-6, abs=5.1e-7)


@both_engines
def test_a_threshold_does_not_stop_training(engine):
    X, y, _, _ = rare_positives(400)
    for metric in (functools.partial(threshold_at_recall, recall=0.5), threshold_at_precision):
        with pytest.raises(ValueError, match="does not say whether greater is better"):
            FocalClassifier(engine()).fit(X, y, eval_set=[(X, y)], eval_metric=metric)


@both_engines
def test_scorers_in_cross_validation(engine):
    X, y, _, _ = rare_positives(3000)
    model = FocalClassifier(engine(n_estimators=20), FocalLoss(2, "balanced"))
    for name, scorer in SCORERS.items():
        scorer = pickle.loads(pickle.dumps(scorer))
        learned = cross_val_score(model, X, y, cv=3, scoring=scorer)
        assert np.all(np.isfinite(learned))
        shuffled = cross_val_score(model, np.random.default_rng(0).permutation(X), y, cv=3, scoring=scorer)
        if name != "neg_expected_calibration_error":  # noise says nothing, but can say so honestly
            assert learned.mean() > shuffled.mean() + 0.05
        else:
            assert np.all(learned <= 0)
    cost = make_scorer(
        expected_cost, greater_is_better=False, response_method="predict_proba", cost_false_negative=20, pos_label="yes"
    )
    names = np.where(y == 1, "yes", "no")
    assert np.all(cross_val_score(model, X, names, cv=3, scoring=cost) > -20 * y.mean())


@both_engines
def test_several_classes_and_labels_are_scored_in_training(engine):
    X, y, _, _ = rare_positives(3000)
    classes = np.where(y == 1, "flare", np.where(X[:, 4] > 0.5, "active", "quiet"))
    labels = np.column_stack([y, X[:, 4] > 0.5]).astype(int)
    recall = functools.partial(recall_at_alert_rate, alert_rate=0.2)
    for target in (classes, labels):
        for metric in (recall, SCORERS["true_skill_score"], SCORERS["heidke_skill_score"]):
            model = FocalClassifier(engine(n_estimators=12), FocalLoss(1, "balanced"))
            model.fit(X, target, eval_set=[(X, target)], eval_metric=metric)
            (history,) = next(iter(model.evals_result_.values())).values()
            assert len(history) == 12
            assert 0.4 < abs(history[-1]) <= 1
            if target is labels and metric is recall:  # whose order the calibration does not touch
                assert abs(history[-1]) == pytest.approx(recall(labels, model.predict_proba(X)))
