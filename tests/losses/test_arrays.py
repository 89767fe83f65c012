"""Arrays of any type, shape and layout go in; results have the shape and type of the margin."""

import numpy as np
import pytest
from problems import sample

from gbm_focal.kernels.arrays import readable


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [None, 1, 3])
def test_results_have_the_shape_and_type_of_the_margin(loss, dtype, columns):
    y, z, w = sample(7, dtype, columns)
    gradient, hessian = loss.gradient_hessian(y, z, w)
    for result in (loss.value(y, z, w), gradient, hessian, loss.posterior(z)):
        assert result.shape == z.shape
        assert result.dtype == dtype


def test_more_rows_than_a_block(loss):
    # The kernel works in blocks; 1,500 rows are two whole ones and a part.
    y, z, w = sample(1500)
    whole = loss.gradient_hessian(y, z, w, max_step=2)
    for part in (slice(0, 3), slice(510, 515), slice(1499, 1500)):
        piece = loss.gradient_hessian(y[part], z[part], w[part], max_step=2)
        np.testing.assert_allclose([r[part] for r in whole], piece, rtol=1e-14)


@pytest.mark.parametrize("source", [np.int8, np.int32, np.int64, np.uint8, bool, np.float16, np.float32, ">f8", object])
def test_labels_of_any_real_type(loss, source):
    y, z, w = sample()
    np.testing.assert_array_equal(loss.value(y.astype(source), z, w), loss.value(y, z, w))


def test_margin_and_weight_of_other_types(loss):
    y, z, w = sample()
    integers = np.round(z).astype(np.int64)
    expected = loss.value(y, integers.astype(float), w)
    np.testing.assert_array_equal(loss.value(y, integers, w), expected)
    np.testing.assert_array_equal(loss.value(y, integers.astype(">f8"), w), expected)
    np.testing.assert_array_equal(loss.value(y.tolist(), integers.tolist(), w.tolist()), expected)


def views(array):
    """The same numbers in every layout an array can have."""
    yield np.asfortranarray(array)
    yield np.repeat(array, 2, axis=0)[::2]
    yield array[::-1].copy()[::-1]
    record = np.zeros(array.shape, [("tag", "i1"), ("number", array.dtype)])  # strides that split an element
    record["number"] = array
    yield record["number"]
    read_only = array.copy()
    read_only.flags.writeable = False
    yield read_only
    unaligned = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    unaligned[...] = array
    yield unaligned
    if array.ndim == 2:
        yield np.repeat(array, 3, axis=1)[:, ::3]
        yield array[:, ::-1].copy()[:, ::-1]


def test_kernels_get_aligned_elements():
    unaligned = np.zeros(25, np.uint8)[1:].view(np.float64)
    assert not unaligned.flags.aligned
    assert readable(unaligned, np.float64).flags.aligned


@pytest.mark.parametrize("columns", [None, 3])
def test_any_strides_and_no_change_to_the_callers_arrays(loss, columns):
    y, z, w = sample(50, columns=columns)
    expected = (loss.value(y, z, w), *loss.gradient_hessian(y, z, w, max_step=2), loss.posterior(z))
    for y_view, z_view in zip(views(y), views(z), strict=True):
        for w_view in views(w):
            before = [a.copy() for a in (y_view, z_view, w_view)]
            results = (
                loss.value(y_view, z_view, w_view),
                *loss.gradient_hessian(y_view, z_view, w_view, max_step=2),
                loss.posterior(z_view),
            )
            for result, want in zip(results, expected, strict=True):
                np.testing.assert_array_equal(result, want)
            for array, copied in zip((y_view, z_view, w_view), before, strict=True):
                np.testing.assert_array_equal(array, copied)


def test_pandas_and_empty_input(loss):
    pandas = pytest.importorskip("pandas")
    y, z, w = sample()
    expected = loss.value(y, z, w)
    np.testing.assert_array_equal(loss.value(pandas.Series(y), pandas.Series(z), pandas.Series(w)), expected)
    np.testing.assert_array_equal(loss.value(pandas.Series(y, dtype="Int64"), z, w), expected)
    assert loss.value(np.empty(0), np.empty(0)).shape == (0,)
    assert loss.posterior(np.empty((0, 3), np.float32)).shape == (0, 3)


def test_columns_are_independent(loss):
    y, z, w = sample(20, columns=3)
    for column in range(3):
        one = loss.gradient_hessian(y[:, column], z[:, column], w, max_step=2)
        for whole, part in zip(loss.gradient_hessian(y, z, w, max_step=2), one, strict=True):
            np.testing.assert_array_equal(whole[:, column], part)
