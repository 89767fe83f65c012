"""Thresholds that meet a bound, on the rows or, as promised, in the population."""

import functools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import rare_positives
from scipy.stats import binom, norm
from scored_rows import repeated, scored_rows
from sklearn.linear_model import LogisticRegression

from gbm_focal.metrics import threshold_at_alert_rate, threshold_at_precision, threshold_at_recall

FUNCTIONS = [threshold_at_precision, threshold_at_recall, threshold_at_alert_rate]
BOUNDS = [Fraction(1, 10), Fraction(1, 3), Fraction(1, 2), Fraction(9, 10), Fraction(1)]


# ---- on the rows ----


@given(rows=scored_rows(), bound=st.sampled_from(BOUNDS))
def test_every_threshold_is_looked_at(rows, bound):
    y, score, weight = rows
    at = {}
    for threshold in np.unique(score[weight > 0]):
        alert = score >= threshold
        hits, alerts = int(weight[alert & (y == 1)].sum()), int(weight[alert].sum())
        at[threshold] = (
            Fraction(hits, alerts),
            Fraction(hits, int(weight[y == 1].sum())),
            Fraction(alerts, int(weight.sum())),
        )
    meet = [
        [threshold for threshold, (precision, _, _) in at.items() if precision >= bound],
        [threshold for threshold, (_, recall, _) in at.items() if recall >= bound],
        [threshold for threshold, (_, _, rate) in at.items() if rate <= bound],
    ]
    for function, wanted, best in zip(FUNCTIONS, meet, (min, max, min), strict=True):
        for scale in (1, 0.1):  # of which sums round
            call = functools.partial(function, y, score, float(bound), sample_weight=weight * scale)
            if not wanted:
                with pytest.raises(ValueError, match=r"no threshold has the precision|tied at the highest score"):
                    call()
                continue
            found = call()
            if function is threshold_at_precision:  # negatives at a threshold below do not change the precision to 0
                assert at[found][1] == at[best(wanted)][1]
                assert found in wanted
            else:
                assert found == best(wanted)
            assert function(*repeated(y, score, weight), float(bound)) == found


def test_margins_names_and_base_rates():
    X, y, _, _ = rare_positives(4000)
    margin = LogisticRegression().fit(X, y).decision_function(X)
    names = np.where(y == 1, "fraud", "fair")
    threshold = threshold_at_precision(names, margin, 0.4, pos_label="fraud")
    assert y[margin >= threshold].mean() >= 0.4 > y[margin >= threshold - 0.3].mean()
    rarer = np.where(y == 1, 0.01 / y.mean(), 0.99 / (1 - y.mean()))
    for function in (threshold_at_precision, threshold_at_alert_rate):
        at_rate = function(y, margin, 0.1, base_rate=0.01)
        assert at_rate == function(y, margin, 0.1, sample_weight=rarer)
        assert at_rate != function(y, margin, 0.1)


# ---- as promised ----


class Populations:
    """Scores and labels whose true precision, recall and alert rate at any threshold are known."""

    @staticmethod
    def normal(random, n):
        y = random.random(n) < 0.1
        return y, random.normal(size=n) + 2 * y

    @staticmethod
    def precision_normal(t):
        positive, negative = 0.1 * norm.sf(t - 2), 0.9 * norm.sf(t)
        return positive / (positive + negative)

    # A score that says nothing, so that each threshold breaks the bound, as narrowly as can be.
    @staticmethod
    def noise(random, n):
        return random.random(n) < 0.5 - 1e-9, random.random(n)

    @staticmethod
    def precision_noise(t):
        return 0.5 - 1e-9

    # Few scores; the precision down to each falls to just below one half, and rises and falls again.
    SHARE = np.array([0.02, 0.02, 0.03, 0.03, 0.05, 0.05, 0.8])
    HITS = np.array([0.9, 0.8, 0.7, 0.499, 0.51, 0.49, 0.1]) * np.cumsum(SHARE)
    ETA = np.diff(HITS, prepend=0) / SHARE

    @classmethod
    def levels(cls, random, n):
        level = random.choice(len(cls.SHARE), n, p=cls.SHARE)
        return random.random(n) < cls.ETA[level], -level.astype(float)

    @classmethod
    def precision_levels(cls, t):
        alert = -np.arange(len(cls.SHARE)) >= t
        return np.average(cls.ETA[alert], weights=cls.SHARE[alert])

    # The same, with scores that lie between.
    @classmethod
    def waves(cls, random, n):
        y, score = cls.levels(random, n)
        return y, score - random.random(n)

    @classmethod
    def precision_waves(cls, t):
        alert = np.clip(-np.arange(len(cls.SHARE)) - t, 0, 1)
        return np.average(cls.ETA, weights=cls.SHARE * alert)


SAMPLES = 1000


@pytest.mark.parametrize(
    ("population", "n", "bound", "confidence", "at_least"),
    [
        ("noise", 2000, 0.5, 0.9, 0.04),
        ("normal", 400, 0.7, 0.9, 0.005),
        ("waves", 600, 0.5, 0.8, 0.01),
        # Rows tied at the highest score are above no threshold, which costs the sequences that start among them.
        ("levels", 300, 0.5, 0.9, 0.0),
        ("levels", 800, 0.5, 0.8, 0.0),
    ],
)
def test_promised_precision_holds_in_the_population(population, n, bound, confidence, at_least):
    random = np.random.default_rng(0)
    precision = getattr(Populations, f"precision_{population}")
    broken = 0
    for _ in range(SAMPLES):
        y, score = getattr(Populations, population)(random, n)
        try:
            threshold = threshold_at_precision(y, score, bound, confidence=confidence)
        except ValueError:
            continue
        broken += precision(threshold) < bound - 1e-12
    assert at_least * SAMPLES < broken <= binom.ppf(0.999, SAMPLES, 1 - confidence)


def test_the_threshold_of_the_rows_alone_breaks_its_bound_often():
    random = np.random.default_rng(0)
    samples = [Populations.normal(random, 400) for _ in range(300)]
    broken = [Populations.precision_normal(threshold_at_precision(y, score, 0.7)) < 0.7 for y, score in samples]
    assert np.mean(broken) > 0.3


@pytest.mark.parametrize("rounded", [False, True])
def test_promised_recall_and_alert_rate_hold_and_are_tight(rounded):
    random = np.random.default_rng(0)
    low = high = 0
    for _ in range(SAMPLES):
        y, score = Populations.normal(random, 500)
        score = np.round(score, 1) if rounded else score
        half = 0.05 if rounded else 0.0
        threshold = threshold_at_recall(y, score, 0.8, confidence=0.9)
        low += norm.sf(threshold - half - 2) < 0.8
        threshold = threshold_at_alert_rate(y, score, 0.05, confidence=0.9)
        threshold = np.ceil(threshold * 10) / 10 - half if rounded else threshold
        high += 0.1 * norm.sf(threshold - 2) + 0.9 * norm.sf(threshold) > 0.05
    for broken in (low, high):
        assert broken <= binom.ppf(0.999, SAMPLES, 0.1)
        assert broken > (0 if rounded else 0.05 * SAMPLES)


def test_first_alerts_that_are_wrong_do_not_end_the_search():
    score = -np.arange(5000.0)
    y = np.zeros(5000, int)
    y[20:1000:2] = 1
    y[30:400] = 1
    threshold = threshold_at_precision(y, score, 0.6, confidence=0.9)
    assert y[score >= threshold].sum() > 400


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_thresholds_are_numbers_of_the_scores_type(dtype):
    X, y, _, _ = rare_positives(4000)
    score = LogisticRegression().fit(X, y).predict_proba(X)[:, 1].astype(dtype)
    for function, bound in ((threshold_at_precision, 0.2), (threshold_at_alert_rate, 0.1)):
        threshold = function(y, score, bound, confidence=0.9)
        assert threshold == dtype(threshold)
        below = np.nextafter(dtype(threshold), dtype(-np.inf))
        assert below in score  # whose row is no alert, whichever type compares
        np.testing.assert_array_equal(score >= threshold, score.astype(np.float64) > float(below))


def test_everybody_is_alerted_where_that_is_promised():
    y = np.repeat([1, 0], [900, 100])
    score = np.random.default_rng(0).normal(size=1000)
    assert threshold_at_precision(y, score, 0.8, confidence=0.9) == -np.inf


def test_numbers_needed_are_enough_and_no_fewer_are():
    def rows(positives):
        return np.repeat([1, 0], [positives, 200]), np.arange(positives + 200)[::-1].astype(float)

    threshold_at_recall(*rows(22), 0.9, confidence=0.9)  # 0.9**22 < 0.1 < 0.9**21
    threshold_at_precision(*rows(44), 0.9, confidence=0.9)
    with pytest.raises(ValueError, match=r"of which 21 are positive, cannot promise the precision 0\.9"):
        threshold_at_precision(*rows(21), 0.9, confidence=0.9)
    with pytest.raises(
        ValueError, match=r"^21 positives cannot promise recall=0\.9 with confidence 0\.9: it takes 22;"
    ):
        threshold_at_recall(*rows(21), 0.9, confidence=0.9)
    with pytest.raises(
        ValueError, match=r"^220 rows cannot promise alert_rate=0\.01 with confidence 0\.9: it takes 230;"
    ):
        threshold_at_alert_rate(*rows(20), 0.01, confidence=0.9)


def test_refusals_say_how_many_positives_would_do():
    y, score = Populations.normal(np.random.default_rng(3), 60)
    with pytest.raises(
        ValueError, match=r"^these 60 rows, of which \d+ are positive, cannot promise .* 0\.7 with"
    ) as no:
        threshold_at_precision(y, score, 0.7, confidence=0.95)
    needed = int(str(no.value).split("about ")[1].split(" positives")[0])
    assert y.sum() < needed < 500
    for seed in range(5):
        threshold_at_precision(*Populations.normal(np.random.default_rng(seed), 30 * needed), 0.7, confidence=0.95)
    with pytest.raises(ValueError, match=r"cannot promise .* their own is 0\.5 at most; give a lower one"):
        threshold_at_precision([0, 1, 0, 1], [4, 3, 2, 1], 0.9, confidence=0.9)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: threshold_at_precision([0, 1], [1, 0], 0.9), ValueError, r"whose highest is 0\.5: give a lower one"),
        (lambda: threshold_at_precision([0, 1], [1, 0], 0), ValueError, "precision=0 is out of range"),
        (lambda: threshold_at_precision([0, 0], [1, 0], 0.5), ValueError, "y_true holds no positives"),
        (lambda: threshold_at_recall([0, 0], [1, 0], 0.5), ValueError, "y_true holds no positives"),
        (lambda: threshold_at_alert_rate([0, 1], [1, 1], 0.5), ValueError, "1 of the rows are tied at the highest"),
        (lambda: threshold_at_recall([0, 1], [1, 0], 0.5, confidence=1), ValueError, "confidence=1 is out of range"),
        (lambda: threshold_at_recall([0, 1], [1, 0], 1, confidence=0.5), ValueError, "recall=1 cannot be promised"),
        (
            lambda: threshold_at_precision([0, 1], [0, 1], 1, confidence=0.5),
            ValueError,
            "precision=1 cannot be promised",
        ),
        (
            lambda: threshold_at_precision([0, 1], [0, 1], 0.5, confidence=0.9, sample_weight=[1, 2]),
            ValueError,
            r"sample_weight beside confidence=0\.9: a promise rests on tests that count rows",
        ),
        (
            lambda: threshold_at_alert_rate([0, 1], [0, 1], 0.5, confidence=0.9, base_rate=0.1),
            ValueError,
            r"base_rate beside confidence=0\.9",
        ),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
