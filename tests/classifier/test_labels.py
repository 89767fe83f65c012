"""Labels of any type, and several a row."""

import pickle

import numpy as np
import pandas as pd
import pytest
from engines import both_engines, lightgbm_classifier, xgboost_classifier
from problems import PROBLEMS, labels_problem, rare_positives
from scipy import sparse
from sklearn.metrics import average_precision_score, get_scorer, roc_auc_score

from gbm_focal import AsymmetricLoss, FocalClassifier, FocalLoss


@both_engines
@pytest.mark.parametrize(
    "names", [["no", "yes"], [False, True], [-1, 1], [7, 3], ["b", "a", "d", "c"], [10, 20, 30, 40]], ids=str
)
def test_labels_of_any_type(engine, names):
    X, y = PROBLEMS["binary" if len(names) == 2 else "classes"]()
    y = np.array(names)[y.astype(int)]
    model = FocalClassifier(engine(), FocalLoss(2, "balanced")).fit(X, y)
    np.testing.assert_array_equal(model.classes_, np.unique(y))
    predicted = model.predict(X)
    assert predicted.dtype == y.dtype
    assert set(predicted) == set(names)
    assert model.score(X, y) > 0.5


def test_series_of_objects_and_of_categories_as_labels():
    X, y, _, _ = rare_positives()
    names = np.array(["no", "yes"])[y.astype(int)]
    expected = FocalClassifier(xgboost_classifier()).fit(X, names).predict_proba(X)
    for series in (pd.Series(names, dtype=object), pd.Series(names, dtype="category"), pd.Series(names)):
        np.testing.assert_array_equal(FocalClassifier(xgboost_classifier()).fit(X, series).predict_proba(X), expected)


@both_engines
@pytest.mark.parametrize("strategy", ["one_output_per_tree", "multi_output_tree"])
def test_several_labels(engine, strategy):
    X, Y = labels_problem()
    X_eval, Y_eval = labels_problem(seed=1)
    if engine is lightgbm_classifier and strategy == "multi_output_tree":
        pytest.skip("multi_strategy is XGBoost's")
    estimator = (
        engine(n_estimators=60) if engine is lightgbm_classifier else engine(n_estimators=60, multi_strategy=strategy)
    )
    model = FocalClassifier(estimator, AsymmetricLoss()).fit(
        X, Y, eval_set=[(X_eval, Y_eval)], eval_metric="average_precision"
    )
    for column in range(3):
        score = average_precision_score(Y_eval[:, column], model.predict_proba(X_eval)[:, column])
        assert score > 2 * Y_eval[:, column].mean() * 0.9, column
    name, history = next(iter(next(iter(model.evals_result_.values())).items()))
    sign = -1 if engine is xgboost_classifier else 1
    assert name.endswith("average_precision")
    expected = average_precision_score(Y_eval, model.predict_proba(X_eval))
    assert sign * history[-1] == pytest.approx(expected, rel=1e-6)
    # Two labels are no two classes.
    two = FocalClassifier(engine()).fit(X, Y[:, :2])
    assert two.predict_proba(X).shape == (3000, 2)
    np.testing.assert_allclose(two.predict_proba(X).mean(axis=0), Y[:, :2].mean(axis=0), rtol=1e-3)
    sparse_model = FocalClassifier(engine()).fit(X, sparse.csr_matrix(Y[:, :2]))
    np.testing.assert_array_equal(sparse_model.predict_proba(X), two.predict_proba(X))


@both_engines
def test_two_labels_have_scores_of_both(engine):
    X, Y = labels_problem()
    model = FocalClassifier(engine()).fit(X, Y[:, :2], eval_set=[(X, Y[:, :2])], eval_metric="roc_auc")
    reported = next(iter(next(iter(model.evals_result_.values())).values()))[-1]
    expected = roc_auc_score(Y[:, :2], model.predict_proba(X))
    assert abs(reported) == pytest.approx(expected, rel=1e-6)
    assert get_scorer("roc_auc")(model, X, Y[:, :2]) == pytest.approx(expected, rel=1e-9)
    assert len(pickle.dumps(model)) < 200_000  # the labels are not in it
