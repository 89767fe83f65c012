"""ONNX: models that score with the right probabilities where neither gbm_focal nor an engine is installed.

`to_onnx` converts a `FocalClassifier` or a booster of ours. Importing this module also makes `FocalClassifier` known to
skl2onnx, whose ``to_onnx(pipeline, X)`` then converts pipelines that end in one.
"""

from __future__ import annotations

try:
    import onnx  # noqa: F401
    import skl2onnx  # noqa: F401
except ImportError as error:
    raise ImportError("gbm_focal.onnx needs onnx and skl2onnx: pip install 'gbm_focal[onnx]'") from error

from . import pipelines as _pipelines
from .export import to_onnx
from .graph import Graph, Value

__all__ = ["Graph", "Value", "to_onnx"]

_pipelines.register()
