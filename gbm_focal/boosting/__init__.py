"""What engines share: a loss as objective and as metric, the plan of a training, and the protocol of an engine."""

from ..link import Link  # which pickles of version 0.1 name here
from .engine import ENGINES, Engine, Engines
from .metric import NO_METRIC, BaseMetric, metric_named
from .objective import BaseObjective
from .plan import Plan, warn_of_no_split
from .processes import ALONE, Processes, checked_totals, labels_of_engine, totals_of_engine, weights_of_engine
from .progress import bar_of_rounds

__all__ = [
    "ALONE",
    "ENGINES",
    "NO_METRIC",
    "BaseMetric",
    "BaseObjective",
    "Engine",
    "Engines",
    "Link",
    "Plan",
    "Processes",
    "bar_of_rounds",
    "checked_totals",
    "labels_of_engine",
    "metric_named",
    "totals_of_engine",
    "warn_of_no_split",
    "weights_of_engine",
]
