"""ConstrainedThresholdClassifierCV: any classifier of two classes, deciding at a threshold that meets a bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit, check_cv
from sklearn.utils import _safe_indexing, check_consistent_length, get_tags, indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_method_params, check_is_fitted

from ._inputs import Array
from .labels import place_among, plain_labels
from .metrics.alerts import AlertCurve
from .metrics.problem import one_problem
from .metrics.thresholds import threshold_at_alert_rate, threshold_at_precision, threshold_at_recall

__all__ = ["ConstrainedThresholdClassifierCV"]

_THRESHOLDS: dict[str, Callable[..., float]] = {
    "precision": threshold_at_precision,
    "recall": threshold_at_recall,
    "alert_rate": threshold_at_alert_rate,
}


def _estimator_has(name: str) -> Callable[[Any], bool]:
    return lambda self: hasattr(getattr(self, "estimator_", self.estimator), name)


class ConstrainedThresholdClassifierCV(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier of two classes that decides at the threshold which meets a bound.

    Of the thresholds with at least some precision the one with the most recall, of those with at least some recall the
    one with the most precision, or of those with at most some share of alerts the one with the most recall. It is found
    on rows that the classifier was not trained on: out of fold, or on a part that is held out.

    Parameters
    ----------
    estimator : classifier
        Any of two classes that has `predict_proba`, or `decision_function`. It is cloned, unless ``cv="prefit"``.
    constraint : {"precision", "recall", "alert_rate"}
        What the bound is about.
    bound : float in (0, 1]
        Least precision or recall, or largest share of alerts.
    confidence : float in (0, 1), optional
        Probability with which the bound holds in the population, for which see
        `gbm_focal.metrics.threshold_at_precision`. The promise is about the very model that was tested, so it needs
        ``refit=False``, and `cv` a fraction, or "prefit" with rows that the model has not seen. None: the bound holds
        on the rows that it was found on, and elsewhere more or less.
    cv : int, float in (0, 1), "prefit", splitter or iterable, default 5
        Folds, as in scikit-learn; a fraction of the rows to hold out (at random, and stratified unless there is a
        `confidence`, for which rows must be independent draws); or "prefit", for an estimator that is fitted already.
    n_jobs : int, optional
        Folds that are fitted at the same time.
    refit : bool, default True
        Whether to fit on all rows in the end. The threshold is then that of models which saw fewer.
    pos_label : label, optional
        The class that alerts are about. By default the second of `classes_`.
    random_state : int, RandomState instance or None, default None
        For the rows that are held out.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier.
    best_threshold_ : float
        Rows whose probability (or decision) of `pos_label_` is at least this are alerts.
    curve_ : dict of str to ndarray of shape (m,)
        Under "threshold" the distinct scores of the rows that it was found on, from the highest, and under "precision",
        "recall" and "alert_rate" what there is at each.
    classes_ : ndarray of shape (2,)
    pos_label_ : label
    n_features_in_, feature_names_in_
        As in scikit-learn, if the classifier has them.

    Notes
    -----
    With scikit-learn's metadata routing `fit` passes on what estimator and splitter ask for; without it `groups` go to
    the splitter and all else to the estimator. A `sample_weight` counts for the threshold as well, but not with
    `confidence`, whose tests count rows.

    See Also
    --------
    sklearn.model_selection.TunedThresholdClassifierCV : The threshold that is best by a score.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from gbm_focal import ConstrainedThresholdClassifierCV, FocalClassifier
    >>> X, y = make_classification(4000, weights=[0.95], random_state=0)
    >>> classifier = ConstrainedThresholdClassifierCV(
    ...     FocalClassifier(), constraint="precision", bound=0.6, confidence=0.9, cv=0.5, refit=False, random_state=0
    ... )
    >>> alerts = classifier.fit(X, y).predict(X)
    """

    def __init__(
        self,
        estimator: Any,
        *,
        constraint: Literal["precision", "recall", "alert_rate"],
        bound: float,
        confidence: float | None = None,
        cv: Any = 5,
        n_jobs: int | None = None,
        refit: bool = True,
        pos_label: Any = None,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.constraint = constraint
        self.bound = bound
        self.confidence = confidence
        self.cv = cv
        self.n_jobs = n_jobs
        self.refit = refit
        self.pos_label = pos_label
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.sparse = get_tags(self.estimator).input_tags.sparse
        tags.input_tags.allow_nan = get_tags(self.estimator).input_tags.allow_nan
        return tags

    def get_metadata_routing(self) -> Any:
        """Say who gets what `fit` is given, for scikit-learn's metadata routing."""
        router = MetadataRouter(owner=self).add(
            estimator=self.estimator, method_mapping=MethodMapping().add(caller="fit", callee="fit")
        )
        if hasattr(self.cv, "split") and not isinstance(self.cv, str):
            router.add(splitter=self.cv, method_mapping=MethodMapping().add(caller="fit", callee="split"))
        return router

    def fit(self, X: Any, y: Any, **params: Any) -> ConstrainedThresholdClassifierCV:
        """Fit the classifier, and find the threshold.

        Parameters
        ----------
        X : array-like, data frame or sparse matrix of shape (n, features)
            Whatever the classifier takes.
        y : array-like of shape (n,)
            Labels of two classes.
        **params
            What estimator and splitter get, such as `sample_weight` and `groups`.

        Returns
        -------
        ConstrainedThresholdClassifierCV

        Raises
        ------
        ValueError, TypeError
            If a parameter is invalid, no threshold meets the bound, or the rows cannot promise it.
        """
        if self.constraint not in _THRESHOLDS:
            raise ValueError(f"constraint={self.constraint!r} is not known: give one of {', '.join(_THRESHOLDS)}")
        self._check_what_is_promised()
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None: give labels")
        X, y = indexable(X, y)
        kind = type_of_target(plain_labels(y), input_name="y", raise_unknown=True)
        if kind != "binary":
            raise ValueError(
                f"Only binary classification is supported. The type of the target is {kind}: give labels of two classes"
            )
        weight = params.get("sample_weight")
        if weight is not None:
            check_consistent_length(y, weight)
            if np.unique(np.asarray(y)[np.asarray(weight) > 0]).size < 2:
                raise ValueError("sample_weight is above 0 in rows of one class only: give weights to rows of both")
        for_estimator, for_splitter = self._routed(params)
        if self.cv == "prefit":
            check_is_fitted(self.estimator, "classes_")
            self.estimator_ = self.estimator
            tested = [_Tested.by(self.estimator, X, y, None, self.pos_label)]
        else:
            tested, self.estimator_ = self._fitted_and_tested(X, y, for_estimator, for_splitter)
        self.classes_ = self.estimator_.classes_
        self.pos_label_ = self.classes_[_place_of(self.pos_label, self.classes_)]
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        rows = _Tested.joined(tested)
        # Beside a promise, which counts rows, weights are those of the training; without one they count here, too.
        trains_only = self.confidence is not None and self.cv != "prefit"
        of_rows = None if weight is None or trains_only else np.asarray(weight)[rows.number]
        self.best_threshold_ = _THRESHOLDS[self.constraint](
            rows.positive, rows.score, self.bound, confidence=self.confidence, sample_weight=of_rows
        )
        self.curve_ = _curve(rows, of_rows)
        return self

    def predict(self, X: Any) -> Array:
        """Labels: `pos_label_` where its probability is at least `best_threshold_`.

        Parameters
        ----------
        X : as for `fit`

        Returns
        -------
        ndarray of shape (n,)
        """
        check_is_fitted(self, "best_threshold_")
        place = _place_of(self.pos_label, self.classes_)
        alert = _scores(self.estimator_, X, self.pos_label) >= self.best_threshold_
        predicted: Array = self.classes_[np.where(alert, place, 1 - place)]
        return predicted

    def decision_function(self, X: Any) -> Array:
        """Distance of the score to the threshold, positive where `predict` says ``classes_[1]``.

        Parameters
        ----------
        X : as for `fit`

        Returns
        -------
        ndarray of shape (n,)
        """
        check_is_fitted(self, "best_threshold_")
        score = _scores(self.estimator_, X, self.pos_label).astype(np.float64)
        if _place_of(self.pos_label, self.classes_) == 0:
            distance: Array = self.best_threshold_ - score
        else:  # positive at the threshold itself, too
            distance = score - np.nextafter(self.best_threshold_, -np.inf)
        return distance

    @available_if(_estimator_has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Array:
        """Probabilities of the classifier, which the threshold does not change.

        Parameters
        ----------
        X : as for `fit`

        Returns
        -------
        ndarray of shape (n, 2)
        """
        check_is_fitted(self, "best_threshold_")
        probabilities: Array = self.estimator_.predict_proba(X)
        return probabilities

    @available_if(_estimator_has("predict_log_proba"))  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of `predict_proba`."""
        check_is_fitted(self, "best_threshold_")
        logarithms: Array = self.estimator_.predict_log_proba(X)
        return logarithms

    # ---- inside ----

    def _check_what_is_promised(self) -> None:
        if self.cv == "prefit" and self.refit:
            raise ValueError("cv='prefit' takes the estimator as it is: give refit=False with it")
        if self.confidence is None:
            return
        if self.refit or not (self.cv == "prefit" or _is_fraction(self.cv)):
            raise ValueError(
                f"confidence={self.confidence!r} beside cv={self.cv!r} and refit={self.refit!r}: a promise is about "
                "the very model that was tested, so give refit=False and cv='prefit', or cv=0.5 to hold out half of "
                "the rows"
            )

    def _routed(self, params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "fit", **params)
            return routed.estimator.fit, routed.splitter.split if "splitter" in routed else {}
        groups = {name: value for name, value in params.items() if name == "groups"}
        return {name: value for name, value in params.items() if name != "groups"}, groups

    def _splits(self, X: Any, y: Any, params: dict[str, Any]) -> Iterator[tuple[Array, Array]]:
        if _is_fraction(self.cv):
            shuffle = StratifiedShuffleSplit if self.confidence is None else ShuffleSplit
            cv = shuffle(1, test_size=self.cv, random_state=self.random_state)
        else:
            cv = check_cv(self.cv, y, classifier=True)
        splits: Iterator[tuple[Array, Array]] = cv.split(X, y, **params)
        return splits

    def _fitted_and_tested(
        self, X: Any, y: Any, for_estimator: dict[str, Any], for_splitter: dict[str, Any]
    ) -> tuple[list[_Tested], Any]:
        splits = list(self._splits(X, y, for_splitter))
        if not self.refit and len(splits) > 1:
            raise ValueError(
                f"refit=False beside cv={self.cv!r}, which fits {len(splits)} models: give refit=True, or a fraction "
                "or a splitter that splits once"
            )
        pairs = Parallel(n_jobs=self.n_jobs)(
            delayed(_fit_and_test)(clone(self.estimator), X, y, train, test, for_estimator, self.pos_label)
            for train, test in splits
        )
        fitted = clone(self.estimator).fit(X, y, **for_estimator) if self.refit else pairs[0][0]
        return [tested for _, tested in pairs], fitted


class _Tested(NamedTuple):
    """Rows that a classifier was not trained on."""

    positive: Array  # of bool
    score: Array
    number: Array  # of each among those that were given

    @classmethod
    def by(cls, estimator: Any, X: Any, y: Any, rows: Array | None, pos_label: Any) -> _Tested:
        """Score the rows with a fitted classifier."""
        labels = np.asarray(y)
        if rows is None:
            rows = np.arange(labels.shape[0])
        else:
            X, labels = _safe_indexing(X, rows), labels[rows]
        label = estimator.classes_[_place_of(pos_label, estimator.classes_)]
        return cls(np.ravel(labels) == label, _scores(estimator, X, pos_label), rows)

    @classmethod
    def joined(cls, parts: list[_Tested]) -> _Tested:
        """Rows of all folds."""
        return cls(*map(np.concatenate, zip(*parts, strict=True)))


def _fit_and_test(
    estimator: Any, X: Any, y: Any, train: Array, test: Array, params: dict[str, Any], pos_label: Any
) -> tuple[Any, _Tested]:
    of_rows = _check_method_params(X, params, indices=train)
    estimator.fit(_safe_indexing(X, train), _safe_indexing(y, train), **of_rows)
    return estimator, _Tested.by(estimator, X, y, test, pos_label)


def _place_of(pos_label: Any, classes: Array) -> int:
    """Return which of two classes is the positive one."""
    if len(classes) != 2:
        raise ValueError(
            f"the estimator has seen the labels {list(classes)}: give it rows of two classes in every fold"
        )
    return place_among(classes, pos_label)


def _scores(estimator: Any, X: Any, pos_label: Any) -> Array:
    """Probabilities of the positive class, or decisions for it."""
    place = _place_of(pos_label, estimator.classes_)
    if hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict_proba(X))[:, place]
    if not hasattr(estimator, "decision_function"):
        raise TypeError(
            f"{type(estimator).__name__} has neither predict_proba nor decision_function: give one that has"
        )
    decision = np.asarray(estimator.decision_function(X))
    return decision if place == 1 else -decision


def _is_fraction(cv: Any) -> bool:
    return isinstance(cv, float | np.floating) and bool(0 < cv < 1)


def _curve(rows: _Tested, weight: Array | None) -> dict[str, Array]:
    problem = one_problem(rows.positive, rows.score, None, weight)
    curve = AlertCurve.of(problem, np.unique(problem.score)[::-1])
    return {
        "threshold": curve.threshold,
        "precision": curve.true_alerts / curve.alerts,
        "recall": curve.true_alerts / curve.positive,
        "alert_rate": curve.alerts / curve.total,
    }
