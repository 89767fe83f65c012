"""The link from margins to probabilities."""

import numpy as np
import pytest
import xgboost
from devices import assert_same
from problems import rare_positives
from scipy.special import expit, logit

import gbm_focal.xgboost as engine
from gbm_focal import AsymmetricLoss, FocalLoss, Loss
from gbm_focal.link import Link
from gbm_focal.losses import ClassTotals


class Known(Loss):
    """Margins that are the posteriors themselves."""

    def posterior(self, margin):
        return margin


def test_shifted_probabilities_stay_inside_the_unit_interval():
    posterior = np.array([0, 1e-30, 0.5, 1 - 2**-24, 1], np.float32)
    for shift in np.linspace(-5, 5, 201):
        shifted = Link(Known(), (shift,)).probabilities(posterior)[:, 1]
        assert shifted[0] == 0
        assert shifted[-1] == 1
        assert np.all(np.diff(shifted) >= 0)
    shifted = Link(Known(), (1.5,)).probabilities(np.array([0.2]))[:, 1]
    np.testing.assert_allclose(shifted, expit(logit(0.2) + 1.5), rtol=1e-14)


def test_link_that_cannot_reach_the_base_rate_warns():
    margin = np.repeat([-200.0, 200.0], [980, 20]).astype(np.float32)
    totals = ClassTotals.of(np.repeat([0, 1], [990, 10]))
    with pytest.warns(RuntimeWarning, match="bare posterior"):
        assert Link.fitted(FocalLoss(), totals, margin, None).shift == (0.0,)


def test_probabilities_of_margins_on_the_device(cupy):
    X, y, _, _ = rare_positives(500)
    booster = engine.train({"nthread": 1, "max_depth": 3}, xgboost.DMatrix(X, y), 5, loss=AsymmetricLoss())
    link = engine.link_of(booster)
    margin = booster.predict(xgboost.DMatrix(X), output_margin=True)
    assert_same(link.probabilities(cupy.asarray(margin)), link.probabilities(margin), np.float32)
