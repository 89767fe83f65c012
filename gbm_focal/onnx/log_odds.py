"""The log-odds that a margin stands for, of each family of losses, as ONNX operators.

They are the posteriors of kernels/losses.h in another form, in which no power and no tail vanishes: the logarithm of
l0' / -l1', without class weights, which add log(w0 / w1). Notation as there. All is float64; a float32 exp(-80) would
be lost in what is added to it.

With x = q / p, p n / q is log1p(x) / x, which lies in (0, 1], and so is q m / p with x = p / q.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..losses import KernelLoss, Loss
from .graph import Graph, Value

_TINY = float(np.finfo(np.float64).tiny)
_DEAD_ZONE_SLOPE = 1e-9  # of ASL, as in losses.h


@dataclass(frozen=True)
class _Margin:
    """What formulas use of a margin."""

    z: Value
    p: Value
    q: Value
    n: Value
    m: Value
    pn_over_q: Value
    qm_over_p: Value

    @classmethod
    def of(cls, op: Graph, z: Value) -> _Margin:
        tail = op.Exp(-op.Abs(z))
        ratio = _log1p_over(op, tail)
        softplus = tail * ratio
        larger, smaller = 1 / (1 + tail), tail / (1 + tail)
        n, m = op.Max(-z, 0.0) + softplus, op.Max(z, 0.0) + softplus
        right = z > 0
        return cls(
            z,
            p=op.Where(right, larger, smaller),
            q=op.Where(right, smaller, larger),
            n=n,
            m=m,
            pn_over_q=op.Where(right, ratio, n * tail),
            qm_over_p=op.Where(right, m * tail, ratio),
        )


def _log1p_over(op: Graph, x: Value) -> Value:
    """Return log(1 + x) / x for x > -1: the error of 1 + x, which is exact in itself, cancels (Kahan)."""
    whole = 1 + x
    added = whole - 1
    lost = op.Equal(added, 0.0)
    return op.Where(lost, 1.0, op.Log(whole) / op.Where(lost, 1.0, added))


def _one_minus_exp(op: Graph, x: Value) -> Value:
    """Return 1 - exp(-x) for x >= 0, by the same device where it would cancel."""
    rest = op.Exp(-x)
    removed = 1 - rest
    near = op.Where(op.Equal(removed, 0.0), x, removed * x / op.Max(-op.Log(rest), _TINY))
    return op.Where(x < 1.0, near, removed)


def _focal(op: Graph, z: Value, gamma_positive: float, gamma_negative: float) -> Value:
    # -l1' = q^(1 + g1) (1 + g1 p n / q) and l0' = p^(1 + g0) (1 + g0 q m / p).
    at = _Margin.of(op, z)
    powers = (1 + gamma_positive) * at.m - (1 + gamma_negative) * at.n
    return powers + op.Log(1 + gamma_negative * at.qm_over_p) - op.Log(1 + gamma_positive * at.pn_over_q)


def _asymmetric(
    op: Graph, z: Value, gamma_positive: float, gamma_negative: float, clip: float, edge: float, edge_low: float
) -> Value:
    # Both slopes have the factor q / b, where b = 1 - a; l0' has p as well, in the dead zone, too.
    at = _Margin.of(op, z)
    above = (z - edge) - edge_low
    alive = above > 0
    a, b = op.Where(alive, op.Max(at.p - clip, _TINY), 0.5), at.q + clip
    power = gamma_negative * op.Log(a) + op.Log(1 + gamma_negative * b * _log1p_over(op, -a))
    floor = np.log(_DEAD_ZONE_SLOPE) + op.Log(b)
    negative = op.Where(alive, op.Max(power, floor), floor) - at.n
    positive = op.Log(b) - gamma_positive * at.m + op.Log(1 + gamma_positive * at.pn_over_q)
    return negative - positive


def _power(op: Graph, z: Value, power: float) -> Value:
    # The posterior without class weights is p^k, whose log-odds are -log(exp(k n) - 1).
    x = power * _Margin.of(op, z).n
    return -x - op.Log(_one_minus_exp(op, x))


_FAMILIES: dict[str, Callable[..., Value]] = {"focal": _focal, "asymmetric": _asymmetric, "power": _power}


def log_odds_of_label(op: Graph, loss: Loss, z: Value, columns: int) -> Value:
    """Log-odds of the label 1 for each column of margins of shape (n, columns), or of a class against the others."""
    positive, negative = loss.class_weights(columns)
    own = getattr(loss, "onnx_log_odds", None)
    if own is not None:
        bare = own(op, z)
        if not isinstance(bare, Value):
            raise TypeError(
                f"{type(loss).__name__}.onnx_log_odds returned a {type(bare).__name__}: return the log-odds as made of "
                "op and margin"
            )
    else:
        family, parameters = loss._kernel() if isinstance(loss, KernelLoss) else ("", [])
        if family not in _FAMILIES:
            name = type(loss).__name__
            raise ValueError(
                f"{name} has no ONNX form: give it a method onnx_log_odds(self, op, margin) that returns log(l0' / "
                "-l1'), without class weights, made of ONNX operators, such as op.Log(...) and +; see the reference of "
                "gbm_focal.onnx"
            )
        bare = _FAMILIES[family](op, z, *parameters)
    return bare + np.log(negative / positive)


def log_odds_of_classes(op: Graph, loss: Loss, z: Value, columns: int) -> Value:
    """Logarithms of what the posteriors of classes, in the softmax form, are proportional to.

    eta_k is proportional to p_k / (w_k q_k^g (1 + g p_k n_k / q_k)), where q_k is the sum of the other classes' p.
    """
    _, (gamma, *_) = loss._kernel()
    log_p = op.LogSoftmax(z, axis=1)
    p = op.Exp(log_p)
    q = op.Max(op.MatMul(p, 1 - np.eye(columns)), _TINY)
    pn_over_q = _log1p_over(op, q / op.Max(p, 1e-300))
    weighted: Value = log_p - gamma * op.Log(q) - op.Log(1 + gamma * pn_over_q) - np.log(loss.softmax_weights(columns))
    return weighted
