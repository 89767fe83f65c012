"""FocalClassifier: the losses around XGBClassifier or LGBMClassifier, as a scikit-learn estimator.

The file is as long as it is because half of it is what its docstrings promise.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.utils import _safe_indexing, compute_sample_weight
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from . import saving
from ._inputs import Array, check_hessian, on_host, real
from .base_rates import Rates
from .boosting import ENGINES, Plan
from .features import checked_features
from .held_out import divided
from .labels import Labels, classes_as_json, classes_of_json, evaluation_weights, plain_labels
from .losses import ClassTotals, FocalLoss, Hessian, Loss, require_loss

__all__ = ["FocalClassifier"]


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
    pseudo_count : float in [0, inf), default 0.0
        Shrinks leaves of few positives: this times (1 - 2 pi)^2, where pi is the base rate, is added to the engine's L2
        penalty of leaves (`reg_lambda`), so that it is nothing where classes are even. For rare positives a leaf's
        relative risk is then estimated as if it had so many more of them, observed and expected. Not of K classes. 0
        leaves `reg_lambda` as it is.
    class_weight : dict, "balanced" or None, default None
        Weights of the samples by class, multiplied with `sample_weight`. Unlike the loss's `alpha` they change
        the base rate that `predict_proba` stands for.
    pos_label : label or None, default None
        Of two classes the positive one, that `alpha`, an `AsymmetricLoss`, metrics and the base rate are about. None:
        the second of `classes_`, which are sorted; of "fraud" and "ok" that would be "ok". `classes_`, the columns of
        `predict_proba` and the sign of `decision_function` do not depend on it.
    base_rate : float, array-like or dict by label, or None, default None
        Share of the positive class where the model will be used, if that is another than in the training data, because
        negatives were dropped or rows weighted. Of K classes one for each, a dict by label or an array in the order of
        `classes_`, with sum 1; of L labels an array (L,). `predict_proba` is about that population, whatever
        `class_weight` and `sample_weight` say. Decisions are, too, where `alpha` is a number, a ratio of costs, or
        None; under ``alpha="balanced"`` or "effective" they do not depend on it. Evaluation sets are judged at the base
        rate of the training data. None: that of the training data, with their weights.

    Attributes
    ----------
    estimator_ : XGBClassifier or LGBMClassifier
        The fitted engine, for its own tools: importances, SHAP, plots. Its margins include the intercept; its own
        `predict_proba` is not the posterior. After `load_model` of a LightGBM model it is a `lightgbm.Booster`.
    loss_ : Loss
        The loss with numeric `alpha`.
    link_ : gbm_focal.link.Link
        From margins to probabilities.
    classes_ : ndarray of shape (K,)
        Labels; for several labels a row a list with the array [0, 1] of each, as scikit-learn has it.
    pos_label_ : label or None
        The positive one of two classes.
    base_rate_ : float, ndarray of shape (K,) or (L,), or None
        The share of `pos_label_`, or of each class or label, in the population that the probabilities are about. None
        for models of version 0.1, which did not store it.
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

    _engines = ENGINES  # where estimators and models find their engine

    def __init__(
        self,
        estimator: Any = None,
        loss: Loss | None = None,
        *,
        hessian: Hessian = "fisher",
        max_step: float | None = 2.0,
        normalize: bool = True,
        pseudo_count: float = 0.0,
        class_weight: Mapping[Any, float] | str | None = None,
        pos_label: Any = None,
        base_rate: Rates | None = None,
        validation_fraction: float | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.estimator = estimator
        self.loss = loss
        self.hessian = hessian
        self.max_step = max_step
        self.normalize = normalize
        self.pseudo_count = pseudo_count
        self.class_weight = class_weight
        self.pos_label = pos_label
        self.base_rate = base_rate
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a copy, or a pickle of version 0.1, which had fewer parameters."""
        later = ("pos_label", "base_rate", "validation_fraction", "random_state")
        super().__setstate__({**dict.fromkeys(later), "pseudo_count": 0.0, **state})

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_label = True
        return tags

    def set_params(self, **params: Any) -> FocalClassifier:
        """Set parameters, as in scikit-learn; those of the default loss and engine are reached as well.

        Parameters
        ----------
        **params
            ``loss__gamma``, ``estimator__max_depth``, ... : where `loss` or `estimator` is None, its default takes its
            place first.

        Returns
        -------
        FocalClassifier
        """
        nested = {name.partition("__")[0] for name in params if "__" in name}
        if "loss" in nested and params.get("loss", self.loss) is None:
            params["loss"] = FocalLoss()
        if "estimator" in nested and params.get("estimator", self.estimator) is None:
            params["estimator"] = self._engines.first().new_estimator({})
        super().set_params(**params)
        return self

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        eval_set: list[tuple[Any, Any]] | None = None,
        *,
        eval_metric: Any = None,
        eval_sample_weight: list[Any] | None = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
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
            the positive one, as everywhere in scikit-learn, unless `pos_label` says another.
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
            `sample_weight_eval_set` is understood. LightGBM's `eval_class_weight`, for each evaluation set a dict by
            label, "balanced" or None, multiplies them in both engines.
        X_val, y_val, sample_weight_val : as X, y and sample_weight, optional
            One evaluation set under the names that `HistGradientBoostingClassifier` has for it, which a pipeline can
            transform: ``Pipeline(..., transform_input=["X_val"])``.
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
        engine = self._engines.first() if self.estimator is None else self._engines.of(self.estimator)
        estimator = engine.new_estimator({}) if self.estimator is None else self.estimator
        if "sample_weight_eval_set" in fit_params:
            if eval_sample_weight is not None:
                raise ValueError("eval_sample_weight and sample_weight_eval_set are one argument: give it once")
            eval_sample_weight = fit_params.pop("sample_weight_eval_set")
        if X_val is not None or y_val is not None:
            if eval_sample_weight is not None:
                raise ValueError("eval_sample_weight weighs eval_set: give the weights of X_val as sample_weight_val")
            if X_val is None or y_val is None or eval_set is not None:
                raise ValueError("give X_val and y_val, both of them, or eval_set=[(X_valid, y_valid)]")
            eval_set, eval_sample_weight = [(X_val, y_val)], None if sample_weight_val is None else [sample_weight_val]
        elif sample_weight_val is not None:
            raise ValueError("sample_weight_val weighs X_val and y_val: give them as well")
        loss = FocalLoss() if self.loss is None else self.loss
        require_loss(loss)
        check_hessian(self.hessian, self.max_step)
        starts = {"init_score", "eval_init_score", "base_margin", "base_margin_eval_set"} & set(fit_params)
        if starts:
            raise ValueError(
                f"{sorted(starts)[0]} is not possible here, because training starts at the loss's intercept and "
                "prediction takes no margins to start from: use the engine's own train"
            )
        training = self._training_data(X, y, sample_weight)
        training.totals.require_all_classes()
        if self.pos_label is None:
            training.labels.warn_of_common_positives(loss, training.totals)
        eval_weights = evaluation_weights(eval_set or [], eval_sample_weight, fit_params.pop("eval_class_weight", None))
        evaluated = [
            # Engines know the training data again by identity; LightGBM does not let them stop the training.
            (training.X, training.y)
            if X_eval is X and y_eval is y
            else self._evaluation_data(training.labels, X_eval, y_eval)
            for X_eval, y_eval in eval_set or []
        ]
        stopping = None if evaluated else engine.stops_early(estimator, fit_params)
        if stopping and self.validation_fraction is None:
            held_out = "validation_fraction" in self.get_params(deep=False)  # Dask's form holds out nothing
            raise ValueError(
                f"{stopping} needs rows to stop on: give {'validation_fraction=0.1, or ' if held_out else ''}"
                "fit(..., eval_set=[(X_valid, y_valid)]), through a pipeline as STEP__eval_set with features that are "
                "transformed already, or leave it out"
            )
        if stopping:
            rows, held = divided(training.y, training.labels, self.validation_fraction, self.random_state)
            evaluated = [(_safe_indexing(training.X, held), training.y[held])]
            if sample_weight is not None:  # class_weight does not touch evaluation sets
                eval_weights = [np.asarray(on_host(sample_weight))[held]]
            training = training.of_rows(rows)
        plan = self._plan(
            loss=loss,
            totals=training.totals,
            conditioning={"hessian": self.hessian, "max_step": self.max_step, "normalize": self.normalize},
            pseudo_count=self.pseudo_count,
            metric=eval_metric,
            sample_weight=training.weight,
            eval_set=evaluated,
            eval_weights=eval_weights,
            progress=progress,
            base_rate=training.labels.numbered(self.base_rate),
        )
        self.estimator_, self.link_ = engine.fit(estimator, training.X, training.y, plan, fit_params)
        self.loss_, self.classes_ = self.link_.loss, training.labels.classes
        self.pos_label_ = self.classes_[training.labels.positive] if training.labels.kind == "binary" else None
        self.evals_result_ = engine.history(self.estimator_) if plan.eval_set else {}
        self.best_iteration_ = engine.best_iteration(self.estimator_)
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
        return probabilities[:, [1, 0]] if self._first_is_positive else probabilities

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
        return 0.0 - decision if self._first_is_positive else decision

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
        # A tie goes to the first class, whichever is the positive one.
        second = self.link_.decision(margin) < 0 if self._first_is_positive else self.link_.classes(margin)
        chosen = second.astype(np.int64, copy=False)
        predicted: Array = chosen if self.link_.kind == "multilabel" else self.classes_[chosen]
        return predicted

    def at_base_rate(self, rate: Rates) -> FocalClassifier:
        """Return the fitted classifier for a population with another base rate.

        Parameters
        ----------
        rate : float, array-like or dict by label
            As the parameter `base_rate`.

        Returns
        -------
        FocalClassifier
            As if it had been fitted with this `base_rate`. It shares `estimator_`, whose own booster keeps the base
            rate that it was fitted with.

        Raises
        ------
        ValueError, TypeError
            If the rate is invalid, or the model, of version 0.1, does not say which base rate it stands for.

        See Also
        --------
        gbm_focal.base_rates.estimate : Which base rate a population has, if its labels are not known.
        """
        check_is_fitted(self)
        labels = Labels(self.link_.kind, self.classes_, None, positive=0 if self._first_is_positive else 1)
        copied: FocalClassifier = type(self).__new__(type(self))
        copied.__dict__.update(vars(self), base_rate=rate, link_=self.link_.at_base_rate(labels.numbered(rate)))
        return copied

    @property
    def base_rate_(self) -> float | Array | None:
        """Share of `pos_label_`, or of each class or label, in the population that the probabilities are about."""
        check_is_fitted(self)
        rates = self.link_.base_rate
        if rates is None:
            return None
        return rates[0] if self.link_.kind == "binary" else np.array(rates)

    @property
    def _first_is_positive(self) -> bool:
        """Whether of two classes the first one is that of label 1; models of version 0.1 do not say."""
        return bool(self.link_.kind == "binary" and getattr(self, "pos_label_", self.classes_[1]) == self.classes_[0])

    @property
    def feature_importances_(self) -> Array:
        """Importances of the features, as the engine defines them."""
        check_is_fitted(self)
        importances: Array = self._engines.of_model(self.estimator_).importances(self.estimator_)
        return importances

    # ---- saving without pickle ----

    def save_model(self, path: str | PathLike[str]) -> None:
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
        settings, lost = saving.plain_part({} if self.estimator is None else self.estimator.get_params())
        of_division, not_plain = saving.plain_part(
            {"validation_fraction": self.validation_fraction, "random_state": self.random_state}
        )
        lost += not_plain
        if lost:
            warnings.warn(f"not stored, because JSON cannot hold them: {', '.join(lost)}", UserWarning, stacklevel=2)
        description = {
            "classes": classes_as_json(self.classes_),
            "columns": len(self.classes_),
            "features": self.n_features_in_,
            "feature_names": [str(name) for name in getattr(self, "feature_names_in_", [])],
            "parameters": {
                "hessian": self.hessian,
                "max_step": saving.plain(self.max_step),
                "normalize": saving.plain(self.normalize),
                "pseudo_count": saving.plain(self.pseudo_count),
                "class_weight": saving.pairs(self.class_weight),
                "pos_label": saving.plain(self.pos_label),
                "base_rate": saving.pairs(self.base_rate),
                **of_division,
                "loss": None if self.loss is None else json.loads(self.loss.to_json()),
                "estimator": settings,
            },
            "best_iteration": self.best_iteration_,
            "first_is_positive": self._first_is_positive,
        }
        form = saving.PLAIN_FORMAT
        if self._first_is_positive:  # older versions would take the second class for the positive one
            form = saving.FIRST_CLASS_POSITIVE_FORMAT
        if self.link_.decision_shift != self.link_.shift:  # older versions would decide at the shift of probabilities
            form = saving.DECISION_SHIFT_FORMAT
        engine = self._engines.of_model(self.estimator_)
        saving.write(path, engine, self.estimator_, self.link_, description, form=form)

    @classmethod
    def load_model(cls, path: str | PathLike[str]) -> FocalClassifier:
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
        archive = saving.read(path)
        with archive.understood() as description:
            parameters = description["parameters"]
            stored_loss = parameters["loss"]
            loss = None if stored_loss is None else Loss.from_json(json.dumps(stored_loss))
            conditioning = {name: parameters[name] for name in ("hessian", "max_step", "normalize")}
            check_hessian(conditioning["hessian"], conditioning["max_step"])
            class_weight = saving.of_pairs(parameters.get("class_weight"))
            settings, _ = saving.plain_part(parameters["estimator"])
            link = archive.link()
            classes = classes_of_json(description["classes"], int(description["columns"]), link.kind)
            features, names = int(description["features"]), [str(name) for name in description["feature_names"]]
            best = description["best_iteration"]
            others = {name: parameters.get(name) for name in ("pos_label", "validation_fraction", "random_state")}
            others.update(class_weight=class_weight, base_rate=saving.of_pairs(parameters.get("base_rate")))
            others["pseudo_count"] = real("pseudo_count", parameters.get("pseudo_count", 0.0), "[0, inf)")
            first = description.get("first_is_positive", False)
            if not isinstance(first, bool):
                raise ValueError(f"first_is_positive={first!r} is neither true nor false")
            positive = classes[0 if first else 1] if link.kind == "binary" else None
            link.require_columns(1 if link.kind == "binary" else len(classes))
        estimator = archive.engine.new_estimator(settings)
        model = cls(estimator, loss, **conditioning, **others)
        model.link_, model.loss_, model.classes_ = link, link.loss, classes
        model.pos_label_ = positive
        model.n_features_in_, model.best_iteration_, model.evals_result_ = features, best, {}
        if names:
            model.feature_names_in_ = np.array(names, dtype=object)
        model.estimator_ = archive.model(settings)
        return model

    # ---- inside ----

    def _training_data(self, X: Any, y: Any, sample_weight: ArrayLike | None) -> TrainingData:
        X = checked_features(self, X, reset=True)
        if y is None:
            raise ValueError("FocalClassifier requires y to be passed, but the target y is None: give labels")
        given = plain_labels(y)
        rows = X.shape[0] if hasattr(X, "shape") else len(X)
        if given.shape[:1] != (rows,):
            raise ValueError(f"X has {rows} rows and y has shape {given.shape}: give one label for each row")
        labels, encoded = Labels.learned_from(given, self.pos_label)
        weight = None
        if sample_weight is not None or self.class_weight is not None:
            weight = _check_sample_weight(on_host(sample_weight), encoded, dtype=np.float64, ensure_non_negative=True)
        if self.class_weight is not None:
            weight = weight * compute_sample_weight(self.class_weight, np.asarray(on_host(y)))
        return TrainingData(X, encoded, weight, labels.counted(encoded, weight), labels)

    def _evaluation_data(self, labels: Labels, X: Any, y: Any) -> tuple[Any, Any]:
        return checked_features(self, X, reset=False), labels.encoded(y)

    def _plan(self, **content: Any) -> Plan:
        return Plan(**content)

    def _margin(self, X: Any) -> Array:
        check_is_fitted(self)
        X = checked_features(self, X, reset=False)
        return self._engines.of_model(self.estimator_).margin(self.estimator_, X)


class TrainingData(NamedTuple):
    """What `fit` was given, in the form in which the engines and the plan take it."""

    X: Any
    y: Any  # labels from 0
    weight: Any
    totals: ClassTotals
    labels: Labels

    def of_rows(self, rows: Array) -> TrainingData:
        """Return a part of the rows."""
        y, weight = self.y[rows], None if self.weight is None else self.weight[rows]
        return TrainingData(_safe_indexing(self.X, rows), y, weight, self.labels.counted(y, weight), self.labels)
