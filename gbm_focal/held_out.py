"""Rows that `FocalClassifier` holds out of its training data, to stop on."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from ._inputs import Array, real
from .labels import Labels

_FEWEST = 2  # rows of each class, in either part
_RELIABLE = 20  # rows of the rarest class to stop on, below which chance decides


def divided(y: Array, labels: Labels, fraction: Any, random_state: Any) -> tuple[Array, Array]:
    """Return the rows to train on, and those to stop on, so that each class has its share of both.

    Parameters
    ----------
    y : ndarray of shape (n,) or (n, L)
        Labels from 0.
    labels : Labels
        By which messages call them.
    fraction : float in (0, 1)
        Share of the rows to stop on.
    random_state : int, RandomState or None

    Raises
    ------
    ValueError
        If a class would have fewer than two rows in either part.

    Warns
    -----
    UserWarning
        If the rarest class has fewer than 20 rows to stop on.
    """
    fraction = real("validation_fraction", fraction, "(0, 1)")
    smaller = min(fraction, 1 - fraction)
    for name, rows in _rows_of_classes(y, labels).items():
        _require_enough(name, int(smaller * rows), f"{rows} rows", fraction)
    training, validation = map(
        np.sort,
        train_test_split(np.arange(y.shape[0]), test_size=fraction, stratify=_strata(y), random_state=random_state),
    )
    for part in (training, validation):  # several labels a row have their shares only nearly
        for name, rows in _rows_of_classes(y[part], labels).items():
            _require_enough(name, rows, f"{rows} rows in one part", fraction)
    to_stop_on = _rows_of_classes(y[validation], labels)
    rarest = min(to_stop_on, key=lambda name: to_stop_on[name])
    if to_stop_on[rarest] < _RELIABLE:
        warnings.warn(
            f"validation_fraction={fraction!r} holds out {to_stop_on[rarest]} rows of {rarest}, and below {_RELIABLE} "
            "early stopping is a matter of chance: give a larger fraction, or a number of rounds without it",
            UserWarning,
            stacklevel=3,
        )
    return training, validation


def _rows_of_classes(y: Array, labels: Labels) -> dict[str, int]:
    """How many rows each class has, by what messages call it; of several labels a row each label 0 and 1."""
    if labels.kind == "multilabel":
        counts = [(y == value).sum(axis=0) for value in (0, 1)]
        return {
            f"label {value} in column {column}": int(counts[value][column])
            for column in range(y.shape[1])
            for value in (0, 1)
        }
    classes = labels.classes.tolist()
    if labels.positive == 0 and labels.kind == "binary":
        classes = classes[::-1]
    counted = np.bincount(y.astype(np.int64), minlength=len(classes))
    return {f"class {name!r}": int(rows) for name, rows in zip(classes, counted.tolist(), strict=True)}


def _strata(y: Array) -> Array:
    """Return what is to have its share of both parts: the class, or the rarest of the labels that a row has."""
    if y.ndim == 1:
        return y
    by_rarity = np.argsort(y.sum(axis=0))
    rarest = np.where(y.any(axis=1), y[:, by_rarity].argmax(axis=1) + 1, 0)
    alone = np.bincount(rarest) < 2
    return np.where(alone[rarest], np.bincount(rarest).argmax(), rarest)


def _require_enough(name: str, rows: int, have: str, fraction: float) -> None:
    if rows < _FEWEST:
        raise ValueError(
            f"validation_fraction={fraction!r} would leave fewer than {_FEWEST} rows of {name}, which has {have}, to "
            "train or to stop on: give more rows, another fraction, or eval_set"
        )
