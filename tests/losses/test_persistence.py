"""Losses are cloned, pickled, printed and written as JSON without a loss."""

import copy
import json
import pickle

import numpy as np
import pytest
from instances import NumpyFocalLoss
from problems import sample
from sklearn.base import clone

import gbm_focal
from gbm_focal import FocalLoss, Loss


def test_clone_pickle_repr_and_json(loss):
    y, z, w = sample()
    expected = loss.value(y, z, w)
    read, evaluated = Loss.from_json(loss.to_json()), eval(repr(loss), vars(gbm_focal))
    for copied in (clone(loss), copy.deepcopy(loss), pickle.loads(pickle.dumps(loss)), read, evaluated):
        assert type(copied) is type(loss)
        assert copied.get_params() == loss.get_params()
        np.testing.assert_array_equal(copied.value(y, z, w), expected)


def test_set_params_changes_the_result():
    y, z, _ = sample()
    loss = FocalLoss(2)
    before = loss.value(y, z)
    after = loss.set_params(gamma=1).value(y, z)
    assert not np.array_equal(before, after)
    np.testing.assert_array_equal(after, FocalLoss(1).value(y, z))


def test_json_of_alpha_per_column():
    loss = FocalLoss(alpha=(0.25, 0.5))
    assert Loss.from_json(loss.to_json()).alpha == (0.25, 0.5)


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "{}", '{"loss": "FocalLoss"}', '{"loss": 3, "parameters": 4}'])
def test_json_that_is_not_a_loss(text):
    with pytest.raises(ValueError, match="JSON description"):
        Loss.from_json(text)


def test_json_of_an_unknown_loss():
    with pytest.raises(ValueError, match="'os'"):
        Loss.from_json(json.dumps({"loss": "os", "parameters": {}}))
    with pytest.raises(ValueError, match="sigma"):
        Loss.from_json(json.dumps({"loss": "FocalLoss", "parameters": {"sigma": 1}}))


def test_json_finds_the_latest_definition_and_tells_built_in_from_own():
    def define(factor):
        class FocalLoss(NumpyFocalLoss):
            version = factor

        return FocalLoss

    kept = [define(1), define(2)]  # as when a notebook's cell runs twice
    assert Loss.from_json(kept[0]().to_json()).version == 2
    assert type(Loss.from_json(FocalLoss().to_json())) is FocalLoss


def test_numpy_parameters_survive_json():
    loss = Loss.from_json(FocalLoss(np.int64(3), alpha=np.array([0.25, 0.5])).to_json())
    assert loss.get_params() == {"gamma": 3, "alpha": (0.25, 0.5), "beta": 0.9999}
