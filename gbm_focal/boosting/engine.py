"""Engine: what `FocalClassifier` asks of a boosting library, and the register of those that there are."""

from __future__ import annotations

import abc
import contextlib
import importlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from .._inputs import Array
from ..link import Link
from .plan import Plan


class Engine(abc.ABC):
    """A boosting library, as `FocalClassifier`, its form for Dask, and saved models see it.

    To bring one of your own, subclass this and give an instance to ``ENGINES.register``, in the module that defines
    your estimators and models, so that whoever unpickles one has registered it. Import that module before
    `load_model`. Models are whatever `fit` returns; they must survive pickle and copies.

    Attributes
    ----------
    name : str
        Name in saved models.
    model_file : str
        Name of the model's part in a saved file.
    """

    name: str
    model_file: str

    @abc.abstractmethod
    def trains(self, estimator: Any) -> bool:
        """Whether an estimator, to be trained, is one of this engine's."""

    def made(self, model: Any) -> bool:
        """Whether a fitted model is one of this engine's."""
        return self.trains(model)

    @abc.abstractmethod
    def new_estimator(self, settings: Mapping[str, Any]) -> Any:
        """Make an estimator with these parameters."""

    @abc.abstractmethod
    def fit(self, estimator: Any, X: Any, y: Any, plan: Plan, fit_params: dict[str, Any]) -> tuple[Any, Link]:
        """Fit a clone of an estimator as a plan says, and the link to its probabilities.

        Parameters
        ----------
        estimator
            One that this engine `trains`; it stays as it is.
        X : whatever the engine takes, of n rows
        y : ndarray of shape (n,) or (n, L)
            Labels from 0.
        plan : Plan
            An engine honours all of it: `BaseObjective` takes `loss`, `conditioning` and `totals`, `BaseMetric` the
            metric, `Plan.penalty` goes to the penalty of leaves, and `Plan.link_after` makes the link.
        fit_params : dict
            What `FocalClassifier.fit` was given beyond its own parameters.

        Returns
        -------
        model, link
        """

    @abc.abstractmethod
    def margin(self, model: Any, X: Any) -> Array:
        """Margins of a model, with its intercept, up to its best iteration; shape (n,), (n, K) or (n, L)."""

    @abc.abstractmethod
    def to_bytes(self, model: Any) -> bytes:
        """Return a model in the engine's own format."""

    @abc.abstractmethod
    def from_bytes(self, content: bytes, settings: Mapping[str, Any]) -> Any:
        """Make a model of what `to_bytes` returned, with the parameters of the estimator where it holds them."""

    @abc.abstractmethod
    def version(self) -> str:
        """Version of the library."""

    def stops_early(self, estimator: Any, fit_params: Mapping[str, Any]) -> str | None:
        """Return what asks for early stopping, as messages call it, or None."""
        return None

    def history(self, model: Any) -> dict[str, Any]:
        """History of the metric on each evaluation set, by its name."""
        return {}

    def best_iteration(self, model: Any) -> int | None:
        """Where early stopping stopped, counted from 0, if it did."""
        return None

    def importances(self, model: Any) -> Array:
        """Return the importances of the features."""
        raise AttributeError(f"{self.name} defines no importances of features")


class Engines:
    """Engines by name. Those given as modules are imported when they are first asked for.

    Parameters
    ----------
    modules : dict of str to str
        For each name, which is that of the engine's own package, the module that has the engine as ``ENGINE``; in the
        order of preference.
    wanted : str
        What to give, for messages.
    """

    def __init__(self, modules: Mapping[str, str], wanted: str) -> None:
        self._engines: dict[str, Engine | str] = dict(modules)
        self._wanted = wanted

    def register(self, engine: Engine) -> None:
        """Add an engine, or put it in the place of that of its name; it is asked before those that were there."""
        self._engines.pop(engine.name, None)
        self._engines[engine.name] = engine

    def named(self, name: Any) -> Engine:
        """Return the engine of a name."""
        engine = self._engines.get(name) if isinstance(name, str) else None
        if engine is None:
            raise ValueError(f"its engine is {name!r}, not {' or '.join(self._engines)}")
        if isinstance(engine, str):
            engine = importlib.import_module(engine).ENGINE
            self._engines[name] = engine
        return engine

    def of(self, estimator: Any) -> Engine:
        """Return the engine that trains an estimator."""
        for engine in self._loadable():
            if engine.trains(estimator):
                return engine
        raise TypeError(f"estimator={estimator!r} is a {type(estimator).__name__}: give {self._wanted}")

    def of_model(self, model: Any) -> Engine:
        """Return the engine that made a fitted model."""
        for engine in self._loadable():
            if engine.made(model):
                return engine
        raise TypeError(f"estimator_={model!r} is a {type(model).__name__}, which no engine here has made")

    def first(self) -> Engine:
        """Return the first engine that is installed."""
        for name in self._engines:
            try:
                return self.named(name)
            except ImportError:
                continue
        raise ImportError("FocalClassifier needs an engine: pip install 'gbm_focal[xgboost]' or 'gbm_focal[lightgbm]'")

    def _loadable(self) -> Iterator[Engine]:
        """Yield the engines that can own something, the latest first."""
        for name, engine in reversed(list(self._engines.items())):
            # An engine whose package nobody has imported, or nobody can, owns nothing.
            if isinstance(engine, Engine) or sys.modules.get(name) is not None:
                with contextlib.suppress(ImportError):
                    engine = self.named(name)
                if isinstance(engine, Engine):
                    yield engine


ENGINES = Engines(
    {"xgboost": "gbm_focal.xgboost.engine", "lightgbm": "gbm_focal.lightgbm.engine"},
    "an XGBClassifier or an LGBMClassifier; if it trains on Dask collections, give it to "
    "gbm_focal.dask.DaskFocalClassifier",
)
