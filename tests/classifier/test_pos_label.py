"""pos_label: which of two classes the loss, metrics and base rate are about; classes and columns stay as they were."""

import numpy as np
import pytest
from engines import both_engines, patience, xgboost_classifier
from problems import labels_problem, rare_positives
from sklearn.base import clone

from gbm_focal import (
    AsymmetricLoss,
    BalancedCrossEntropy,
    FocalClassifier,
    FocalLoss,
    LinearSchedule,
    PowerCrossEntropy,
)
from gbm_focal.losses import is_symmetric

X, Y, WEIGHT, _ = rare_positives(2000)
X_VALID, Y_VALID, _, _ = rare_positives(2000, seed=1)
LOSSES = [AsymmetricLoss(), FocalLoss(2, 0.9), FocalLoss(2, "balanced")]


def words(y):
    return np.where(y == 1, "fraud", "ok")  # in sorted order "fraud" comes first


@both_engines
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_it_is_training_on_that_label(engine, loss, tmp_path):
    estimator = engine(n_estimators=200, learning_rate=0.3, **patience(engine, 5))
    metric = {"eval_metric": "average_precision"}
    reference = FocalClassifier(estimator, loss, class_weight={0: 1, 1: 3})
    reference.fit(X, Y, WEIGHT, [(X_VALID, Y_VALID)], **metric)
    classifier = FocalClassifier(estimator, loss, class_weight={"ok": 1, "fraud": 3}, pos_label="fraud")
    classifier.fit(X, words(Y), WEIGHT, [(X_VALID, words(Y_VALID))], **metric)
    assert classifier.classes_.tolist() == ["fraud", "ok"]
    assert classifier.pos_label_ == "fraud"
    assert reference.pos_label_ == 1
    assert classifier.evals_result_ == reference.evals_result_
    probability = reference.predict_proba(X_VALID)
    np.testing.assert_array_equal(classifier.predict_proba(X_VALID), probability[:, ::-1])
    np.testing.assert_array_equal(classifier.decision_function(X_VALID), -reference.decision_function(X_VALID))
    np.testing.assert_array_equal(classifier.predict(X_VALID), words(reference.predict(X_VALID)))
    classifier.save_model(tmp_path / "model.zip")
    loaded = FocalClassifier.load_model(tmp_path / "model.zip")
    assert (loaded.pos_label, loaded.pos_label_) == ("fraud", "fraud")
    np.testing.assert_array_equal(loaded.predict_proba(X_VALID), classifier.predict_proba(X_VALID))
    np.testing.assert_array_equal(loaded.predict(X_VALID), classifier.predict(X_VALID))


@both_engines
def test_ties_go_to_the_first_class(engine):
    y = np.arange(len(X)) % 2
    no_split = {"min_child_weight": 1e9} if engine is xgboost_classifier else {"min_child_samples": 10_000}
    for pos_label in (None, 0, 1):
        with pytest.warns(RuntimeWarning, match="without a single split"):
            classifier = FocalClassifier(engine(**no_split), FocalLoss(0), pos_label=pos_label).fit(X, y)
        np.testing.assert_array_equal(classifier.predict_proba(X), 0.5)
        assert not classifier.predict(X).any()
        decision = classifier.decision_function(X)
        assert not (np.signbit(decision) | (decision > 0)).any()


@both_engines
def test_the_second_class_may_be_named_too(engine):
    plain, named = (FocalClassifier(engine(), AsymmetricLoss(), pos_label=label).fit(X, Y) for label in (None, 1))
    np.testing.assert_array_equal(named.predict_proba(X), plain.predict_proba(X))
    assert clone(named).pos_label == 1


def test_files_that_older_versions_would_read_wrongly_have_another_format(tmp_path):
    import json
    import zipfile

    for y, pos_label, expected in ((words(Y), "fraud", 2), (words(Y), "ok", 1), (Y, None, 1)):
        FocalClassifier(pos_label=pos_label).fit(X, y).save_model(tmp_path / "model.zip")
        with zipfile.ZipFile(tmp_path / "model.zip") as archive:
            assert json.loads(archive.read("gbm_focal.json"))["format"] == expected


@both_engines
def test_labels_that_are_none(engine):
    with pytest.raises(ValueError, match=r"pos_label='scam' is none of the labels \['fraud', 'ok'\]"):
        FocalClassifier(engine(), pos_label="scam").fit(X, words(Y))
    with pytest.raises(ValueError, match="pos_label=1 is for two classes, but these are 3"):
        FocalClassifier(engine(), pos_label=1).fit(X, np.arange(len(X)) % 3)
    X_several, several = labels_problem()
    with pytest.raises(ValueError, match="pos_label=1 is for two classes"):
        FocalClassifier(engine(), pos_label=1).fit(X_several, several)


def test_a_common_positive_class_is_noticed_where_it_matters():
    X, Y, _, _ = rare_positives(2000, base=-6)
    assert Y.mean() < 1 / 12
    with pytest.warns(UserWarning, match=r"'ok', the second class, counts as the positive one.*give pos_label='fraud'"):
        FocalClassifier(loss=AsymmetricLoss()).fit(X, words(Y))
    # No warning, which would be an error: it is meant, or makes no difference, or the other class is not so rare.
    FocalClassifier(loss=AsymmetricLoss(), pos_label="ok").fit(X, words(Y))
    FocalClassifier(loss=FocalLoss(2, "balanced")).fit(X, words(Y))
    FocalClassifier(loss=AsymmetricLoss()).fit(X, Y)
    FocalClassifier(loss=AsymmetricLoss()).fit(X, words(Y), np.where(Y == 1, 50, 1))


def test_symmetric_losses():
    symmetric = [
        FocalLoss(3),
        FocalLoss(2, "effective"),
        BalancedCrossEntropy(),
        FocalLoss(LinearSchedule(0, 2, 9), 0.5),
    ]
    assert all(map(is_symmetric, symmetric))
    others = [AsymmetricLoss(), AsymmetricLoss(2, 2, 0.1), PowerCrossEntropy(2), FocalLoss(2, 0.3)]
    assert not any(map(is_symmetric, others))
    assert is_symmetric(AsymmetricLoss(2, 2, 0))
