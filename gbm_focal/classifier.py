"""FocalClassifier: the losses around XGBClassifier or LGBMClassifier, as a scikit-learn estimator."""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import os
import warnings
import zipfile
from collections.abc import Callable, Mapping
from importlib import metadata
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import assert_all_finite, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, check_array, check_is_fitted, column_or_1d, validate_data

from ._inputs import Array, on_host
from .boosting import Link, Plan, require_loss
from .losses import ClassTotals, FocalLoss, Hessian, Loss, check_hessian

__all__ = ["FocalClassifier"]

_FORMAT = 1  # of saved models; raised when older versions could no longer read them
_DESCRIPTION = "gbm_focal.json"
_LARGEST_DESCRIPTION = 64 * 2**20  # bytes; beyond that the file is not one of ours


class FocalClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that trains XGBoost or LightGBM on a loss made for imbalanced classes.

    Two classes, several (`FocalLoss` and `BalancedCrossEntropy` with softmax, other losses one versus rest), or
    several labels a row (y an indicator matrix).

    Parameters
    ----------
    estimator : XGBClassifier, LGBMClassifier or None, default None
        The engine with its parameters; it is cloned, never changed. None: `XGBClassifier` if XGBoost is installed,
        else `LGBMClassifier`.
    loss : Loss or None, default None
        None: ``FocalLoss()``.
    hessian : {"fisher", "exact"}, default "fisher"
        See `Loss.gradient_hessian`.
    max_step : float or None, default 2.0
        Longest Newton step that a sample may ask for, in units of margin; None for no limit.
    normalize : bool, default True
        Scale the loss so that its Hessian at the intercept is that of the logistic loss, and the engines'
        parameters that are compared with Hessians keep their meaning.
    class_weight : dict, "balanced" or None, default None
        Weights of the samples by class, multiplied with `sample_weight`. Unlike the loss's `alpha` they change
        the base rate that `predict_proba` stands for.

    Attributes
    ----------
    estimator_ : XGBClassifier or LGBMClassifier
        The fitted engine, for its own tools: importances, SHAP, plots. Its margins include the intercept; its own
        `predict_proba` is not the posterior. After `load_model` of a LightGBM model it is a `lightgbm.Booster`.
    loss_ : Loss
        The loss with numeric `alpha`.
    link_ : gbm_focal.boosting.Link
        From margins to probabilities.
    classes_ : ndarray of shape (K,)
        Labels; for several labels a row a list with the array [0, 1] of each, as scikit-learn has it.
    n_features_in_, feature_names_in_
        As in scikit-learn.
    evals_result_ : dict
        History of the metric on each evaluation set.
    best_iteration_ : int or None
        Where early stopping stopped, counted from 0 in both engines (LightGBM's own attribute counts from 1).

    Notes
    -----
    `predict_proba` is the calibrated posterior. `alpha` is a cost ratio, so `predict` decides for the label 1 where
    alpha eta > (1 - alpha) (1 - eta); `decision_function` is the log-odds of that decision, positive exactly where
    `predict` says 1. Of K classes it says the one with the largest alpha_k eta_k (one versus rest, the largest
    eta_k - (1 - alpha_k), which costs least there).

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from gbm_focal import FocalClassifier, FocalLoss
    >>> X, y = make_classification(500, weights=[0.9], random_state=0)
    >>> classifier = FocalClassifier(loss=FocalLoss(gamma=1)).fit(X, y)
    >>> classifier.predict_proba(X).shape
    (500, 2)
    """

    def __init__(
        self,
        estimator: Any = None,
        loss: Loss | None = None,
        *,
        hessian: Hessian = "fisher",
        max_step: float | None = 2.0,
        normalize: bool = True,
        class_weight: Mapping[Any, float] | str | None = None,
    ) -> None:
        self.estimator = estimator
        self.loss = loss
        self.hessian = hessian
        self.max_step = max_step
        self.normalize = normalize
        self.class_weight = class_weight

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_label = True
        return tags

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        eval_set: list[tuple[Any, Any]] | None = None,
        *,
        eval_metric: Any = None,
        eval_sample_weight: list[Any] | None = None,
        progress: bool = False,
        **fit_params: Any,
    ) -> FocalClassifier:
        """Fit the engine.

        Parameters
        ----------
        X : array-like, data frame or sparse matrix of shape (n, features)
            Whatever the engine takes; missing values are the engine's to handle.
        y : array-like of shape (n,), or (n, L) of 0 and 1
            Labels of any type, or an indicator matrix. Of two labels the second of `classes_`, which are sorted, is
            the positive one, as everywhere in scikit-learn: of "fraud" and "ok" that is "ok". Where the rare one comes
            first, give ``y == "fraud"``; `AsymmetricLoss` and metrics such as average precision are not symmetric.
        sample_weight : array-like of shape (n,), optional
            Non-negative weights.
        eval_set : list of (X, y), optional
            Evaluation sets, for early stopping by ``early_stopping_rounds`` of `XGBClassifier` (the last set
            counts), or ``early_stopping_round`` or a callback of LightGBM (each set but the training data does).
        eval_metric : str or callable, optional
            The name of a scikit-learn scorer, or a function metric(y_true, y_score) fed with posteriors and labels
            from 0; see `gbm_focal.xgboost.Metric`. By default that of the estimator (``eval_metric`` or
            ``metric``), and if it has none the loss. The engines' names of log loss, error, AUC and average
            precision are understood.
        eval_sample_weight : list of array-like, optional
            Weights of the evaluation sets, which `class_weight` does not touch; XGBoost's name
            `sample_weight_eval_set` is understood.
        progress : bool, default False
            Show a bar over the rounds, where stderr is a terminal. Needs tqdm.
        **fit_params
            Other arguments of the engine's `fit`.

        Returns
        -------
        FocalClassifier

        Raises
        ------
        ValueError, TypeError
            If an input or parameter is invalid, or contradicts the loss.
        """
        if eval_set is not None and not isinstance(eval_set, list):
            raise TypeError(f"eval_set is a {type(eval_set).__name__}: give a list of pairs, [(X_valid, y_valid)]")
        engine, estimator = self._engine()
        loss = FocalLoss() if self.loss is None else self.loss
        require_loss(loss)
        check_hessian(self.hessian, self.max_step)
        starts = {"init_score", "eval_init_score", "base_margin", "base_margin_eval_set"} & set(fit_params)
        if starts:
            raise ValueError(
                f"{sorted(starts)[0]} is not possible here, because training starts at the loss's intercept and "
                "prediction takes no margins to start from: use the engine's own train"
            )
        training = self._training_data(engine, X, y, sample_weight)
        training.totals.require_all_classes()
        if "sample_weight_eval_set" in fit_params:
            eval_sample_weight = fit_params.pop("sample_weight_eval_set")
        plan = self._plan(
            loss=loss,
            totals=training.totals,
            conditioning={"hessian": self.hessian, "max_step": self.max_step, "normalize": self.normalize},
            metric=eval_metric,
            sample_weight=training.weight,
            eval_set=[
                # The engines know the training data again by identity, and do not let it stop the training.
                (training.X, training.y) if X_eval is X and y_eval is y else training.encoded_alike(X_eval, y_eval)
                for X_eval, y_eval in eval_set or []
            ],
            eval_weights=None if eval_sample_weight is None else [on_host(each) for each in eval_sample_weight],
            progress=progress,
        )
        fitted = engine.fit_estimator(estimator, training.X, training.y, plan, fit_params)
        self.estimator_, self.link_ = fitted
        self.loss_, self.classes_ = self.link_.loss, training.classes
        self.evals_result_ = engine.evals_result_of(self.estimator_) if plan.eval_set else {}
        self.best_iteration_ = engine.best_iteration_of(self.estimator_)
        return self

    def predict_proba(self, X: Any) -> Array:
        """Posterior probabilities.

        Parameters
        ----------
        X : as for `fit`

        Returns
        -------
        ndarray of shape (n, K), or (n, L) with the probabilities of 1 for several labels a row
        """
        margin = self._margin(X)
        probabilities: Array = self.link_.probabilities(margin)
        return probabilities

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of `predict_proba`; a probability that has underflowed counts as the smallest number."""
        probabilities = self.predict_proba(X)
        logarithms: Array = np.log(np.maximum(probabilities, np.finfo(probabilities.dtype).tiny))
        return logarithms

    def decision_function(self, X: Any) -> Array:
        """Log-odds of the decision, weighted by the costs that `alpha` says.

        Parameters
        ----------
        X : as for `fit`

        Returns
        -------
        ndarray of shape (n,), positive where `predict` says ``classes_[1]``; (n, L) for several labels a row; (n, K)
        for K classes: their weighted probabilities, the largest of which is what `predict` says
        """
        margin = self._margin(X)
        decision: Array = self.link_.decision(margin)
        return decision

    def predict(self, X: Any) -> Array:
        """Labels.

        Parameters
        ----------
        X : as for `fit`

        Returns
        -------
        ndarray of shape (n,), or (n, L) of 0 and 1 for several labels a row
        """
        margin = self._margin(X)
        chosen = self.link_.classes(margin)
        predicted: Array = chosen if self.link_.kind == "multilabel" else self.classes_[chosen]
        return predicted

    @property
    def feature_importances_(self) -> Array:
        """Importances of the features, as the engine defines them."""
        check_is_fitted(self)
        importances: Array = self._engine_of(self.estimator_).importances_of(self.estimator_)
        return importances

    # ---- saving without pickle ----

    def save_model(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to one file: the engine's own format and JSON, in a zip archive.

        Parameters
        ----------
        path : str or path-like

        Raises
        ------
        TypeError
            If a parameter or label cannot be stored as JSON.

        Warns
        -----
        UserWarning
            If a parameter of the estimator, such as a callback, cannot be stored: prediction does not need it.
        """
        check_is_fitted(self)
        engine = self._engine_of(self.estimator_)
        model = engine.model_bytes_of(self.estimator_)
        parameters = {} if self.estimator is None else self.estimator.get_params()
        settings = {name: _plain(value) for name, value in parameters.items()}
        lost = [name for name, value in settings.items() if not _is_plain(value)]
        if lost:
            warnings.warn(f"not stored, because JSON cannot hold them: {', '.join(lost)}", UserWarning, stacklevel=2)
        several = self.link_.kind == "multilabel"
        description = {
            "format": _FORMAT,
            "engine": engine.__name__.rpartition(".")[2],
            "versions": {name: metadata.version(name) for name in ("gbm_focal", "scikit-learn", "numpy")},
            "engine_version": engine.version(),
            "sha256": hashlib.sha256(model).hexdigest(),
            "classes": None if several else {"dtype": self.classes_.dtype.str, "labels": self.classes_.tolist()},
            "columns": len(self.classes_),
            "features": self.n_features_in_,
            "feature_names": [str(name) for name in getattr(self, "feature_names_in_", [])],
            "link": json.loads(self.link_.to_json()),
            "parameters": {
                "hessian": self.hessian,
                "max_step": _plain(self.max_step),
                "normalize": _plain(self.normalize),
                "class_weight": _pairs(self.class_weight),
                "loss": None if self.loss is None else json.loads(self.loss.to_json()),
                "estimator": {name: value for name, value in settings.items() if _is_plain(value)},
            },
            "best_iteration": self.best_iteration_,
        }
        text = json.dumps(description, indent=1, allow_nan=True)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(_DESCRIPTION, text)
            archive.writestr(engine.MODEL_FILE, model)

    @classmethod
    def load_model(cls, path: str | os.PathLike[str]) -> FocalClassifier:
        """Read what `save_model` wrote.

        No pickle is read and no code of the file is run; a loss of your own must be defined before. The model
        itself is parsed by the engine, so load models of people you trust.

        Parameters
        ----------
        path : str or path-like

        Returns
        -------
        FocalClassifier
            Fitted, with the parameters it was made with as far as JSON holds them.

        Raises
        ------
        ValueError
            If the file is damaged, not a saved model, or of a newer format.
        OSError
            If it cannot be read.
        """
        content = _read_archive(path)
        description = content.description
        try:
            parameters = description["parameters"]
            stored_loss = parameters["loss"]
            loss = None if stored_loss is None else Loss.from_json(json.dumps(stored_loss))
            link = Link.from_json(json.dumps(description["link"]))
            if link.kind == "multilabel":
                classes: Any = [np.arange(2)] * int(description["columns"])
            else:
                dtype, labels = np.dtype(description["classes"]["dtype"]), description["classes"]["labels"]
                if dtype.hasobject and not all(isinstance(label, str) for label in labels):
                    raise ValueError(f"labels {labels!r} are neither numbers nor strings")
                classes = np.array(labels, dtype)
            features, names = int(description["features"]), [str(name) for name in description["feature_names"]]
            conditioning = {name: parameters[name] for name in ("hessian", "max_step", "normalize")}
            check_hessian(conditioning["hessian"], conditioning["max_step"])
            class_weight = parameters.get("class_weight")
            class_weight = dict(map(tuple, class_weight)) if isinstance(class_weight, list) else class_weight
            settings = {str(name): value for name, value in parameters["estimator"].items() if _is_plain(value)}
            best = description["best_iteration"]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"{path} is not a model that this version can read: {error}") from error
        engine = content.engine
        model = cls(engine.new_estimator(settings), loss, class_weight=class_weight, **conditioning)
        try:
            model.estimator_ = engine.estimator_from_bytes(content.model, settings)
        except Exception as error:  # whatever the engine makes of a damaged model
            raise ValueError(f"{path} holds a model that {content.engine.__name__} cannot read: {error}") from error
        model.link_, model.loss_, model.classes_ = link, link.loss, classes
        model.n_features_in_, model.best_iteration_, model.evals_result_ = features, best, {}
        if names:
            model.feature_names_in_ = np.array(names, dtype=object)
        return model

    # ---- inside ----

    def _engine(self) -> tuple[ModuleType, Any]:
        """Return the module of this package for the engine, and the estimator to fit."""
        if self.estimator is not None:
            if not hasattr(self.estimator, "get_params"):
                raise TypeError(
                    f"estimator={self.estimator!r} is a {type(self.estimator).__name__}: give an XGBClassifier or an "
                    "LGBMClassifier"
                )
            return self._engine_of(self.estimator), self.estimator
        for name, kind in (("xgboost", "XGBClassifier"), ("lightgbm", "LGBMClassifier")):
            try:
                engine = importlib.import_module(f"{__package__}.{name}")
            except ImportError:
                continue
            return engine, getattr(importlib.import_module(name), kind)()
        raise ImportError("FocalClassifier needs an engine: pip install 'gbm_focal[xgboost]' or 'gbm_focal[lightgbm]'")

    def _training_data(self, engine: ModuleType, X: Any, y: Any, sample_weight: ArrayLike | None) -> TrainingData:
        X = self._features(X, engine, reset=True)
        encoded, kind, classes, encoder = _encoded(y, _rows(X))
        weight = None
        if sample_weight is not None or self.class_weight is not None:
            weight = _check_sample_weight(on_host(sample_weight), encoded, dtype=np.float64, ensure_non_negative=True)
        if self.class_weight is not None:
            weight = weight * compute_sample_weight(self.class_weight, np.asarray(on_host(y)))
        totals = ClassTotals.of(encoded, weight, classes=len(classes) if kind == "multiclass" else None)

        def encoded_alike(X_eval: Any, y_eval: Any) -> tuple[Any, Array]:
            return self._features(X_eval, engine, reset=False), encoded_as(y_eval, encoder, len(classes))

        return TrainingData(X, encoded, weight, totals, classes, encoded_alike)

    def _plan(self, **content: Any) -> Plan:
        return Plan(**content)

    @staticmethod
    def _engine_of(estimator: Any) -> ModuleType:
        names = {kind.__module__.partition(".")[0] for kind in type(estimator).__mro__}
        kinds = {kind.__name__ for kind in type(estimator).__mro__}
        if kinds & {"DaskXGBClassifier", "DaskLGBMClassifier"}:
            raise TypeError(
                f"estimator={estimator!r} is a {type(estimator).__name__}, which trains on Dask collections: give it "
                "to gbm_focal.dask.DaskFocalClassifier"
            )
        for name in ("xgboost", "lightgbm"):
            if name in names and kinds & {"XGBClassifier", "LGBMClassifier", "Booster"}:
                return importlib.import_module(f"{__package__}.{name}")
        raise TypeError(
            f"estimator={estimator!r} is a {type(estimator).__name__}: give an XGBClassifier or an LGBMClassifier"
        )

    def _features(self, X: Any, engine: ModuleType, *, reset: bool) -> Any:
        if sparse.issparse(X) or isinstance(X, np.ndarray | list | tuple) or _is_foreign(X):
            X = validate_data(
                self,
                X,
                reset=reset,
                accept_sparse=("csr", "csc"),
                dtype="numeric" if not _has_objects(X) else np.float64,
                ensure_all_finite="allow-nan",
            )
            if sparse.issparse(X):  # LightGBM knows SciPy's sparse matrices, not its sparse arrays
                X = sparse.csc_matrix(X) if X.format == "csc" else sparse.csr_matrix(X)
            return X
        validate_data(self, X, reset=reset, skip_check_array=True)
        if hasattr(engine, "check_columns"):
            engine.check_columns(X)
        return X

    def _margin(self, X: Any) -> Array:
        check_is_fitted(self)
        engine = self._engine_of(self.estimator_)
        margin: Array = engine.margin_of_estimator(self.estimator_, self._features(X, engine, reset=False))
        return margin


class TrainingData(NamedTuple):
    """What `fit` was given, in the form in which the engines and the plan take it."""

    X: Any
    y: Any  # labels from 0
    weight: Any
    totals: ClassTotals
    classes: Any
    encoded_alike: Callable[[Any, Any], tuple[Any, Any]]  # of an evaluation set


def _encoded(y: Any, rows: int) -> tuple[Array, str, Any, LabelEncoder | None]:
    """Labels from 0 as the engines want them, their kind, the classes, and what encodes others alike."""
    if y is None:
        raise ValueError("FocalClassifier requires y to be passed, but the target y is None: give labels")
    y = plain_labels(y)
    if y.shape[:1] != (rows,):
        raise ValueError(f"X has {rows} rows and y has shape {y.shape}: give one label for each row")
    if y.ndim == 2 and y.shape[1] > 1:
        return indicators(y), "multilabel", [np.arange(2)] * y.shape[1], None
    y = column_or_1d(y, warn=True)
    check_classification_targets(y)
    encoder = LabelEncoder().fit(y)
    classes = encoder.classes_
    if len(classes) < 2:
        raise ValueError(f"y holds a single class, {classes[0]!r}: a classifier needs more than one class")
    return encoder.transform(y), "multiclass" if len(classes) > 2 else "binary", classes, encoder


def encoded_as(y: Any, encoder: LabelEncoder | None, columns: int) -> Array:
    """Labels of an evaluation set, encoded as those of the training set."""
    y = y.toarray() if sparse.issparse(y) else np.asarray(on_host(y))
    if encoder is None:
        if y.ndim != 2 or y.shape[1] != columns:
            raise ValueError(f"y of an evaluation set has shape {y.shape}: give {columns} columns, as in training")
        return indicators(y)
    y = column_or_1d(y, warn=True)
    try:
        encoded: Array = encoder.transform(y)
    except ValueError as error:
        unknown = np.setdiff1d(y, encoder.classes_)
        raise ValueError(
            f"y of an evaluation set holds {unknown[0]!r}, which is no label of the training set: its labels are "
            f"{encoder.classes_.tolist()}"
        ) from error
    return encoded


def plain_labels(y: Any) -> Array:
    """Labels as an array of a plain type, where they are all of one."""
    y = y.toarray() if sparse.issparse(y) else np.asarray(on_host(y))
    if y.dtype == object and y.ndim == 1 and len({type(label) for label in y.tolist()}) == 1:
        y = np.asarray(y.tolist())
    assert_all_finite(y, input_name="y")
    plain: Array = y
    return plain


def indicators(y: Array) -> Array:
    """Return the indicator matrix of several labels a row, or raise if it is none."""
    check_array(y, dtype=np.float64, input_name="y")
    if type_of_target(y) != "multilabel-indicator":
        check_classification_targets(y)
        raise ValueError(
            "y has several columns that are not all 0 and 1: give an indicator matrix for several labels, or one "
            "column of classes"
        )
    matrix: Array = y.astype(np.float32)
    return matrix


def _rows(X: Any) -> int:
    rows: int = X.shape[0] if hasattr(X, "shape") else len(X)
    return rows


def _is_foreign(X: Any) -> bool:
    """Whether X is neither a data frame nor an array of a device: something that NumPy has to make an array of."""
    known = hasattr(X, "columns") or hasattr(X, "column_names") or hasattr(X, "__cuda_array_interface__")
    return not known and not hasattr(X, "__dataframe__")


def _has_objects(X: Any) -> bool:
    return bool(getattr(X, "dtype", None) == np.dtype(object))


def _plain(value: Any) -> Any:
    """Python's number for NumPy's."""
    return value.item() if isinstance(value, np.generic) else value


def _pairs(class_weight: Any) -> Any:
    """Weights by class as pairs, because the keys of JSON are words."""
    if not isinstance(class_weight, Mapping):
        return class_weight
    return [[_plain(label), _plain(weight)] for label, weight in class_weight.items()]


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return value is None or isinstance(value, bool | int | float | str)


class _Archive:
    """The checked content of a saved model."""

    def __init__(self, description: dict[str, Any], engine: ModuleType, model: bytes) -> None:
        self.description = description
        self.engine = engine
        self.model = model


def _read_archive(path: str | os.PathLike[str]) -> _Archive:
    with open(path, "rb") as file:
        content = io.BytesIO(file.read())
    try:
        with zipfile.ZipFile(content) as archive:
            if archive.getinfo(_DESCRIPTION).file_size > _LARGEST_DESCRIPTION:
                raise ValueError(f"{_DESCRIPTION} is larger than any description")
            description = json.loads(archive.read(_DESCRIPTION))
            if not isinstance(description, dict) or not isinstance(description.get("format"), int):
                raise ValueError(f"{_DESCRIPTION} has no format")
            if description["format"] > _FORMAT:
                raise ValueError(
                    f"it has format {description['format']}, written by gbm_focal "
                    f"{description.get('versions', {}).get('gbm_focal')}; this version reads up to {_FORMAT}"
                )
            if description.get("engine") not in ("xgboost", "lightgbm"):
                raise ValueError(f"its engine is {description.get('engine')!r}, not xgboost or lightgbm")
            engine = importlib.import_module(f"{__package__}.{description['engine']}")
            model = archive.read(engine.MODEL_FILE)
    except (zipfile.BadZipFile, KeyError, ValueError, RuntimeError, NotImplementedError, EOFError) as error:
        raise ValueError(f"{path} is not a model that this version can read: {error}") from error
    if hashlib.sha256(model).hexdigest() != description.get("sha256"):
        raise ValueError(f"{path} is damaged: the checksum of its model differs from the one stored beside it")
    return _Archive(description, engine, model)
