"""The losses on a GPU: on one, where there is one, and on a stand-in everywhere."""

import importlib
import pickle

import cuda_double
import numpy as np
import pytest
import xgboost
from conftest import LOSS_INSTANCES
from problems import rare_positives, run_in_new_process
from sklearn.metrics import average_precision_score

import gbm_focal.xgboost as engine
from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalClassifier, FocalLoss, LinearSchedule, Loss
from gbm_focal.kernels import cuda

TOLERANCE = {np.float32: 2e-6, np.float64: 1e-12}
LOST = {np.float32: 1e-35, np.float64: 2 * np.finfo(np.float64).tiny}  # see gbm_focal.kernels.cuda
# Both tails, the zero, ASL's edge, and the range in which training lives.
MARGINS = np.concatenate([[-1e4, -745, -104, -88, -30, 0, 30, 88, 745, 1e4], np.linspace(-8, 8, 301), [np.log(1 / 19)]])


@pytest.fixture(params=["stand-in", pytest.param("device", marks=pytest.mark.gpu)])
def cupy(request, monkeypatch):
    """CuPy, or what stands in for it."""
    cuda._kernel.cache_clear()
    cuda._settings.cache_clear()
    if request.param == "stand-in":
        monkeypatch.setattr(cuda, "_cupy", lambda: cuda_double)
        # XGBoost itself trains on the host here.
        accept = xgboost.objective._grad_arrinf if hasattr(xgboost, "objective") else xgboost.core._grad_arrinf
        monkeypatch.setattr(xgboost.core, "_grad_arrinf", lambda array, rows: accept(on_host(array), rows))
        with xgboost.config_context(verbosity=0):  # it warns of the missing GPU
            yield cuda_double
        cuda._kernel.cache_clear()
        cuda._settings.cache_clear()
        return
    yield cupy_of_a_gpu()


def cupy_of_a_gpu():
    real = pytest.importorskip("cupy", reason="CuPy is not installed")
    if not real.is_available():
        pytest.skip("there is no NVIDIA GPU")
    return real


def on_host(array):
    return array._host if isinstance(array, cuda_double.ndarray) else array


def assert_same(actual, expected, dtype):
    assert cuda.is_device_array(actual)
    actual = actual.get()
    assert actual.dtype == expected.dtype == dtype
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=TOLERANCE[dtype], atol=LOST[dtype])


def columns(shape, dtype, order="C"):
    """Margins of a shape, the nasty ones first, and labels and weights for them."""
    rng = np.random.default_rng(0)
    rows = MARGINS.size
    if len(shape) == 1:
        return rng.integers(0, 2, rows), MARGINS.astype(dtype), rng.uniform(0, 3, rows)
    margin = np.array([rng.permutation(MARGINS) for _ in range(shape[1])]).T
    return rng.integers(0, 2, margin.shape), np.array(margin, dtype, order=order), rng.uniform(0, 3, rows)


def compare(cupy, loss, y, margin, weight, dtype, **conditioning):
    on_device = [None if array is None else cupy.asarray(array) for array in (y, margin, weight)]
    assert_same(loss.value(*on_device), loss.value(y, margin, weight), dtype)
    of_host = loss.gradient_hessian(y, margin, weight, **conditioning)
    for actual, expected in zip(loss.gradient_hessian(*on_device, **conditioning), of_host, strict=True):
        assert_same(actual, expected, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", LOSS_INSTANCES, ids=repr)
def test_two_classes_equal_the_host(cupy, loss, dtype):
    y, margin, weight = columns((0,), dtype)
    y = y.astype(dtype)
    weight = weight.astype(dtype)
    compare(cupy, loss, y, margin, weight, dtype)
    compare(cupy, loss, y, margin, None, dtype, max_step=2.0)
    assert_same(loss.posterior(cupy.asarray(margin)), loss.posterior(margin), dtype)


@pytest.mark.parametrize("loss", [FocalLoss(2), FocalLoss(0.5, alpha=0.8), AsymmetricLoss()], ids=repr)
def test_exact_hessians_equal_the_host(cupy, loss):
    y, margin, weight = columns((0,), np.float64)
    on_device = [cupy.asarray(array) for array in (y, margin, weight)]
    actual, expected = (loss.gradient_hessian(*a, hessian="exact")[1] for a in (on_device, (y, margin, weight)))
    scale = np.abs(loss.gradient_hessian(y, margin, weight)[1]) + np.abs(expected)
    assert np.all(np.abs(actual.get() - expected) <= 1e-12 * scale + np.finfo(float).tiny)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("labels", [np.bool_, np.uint8, np.int32, np.int64, np.float64, np.int16])
def test_several_labels_of_any_type_and_layout(cupy, labels, order):
    y, margin, weight = columns((0, 3), np.float32, order)
    loss = FocalLoss(1, alpha=(0.2, 0.5, 0.9))
    compare(cupy, loss, y.astype(labels), margin, weight, np.float32, max_step=1.0)
    assert_same(loss.posterior(cupy.asarray(margin)), loss.posterior(margin), np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("gamma", [0, 2, 0.5])
def test_softmax_equals_the_host(cupy, gamma, classes, dtype):
    _, margin, weight = columns((0, classes), dtype)
    y = np.random.default_rng(1).integers(0, classes, margin.shape[0])
    loss = FocalLoss(gamma, alpha=tuple(np.arange(1, classes + 1) / 3))
    compare(cupy, loss, y, margin, weight, dtype, max_step=2.0)
    posterior = loss.posterior(cupy.asarray(margin), multiclass=True)
    assert_same(posterior, loss.posterior(margin, multiclass=True), dtype)
    tame = np.abs(margin).max(axis=1) < 20  # further out the terms of the exact Hessian cancel
    both = (y[tame], margin[tame])
    actual = loss.gradient_hessian(*map(cupy.asarray, both), hessian="exact")[1].get()
    expected = loss.gradient_hessian(*both, hessian="exact")[1]
    np.testing.assert_allclose(actual, expected, rtol=100 * TOLERANCE[dtype], atol=TOLERANCE[dtype])


def test_one_versus_rest_equals_the_host(cupy):
    _, margin, weight = columns((0, 4), np.float64)
    y = np.random.default_rng(1).integers(0, 4, margin.shape[0])
    loss = AsymmetricLoss()
    compare(cupy, loss, y, margin, weight, np.float64, max_step=2.0)
    posterior = loss.posterior(cupy.asarray(margin), multiclass=True)
    assert_same(posterior, loss.posterior(margin, multiclass=True), np.float64)


def test_a_loss_of_ones_own_takes_device_arrays(cupy):
    class Exponential(Loss):
        def partial_values(self, margin):
            return np.exp(-margin / 2), np.exp(margin / 2)

        def partial_gradients(self, margin):
            return -np.exp(-margin / 2) / 2, np.exp(margin / 2) / 2

        def partial_hessians(self, margin):
            return np.exp(-margin / 2) / 4, np.exp(margin / 2) / 4

    margin = np.linspace(-5, 5, 100)
    y = (margin > 1).astype(np.float64)
    compare(cupy, Exponential(), y, margin, y + 1, np.float64, max_step=2.0)
    assert_same(Exponential().posterior(cupy.asarray(margin)), Exponential().posterior(margin), np.float64)


def test_reversed_columns_and_rows(cupy):
    y, margin, weight = columns((0, 3), np.float64)
    on_device = [cupy.asarray(array) for array in (y, margin, weight)]
    loss = FocalLoss(2)
    expected = loss.value(y[::-1, ::-1], margin[::-1, ::-1], weight[::-1])
    assert_same(
        loss.value(on_device[0][::-1, ::-1], on_device[1][::-1, ::-1], on_device[2][::-1]), expected, np.float64
    )


def test_another_device_than_the_current_one(cupy):
    if cupy is not cuda_double and cupy.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("there is one GPU")
    y, margin, weight = columns((0, 3), np.float16)
    with cupy.cuda.Device(1):
        on_device = [cupy.asarray(array) for array in (y, margin, weight)]
    for loss in (FocalLoss(2), AsymmetricLoss()):
        outputs = [
            loss.value(*on_device),
            *loss.gradient_hessian(*on_device, max_step=2.0),
            loss.posterior(on_device[1], multiclass=True),
            loss.log_odds(on_device[1]),
        ]
        assert all(output.device.id == 1 for output in outputs)
    with pytest.raises(ValueError, match=r"margin\[1, 0\] is nan"):
        loss.value(on_device[0], nan_on(cupy, margin), on_device[2])
    X, y, weight, _ = rare_positives(300)
    on_second, _ = trained(X, y, "cuda:1", FocalLoss(alpha="balanced"), weight=weight)
    on_host, _ = trained(X, y, "cpu", FocalLoss(alpha="balanced"), weight=weight)
    assert np.mean(np.abs(on_second - on_host)) < (1e-5 if cupy is cuda_double else 1e-2)


def nan_on(cupy, margin):
    with cupy.cuda.Device(1):
        broken = margin.astype(np.float32)
        broken[1, 0] = np.nan
        return cupy.asarray(broken)


def test_more_rows_than_threads(cupy):
    rows = 3_000_000 if cupy is not cuda_double else cuda._MOST_BLOCKS * cuda._THREADS // 64 + 1000
    margin = np.linspace(-9, 9, rows).astype(np.float32)
    y = (np.arange(rows) % 3 == 0).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda, "_MOST_BLOCKS", cuda._MOST_BLOCKS // 64)
        compare(cupy, FocalLoss(2), y, margin, None, np.float32)


def test_no_rows(cupy):
    empty = cupy.asarray(np.zeros(0, np.float32))
    assert FocalLoss().value(empty, empty).shape == (0,)
    assert FocalLoss().posterior(empty).shape == (0,)


@pytest.mark.parametrize(
    ("y", "margin", "weight", "message"),
    [
        ([0, 2], [0, 0], None, r"y_true\[1\] is 2"),
        ([0, 1], [0, np.nan], None, r"margin\[1\] is nan"),
        ([0, 1], [np.inf, 0], None, r"margin\[0\] is inf"),
        ([0, 1], [0, 0], [1, -1], r"sample_weight\[1\] is -1"),
        ([0, 1], [0, 0], [0, 0], "sample_weight is 0 in all 2 rows"),
        ([0, 3], [[0, 0, 0]] * 2, None, r"y_true\[1\] is 3"),
        ([0, 0.5], [[0, 0, 0]] * 2, None, r"y_true\[1\] is 0.5"),
    ],
)
@pytest.mark.parametrize("hessian", ["fisher", "exact"])
def test_bad_rows_get_the_errors_of_the_host(cupy, y, margin, weight, message, hessian):
    on_device = [None if a is None else cupy.asarray(np.array(a, np.float64)) for a in (y, margin, weight)]
    with pytest.raises(ValueError, match=message):
        FocalLoss().gradient_hessian(*on_device, hessian=hessian)
    with pytest.raises(ValueError, match=message):
        FocalLoss().value(*on_device)


def test_arrays_must_lie_together(cupy):
    on_device, on_host = cupy.asarray(np.zeros(3)), np.zeros(3)
    with pytest.raises(ValueError, match="y_true lies on the host and margin on CUDA device 0"):
        FocalLoss().value(on_host, on_device)
    with pytest.raises(ValueError, match="sample_weight lies on CUDA device 0 and margin on the host"):
        FocalLoss().value(on_host, on_host, cupy.asarray(np.ones(3)))


def test_totals_count_labels_on_the_device(cupy):
    y = np.array([0, 0, 0, 1])
    assert FocalLoss(alpha="balanced").resolve(cupy.asarray(y)).alpha == 0.75
    assert FocalLoss().intercept(cupy.asarray(y), cupy.asarray(np.ones(4))) == FocalLoss().intercept(y)


# ---- XGBoost ----

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


def test_classes_and_labels_on_the_device(cupy):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 4))
    classes = np.digitize(X[:, 0] + rng.normal(size=2000) / 2, [0.5, 1.5])
    indicator = (X[:, :2] + rng.normal(size=(2000, 2)) / 2 > 1).astype(int)
    for y, loss in ((classes, FocalLoss()), (classes, AsymmetricLoss()), (indicator, AsymmetricLoss())):
        on_device, on_host = (
            FocalClassifier(xgboost.XGBClassifier(n_estimators=10, n_jobs=1, device=device, verbosity=0), loss)
            .fit(X, y)
            .predict_proba(X)
            for device in ("cuda", "cpu")
        )
        assert np.mean(np.abs(on_device - on_host)) < (1e-4 if cupy is cuda_double else 1e-2)


def test_the_classifier_computes_on_the_device(cupy):
    X, y, weight, _ = rare_positives(500)
    words = np.where(y == 1, "fraud", "fine")
    before = getattr(cuda_double.RawModule, "launches", 0)
    estimator = xgboost.XGBClassifier(n_estimators=5, n_jobs=1, device="cuda", verbosity=0)
    classifier = FocalClassifier(estimator, FocalLoss()).fit(X, words, weight, eval_set=[(X, words)])
    assert classifier.score(X, words) > 0.9
    if cupy is cuda_double:
        assert cuda_double.RawModule.launches - before == 10  # five rounds: objective and metric
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict_proba(X), classifier.predict_proba(X))


def test_labels_on_the_device_for_the_classifier(cupy):
    X, y, weight, _ = rare_positives(500)
    estimator = xgboost.XGBClassifier(n_estimators=5, n_jobs=1, verbosity=0)
    on_host, on_device = (
        FocalClassifier(estimator).fit(X, place(y), place(weight)).predict_proba(X)
        for place in (np.asarray, cupy.asarray)
    )
    np.testing.assert_array_equal(on_device, on_host)


def test_probabilities_of_margins_on_the_device(cupy):
    X, y, _, _ = rare_positives(500)
    booster = engine.train({**PARAMETERS, "device": "cpu"}, xgboost.DMatrix(X, y), 5, loss=AsymmetricLoss())
    link = engine.link_of(booster)
    margin = booster.predict(xgboost.DMatrix(X), output_margin=True)
    assert_same(link.probabilities(cupy.asarray(margin)), link.probabilities(margin), np.float32)


def test_a_loss_of_ones_own_trains_on_the_host(cupy):
    class Logistic(BalancedCrossEntropy):
        pass

    assert not engine.Objective(Logistic(None), device="cuda")._device.is_host
    assert engine.Objective(Loss(), device="cuda")._device.is_host


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


# ---- where it cannot be ----


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


def test_device_names(monkeypatch):
    monkeypatch.setattr(cuda, "_cupy", lambda: cuda_double)
    assert cuda.usable_device("cuda") == cuda.usable_device("cuda:0") == cuda.usable_device("gpu") == 0
    assert cuda.usable_device("cuda:1") == 1
    assert cuda.usable_device(None) is cuda.usable_device("cpu") is cuda.usable_device("sycl:gpu") is None
    for wrong in ("cdua", "CUDA", "cuda:", 0):
        with pytest.raises(ValueError, match=r"device=.* is not known: give 'cpu', 'cuda'"):
            cuda.usable_device(wrong)
    with pytest.raises(ValueError, match="device='cuda:3' does not exist: CuPy finds 2"):
        cuda.usable_device("cuda:3")


def test_cupy_without_a_gpu(monkeypatch):
    def none():
        raise cuda_double.CUDARuntimeError("no driver")

    monkeypatch.setattr(cuda, "_cupy", lambda: cuda_double)
    monkeypatch.setattr(cuda_double.cuda.runtime, "getDeviceCount", none)
    cuda._warn_of_host.cache_clear()
    with pytest.warns(RuntimeWarning, match="CuPy finds no device"):
        assert cuda.usable_device("cuda") is None


# ---- the device's compilers ----


def every_kernel():
    for real in ("float", "double"):
        losses = [f"gbm_focal::Power<{real}>"] + [
            f"gbm_focal::{family}<{real}, gbm_focal::{exponent}>"
            for family in ("Focal", "Asymmetric", "SoftmaxFocal")
            for exponent in ("IntegerExponent", "RealExponent")
        ]
        for loss in losses:
            for what in ("VALUE", "FISHER", "EXACT", "POSTERIOR"):
                yield cuda._expression(what, loss, real, "float", "double")


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_every_kernel_compiles_with_nvrtc(architecture):
    try:
        nvrtc = importlib.import_module("cupy_backends.cuda.libs.nvrtc")
        nvrtc.getVersion()
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"CuPy or NVRTC is not installed: {error}")
    kernels = list(every_kernel())
    program = nvrtc.createProgram(cuda._source(), "gbm_focal.cu", (), ())
    for kernel in kernels:
        nvrtc.addNameExpression(program, kernel)
    try:
        nvrtc.compileProgram(program, (*cuda._OPTIONS, "-ftz=true", f"-arch={architecture}", "-Werror", "all-warnings"))
    except nvrtc.NVRTCError:
        pytest.fail(nvrtc.getProgramLog(program))
    binary = nvrtc.getCUBIN(program)
    names = {nvrtc.getLoweredName(program, kernel) for kernel in kernels}
    assert len(names) == len(kernels)
    assert all(name.encode() in binary for name in names)
