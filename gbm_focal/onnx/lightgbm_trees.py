"""Trees of LightGBM, read from its `Booster.dump_model`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import lightgbm
import numpy as np

from .._inputs import Array
from .trees import ZERO, Ensemble

_LOWEST = np.float32(-np.inf)


def ensemble_of(model: lightgbm.Booster | lightgbm.LGBMModel) -> Ensemble:
    """Return the trees up to the best iteration."""
    content = _booster_of(model).dump_model()
    features, columns = content["max_feature_idx"] + 1, content["num_tree_per_iteration"]
    found = Ensemble(features, np.zeros(columns))
    missing_types: dict[int, str] = {}
    for number, tree in enumerate(content["tree_info"]):
        _add_tree(found, number, tree["tree_structure"], number % columns, missing_types)
    found.zero_is_missing = [feature for feature, kind in missing_types.items() if kind == "Zero"]
    return found


def margins_of(model: lightgbm.Booster | lightgbm.LGBMModel, X: Array) -> Array:
    """Return the margins of rows, in which categories are codes, as LightGBM has them."""
    return np.asarray(_booster_of(model).predict(X, raw_score=True))


def _booster_of(model: lightgbm.Booster | lightgbm.LGBMModel) -> lightgbm.Booster:
    return model.booster_ if isinstance(model, lightgbm.LGBMModel) else model


def _add_tree(to: Ensemble, number: int, root: Mapping[str, Any], column: int, missing_types: dict[int, str]) -> None:
    numbers = itertools.count(1)
    waiting = [(0, root)]
    while waiting:
        node, content = waiting.pop()
        if "leaf_value" in content:
            if "leaf_coeff" in content:
                raise ValueError("linear_tree=True has leaves that ONNX cannot hold: train without it")
            to.leaf(number, node, [(column, content["leaf_value"])])
            continue
        left, right, feature = next(numbers), next(numbers), content["split_feature"]
        waiting += ((right, content["right_child"]), (left, content["left_child"]))
        if content["decision_type"] == "==":
            # The categories of a node go to the left, and what is missing to the right.
            chosen = [float(category) for category in content["threshold"].split("||")]
            to.member(number, node, feature, chosen, left, right, False, numbers)
            continue
        kind, threshold = content["missing_type"], content["threshold"]
        known = missing_types.setdefault(feature, kind)
        if known != kind and "Zero" in (known, kind):
            raise ValueError(
                f"feature {feature} has missing values of type {known!r} in some trees and {kind!r} in others, because "
                "training went on with another zero_as_missing: train in one go"
            )
        # Where LightGBM has seen no missing value, it takes one for 0.
        missing_left = threshold >= 0 if kind == "None" else content["default_left"]
        to.split(number, node, feature, "BRANCH_LEQ", _in_float32(threshold), left, right, missing_left)


def _in_float32(threshold: float) -> float:
    """Return the threshold by which float32 rows fall as they do in LightGBM, by a float64 one."""
    # It takes what is nearly zero for zero.
    if -float(ZERO) <= threshold < float(ZERO):
        return float(ZERO if threshold >= 0 else np.nextafter(-ZERO, _LOWEST))
    with np.errstate(over="ignore"):
        nearest = np.float32(threshold)
    # Rounded down; as float64, because NumPy would compare a float32 with a number of Python as float32.
    return float(np.nextafter(nearest, _LOWEST) if float(nearest) > threshold else nearest)
