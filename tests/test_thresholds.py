"""ConstrainedThresholdClassifierCV: thresholds found on rows that the model has not seen, around any classifier."""

import pickle

import numpy as np
import pandas as pd
import pytest
from engines import both_engines, lightgbm_classifier, patience, xgboost_classifier
from problems import rare_positives
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import get_scorer, precision_score, recall_score
from sklearn.model_selection import GridSearchCV, GroupKFold, ShuffleSplit, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from gbm_focal import ConstrainedThresholdClassifierCV, FocalClassifier, FocalLoss
from gbm_focal.metrics import threshold_at_alert_rate, threshold_at_precision, threshold_at_recall

FUNCTIONS = {
    "precision": threshold_at_precision,
    "recall": threshold_at_recall,
    "alert_rate": threshold_at_alert_rate,
}


@pytest.mark.filterwarnings("ignore:training ended without a single split")
@pytest.mark.filterwarnings("ignore:no shift of the log-odds")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.filterwarnings("ignore:.*column-vector y.*:sklearn.exceptions.DataConversionWarning")
@parametrize_with_checks(
    [
        ConstrainedThresholdClassifierCV(LogisticRegression(), constraint="alert_rate", bound=0.6, cv=3),
        ConstrainedThresholdClassifierCV(LogisticRegression(), constraint="precision", bound=0.4, cv=0.5, refit=False),
        ConstrainedThresholdClassifierCV(FocalClassifier(xgboost_classifier()), constraint="recall", bound=0.8, cv=2),
    ],
    expected_failed_checks=lambda _: {
        "check_classifiers_train": "predict decides at the threshold, not where a probability exceeds one half; "
        "scikit-learn declares the same for TunedThresholdClassifierCV"
    },
)
def test_scikit_learn_compatible(estimator, check):
    check(estimator)


@both_engines
@pytest.mark.parametrize(("constraint", "bound"), [("precision", 0.3), ("recall", 0.7), ("alert_rate", 0.05)])
def test_thresholds_are_found_out_of_fold(engine, constraint, bound):
    X, y, w, _ = rare_positives(2000)
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    model = FocalClassifier(engine(), FocalLoss(2))
    classifier = ConstrainedThresholdClassifierCV(model, constraint=constraint, bound=bound, cv=folds).fit(X, y)
    out_of_fold = cross_val_predict(model, X, y, cv=folds, method="predict_proba")[:, 1]
    threshold = FUNCTIONS[constraint](y, out_of_fold, bound)
    assert classifier.best_threshold_ == threshold
    refitted = clone(model).fit(X, y).predict_proba(X)[:, 1]
    np.testing.assert_array_equal(classifier.predict_proba(X)[:, 1], refitted)
    np.testing.assert_array_equal(classifier.predict(X), refitted >= threshold)
    np.testing.assert_array_equal(classifier.decision_function(X) > 0, refitted >= threshold)
    curve, place = classifier.curve_, np.flatnonzero(classifier.curve_["threshold"] == threshold)[0]
    alert = out_of_fold >= threshold
    assert curve["precision"][place] == pytest.approx(precision_score(y, alert))
    assert curve["recall"][place] == pytest.approx(recall_score(y, alert))
    assert curve["alert_rate"][place] == pytest.approx(alert.mean())
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict(X), classifier.predict(X))
    weighted = ConstrainedThresholdClassifierCV(model, constraint=constraint, bound=bound, cv=folds)
    weighted.fit(X, y, sample_weight=w)
    out_of_fold = cross_val_predict(model, X, y, cv=folds, method="predict_proba", params={"sample_weight": w})[:, 1]
    assert weighted.best_threshold_ == FUNCTIONS[constraint](y, out_of_fold, bound, sample_weight=w)


def test_a_promise_is_about_the_model_that_was_tested():
    X, y, w, _ = rare_positives(20_000)
    arguments = {"constraint": "precision", "bound": 0.3, "confidence": 0.9, "refit": False}
    classifier = ConstrainedThresholdClassifierCV(LogisticRegression(), cv=0.4, random_state=0, **arguments).fit(X, y)
    ((train, held_out),) = ShuffleSplit(1, test_size=0.4, random_state=0).split(X)
    model = LogisticRegression().fit(X[train], y[train])
    np.testing.assert_array_equal(classifier.estimator_.coef_, model.coef_)
    score = model.predict_proba(X[held_out])[:, 1]
    assert classifier.best_threshold_ == threshold_at_precision(y[held_out], score, 0.3, confidence=0.9)
    prefit = ConstrainedThresholdClassifierCV(model, cv="prefit", **arguments).fit(X[held_out], y[held_out])
    assert prefit.estimator_ is model
    assert prefit.best_threshold_ == classifier.best_threshold_
    X_new, _, _, eta_new = rare_positives(50_000, seed=1)
    assert eta_new[prefit.predict(X_new) == 1].mean() > 0.3
    # Weights of the training do not count in the test.
    weighted = clone(classifier).fit(X, y, sample_weight=w)
    model = LogisticRegression().fit(X[train], y[train], w[train])
    score = model.predict_proba(X[held_out])[:, 1]
    assert weighted.best_threshold_ == threshold_at_precision(y[held_out], score, 0.3, confidence=0.9)
    with pytest.raises(ValueError, match=r"sample_weight beside confidence=0\.9"):
        prefit.fit(X[held_out], y[held_out], sample_weight=w[held_out])
    with pytest.raises(ValueError, match=r"cannot promise the precision 0\.9"):
        clone(classifier).set_params(bound=0.9).fit(X, y)


@pytest.mark.parametrize("engine", [xgboost_classifier, lightgbm_classifier])
def test_names_frames_pipelines_and_searches(engine):
    X, y, _, _ = rare_positives(1500)
    names = np.where(y == 1, "fraud", "ok")  # of which fraud is the first
    frame = pd.DataFrame(X, columns=list("abcdef"))
    scaled = make_column_transformer((StandardScaler(), list("abc")), remainder="passthrough").set_output(
        transform="pandas"
    )
    pipeline = make_pipeline(scaled, FocalClassifier(engine(), FocalLoss(2), pos_label="fraud"))
    classifier = ConstrainedThresholdClassifierCV(pipeline, constraint="recall", bound=0.6, cv=2, pos_label="fraud")
    classifier.fit(frame, pd.Series(names))
    assert list(classifier.feature_names_in_) == list("abcdef")
    assert classifier.pos_label_ == "fraud"
    alert = classifier.predict_proba(frame)[:, 0] >= classifier.best_threshold_
    np.testing.assert_array_equal(classifier.predict(frame) == "fraud", alert)
    np.testing.assert_array_equal(classifier.decision_function(frame) > 0, ~alert)
    assert recall_score(names, classifier.predict(frame), pos_label="fraud") > 0.5
    search = GridSearchCV(classifier, {"bound": [0.3, 0.9], "estimator__focalclassifier__loss__gamma": [0.0]}, cv=2)
    search.set_params(scoring=lambda model, X, y: recall_score(y, model.predict(X), pos_label="fraud")).fit(
        frame, names
    )
    assert search.best_params_["bound"] == 0.9


def test_groups_and_weights_are_routed():
    X, y, w, _ = rare_positives(1500)
    groups = np.arange(1500) % 7
    folds = list(GroupKFold(3).split(X, y, groups))
    out_of_fold = cross_val_predict(
        LogisticRegression(), X, y, cv=folds, method="predict_proba", params={"sample_weight": w}
    )
    expected = threshold_at_recall(y, out_of_fold[:, 1], 0.7, sample_weight=w)
    plain = ConstrainedThresholdClassifierCV(LogisticRegression(), constraint="recall", bound=0.7, cv=GroupKFold(3))
    assert plain.fit(X, y, sample_weight=w, groups=groups).best_threshold_ == expected
    with config_context(enable_metadata_routing=True):
        model = LogisticRegression().set_fit_request(sample_weight=True)
        routed = ConstrainedThresholdClassifierCV(model, constraint="recall", bound=0.7, cv=GroupKFold(3))
        assert routed.fit(X, y, sample_weight=w, groups=groups).best_threshold_ == expected
        recall = get_scorer("recall").set_score_request(sample_weight=False)
        search = GridSearchCV(routed, {"bound": [0.7]}, cv=GroupKFold(2), scoring=recall)
        search.fit(X, y, sample_weight=w, groups=groups)
        assert search.best_score_ > 0.5


def test_classifiers_without_probabilities():
    X, y, _, _ = rare_positives(1500)
    classifier = ConstrainedThresholdClassifierCV(RidgeClassifier(), constraint="alert_rate", bound=0.1, cv=3).fit(X, y)
    assert not hasattr(classifier, "predict_proba")
    assert classifier.predict(X).mean() == pytest.approx(0.1, abs=0.02)
    turned = clone(classifier).set_params(pos_label=0).fit(X, y)
    assert (turned.predict(X) == 0).mean() == pytest.approx(0.1, abs=0.02)


@both_engines
def test_early_stopping_inside(engine):
    X, y, _, _ = rare_positives(3000)
    estimator = engine(n_estimators=300, learning_rate=0.3, **patience(engine, 5))
    model = FocalClassifier(estimator, FocalLoss(2), validation_fraction=0.3, random_state=0)
    classifier = ConstrainedThresholdClassifierCV(model, constraint="alert_rate", bound=0.05, cv=2).fit(X, y)
    assert classifier.estimator_.best_iteration_ < 299
    assert 0.02 < classifier.predict(X).mean() < 0.15


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"constraint": "f1"}, "constraint='f1' is not known: give one of precision, recall, alert_rate"),
        ({"bound": 0}, "precision=0 is out of range"),
        ({"bound": 0.999}, "no threshold has the precision"),
        ({"cv": "prefit"}, "cv='prefit' takes the estimator as it is: give refit=False"),
        ({"refit": False}, "refit=False beside cv=5, which fits 5 models"),
        ({"confidence": 0.9}, r"confidence=0\.9 beside cv=5 and refit=True: a promise is about the very model"),
        ({"confidence": 0.9, "refit": False}, "a promise is about the very model"),
        ({"confidence": 0.9, "cv": 0.5}, "a promise is about the very model"),
        ({"pos_label": 3}, "pos_label=3 is none of the labels"),
    ],
)
def test_bad_parameters(arguments, message):
    X, y, _, _ = rare_positives(500)
    arguments = {"constraint": "precision", "bound": 0.1, **arguments}
    with pytest.raises(ValueError, match=message):
        ConstrainedThresholdClassifierCV(LogisticRegression(), **arguments).fit(X, y)


def test_estimators_must_be_fitted_and_have_scores():
    X, y, _, _ = rare_positives(500)
    with pytest.raises(NotFittedError):
        ConstrainedThresholdClassifierCV(
            LogisticRegression(), constraint="recall", bound=0.5, cv="prefit", refit=False
        ).fit(X, y)
    with pytest.raises(ValueError, match="sample_weight is above 0 in rows of one class only"):
        ConstrainedThresholdClassifierCV(LogisticRegression(), constraint="recall", bound=0.5).fit(
            X, y, sample_weight=y
        )
    sorted_rows = np.argsort(y)
    folds = [(sorted_rows[:300], sorted_rows[300:])]
    with pytest.raises(ValueError, match=r"single class|two classes"):
        ConstrainedThresholdClassifierCV(
            FocalClassifier(xgboost_classifier()), constraint="recall", bound=0.5, cv=folds
        ).fit(X, y)
