"""Pictures of losses, thresholds and probabilities, in the manner of scikit-learn's displays.

A display is made by `from_estimator`, `from_predictions` or `from_losses`, which compute and draw; what they computed
is kept in its attributes, and `plot` draws it again, on other axes if wanted. Colours are those of Okabe and Ito
("Color Universal Design", 2008), which colour-blind readers can tell apart, and lines differ in more than colour.

The three displays are one file because they share its style; half of it is what their docstrings promise.

Needs matplotlib, which is imported when something is drawn: pip install "gbm_focal[plot]"
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit
from sklearn.utils.validation import check_is_fitted

from ._inputs import Array, margins
from .classifier import FocalClassifier
from .losses import Hessian, Loss, require_loss
from .metrics.alerts import AlertCurve
from .metrics.calibration import Binning, Reliability, reliability_curve
from .metrics.costs import Costs
from .metrics.problem import one_problem

__all__ = ["LossDisplay", "ReliabilityDisplay", "ThresholdDisplay"]

_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_GREY = "#666666"
_STYLES: dict[str, dict[str, Any]] = {
    "TSS": {"color": _COLORS[0], "linestyle": "-", "marker": "o"},
    "HSS": {"color": _COLORS[1], "linestyle": "--", "marker": "s"},
    "precision": {"color": _COLORS[2], "linestyle": "-."},
    "recall": {"color": _COLORS[3], "linestyle": ":"},
    "alert rate": {"color": _COLORS[5], "linestyle": (0, (4, 1, 1, 1))},
    "cost": {"color": "black", "linestyle": (0, (6, 1, 1, 1, 1, 1)), "marker": "v"},
}
_BOUNDS = {"precision": "precision at least", "recall": "recall at least", "alert_rate": "alert rate at most"}


class LossDisplay:
    """Value, gradient, Hessian and posterior of losses against the margin.

    Make it with `from_losses`.

    Parameters
    ----------
    margin : ndarray of shape (n,)
    curves : dict of str to dict
        For each loss, by name: arrays of shape (n,) under "value", "gradient" and "hessian", each a pair for the labels
        1 and 0, and under "posterior" one array.

    Attributes
    ----------
    axes_ : ndarray of shape (4,) of matplotlib Axes
    figure_ : matplotlib Figure
    """

    def __init__(self, *, margin: Array, curves: Mapping[str, Mapping[str, Any]]) -> None:
        self.margin = margin
        self.curves = curves

    @classmethod
    def from_losses(
        cls,
        losses: Loss | Sequence[Loss] | Mapping[str, Loss],
        *,
        margin: ArrayLike | None = None,
        hessian: Hessian = "fisher",
        max_step: float | None = None,
        axes: Any = None,
    ) -> LossDisplay:
        """Evaluate losses, and draw them.

        Parameters
        ----------
        losses : Loss, sequence of Loss, or dict of str to Loss
            Up to six. By default the name of each is its repr.
        margin : array-like of shape (n,), optional
            Increasing. By default from -6 to 6.
        hessian, max_step
            As for `Loss.gradient_hessian`.
        axes : array-like of four matplotlib Axes, optional

        Returns
        -------
        LossDisplay

        Raises
        ------
        ValueError, TypeError
            If a parameter is invalid, or a loss has a word for `alpha`: call `resolve` first.
        """
        if isinstance(losses, Loss):
            losses = [losses]
        named = dict(losses) if isinstance(losses, Mapping) else {repr(loss): loss for loss in losses}
        if not 1 <= len(named) <= len(_COLORS):
            raise ValueError(f"losses holds {len(named)} losses: give 1 to {len(_COLORS)}")
        z = np.linspace(-6, 6, 481) if margin is None else margins(margin)
        if z.ndim != 1:
            raise ValueError(f"margin has shape {z.shape}: give the margins to draw at, shape (n,)")
        curves = {}
        for name, loss in named.items():
            require_loss(loss)
            pairs = [
                (loss.value(y, z), *loss.gradient_hessian(y, z, hessian=hessian, max_step=max_step))
                for y in (np.ones(z.shape), np.zeros(z.shape))
            ]
            value, gradient, second = zip(*pairs, strict=True)
            curves[name] = {
                "value": value,
                "gradient": gradient,
                "hessian": second,
                "posterior": loss.posterior(z),
            }
        return cls(margin=z, curves=curves).plot(axes=axes)

    def plot(self, *, axes: Any = None) -> LossDisplay:
        """Draw, on four axes or on a new figure.

        Parameters
        ----------
        axes : array-like of four matplotlib Axes, optional

        Returns
        -------
        LossDisplay
        """
        pyplot = _pyplot()
        on_new_figure = axes is None
        if on_new_figure:
            _, axes = pyplot.subplots(2, 2, figsize=(8.3, 6.4), layout="constrained", sharex=True)
        axes = np.ravel(np.asarray(axes, dtype=object))
        if axes.size != 4:
            raise ValueError(f"axes holds {axes.size} axes: give four, for value, gradient, Hessian and posterior")
        value, gradient, second, posterior = axes
        z = self.margin
        for number, (name, curve) in enumerate(self.curves.items()):
            # A few markers on each line, at margins of its own, so that no two lie on each other.
            every = (number / len(_COLORS) / 6, 1 / 6)
            style: dict[str, Any] = {"color": _COLORS[number], "marker": _MARKERS[number], "markevery": every}
            for drawn, key in ((value, "value"), (gradient, "gradient"), (second, "hessian")):
                on_1, on_0 = curve[key]
                drawn.plot(z, on_1, **style, markersize=5, label=name if key == "value" else None)
                if not np.array_equal(on_1, on_0):  # the Fisher Hessian is the same for both labels
                    drawn.plot(z, on_0, **style, markersize=5, linestyle="--")
            posterior.plot(z, curve["posterior"], **style, markersize=5)
        posterior.plot(z, expit(z), color=_GREY, linestyle=":", label="sigmoid(margin)")
        gradient.axhline(0, color=_GREY, linewidth=0.6)
        value.plot([], [], color=_GREY, label="y = 1")
        value.plot([], [], color=_GREY, linestyle="--", label="y = 0")
        for drawn, title in zip(axes, ("loss", "gradient", "Hessian", "posterior P(y = 1)"), strict=True):
            drawn.set_ylabel(title)
            drawn.grid(alpha=0.3)
        for drawn in (second, posterior):
            drawn.set_xlabel("margin")
        posterior.set_ylim(-0.02, 1.02)
        posterior.legend(loc="upper left", frameon=False)
        self.axes_, self.figure_ = axes, value.figure
        if on_new_figure:
            handles, labels = value.get_legend_handles_labels()
            columns = 2 if max(map(len, labels)) > 36 else 3
            self.figure_.legend(handles, labels, loc="outside upper center", ncols=columns, frameon=False)
        else:
            value.legend(frameon=False)
        return self


class ThresholdDisplay:
    """TSS, HSS, precision, recall and cost against the threshold, and where the best ones are.

    Make it with `from_estimator` or `from_predictions`. At a threshold the rows that score at least as much are alerts.

    Parameters
    ----------
    threshold : ndarray of shape (n,)
        Distinct scores, from the highest.
    curves : dict of str to ndarray of shape (n,)
        Of "TSS", "HSS", "precision" and "recall", of "alert rate" if it has a bound, and of "cost" with costs, in units
        of the smaller of the costs of no alert at all and of an alert for every row.
    constraint : {"precision", "recall", "alert_rate"}, optional
        What a bound is about.
    bound : float, optional
    chosen : float, optional
        A threshold to mark.

    Attributes
    ----------
    best_ : dict of str to (threshold, value)
        Of TSS, HSS and cost, the one with the fewest alerts if there are several.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    def __init__(
        self,
        *,
        threshold: Array,
        curves: Mapping[str, Array],
        constraint: str | None = None,
        bound: float | None = None,
        chosen: float | None = None,
    ) -> None:
        self.threshold = threshold
        self.curves = curves
        self.constraint = constraint
        self.bound = bound
        self.chosen = chosen

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: ArrayLike, **arguments: Any) -> ThresholdDisplay:
        """Draw the scores of a fitted classifier of two classes, by its `predict_proba`.

        Of a `ConstrainedThresholdClassifierCV` bound and threshold are shown, too.

        Parameters
        ----------
        estimator : classifier
        X, y
            Rows that it was not trained on, and their labels; the second of its classes is the one to find, or that of
            its bound.
        **arguments
            The keywords of `from_predictions`, without `pos_label`.

        Returns
        -------
        ThresholdDisplay
        """
        place = 1
        if hasattr(estimator, "constraint"):
            check_is_fitted(estimator)
            shown = {"constraint": estimator.constraint, "bound": estimator.bound, "chosen": estimator.best_threshold_}
            arguments = {**shown, **arguments}
            place = list(estimator.classes_).index(estimator.pos_label_)
        probability, label = _of_class(estimator, X, place)
        return cls.from_predictions(y, probability, pos_label=label, **arguments)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_score: ArrayLike,
        *,
        cost_false_negative: float | ArrayLike | None = None,
        cost_false_positive: float | ArrayLike = 1.0,
        cost_true_positive: float | ArrayLike = 0.0,
        constraint: str | None = None,
        bound: float | None = None,
        chosen: float | None = None,
        pos_label: Any = None,
        sample_weight: ArrayLike | None = None,
        ax: Any = None,
    ) -> ThresholdDisplay:
        """Draw the scores of predictions.

        Parameters
        ----------
        y_true, y_score : array-like of shape (n,)
            Labels, and probabilities or other finite scores.
        cost_false_negative, cost_false_positive, cost_true_positive : float, or array-like of shape (n,)
            As for `gbm_focal.metrics.cost_optimal_threshold`; without the first there is no curve of costs.
        constraint : {"precision", "recall", "alert_rate"}, optional
        bound : float in (0, 1], optional
            Least precision or recall, or largest share of alerts, as for `ConstrainedThresholdClassifierCV`.
        chosen : float, optional
            A threshold to mark.
        pos_label, sample_weight
            As for `gbm_focal.metrics.recall_at_alert_rate`.
        ax : matplotlib Axes, optional

        Returns
        -------
        ThresholdDisplay

        Raises
        ------
        ValueError, TypeError
            If there are rows of only one class, or an input is invalid.
        """
        if (constraint is None) != (bound is None) or (constraint is not None and constraint not in _BOUNDS):
            raise ValueError(
                f"constraint={constraint!r} and bound={bound!r}: give both, of {', '.join(_BOUNDS)}, or neither"
            )
        problem = one_problem(y_true, y_score, pos_label, sample_weight)
        problem.require_positives("recall")
        curve = AlertCurve.of(problem, np.append(np.inf, np.unique(problem.score)[::-1]))
        negative = curve.total - curve.positive
        if not negative > 0:
            raise ValueError("y_true holds no negatives, so there is no false alarm rate: give rows with some")
        hits, alerts = curve.true_alerts[1:], curve.alerts[1:]
        alarms = alerts - hits
        recall = hits / curve.positive
        right = hits + negative - alarms
        chance = (curve.positive * alerts + negative * (curve.total - alerts)) / curve.total
        curves = {
            "TSS": recall - alarms / negative,
            "HSS": (right - chance) / (curve.total - chance),
            "precision": hits / alerts,
            "recall": recall,
        }
        if constraint == "alert_rate":
            curves["alert rate"] = alerts / curve.total
        if cost_false_negative is not None:
            given = (cost_false_negative, cost_false_positive, cost_true_positive)
            cost = Costs.checked(*given, np.shape(y_true)[0]).of(problem).curve(problem, curve.threshold)
            curves["cost"] = cost[1:] / min(cost[0], cost[-1])
        limits = {"constraint": constraint, "bound": bound, "chosen": chosen}
        return cls(threshold=curve.threshold[1:], curves=curves, **limits).plot(ax=ax)  # type: ignore[arg-type]

    def plot(self, *, ax: Any = None) -> ThresholdDisplay:
        """Draw, on given axes or on a new figure.

        Parameters
        ----------
        ax : matplotlib Axes, optional

        Returns
        -------
        ThresholdDisplay
        """
        pyplot = _pyplot()
        if ax is None:
            _, ax = pyplot.subplots(figsize=(8.3, 4.6), layout="constrained")
        self.best_ = {}
        for name, values in self.curves.items():
            style = dict(_STYLES[name])
            label = name
            if "marker" in style:
                best = int(np.argmin(values) if name == "cost" else np.argmax(values))
                self.best_[name] = (float(self.threshold[best]), float(values[best]))
                label = f"{name}: best {values[best]:.2f} at {self.threshold[best]:.2g}"
                style["markevery"] = [best]
            # A value holds from its own score down to the next.
            ax.plot(self.threshold, values, **style, markersize=9, label=label, drawstyle="steps-post")
        if self.constraint is not None:
            label = f"{_BOUNDS[self.constraint]} {self.bound:g}"
            ax.axhline(self.bound, color=_GREY, linewidth=1.2, linestyle="--", label=label)
        if self.chosen is not None:
            ax.axvline(self.chosen, color=_GREY, linewidth=1.2, label=f"chosen: {self.chosen:.2g}")
        lowest, highest = self.threshold[-1], self.threshold[0]
        if lowest > 0 and highest > 100 * lowest:  # probabilities of rare positives
            ax.set_xscale("log")
        ax.set(xlabel="threshold", ylabel="score", ylim=(-0.02, 1.05))
        if "cost" in self.curves:
            ax.set_ylabel("score; cost, 1 = cheapest without a model")
        ax.grid(alpha=0.3)
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self


class ReliabilityDisplay:
    """Observed against predicted probabilities, in bins of similar predictions.

    Make it with `from_estimator` or `from_predictions`. On the diagonal predictions are right on average; below it
    they are too high.

    Parameters
    ----------
    curves : dict of str to gbm_focal.metrics.Reliability
    logarithmic : bool, default False
        Whether the axes are.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    def __init__(self, *, curves: Mapping[str, Reliability], logarithmic: bool = False) -> None:
        self.curves = curves
        self.logarithmic = logarithmic

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: ArrayLike, **arguments: Any) -> ReliabilityDisplay:
        """Draw the probabilities of a fitted classifier of two classes.

        Of a `FocalClassifier` they stand beside sigmoid(margin), which is what the engines' own `predict_proba`
        returns, and no probability under most losses.

        Parameters
        ----------
        estimator : classifier
        X, y
            Rows that it was not trained on, and their labels; the second of its classes is the one to find.
        **arguments
            The keywords of `from_predictions`, without `pos_label`.

        Returns
        -------
        ReliabilityDisplay
        """
        probability, label = _of_class(estimator, X)
        predictions = {"predict_proba": probability}
        if isinstance(estimator, FocalClassifier):
            predictions = {"posterior (predict_proba)": probability, "sigmoid(margin)": expit(estimator._margin(X))}
        return cls.from_predictions(y, predictions, pos_label=label, **arguments)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_score: ArrayLike | Mapping[str, ArrayLike],
        *,
        bins: int = 10,
        strategy: Binning = "positives",
        pos_label: Any = None,
        sample_weight: ArrayLike | None = None,
        ax: Any = None,
    ) -> ReliabilityDisplay:
        """Draw predicted probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n,)
        y_score : array-like of shape (n,), or dict of str to such
            Probabilities, of one method or several, up to six, by name.
        bins : int >= 1, default 10
        strategy : {"positives", "quantile", "uniform"}, default "positives"
            As for `gbm_focal.metrics.reliability_curve`. The axes are logarithmic with "positives", which is for rare
            ones.
        pos_label, sample_weight
            As for `gbm_focal.metrics.recall_at_alert_rate`.
        ax : matplotlib Axes, optional

        Returns
        -------
        ReliabilityDisplay

        Raises
        ------
        ValueError, TypeError
            If an input is invalid.
        """
        named = dict(y_score) if isinstance(y_score, Mapping) else {"predicted": y_score}
        if not 1 <= len(named) <= len(_COLORS):
            raise ValueError(f"y_score holds {len(named)} predictions: give 1 to {len(_COLORS)}")
        curves = {
            name: reliability_curve(
                y_true, score, bins=bins, strategy=strategy, pos_label=pos_label, sample_weight=sample_weight
            )
            for name, score in named.items()
        }
        return cls(curves=curves, logarithmic=strategy == "positives").plot(ax=ax)

    def plot(self, *, ax: Any = None) -> ReliabilityDisplay:
        """Draw, on given axes or on a new figure.

        Parameters
        ----------
        ax : matplotlib Axes, optional

        Returns
        -------
        ReliabilityDisplay
        """
        pyplot = _pyplot()
        if ax is None:
            _, ax = pyplot.subplots(figsize=(6.4, 5.2), layout="constrained")
        ax.axline((0.1, 0.1), (1, 1), color=_GREY, linestyle="--", label="as observed")
        styles = zip(_COLORS, _MARKERS, strict=True)
        for (name, curve), (color, marker) in zip(self.curves.items(), styles, strict=False):
            ax.plot(curve.predicted, curve.observed, marker=marker, color=color, label=name)
        if self.logarithmic:
            ax.set_xscale("log")
            ax.set_yscale("log", nonpositive="mask")
            shown = np.concatenate([part for curve in self.curves.values() for part in curve[:2]])
            limits = 10 ** np.floor(np.log10(shown[shown > 0].min())), 1.3
        else:
            limits = -0.02, 1.02
        ax.set(xlabel="mean predicted probability", ylabel="observed share of positives", xlim=limits, ylim=limits)
        ax.grid(alpha=0.3)
        ax.legend(loc="upper left", frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _pyplot() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("gbm_focal.plotting needs matplotlib: pip install 'gbm_focal[plot]'") from error
    return pyplot


def _of_class(estimator: Any, X: Any, place: int = 1) -> tuple[Array, Any]:
    """Probabilities of one of two classes, and its label."""
    check_is_fitted(estimator)
    probability = np.asarray(estimator.predict_proba(X))
    if probability.ndim != 2 or probability.shape[1] != 2 or np.ndim(estimator.classes_) != 1:
        raise ValueError(
            f"the predict_proba of {type(estimator).__name__} has shape {probability.shape}: this is for two classes; "
            "of several give each one's labels and probabilities to from_predictions"
        )
    return probability[:, place], estimator.classes_[place]
