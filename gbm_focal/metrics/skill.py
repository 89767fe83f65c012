"""Skill of decisions: right forecasts beyond those that come without any skill."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import confusion_matrix, multilabel_confusion_matrix
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import type_of_target, unique_labels

from .._inputs import Array
from .problem import checked_weights


def true_skill_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    per_class: bool = False,
    sample_weight: ArrayLike | None = None,
) -> float | Array:
    """Return the true skill statistic (TSS), recall minus false alarm rate.

    Of a class, TP / (TP + FN) - FP / (FP + TN): 1 for perfect forecasts, 0 for any that ignore the features, -1 where
    every one is wrong. It does not change with the base rate, which is why flare forecasts are compared by it. For
    two classes it is the same for both, and scikit-learn's ``balanced_accuracy_score(adjusted=True)``; for more it
    is taken of each class versus the rest.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,), or (n, L) of 0 and 1
        True labels and decisions, not probabilities.
    labels : array-like, optional
        Classes (or numbers of columns) that count, and their order. By default all that occur.
    per_class : bool, default False
        Whether to return the TSS of each class, or column, instead of their mean.
    sample_weight : array-like of shape (n,), optional

    Returns
    -------
    float in [-1, 1]; ndarray of shape (K,) with `per_class`

    Raises
    ------
    ValueError
        If `y_pred` holds probabilities, or a class has all of the rows of `y_true` or none, so that it has no
        recall or no false alarm rate.

    References
    ----------
    Hanssen and Kuipers, "On the Relationship Between the Frequency of Rain and Various Meteorological Parameters",
    Mededelingen en Verhandelingen 81, KNMI, 1965. For flares: Bloomfield et al., "Toward Reliable Benchmarking of
    Solar Flare Forecasting Methods", The Astrophysical Journal Letters 747, 2012.
    """
    tables, names = _tables(y_true, y_pred, labels, sample_weight, joint=False)
    with_class, without = tables[:, 1].sum(axis=1), tables[:, 0].sum(axis=1)
    for name, positive, negative in zip(names, with_class, without, strict=True):
        if positive == 0 or negative == 0:
            share = "none" if positive == 0 else "all"
            raise ValueError(
                f"{share} of the rows of y_true are positive of {name}, which so has no TSS: give rows of several "
                "classes, or name those that count in labels"
            )
    skill: Array = tables[:, 1, 1] / with_class - tables[:, 0, 1] / without
    return skill if per_class else float(skill.mean())


def heidke_skill_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    per_class: bool = False,
    sample_weight: ArrayLike | None = None,
) -> float | Array:
    """Return the Heidke skill score (HSS), the share of right forecasts beyond those right by chance.

    (right - chance) / (1 - chance), where chance is the share that would be right if forecasts of the same
    frequencies were dealt at random. Two or more classes share one table of truth and forecast (the multi-category
    form, which is Cohen's kappa); the columns of a label matrix have a score each. It counts a false alarm like a
    miss, and so falls with the base rate.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,), or (n, L) of 0 and 1
        True labels and decisions, not probabilities.
    labels : array-like, optional
        Classes (or numbers of columns) that count, and their order. By default all that occur. Rows with another
        true or forecast class are left out of the multi-category form.
    per_class : bool, default False
        Whether to return the HSS of each class versus the rest, or of each column. Without it, that of all classes
        together, or the mean over the columns.
    sample_weight : array-like of shape (n,), optional

    Returns
    -------
    float in [-1, 1]; ndarray of shape (K,) with `per_class`

    Raises
    ------
    ValueError
        If `y_pred` holds probabilities, or truth and forecast are one and the same class in all rows, where right by
        chance is all there is. With another forecast a single true class gives 0.

    References
    ----------
    Heidke, "Berechnung des Erfolges und der Güte der Windstärkevorhersagen im Sturmwarnungsdienst", Geografiska
    Annaler 8, 1926. For flares: Bloomfield et al., The Astrophysical Journal Letters 747, 2012.
    """
    tables, names = _tables(y_true, y_pred, labels, sample_weight, joint=not per_class)
    skill = np.empty(len(names))
    for number, (name, table) in enumerate(zip(names, tables, strict=True)):
        if np.trace(table) > 0 and np.count_nonzero(table) == 1:
            raise ValueError(
                f"of {name} truth and forecast are one and the same in all rows, so there is no HSS: give rows of "
                "several classes"
            )
        total, right = table.sum(), np.trace(table)
        by_chance = (table.sum(axis=0) @ table.sum(axis=1)) / total
        skill[number] = (right - by_chance) / (total - by_chance)
    return skill if per_class else float(skill.mean())


def _tables(
    y_true: ArrayLike, y_pred: ArrayLike, labels: ArrayLike | None, sample_weight: ArrayLike | None, *, joint: bool
) -> tuple[Array, list[str]]:
    """Tables of truth (rows) and decision (columns), and what each is of: a class, a column, or all classes jointly."""
    truth, decided = np.asarray(y_true), np.asarray(y_pred)
    assert_all_finite(truth, input_name="y_true")
    assert_all_finite(decided, input_name="y_pred")
    if type_of_target(decided, input_name="y_pred").startswith("continuous"):
        raise ValueError(
            f"y_pred holds {float(decided[decided != np.round(decided)][0])!r}: give decisions, for instance "
            "y_score > threshold; as an evaluation metric take the scorer, SCORERS['true_skill_score'] or "
            "SCORERS['heidke_skill_score'], which asks for them"
        )
    weight = checked_weights(sample_weight, truth.shape[0])
    if truth.shape == decided.shape:  # else scikit-learn says what differs
        truth, decided, weight = truth[weight > 0], decided[weight > 0], weight[weight > 0]
    several = type_of_target(truth, input_name="y_true") == "multilabel-indicator"
    if labels is None:
        labels = np.arange(truth.shape[1]) if several else unique_labels(truth, decided)
    if joint and not several:
        if np.size(labels) == 1:  # of which scikit-learn warns; here it is an error, for want of a score
            return np.full((1, 1, 1), weight.sum()), ["all classes"]
        return confusion_matrix(truth, decided, labels=labels, sample_weight=weight)[np.newaxis], ["all classes"]
    tables = multilabel_confusion_matrix(truth, decided, labels=labels, sample_weight=weight)
    return tables, [f"column {name}" if several else f"class {name!r}" for name in np.asarray(labels).tolist()]
