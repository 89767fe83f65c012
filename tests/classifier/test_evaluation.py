"""Evaluation sets, their metrics, and early stopping."""

import numpy as np
import pytest
from engines import both_engines, fit_bare, lightgbm_classifier, patience, xgboost_classifier
from lightgbm_data import estimators_ask_for_names, evaluated_on
from problems import PROBLEMS, rare_positives
from sklearn.metrics import average_precision_score

from gbm_focal import FocalClassifier, FocalLoss

xgb = pytest.importorskip("xgboost")


def test_mistakes_around_evaluation_get_errors_that_help():
    X, y, _, _ = rare_positives(300)
    model = FocalClassifier(xgb.XGBClassifier(n_estimators=2, n_jobs=1))
    with pytest.raises(ValueError, match=r"metric='average_precison' is no scorer .* did you mean 'average_precision"):
        model.fit(X, y, eval_set=[(X, y)], eval_metric="average_precison")
    with pytest.raises(TypeError, match=r"eval_set is a tuple: give a list of pairs"):
        model.fit(X, y, eval_set=(X, y))
    with pytest.raises(
        ValueError, match=r"y of an evaluation set holds .*2.0.*, which is no label of the training set"
    ):
        model.fit(X, y, eval_set=[(X, y + 1)])
    model.fit(X, y, eval_set=[(X, y)], eval_metric="recall_at_alert_rate")
    assert list(model.evals_result_["validation_0"]) == ["neg_recall_at_alert_rate"]


@estimators_ask_for_names
@both_engines
@pytest.mark.parametrize("problem", ["binary", "classes"])
def test_gamma_0_stops_where_the_bare_estimator_does(engine, problem):
    X, y = PROBLEMS[problem]()
    X, y, X_eval, y_eval = X[:2000], y[:2000], X[2000:], y[2000:]
    estimator = engine(n_estimators=200, learning_rate=0.5, **patience(engine, 5))
    if engine is xgboost_classifier:
        bare = fit_bare(estimator, X, y, eval_set=[(X_eval, y_eval)], verbose=False)
        best = bare.best_iteration
    else:
        bare = fit_bare(estimator, X, y, **evaluated_on(X_eval, y_eval))
        best = bare.best_iteration_ - 1
    model = FocalClassifier(estimator, FocalLoss(0), max_step=None).fit(X, y, eval_set=[(X_eval, y_eval)])
    assert model.best_iteration_ == best < 195
    np.testing.assert_allclose(model.predict_proba(X_eval), bare.predict_proba(X_eval), atol=1e-5)
    ours = next(iter(next(iter(model.evals_result_.values())).values()))
    theirs = bare.evals_result() if engine is xgboost_classifier else bare.evals_result_
    rates = np.unique(y, return_counts=True)[1] / len(y)
    in_our_unit = np.array(next(iter(next(iter(theirs.values())).values()))) / -(rates @ np.log(rates))
    np.testing.assert_allclose(ours, in_our_unit, rtol=1e-4)


def scaled_brier_loss(y_true, y_score, sample_weight=None):
    return 100 * np.average((y_true - y_score) ** 2, weights=sample_weight)


@both_engines
@pytest.mark.parametrize(
    ("metric", "name", "greater"),
    [
        (None, "focal_loss", False),
        ("average_precision", "average_precision", True),
        ("roc_auc", "roc_auc", True),
        ("neg_log_loss", "neg_log_loss", True),
        ("balanced_accuracy", "balanced_accuracy", True),
        ("f1", "f1", True),
        ("logloss", "neg_log_loss", True),
        (scaled_brier_loss, "scaled_brier_loss", False),
        (average_precision_score, "average_precision_score", True),
    ],
)
def test_early_stopping_in_the_right_direction(engine, metric, name, greater):
    X, y, w, _ = rare_positives(3000)
    X_eval, y_eval, w_eval, _ = rare_positives(3000, seed=1)
    estimator = engine(n_estimators=300, learning_rate=0.5, **patience(engine, 8))
    model = FocalClassifier(estimator, FocalLoss(2, "balanced"))
    model.fit(X, y, w, [(X_eval, y_eval)], eval_metric=metric, eval_sample_weight=[w_eval])
    reported, history = next(iter(next(iter(model.evals_result_.values())).items()))
    if engine is xgboost_classifier and greater:
        history = -np.array(history)
        assert reported == (name.removeprefix("neg_") if name.startswith("neg_") else f"neg_{name}")
    else:
        assert reported == name
    best = np.argmax(history) if greater else np.argmin(history)
    assert model.best_iteration_ == best < 290
    if name == "average_precision":
        expected = average_precision_score(y_eval, model.predict_proba(X_eval)[:, 1], sample_weight=w_eval)
        assert history[best] == pytest.approx(expected, rel=1e-6)


def test_the_metric_of_the_estimator_is_understood():
    X, y, _, _ = rare_positives(1000)
    for estimator in (xgboost_classifier(eval_metric="auc"), lightgbm_classifier(metric="auc")):
        model = FocalClassifier(estimator).fit(X, y, eval_set=[(X, y)])
        assert next(iter(next(iter(model.evals_result_.values())))).endswith("roc_auc")


@pytest.mark.parametrize(
    ("metric", "message"),
    [("no_such_metric", "no_such_metric"), (lambda y, p: 0.0, "greater is better"), (["auc", "logloss"], "2 metrics")],
)
def test_bad_metrics(metric, message):
    X, y, _, _ = rare_positives(200)
    with pytest.raises(ValueError, match=message):
        FocalClassifier(xgboost_classifier()).fit(X, y, eval_set=[(X, y)], eval_metric=metric)
