"""The plan of a training, from which engines take all that does not depend on them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._inputs import Array, real
from ..base_rates import checked_rates
from ..link import Link, keeps_the_base_rate
from ..losses import ClassTotals, Loss
from .processes import ALONE, Processes


@dataclass(frozen=True)
class Plan:
    """What a training is about: the loss, the totals of the training data, and what `FocalClassifier` adds.

    Attributes
    ----------
    loss : Loss
        As the user gave it: its alpha may be a word, its parameters schedules.
    totals : ClassTotals
        Of the training data, in whatever processes they lie.
    conditioning : dict
        `hessian`, `max_step` and `normalize`, the keywords of `BaseObjective`.
    pseudo_count : float
        See `penalty`.
    metric : str, callable or None
        As the user names it; `metric_named` makes of it what `BaseMetric` takes.
    sample_weight : array-like of shape (n,) or None
        Of the training data.
    eval_set : list of (X, y)
        Evaluation sets, with labels from 0. The training data among them are the same objects.
    eval_weights : list of array-like or None
        Weights of the evaluation sets.
    progress : bool
        Whether to show a bar over the rounds; see `bar_of_rounds`.
    base_rate : float, array-like or dict, or None
        Share of positives where the model will be used, as `Link.at_base_rate` takes it; None: that of the training
        data. The margins do not depend on it.
    """

    loss: Loss
    totals: ClassTotals
    conditioning: Mapping[str, Any] = field(default_factory=dict)
    pseudo_count: float = 0.0
    metric: Any = None
    sample_weight: Any = None
    eval_set: list[tuple[Any, Any]] = field(default_factory=list)
    eval_weights: list[Any] | None = None
    progress: bool = False
    base_rate: Any = None

    def __post_init__(self) -> None:
        real("pseudo_count", self.pseudo_count, "[0, inf)")
        if self.base_rate is not None:  # before training, not after
            checked_rates("base_rate", self.base_rate, self.totals.kind, self.totals.positive.size)

    def loss_after(self, rounds: int) -> Loss:
        """Return the resolved loss of the last of so many rounds."""
        return self.loss.at_round(max(rounds - 1, 0)).resolve_totals(self.totals)

    def intercepts(self) -> Array:
        """Return the margins at which training starts."""
        return self.loss_after(1).intercepts(self.totals)

    def penalty(self) -> float:
        """Return what an engine adds to its L2 penalty of leaves, so that few positives move them less.

        It is K (1 - 2 pi)^2, where K is `pseudo_count` and pi the base rate; of several labels a row the mean over
        them, because an engine has one penalty; of classes 0. The score of a leaf, the sum of y - p, has the variance
        H, the sum of p (1 - p), and, where all p are pi, the skewness (1 - 2 pi) / sqrt(H). A Newton step is thus
        divided by 1 + K skewness^2: it is halved where the skewness is 1 / sqrt(K). For rare positives it is, to first
        order, the step to the posterior mean of the leaf's relative risk under the prior Gamma(K, K) of Poisson counts,
        (observed + K) / (expected + K) (Clayton and Kaldor, Biometrics 1987, for maps of rare diseases).
        """
        if self.totals.kind == "multiclass":
            return 0.0
        return float(self.pseudo_count * np.mean((1 - 2 * self.totals.base_rates()) ** 2))

    def link_after(
        self,
        rounds: int,
        margin: Callable[[], Any] | None,
        weight: Any = None,
        *,
        from_intercept: bool = True,
        offset: ArrayLike = 0.0,
        processes: Processes = ALONE,
    ) -> Link:
        """Link of a model of so many rounds, which is the bare one where no margins can be had.

        The margins of the training data are asked for only if the link needs them, which that of cross-entropy does
        not where training began at `intercepts`; `weight` are their weights, by default those of the plan, and `offset`
        is added to them.
        """
        loss = self.loss_after(rounds)
        if margin is None or (from_intercept and keeps_the_base_rate(loss, self.totals.kind)):
            link = Link.bare(loss, self.totals.kind)
        else:
            of_rows = self.sample_weight if weight is None else weight
            link = self.fitted_link(loss, margin(), of_rows, offset, processes)
        link = link.of_training(self.totals, alpha_follows_base_rate=isinstance(self.loss.alpha, str))
        return link if self.base_rate is None else link.at_base_rate(self.base_rate)

    def fitted_link(self, loss: Loss, margin: Any, weight: Any, offset: ArrayLike, processes: Processes) -> Link:
        """Fit the link to margins, wherever they lie."""
        return Link.fitted(loss, self.totals, margin, weight, offset=offset, summed=processes.sum)


def warn_of_no_split() -> None:
    """Say what to do when training has ended without any split."""
    warnings.warn(
        "training ended without a single split, so every prediction is the base rate: lower what forbids splits "
        "(min_child_weight, gamma and lambda of XGBoost; min_child_samples, min_sum_hessian_in_leaf and "
        "min_split_gain of LightGBM), give the rare class more weight (alpha), or check that the features vary",
        RuntimeWarning,
        stacklevel=4,
    )
