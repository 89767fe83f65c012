"""Base rates: probabilities of one population taken to another, and the rates of a population without labels.

Both rest on one assumption, prior probability shift: the classes come in other shares, and each looks as it did, so
that p(x | y) has not changed. It holds exactly where rows were dropped, or weighted, at random within classes.

Probabilities come in three forms. Two classes: of the positive class, shape (n,), or of both, (n, 2). K classes:
(n, K), rows of sum 1. L labels a row: (n, L), each the probability of label 1. The rates say which it is:

- a number: the rate of the positive class, which of (n, 2) is the second column;
- K numbers with sum 1, in the order of the columns, or a dict by label: classes. The columns of a dict are its labels
  in sorted order, which is that of scikit-learn's `classes_`; its keys must be the labels themselves (of the numbers 2
  and 10 the first is 2, of the words "2" and "10" it is "10"). A data frame whose columns have the labels as names may
  have them in any order;
- L numbers with another sum: labels. Those whose sum is 1, or nearly so, would be taken for classes, and are an error:
  go column by column, with a number for each.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import nnls
from scipy.special import logit

from ._inputs import Array, check_probabilities, on_host, probabilities_in_rows, real
from .kernels import cuda
from .losses import Kind

__all__ = ["adapt", "estimate"]

Rates = float | ArrayLike | Mapping[Any, float]

_CLOSEST = 1e-15  # to 0 and 1, so that no ratio of odds leaves float32
_SUM = 1e-6  # how far the sum of rates may be from 1: those of float32 are
_SUSPICIOUS_SUM = 0.02  # as far from 1 as rounded rates of classes may be, which must not pass for labels
_SUM_OF_ROW = 1e-3  # how far the sum of a row may be from 1: probabilities of files are rounded
_ROWS_OF_CHANCE = 10  # this many rows of labels do not all have the sum 1 by chance
_BLOCK = 65_536  # rows at a time, in float64
_IMPOSSIBLE = 1e-100
_MOST_STEPS = 1000
_SMALLEST_GAIN = 1e-20  # of the mean log-likelihood: what rounding leaves of a gradient, squared
_TOLERANCE = 1e-9  # last step of a rate, relative to it; steps are Newton's, and what is left is its square


def adapt(probabilities: Any, trained: Rates, used: Rates) -> Any:
    """Take probabilities to a population with other base rates.

    The odds of each class are multiplied by the ratio of its rates,

        odds(x) used / trained  (two classes: odds(x) [used / (1 - used)] / [trained / (1 - trained)]),

    which is Bayes' rule where the classes look the same in both populations.

    Parameters
    ----------
    probabilities : array-like of shape (n,), (n, 2), (n, K) or (n, L), or a Dask array
        Probabilities in [0, 1]; 0 and 1 stay what they are. See the top of this module for the forms.
    trained : float, array-like of shape (K,) or (L,), or dict by label
        The base rates that the probabilities stand for: of the (weighted) training data, or `base_rate_` of a
        `FocalClassifier`. Each inside (0, 1).
    used : like `trained`
        The base rates of the population where they will be used.

    Returns
    -------
    ndarray of the shape of `probabilities`
        float32 for float32, else float64; each accurate to a few units of its last digit, however small. CuPy arrays
        give CuPy arrays. Of a Dask array it is a Dask array with the same chunks, and nothing is computed.

    Raises
    ------
    ValueError, TypeError
        If probabilities or rates are invalid, or do not belong together; of a Dask array the probabilities are looked
        at when it is computed.

    References
    ----------
    Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities: a simple
    procedure", Neural Computation 2002, equation 2.4.

    Examples
    --------
    A model was trained where one row in ten was positive, and is used where one in a hundred is:

    >>> from gbm_focal.base_rates import adapt
    >>> adapt([0.1, 0.5, 0.9], trained=0.1, used=0.01).round(3).tolist()
    [0.01, 0.083, 0.45]
    """
    collection = _collection(probabilities)
    kind, (before, after) = _population(collection, _names_of(probabilities), trained=trained, used=used)
    shift = log_ratio(kind, before, after)
    if not _is_lazy(collection):
        return _adapted(collection, kind, shift)
    result = np.empty((0,) * collection.ndim, np.float32 if collection.dtype == np.float32 else np.float64)
    return collection.map_blocks(_adapted, kind, shift, dtype=result.dtype, meta=result)


def estimate(probabilities: Any, trained: Rates) -> Any:
    """Estimate the base rates of a population from the probabilities of a sample of it, without labels.

    The maximum of the likelihood of the sample over all populations in which the classes look as they did in training,
    sum over the rows of log sum_k p_k used_k / trained_k. Saerens, Latinne and Decaestecker climb it by expectation
    maximisation; it is concave, and here Newton steps reach the same maximum.

    Parameters
    ----------
    probabilities : array-like of shape (n,), (n, 2), (n, K) or (n, L), or a Dask array
        Calibrated probabilities, in [0, 1], for the base rates `trained`; see the top of this module for the forms.
        Of a Dask array each step, of which there are five to ten, computes a few sums of each part: persist it if it is
        dear.
    trained : float, array-like of shape (K,) or (L,), or dict by label
        The base rates that the probabilities stand for, as in `adapt`.

    Returns
    -------
    float, ndarray of shape (K,) or (L,), or dict by label, like `trained`
        Rates in [0, 1], those of classes with sum 1. Each is within 1e-9, relative, of the maximum, as far as the
        rounding of the likelihood tells.

    Raises
    ------
    ValueError, TypeError
        If probabilities or rates are invalid, or do not belong together, or all rows are alike, and so say nothing.

    Warns
    -----
    RuntimeWarning
        If a rate is 0, which `adapt` does not take: the sample looks most like one without this class. Few rows, or a
        class that is hard to tell from the others, are enough for that.

    Notes
    -----
    Alexandari, Kundaje and Shrikumar (ICML 2020) find this estimate the best there is where the probabilities are
    calibrated, and poor where they are not. A model is surer of its training data than of new rows, which matters where
    positives have become rarer: calibrate it on held-out rows first, as docs/base_rates.md shows, and give their share
    of positives as `trained`.

    References
    ----------
    Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities: a simple
    procedure", Neural Computation 2002, section 2.2; Alexandari, Kundaje and Shrikumar, "Maximum likelihood with
    bias-corrected calibration is hard-to-beat at label shift adaptation", ICML 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from gbm_focal.base_rates import adapt, estimate
    >>> rng = np.random.default_rng(0)
    >>> positive = rng.random(100_000) < 0.02
    >>> x = rng.normal(size=100_000) + 2 * positive
    >>> at_one_half = 1 / (1 + np.exp(2 - 2 * x))  # what a model would say that was trained on as many of both
    >>> round(estimate(at_one_half, trained=0.5), 3)
    0.02
    """
    collection = _collection(probabilities)
    names = _names_of(probabilities)
    kind, (before,) = _population(collection, names, trained=trained)
    if kind == "multilabel":
        sums = _over_parts(collection, kind)
        return np.array([_rate_of_label(sums, column, rate) for column, rate in enumerate(before.tolist())])
    of_classes = before if kind == "multiclass" else np.array([1 - before[0], before[0]])
    rates = _most_likely(_over_parts(collection, kind), of_classes, "probabilities")
    if _is_number(trained):
        _warn_of_absent(rates, ["the negative class", "the positive class"])
        return float(rates[1])
    labels = _in_order("trained", trained, names) if isinstance(trained, Mapping) else list(range(rates.size))
    _warn_of_absent(rates, [f"class {label!r}" for label in labels])
    return dict(zip(labels, rates.tolist(), strict=True)) if isinstance(trained, Mapping) else rates


# ---- rates, and what they do to log-odds ----


def checked_rates(name: str, rates: Any, kind: Kind, columns: int) -> Array:
    """Return rates of so many columns as an array: one of two classes, K with sum 1, or L; or raise.

    A dict is by the numbers of the classes.
    """
    if isinstance(rates, Mapping):
        if kind != "multiclass" or set(rates) != set(range(columns)):
            wanted = {"binary": "a number", "multilabel": f"an array of {columns}"}
            wanted["multiclass"] = f"a rate for each of the classes 0 to {columns - 1}"
            raise ValueError(f"{name} is a dict of {list(rates)}: give {wanted[kind]}")
        rates = [rates[number] for number in range(columns)]
    if kind == "binary":
        if np.ndim(rates):
            raise ValueError(f"{name}={rates!r} is of shape {np.shape(rates)}: give one number, the share of label 1")
        return _shares(name, [rates])
    if np.ndim(rates) == 0:
        of_what = "classes" if kind == "multiclass" else "labels"
        raise ValueError(f"{name}={rates!r} is one number, but there are {columns} {of_what}: give one for each")
    numbers = _shares(name, rates)
    if numbers.size != columns:
        raise ValueError(f"{name} has {numbers.size} numbers, but there are {columns} columns: give one for each")
    if kind == "multiclass" and abs(numbers.sum() - 1) > _SUM:
        raise ValueError(f"{name}={rates!r} has the sum {float(numbers.sum())!r}: give rates of classes with sum 1")
    return numbers


def log_ratio(kind: Kind, before: ArrayLike, after: ArrayLike) -> Array:
    """Return what a change of base rates adds to the log-odds of each column; of classes with mean 0."""
    if kind == "multiclass":
        ratio = np.log(after) - np.log(before)
        return np.asarray(ratio - ratio.mean())
    difference: Array = logit(after) - logit(before)
    return difference


def shifted(probability: Array, shift: float | Array) -> Array:
    """Probability whose log-odds are the given one's plus the shift, in the given one's type."""
    odds = np.exp(shift, dtype=np.float64).astype(probability.dtype) * probability
    result: Array = odds / (odds + (1 - probability))
    return result


def shifted_classes(probability: Array, shift: Array) -> Array:
    """Do the same to the logarithms of the probabilities of classes, whose sum stays 1."""
    odds = np.exp(shift).astype(probability.dtype) * probability
    result: Array = odds / odds.sum(axis=1, keepdims=True)
    return result


def _shares(name: str, rates: Any) -> Array:
    if hasattr(rates, "to_dict"):  # a Series' order is often that of frequency
        raise TypeError(f"{name} is a {type(rates).__name__}: give {name}.to_dict(), so that rates go by label")
    if np.ndim(rates) != 1:
        raise ValueError(f"{name}={rates!r} is of shape {np.shape(rates)}: give one number, or one for each column")
    numbers = np.array([real(name, number, "(0, 1)") for number in np.asarray(rates).tolist()])
    for number in numbers.tolist():
        if not _CLOSEST <= number <= 1 - _CLOSEST:
            raise ValueError(f"{name}={number!r} is too near the ends of (0, 1): give a number {_CLOSEST:g} from them")
    return numbers


def _is_number(rates: Any) -> bool:
    return np.ndim(rates) == 0 and not isinstance(rates, Mapping)


def _population(probabilities: Any, names: list[Any] | None, **rates: Any) -> tuple[Kind, list[Array]]:
    """Return what the columns are, as all rates say alike, and the rates in their order, checked."""
    columns = probabilities.shape[1] if probabilities.ndim == 2 else None
    kinds: dict[str, Kind] = {}
    numbers = []
    for name, given in rates.items():
        kinds[name], checked = _form(name, given, columns, names)
        numbers.append(checked)
    if len(set(kinds.values())) > 1:
        sums = ", ".join(f"{name} has the sum {float(n.sum())!r}" for name, n in zip(rates, numbers, strict=True))
        raise ValueError(
            f"{sums}: give rates of classes with sum 1, or, for labels of which some rates have the sum 1, one column "
            "and one number at a time"
        )
    labels = [sorted(given) for given in rates.values() if isinstance(given, Mapping)]
    if len(labels) == 2 and labels[0] != labels[1]:
        raise ValueError(f"trained is a dict of {labels[0]}, and used of {labels[1]}: give both the same labels")
    return next(iter(kinds.values())), numbers


def _form(name: str, rates: Any, columns: int | None, names: list[Any] | None) -> tuple[Kind, Array]:
    if isinstance(rates, Mapping):
        if columns != len(rates):
            shape = "(n,)" if columns is None else f"(n, {columns})"
            raise ValueError(
                f"{name} is a dict of {len(rates)} labels, but probabilities have shape {shape}: give a column for "
                "each label, or a number as the rate of the positive class"
            )
        in_order = [rates[label] for label in _in_order(name, rates, names)]
        return "multiclass", checked_rates(name, in_order, "multiclass", columns)
    if _is_number(rates):
        number = checked_rates(name, rates, "binary", 1)
        if columns is None:
            return "binary", number
        if columns == 2:
            return "multiclass", np.array([1 - number[0], number[0]])
        raise ValueError(f"{name}={rates!r} is one number, but probabilities have {columns} columns: give one for each")
    if columns is None:
        raise ValueError(f"{name} is of shape {np.shape(rates)}, but probabilities are (n,): give one number")
    numbers = checked_rates(name, rates, "multilabel", columns)
    away = abs(float(numbers.sum()) - 1)
    if _SUM < away < _SUSPICIOUS_SUM and columns > 1:
        raise ValueError(
            f"{name} has the sum {float(numbers.sum())!r}: of classes give rates with sum 1; of labels, where that is "
            "chance, one column and one number at a time"
        )
    return "multiclass" if away <= _SUM else "multilabel", numbers


def _in_order(name: str, rates: Mapping[Any, float], names: list[Any] | None) -> list[Any]:
    """Return the labels of a dict as the columns have them, which may have names."""
    if names is not None and len(names) == len(rates) and set(names) == set(rates):
        return names
    if names is not None and names != list(range(len(names))):
        raise ValueError(
            f"probabilities have columns {names}, and {name} is a dict of {list(rates)}: give the columns the names of "
            "the labels, or an array with columns in the sorted order of the labels"
        )
    try:
        return sorted(rates)
    except TypeError as error:
        raise TypeError(f"the labels {list(rates)} of {name} cannot be sorted: give labels of one type") from error


# ---- probabilities ----


def _names_of(probabilities: Any) -> list[Any] | None:
    """Return the names of a data frame's columns; 0, 1, ... where nobody has named them."""
    return list(probabilities.columns) if hasattr(probabilities, "columns") else None


def _collection(probabilities: Any) -> Any:
    """Return an array, or a Dask array as it is, or raise if it is another collection."""
    if type(probabilities).__module__.partition(".")[0] != "dask" and not _is_lazy(probabilities):
        return probabilities_in_rows(probabilities)
    if not _is_lazy(probabilities):
        raise TypeError(
            f"probabilities is a {type(probabilities).__module__}.{type(probabilities).__name__}: give a Dask array, "
            "for instance by .to_dask_array()"
        )
    if probabilities.ndim not in (1, 2) or (probabilities.ndim == 2 and probabilities.numblocks[1] != 1):
        raise ValueError(
            f"probabilities has shape {probabilities.shape} in {probabilities.numblocks} chunks: give (n,), or (n, "
            "columns) in chunks of whole rows, by .rechunk({1: -1})"
        )
    return probabilities


def _is_lazy(probabilities: Any) -> bool:
    return hasattr(probabilities, "map_blocks") and hasattr(probabilities, "numblocks")


def _rows_of(part: Any, kind: Kind) -> Array:
    """Return rows, checked, in float64."""
    check_probabilities(part)
    if kind != "binary":
        _require_sums(part, kind)
    rows: Array = part.astype(np.float64)
    return rows


def _require_sums(array: Array, kind: Kind) -> None:
    away = np.abs(array.sum(axis=1, dtype=np.float64) - 1)
    if kind == "multiclass" and away.size and not float(away.max()) <= _SUM_OF_ROW:
        row = int(away.argmax())
        raise ValueError(
            f"row {row} of probabilities, {array[row].tolist()}, does not have the sum 1, but the rates have: give "
            "probabilities of classes; if the columns are labels, one column and one number at a time"
        )
    if kind == "multilabel" and array.shape[1] > 1 and array.shape[0] >= _ROWS_OF_CHANCE and not (away > _SUM).any():
        raise ValueError(
            "all rows of probabilities have the sum 1, but the rates have not: give rates of classes with sum 1; if "
            "the columns are labels, one column and one number at a time"
        )


def _adapted(part: Any, kind: Kind, shift: Array) -> Array:
    with cuda.beside(part):
        rows = _rows_of(part, kind)
        by_column = np.asarray(shift, like=rows)
        result = shifted_classes(rows, by_column) if kind == "multiclass" else shifted(rows, by_column)
        return result.astype(np.float32 if part.dtype == np.float32 else np.float64, copy=False)


# ---- the maximum of the likelihood ----

# Called with the rates of the classes relative to those of training, and of labels with a column, returns sums over the
# rows, as `_sums` does.
_Sums = Callable[..., Array]


def _over_parts(probabilities: Any, kind: Kind) -> _Sums:
    if not _is_lazy(probabilities):
        return functools.partial(_sums, _rows_of(on_host(probabilities), kind))

    def summed(relative: Array, column: int | None = None) -> Array:
        size = 2 + relative.size * (1 + relative.size)
        parts = probabilities.map_blocks(
            *(_sums_of_part, kind, relative, column),
            dtype=np.float64,
            meta=np.empty((0, 0)),
            chunks=((1,) * probabilities.numblocks[0], (size,)),
            new_axis=[1] if probabilities.ndim == 1 else None,
        )
        total: Array = parts.compute().sum(axis=0)
        return total

    return summed


def _sums_of_part(part: Any, kind: Kind, relative: Array, column: int | None) -> Array:
    return _sums(_rows_of(on_host(part), kind), relative, column)[np.newaxis]


def _sums(probabilities: Array, relative: Array, column: int | None = None) -> Array:
    """Rows, their log-likelihood, and its first derivatives and negative second ones by the relative rates."""
    if column is not None:
        probabilities = probabilities[:, column]
    number = relative.size
    sums = np.zeros(2 + number * (1 + number))
    for start in range(0, probabilities.shape[0], _BLOCK):
        p = probabilities[start : start + _BLOCK]
        p = np.column_stack([1 - p, p]) if p.ndim == 1 else p
        likelihood = p @ relative
        # Rates at which a row is as good as impossible, which those of the maximum are not: there each row has at least
        # 1 / (K n), or its own class could gain. Derivatives would overflow.
        if not likelihood.min() > _IMPOSSIBLE:
            sums[1] = -np.inf
            break
        gradients = p / likelihood[:, np.newaxis]
        sums[0] += p.shape[0]
        sums[1] += np.log(likelihood).sum()
        sums[2 : 2 + number] += gradients.sum(axis=0)
        sums[2 + number :] += (gradients.T @ gradients).ravel()
    return sums


def _rate_of_label(sums: _Sums, column: int, trained: float) -> float:
    of_column = functools.partial(sums, column=column)
    rates = _most_likely(of_column, np.array([1 - trained, trained]), f"column {column} of probabilities")
    _warn_of_absent(rates, [f"label {label} in column {column}" for label in (0, 1)])
    return float(rates[1])


def _most_likely(sums: _Sums, trained: Array, name: str) -> Array:
    """Rates of the classes at the maximum of the likelihood.

    Sequential quadratic programming for mixture proportions (Kim, Carbonetto, Stephens and Anitescu, Journal of
    Computational and Graphical Statistics 2020): in each step the quadratic that touches the likelihood is maximised
    over non-negative rates, exact zeros among them, by non-negative least squares. The unknowns are the rates relative
    to those of training, near 1 whatever the rates. Instead of a sum of 1 the objective has the sum of the rates, whose
    minimum is where that is 1.
    """
    relative = np.ones(trained.size)
    value, gradient, curvature = _objective(sums, relative, trained)
    if not np.isfinite(value):
        raise ValueError(f"{name} has no rows: give one or more")
    mean = trained - gradient
    # Rows that are all certain of one class are alike, too, but do say something.
    if np.all(np.diag(curvature) - mean**2 <= 1e-14 * np.diag(curvature)) and np.all(mean < 1 - 1e-14):
        raise ValueError(
            f"all rows of {name} are alike, so they say nothing about the base rate: give rows that a model tells apart"
        )
    for _ in range(_MOST_STEPS):
        # A class that the rows hardly know has no curvature to speak of, and may go from one end to the other.
        diagonal = np.maximum(np.diag(curvature), np.abs(gradient) * trained / 2)
        np.fill_diagonal(curvature, diagonal + (diagonal == 0))
        step = _best_of_quadratic(relative, gradient, curvature) - relative
        gain = -float(gradient @ step)
        if np.all(np.abs(step) <= _TOLERANCE * (relative + np.abs(step))) or gain < _SMALLEST_GAIN:
            relative = relative + step
            break
        there, found = relative + step, _objective(sums, relative + step, trained)
        # Near the maximum a step changes the value by less than its rounding.
        while not found[0] <= value - 1e-4 * gain + 4e-16 * (1 + abs(value)):
            step, gain = step / 2, gain / 2
            there, found = relative + step, _objective(sums, relative + step, trained)
        relative, (value, gradient, curvature) = there, found
    else:
        raise RuntimeError(f"the likelihood of {name} has no maximum that {_MOST_STEPS} steps can find")
    rates = relative * trained
    return np.asarray(rates / rates.sum())


def _objective(sums: _Sums, relative: Array, trained: Array) -> tuple[float, Array, Array]:
    """Mean negative log-likelihood of a row plus the sum of the rates, and its derivatives."""
    rows, log_likelihood, *derivatives = sums(relative)
    if rows == 0 or not np.isfinite(log_likelihood):
        return np.inf, np.empty(0), np.empty(0)
    of_rows = np.array(derivatives) / rows
    number = relative.size
    value = float(trained @ relative - log_likelihood / rows)
    return value, trained - of_rows[:number], of_rows[number:].reshape(number, number)


def _best_of_quadratic(at: Array, gradient: Array, curvature: Array) -> Array:
    """Where, among non-negative rates, the quadratic with these derivatives is least."""
    scale = 1 / np.sqrt(np.diag(curvature))
    scaled = scale[:, np.newaxis] * curvature * scale
    scaled[np.diag_indices_from(scaled)] += 1e-13  # two classes may be proportional
    root = np.linalg.cholesky(scaled).T
    best, _ = nnls(root, root @ (at / scale) - np.linalg.solve(root.T, gradient * scale))
    return np.asarray(best * scale)


def _warn_of_absent(rates: Array, names: Sequence[str]) -> None:
    absent = [name for name, rate in zip(names, rates.tolist(), strict=True) if rate == 0]
    if absent:
        warnings.warn(
            f"the estimated rate of {' and '.join(absent)} is 0: the sample looks most like one without it; give more "
            "rows, or take the sample for too small",
            RuntimeWarning,
            stacklevel=3,
        )
