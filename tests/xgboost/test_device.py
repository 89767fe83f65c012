"""XGBoost on a GPU, or on a stand-in."""

import cuda_double
import numpy as np
import pytest
import xgboost
from devices import cupy_of_a_gpu, require_two_devices
from instances import NumpyFocalLoss
from problems import rare_positives
from programs import run_in_new_process
from sklearn.metrics import average_precision_score

import gbm_focal.xgboost as engine
from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalLoss, LinearSchedule
from gbm_focal.kernels import cuda

PARAMETERS = {"device": "cuda", "nthread": 1, "max_depth": 3, "tree_method": "hist", "verbosity": 0}


def trained(X, y, device, loss, **keywords):
    data = xgboost.QuantileDMatrix(X, y, **keywords)
    history = {}
    booster = engine.train(
        {**PARAMETERS, "device": device},
        data,
        20,
        loss=loss,
        evals=[(data, "train")],
        evals_result=history,
        verbose_eval=False,
    )
    return engine.predict_proba(booster, xgboost.DMatrix(X)), history


@pytest.mark.parametrize(
    "loss",
    [
        FocalLoss(alpha="balanced"),
        AsymmetricLoss(),
        FocalLoss(LinearSchedule(0, 2, rounds=10)),
        BalancedCrossEntropy("balanced"),
    ],
    ids=repr,
)
def test_training_on_the_device_is_that_on_the_host(cupy, loss):
    X, y, weight, _ = rare_positives(4000)
    on_device, history = trained(X, y, "cuda", loss, weight=weight)
    on_host, history_of_host = trained(X, y, "cpu", loss, weight=weight)
    scores = [average_precision_score(y, p[:, 1]) for p in (on_device, on_host)]
    assert abs(scores[0] - scores[1]) < 1e-3
    if cupy is cuda_double:  # the same trees
        np.testing.assert_allclose(on_device, on_host, rtol=1e-4)
    (curve,) = history["train"].values()
    (curve_of_host,) = history_of_host["train"].values()
    np.testing.assert_allclose(curve, curve_of_host, rtol=1e-3)


def test_training_on_another_device_than_the_current_one(cupy):
    require_two_devices(cupy)
    X, y, weight, _ = rare_positives(300)
    on_second, _ = trained(X, y, "cuda:1", FocalLoss(alpha="balanced"), weight=weight)
    on_host, _ = trained(X, y, "cpu", FocalLoss(alpha="balanced"), weight=weight)
    assert np.mean(np.abs(on_second - on_host)) < (1e-5 if cupy is cuda_double else 1e-2)


def test_labels_go_to_the_device_once(cupy, monkeypatch):
    X, y, _, _ = rare_positives(500)
    copies = []
    copied_to = cuda.copied_to
    monkeypatch.setattr(cuda, "copied_to", lambda device, array: copies.append(array.shape) or copied_to(device, array))
    trained(X, y, "cuda", FocalLoss())
    assert len(copies) == 5  # labels and margins, of the objective and of the metric; margins, for the link
    copies.clear()
    objective, data = engine.Objective(FocalLoss(), device="cuda"), xgboost.DMatrix(X, y)
    xgboost.train({**PARAMETERS, "objective": "binary:logistic"}, data, 5, obj=objective)
    assert len(copies) == 2


def test_a_bare_objective_sees_that_labels_or_weights_have_changed(cupy):
    X, y, weight, _ = rare_positives(500)
    data = xgboost.DMatrix(X, y)
    loss = FocalLoss(alpha="balanced")
    objective, metric = engine.Objective(loss, device="cuda"), engine.Metric(loss, device="cuda")

    def fitted(objective, metric, base_score, model=None):
        history = {}
        booster = xgboost.train(
            {**PARAMETERS, "objective": "binary:logistic", "base_score": base_score, "disable_default_eval_metric": 1},
            data,
            5,
            obj=objective,
            custom_metric=metric,
            evals=[(data, "train")],
            evals_result=history,
            verbose_eval=False,
            xgb_model=model,
        )
        return booster, [booster.predict(data, output_margin=True), *history["train"].values()]

    def compare_with_host(base_score, model=None):
        booster, on_device = fitted(objective, metric, base_score, model)
        _, on_host = fitted(engine.Objective(loss), engine.Metric(loss), base_score, model)
        for actual, expected in zip(on_device, on_host, strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)
        return booster

    compare_with_host(0.1)
    data.set_label(1 - y)
    booster = compare_with_host(0.9)
    data.set_weight(weight)
    compare_with_host(0.9, booster)


def test_a_worker_without_rows_does_as_on_the_host(cupy):
    empty = xgboost.DMatrix(np.empty((0, 2)), np.empty(0))
    nothing = np.empty(0, np.float32)
    assert engine.Objective(FocalLoss(0.5), device="cuda", normalize=False)(nothing, empty)[0].shape == (0,)
    with pytest.raises(ValueError, match="no mean over data whose 0 rows"):
        engine.Metric(FocalLoss(), device="cuda")(nothing, empty)


def test_a_loss_of_ones_own_trains_on_the_host(cupy):
    class Logistic(BalancedCrossEntropy):
        pass

    data = xgboost.DMatrix(np.zeros((4, 1)), [0, 1, 0, 0])
    for loss, is_on_device in ((Logistic(None), True), (NumpyFocalLoss(), False)):
        gradient, _ = engine.Objective(loss, device="cuda")(np.zeros(4, np.float32), data)
        assert cuda.is_device_array(gradient) == is_on_device


@pytest.mark.gpu
@pytest.mark.parametrize("container", ["DMatrix", "QuantileDMatrix"])
def test_features_on_the_device(container):
    cupy = cupy_of_a_gpu()
    X, y, _, _ = rare_positives(4000)
    data = getattr(xgboost, container)(cupy.asarray(X), label=cupy.asarray(y))
    booster = engine.train({**PARAMETERS}, data, 20, loss=FocalLoss())
    of_device = engine.predict_proba(booster, cupy.asarray(X))
    assert isinstance(of_device, cupy.ndarray)
    on_host, _ = trained(X, y, "cpu", FocalLoss())
    scores = [average_precision_score(y, p[:, 1]) for p in (of_device.get(), on_host)]
    assert abs(scores[0] - scores[1]) < 1e-3


@pytest.mark.gpu
@pytest.mark.parametrize("container", ["QuantileDMatrix", "ExtMemQuantileDMatrix"])
def test_batches_on_the_device(container, tmp_path):
    cupy = cupy_of_a_gpu()
    X, y, _, _ = rare_positives(4000)

    class Batches(xgboost.DataIter):
        def __init__(self):
            super().__init__(cache_prefix=str(tmp_path / "cache"))
            self.batch = 0

        def next(self, input_data):
            if self.batch == 4:
                return False
            part = slice(1000 * self.batch, 1000 * (self.batch + 1))
            input_data(data=cupy.asarray(X[part]), label=cupy.asarray(y[part]))
            self.batch += 1
            return True

        def reset(self):
            self.batch = 0

    booster = engine.train({**PARAMETERS}, getattr(xgboost, container)(Batches()), 20, loss=FocalLoss())
    in_memory, _ = trained(X, y, "cuda", FocalLoss())
    scores = [
        average_precision_score(y, p[:, 1]) for p in (engine.predict_proba(booster, xgboost.DMatrix(X)), in_memory)
    ]
    assert abs(scores[0] - scores[1]) < 2e-2  # batches are sketched apart


def test_without_cupy_the_host_computes_and_one_warning_says_so():
    code = """
import sys, warnings
sys.modules["cupy"] = None
import numpy as np, xgboost
import gbm_focal.xgboost as engine
from gbm_focal import FocalLoss
X = np.random.default_rng(0).normal(size=(200, 2))
data = xgboost.DMatrix(X, X[:, 0] > 1)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(2):
        engine.train({"device": "cuda", "nthread": 1, "verbosity": 0}, data, 3, loss=FocalLoss(), evals=[(data, "t")],
                     verbose_eval=False)
ours = [w for w in caught if "computed on the host" in str(w.message)]
print(len(ours), ours[0].message)
"""
    printed = run_in_new_process(code)
    assert printed.startswith("1 device='cuda': gradients are computed on the host, because")
    assert "pip install 'gbm_focal[gpu]'" in printed
