"""FocalClassifier as skl2onnx sees it, in pipelines of scikit-learn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from onnx import helper, numpy_helper
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

from ..classifier import FocalClassifier
from .export import OLDEST_OPSET, TREES_OPSET, scorer_of
from .graph import FLOAT, INT64, Graph, Value


def register() -> None:
    """Tell skl2onnx how a `FocalClassifier` is converted."""
    # Those of skl2onnx's own classifiers, whose parser asks for each.
    options = {"nocl": [True, False], "zipmap": [True, False, "columns"], "output_class_labels": [False, True]}
    update_registered_converter(FocalClassifier, "GbmFocalClassifier", _set_types, _convert, options=options)


def _set_types(operator: Any) -> None:
    options_of = operator.scope_inst.get_options
    scorer = scorer_of(operator.raw_operator)
    if options_of(operator.raw_operator, {"nocl": False})["nocl"]:
        scorer = replace(scorer, classes=None)
    operator.gbm_focal_scorer = scorer
    if scorer.labels > 1 and options_of(operator.raw_operator, {"zipmap": True})["zipmap"]:
        raise ValueError(
            f"the probabilities of {scorer.labels} labels a row are no dictionary by class: give options={{'zipmap': "
            "False}"
        )
    rows = operator.inputs[0].get_first_dimension()
    label_type = Int64TensorType if scorer.label_type == INT64 else StringTensorType
    operator.outputs[0].set_type(label_type([rows, *([scorer.labels] * (scorer.labels > 1))]))
    operator.outputs[1].set_type(FloatTensorType([rows, scorer.probabilities]))


def _convert(scope: Any, operator: Any, container: Any) -> None:
    if container.target_opset < OLDEST_OPSET:
        raise ValueError(f"target_opset={container.target_opset} is too old: give {OLDEST_OPSET} or a later one")
    op = Graph(scope.get_unique_variable_name)
    X = Value(op, operator.inputs[0].full_name)
    if not isinstance(operator.inputs[0].type, FloatTensorType):
        X = op.cast(X, FLOAT)
    label, probabilities, _ = operator.gbm_focal_scorer.add_to(op, X)
    for value, output in zip((label, probabilities), operator.outputs, strict=True):
        op.named(value, output.full_name)
    for tensor in op.initializers:
        content = numpy_helper.to_array(tensor)
        container.add_initializer(tensor.name, tensor.data_type, content.shape, content.ravel().tolist())
    for node in op.nodes:
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        version = TREES_OPSET if node.domain else None  # None: what the target opset has
        container.add_node(
            node.op_type, list(node.input), list(node.output), node.domain, version, node.name, **attributes
        )
