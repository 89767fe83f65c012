"""The bar over the rounds, in both engines: on a terminal, elsewhere, and when training ends early."""

import contextlib
import io
import pickle
import warnings

import numpy as np
import pytest
from problems import rare_positives
from programs import run_in_new_process
from xgboost_data import call_callbacks

from gbm_focal import FocalClassifier, FocalLoss

tqdm = pytest.importorskip("tqdm")
xgb, lgb = pytest.importorskip("xgboost"), pytest.importorskip("lightgbm")

import gbm_focal.lightgbm  # noqa: E402
import gbm_focal.xgboost  # noqa: E402


class Terminal(io.StringIO):
    def isatty(self):
        return True

    def last_line(self):
        return self.getvalue().rstrip().split("\r")[-1]


@contextlib.contextmanager
def terminal():
    """What a program writes to a terminal; not a fixture, because pytest puts its own stderr back after setup."""
    fake = Terminal()
    with contextlib.redirect_stderr(fake):
        yield fake
    assert not tqdm.tqdm._instances, "a bar was left open"


X, Y, _, _ = rare_positives(1500)
X_VALID, Y_VALID, _, _ = rare_positives(1500, seed=1)


def train_xgboost(rounds, patience=None, failing=False, **arguments):
    class Fail(xgb.callback.TrainingCallback):
        def after_iteration(self, model, epoch, evals_log):
            if epoch == 4:
                raise RuntimeError("no more")
            return False

    data, valid = xgb.DMatrix(X, Y), xgb.DMatrix(X_VALID, Y_VALID)
    params = {"eta": 0.5, "nthread": 1}
    booster = gbm_focal.xgboost.train(
        params,
        data,
        rounds,
        loss=FocalLoss(),
        evals=[(valid, "valid")],
        verbose_eval=False,
        early_stopping_rounds=patience,
        callbacks=[Fail()] if failing else None,
        **arguments,
    )
    return booster, gbm_focal.xgboost.predict_proba(booster, X_VALID), booster.num_boosted_rounds()


def train_lightgbm(rounds, patience=None, failing=False, **arguments):
    def fail(environment):
        if environment.iteration == 4:
            raise RuntimeError("no more")

    history = {}
    callbacks = [lgb.record_evaluation(history)] + [fail] * failing
    if patience:
        callbacks.append(lgb.early_stopping(patience, verbose=False))
    data, valid = lgb.Dataset(X, Y), lgb.Dataset(X_VALID, Y_VALID)
    params = {"learning_rate": 0.5, "num_threads": 1, "verbosity": -1}
    booster = gbm_focal.lightgbm.train(
        params, data, rounds, loss=FocalLoss(), valid_sets=[valid], callbacks=callbacks, **arguments
    )
    return booster, gbm_focal.lightgbm.predict_proba(booster, X_VALID), len(history["valid_0"]["focal_loss"])


def fit_classifier(estimator, rounds, patience, failing, **arguments):
    class Fail(xgb.callback.TrainingCallback):
        def after_iteration(self, model, epoch, evals_log):
            if epoch == 4:
                raise RuntimeError("no more")
            return False

    def fail(environment):
        if environment.iteration == 4:
            raise RuntimeError("no more")

    if estimator is xgb.XGBClassifier:
        engine = estimator(n_estimators=rounds, learning_rate=0.5, n_jobs=1, early_stopping_rounds=patience)
        if failing:
            engine.set_params(callbacks=[Fail()])
    else:
        engine = estimator(n_estimators=rounds, learning_rate=0.5, n_jobs=1, verbosity=-1)
        if patience:
            engine.set_params(early_stopping_round=patience)
        if failing:
            arguments["callbacks"] = [fail]
    model = FocalClassifier(engine).fit(X, Y, eval_set=[(X_VALID, Y_VALID)], **arguments)
    (history,) = next(iter(model.evals_result_.values())).values()
    return model, model.predict_proba(X_VALID), len(history)


def fit_xgboost(rounds, patience=None, failing=False, **arguments):
    return fit_classifier(xgb.XGBClassifier, rounds, patience, failing, **arguments)


def fit_lightgbm(rounds, patience=None, failing=False, **arguments):
    return fit_classifier(lgb.LGBMClassifier, rounds, patience, failing, **arguments)


every_way = pytest.mark.parametrize("way", [train_xgboost, train_lightgbm, fit_xgboost, fit_lightgbm])


@every_way
def test_a_bar_over_the_rounds(way):
    with terminal() as shown:
        model, probability, _ = way(7, progress=True)
    assert "training: 100%" in shown.last_line()
    assert "7/7" in shown.last_line()
    with terminal() as shown:
        bare, expected, _ = way(7)
    assert not shown.getvalue()
    np.testing.assert_array_equal(probability, expected)
    assert type(pickle.loads(pickle.dumps(model))) is type(bare)


@every_way
def test_early_stopping_finishes_the_bar(way):
    with terminal() as shown:
        _, _, rounds = way(300, 5, progress=True)
    assert 5 < rounds < 300
    assert f"{rounds}/{rounds}" in shown.last_line()
    assert "stopped early" in shown.last_line()


@pytest.mark.parametrize("way", [train_xgboost, fit_xgboost])
@pytest.mark.parametrize("direction", [1, -1])
def test_early_stopping_finishes_the_bar_whoever_is_called_first(way, direction, monkeypatch):
    call_callbacks(monkeypatch, direction)
    test_early_stopping_finishes_the_bar(way)


@every_way
def test_a_failed_training_closes_the_bar_where_it_was(way):
    with terminal() as shown, pytest.raises(RuntimeError, match="no more"):
        way(300, failing=True, progress=True)
    assert f"{5 if 'lightgbm' in way.__name__ else 4}/300" in shown.last_line()  # XGBoost's round has not ended
    assert "stopped early" not in shown.last_line()


@every_way
def test_no_bar_without_a_terminal(way, capfd):
    way(3, progress=True)
    assert capfd.readouterr().err == ""


@every_way
def test_progress_is_yes_or_no(way):
    with pytest.raises(TypeError, match="progress='yes' is a str: give True or False"):
        way(3, progress="yes")


def test_rounds_of_lightgbms_parameters_and_of_continued_training():
    params = {"num_threads": 1, "verbosity": -1}
    arguments = {"loss": FocalLoss(), "progress": True}
    with terminal() as shown, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Found `num_iterations`")
        booster = gbm_focal.lightgbm.train({**params, "num_iterations": 6}, lgb.Dataset(X, Y), 100, **arguments)
    assert "6/6" in shown.last_line()
    with terminal() as shown:
        gbm_focal.lightgbm.train(params, lgb.Dataset(X, Y), 4, init_model=booster, **arguments)
    assert "4/4" in shown.last_line()
    begun = train_xgboost(3)[0]
    with terminal() as shown:
        gbm_focal.xgboost.train({"nthread": 1}, xgb.DMatrix(X, Y), 2, xgb_model=begun, **arguments)
    assert "2/2" in shown.last_line()


def test_tqdm_is_imported_when_a_bar_is_asked_for():
    code = (
        "import sys; sys.modules['tqdm'] = None\n"
        "import numpy, gbm_focal.xgboost, xgboost\n"
        "X = numpy.random.default_rng(0).normal(size=(100, 2))\n"
        "data = xgboost.DMatrix(X, X[:, 0] > 1)\n"
        "gbm_focal.xgboost.train({}, data, 1, loss=gbm_focal.FocalLoss())\n"
        "try:\n    gbm_focal.xgboost.train({}, data, 1, loss=gbm_focal.FocalLoss(), progress=True)\n"
        "except ImportError as e: print(e)"
    )
    assert "pip install 'gbm_focal[progress]'" in run_in_new_process(code)
