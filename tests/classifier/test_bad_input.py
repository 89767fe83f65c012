"""What fit refuses."""

import datetime
import decimal

import numpy as np
import pytest
from engines import both_engines, lightgbm_classifier, patience, xgboost_classifier
from problems import rare_positives
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gbm_focal import FocalClassifier, FocalLoss


@both_engines
@pytest.mark.parametrize("name", ["init_score", "base_margin"])
def test_margins_to_start_from_are_refused(engine, name):
    X, y, _, _ = rare_positives(200)
    with pytest.raises(ValueError, match=f"{name} is not possible"):
        FocalClassifier(engine()).fit(X, y, **{name: np.zeros(200)})


def test_columns_that_abort_lightgbm_are_refused():
    polars, pyarrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    X, y, _, _ = rare_positives(300)
    names = ["u", "v"] * 150
    bad = {
        "String": polars.DataFrame({"a": X[:, 0], "kind": names}),
        "Categorical": polars.DataFrame({"a": X[:, 0], "kind": polars.Series(names, dtype=polars.Categorical)}),
        "Enum": polars.DataFrame({"a": X[:, 0], "kind": polars.Series(names, dtype=polars.Enum(["u", "v"]))}),
        "Date": polars.DataFrame({"a": X[:, 0], "kind": [datetime.date(2026, 1, 1)] * 300}),
        "Decimal": polars.DataFrame({"a": X[:, 0], "kind": [decimal.Decimal("1.5")] * 300}),
        "dictionary": pyarrow.table({"a": X[:, 0], "kind": pyarrow.array(names).dictionary_encode()}),
    }
    for kind, table in bad.items():
        with pytest.raises(ValueError, match=f"'kind' is of type {kind}"):
            FocalClassifier(lightgbm_classifier()).fit(table, y)


@both_engines
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"y": "single"}, ValueError, "single class"),
        ({"y": "short"}, ValueError, "one label for each"),
        ({"loss": "focal"}, TypeError, "give a gbm_focal loss"),
        ({"loss": FocalLoss(-1)}, ValueError, "gamma=-1"),
        ({"max_step": 0}, ValueError, "max_step"),
        ({"hessian": "newton"}, ValueError, "hessian"),
        ({"estimator": "forest"}, TypeError, "XGBClassifier or an LGBMClassifier"),
        ({"weight": -1}, ValueError, "[Nn]egative"),
    ],
    ids=str,
)
def test_bad_input(engine, change, error, message):
    X, y, _, _ = rare_positives(200)
    weight = None if "weight" not in change else np.full(200, change["weight"])
    y = {"single": np.zeros(200), "short": y[:100]}.get(change.get("y"), y)
    parameters = {"estimator": engine(), "loss": FocalLoss()}
    parameters |= {name: value for name, value in change.items() if name not in ("y", "weight")}
    with pytest.raises(error, match=message):
        FocalClassifier(**parameters).fit(X, y, sample_weight=weight)


def test_parameters_of_the_estimator_that_contradict_the_loss():
    X, y, _, _ = rare_positives(200)
    for estimator, message in (
        (xgboost_classifier(scale_pos_weight=5), "alpha"),
        (xgboost_classifier(objective="reg:squarederror"), "contradicts loss"),
        (lightgbm_classifier(class_weight="balanced"), "class_weight to FocalClassifier"),
        (lightgbm_classifier(is_unbalance=True), "alpha"),
        (lightgbm_classifier(scale_pos_weight=5), "alpha"),
        (lightgbm_classifier(objective="cross_entropy"), "contradicts loss"),
        (lightgbm_classifier(boosting_type="rf"), "random forest"),
        (lightgbm_classifier(linear_tree=True), "linear_tree"),
        (lightgbm_classifier(metrics="auc"), "call it metric"),
    ):
        with pytest.raises(ValueError, match=message):
            FocalClassifier(estimator).fit(X, y)


@both_engines
def test_early_stopping_without_rows_to_stop_on(engine):
    X, y, _, _ = rare_positives(300)
    (name,) = patience(engine, 5)
    pipeline = make_pipeline(StandardScaler(), FocalClassifier(engine(**patience(engine, 5))))
    with pytest.raises(
        ValueError,
        match=rf"{name}=5 of the estimator needs rows to stop on: give .*validation_fraction.*STEP__eval_set",
    ):
        pipeline.fit(X, y)
    pipeline.fit(X, y, focalclassifier__eval_set=[(X, y)])
    FocalClassifier(engine(**patience(engine, None))).fit(X, y)
