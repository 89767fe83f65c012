"""Base rates: probabilities taken to another population, and the rates of a sample without labels."""

import warnings

import mpmath
import numpy as np
import pandas as pd
import pytest
from devices import assert_same
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit, softmax

from gbm_focal.base_rates import adapt, estimate

# Both ends, where differences cancel, and what float32 still tells from them.
PROBABILITIES = [0.0, 1e-300, 1e-30, 3e-12, 0.02, 0.5, 0.7, 1 - 2**-20, 1 - 2**-53, 1.0]
RATES = [(0.02, 0.002), (0.5, 1e-9), (1e-12, 0.5), (0.3, 0.3), (0.001, 1 - 1e-9)]


def exactly(p, trained, used):
    """Bayes' rule in 60 digits: the probabilities of all classes of one row."""
    with mpmath.workdps(60):
        odds = [mpmath.mpf(q) * mpmath.mpf(u) / mpmath.mpf(t) for q, t, u in zip(p, trained, used, strict=True)]
        return [float(one / mpmath.fsum(odds)) for one in odds]


def both(rate):
    with mpmath.workdps(60):
        return [1 - mpmath.mpf(rate), mpmath.mpf(rate)]


@pytest.mark.parametrize(("trained", "used"), RATES)
def test_two_classes_are_adapted_exactly(trained, used):
    p = np.array(PROBABILITIES)
    expected = [exactly(both(one), both(trained), both(used))[1] for one in p]
    adapted = adapt(p, trained, used)
    np.testing.assert_allclose(adapted, expected, rtol=1e-14, atol=1e-305)
    # Of both columns each keeps all its digits, also beside the other's 1.
    columns = np.array([[1, 1e-30], [0.6, 0.4], [3e-12, 1], [1e-200, 1], [0, 1]])
    expected = [exactly(row, [1 - trained, trained], [1 - used, used]) for row in columns]
    for rates in ((trained, used), ({"a": 1 - trained, "b": trained}, {"b": used, "a": 1 - used})):
        np.testing.assert_allclose(adapt(columns, *rates), expected, rtol=1e-14)
    single = p.astype(np.float32)
    expected = [exactly(both(float(one)), both(trained), both(used))[1] for one in single]
    adapted = adapt(single, trained, used)
    assert adapted.dtype == np.float32
    np.testing.assert_allclose(adapted, expected, rtol=1.2e-7, atol=1e-44)


def test_classes_and_labels_are_adapted_exactly():
    random = np.random.default_rng(0)
    p = softmax(random.normal(scale=15, size=(50, 4)), axis=1)
    trained, used = [0.9, 0.09, 0.0099, 0.0001], [0.25, 0.6, 0.15 - 1e-7, 1e-7]
    expected = [exactly(row, trained, used) for row in p]
    np.testing.assert_allclose(adapt(p, trained, used), expected, rtol=1e-14)
    assert adapt(p.astype(np.float32), trained, used).dtype == np.float32
    labels = expit(random.normal(scale=10, size=(50, 3)))
    trained, used = [0.1, 0.02, 0.5], [0.2, 0.002, 0.1]
    by_column = [adapt(labels[:, c], trained[c], used[c]) for c in range(3)]
    np.testing.assert_array_equal(adapt(labels, trained, used), np.column_stack(by_column))


def test_it_is_bayes_rule_of_the_other_population():
    likelihood = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.3, 0.4, 0.3]])  # of three outcomes in each class

    def posterior(rates):
        joint = likelihood * np.array(rates)[:, np.newaxis]
        return (joint / joint.sum(axis=0)).T

    here, there = [0.2, 0.5, 0.3], [0.6, 0.1, 0.3]
    np.testing.assert_allclose(adapt(posterior(here), here, there), posterior(there), rtol=1e-14)
    np.testing.assert_allclose(adapt(adapt(posterior(here), here, there), there, here), posterior(here), rtol=1e-14)
    np.testing.assert_array_equal(adapt([0.2, 0.9], 0.1, 0.1), [0.2, 0.9])


def test_a_dict_goes_by_sorted_labels_as_classes_do():
    p = [[0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1], [0.9, 0.1, 0]]
    for labels in (("fraud", "ok", "unclear"), (2, 10, 30)):
        trained, used = dict(zip(labels, [0.2, 0.5, 0.3], strict=True)), dict(zip(labels, [0.1, 0.1, 0.8], strict=True))
        shuffled = {label: used[label] for label in (labels[2], labels[0], labels[1])}
        np.testing.assert_array_equal(adapt(p, trained, shuffled), adapt(p, [0.2, 0.5, 0.3], [0.1, 0.1, 0.8]))
        assert list(estimate(p, trained)) == list(labels)
        np.testing.assert_array_equal(list(estimate(p, trained).values()), estimate(p, [0.2, 0.5, 0.3]))
    columns = [[0.8, 0.2], [0.1, 0.9]]
    assert estimate(columns, {"no": 0.4, "yes": 0.6})["yes"] == pytest.approx(estimate([0.2, 0.9], 0.6), rel=1e-14)
    assert estimate(columns, 0.6) == pytest.approx(estimate([0.2, 0.9], 0.6), rel=1e-14)


def test_columns_with_names_go_by_them():
    rates = {"fraud": 0.2, "ok": 0.5, "unclear": 0.3}
    used = {"fraud": 0.1, "ok": 0.1, "unclear": 0.8}
    p = pd.DataFrame([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1], [0.9, 0.1, 0]], columns=list(rates))
    other = p[["ok", "unclear", "fraud"]]
    np.testing.assert_allclose(adapt(other, rates, used), adapt(p, rates, used)[:, [1, 2, 0]], rtol=1e-14)
    assert estimate(other, rates) == pytest.approx(estimate(p, rates), rel=1e-9)
    unnamed = p.set_axis(range(3), axis=1)
    np.testing.assert_array_equal(adapt(unnamed, rates, used), adapt(p, rates, used))
    of_numbers = p.set_axis([2, 0, 1], axis=1)
    assert estimate(of_numbers, dict(enumerate([0.5, 0.3, 0.2]))) == pytest.approx(
        dict(zip([2, 0, 1], estimate(p, rates).values(), strict=True)), rel=1e-9
    )
    for function, given in ((adapt, (rates, used)), (estimate, (rates,))):
        with pytest.raises(ValueError, match=r"have columns \['a', 'b', 'c'\], and trained is a dict of \['fraud'"):
            function(p.set_axis(["a", "b", "c"], axis=1), *given)


# ---- estimates ----


def sample_of_two(rows, trained, used, separation, seed):
    """Probabilities, right at the base rate `trained`, of a sample of the population with the rate `used`."""
    random = np.random.default_rng(seed)
    positive = random.random(rows) < used
    x = random.normal(size=rows) + separation * positive
    return expit(logit(trained) + separation * x - separation**2 / 2)


def sample_of_classes(rows, trained, used, scale, seed):
    random = np.random.default_rng(seed)
    y = random.choice(len(used), size=rows, p=used)
    centers = scale * random.normal(size=(len(used), 2))
    x = centers[y] + random.normal(size=(rows, 2))
    return softmax(np.log(trained) - ((x[:, np.newaxis] - centers) ** 2).sum(axis=2) / 2, axis=1)


@pytest.mark.parametrize(
    ("trained", "used", "separation"),
    [(0.02, 0.08, 2), (0.02, 0.005, 2), (0.5, 0.001, 3), (1e-5, 0.4, 4), (0.3, 0.3, 0.3), (0.1, 0.99, 8)],
)
def test_two_classes_are_estimated_by_maximum_likelihood(trained, used, separation):
    p = sample_of_two(20_000, trained, used, separation, 0)
    positive, negative = p / trained, (1 - p) / (1 - trained)

    def minus_likelihood(log_odds):
        return -np.mean(np.log(positive * expit(log_odds) + negative * expit(-log_odds)))

    best = minimize_scalar(minus_likelihood, bounds=(-20, 20), method="bounded", options={"xatol": 1e-9})
    found = estimate(p, trained)
    np.testing.assert_allclose(found, expit(best.x), rtol=1e-5)  # which is as near as values of a function can bring
    assert minus_likelihood(logit(found)) <= best.fun + 1e-15
    mean_of_adapted = adapt(p, trained, found).mean()  # what expectation maximisation stops at
    np.testing.assert_allclose(mean_of_adapted, found, rtol=1e-9)
    assert abs(logit(found) - logit(used)) < 0.7
    assert estimate(p.astype(np.float32), trained) == pytest.approx(found, rel=1e-4)


@pytest.mark.parametrize("scale", [0.3, 1.5, 6])
def test_classes_are_estimated_by_maximum_likelihood(scale):
    trained, used = np.array([0.7, 0.2, 0.09, 0.01]), np.array([0.3, 0.3, 0.2, 0.2])
    p = sample_of_classes(2000, trained, used, scale, 1)
    found = estimate(p, trained)
    # Of a concave function on the simplex: no direction to a corner leads uphill, and it is flat to those in use.
    ratio = p / trained
    uphill = (ratio / (ratio @ found)[:, np.newaxis]).mean(axis=0) - 1
    assert uphill.max() < 1e-9
    np.testing.assert_allclose(uphill[found > 0], 0, atol=1e-9)
    assert found.sum() == pytest.approx(1, rel=1e-14)
    if scale > 1:  # below, Saerens' own iteration is on its way for tens of thousands of steps
        rates = trained
        for _ in range(2000):
            rates = adapt(p, trained, rates).mean(axis=0)
        np.testing.assert_allclose(found, rates, atol=1e-9)
        np.testing.assert_allclose(found, used, atol=0.06)


def test_labels_are_estimated_one_by_one():
    trained, used = [0.02, 0.3, 0.1], [0.1, 0.1, 0.1]
    p = np.column_stack([sample_of_two(3000, t, u, 2, c) for c, (t, u) in enumerate(zip(trained, used, strict=True))])
    found = estimate(p, trained)
    assert found.tolist() == [estimate(p[:, c], trained[c]) for c in range(3)]


def test_a_class_that_the_sample_does_not_have():
    with pytest.warns(RuntimeWarning, match="rate of the positive class is 0: the sample looks most like one without"):
        assert estimate([1e-9, 2e-4, 1e-3], 0.01) == 0
    with pytest.warns(RuntimeWarning, match="rate of the negative class is 0"):
        assert estimate([0.99, 0.999], 0.01) == 1
    with pytest.warns(RuntimeWarning, match="rate of the negative class is 0"):
        assert estimate([1.0, 1.0], 0.01) == 1
    with pytest.warns(RuntimeWarning, match="rate of class 'b' and class 'c' is 0"):
        found = estimate([[0.9, 0.1, 0], [0.95, 0.02, 0.03]], {"a": 0.5, "b": 0.25, "c": 0.25})
    assert found == {"a": 1, "b": 0, "c": 0}
    with pytest.warns(RuntimeWarning, match="rate of label 1 in column 1 is 0"):
        estimate([[0.1, 1e-5], [0.9, 1e-6]], [0.3, 0.3])
    with pytest.raises(ValueError, match="all rows of probabilities are alike, so they say nothing"):
        estimate(np.full(100, 0.02, np.float32), 0.02)
    with pytest.raises(ValueError, match="all rows of column 1 of probabilities are alike"):
        estimate([[0.1, 0.2], [0.9, 0.2]], [0.3, 0.3])
    with pytest.raises(ValueError, match="probabilities has no rows"):
        estimate(np.empty(0), 0.02)
    assert adapt(np.empty((0, 3)), [0.2, 0.3, 0.5], [0.4, 0.3, 0.3]).shape == (0, 3)


def test_estimates_never_end_in_nothing():
    # Rows and rates of all sizes; what is no number, or raises, would be an error here.
    random = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the estimated rate", RuntimeWarning)
        for seed in range(150):
            trained, used = expit(random.uniform(-14, 4, 2))
            rows, separation = int(10 ** random.uniform(0.5, 3)), 10 ** random.uniform(-2, 1.3)
            p = sample_of_two(rows, trained, used, separation, seed)
            found = estimate(p, trained)
            ratio = np.column_stack([(1 - p) / (1 - trained), p / trained])
            uphill = (ratio / (ratio @ [1 - found, found])[:, np.newaxis]).mean(axis=0) - 1
            assert uphill.max() < 1e-8, (seed, found)
            of_five = softmax(random.normal(scale=2, size=(2, 5)), axis=1)
            p = sample_of_classes(rows, *of_five, separation, seed)
            found = estimate(p, of_five[0])
            ratio = p / of_five[0]
            assert ((ratio / (ratio @ found)[:, np.newaxis]).mean(axis=0) - 1).max() < 1e-8, (seed, found)


# ---- where the probabilities lie ----


def test_dask_arrays_stay_lazy():
    dask = pytest.importorskip("dask")
    da = pytest.importorskip("dask.array")
    two = sample_of_two(1000, 0.02, 0.1, 2, 0).astype(np.float32)
    classes = sample_of_classes(1000, [0.2, 0.5, 0.3], [0.5, 0.2, 0.3], 2, 0)
    labels = np.column_stack([two, two[::-1]]).astype(float)
    cases = [
        (two, 0.02, 0.1),
        (np.column_stack([1 - two, two]), 0.02, 0.1),
        (classes, {"a": 0.2, "b": 0.5, "c": 0.3}, {"a": 0.5, "b": 0.3, "c": 0.2}),
        (labels, [0.02, 0.02], [0.1, 0.5]),
    ]

    def never(*_, **__):
        raise AssertionError("computed")

    for p, trained, used in cases:
        collection = da.from_array(p, chunks=(300, *p.shape[1:]))
        collection = collection[collection.reshape(1000, -1)[:, 0] > -1]  # whose chunks Dask does not know
        with dask.config.set(scheduler=never):
            adapted = adapt(collection, trained, used)
        assert isinstance(adapted, da.Array)
        assert adapted.dtype == p.dtype
        with dask.config.set(scheduler="synchronous"):
            np.testing.assert_array_equal(adapted.compute(), adapt(p, trained, used))
            in_parts, whole = estimate(collection, trained), estimate(p, trained)
        if isinstance(whole, dict):
            assert list(in_parts) == list(whole)
            in_parts, whole = list(in_parts.values()), list(whole.values())
        np.testing.assert_allclose(in_parts, whole, rtol=1e-8)
    with pytest.raises(ValueError, match=r"\[0\] is nan"), dask.config.set(scheduler="synchronous"):
        adapt(da.from_array(np.array([np.nan, 0.5])), 0.1, 0.2).compute()
    with pytest.raises(ValueError, match=r"chunks of whole rows, by \.rechunk"):
        adapt(da.from_array(classes, chunks=(300, 1)), [0.2, 0.5, 0.3], [0.5, 0.2, 0.3])
    series = pytest.importorskip("dask.dataframe").from_pandas(pd.Series(two), npartitions=2)
    with pytest.raises(TypeError, match=r"give a Dask array, for instance by \.to_dask_array"):
        adapt(series, 0.02, 0.1)


def test_arrays_of_a_device_stay_there(cupy):
    two = sample_of_two(500, 0.02, 0.1, 2, 0)
    labels = np.column_stack([two, two[::-1], two])
    classes = sample_of_classes(500, [0.2, 0.5, 0.3], [0.5, 0.2, 0.3], 2, 0)
    cases = [
        (two, 0.02, 0.1),
        (two.astype(np.float32), 0.02, 0.1),
        (classes, [0.2, 0.5, 0.3], [0.5, 0.3, 0.2]),
        (labels, [0.02, 0.02, 0.02], [0.1, 0.5, 0.2]),
    ]
    for p, trained, used in cases:
        there = cupy.asarray(p)
        assert_same(adapt(there, trained, used), adapt(p, trained, used), p.dtype.type)
        np.testing.assert_allclose(estimate(there, trained), estimate(p, trained), rtol=1e-8)


# ---- bad input ----

ROW = [[0.2, 0.5, 0.3]]
SUM_1 = [0.2, 0.5, 0.3]
LABELS = [[0.2, 0.5, 0.9]]


@pytest.mark.parametrize(
    ("p", "trained", "used", "message"),
    [
        ([0.2], 0, 0.1, r"trained=0 is out of range: give a number in \(0, 1\)"),
        ([0.2], 0.1, 1, "used=1 is out of range"),
        ([0.2], 0.1, -0.1, r"used=-0\.1 is out of range"),
        ([0.2], 0.1, np.nan, r"used=nan is out of range"),
        ([0.2], 0.1, 1e-20, r"used=1e-20 is too near the ends of \(0, 1\): give a number 1e-15 from them"),
        ([0.2], "0.1", 0.1, "trained='0.1' is a str"),
        ([0.2], None, 0.1, "trained=None is a NoneType"),
        ([0.2], True, 0.1, "trained=True is a bool"),
        ([0.2, 1.5], 0.1, 0.2, r"probabilities\[1\] is 1\.5: give numbers in \[0, 1\]"),
        ([0.2, -1e-9], 0.1, 0.2, r"probabilities\[1\] is -1e-09"),
        ([0.2, np.nan], 0.1, 0.2, r"probabilities\[1\] is nan"),
        (["a"], 0.1, 0.2, "probabilities is an array of"),
        ([[[0.2]]], 0.1, 0.2, r"probabilities has shape \(1, 1, 1\)"),
        ([0.2], [0.1], 0.2, r"trained is of shape \(1,\), but probabilities are \(n,\): give one number"),
        ([0.2], {0: 0.9, 1: 0.1}, {0: 0.8, 1: 0.2}, "give a column for each label, or a number"),
        (ROW, 0.1, 0.2, r"trained=0\.1 is one number, but probabilities have 3 columns"),
        (ROW, [0.5, 0.5], SUM_1, "trained has 2 numbers, but there are 3 columns"),
        (ROW, [SUM_1], SUM_1, r"of shape \(1, 3\): give one number, or one for each column"),
        (ROW, [0.2, 0.5, 0.299], SUM_1, r"trained has the sum 0\.99.*: of classes give rates with sum 1"),
        (ROW, SUM_1, [0.2, 0.2, 0.2], r"used has the sum 0\.6.*: give rates of classes with sum 1, or, for labels"),
        (LABELS, SUM_1, [0.3, 0.3, 0.4], r"row 0 of probabilities, \[0\.2, 0\.5, 0\.9\], does not have the sum 1"),
        (ROW * 10, [0.2, 0.2, 0.2], [0.1, 0.1, 0.1], "all rows of probabilities have the sum 1, but the rates"),
        (ROW, {"a": 0.5, "b": 0.5}, SUM_1, r"trained is a dict of 2 labels, but probabilities have shape \(n, 3\)"),
        (ROW, dict(zip("abc", SUM_1, strict=True)), dict(zip("abd", SUM_1, strict=True)), "give both the same labels"),
        (ROW, {"a": 0.2, 1: 0.5, "c": 0.3}, SUM_1, "cannot be sorted: give labels of one type"),
        (ROW, {"a": 0.2, "b": 0.5, "c": 0.2}, SUM_1, r"has the sum 0\.8.*give rates of classes with sum 1"),
        (ROW, pd.Series(SUM_1), SUM_1, r"trained is a Series: give trained\.to_dict\(\)"),
    ],
)
def test_bad_input(p, trained, used, message):
    with pytest.raises((ValueError, TypeError), match=message):
        adapt(p, trained, used)
    if message.startswith("trained") or "row" in message:
        with pytest.raises((ValueError, TypeError), match=message):
            estimate(p, trained)
