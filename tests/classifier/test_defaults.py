"""Parameters of the default loss and engine, and weights of evaluation sets by the users' labels."""

import numpy as np
import pytest
from problems import rare_positives
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from gbm_focal import FocalClassifier, FocalLoss

X, Y, _, _ = rare_positives(1500)
X_VALID, Y_VALID, _, _ = rare_positives(1500, seed=1)


def both_engines(function):
    return pytest.mark.parametrize("engine", ["xgboost", "lightgbm"])(function)


def estimator_of(engine, **parameters):
    if engine == "xgboost":
        return pytest.importorskip("xgboost").XGBClassifier(n_estimators=30, n_jobs=1, **parameters)
    return pytest.importorskip("lightgbm").LGBMClassifier(n_estimators=30, n_jobs=1, verbosity=-1, **parameters)


def test_parameters_of_what_was_not_given_are_reached():
    xgb = pytest.importorskip("xgboost")
    classifier = FocalClassifier().set_params(loss__gamma=1, estimator__max_depth=2, max_step=1.0)
    assert repr(classifier.loss) == "FocalLoss(gamma=1)"
    assert isinstance(classifier.estimator, xgb.XGBClassifier)
    assert (classifier.estimator.max_depth, classifier.max_step) == (2, 1.0)
    assert FocalClassifier().set_params(loss=FocalLoss(3), loss__alpha=0.3).loss.get_params()["gamma"] == 3
    assert repr(FocalClassifier(loss=FocalLoss(1)).set_params(loss=None, loss__gamma=3).loss) == "FocalLoss(gamma=3)"
    assert FocalClassifier().loss is None
    assert clone(FocalClassifier()).set_params().loss is None
    with pytest.raises(ValueError, match="no_such"):
        FocalClassifier().set_params(loss__no_such=1)


def test_a_search_over_the_default_loss():
    search = GridSearchCV(FocalClassifier(), {"loss__gamma": [0, 2], "estimator__n_estimators": [3]}, cv=2)
    search.fit(X, Y)
    assert search.best_estimator_.loss_.gamma == search.best_params_["loss__gamma"]
    assert search.best_estimator_.estimator_.get_booster().num_boosted_rounds() == 3


@both_engines
@pytest.mark.parametrize("labels", [np.array([0, 1]), np.array(["ok", "spam"]), np.array([7, 3])], ids=str)
def test_class_weights_of_evaluation_sets_are_by_label(engine, labels):
    y, y_valid = labels[Y.astype(int)], labels[Y_VALID.astype(int)]
    by_label = {labels[1].item(): 5.0, labels[0].item(): 0.5}
    weight = np.where(Y_VALID == 1, 5.0, 0.5)
    given = np.linspace(0.5, 2, len(Y_VALID))
    stopping = {"early_stopping_rounds" if engine == "xgboost" else "early_stopping_round": 3}
    classifier = FocalClassifier(estimator_of(engine, **stopping))

    def fitted(**weights):
        return clone(classifier).fit(X, y, eval_set=[(X_VALID, y_valid)], **weights)

    by_class = fitted(eval_class_weight=[by_label])
    assert by_class.evals_result_ == fitted(eval_sample_weight=[weight]).evals_result_
    assert by_class.evals_result_ != fitted().evals_result_
    both = fitted(eval_class_weight=[by_label], eval_sample_weight=[given])
    assert both.evals_result_ == fitted(eval_sample_weight=[weight * given]).evals_result_
    assert fitted(eval_class_weight=[None]).evals_result_ == fitted().evals_result_
    for wrong in ("balanced", by_label, {0: by_label}, [by_label] * 2):
        with pytest.raises(ValueError, match=f"eval_class_weight is a {type(wrong).__name__}.* each of the 1 sets"):
            fitted(eval_class_weight=wrong)
