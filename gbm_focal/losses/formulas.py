"""Evaluation of a loss by NumPy formulas of its author; `KernelLoss` is the other way of evaluation.

Both write into given arrays. y, z (margins) and weight have valid types and shapes, and the rows are still to be
checked. `scale` multiplies the loss and `offset` is added to the margins, each a number or one per column;
`softmax_factor` multiplies the Fisher Hessian of the softmax form. Values of the softmax form are one a row, else of
the shape of z.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .._inputs import Array, check_rows, columns_of

_LITTLE = 1e-25  # a class of probability 1e-12 in a row of such posteriors still has all digits of float32


class Formulas:
    """Three formulas of a margin, each a pair (for y = 1, for y = 0), and the evaluation of a loss by them.

    The formulas are called with float32 or float64 arrays of any shape and must return the same type and shape.
    """

    def partial_values(self, margin: Array) -> tuple[Array, Array]:
        """Return l1 and l0 at each margin."""
        raise NotImplementedError(f"{type(self).__name__} must define partial_values(margin)")

    def partial_gradients(self, margin: Array) -> tuple[Array, Array]:
        """Return the first derivatives of l1 and l0 at each margin."""
        raise NotImplementedError(f"{type(self).__name__} must define partial_gradients(margin)")

    def partial_hessians(self, margin: Array) -> tuple[Array, Array]:
        """Return the second derivatives of l1 and l0 at each margin."""
        raise NotImplementedError(f"{type(self).__name__} must define partial_hessians(margin)")

    def class_weights(self, columns: int) -> tuple[Array, Array]:
        """Weights of the labels 1 and 0, each of shape (columns,)."""
        raise NotImplementedError

    def fill_value(self, y: Array, z: Array, weight: Array | None, out: Array, *, offset: ArrayLike = 0.0) -> None:
        """Write `value` to an array."""
        check_rows(y, z, weight)
        y = _one_versus_rest(y, z)
        w1, w0 = (np.asarray(w, like=z) for w in self.class_weights(columns_of(z)))
        l1, l0 = self._of_formulas("partial_values", z + np.asarray(offset, z.dtype, like=z))
        out[...] = np.where(y == 1, w1 * l1, w0 * l0) * _beside(weight, z)

    def fill_derivatives(
        self,
        y: Array,
        z: Array,
        weight: Array | None,
        gradient: Array,
        hessian: Array,
        *,
        exact: bool,
        max_step: float | None,
        scale: ArrayLike = 1.0,
        offset: ArrayLike = 0.0,
        softmax_factor: float = 1.0,
    ) -> None:
        """Write `gradient_hessian` to two arrays."""
        check_rows(y, z, weight)
        y = _one_versus_rest(y, z)
        w1, w0 = (np.asarray(scale * w, like=z) for w in self.class_weights(columns_of(z)))
        at = z + np.asarray(offset, z.dtype, like=z)
        g1, g0 = self._of_formulas("partial_gradients", at)
        h1, h0 = self._of_formulas("partial_hessians", at)
        g1, g0, h1, h0 = w1 * g1, w0 * g0, w1 * h1, w0 * h0
        if exact:
            second = np.where(y == 1, h1, h0)
        else:
            alive = g0 - g1 > 0
            eta = np.where(alive, g0, 0) / np.where(alive, g0 - g1, 1)
            second = np.where(alive, eta * h1 + (1 - eta) * h0, 0.0)
        column = _beside(weight, z)
        first = np.where(y == 1, g1, g0) * column
        second = second * column
        if max_step is not None:
            second = np.maximum(second, np.abs(first) / max_step + np.finfo(hessian.dtype).tiny)
        gradient[...], hessian[...] = first, second

    def fill_posterior(self, z: Array, out: Array, *, offset: ArrayLike = 0.0, multiclass: bool = False) -> None:
        """Write `posterior` to an array."""
        check_rows(None, z, None)
        w1, w0 = (np.asarray(w, like=z) for w in self.class_weights(columns_of(z)))
        g1, g0 = self._of_formulas("partial_gradients", z + np.asarray(offset, z.dtype, like=z))
        slope = w0 * g0 - w1 * g1
        if not np.all(slope > 0):
            worst = z[~(slope > 0)].flat[0].item()
            raise ValueError(
                f"{self!r} has no posterior at margin {worst!r}, because both partial gradients vanish there"
            )
        out[...] = w0 * g0 / slope
        if multiclass:
            self.divide_by_sums(out, z, offset)

    def divide_by_sums(self, posterior: Array, z: Array, offset: ArrayLike) -> None:
        """Make each row's posteriors one versus rest sum to 1.

        Rows of which float32 keeps too little are computed again in float64. Where all posteriors have vanished there
        as well, the margins alone say which were the largest.
        """
        total = posterior.sum(axis=1, keepdims=True)
        single = posterior.dtype == np.float32
        lost = total[:, 0] < (_LITTLE if single else np.finfo(np.float64).tiny)
        if lost.any():
            rest = z[lost]
            if single:
                shares = np.empty_like(rest, np.float64)
                self.fill_posterior(rest.astype(np.float64), shares, offset=offset, multiclass=True)
            else:
                rest = rest + np.asarray(offset, like=z)
                odds = np.exp(rest - rest.max(axis=1, keepdims=True))
                shares = odds / odds.sum(axis=1, keepdims=True)
            posterior[lost] = shares
            total[lost] = 1
        posterior /= total

    def _of_formulas(self, name: str, margin: Array) -> tuple[Array, Array]:
        pair = tuple(np.asarray(part, like=margin) for part in getattr(self, name)(margin))
        if len(pair) != 2 or any(part.shape != margin.shape for part in pair):
            raise ValueError(
                f"{type(self).__name__}.{name} must return two arrays of the shape {margin.shape} of the margin, "
                f"not {[part.shape for part in pair]}"
            )
        for part in pair:
            if not np.all(np.isfinite(part)):
                worst = int(np.argmin(np.isfinite(part)))
                raise ValueError(
                    f"{type(self).__name__}.{name} returned {part.ravel()[worst].item()!r} at margin "
                    f"{margin.ravel()[worst].item()!r}"
                )
        return pair


def _one_versus_rest(y: Array, z: Array) -> Array:
    """Labels in the shape of z: classes become one column each."""
    return y[:, np.newaxis] == np.arange(z.shape[1], like=z) if y.ndim < z.ndim else y


def _beside(weight: Array | None, z: Array) -> Array | float:
    """Sample weights in a shape that multiplies an array like z."""
    if weight is None:
        return 1.0
    return weight if z.ndim == 1 else weight[:, np.newaxis]
