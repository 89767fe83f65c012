"""The protocol of an engine: a toy one, which knows nothing of XGBoost and LightGBM, through FocalClassifier."""

import json
import sys

import numpy as np
import pytest
from problems import rare_positives
from sklearn.base import BaseEstimator, clone
from sklearn.tree import DecisionTreeRegressor

from gbm_focal import AsymmetricLoss, FocalClassifier, FocalLoss, LinearSchedule, PowerCrossEntropy
from gbm_focal.boosting import ENGINES, BaseMetric, BaseObjective, Engine, Engines, metric_named

X, Y, WEIGHT, _ = rare_positives(3000)
X_VALID, Y_VALID, _, _ = rare_positives(3000, seed=1)


class NewtonTrees(BaseEstimator):
    """What another library would bring: trees whose leaves are Newton steps."""

    def __init__(self, n_estimators=20, learning_rate=0.3, max_depth=3, early_stopping_rounds=None):
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.early_stopping_rounds = early_stopping_rounds


class ToyEngine(Engine):
    name = "toy"
    model_file = "trees.json"

    def trains(self, estimator):
        return isinstance(estimator, NewtonTrees)

    def new_estimator(self, settings):
        return NewtonTrees(**settings)

    def stops_early(self, estimator, fit_params):
        rounds = estimator.early_stopping_rounds
        return None if rounds is None else f"early_stopping_rounds={rounds} of the estimator"

    def fit(self, estimator, X, y, plan, fit_params):
        if plan.totals.kind != "binary":
            raise ValueError(
                f"NewtonTrees knows two classes, and these labels are {plan.totals.kind}: use XGBClassifier"
            )
        model, patience = clone(estimator), estimator.early_stopping_rounds
        (start,) = plan.intercepts()
        objective = BaseObjective(plan.loss, **plan.conditioning).fixed_on(plan.totals, start)
        metric = metric_named(plan.metric, plan.totals.kind)
        of_sets = BaseMetric(plan.loss_after(model.n_estimators), metric)
        sign = -1 if of_sets.greater_is_better else 1
        model.content_, scores = {"start": start, "trees": []}, []
        step = np.zeros(len(y))
        while len(model.content_["trees"]) < model.n_estimators:
            gradient, hessian = objective.derivatives(y, step, plan.sample_weight)
            tree = DecisionTreeRegressor(max_depth=model.max_depth, random_state=0)
            tree = tree.fit(X, -gradient / hessian, sample_weight=hessian).tree_
            arrays = [tree.children_left, tree.children_right, tree.feature, tree.threshold]
            arrays.append(model.learning_rate * tree.value.ravel())
            model.content_["trees"].append([array.tolist() for array in arrays])
            step = self.margin(model, X) - start
            scores += [of_sets.score(y_eval, self.margin(model, X_eval), None) for X_eval, y_eval in plan.eval_set]
            if patience and len(scores) - np.argmin(sign * np.array(scores)) > patience:
                model.best_ = int(np.argmin(sign * np.array(scores)))
                del model.content_["trees"][model.best_ + 1 :]
                break
        model.history_ = {"valid": scores}
        rounds = len(model.content_["trees"])
        objective.released()
        return model, plan.link_after(rounds, lambda: self.margin(model, X))

    def margin(self, model, X):
        X = np.asarray(X, np.float32)
        margin = np.full(len(X), model.content_["start"])
        for tree in model.content_["trees"]:
            left, right, feature, threshold, value = map(np.array, tree)
            node = np.zeros(len(X), int)
            while (inner := left[node] >= 0).any():
                below = np.where(X[np.arange(len(X)), feature[node]] <= threshold[node], left[node], right[node])
                node = np.where(inner, below, node)
            margin += value[node]
        return margin

    def history(self, model):
        return model.history_

    def best_iteration(self, model):
        return getattr(model, "best_", None)

    def to_bytes(self, model):
        return json.dumps(model.content_).encode()

    def from_bytes(self, content, settings):
        model = self.new_estimator(settings)
        model.content_ = json.loads(content)
        return model

    def version(self):
        return "1"


@pytest.fixture
def toy_engine(monkeypatch):
    """Register the engine for one test."""
    monkeypatch.setattr(ENGINES, "_engines", dict(ENGINES._engines))
    ENGINES.register(ToyEngine())


@pytest.mark.usefixtures("toy_engine")
@pytest.mark.parametrize(
    "loss", [FocalLoss(LinearSchedule(0, 2, 10), "balanced"), AsymmetricLoss(), PowerCrossEntropy(2)], ids=repr
)
def test_another_engine_learns_what_the_others_do(loss):
    classifier = FocalClassifier(NewtonTrees(), loss).fit(X, Y, WEIGHT)
    rate = np.average(Y, weights=WEIGHT)
    probability = classifier.predict_proba(X)[:, 1]
    np.testing.assert_allclose(np.average(probability, weights=WEIGHT), rate, rtol=1e-5)
    loss_of_rate = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    found = classifier.predict_log_proba(X_VALID)[np.arange(len(Y_VALID)), Y_VALID.astype(int)]
    assert -found.mean() < 0.9 * loss_of_rate
    np.testing.assert_array_equal(classifier.predict(X), classifier.decision_function(X) > 0)


@pytest.mark.usefixtures("toy_engine")
@pytest.mark.parametrize("metric", [None, "average_precision"])
def test_another_engine_stops_early_and_is_saved(tmp_path, metric):
    trees = NewtonTrees(200, 0.5, 6, early_stopping_rounds=5)
    words = np.where(Y == 1, "yes", "no")
    evaluation = {"eval_set": [(X_VALID, np.where(Y_VALID == 1, "yes", "no"))], "eval_metric": metric}
    classifier = FocalClassifier(trees, FocalLoss(1)).fit(X, words, **evaluation)
    scores = classifier.evals_result_["valid"]
    assert len(scores) < 200
    assert classifier.best_iteration_ == (np.argmin(scores) if metric is None else np.argmax(scores))
    path = tmp_path / "toy.zip"
    classifier.save_model(path)
    loaded = FocalClassifier.load_model(path)
    np.testing.assert_array_equal(loaded.predict_proba(X_VALID), classifier.predict_proba(X_VALID))
    np.testing.assert_array_equal(loaded.predict(X_VALID), classifier.predict(X_VALID))
    assert repr(loaded) == repr(classifier)
    with pytest.raises(ValueError, match="NewtonTrees knows two classes, and these labels are multiclass"):
        FocalClassifier(NewtonTrees()).fit(X, np.arange(len(X)) % 3)
    with pytest.raises(ValueError, match="early_stopping_rounds=5 of the estimator needs rows to stop on"):
        FocalClassifier(trees).fit(X, words)
    with pytest.raises(AttributeError, match="toy defines no importances"):
        _ = loaded.feature_importances_


def test_a_file_of_an_engine_that_is_not_registered(tmp_path, toy_engine, monkeypatch):
    path = tmp_path / "toy.zip"
    FocalClassifier(NewtonTrees(2)).fit(X, Y).save_model(path)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="its engine is 'toy', not xgboost or lightgbm"):
        FocalClassifier.load_model(path)
    with pytest.raises(TypeError, match="NewtonTrees: give an XGBClassifier or an LGBMClassifier"):
        FocalClassifier(NewtonTrees()).fit(X, Y)


@pytest.mark.usefixtures("toy_engine")
def test_the_latest_engine_is_asked_first():
    class Another(ToyEngine):
        name = "another"

    ENGINES.register(Another())
    assert ENGINES.of(NewtonTrees()).name == "another"
    ENGINES.register(ToyEngine())
    assert ENGINES.of(NewtonTrees()).name == "toy"


def test_engines_are_loaded_when_they_are_needed(monkeypatch):
    engines = Engines({"xgboost": "no_such_module", "toy": "neither_this"}, "something")
    engines.register(ToyEngine())
    monkeypatch.setitem(sys.modules, "xgboost", None)  # as if nobody had imported it
    assert engines.of(NewtonTrees()).name == "toy"
    assert engines.first().name == "toy"
    with pytest.raises(ValueError, match=r"its engine is \[\], not xgboost or toy"):
        engines.named([])
    monkeypatch.setitem(sys.modules, "xgboost", sys)  # as if an xgboost that cannot be used had been imported
    assert engines.of(NewtonTrees()).name == "toy"
    with pytest.raises(TypeError, match="estimator_='a model' is a str, which no engine here has made"):
        engines.of_model("a model")
