"""FocalClassifier on a GPU, or on a stand-in."""

import pickle

import cuda_double
import numpy as np
import xgboost
from problems import rare_positives

from gbm_focal import AsymmetricLoss, FocalClassifier, FocalLoss


def test_classes_and_labels_on_the_device(cupy):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 4))
    classes = np.digitize(X[:, 0] + rng.normal(size=2000) / 2, [0.5, 1.5])
    indicator = (X[:, :2] + rng.normal(size=(2000, 2)) / 2 > 1).astype(int)
    for y, loss in ((classes, FocalLoss()), (classes, AsymmetricLoss()), (indicator, AsymmetricLoss())):
        on_device, on_host = (
            FocalClassifier(xgboost.XGBClassifier(n_estimators=10, n_jobs=1, device=device, verbosity=0), loss)
            .fit(X, y)
            .predict_proba(X)
            for device in ("cuda", "cpu")
        )
        assert np.mean(np.abs(on_device - on_host)) < (1e-4 if cupy is cuda_double else 1e-2)


def test_the_classifier_computes_on_the_device(cupy):
    X, y, weight, _ = rare_positives(500)
    words = np.where(y == 1, "fraud", "fine")
    before = getattr(cuda_double.RawModule, "launches", 0)
    estimator = xgboost.XGBClassifier(n_estimators=5, n_jobs=1, device="cuda", verbosity=0)
    classifier = FocalClassifier(estimator, FocalLoss()).fit(X, words, weight, eval_set=[(X, words)])
    assert classifier.score(X, words) > 0.9
    if cupy is cuda_double:
        assert cuda_double.RawModule.launches - before == 10  # five rounds: objective and metric
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict_proba(X), classifier.predict_proba(X))


def test_labels_on_the_device_for_the_classifier(cupy):
    X, y, weight, _ = rare_positives(500)
    estimator = xgboost.XGBClassifier(n_estimators=5, n_jobs=1, verbosity=0)
    on_host, on_device = (
        FocalClassifier(estimator).fit(X, place(y), place(weight)).predict_proba(X)
        for place in (np.asarray, cupy.asarray)
    )
    np.testing.assert_array_equal(on_device, on_host)
