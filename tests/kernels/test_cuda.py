"""The losses on a GPU: on one, where there is one, and on a stand-in everywhere."""

import cuda_double
import numpy as np
import pytest
from devices import TOLERANCE, assert_same, require_two_devices
from instances import LOSS_INSTANCES

from gbm_focal import AsymmetricLoss, FocalLoss, Loss
from gbm_focal.kernels import cuda

# Both tails, the zero, ASL's edge, and the range in which training lives.
MARGINS = np.concatenate([[-1e4, -745, -104, -88, -30, 0, 30, 88, 745, 1e4], np.linspace(-8, 8, 301), [np.log(1 / 19)]])


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
    require_two_devices(cupy)
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
