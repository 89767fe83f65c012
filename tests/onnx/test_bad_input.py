"""What ONNX cannot hold is refused in words."""

import importlib

import numpy as np
import pytest
from engines import lgb, lightgbm_classifier, xgb, xgboost_classifier
from instances import NumpyFocalLoss
from onnx_scores import onnx
from programs import run_in_new_process
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

import gbm_focal.lightgbm
import gbm_focal.xgboost
from gbm_focal import FocalClassifier, FocalLoss
from gbm_focal.onnx import to_onnx

X = np.random.default_rng(0).normal(size=(200, 3))
Y = (X[:, 0] > 1).astype(int)


def fitted(labels=(0, 1), engine=xgboost_classifier):
    return FocalClassifier(engine(n_estimators=2)).fit(X, np.array(labels)[Y])


@pytest.mark.parametrize("opset", [12, 1000, 13.0, "13", True])
def test_versions_of_the_operators(opset):
    with pytest.raises(ValueError, match=f"target_opset={opset!r} is not supported: give a whole number from 13 to"):
        to_onnx(fitted(), target_opset=opset)


def test_classifier_that_is_not_fitted():
    with pytest.raises(NotFittedError, match="Call 'fit'"):
        to_onnx(FocalClassifier())


@pytest.mark.parametrize("labels", [(0.0, 1.0), (False, True), (np.datetime64("2020"), np.datetime64("2021"))])
def test_labels_of_other_types(labels):
    with pytest.raises(TypeError, match=r"the labels \[.*\] are of type .*: fit on integers or strings"):
        to_onnx(fitted(labels))


@pytest.mark.parametrize("engine", [xgboost_classifier, lightgbm_classifier])
def test_models_that_do_not_know_the_loss(engine):
    model = fitted(engine=engine)
    with pytest.raises(TypeError, match=f"model is a {type(engine()).__name__}: give a FocalClassifier, or a Booster"):
        to_onnx(model.estimator_)
    with pytest.raises(TypeError, match=r"model is a Pipeline: .* go to skl2onnx.to_onnx"):
        to_onnx(make_pipeline(model))
    with pytest.raises(ValueError, match=r"its loss is unknown: train it with gbm_focal\.xgboost\.train"):
        to_onnx(xgb.train({}, xgb.DMatrix(X, Y), 2))
    with pytest.raises(ValueError, match=r"its loss is unknown: train it with gbm_focal\.lightgbm\.train"):
        to_onnx(lgb.train({"verbosity": -1}, lgb.Dataset(X, Y), 2))


@pytest.mark.filterwarnings("ignore:.*`booster=gblinear` is deprecated")  # from XGBoost 3.4 on
def test_linear_boosters():
    booster = gbm_focal.xgboost.train({"booster": "gblinear"}, xgb.DMatrix(X, Y), 2, loss=FocalLoss())
    with pytest.raises(ValueError, match="booster='gblinear' has no trees"):
        to_onnx(booster)


def test_linear_trees_of_lightgbm():
    booster = gbm_focal.lightgbm.train({"verbosity": -1}, lgb.Dataset(X, Y), 2, loss=FocalLoss())
    parameters = {"objective": "binary", "linear_tree": True, "verbosity": -1}
    linear = lgb.train(parameters, lgb.Dataset(X, Y), 2).model_to_string()
    entry = f"\nparameters:\n[gbm_focal: {gbm_focal.lightgbm.link_of(booster).to_json()}]\n"
    with pytest.raises(ValueError, match="linear_tree=True has leaves that ONNX cannot hold"):
        to_onnx(lgb.Booster(model_str=linear.replace("\nparameters:\n", entry)))


def test_objectives_of_another_meaning():
    booster = xgb.train({"objective": "count:poisson"}, xgb.DMatrix(X, Y), 2)
    booster.set_attr(gbm_focal=gbm_focal.xgboost.link_of(fitted().estimator_.get_booster()).to_json())
    with pytest.raises(ValueError, match="objective is 'count:poisson', whose base score has another meaning"):
        to_onnx(booster)


def test_trees_of_lightgbm_that_disagree_on_missing_values():
    sparse = np.where(np.abs(X) < 0.7, 0, X)
    sparse[::5] = np.nan
    params = {"verbosity": -1, "min_data_in_leaf": 5}
    first = gbm_focal.lightgbm.train(params, lgb.Dataset(sparse, Y), 2, loss=FocalLoss())
    params["zero_as_missing"] = True
    second = gbm_focal.lightgbm.train(params, lgb.Dataset(sparse, Y), 2, loss=FocalLoss(), init_model=first)
    with pytest.raises(ValueError, match=r"feature 0 has missing values of type 'NaN' in some trees and 'Zero'"):
        to_onnx(second)


def test_own_loss_without_an_onnx_form_is_told_how():
    with pytest.raises(ValueError, match=r"NumpyFocalLoss has no ONNX form: give it a method onnx_log_odds\(self, op"):
        to_onnx(FocalClassifier(xgboost_classifier(), NumpyFocalLoss()).fit(X, Y))


class Forgetful(NumpyFocalLoss):
    def onnx_log_odds(self, op, margin):
        op.Exp(margin)


class OfAnotherType(NumpyFocalLoss):
    def onnx_log_odds(self, op, margin):
        return op.Cast(margin, to=onnx.TensorProto.FLOAT)


class Branching(NumpyFocalLoss):
    def onnx_log_odds(self, op, margin):
        return margin if margin > 0 else -margin


class Misspelt(NumpyFocalLoss):
    def onnx_log_odds(self, op, margin):
        return op.logit(margin)


class Unknown(NumpyFocalLoss):
    def onnx_log_odds(self, op, margin):
        return op.Logit(margin)


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (Forgetful(), TypeError, "Forgetful.onnx_log_odds returned a NoneType"),
        (OfAnotherType(), onnx.shape_inference.InferenceError, "inconsistent type"),
        (Branching(), TypeError, r"is a tensor in a graph, neither true nor false: give both cases to op.Where"),
        (Misspelt(), AttributeError, "'logit'; operators begin with a capital letter"),
        (Unknown(), onnx.checker.ValidationError, "No Op registered for Logit"),
    ],
    ids=repr,
)
def test_own_form_that_is_wrong_is_told_so(loss, error, message):
    with pytest.raises(error, match=message):
        to_onnx(FocalClassifier(xgboost_classifier(), loss).fit(X, Y))


class OfAnotherLoss(NumpyFocalLoss):
    def onnx_log_odds(self, op, margin):
        return margin


@pytest.mark.parametrize("labels", [("a", "b"), ("b", "a")])
def test_own_form_with_other_probabilities(labels):
    model = FocalClassifier(xgboost_classifier(), OfAnotherLoss(), pos_label="b").fit(X, np.array(labels)[Y])
    with pytest.raises(
        ValueError, match=r"the ONNX form of OfAnotherLoss\(\) gives a probability of .* where the loss"
    ):
        to_onnx(model)


@pytest.mark.parametrize(("engine", "name"), [(xgboost_classifier, "xgboost"), (lightgbm_classifier, "lightgbm")])
def test_trees_that_are_read_wrongly(engine, name, monkeypatch):
    model = fitted(engine=engine)
    reader = importlib.import_module(f"gbm_focal.onnx.{name}_trees")
    ensemble_of = reader.ensemble_of

    def without_a_tree(model):
        model = (
            model.get_booster()[:1] if name == "xgboost" else lgb.Booster(model_str=model.booster_.model_to_string(1))
        )
        return ensemble_of(model)

    monkeypatch.setattr(reader, "ensemble_of", without_a_tree)
    with pytest.raises(RuntimeError, match=r"the trees as read give a margin of .* where the model gives"):
        to_onnx(model)


def test_without_onnx():
    printed = run_in_new_process(
        "import importlib, sys\n"
        "import gbm_focal\n"
        "for name in ('onnx', 'skl2onnx'):\n"
        "    sys.modules[name] = None\n"
        "    try: gbm_focal.onnx\n"
        "    except ImportError as error: print(error)\n"
        "    del sys.modules[name]"
    )
    assert printed.count("gbm_focal.onnx needs onnx and skl2onnx: pip install 'gbm_focal[onnx]'") == 2
