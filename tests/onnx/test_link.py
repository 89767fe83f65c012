"""The link in ONNX, without trees: margins as far as anybody will have them."""

import json

import numpy as np
import pytest
from instances import NumpyFocalLoss
from onnx_scores import assert_alike, assert_decided_alike, onnx, session_of
from repository import DOCS
from scipy.special import expit, softmax

from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalLoss, PowerCrossEntropy
from gbm_focal.link import Link
from gbm_focal.onnx import Graph, Value
from gbm_focal.onnx.link import add_link

KINDS = {"binary": 1, "multilabel": 3, "multiclass": 4}
TIMES = 10
# Of the training data, and of another population.
RATES = {
    "binary": (0.2, 0.01),
    "multilabel": ([0.2, 0.5, 0.3], [0.9, 0.1, 0.3]),
    "multiclass": ([0.25] * 4, [0.85, 0.05, 0.05, 0.05]),
}


def random_losses(columns, seed):
    """One loss of each family, with weights or without."""
    random = np.random.default_rng(seed)
    alpha = [None, *(tuple(random.uniform(0.02, 0.98, columns).tolist()) for _ in range(2))][seed % 3]
    alpha = alpha[0] if alpha is not None and columns == 1 else alpha
    clip = float(10 ** random.uniform(-4, -0.5))
    return [
        FocalLoss(float(random.uniform(0, 5)), alpha),
        AsymmetricLoss(float(random.uniform(0, 3)), float(random.uniform(0, 5)), clip, alpha),
        AsymmetricLoss(float(random.uniform(0, 3)), float(random.uniform(0, 5)), 0, alpha),
        BalancedCrossEntropy(alpha),
        PowerCrossEntropy(float(10 ** random.uniform(-1, 1)), alpha),
    ]


def margins(columns, n=4000):
    """Over all of -80 to 80, and many where most of them are."""
    random = np.random.default_rng(0)
    z = np.concatenate([np.linspace(-80, 80, n), 3 * random.normal(size=n)]).astype(np.float32)
    return np.column_stack([random.permutation(z) for _ in range(columns)])


def scorer(link, columns):
    """A function from margins to labels and probabilities, by ONNX Runtime."""
    op = Graph()
    label, probabilities = add_link(op, link, Value(op, "margin"), columns)
    op.named(label, "label")
    op.named(probabilities, "probabilities")
    labels = [None, columns] if link.kind == "multilabel" else [None]
    graph = onnx.helper.make_graph(
        op.nodes,
        "link",
        [onnx.helper.make_tensor_value_info("margin", onnx.TensorProto.FLOAT, [None, columns])],
        [
            onnx.helper.make_tensor_value_info("label", onnx.TensorProto.INT64, labels),
            onnx.helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, [None, max(columns, 2)]),
        ],
        op.initializers,
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=7)
    onnx.checker.check_model(model, full_check=True)
    session = session_of(model)
    return lambda margin: session.run(None, {"margin": margin})


@pytest.mark.parametrize("seed", range(TIMES))
@pytest.mark.parametrize("kind", KINDS)
def test_link_is_the_one_of_python(kind, seed):
    columns = KINDS[kind]
    shift = tuple(np.random.default_rng(seed).normal(size=columns).tolist())
    z = margins(columns)
    z = z if columns > 1 else z[:, 0]
    for loss in random_losses(columns, seed):
        link = Link(loss, shift, kind)
        label, probabilities = scorer(link, columns)(z.reshape(-1, columns))
        for margin in (z, z.astype(np.float64)):
            assert_alike(probabilities, link.probabilities(margin))
            assert_decided_alike(label, link.classes(margin), link.decision(margin))
        if kind == "binary":
            odds = loss.log_odds(z.astype(np.float64)) + shift
            assert_alike(probabilities, np.column_stack([expit(-odds), expit(odds)]), relative=1e-6)


@pytest.mark.parametrize("follows", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_another_population(kind, follows):
    columns = KINDS[kind]
    z = margins(columns)
    z = z if columns > 1 else z[:, 0]
    trained, used = RATES[kind]
    rates = tuple(np.atleast_1d(trained).tolist())
    for loss in random_losses(columns, 1):
        link = Link(loss, (0.5,) * columns, kind, rates, rates, follows).at_base_rate(used)
        label, probabilities = scorer(link, columns)(z.reshape(-1, columns))
        assert_alike(probabilities, link.probabilities(z))
        assert_decided_alike(label, link.classes(z), link.decision(z))


def test_vectors_of_the_specification():
    for case in json.loads((DOCS / "link_vectors.json").read_text(encoding="utf-8"))["cases"]:
        link = Link.from_json(json.dumps(case["link"]))
        z = np.array(case["margins"], np.float32)
        np.testing.assert_array_equal(z, case["margins"])
        label, probabilities = scorer(link, z.shape[1])(z)
        expected = np.array(case["probabilities"])
        assert_alike(probabilities[:, -expected.shape[1] :], expected, relative=1e-6)
        np.testing.assert_array_equal(label.reshape(len(z), -1), case["decisions"])


@pytest.mark.parametrize("kind", KINDS)
def test_margins_beyond_all_bounds_have_probabilities(kind):
    columns = KINDS[kind]
    far = np.array([0, 90, 700, 1e4, 3e38], np.float32)
    z = np.concatenate([far, -far])
    z = z[:, np.newaxis] if columns == 1 else np.column_stack([np.roll(z, k) for k in range(columns)])
    for loss in [*random_losses(columns, 1), FocalLoss(0), FocalLoss(100), AsymmetricLoss(0, 0, 0.2)]:
        _, probabilities = scorer(Link(loss, (0.5,) * columns, kind), columns)(z)
        assert np.all((probabilities >= 0) & (probabilities <= 1))
        if kind != "multilabel":
            np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
        if kind == "binary":
            assert np.all(np.diff(probabilities[np.argsort(z[:, 0]), 1]) >= 0)


def test_edge_of_the_dead_zone():
    loss = AsymmetricLoss(1, 0.5, 0.05)
    edge = np.float32(np.log(0.05 / 0.95))
    steps = np.arange(-30, 31) * np.spacing(edge)
    z = np.concatenate([edge + steps, edge + np.linspace(-1e-3, 1e-3, 101)]).astype(np.float32)
    _, probabilities = scorer(Link.bare(loss), 1)(z[:, np.newaxis])
    np.testing.assert_allclose(probabilities[:, 1], loss.posterior(z.astype(np.float64)), rtol=1e-6)


def test_classes_whose_posteriors_have_all_vanished():
    z = np.array([[-9e3, -9e3, -9e3], [-801, -800, -802]], np.float32)
    _, probabilities = scorer(Link.bare(PowerCrossEntropy(10), "multiclass"), 3)(z)
    np.testing.assert_allclose(probabilities, softmax(z, axis=1), rtol=1e-6)


class OwnFocalLoss(NumpyFocalLoss):
    """With the same formula in ONNX as well."""

    def onnx_log_odds(self, op, margin):
        tail = op.Exp(-op.Abs(margin))
        p = op.Where(margin > 0, 1.0, tail) / (1 + tail)
        q = 1.0 - p
        n, m = -op.Log(p), -op.Log(q)
        slope_1, slope_0 = (
            q**self.gamma * (self.gamma * p * n + q),
            p**self.gamma * (self.gamma * q * m + p),
        )
        return op.Log(slope_0 / slope_1)


@pytest.mark.parametrize("kind", KINDS)
def test_own_loss_with_an_onnx_form(kind):
    columns = KINDS[kind]
    z = margins(columns)
    z = z[np.all(np.abs(z) < 20, axis=1)]
    alpha = (0.3, 0.8, 0.6, 0.5)[:columns] if columns > 1 else 0.3
    link = Link(OwnFocalLoss(2.0, alpha), (0.5,), kind)
    label, probabilities = scorer(link, columns)(z)
    margin = z.astype(np.float64) if columns > 1 else z[:, 0].astype(np.float64)
    assert_alike(probabilities, link.probabilities(margin))
    np.testing.assert_array_equal(label, link.classes(margin))
