"""Features of any kind that users have: checked as scikit-learn asks, and left to the engine where it knows better."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import validate_data


def checked_features(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Return features in a form that engines take, or raise if there are none, or not those of `fit`.

    Data frames, and arrays of a device, stay as they are. With `reset` their number and names become attributes of the
    estimator, as scikit-learn asks.
    """
    if sparse.issparse(X) or isinstance(X, np.ndarray | list | tuple) or _is_foreign(X):
        X = validate_data(
            estimator,
            X,
            reset=reset,
            accept_sparse=("csr", "csc"),
            dtype="numeric" if not _has_objects(X) else np.float64,
            ensure_all_finite="allow-nan",
        )
        if sparse.issparse(X):  # LightGBM knows SciPy's sparse matrices, not its sparse arrays
            X = sparse.csc_matrix(X) if X.format == "csc" else sparse.csr_matrix(X)
        return X
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    return X


def _is_foreign(X: Any) -> bool:
    """Whether X is neither a data frame nor an array of a device: something that NumPy has to make an array of."""
    known = hasattr(X, "columns") or hasattr(X, "column_names") or hasattr(X, "__cuda_array_interface__")
    return not known and not hasattr(X, "__dataframe__")


def _has_objects(X: Any) -> bool:
    return bool(getattr(X, "dtype", None) == np.dtype(object))
