"""Rows held out to stop on, and validation data under scikit-learn's names."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from engines import both_engines, lightgbm_classifier, patience, xgboost_classifier
from problems import PROBLEMS, labels_problem, rare_positives
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_predict, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from gbm_focal import FocalClassifier, FocalLoss

xgb = pytest.importorskip("xgboost")
lgb = pytest.importorskip("lightgbm")

X, Y, W, _ = rare_positives(3000)


def stopping(engine, **parameters):
    """A classifier that stops early on rows of its own."""
    estimator = engine(n_estimators=80, learning_rate=0.5, **patience(engine, 4))
    return FocalClassifier(estimator, FocalLoss(2), **{"validation_fraction": 0.25, "random_state": 0, **parameters})


@both_engines
def test_it_is_the_fit_by_hand(engine):
    rows, held = map(np.sort, train_test_split(np.arange(3000), test_size=0.25, stratify=Y, random_state=0))
    by_itself = stopping(engine).fit(X, Y, W)
    by_hand = stopping(engine).fit(
        X[rows], Y[rows], W[rows], eval_set=[(X[held], Y[held])], eval_sample_weight=[W[held]]
    )
    assert 0 < by_itself.best_iteration_ == by_hand.best_iteration_ < 79
    np.testing.assert_array_equal(by_itself.predict_proba(X), by_hand.predict_proba(X))
    assert by_itself.base_rate_ == pytest.approx(np.average(Y[rows], weights=W[rows]))


@both_engines
@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_kind_and_form_of_rows(engine, problem):
    X, y = PROBLEMS[problem]()
    fitted = stopping(engine, validation_fraction=0.4).fit(X, y)
    assert fitted.best_iteration_ < 79
    if problem == "binary":
        for form in (pd.DataFrame, scipy.sparse.csr_matrix, np.asfortranarray, list):
            other = stopping(engine, validation_fraction=0.4).fit(form(X), y)
            assert other.best_iteration_ == fitted.best_iteration_


@pytest.mark.parametrize("problem", ["binary", "classes"])
def test_each_class_has_its_share(problem, monkeypatch):
    X, y = PROBLEMS[problem]()
    seen = {}
    fit = xgb.XGBClassifier.fit

    def watched(self, X, y, **kwargs):
        seen["training"], seen["validation"] = y, kwargs["eval_set"][0][1]
        return fit(self, X, y, **kwargs)

    monkeypatch.setattr(xgb.XGBClassifier, "fit", watched)
    stopping(xgboost_classifier).fit(X, y)
    whole, part = np.bincount(y.astype(int)), np.bincount(seen["validation"].astype(int))
    np.testing.assert_array_equal(np.bincount(seen["training"].astype(int)) + part, whole)
    assert np.all(np.abs(part - 0.25 * whole) <= 1)


def test_nothing_is_held_out_without_need():
    plain = FocalClassifier(xgboost_classifier(), FocalLoss(2)).fit(X, Y)
    given = stopping(xgboost_classifier)
    for model in (
        clone(given).set_params(estimator__early_stopping_rounds=None, estimator__n_estimators=15),
        clone(given).set_params(estimator=xgboost_classifier()),
    ):
        assert model.fit(X, Y).evals_result_ == {}
    np.testing.assert_array_equal(model.predict_proba(X), plain.predict_proba(X))
    assert given.fit(X, Y, eval_set=[(X[:500], Y[:500])]).base_rate_ == pytest.approx(Y.mean())


def test_callbacks_ask_for_early_stopping_as_well():
    callback = xgb.callback.EarlyStopping(rounds=4)
    by_callback = FocalClassifier(
        xgboost_classifier(n_estimators=80, learning_rate=0.5, callbacks=[callback]),
        FocalLoss(2),
        validation_fraction=0.25,
        random_state=0,
    )
    assert by_callback.fit(X, Y).best_iteration_ == stopping(xgboost_classifier).fit(X, Y).best_iteration_
    model = FocalClassifier(lightgbm_classifier(n_estimators=80, learning_rate=0.5), validation_fraction=0.25)
    model.fit(X, Y, callbacks=[lgb.early_stopping(4, verbose=False)])
    assert model.best_iteration_ < 79
    with pytest.raises(ValueError, match="early_stopping among the callbacks needs rows"):
        model.set_params(validation_fraction=None).fit(X, Y, callbacks=[lgb.early_stopping(4, verbose=False)])


@both_engines
def test_searches_pipelines_and_cross_validation(engine):
    model = make_pipeline(StandardScaler(), stopping(engine))
    search = GridSearchCV(model, {"focalclassifier__loss__gamma": [0, 2]}, cv=2, scoring="average_precision").fit(X, Y)
    assert 0 < search.best_estimator_[-1].best_iteration_ < 79
    probability = cross_val_predict(model, X, Y, cv=2, method="predict_proba")
    assert probability[Y == 1, 1].mean() > 2 * probability[Y == 0, 1].mean()


@both_engines
def test_validation_data_go_through_a_pipeline(engine):
    train, valid = slice(0, 2000), slice(2000, None)
    scaler = StandardScaler().fit(X[train])
    expected = stopping(engine).fit(
        scaler.transform(X[train]), Y[train], eval_set=[(scaler.transform(X[valid]), Y[valid])]
    )
    with config_context(enable_metadata_routing=True):
        classifier = stopping(engine).set_fit_request(X_val=True, y_val=True)
        model = Pipeline([("scale", StandardScaler()), ("fit", classifier)], transform_input=["X_val"])
        model.fit(X[train], Y[train], X_val=X[valid], y_val=Y[valid])
    np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(scaler.transform(X)))
    weighted = stopping(engine).fit(X[train], Y[train], X_val=X[valid], y_val=Y[valid], sample_weight_val=W[valid])
    again = stopping(engine).fit(X[train], Y[train], eval_set=[(X[valid], Y[valid])], eval_sample_weight=[W[valid]])
    assert weighted.evals_result_ == again.evals_result_


def test_it_is_saved(tmp_path):
    model = stopping(xgboost_classifier).fit(X, Y)
    model.save_model(tmp_path / "model.zip")
    loaded = FocalClassifier.load_model(tmp_path / "model.zip")
    assert (loaded.validation_fraction, loaded.random_state) == (0.25, 0)
    model.set_params(random_state=np.random.RandomState(0))
    with pytest.warns(UserWarning, match="not stored, because JSON cannot hold them: random_state"):
        model.save_model(tmp_path / "other.zip")


def test_bad_input():
    model = stopping(xgboost_classifier)
    few = np.zeros(100)
    few[:4] = 1
    with pytest.raises(ValueError, match=r"fewer than 2 rows of class 1\.0, which has 4 rows"):
        model.fit(X[:100], few)
    few[:40] = 1
    with pytest.warns(UserWarning, match=r"holds out 10 rows of class 1\.0, and below 20"):
        model.fit(X[:100], few)
    named = np.where(few == 1, "fraud", "ok")
    with pytest.warns(UserWarning, match="holds out 10 rows of class 'fraud'"):
        clone(model).set_params(pos_label="fraud").fit(X[:100], named)
    labels = np.column_stack([few, np.arange(100) < 3])
    with pytest.raises(ValueError, match="fewer than 2 rows of label 1 in column 1, which has 3 rows"):
        model.fit(X[:100], labels)
    for fraction in (0, 1, -0.1, np.nan):
        with pytest.raises(ValueError, match=r"validation_fraction=.* is out of range"):
            stopping(xgboost_classifier, validation_fraction=fraction).fit(X, Y)
    with pytest.raises(ValueError, match="give X_val and y_val, both of them"):
        model.fit(X, Y, X_val=X)
    with pytest.raises(ValueError, match="give X_val and y_val, both of them, or eval_set"):
        model.fit(X, Y, eval_set=[(X, Y)], X_val=X, y_val=Y)
    with pytest.raises(ValueError, match="sample_weight_val weighs X_val and y_val"):
        model.fit(X, Y, sample_weight_val=W)
    for name in ("eval_sample_weight", "sample_weight_eval_set"):
        with pytest.raises(ValueError, match="give the weights of X_val as sample_weight_val"):
            model.fit(X, Y, X_val=X, y_val=Y, **{name: [W]})
    with pytest.raises(ValueError, match="are one argument: give it once"):
        model.fit(X, Y, eval_set=[(X, Y)], eval_sample_weight=[W], sample_weight_eval_set=[W])


def test_rare_labels_lie_in_both_parts():
    X, y = labels_problem()
    model = stopping(xgboost_classifier, validation_fraction=0.5).fit(X, y)
    np.testing.assert_allclose(model.base_rate_, y.mean(axis=0), rtol=0.15)
