"""Pickles predict the same: of this version, and those in tests/models, which version 0.1.0 has made."""

import pickle
import warnings

import joblib
import numpy as np
import pytest
from engines import both_engines
from problems import rare_positives
from repository import MODELS
from scipy.special import expit, logit
from sklearn.exceptions import InconsistentVersionWarning

from gbm_focal import AsymmetricLoss, FocalClassifier, FocalLoss, LinearSchedule


@both_engines
@pytest.mark.parametrize("dump", ["pickle", "cloudpickle", "joblib"])
def test_pickles_predict_the_same(engine, dump, tmp_path):
    X, y, _, _ = rare_positives(1000)
    model = FocalClassifier(engine(), FocalLoss(2, "balanced")).fit(X, y, eval_set=[(X, y)])
    if dump == "joblib":
        joblib.dump(model, tmp_path / "model")
        again = joblib.load(tmp_path / "model")
    else:
        again = pickle.loads(pytest.importorskip(dump).dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.get_params()["loss"].get_params() == model.loss.get_params()


# What pickle.dumps made under these versions, beside what it predicted.
PICKLES = MODELS / "pickles-0.1.0"
MADE_WITH = {"numpy": (2, 4), "sklearn": (1, 9), "xgboost": (3, 2), "lightgbm": (4, 7)}


@pytest.fixture
def unpickled():
    """Read such a pickle; other versions of the engines and of scikit-learn warn that they are not the same."""
    for name, version in MADE_WITH.items():
        found = pytest.importorskip(name).__version__
        if tuple(map(int, found.split(".")[:2])) < version:
            pytest.skip(f"{name} {found} is older than the one that made the pickle, and may not know its types")

    def read(name):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=InconsistentVersionWarning)
            warnings.filterwarnings(
                "ignore", message=r"[\s\S]*(older|different) version of XGBoost", category=UserWarning
            )
            return pickle.loads((PICKLES / f"{name}.pkl").read_bytes())

    return read


def test_pickled_losses_of_version_0_1_are_themselves(unpickled):
    focal, asymmetric = unpickled("focal-loss"), unpickled("asymmetric-loss")
    expected = (
        FocalLoss(LinearSchedule(0, 2, rounds=10), alpha=0.25),
        AsymmetricLoss(LinearSchedule(0, 1, rounds=5), 4, 0.05, alpha=(0.3, 0.6)),
    )
    for found, wanted in zip((focal, asymmetric), expected, strict=True):
        assert type(found) is type(wanted)
        assert repr(found) == repr(wanted)
        y, z = np.array([[0, 1], [1, 0]]), np.array([[-1.0, 2.0], [0.5, -0.3]])
        pair = (loss.at_round(3).value(y, z) for loss in (found, wanted))
        np.testing.assert_array_equal(*pair)


def test_pickled_link_of_version_0_1_gives_its_probabilities(unpickled):
    link, margin = unpickled("link"), np.linspace(-3, 3, 7)
    loss = FocalLoss(2, alpha=0.25)
    np.testing.assert_allclose(link.probabilities(margin)[:, 1], expit(logit(loss.posterior(margin)) + 0.1), rtol=1e-14)
    assert link.base_rate is None
    assert link.decision_shift == link.shift


@pytest.mark.parametrize("name", ["xgboost-binary", "lightgbm-binary", "lightgbm-labels"])
def test_pickled_classifiers_of_version_0_1_predict_the_same(unpickled, name):
    model, X = unpickled(name), np.load(MODELS / "X.npy")
    expected = np.load(PICKLES / f"{name}.npy")
    np.testing.assert_allclose(model.predict_proba(X), expected, atol=1e-6)
    assert model.get_params()["base_rate"] is model.base_rate_ is None
    assert model.predict(X).shape == (expected.shape if name == "lightgbm-labels" else expected.shape[:1])
    if name == "lightgbm-binary":
        assert list(model.classes_) == ["fraud", "honest"]
