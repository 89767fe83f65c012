"""Pipelines of scikit-learn that end in a FocalClassifier, by skl2onnx."""

import numpy as np
import pytest
from engines import both_engines, xgboost_classifier
from onnx_scores import assert_decided_alike, session_of, skl2onnx
from problems import PROBLEMS
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import gbm_focal.onnx  # noqa: F401  (tells skl2onnx)
from gbm_focal import FocalClassifier, FocalLoss

pandas = pytest.importorskip("pandas")

NAMES = list("abcdef")


def frame_of(kind="binary"):
    X, y = PROBLEMS[kind]()
    frame = pandas.DataFrame(X.astype(np.float32), columns=NAMES)
    frame.loc[::7, "a"] = np.nan
    frame["kind"] = np.random.default_rng(0).choice(["x", "y", "z"], len(frame))
    return frame, y.astype(int)


def pipeline(classifier):
    columns = make_column_transformer(
        (OneHotEncoder(), ["kind"]), (SimpleImputer(strategy="median"), ["a", "b"]), ("passthrough", NAMES[2:])
    )
    return make_pipeline(columns, classifier)


def scores(graph, frame):
    session = session_of(graph)
    return session.run(None, {entry.name: frame[[entry.name]].to_numpy() for entry in session.get_inputs()})


@both_engines
@pytest.mark.parametrize("kind", PROBLEMS)
def test_pipeline_with_columns_of_all_kinds(engine, kind):
    frame, y = frame_of(kind)
    labels = y if kind == "labels" else np.array(["ok", "fraud", "fault", "odd"])[y]
    pos_label = "fraud" if kind == "binary" else None
    model = pipeline(FocalClassifier(engine(), FocalLoss(2, "balanced"), pos_label=pos_label)).fit(frame, labels)
    label, probabilities = scores(skl2onnx.to_onnx(model, frame[:1], options={"zipmap": False}), frame)
    np.testing.assert_allclose(probabilities, model.predict_proba(frame), rtol=0, atol=1e-5)
    assert_decided_alike(label, model.predict(frame), model.decision_function(frame))


def test_probabilities_by_name():
    frame, y = frame_of()
    model = pipeline(FocalClassifier(xgboost_classifier())).fit(frame, np.array(["ok", "fraud"])[y])
    expected = model.predict_proba(frame)
    label, by_name = scores(skl2onnx.to_onnx(model, frame[:1]), frame)
    np.testing.assert_array_equal(label, model.predict(frame))
    np.testing.assert_allclose([row["fraud"] for row in by_name], expected[:, 0], atol=1e-5)
    label, fraud, ok = scores(skl2onnx.to_onnx(model, frame[:1], options={"zipmap": "columns"}), frame)
    np.testing.assert_allclose(np.column_stack([fraud, ok]), expected, atol=1e-5)
    options = {id(model[-1]): {"nocl": True, "zipmap": False}}
    label, _ = scores(skl2onnx.to_onnx(model, frame[:1], options=options), frame)
    np.testing.assert_array_equal(label, model.predict(frame) == "ok")


def test_classifier_on_its_own_in_double():
    X, y = PROBLEMS["binary"]()
    X = X.astype(np.float32).astype(np.float64)
    model = FocalClassifier(xgboost_classifier()).fit(X, y.astype(int))
    graph = skl2onnx.to_onnx(model, X[:1], options={"zipmap": False}, target_opset={"": 17, "ai.onnx.ml": 3})
    _, probabilities = session_of(graph).run(None, {"X": X})
    np.testing.assert_allclose(probabilities, model.predict_proba(X), rtol=0, atol=1e-5)


def test_bad_input():
    frame, y = frame_of("labels")
    model = pipeline(FocalClassifier(xgboost_classifier())).fit(frame, y)
    with pytest.raises(ValueError, match=r"3 labels a row are no dictionary by class: give options={'zipmap': False}"):
        skl2onnx.to_onnx(model, frame[:1])
    with pytest.raises(ValueError, match="target_opset=12 is too old: give 13 or a later one"):
        skl2onnx.to_onnx(model, frame[:1], options={"zipmap": False}, target_opset=12)
