"""The link as ONNX operators: from margins to probabilities and labels."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..link import Link
from .graph import DOUBLE, FLOAT, INT64, Graph, Value
from .log_odds import log_odds_of_classes, log_odds_of_label

_TINY = float(np.finfo(np.float64).tiny)


def add_link(
    op: Graph, link: Link, margin: Value, columns: int, classes: Any = None, *, first_is_positive: bool = False
) -> tuple[Value, Value]:
    """Add labels and probabilities, as `FocalClassifier` returns them, of margins of shape (n, columns).

    Parameters
    ----------
    op : Graph
    link : Link
    margin : Value
        float32 or float64; all is computed in float64, and probabilities are float32 in the end, as in all models.
    columns : int
        K for K classes, L for L labels a row, 1 for two classes.
    classes : ndarray of int64 or object, optional
        The labels of the classes; by default 0 to K - 1.
    first_is_positive : bool
        Whether of two classes the first one is that of label 1.

    Returns
    -------
    labels : Value of shape (n,), or (n, L) for several labels a row
    probabilities : Value of shape (n, K), or (n, L)
    """
    z = op.cast(margin, DOUBLE)
    factor, term = link.decision_prior(columns)  # the factor is for classes
    if link.kind == "multiclass":
        shifted = _classes(op, link, z, columns)
        probabilities, decided = shifted(link.shift), shifted(link.decision_shift)
        chosen = op.ArgMax(factor * decided + term, axis=1, keepdims=0)
        return _labels(op, chosen, classes), op.cast(probabilities, FLOAT)
    odds = log_odds_of_label(op, link.loss, z, columns)
    positive, negative = _sigmoids(op, odds + np.asarray(link.shift))
    decision = odds + (np.asarray(link.decision_shift) + term)
    # A tie goes to the first class, or to the label 0.
    chosen = op.cast(decision < 0 if first_is_positive else decision > 0, INT64)
    if columns > 1:
        return chosen, op.cast(positive, FLOAT)
    pair = (positive, negative) if first_is_positive else (negative, positive)
    return _labels(op, op.Squeeze(chosen, np.array([1])), classes), op.cast(op.Concat(*pair, axis=1), FLOAT)


def _sigmoids(op: Graph, odds: Value) -> tuple[Value, Value]:
    """Return sigmoid(x) and sigmoid(-x), each with all its digits, which not every runtime's own Sigmoid has."""
    tail = op.Exp(-op.Abs(odds))
    larger, smaller = 1 / (1 + tail), tail / (1 + tail)
    right = odds > 0
    return op.Where(right, larger, smaller), op.Where(right, smaller, larger)


def _classes(op: Graph, link: Link, z: Value, columns: int) -> Callable[[tuple[float, ...]], Value]:
    """Return what makes probabilities of a shift."""
    if link.loss.has_softmax:
        log_odds = log_odds_of_classes(op, link.loss, z, columns)
        return functools.cache(lambda shift: op.Softmax(log_odds + np.asarray(shift), axis=1))
    posterior, _ = _sigmoids(op, log_odds_of_label(op, link.loss, z, columns))
    total = _sum(op, posterior)
    # Where all of them have vanished, the margins alone say which were the largest, as in `divide_by_sums`.
    posterior = op.Where(total < _TINY, op.Softmax(z, axis=1), posterior / op.Max(total, _TINY))

    @functools.cache
    def shares(shift: tuple[float, ...]) -> Value:
        shifted: Value = np.exp(shift) * posterior
        return shifted / _sum(op, shifted)

    return shares


def _sum(op: Graph, of_classes: Value) -> Value:
    return op.ReduceSum(of_classes, np.array([1]), keepdims=1)


def _labels(op: Graph, chosen: Value, classes: Any) -> Value:
    return chosen if classes is None else op.Gather(classes, chosen)
