"""Trees of XGBoost, read from the JSON form of a model, which XGBoost documents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xgboost

from .._inputs import Array
from ..xgboost.training import best_iterations, kept_rounds
from .trees import Ensemble


def ensemble_of(model: xgboost.Booster | xgboost.XGBModel) -> Ensemble:
    """Return the trees up to the best iteration, and the base score."""
    booster, missing = _parts_of(model)
    learner = json.loads(booster.save_raw("json"))["learner"]
    gradient_booster, weights = learner["gradient_booster"], None
    if gradient_booster["name"] == "dart":  # before XGBoost 3.4
        weights, gradient_booster = gradient_booster["weight_drop"], gradient_booster["gbtree"]
    if gradient_booster["name"] != "gbtree":
        raise ValueError(
            f"booster={gradient_booster['name']!r} has no trees that ONNX could hold: train with booster='gbtree' or "
            "'dart'"
        )
    content = gradient_booster["model"]
    weights = content.get("weight_drop", weights)
    trees = content["trees"][: content["iteration_indptr"][kept_rounds(booster)]]
    found = Ensemble(int(learner["learner_model_param"]["num_feature"]), _base_margins(learner))
    found.missing = missing
    for number, tree in enumerate(trees):
        _add_tree(found, number, tree, content["tree_info"][number], 1.0 if weights is None else weights[number])
    return found


def margins_of(model: xgboost.Booster | xgboost.XGBModel, X: Array) -> Array:
    """Return the margins of rows, in which categories are codes, as XGBoost has them."""
    booster, missing = _parts_of(model)
    names, types = booster.feature_names, booster.feature_types
    data = xgboost.DMatrix(X, missing=missing, feature_names=names, feature_types=types, enable_categorical=True)
    margins: Array = booster.predict(data, output_margin=True, iteration_range=best_iterations(booster))
    return margins


def _parts_of(model: xgboost.Booster | xgboost.XGBModel) -> tuple[xgboost.Booster, float]:
    """Return the booster of a model, and what means a missing value there, beside NaN."""
    if not isinstance(model, xgboost.XGBModel):
        return model, np.nan
    return model.get_booster(), np.nan if model.missing is None else float(model.missing)


def _base_margins(learner: Mapping[str, Any]) -> Array:
    parameters, objective = learner["learner_model_param"], learner["objective"]["name"]
    columns = max(1, int(parameters["num_class"]), int(parameters["num_target"]))
    # Before XGBoost 3.1 one number, later a list of one a column.
    score = np.broadcast_to(np.asarray(json.loads(parameters["base_score"]), np.float32), columns)
    if objective == "multi:softprob":
        return score
    if objective != "binary:logistic":
        raise ValueError(
            f"the booster's objective is {objective!r}, whose base score has another meaning: train with "
            "gbm_focal.xgboost.train, or with objective='binary:logistic' or 'multi:softprob' beside obj="
        )
    return -np.log(1 / score - 1)


def _add_tree(to: Ensemble, number: int, tree: Mapping[str, Any], column: int, weight: float) -> None:
    left, right, features = tree["left_children"], tree["right_children"], tree["split_indices"]
    thresholds, default_left = tree["split_conditions"], tree["default_left"]
    vector = int(tree["tree_param"]["size_leaf_vector"])
    categories = {
        node: tree["categories"][start : start + size]
        for node, start, size in zip(
            tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True
        )
    }

    def values_of(leaf: int) -> list[tuple[int, float]]:
        if vector <= 1:
            return [(column, weight * thresholds[leaf])]
        # Since XGBoost 3.1 the leaves have a table of their own, and a leaf's right child is its place there.
        table, place = (tree["leaf_weights"], right[leaf]) if "leaf_weights" in tree else (tree["base_weights"], leaf)
        return [(k, weight * value) for k, value in enumerate(table[place * vector : (place + 1) * vector])]

    unused = iter(range(len(left), len(left) + len(tree["categories"])))
    waiting = [0]
    while waiting:
        node = waiting.pop()
        if left[node] == -1:
            to.leaf(number, node, values_of(node))
            continue
        waiting += (right[node], left[node])
        if node in categories:
            # The categories of a node go to the right; -1 is none.
            chosen = categories[node] or [-1]
            to.member(number, node, features[node], chosen, right[node], left[node], not default_left[node], unused)
        else:
            branches = left[node], right[node], bool(default_left[node])
            to.split(number, node, features[node], "BRANCH_LT", thresholds[node], *branches)
