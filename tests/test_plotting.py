"""The displays: what they hold is what is drawn, and is right."""

import numpy as np
import pytest
from problems import rare_positives
from programs import run_in_new_process
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, precision_score, recall_score

from gbm_focal import (
    AsymmetricLoss,
    BalancedCrossEntropy,
    ConstrainedThresholdClassifierCV,
    FocalClassifier,
    FocalLoss,
)
from gbm_focal.metrics import expected_cost, least_cost_threshold, reliability_curve
from gbm_focal.plotting import LossDisplay, ReliabilityDisplay, ThresholdDisplay

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def fitted():
    xgboost = pytest.importorskip("xgboost")
    X, y, w, _ = rare_positives(6000)
    classifier = FocalClassifier(xgboost.XGBClassifier(n_estimators=30, max_depth=3, n_jobs=1), FocalLoss(2))
    return classifier.fit(X[:3000], np.where(y[:3000] == 1, "yes", "no")), X[3000:], y[3000:], w[3000:]


def texts_of(legend):
    return [text.get_text() for text in legend.get_texts()]


def require_no_overlap(figure):
    """Neither legends nor the labels of axes lie over each other."""
    figure.canvas.draw()
    boxes = [legend.get_window_extent() for legend in figure.legends]
    for ax in figure.axes:
        boxes += [ax.xaxis.label.get_window_extent(), ax.yaxis.label.get_window_extent()]
        boxes.append(ax.get_window_extent())
    boxes = [box for box in boxes if box.width and box.height]
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:number])
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1


# ---- losses ----


def test_losses_are_drawn_as_they_are():
    losses = {"focal": FocalLoss(2), "ASL": AsymmetricLoss()}
    display = LossDisplay.from_losses(losses)
    value, gradient, hessian, posterior = display.axes_
    assert [ax.get_ylabel() for ax in display.axes_] == ["loss", "gradient", "Hessian", "posterior P(y = 1)"]
    assert posterior.get_xlabel() == hessian.get_xlabel() == "margin"
    assert texts_of(display.figure_.legends[0]) == ["focal", "ASL", "y = 1", "y = 0"]
    require_no_overlap(display.figure_)
    z = display.margin
    for number, loss in enumerate(losses.values()):
        for label, line in zip((1, 0), value.lines[2 * number : 2 * number + 2], strict=True):
            np.testing.assert_array_equal(line.get_xdata(), z)
            np.testing.assert_array_equal(line.get_ydata(), loss.value(np.full(z.shape, label), z))
        for label, line in zip((1, 0), gradient.lines[2 * number : 2 * number + 2], strict=True):
            np.testing.assert_array_equal(line.get_ydata(), loss.gradient_hessian(np.full(z.shape, label), z)[0])
        np.testing.assert_array_equal(hessian.lines[number].get_ydata(), loss.gradient_hessian(z > 0, z)[1])
        np.testing.assert_array_equal(posterior.lines[number].get_ydata(), loss.posterior(z))
    assert len({line.get_color() for line in posterior.lines}) == 3


def test_exact_hessians_differ_by_label_and_own_axes_are_used():
    figure, axes = pyplot.subplots(1, 4)
    display = LossDisplay.from_losses(FocalLoss(2), hessian="exact", margin=[-3.0, 0.0, 3.0], axes=axes)
    assert display.figure_ is figure
    hessian = axes[2].lines
    assert len(hessian) == 2
    assert hessian[0].get_ydata()[0] < 0 < hessian[1].get_ydata()[0]
    assert texts_of(axes[0].get_legend()) == ["FocalLoss(gamma=2)", "y = 1", "y = 0"]
    again = display.plot()
    assert again.figure_ is not figure


@pytest.mark.parametrize(
    ("losses", "arguments", "error", "message"),
    [
        (BalancedCrossEntropy(), {}, ValueError, "alpha='balanced' is still a word: call loss.resolve"),
        ([], {}, ValueError, "losses holds 0 losses: give 1 to 6"),
        ({"focal": FocalLoss}, {}, TypeError, "FocalLoss is a class"),
        (FocalLoss(), {"margin": [[0.0]]}, ValueError, r"margin has shape \(1, 1\)"),
        (FocalLoss(), {"axes": [None]}, ValueError, "axes holds 1 axes: give four"),
    ],
)
def test_bad_losses(losses, arguments, error, message):
    with pytest.raises(error, match=message):
        LossDisplay.from_losses(losses, **arguments)


# ---- thresholds ----


def test_thresholds_show_the_scores_of_scikit_learn(fitted):
    model, X, y, w = fitted
    names = np.where(y == 1, "yes", "no")
    display = ThresholdDisplay.from_estimator(model, X, names, sample_weight=w, cost_false_negative=20)
    probability = model.predict_proba(X)[:, 1]
    np.testing.assert_array_equal(display.threshold, np.unique(probability)[::-1])
    trivial = 20 * np.average(y, weights=w), np.average(1 - y, weights=w)
    for number in (3, len(display.threshold) // 20, len(display.threshold) // 2):
        alert = probability >= display.threshold[number]
        at = {name: values[number] for name, values in display.curves.items()}
        weights = {"sample_weight": w}
        assert at["TSS"] == pytest.approx(balanced_accuracy_score(y, alert, adjusted=True, **weights))
        assert at["HSS"] == pytest.approx(cohen_kappa_score(y, alert, **weights))
        assert at["precision"] == pytest.approx(precision_score(y, alert, **weights))
        assert at["recall"] == pytest.approx(recall_score(y, alert, **weights))
        cost = expected_cost(
            y, probability, cost_false_negative=20, threshold=float(display.threshold[number]), **weights
        )
        assert at["cost"] == pytest.approx(cost / min(trivial))
    least = least_cost_threshold(y, probability, cost_false_negative=20, sample_weight=w)
    assert display.best_["cost"][0] == least
    assert display.best_["TSS"] == (
        display.threshold[display.curves["TSS"].argmax()],
        display.curves["TSS"].max(),
    )


def test_thresholds_are_drawn(fitted):
    model, X, y, _ = fitted
    display = ThresholdDisplay.from_predictions(y, model.predict_proba(X)[:, 1], cost_false_negative=20)
    assert display.ax_.get_xscale() == "log"
    assert display.ax_.get_xlabel() == "threshold"
    labels = texts_of(display.ax_.get_legend())
    assert [label.partition(":")[0] for label in labels] == ["TSS", "HSS", "precision", "recall", "cost"]
    assert f"best {display.best_['TSS'][1]:.2f}" in labels[0]
    require_no_overlap(display.figure_)
    assert display.ax_.get_legend().get_window_extent().x1 <= display.figure_.bbox.x1
    assert display.ax_.get_legend().get_window_extent().x0 >= display.ax_.get_window_extent().x1
    for line, (name, values) in zip(display.ax_.lines, display.curves.items(), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), values)
        if name in display.best_:
            (best,) = line.get_markevery()
            assert (line.get_xdata()[best], line.get_ydata()[best]) == display.best_[name]
    _, ax = pyplot.subplots()
    margins = ThresholdDisplay.from_predictions(y, model.decision_function(X), ax=ax)
    assert margins.ax_ is ax
    assert ax.get_xscale() == "linear"
    assert set(margins.best_) == {"TSS", "HSS"}


@pytest.mark.parametrize(("constraint", "bound"), [("precision", 0.3), ("alert_rate", 0.1)])
@pytest.mark.parametrize("pos_label", ["no", "yes"])
def test_bound_and_choice_are_drawn(fitted, constraint, bound, pos_label):
    model, X, y, _ = fitted
    names = np.where(y == 1, "yes", "no")
    bound = 0.97 if (constraint, pos_label) == ("precision", "no") else bound
    chosen = ConstrainedThresholdClassifierCV(
        model, constraint=constraint, bound=bound, confidence=0.9, cv="prefit", refit=False, pos_label=pos_label
    ).fit(X, names)
    display = ThresholdDisplay.from_estimator(chosen, X, names)
    assert (display.constraint, display.bound, display.chosen) == (constraint, bound, chosen.best_threshold_)
    horizontal, vertical = display.ax_.lines[-2:]
    assert set(horizontal.get_ydata()) == {bound}
    assert set(vertical.get_xdata()) == {chosen.best_threshold_}
    word = "alert rate at most" if constraint == "alert_rate" else "precision at least"
    assert texts_of(display.ax_.get_legend())[-2:] == [f"{word} {bound:g}", f"chosen: {chosen.best_threshold_:.2g}"]
    require_no_overlap(display.figure_)
    name = constraint.replace("_", " ")
    at = display.curves[name][np.flatnonzero(display.threshold >= chosen.best_threshold_)[-1]]
    alert = chosen.predict(X) == pos_label
    assert at == pytest.approx(alert.mean() if constraint == "alert_rate" else (names == pos_label)[alert].mean())
    with pytest.raises(ValueError, match="constraint='recall' and bound=None: give both"):
        ThresholdDisplay.from_predictions(y, y, constraint="recall")


def test_thresholds_need_both_classes():
    with pytest.raises(ValueError, match="no positives"):
        ThresholdDisplay.from_predictions([0, 0], [0.1, 0.2])
    with pytest.raises(ValueError, match="no negatives"):
        ThresholdDisplay.from_predictions([1, 1], [0.1, 0.2])
    with pytest.raises(ValueError, match=r"cost_false_negative=-1 is out of range"):
        ThresholdDisplay.from_predictions([0, 1], [0.1, 0.2], cost_false_negative=-1)
    X, classes = rare_positives(100)[0], np.arange(100) % 3
    with pytest.raises(ValueError, match=r"shape \(100, 3\): this is for two classes"):
        ThresholdDisplay.from_estimator(LogisticRegression().fit(X, classes), X, classes)


# ---- reliability ----


def test_reliability_of_the_posterior_and_of_the_sigmoid(fitted):
    model, X, y, w = fitted
    names = np.where(y == 1, "yes", "no")
    display = ReliabilityDisplay.from_estimator(model, X, names, sample_weight=w)
    assert list(display.curves) == ["posterior (predict_proba)", "sigmoid(margin)"]
    margin = model.estimator_.predict(X, output_margin=True)
    for curve, probability in zip(display.curves.values(), (model.predict_proba(X)[:, 1], expit(margin)), strict=True):
        expected = reliability_curve(y, probability, bins=10, strategy="positives", sample_weight=w)
        np.testing.assert_allclose(curve, expected, rtol=1e-6)
    posterior, sigmoid = (
        np.average(np.abs(np.log(curve.predicted / curve.observed)), weights=curve.weight)
        for curve in display.curves.values()
    )
    assert posterior < sigmoid / 3
    for line, curve in zip(display.ax_.lines[1:], display.curves.values(), strict=True):
        np.testing.assert_array_equal(line.get_xydata(), np.column_stack(curve[:2]))
    assert display.ax_.get_xscale() == display.ax_.get_yscale() == "log"
    assert texts_of(display.ax_.get_legend())[1:] == list(display.curves)
    require_no_overlap(display.figure_)
    low, high = display.ax_.get_xlim()
    for curve in display.curves.values():
        assert np.all((low <= curve.predicted) & (curve.predicted <= high))


def test_reliability_of_any_predictions(fitted):
    _, X, y, _ = fitted
    model = LogisticRegression().fit(X, y)
    assert list(ReliabilityDisplay.from_estimator(model, X, y).curves) == ["predict_proba"]
    _, ax = pyplot.subplots()
    display = ReliabilityDisplay.from_predictions(y, model.predict_proba(X)[:, 1], strategy="uniform", ax=ax)
    assert display.ax_ is ax
    assert ax.get_xscale() == "linear"
    assert list(display.curves) == ["predicted"]
    with pytest.raises(ValueError, match="give probabilities"):
        ReliabilityDisplay.from_predictions(y, model.decision_function(X))
    with pytest.raises(ValueError, match="y_score holds 0 predictions"):
        ReliabilityDisplay.from_predictions(y, {})


# ---- matplotlib ----


def test_matplotlib_is_imported_when_something_is_drawn():
    code = (
        "import sys, gbm_focal; gbm_focal.plotting; assert 'matplotlib' not in sys.modules\n"
        "sys.modules['matplotlib'] = None\n"
        "try:\n    gbm_focal.plotting.LossDisplay.from_losses(gbm_focal.FocalLoss())\n"
        "except ImportError as e: print(e)"
    )
    assert "pip install 'gbm_focal[plot]'" in run_in_new_process(code)
