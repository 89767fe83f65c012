"""Draw the picture of the README and the documentation, docs/images/fraud.png.

    python docs/make_images.py

It takes about half a minute. The data are those of examples/fraud_detection.py: simulated card transactions, of which
0.5 % are fraud, in parts to train on, to stop on and to judge by. LightGBM learns them with its own logistic loss, and
with two of our losses.
"""

from __future__ import annotations

import pathlib
import sys

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.metrics import average_precision_score, precision_recall_curve

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "examples"))
from fraud_detection import METHODS, SIMULATED_ROWS, fit_lightgbm, simulate, split_rows

from gbm_focal.plotting import ReliabilityDisplay

LINES = {"built-in logistic": "-.", "FocalLoss(gamma=2)": "-", "AsymmetricLoss()": "--"}


def main() -> None:
    """Train, and draw."""
    split = split_rows(simulate(SIMULATED_ROWS, seed=0), seed=0)
    label = split.test.label
    figure = Figure(figsize=(10, 4.4), dpi=110, layout="constrained")  # not pyplot: no window, no global state
    order, probabilities = figure.subplots(1, 2)
    for method in METHODS:
        if method.name not in LINES:
            continue
        fitted = fit_lightgbm(split, method)
        draw_precision_recall(order, label, fitted.probability, method.name, method.color, LINES[method.name])
        if method.name == "FocalLoss(gamma=2)":
            both = {"predict_proba": fitted.probability, "sigmoid(margin) of the same model": expit(fitted.margin)}
            ReliabilityDisplay.from_predictions(label, both, bins=8, ax=probabilities)
    draw_precision_recall(order, label, split.test.truth, "true probabilities", "black", ":")
    order.set(title="LightGBM, 0.5 % fraud: the order", xlim=(0, 1), ylim=(0, 1.02))
    order.set(xlabel="recall: share of the frauds that are found")
    order.set(ylabel="precision: share of the alerts that are right")
    order.grid(alpha=0.3)
    order.legend(frameon=False, loc="upper right", title="average precision")
    probabilities.set_title("FocalLoss(gamma=2): the probabilities")
    figure.savefig(pathlib.Path(__file__).parent / "images" / "fraud.png")


def draw_precision_recall(axes: Axes, label: NDArray, score: NDArray, name: str, color: str, line: str) -> None:
    """Draw one curve, in steps, because on a straight line between two thresholds no threshold lies."""
    precision, recall, _ = precision_recall_curve(label, score)
    text = f"{average_precision_score(label, score):.2f}  {name}"
    axes.plot(recall, precision, color=color, linestyle=line, drawstyle="steps-post", label=text)


if __name__ == "__main__":
    main()
