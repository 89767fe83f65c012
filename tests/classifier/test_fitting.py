"""What fit takes, and what it leaves behind."""

import numpy as np
import pandas as pd
import pytest
from engines import both_engines, patience, xgboost_classifier
from lightgbm_data import LIGHTGBM_VERSION, estimators_ask_for_names
from problems import rare_positives
from programs import run_in_new_process
from scipy import sparse
from sklearn.metrics import log_loss

from gbm_focal import BalancedCrossEntropy, FocalClassifier

xgb = pytest.importorskip("xgboost")


@both_engines
def test_class_weight_is_a_sample_weight(engine):
    X, y, w, _ = rare_positives()
    by_class = FocalClassifier(engine(), class_weight={0: 1, 1: 5}).fit(X, y, sample_weight=w)
    by_sample = FocalClassifier(engine()).fit(X, y, sample_weight=w * np.where(y == 1, 5, 1))
    np.testing.assert_allclose(by_class.predict_proba(X), by_sample.predict_proba(X), rtol=1e-6)
    plain = FocalClassifier(engine()).fit(X, y, sample_weight=w)
    assert by_class.predict_proba(X)[:, 1].mean() > 2 * plain.predict_proba(X)[:, 1].mean()
    balanced = FocalClassifier(engine(), class_weight="balanced").fit(X, y)
    np.testing.assert_allclose(
        np.average(
            balanced.predict_proba(X)[:, 1], weights=np.where(y == 1, len(y) / y.sum(), len(y) / (len(y) - y.sum()))
        ),
        0.5,
        rtol=1e-3,
    )


def test_without_an_estimator_the_first_engine_is_taken():
    X, y, _, _ = rare_positives()
    assert isinstance(FocalClassifier().fit(X, y).estimator_, xgb.XGBClassifier)
    code = (
        "import sys; sys.modules['xgboost'] = None\n"
        "import numpy as np; from gbm_focal import FocalClassifier\n"
        "random = np.random.default_rng(0); X = random.normal(size=(500, 3)); y = X[:, 0] > 1\n"
        "print(type(FocalClassifier().fit(X, y).estimator_).__name__, 'xgboost' in repr(sys.modules['xgboost']))"
    )
    assert "LGBMClassifier" in run_in_new_process(code)


@both_engines
def test_every_kind_of_table_predicts_the_same(engine):
    X, y, _, _ = rare_positives(1500)
    X = X.astype(np.float32)
    frame = pd.DataFrame(X, columns=list("abcdef"))
    expected = FocalClassifier(engine()).fit(X, y).predict_proba(X)
    tables = [X.tolist(), sparse.csr_matrix(X), sparse.csc_matrix(X), frame, frame.astype("Float32")]
    pyarrow = pytest.importorskip("pyarrow")
    arrow = pyarrow.Table.from_pandas(frame)
    if engine is xgboost_classifier or LIGHTGBM_VERSION >= (4, 7):
        tables.append(arrow)
    else:
        with pytest.raises(TypeError, match="give a pandas data frame, or install"):
            FocalClassifier(engine()).fit(arrow, y)
    if engine is xgboost_classifier:  # LightGBM refuses both, with an error that says so
        tables.append(frame.astype(pd.ArrowDtype(pyarrow.float32())))
        tables.append(pytest.importorskip("polars").from_pandas(frame))
    for table in tables:
        model = FocalClassifier(engine()).fit(table, y)
        np.testing.assert_allclose(model.predict_proba(table), expected, atol=1e-5, err_msg=type(table).__name__)


@estimators_ask_for_names
@both_engines
def test_continued_training_goes_on(engine):
    X, y, _, _ = rare_positives(2000)
    continued_by = "xgb_model" if engine is xgboost_classifier else "init_model"
    first = FocalClassifier(engine(n_estimators=200, learning_rate=0.5, **patience(engine, 3)))
    first.fit(X[:1000], y[:1000], eval_set=[(X[1000:], y[1000:])])
    model = FocalClassifier(engine(n_estimators=5, learning_rate=0.5))
    model.fit(X[:1000], y[:1000], **{continued_by: first.estimator_})
    assert model.best_iteration_ is None
    assert log_loss(y[:1000], model.predict_proba(X[:1000])) < 0.98 * log_loss(y[:1000], first.predict_proba(X[:1000]))
    margin = first.estimator_.predict(
        X, **({"output_margin": True} if engine is xgboost_classifier else {"raw_score": True})
    )
    assert np.abs(margin).max() < 50


@both_engines
def test_a_failed_fit_leaves_the_model_as_it_was(engine):
    X, y, _, _ = rare_positives(500)
    model = FocalClassifier(engine()).fit(X, y)
    before = model.predict(X)
    with pytest.raises(TypeError):
        model.fit(X, np.where(y == 1, "z", "q"), no_such_argument=1)
    np.testing.assert_array_equal(model.predict(X), before)


@both_engines
def test_the_booster_knows_the_link_of_the_classifier(engine):
    X, y, _, _ = rare_positives(1500)
    model = FocalClassifier(engine(), BalancedCrossEntropy()).fit(X, y)
    if engine is xgboost_classifier:
        from gbm_focal.xgboost import predict_proba

        booster = model.estimator_.get_booster()
    else:
        from gbm_focal.lightgbm import predict_proba

        booster = model.estimator_.booster_
    np.testing.assert_allclose(predict_proba(booster, X), model.predict_proba(X), rtol=1e-6)


@both_engines
def test_a_fit_without_splits_warns(engine):
    X, y, _, _ = rare_positives(500)
    with pytest.warns(RuntimeWarning, match="without a single split"):
        model = FocalClassifier(engine(min_child_weight=1e6)).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], y.mean(), rtol=1e-5)
