"""Models as ONNX: trees and link in one graph, on its own or as a part of a scikit-learn pipeline."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator
from sklearn.utils.validation import check_is_fitted

from .. import __version__
from .._inputs import Array
from ..classifier import FocalClassifier
from ..link import Link
from .graph import FLOAT, INT64, STRING, Graph, Value
from .link import add_link
from .trees import Ensemble

# The oldest with all operators, and so the default: what reads a newer one reads it as well.
OLDEST_OPSET = 13
TREES_OPSET = 1  # of the domain ai.onnx.ml
_ROWS = 20  # that must agree with the model; 1,000 trees take a second


@dataclass(frozen=True)
class Scorer:
    """A fitted model as ONNX sees it: trees, link, and the users' labels."""

    trees: Ensemble
    link: Link
    classes: Any = None  # ndarray of int64 or object; None: 0 to K - 1, or several labels a row
    first_is_positive: bool = False

    @property
    def labels(self) -> int:
        """How many labels a row has."""
        return self.trees.columns if self.link.kind != "multiclass" else 1

    @property
    def label_type(self) -> int:
        """ONNX's type of the labels."""
        return INT64 if self.classes is None or self.classes.dtype == np.int64 else STRING

    @property
    def probabilities(self) -> int:
        """How many probabilities a row has."""
        return max(self.trees.columns, 2) if self.labels == 1 else self.labels

    def add_to(self, op: Graph, X: Value) -> tuple[Value, Value, Value]:
        """Add labels, probabilities and margins of rows of float32."""
        margin = self.trees.add_to(op, X)
        columns = self.trees.columns
        added = add_link(op, self.link, margin, columns, self.classes, first_is_positive=self.first_is_positive)
        return *added, margin

    def as_model(self, opset: int, *, with_margin: bool = False) -> onnx.ModelProto:
        """Return a model of its own."""
        op = Graph()
        values = self.add_to(op, Value(op, "X"))
        outputs = [
            helper.make_tensor_value_info("label", self.label_type, [None, *([self.labels] * (self.labels > 1))]),
            helper.make_tensor_value_info("probabilities", FLOAT, [None, self.probabilities]),
            helper.make_tensor_value_info("margin", FLOAT, [None, self.trees.columns]),
        ]
        outputs = outputs if with_margin else outputs[:2]
        for value, output in zip(values, outputs, strict=False):
            op.named(value, output.name)
        inputs = [helper.make_tensor_value_info("X", FLOAT, [None, self.trees.features])]
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", TREES_OPSET)]
        model = helper.make_model(
            helper.make_graph(op.nodes, "gbm_focal", inputs, outputs, op.initializers),
            opset_imports=opsets,
            ir_version=helper.find_min_ir_version_for(opsets),
            producer_name="gbm_focal",
            producer_version=__version__,
        )
        onnx.checker.check_model(model, full_check=True)  # finds what a form of the user's own has wrong
        return model


def to_onnx(model: Any, *, target_opset: int | None = None) -> onnx.ModelProto:
    """Turn a fitted model into ONNX, which scores where neither gbm_focal nor an engine is installed.

    The model has one input ``X``, float32 of shape (n, features), in which NaN is a missing value and a category is
    its code, and two outputs. ``label`` is what `predict` returns, (n,), or (n, L) for several labels a row;
    ``probabilities`` is what `predict_proba` returns, float32 of shape (n, K), or (n, L) for several labels a row. The
    trees add up float32, and the link computes in float64.

    Parameters
    ----------
    model : FocalClassifier, xgboost.Booster or lightgbm.Booster
        Boosters are those of `gbm_focal.xgboost.train` and `gbm_focal.lightgbm.train`, whose labels are numbers from
        0. What early stopping has dropped is not in the graph.
    target_opset : int, optional
        Version of ONNX's operators, by default 13, the oldest that has all that is needed.

    Returns
    -------
    onnx.ModelProto
        ``onnx.save(model, path)`` writes it.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the classifier is not fitted.
    TypeError
        If the model is none of these, or its labels are neither integers nor strings.
    ValueError
        If the booster does not know its loss, or ONNX cannot hold it (linear boosters), or its loss has no ONNX form.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from gbm_focal import FocalClassifier
    >>> from gbm_focal.onnx import to_onnx
    >>> X, y = make_classification(500, weights=[0.9], random_state=0)
    >>> graph = to_onnx(FocalClassifier().fit(X, y))
    >>> [output.name for output in graph.graph.output]
    ['label', 'probabilities']
    """
    newest = onnx.defs.onnx_opset_version()
    opset = OLDEST_OPSET if target_opset is None else target_opset
    whole = isinstance(opset, int | np.integer) and not isinstance(opset, bool)
    if not whole or not OLDEST_OPSET <= opset <= newest:
        raise ValueError(
            f"target_opset={target_opset!r} is not supported: give a whole number from {OLDEST_OPSET} to {newest}, the "
            f"newest that onnx {onnx.__version__} knows, or None"
        )
    return scorer_of(model).as_model(int(opset))


def scorer_of(model: Any) -> Scorer:
    """Return a fitted model as ONNX sees it, once that agrees with the model on rows that try its trees."""
    if isinstance(model, FocalClassifier):
        check_is_fitted(model)
        fitted, link = model.estimator_, model.link_
        classes = None if link.kind == "multilabel" else _labels(model.classes_)
        labels: dict[str, Any] = {"classes": classes, "first_is_positive": model._first_is_positive}
    elif type(model).__name__ == "Booster":
        fitted, labels = model, {}
        link = importlib.import_module(f"gbm_focal.{_engine_of(model)}").link_of(model)
    else:
        raise TypeError(
            f"model is a {type(model).__name__}: give a FocalClassifier, or a Booster of gbm_focal.xgboost.train or "
            "gbm_focal.lightgbm.train; scikit-learn's pipelines go to skl2onnx.to_onnx"
        )
    reader = importlib.import_module(f".{_engine_of(fitted)}_trees", __package__)
    scorer = Scorer(reader.ensemble_of(fitted), link, **labels)
    rows = scorer.trees.rows_on_thresholds(_ROWS)
    _require_agreement(scorer, rows, reader.margins_of(fitted, rows))
    return scorer


def _require_agreement(scorer: Scorer, rows: Array, margins: Array) -> None:
    """Raise if trees or link in ONNX say something else than in Python.

    Engines change how they store trees (XGBoost 3.4 moved the weights of dart), and losses may be the user's own.
    """
    evaluator = ReferenceEvaluator(scorer.as_model(OLDEST_OPSET, with_margin=True))
    with np.errstate(all="ignore"):  # of values that Where leaves out
        _, *outputs = evaluator.run(None, {"X": rows})
    probabilities, read = np.asarray(outputs[0]), np.reshape(outputs[1], margins.shape)
    if not np.allclose(read, margins, rtol=1e-4, atol=1e-4):
        worst = np.unravel_index(np.argmax(np.abs(read - margins)), margins.shape)
        raise RuntimeError(
            f"the trees as read give a margin of {read[worst]} where the model gives {margins[worst]}, so this version "
            "of its library stores them in a way that is not known here: please report it"
        )
    expected = scorer.link.probabilities(read.astype(np.float64))
    if scorer.first_is_positive:
        expected = expected[:, ::-1]
    if not np.allclose(probabilities, expected, rtol=1e-3, atol=1e-6):
        worst = np.unravel_index(np.argmax(np.abs(probabilities - expected)), expected.shape)
        raise ValueError(
            f"the ONNX form of {scorer.link.loss!r} gives a probability of {probabilities[worst]} where the loss gives "
            f"{expected[worst]}, at margin {read[worst[0]]}: mend onnx_log_odds"
        )


def _engine_of(fitted: Any) -> str:
    packages = {kind.__module__.partition(".")[0] for kind in type(fitted).__mro__}
    for engine in ("xgboost", "lightgbm"):
        if engine in packages:
            return engine
    raise TypeError(
        f"a {type(fitted).__name__} is neither of XGBoost nor of LightGBM, whose trees alone are known here"
    )


def _labels(classes: Any) -> Any:
    """Return the users' labels in a type that ONNX has."""
    if classes.dtype.kind in "iu" and classes.max() <= np.iinfo(np.int64).max:
        return classes.astype(np.int64)
    if all(isinstance(label, str) for label in classes.tolist()):
        return np.array(classes.tolist(), dtype=object)
    raise TypeError(
        f"the labels {classes.tolist()} are of type {classes.dtype}, which models in ONNX do not return: fit on "
        "integers or strings"
    )
