"""What a model in ONNX says, and whether it is what the model itself says."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
skl2onnx = pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")

ABSOLUTE, RELATIVE, SMALL = 1e-5, 1e-4, 1e-12  # how far probabilities may differ; relative above SMALL


def session_of(graph):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


def scores(graph, X):
    """Labels and probabilities of ONNX Runtime."""
    return session_of(graph).run(None, {"X": np.asarray(X, np.float32)})


def assert_alike(probabilities, expected, relative=RELATIVE):
    """Compare probabilities with those of Python."""
    assert probabilities.dtype == np.float32
    assert probabilities.shape == expected.shape
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=ABSOLUTE)
    seen = expected > SMALL
    np.testing.assert_allclose(probabilities[seen], expected[seen], rtol=relative)


def assert_decided_alike(label, expected, decision):
    """Compare labels with those of Python; within 1e-6 of its decision a row may go either way."""
    if decision.ndim > label.ndim:
        first, second = np.sort(decision)[:, [-1, -2]].T
        decision = first - second
    clear = np.abs(decision) > 1e-6
    assert clear.mean() > 0.99
    assert label.shape == expected.shape
    np.testing.assert_array_equal(label[clear], expected[clear])


def assert_scores_of(classifier, graph, X):
    """Probabilities and labels are those of a fitted classifier."""
    label, probabilities = scores(graph, X)
    assert_alike(probabilities, classifier.predict_proba(X))
    assert_decided_alike(label, classifier.predict(X), classifier.decision_function(X))
