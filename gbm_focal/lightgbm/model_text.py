"""What a custom objective leaves out of LightGBM's model, link, loss and intercept: written there, and read again.

The link stands among the parameters at the end of the text, ``[gbm_focal: {...}]``, which LightGBM keeps as they are.
The intercept becomes part of the leaves of the first tree (or of the first K), so that it goes wherever the model goes.
"""

from __future__ import annotations

import re

import lightgbm

from .._inputs import Array
from ..link import Link
from ..losses import Loss

_ENTRY = re.compile(r"^\[gbm_focal: (.*)\]$", re.MULTILINE)
_PARAMETER = re.compile(r"^\[(\w+): (.*)\]$", re.MULTILINE)
_TREE = re.compile(r"^num_leaves=(\d+)$.*?^shrinkage=(\S+)$", re.MULTILINE | re.DOTALL)


def link_of(booster: lightgbm.Booster, loss: Loss | None = None) -> Link:
    """Return the link that a booster stores, or the bare one of a loss.

    Raises
    ------
    ValueError
        If the booster does not know its loss, and none is given.
    TypeError
        If it is none of LightGBM.
    """
    if not isinstance(booster, lightgbm.Booster):
        kind = type(booster)
        raise TypeError(
            f"booster is a {kind.__module__}.{kind.__name__}: give a lightgbm.Booster; those of XGBoost go to "
            "gbm_focal.xgboost, and a FocalClassifier has its own predict_proba"
        )
    if loss is not None:
        return Link.bare(loss, "multiclass" if booster.num_model_per_iteration() > 1 else "binary")
    found = _ENTRY.search(booster.model_to_string(num_iteration=1))
    if found is None:
        raise ValueError(
            "the booster's model has no entry 'gbm_focal', so its loss is unknown: train it with "
            "gbm_focal.lightgbm.train, or pass loss= to predict_proba"
        )
    return Link.from_json(found.group(1))


def complete(booster: lightgbm.Booster, link: Link, intercept: Array) -> None:
    """Write link, loss and intercept into a booster, which then ends with its best iteration, as LightGBM's own do."""
    header, _, rest = _ENTRY.sub("", booster.model_to_string()).partition("\nfeature_names=")
    if "\nobjective=" not in header:
        header += f"\nobjective={_native_objective(link, intercept.size)}"
    body, _, parameters = rest.partition("\nparameters:\n")
    text = f"{header}\nfeature_names={body}\nparameters:\n[gbm_focal: {link.to_json()}]\n{parameters}"
    booster.model_from_string(text).free_dataset()
    if intercept.any():
        for number, tree in enumerate(booster.dump_model(num_iteration=1)["tree_info"]):
            for leaf in range(tree["num_leaves"]):
                booster.set_leaf_output(number, leaf, booster.get_leaf_output(number, leaf) + intercept[number])


def parameters_of(booster: lightgbm.Booster) -> dict[str, str]:
    """Return the parameters of the training, as a booster stores them; LightGBM before 4.7 does not read them."""
    return dict(_PARAMETER.findall(booster.model_to_string(num_iteration=1)))


def shrinkages_of(booster: lightgbm.Booster) -> list[tuple[float, int]]:
    """Return, of each tree, the factor by which its leaves were shrunken, and how many it has."""
    return [(float(factor), int(leaves)) for leaves, factor in _TREE.findall(booster.model_to_string(num_iteration=-1))]


def _native_objective(link: Link, columns: int) -> str:
    """LightGBM's own objective with the same shape of predictions."""
    if link.kind == "binary":
        return "binary sigmoid:1"
    if link.kind == "multiclass" and link.loss.has_softmax:
        return f"multiclass num_class:{columns}"
    return f"multiclassova num_class:{columns} sigmoid:1"
