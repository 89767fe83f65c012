"""The losses as users meet them: shapes, types, weights, alpha, posterior, intercept, persistence, bad input."""

import copy
import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.base import clone

from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalLoss, Loss, PowerCrossEntropy
from gbm_focal.kernels.arrays import readable
from gbm_focal.link import Link, _shifted
from gbm_focal.losses import ClassTotals

RNG = np.random.default_rng(0)


def sample(n=200, dtype=np.float64, columns=None):
    shape = (n,) if columns is None else (n, columns)
    y = (RNG.random(shape) < 0.3).astype(dtype)
    y[0], y[1] = 0, 1
    return y, (3 * RNG.normal(size=shape)).astype(dtype), RNG.random(n).astype(dtype) + 0.1


class NumpyFocalLoss(Loss):
    """The focal loss as a user would write it."""

    def __init__(self, gamma=2.0, alpha=None):
        self.gamma = gamma
        self.alpha = alpha

    def partial_values(self, margin):
        p, q = expit(margin), expit(-margin)
        return q**self.gamma * np.logaddexp(0, -margin), p**self.gamma * np.logaddexp(0, margin)

    def partial_gradients(self, margin):
        p, q, g = expit(margin), expit(-margin), self.gamma
        n, m = np.logaddexp(0, -margin), np.logaddexp(0, margin)
        return -(q**g) * (g * p * n + q), p**g * (g * q * m + p)

    def partial_hessians(self, margin):
        p, q, g = expit(margin), expit(-margin), self.gamma
        n, m = np.logaddexp(0, -margin), np.logaddexp(0, margin)
        return (
            q**g * p * ((1 + 2 * g) * q + g * n * (g * p - q)),
            p**g * q * ((1 + 2 * g) * p + g * m * (g * q - p)),
        )


# ---- arrays ----


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
    unaligned = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    unaligned[...] = array
    yield unaligned
    read_only = array.copy()
    read_only.flags.writeable = False
    yield read_only
    if array.ndim == 2:
        yield np.repeat(array, 3, axis=1)[:, ::3]
        yield array[:, ::-1].copy()[:, ::-1]


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


def test_kernels_get_aligned_elements():
    unaligned = np.zeros(25, np.uint8)[1:].view(np.float64)
    assert not unaligned.flags.aligned
    assert readable(unaligned, np.float64).flags.aligned


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


def test_alpha_per_column():
    y, z, w = sample(20, columns=2)
    alphas = (0.2, 0.9)
    together = FocalLoss(alpha=alphas).gradient_hessian(y, z, w)
    for column, alpha in enumerate(alphas):
        alone = FocalLoss(alpha=alpha).gradient_hessian(y[:, column], z[:, column], w)
        for whole, part in zip(together, alone, strict=True):
            np.testing.assert_array_equal(whole[:, column], part)


# ---- mathematics ----


def test_sample_weights_multiply(loss):
    y, z, w = sample()
    np.testing.assert_allclose(loss.value(y, z, w), w * loss.value(y, z), rtol=1e-14)
    for weighted, bare in zip(loss.gradient_hessian(y, z, w), loss.gradient_hessian(y, z), strict=True):
        np.testing.assert_allclose(weighted, w * bare, rtol=1e-14)


def test_cross_entropy_is_the_logistic_loss():
    y, z, _ = sample()
    for loss in (FocalLoss(0), BalancedCrossEntropy(None), PowerCrossEntropy(1), AsymmetricLoss(0, 0, 0)):
        np.testing.assert_allclose(loss.value(y, z), np.logaddexp(0, z) - y * z, rtol=1e-12)
        for kind in ("fisher", "exact"):
            gradient, hessian = loss.gradient_hessian(y, z, hessian=kind)
            np.testing.assert_allclose(gradient, expit(z) - y, rtol=1e-12)
            np.testing.assert_allclose(hessian, expit(z) * expit(-z), rtol=1e-12)
        np.testing.assert_allclose(loss.posterior(z), expit(z), rtol=1e-14)


def test_posterior_of_known_losses():
    z = np.linspace(-20, 20, 101)
    np.testing.assert_allclose(PowerCrossEntropy(2.5).posterior(z), expit(z) ** 2.5, rtol=1e-13)
    # Weights alpha and 1 - alpha shift the logit by their logit.
    np.testing.assert_allclose(BalancedCrossEntropy(0.9).posterior(z), expit(z - logit(0.9)), rtol=1e-13)


@pytest.mark.parametrize("eta", [1e-6, 0.003, 0.2, 0.5, 0.9])
def test_posterior_is_where_the_expected_loss_is_smallest(loss, eta):
    z = loss.intercept([0, 1], [1 - eta, eta])
    below, above = loss.posterior([z - 1e-9, z + 1e-9])
    assert below < eta < above

    def expected_gradient(margin):
        on_0, on_1 = (loss.gradient_hessian([label], [margin])[0][0] for label in (0, 1))
        return eta * on_1 + (1 - eta) * on_0

    for distance in (1e-8, 1e-4, 0.1, 2, 10):
        assert expected_gradient(z - distance) < 0 < expected_gradient(z + distance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_posterior_increases_inside_the_unit_interval(loss, dtype):
    z = np.linspace(-11, 11, 4001).astype(dtype)
    posterior = loss.posterior(z)
    steps = np.diff(posterior)
    assert np.all(posterior > 0)
    assert np.all(posterior <= 1)
    # Near 1 neighbours may round to one number; where they are far from it they may not.
    assert np.all(steps >= -4 * np.finfo(dtype).eps)
    assert np.all(steps[posterior[1:] < 0.99] > 0)


def test_posterior_in_the_dead_zone_has_a_finite_logit():
    loss = AsymmetricLoss()
    for dtype in (np.float32, np.float64):
        z = np.concatenate([np.linspace(-40, -3, 500), logit(0.05) + np.logspace(-9, -1, 50)]).astype(dtype)
        odds = logit(loss.posterior(z).astype(float))
        assert np.all(np.isfinite(odds))
        assert np.all(np.diff(odds[:500]) > 0)
        assert np.all(np.diff(odds[500:]) >= 0)


@given(
    st.floats(-50, 50),
    st.sampled_from([0, 1]),
    st.floats(0, 10),
    st.floats(0, 10),
    st.floats(0, 0.999),
    st.one_of(st.none(), st.floats(0.001, 0.999)),
)
def test_fisher_hessian_is_never_negative(z, y, gamma_pos, gamma_neg, clip, alpha):
    if 0 < clip < 1e-9:
        clip = 0
    losses = (FocalLoss(gamma_pos, alpha), AsymmetricLoss(gamma_pos, gamma_neg, clip, alpha))
    for loss in (*losses, PowerCrossEntropy(gamma_pos + 0.01, alpha)):
        for dtype in (np.float32, np.float64):
            margin = np.array([z], dtype)
            gradient, hessian = loss.gradient_hessian([y], margin)
            assert hessian[0] >= 0
            bounded = loss.gradient_hessian([y], margin, max_step=2)[1][0]
            assert bounded > 0
            assert abs(gradient[0]) <= 2 * bounded * (1 + 1e-6)


def test_fisher_hessian_is_the_expectation_of_the_exact_one(loss):
    z = np.linspace(-6, 6, 41)
    eta = loss.posterior(z)
    exact = [loss.gradient_hessian(np.full(z.shape, label), z, hessian="exact")[1] for label in (0, 1)]
    fisher = loss.gradient_hessian(np.ones(z.shape), z)[1]
    np.testing.assert_array_equal(fisher, loss.gradient_hessian(np.zeros(z.shape), z)[1])
    scale = eta * np.abs(exact[1]) + (1 - eta) * np.abs(exact[0])
    # Not in the dead zone, where the posterior is a continuation, nor where 1 - eta has lost its digits.
    sound = (loss.gradient_hessian(np.zeros(z.shape), z)[0] > 1e-6) & (eta < 0.999)
    expectation = eta * exact[1] + (1 - eta) * exact[0]
    assert np.all(np.abs(expectation - fisher)[sound] <= 1e-11 * scale[sound])


@pytest.mark.parametrize("kind", ["fisher", "exact"])
def test_max_step_bounds_newton_steps(loss, kind):
    y, z, w = sample()
    gradient, bare = loss.gradient_hessian(y, z, w, hessian=kind)
    same, bounded = loss.gradient_hessian(y, z, w, hessian=kind, max_step=0.5)
    np.testing.assert_array_equal(gradient, same)
    tiny = np.finfo(float).tiny
    np.testing.assert_allclose(bounded, np.maximum(bare, np.abs(gradient) / 0.5 + tiny), rtol=1e-15)
    positive = loss.gradient_hessian(y, z, w, hessian=kind, max_step=np.inf)[1]
    np.testing.assert_array_equal(positive, np.maximum(bare, tiny))
    if kind == "exact" and loss.get_params().get("gamma", 0) > 0:
        assert bare.min() < 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_finite_margins_of_any_size_give_finite_results(loss, dtype):
    largest = np.finfo(dtype).max
    z = np.array([0, 1e4, 1e10, 1e30, largest / 2, largest], dtype)
    z = np.concatenate([z, -z])
    for label in (0, 1):
        y = np.full(z.shape, label)
        results = [loss.value(y, z), loss.posterior(z)]
        for kind in ("fisher", "exact"):
            for max_step in (None, 2, np.inf):
                results += loss.gradient_hessian(y, z, hessian=kind, max_step=max_step)
        assert all(np.all(np.isfinite(r)) for r in results)


def test_gradient_is_the_slope_of_the_value(loss):
    z = np.linspace(-5, 5, 31) + 0.01
    for label in (0, 1):
        y = np.full(z.shape, label)
        slope = (loss.value(y, z + 1e-6) - loss.value(y, z - 1e-6)) / 2e-6
        np.testing.assert_allclose(loss.gradient_hessian(y, z)[0], slope, atol=1e-8)


# ---- alpha, intercept, normalizer ----


def test_balanced_alpha():
    y = np.array([1, 0, 0, 0])
    assert BalancedCrossEntropy().resolve(y).alpha == 0.75
    assert BalancedCrossEntropy().resolve(y, [3, 1, 1, 1]).alpha == 0.5
    assert BalancedCrossEntropy().resolve(np.column_stack([y, 1 - y])).alpha == (0.75, 0.25)


def test_effective_alpha():
    y = np.array([1] * 10 + [0] * 990)
    beta = 0.999
    effective = [(1 - beta**n) / (1 - beta) for n in (10, 990)]
    alpha = FocalLoss(alpha="effective", beta=beta).resolve(y).alpha
    np.testing.assert_allclose(alpha / (1 - alpha), effective[1] / effective[0])


def test_resolve_leaves_the_loss_alone_and_keeps_numbers():
    loss = FocalLoss(3, alpha="balanced")
    assert loss.resolve([0, 1, 1]).get_params() == {"gamma": 3, "alpha": pytest.approx(1 / 3), "beta": 0.9999}
    assert loss.alpha == "balanced"
    for alpha in (None, 0.3):
        assert FocalLoss(alpha=alpha).resolve([0, 1]).alpha == alpha


def test_intercept_is_the_best_constant(loss):
    y, _, w = sample(500)
    base_rate = np.average(y, weights=w)
    z = loss.intercept(y, w)
    assert isinstance(z, float)
    np.testing.assert_allclose(loss.posterior([z]), base_rate, rtol=1e-10)
    total = [loss.value(y, np.full(y.shape, z + d), w).sum() for d in (-0.01, 0, 0.01)]
    assert total[1] == min(total)


def test_intercept_per_column(loss):
    y, _, w = sample(100, columns=3)
    z = loss.intercept(y, w)
    assert z.shape == (3,)
    np.testing.assert_allclose(z, [loss.intercept(y[:, column], w) for column in range(3)], atol=1e-10)


def test_intercept_undoes_balancing():
    y = np.array([1] + [0] * 99)
    np.testing.assert_allclose(BalancedCrossEntropy().intercept(y), 0, atol=1e-10)
    np.testing.assert_allclose(BalancedCrossEntropy(None).intercept(y), logit(0.01))


def test_intercept_at_the_jump_of_the_posterior():
    # With gamma_neg 0 negatives start to count abruptly at the edge of the dead zone, so the posterior jumps
    # there; for a base rate within the jump the edge itself is the best constant.
    loss, y = AsymmetricLoss(0, 0, 0.2), np.array([1] + [0] * 99)
    z = loss.intercept(y)
    np.testing.assert_allclose(z, logit(0.2), atol=1e-10)
    total = [loss.value(y, np.full(100, z + d)).sum() for d in (-0.01, 0, 0.01)]
    assert total[1] == min(total)


def test_intercept_out_of_reach_is_an_error():
    # With gamma_pos 0 the posterior stays below 1, here below 0.98.
    with pytest.raises(ValueError, match="no finite margin"):
        AsymmetricLoss(0, 0, 0.02).intercept(np.array([0] + [1] * 999))


# ---- scikit-learn and persistence ----


def test_clone_pickle_repr_and_json(loss):
    y, z, w = sample()
    expected = loss.value(y, z, w)
    again = Loss.from_json(loss.to_json())
    for copied in (clone(loss), copy.deepcopy(loss), pickle.loads(pickle.dumps(loss)), again, eval(repr(loss))):
        assert type(copied) is type(loss)
        assert copied.get_params() == loss.get_params()
        np.testing.assert_array_equal(copied.value(y, z, w), expected)


def test_set_params_changes_the_result():
    y, z, _ = sample()
    loss = FocalLoss(2)
    before = loss.value(y, z)
    after = loss.set_params(gamma=1).value(y, z)
    assert not np.array_equal(before, after)
    np.testing.assert_array_equal(after, FocalLoss(1).value(y, z))


def test_json_of_alpha_per_column():
    loss = FocalLoss(alpha=(0.25, 0.5))
    assert Loss.from_json(loss.to_json()).alpha == (0.25, 0.5)


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "{}", '{"loss": "FocalLoss"}', '{"loss": 3, "parameters": 4}'])
def test_json_that_is_not_a_loss(text):
    with pytest.raises(ValueError, match="JSON description"):
        Loss.from_json(text)


def test_json_of_an_unknown_loss():
    with pytest.raises(ValueError, match="'os'"):
        Loss.from_json(json.dumps({"loss": "os", "parameters": {}}))
    with pytest.raises(ValueError, match="sigma"):
        Loss.from_json(json.dumps({"loss": "FocalLoss", "parameters": {"sigma": 1}}))


# ---- a loss of one's own ----


@pytest.mark.parametrize("alpha", [None, 0.8, "balanced"])
@pytest.mark.parametrize("columns", [None, 2])
def test_own_loss_equals_the_built_in_one(alpha, columns):
    y, z, w = sample(columns=columns)
    own, built_in = (kind(2.0, alpha).resolve(y, w) for kind in (NumpyFocalLoss, FocalLoss))
    assert own.alpha == built_in.alpha
    np.testing.assert_allclose(own.value(y, z, w), built_in.value(y, z, w), rtol=1e-10)
    np.testing.assert_allclose(own.posterior(z), built_in.posterior(z), rtol=1e-10)
    np.testing.assert_allclose(own.intercept(y, w), built_in.intercept(y, w), atol=1e-10)
    for kind in ("fisher", "exact"):
        for max_step in (None, 2.0):
            pairs = (x.gradient_hessian(y, z, w, hessian=kind, max_step=max_step) for x in (own, built_in))
            for own_array, built_in_array in zip(*pairs, strict=True):
                np.testing.assert_allclose(own_array, built_in_array, rtol=1e-9, atol=1e-12)
    assert own.value(y.astype("f4"), z.astype("f4")).dtype == np.float32


def test_own_loss_that_is_wrong_is_told_so():
    class Broken(NumpyFocalLoss):
        def partial_values(self, margin):
            return margin[:1], margin[:1]

        def partial_gradients(self, margin):
            return np.full_like(margin, np.nan), margin

    with pytest.raises(ValueError, match=r"Broken.partial_values must return two arrays of the shape \(3,\)"):
        Broken().value([0, 1, 0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"Broken.partial_gradients returned .*nan.* at margin .*1\.0"):
        Broken().posterior([1.0, 2.0])
    with pytest.raises(NotImplementedError, match="partial_values"):
        Loss().value([0], [1.0])


def test_own_loss_without_alpha():
    class Square(Loss):
        def partial_values(self, margin):
            return (margin - 1) ** 2, (margin + 1) ** 2

        def partial_gradients(self, margin):
            return 2 * (margin - 1), 2 * (margin + 1)

        def partial_hessians(self, margin):
            return np.full_like(margin, 2), np.full_like(margin, 2)

    np.testing.assert_allclose(Square().intercept([0, 0, 0, 1]), -0.5)


def test_json_finds_the_latest_definition_and_tells_built_in_from_own():
    def define(factor):
        class FocalLoss(NumpyFocalLoss):
            version = factor

        return FocalLoss

    kept = [define(1), define(2)]  # as when a notebook's cell runs twice
    assert Loss.from_json(kept[0]().to_json()).version == 2
    assert type(Loss.from_json(FocalLoss().to_json())) is FocalLoss


def test_numpy_parameters_survive_json():
    loss = Loss.from_json(FocalLoss(np.int64(3), alpha=np.array([0.25, 0.5])).to_json())
    assert loss.get_params() == {"gamma": 3, "alpha": (0.25, 0.5), "beta": 0.9999}


def test_link_stays_inside_the_unit_interval():
    posterior = np.array([0, 1e-30, 0.5, 1 - 2**-24, 1], np.float32)
    for shift in np.linspace(-5, 5, 201):
        shifted = _shifted(posterior, shift)
        assert shifted[0] == 0
        assert shifted[-1] == 1
        assert np.all(np.diff(shifted) >= 0)
    np.testing.assert_allclose(_shifted(np.array([0.2]), 1.5), expit(logit(0.2) + 1.5), rtol=1e-14)


def test_link_that_cannot_reach_the_base_rate_warns():
    margin = np.repeat([-200.0, 200.0], [980, 20]).astype(np.float32)
    totals = ClassTotals.of(np.repeat([0, 1], [990, 10]))
    with pytest.warns(RuntimeWarning, match="bare posterior"):
        assert Link.fitted(FocalLoss(), totals, margin, None).shift == (0.0,)


def test_loss_too_flat_to_normalize():
    with pytest.raises(ValueError, match="normalize=False"):
        FocalLoss(500).normalizers(ClassTotals.of([1] + [0] * 99))


# ---- bad input: the error holds the offending value ----


@pytest.mark.parametrize(
    ("y", "z", "w", "error", "message"),
    [
        ([0, 2], [0, 1], None, ValueError, r"y_true\[1\] is 2"),
        ([0, -1], [0, 1], None, ValueError, r"y_true\[1\] is -1"),
        ([0, 0.5], [0, 1], None, ValueError, r"y_true\[1\] is 0.5"),
        ([np.nan, 1], [0, 1], None, ValueError, r"y_true\[0\] is nan"),
        ([0, 1], [0, np.nan], None, ValueError, r"margin\[1\] is nan"),
        ([0, 1], [-np.inf, 1], None, ValueError, r"margin\[0\] is -inf"),
        ([0, 1], [0, 1], [1, -2], ValueError, r"sample_weight\[1\] is -2"),
        ([0, 1], [0, 1], [np.nan, 1], ValueError, r"sample_weight\[0\] is nan"),
        ([0, 1], [0, 1], [np.inf, 1], ValueError, r"sample_weight\[0\] is inf"),
        ([0, 1], [0, 1], [0, 0], ValueError, "sample_weight is 0 in all 2 rows"),
        ([0, 1], [0, 1], [1, 1, 1], ValueError, r"sample_weight has shape \(3,\)"),
        ([0, 1, 1], [0, 1], None, ValueError, r"\(3,\) and margin \(2,\)"),
        ([[0, 1]], [0, 1], None, ValueError, r"\(1, 2\) and margin \(2,\)"),
        (0, 1, None, ValueError, r"y_true has shape \(\)"),
        ([[[0]]], [[[1]]], None, ValueError, r"y_true has shape \(1, 1, 1\)"),
        (["0", "1"], [0, 1], None, TypeError, "y_true is an array of <U1, for instance .*'0'"),
        ([0, 1], [1j, 0], None, TypeError, "margin is an array of complex128"),
        ([0, 1], ["a", "b"], None, TypeError, "margin is an array of <U1"),
        ([0, None], [0, 1], None, ValueError, r"y_true\[1\] is nan"),
        ([0, "x"], [0, 1], None, TypeError, "y_true is an array of"),
        ([0, 1], np.zeros(2, np.longdouble), None, TypeError, "margin is an array of .*128"),
    ],
)
def test_bad_arrays(loss, y, z, w, error, message):
    with pytest.raises(error, match=message):
        loss.value(y, z, w)
    with pytest.raises(error, match=message):
        loss.gradient_hessian(y, z, w)


def test_finite_in_float64_but_not_in_float32():
    with pytest.raises(ValueError, match="beyond the range of float32"):
        FocalLoss().value([0, 1], np.zeros(2, np.float32), [1e39, 1.0])


def test_bad_row_in_any_block_is_found(loss):
    for row in (0, 511, 512, 1200, 1499):
        y, z, w = sample(1500, np.float32)
        z[row] = np.nan
        with pytest.raises(ValueError, match=rf"margin\[{row}\] is nan"):
            loss.gradient_hessian(y, z, w)
        with pytest.raises(ValueError, match=rf"margin\[{row}\] is nan"):
            loss.posterior(z)


@pytest.mark.parametrize("method", ["resolve", "intercept"])
@pytest.mark.parametrize(
    ("y", "w", "message"),
    [
        ([0, 0], None, "single class.*label 0"),
        ([1, 1], None, "single class.*label 1"),
        ([0, 1], [1, 0], "single class.*label 0"),
        ([[0, 1], [1, 1]], None, "single class in column 1"),
        ([], None, "no rows"),
        ([0, 3], None, "class 1 of the 4 classes"),
        ([0, 1.5, 2], None, r"y_true\[1\] is 1.5"),
        ([0, -1, 2], None, r"y_true\[1\] is -1"),
    ],
)
def test_labels_without_a_base_rate(method, y, w, message):
    with pytest.raises(ValueError, match=message):
        getattr(BalancedCrossEntropy(), method)(np.array(y), w)


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (FocalLoss(-1), ValueError, "gamma=-1 "),
        (FocalLoss(np.nan), ValueError, "gamma=nan"),
        (FocalLoss(np.inf), ValueError, "gamma=inf"),
        (FocalLoss("2"), TypeError, "gamma='2'"),
        (FocalLoss(None), TypeError, "gamma=None"),
        (FocalLoss(True), TypeError, "gamma=True"),
        (FocalLoss(alpha=0), ValueError, "alpha=0 "),
        (FocalLoss(alpha=1.0), ValueError, "alpha=1.0 "),
        (FocalLoss(alpha=-0.2), ValueError, "alpha=-0.2 "),
        (FocalLoss(alpha=(0.5, 1.5)), ValueError, "alpha=1.5 "),
        (FocalLoss(alpha=(0.5, 0.5)), ValueError, "alpha has 2 numbers, but there are 1"),
        (FocalLoss(alpha="balanced"), ValueError, "resolve"),
        (AsymmetricLoss(gamma_pos=-0.1), ValueError, "gamma_pos=-0.1"),
        (AsymmetricLoss(gamma_neg=-3), ValueError, "gamma_neg=-3"),
        (AsymmetricLoss(clip=1), ValueError, "clip=1 "),
        (AsymmetricLoss(clip=-0.05), ValueError, "clip=-0.05"),
        (AsymmetricLoss(clip=1e-40), ValueError, "clip=1e-40"),
        (PowerCrossEntropy(0), ValueError, "power=0 "),
        (PowerCrossEntropy(-2), ValueError, "power=-2 "),
    ],
)
def test_bad_parameters(loss, error, message):
    with pytest.raises(error, match=message):
        loss.value([0, 1], [0.0, 1.0])
    with pytest.raises(error, match=message):
        loss.posterior([0.0, 1.0])


def test_bad_words():
    with pytest.raises(ValueError, match="alpha='heavy'"):
        FocalLoss(alpha="heavy").resolve([0, 1])
    with pytest.raises(ValueError, match=r"beta=1\.5"):
        FocalLoss(alpha="effective", beta=1.5).resolve([0, 1])
    with pytest.raises(ValueError, match="hessian='newton'"):
        FocalLoss().gradient_hessian([0, 1], [0.0, 1.0], hessian="newton")
    with pytest.raises(ValueError, match="max_step=0 "):
        FocalLoss().gradient_hessian([0, 1], [0.0, 1.0], max_step=0)
