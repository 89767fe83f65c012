"""The metrics against their definitions, written out for a handful of rows, and in both engines."""

import functools
import itertools
import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import rare_positives
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    balanced_accuracy_score,
    cohen_kappa_score,
    make_scorer,
    precision_recall_curve,
    recall_score,
)
from sklearn.model_selection import cross_val_score

from gbm_focal import FocalClassifier, FocalLoss
from gbm_focal.metrics import (
    SCORERS,
    cost_optimal_threshold,
    expected_calibration_error,
    expected_cost,
    heidke_skill_score,
    least_cost_threshold,
    precision_at_alert_rate,
    recall_at_alert_rate,
    recall_at_precision,
    reliability_curve,
    true_skill_score,
)

SCORES = [0.0, 0.1, 0.25, 0.5, 0.6, 1.0]  # few, so that ties are common


@st.composite
def scored_rows(draw, positives=True):
    """Labels, scores and whole weights of up to 6 rows."""
    rows = draw(st.integers(1, 6))
    y = draw(st.lists(st.integers(0, 1), min_size=rows, max_size=rows))
    score = draw(st.lists(st.sampled_from(SCORES), min_size=rows, max_size=rows))
    weight = draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows))
    label, count = draw(st.integers(0, rows - 1)), draw(st.integers(1, 3))
    weight[label] = count
    if positives:
        y[label] = 1
    return np.array(y), np.array(score), np.array(weight)


def repeated(y, score, weight):
    return np.repeat(y, weight), np.repeat(score, weight)


# ---- skill ----


def counted(truth, decided, weight):
    pairs = {(t, d): 0 for t in (0, 1) for d in (0, 1)}
    for t, d, w in zip(truth, decided, weight, strict=True):
        pairs[int(t), int(d)] += int(w)
    return pairs


@given(rows=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 3)), min_size=1, max_size=8))
def test_skill_of_two_classes_is_its_definition(rows):
    truth, decided, weight = (np.array(column) for column in zip(*rows, strict=True))
    table = counted(truth, decided, weight)
    hits, misses, alarms, quiet = table[1, 1], table[1, 0], table[0, 1], table[0, 0]
    total = hits + misses + alarms + quiet
    if hits + misses and alarms + quiet:
        tss = Fraction(hits, hits + misses) - Fraction(alarms, alarms + quiet)
        assert true_skill_score(truth, decided, sample_weight=weight) == pytest.approx(float(tss), abs=1e-14)
        np.testing.assert_allclose(
            true_skill_score(truth, decided, per_class=True, sample_weight=weight), [float(tss)] * 2, atol=1e-14
        )
    else:
        with pytest.raises(ValueError, match=r"rows of y_true are positive of class|sample_weight is 0"):
            true_skill_score(truth, decided, sample_weight=weight)
    if total not in (0, hits, quiet):
        chance = Fraction((hits + misses) * (hits + alarms) + (quiet + misses) * (quiet + alarms), total**2)
        hss = (Fraction(hits + quiet, total) - chance) / (1 - chance)
        assert heidke_skill_score(truth, decided, sample_weight=weight) == pytest.approx(float(hss), abs=1e-14)
    else:
        with pytest.raises(ValueError, match=r"one and the same in all rows|sample_weight is 0"):
            heidke_skill_score(truth, decided, sample_weight=weight)


def test_skill_of_a_forecast_by_hand():
    truth = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    decided = [1, 1, 1, 0, 1, 0, 0, 0, 0, 0]
    assert true_skill_score(truth, decided) == pytest.approx(0.75 - 1 / 6)
    assert heidke_skill_score(truth, decided) == pytest.approx((0.8 - 0.52) / (1 - 0.52))  # 8 of 10; 5.2 by chance
    assert true_skill_score(truth, truth) == heidke_skill_score(truth, truth) == 1
    assert true_skill_score(truth, [0] * 10) == heidke_skill_score(truth, [0] * 10) == 0
    assert true_skill_score(["b", "a"], ["a", "b"]) == heidke_skill_score(["b", "a"], ["a", "b"]) == -1
    assert true_skill_score(truth, decided) == pytest.approx(balanced_accuracy_score(truth, decided, adjusted=True))


def test_skill_of_several_classes_and_of_label_columns():
    random = np.random.default_rng(0)
    truth, weight = random.choice(["C", "M", "X", "none"], 200), random.uniform(0, 2, 200)
    decided = np.where(random.random(200) < 0.5, truth, random.permutation(truth))
    classes = ["none", "C", "M", "X"]
    one_versus_rest = [true_skill_score(truth == name, decided == name, sample_weight=weight) for name in classes]
    each = true_skill_score(truth, decided, labels=classes, per_class=True, sample_weight=weight)
    np.testing.assert_allclose(each, one_versus_rest)
    recall = recall_score(truth, decided, labels=["X"], average=None, sample_weight=weight)
    false_alarms = np.average(decided[truth != "X"] == "X", weights=weight[truth != "X"])
    assert each[3] == pytest.approx(recall[0] - false_alarms)
    assert true_skill_score(truth, decided, sample_weight=weight) == pytest.approx(np.mean(one_versus_rest))
    # The multi-category form is Cohen's kappa, in all of scikit-learn's settings.
    kappa = cohen_kappa_score(truth, decided, sample_weight=weight)
    assert heidke_skill_score(truth, decided, sample_weight=weight) == pytest.approx(kappa)
    each = heidke_skill_score(truth, decided, labels=classes, per_class=True, sample_weight=weight)
    for name, score in zip(classes, each, strict=True):
        assert score == pytest.approx(cohen_kappa_score(truth == name, decided == name, sample_weight=weight))

    columns = np.column_stack([truth == "C", truth == "X"]), np.column_stack([decided == "C", decided == "X"])
    columns = [column.astype(int) for column in columns]
    for score in (true_skill_score, heidke_skill_score):
        expected = [score(t, d, sample_weight=weight) for t, d in zip(columns[0].T, columns[1].T, strict=True)]
        np.testing.assert_allclose(score(*columns, per_class=True, sample_weight=weight), expected)
        assert score(*columns, sample_weight=weight) == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("score", [true_skill_score, heidke_skill_score])
def test_skill_asks_for_decisions(score):
    with pytest.raises(ValueError, match=r"y_pred holds 0\.25: give decisions.*SCORERS\['true_skill_score'\]"):
        score([0, 1], [0.25, 0.75])
    with pytest.raises(ValueError, match="inconsistent numbers"):
        score([0, 1], [0, 1, 1])
    with pytest.raises(ValueError, match=r"sample_weight\[1\] is -1"):
        score([0, 1], [0, 1], sample_weight=[1, -1])
    with pytest.raises(ValueError, match="NaN"):
        score([0, np.nan], [0, 1])


def test_a_class_that_has_no_skill_is_named():
    with pytest.raises(ValueError, match=r"none of the rows of y_true are positive of class 2.*labels"):
        true_skill_score([0, 1, 1], [0, 1, 2])
    np.testing.assert_allclose(true_skill_score([0, 1, 1], [0, 1, 2], labels=[0, 1], per_class=True), [1, 0.5])
    with pytest.raises(ValueError, match="all of the rows of y_true are positive of column 1"):
        true_skill_score([[0, 1], [1, 1]], [[0, 1], [1, 1]])
    with pytest.raises(ValueError, match="of column 1 truth and forecast are one and the same"):
        heidke_skill_score([[0, 1], [1, 1]], [[0, 1], [1, 1]])
    assert heidke_skill_score([0, 0, 0], [0, 1, 0]) == 0


# ---- alerts ----


def mean_hits_over_all_orders(y, score, alerts):
    """Positives among the first rows, over all orders that go from high to low scores."""
    orders = [o for o in itertools.permutations(range(len(y))) if all(np.diff(score[list(o)]) <= 0)]
    return np.mean([y[list(order[:alerts])].sum() for order in orders])


@given(rows=scored_rows(), part=st.integers(1, 6))
def test_alerts_are_the_mean_over_the_orders_of_tied_rows(rows, part):
    y, score, _ = rows
    alerts = min(part, y.size)
    hits = mean_hits_over_all_orders(y, score, alerts)
    rate = alerts / y.size
    assert recall_at_alert_rate(y, score, alert_rate=rate) == pytest.approx(hits / y.sum(), abs=1e-12)
    assert precision_at_alert_rate(y, score, alert_rate=rate) == pytest.approx(hits / alerts, abs=1e-12)
    below = mean_hits_over_all_orders(y, score, alerts - 1)
    half = (alerts - 0.5) / y.size
    assert recall_at_alert_rate(y, score, alert_rate=half) == pytest.approx((hits + below) / 2 / y.sum(), abs=1e-12)


@given(rows=scored_rows(), wanted=st.sampled_from([Fraction(1, 10), Fraction(1, 3), Fraction(1, 2), Fraction(1)]))
def test_recall_at_precision_looks_at_every_threshold(rows, wanted):
    y, score, weight = rows
    best = 0
    for threshold in SCORES:
        hits, alerts = (int(weight[rows].sum()) for rows in ((score >= threshold) & (y == 1), score >= threshold))
        if alerts and Fraction(hits, alerts) >= wanted:
            best = max(best, Fraction(hits, int(weight[y == 1].sum())))
    # A tenth of each weight changes nothing, but does not add up without rounding.
    for scale in (1, 0.1):
        found = recall_at_precision(y, score, precision=float(wanted), sample_weight=weight * scale)
        assert found == pytest.approx(float(best), abs=1e-12)
    precision, recall, _ = precision_recall_curve(y, score, sample_weight=weight)
    assert recall[precision >= float(wanted) - 1e-9].max() == pytest.approx(float(best), abs=1e-12)


METRICS = [
    recall_at_alert_rate,
    precision_at_alert_rate,
    recall_at_precision,
    functools.partial(recall_at_alert_rate, alert_rate=0.4),
    functools.partial(precision_at_alert_rate, alert_rate=0.7),
    functools.partial(expected_cost, cost_false_negative=3),
    functools.partial(expected_cost, cost_false_negative=3, threshold="least"),
    functools.partial(least_cost_threshold, cost_false_negative=2),
    expected_calibration_error,
    functools.partial(expected_calibration_error, bins=3, strategy="quantile"),
    functools.partial(expected_calibration_error, bins=2, strategy="positives"),
]


@pytest.mark.parametrize("metric", METRICS, ids=str)
@given(rows=scored_rows(), random=st.randoms())
def test_whole_weights_are_repetitions_and_order_is_nothing(metric, rows, random):
    y, score, weight = rows
    value = metric(y, score, sample_weight=weight)
    assert np.isfinite(value) or (metric.func is least_cost_threshold and value == np.inf)
    assert metric(*repeated(y, score, weight)) == pytest.approx(value, abs=1e-12)
    order = list(range(y.size))
    random.shuffle(order)
    assert metric(y[order], score[order], sample_weight=weight[order]) == pytest.approx(value, abs=1e-12)
    names = np.where(y == 1, "fraud", "fair")
    assert metric(names, score, pos_label="fraud", sample_weight=weight) == value
    assert metric(2 * y - 1, score, sample_weight=weight) == value


# ---- costs ----


@given(rows=scored_rows(positives=False), missed=st.sampled_from([1, 2, 20, 0.5]), alarm=st.sampled_from([1, 3]))
def test_costs_are_counted(rows, missed, alarm):
    y, score, weight = rows
    costs = {"cost_false_negative": missed, "cost_false_positive": alarm}

    def cost_at(threshold):
        wrong = [(missed if label else alarm) * (label != (s >= threshold)) for label, s in zip(y, score, strict=True)]
        return np.average(wrong, weights=weight)

    threshold = cost_optimal_threshold(**costs)
    assert threshold * missed == pytest.approx((1 - threshold) * alarm)
    assert expected_cost(y, score, sample_weight=weight, **costs) == pytest.approx(cost_at(threshold))
    assert expected_cost(y, score, sample_weight=weight, threshold=0.55, **costs) == pytest.approx(cost_at(0.55))
    candidates = [*sorted(set(score[weight > 0])), np.inf]
    least = min(map(cost_at, candidates))
    assert expected_cost(y, score, sample_weight=weight, threshold="least", **costs) == pytest.approx(least)
    fewest_alerts = max(t for t in candidates if cost_at(t) == pytest.approx(least))
    found = least_cost_threshold(y, score, sample_weight=weight, **costs)
    assert cost_at(found) == pytest.approx(least)
    assert found == fewest_alerts or missed == 0.5  # whose costs tie only up to rounding


def test_no_threshold_beats_that_of_theory_where_the_probabilities_are_true():
    random = np.random.default_rng(0)
    eta = random.beta(0.3, 3, 200_000)
    y = random.random(eta.size) < eta
    for cost in (3, 20):
        theory = cost_optimal_threshold(cost_false_negative=cost)
        assert theory == 1 / (1 + cost)
        least = expected_cost(y, eta, cost_false_negative=cost, threshold="least")
        assert least <= expected_cost(y, eta, cost_false_negative=cost) < least * 1.005
        # Distorted probabilities keep their order, and so the least cost, but not the cost of deciding by them.
        assert expected_cost(y, eta**2, cost_false_negative=cost, threshold="least") == least
        assert expected_cost(y, eta**2, cost_false_negative=cost) > least * 1.1


# ---- calibration ----


@given(rows=scored_rows(positives=False), bins=st.integers(1, 7))
def test_calibration_error_is_summed_over_the_bins(rows, bins):
    y, score, weight = rows
    edges = np.linspace(0, 1, bins + 1)
    error = 0.0
    for low, high in itertools.pairwise(edges):
        inside = (score > low) & (score <= high) | ((low == 0) & (score == 0))
        error += abs(np.sum(weight[inside] * (y - score)[inside])) / weight.sum()
    found = expected_calibration_error(y, score, bins=bins, sample_weight=weight)
    assert found == pytest.approx(error, abs=1e-12)
    curve = reliability_curve(y, score, bins=bins, sample_weight=weight)
    assert np.sum(curve.weight * np.abs(curve.predicted - curve.observed)) / weight.sum() == pytest.approx(error)
    observed, predicted = calibration_curve(*repeated(y, score, weight), n_bins=bins)
    np.testing.assert_allclose(curve.predicted, predicted)
    np.testing.assert_allclose(curve.observed, observed)


def test_bins_of_equal_weight_and_of_equally_many_positives():
    random = np.random.default_rng(0)
    eta = random.beta(0.5, 30, 20_000)
    y = random.random(eta.size) < eta
    weight = random.uniform(0, 2, eta.size)
    equal = reliability_curve(y, eta, bins=10, strategy="quantile", sample_weight=weight)
    np.testing.assert_allclose(equal.weight, weight.sum() / 10, rtol=0.01)
    curve = reliability_curve(y, eta, bins=10, strategy="positives", sample_weight=weight)
    np.testing.assert_allclose(curve.weight * curve.observed, (weight * y).sum() / 10, rtol=0.1)
    np.testing.assert_allclose(curve.predicted, curve.observed, rtol=0.6)  # there are 32 positives to a bin
    assert np.all(np.diff(curve.predicted) > 0)
    for strategy in ("uniform", "quantile", "positives"):
        honest, wrong = (
            expected_calibration_error(y, p, strategy=strategy, sample_weight=weight) for p in (eta, np.sqrt(eta))
        )
        assert wrong > 10 * honest
    # A constant prediction is one bin, whatever the strategy.
    for strategy in ("uniform", "quantile", "positives"):
        one = reliability_curve(y, np.full(y.size, 0.02), strategy=strategy)
        np.testing.assert_allclose(np.ravel(one), [0.02, y.mean(), y.size])


# ---- several columns, and bad input ----


COLUMN_METRICS = [recall_at_alert_rate, precision_at_alert_rate, recall_at_precision, expected_calibration_error]


@pytest.mark.parametrize("metric", COLUMN_METRICS)
def test_columns_have_a_metric_each(metric):
    random = np.random.default_rng(0)
    probability = random.dirichlet([3, 1, 0.3], 500)
    y = np.array([random.choice(3, p=row) for row in probability])
    weight = random.uniform(0, 1, 500)
    expected = np.mean([metric(y == k, probability[:, k], sample_weight=weight) for k in range(3)])
    assert metric(y, probability, sample_weight=weight) == pytest.approx(expected)
    indicators = (y[:, None] == np.arange(3)).astype(int)
    assert metric(indicators, probability, sample_weight=weight) == pytest.approx(expected)
    with pytest.raises(ValueError, match=r"y_score\[:, 1\]"):
        metric(y == 1, probability[:, :2])
    with pytest.raises(ValueError, match=r"y_true\[0\] is 9: give classes"):
        metric([9, 0], probability[:2])
    with pytest.raises(ValueError, match="pos_label=1 is for scores of shape"):
        metric(y, probability, pos_label=1)


@pytest.mark.parametrize("metric", [m for m in METRICS if not isinstance(m, functools.partial)] + METRICS[5:8], ids=str)
def test_bad_scores_and_labels(metric):
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match=rf"y_score\[1\] is {bad}: give finite numbers"):
            metric([0, 1], [0.5, bad])
    with pytest.raises(ValueError, match="labels 0, 2: give 0 and 1"):
        metric([0, 2], [0.5, 0.5])
    with pytest.raises(ValueError, match=r"labels '0', '1': give 0 and 1"):
        metric(["0", "1"], [0.5, 0.5])
    with pytest.raises(ValueError, match="pos_label='x' is not among the labels 'a', 'b'"):
        metric(["a", "b"], [0.5, 0.5], pos_label="x")
    with pytest.raises(ValueError, match="no rows"):
        metric([], np.empty(0))
    with pytest.raises(ValueError, match=r"y_true has shape \(3,\)"):
        metric([0, 1, 1], [0.5, 0.5])
    with pytest.raises(ValueError, match=r"sample_weight\[0\] is nan"):
        metric([0, 1], [0.5, 0.5], sample_weight=[np.nan, 1])
    with pytest.raises(TypeError, match="y_score is an array of"):
        metric([0, 1], ["low", "high"])


def test_what_a_single_class_still_has():
    score = np.linspace(0, 1, 10)
    none, every = np.zeros(10, int), np.ones(10, int)
    for metric in (recall_at_alert_rate, recall_at_precision):
        with pytest.raises(ValueError, match="y_true holds no positives, so there is no recall"):
            metric(none, score)
    assert precision_at_alert_rate(none, score) == 0
    assert precision_at_alert_rate(every, score) == 1
    assert recall_at_alert_rate(every, score, alert_rate=0.25) == pytest.approx(0.25)
    assert recall_at_precision(every, score) == 1
    assert least_cost_threshold(none, score, cost_false_negative=2) == np.inf
    assert least_cost_threshold(every, score, cost_false_negative=2) == 0
    assert expected_calibration_error(none, score) == pytest.approx(score.mean())
    with pytest.raises(ValueError, match="no positives, so there are no bins"):
        reliability_curve(none, score, strategy="positives")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: recall_at_alert_rate([0, 1], [0, 1], alert_rate=0), "alert_rate=0 is out of range"),
        (lambda: precision_at_alert_rate([0, 1], [0, 1], alert_rate=1.5), r"alert_rate=1\.5 is out of range"),
        (lambda: recall_at_precision([0, 1], [0, 1], precision=0), "precision=0 is out of range"),
        (lambda: expected_cost([0, 1], [0, 1], cost_false_negative=0), "cost_false_negative=0 is out of range"),
        (lambda: expected_cost([0, 1], [0, 1.5], cost_false_negative=2), r"y_score holds 1\.5: give probabilities"),
        (lambda: expected_cost([[0, 1]], [[0, 1]], cost_false_negative=2), r"y_score has shape \(1, 2\)"),
        (lambda: expected_calibration_error([0, 1], [-2, 1]), r"y_score holds -2\.0: give probabilities"),
        (lambda: expected_calibration_error([0, 1], [0, 1], bins=2.5), "no whole number"),
        (lambda: expected_calibration_error([0, 1], [0, 1], strategy="kmeans"), "strategy='kmeans'"),
    ],
)
def test_bad_parameters(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_margins_have_a_threshold_of_their_own():
    y, margin = [0, 0, 1, 1], [-3.0, -1.0, -2.0, 4.0]
    assert least_cost_threshold(y, margin, cost_false_negative=5) == -2
    assert expected_cost(y, margin, cost_false_negative=5, threshold=-2) == 0.25
    assert expected_cost(y, margin, cost_false_negative=5, threshold="least") == 0.25


# ---- in scikit-learn and in the engines ----


def xgboost_classifier(**parameters):
    return pytest.importorskip("xgboost").XGBClassifier(n_jobs=1, max_depth=3, **parameters)


def lightgbm_classifier(**parameters):
    return pytest.importorskip("lightgbm").LGBMClassifier(n_jobs=1, max_depth=3, verbosity=-1, **parameters)


both_engines = pytest.mark.parametrize("engine", [xgboost_classifier, lightgbm_classifier])
STOPPING = {
    "true_skill_score": SCORERS["true_skill_score"],
    "heidke_skill_score": SCORERS["heidke_skill_score"],
    "recall_at_alert_rate": recall_at_alert_rate,
    "precision_at_alert_rate": SCORERS["precision_at_alert_rate"],
    "recall_at_precision": functools.partial(recall_at_precision, precision=0.3),
    "expected_cost": functools.partial(expected_cost, cost_false_negative=20),
    "expected_calibration_error": expected_calibration_error,
    "neg_expected_calibration_error": SCORERS["neg_expected_calibration_error"],
}


@both_engines
@pytest.mark.parametrize("name", STOPPING)
def test_early_stopping(engine, name):
    metric = STOPPING[name]
    greater = name not in ("expected_cost", "expected_calibration_error")
    X, y, w, _ = rare_positives(3000)
    X_eval, y_eval, w_eval, _ = rare_positives(3000, seed=1)
    stop = "early_stopping_rounds" if engine is xgboost_classifier else "early_stopping_round"
    model = FocalClassifier(engine(n_estimators=150, learning_rate=0.3, **{stop: 10}), FocalLoss(2, "balanced"))
    model.fit(X, y, w, [(X_eval, y_eval)], eval_metric=metric, eval_sample_weight=[w_eval])
    reported, history = next(iter(next(iter(model.evals_result_.values())).items()))
    history = np.array(history)
    if engine is xgboost_classifier and greater:
        history = -history
        assert reported in (f"neg_{name}", name.removeprefix("neg_"), f"loss_neg_{name}")
    else:
        assert reported == name
    best = np.argmax(history) if greater else np.argmin(history)
    assert model.best_iteration_ == best
    assert len(history) == min(best + 11, 150)
    assert np.ptp(history) > 0
    # The calibration, which comes after, shifts the log-odds and keeps the order: of the best round, as reported.
    if metric is SCORERS.get(name) and "alert" in name:
        assert metric(model, X_eval, y_eval, sample_weight=w_eval) == pytest.approx(history[best], rel=1e-6)
    elif "recall" in name:
        probability = model.predict_proba(X_eval)[:, 1]
        assert metric(y_eval, probability, sample_weight=w_eval) == pytest.approx(history[best], rel=1e-6)


def test_engine_native_metrics_have_the_right_sign():
    xgboost, lightgbm = pytest.importorskip("xgboost"), pytest.importorskip("lightgbm")
    import gbm_focal.lightgbm
    import gbm_focal.xgboost

    X, y, _, _ = rare_positives(2000)
    margin = (X[:, 0] - 3).astype(np.float32)
    loss = FocalLoss(2)
    posterior = loss.posterior(margin.astype(float))
    recall = functools.partial(recall_at_alert_rate, alert_rate=0.05)
    cost = functools.partial(expected_cost, cost_false_negative=10)
    of_xgboost = [gbm_focal.xgboost.Metric(loss, metric)(margin, xgboost.DMatrix(X, y)) for metric in (recall, cost)]
    assert of_xgboost[0] == ("neg_recall_at_alert_rate", pytest.approx(-recall(y, posterior)))
    assert of_xgboost[1] == ("expected_cost", pytest.approx(cost(y, posterior)))
    data = lightgbm.Dataset(X, y).construct()
    of_lightgbm = [gbm_focal.lightgbm.Metric(loss, metric)(margin.astype(float), data) for metric in (recall, cost)]
    assert of_lightgbm[0] == ("recall_at_alert_rate", pytest.approx(recall(y, posterior)), True)
    assert of_lightgbm[1] == ("expected_cost", pytest.approx(cost(y, posterior)), False)


@both_engines
def test_scorers_in_cross_validation(engine):
    X, y, _, _ = rare_positives(3000)
    model = FocalClassifier(engine(n_estimators=20), FocalLoss(2, "balanced"))
    for name, scorer in SCORERS.items():
        scorer = pickle.loads(pickle.dumps(scorer))
        learned = cross_val_score(model, X, y, cv=3, scoring=scorer)
        assert np.all(np.isfinite(learned))
        shuffled = cross_val_score(model, np.random.default_rng(0).permutation(X), y, cv=3, scoring=scorer)
        if name != "neg_expected_calibration_error":  # noise says nothing, but can say so honestly
            assert learned.mean() > shuffled.mean() + 0.05
        else:
            assert np.all(learned <= 0)
    cost = make_scorer(
        expected_cost, greater_is_better=False, response_method="predict_proba", cost_false_negative=20, pos_label="yes"
    )
    names = np.where(y == 1, "yes", "no")
    assert np.all(cross_val_score(model, X, names, cv=3, scoring=cost) > -20 * y.mean())


@both_engines
def test_several_classes_and_labels_are_scored_in_training(engine):
    X, y, _, _ = rare_positives(3000)
    classes = np.where(y == 1, "flare", np.where(X[:, 4] > 0.5, "active", "quiet"))
    labels = np.column_stack([y, X[:, 4] > 0.5]).astype(int)
    recall = functools.partial(recall_at_alert_rate, alert_rate=0.2)
    for target in (classes, labels):
        for metric in (recall, SCORERS["true_skill_score"], SCORERS["heidke_skill_score"]):
            model = FocalClassifier(engine(n_estimators=12), FocalLoss(1, "balanced"))
            model.fit(X, target, eval_set=[(X, target)], eval_metric=metric)
            (history,) = next(iter(model.evals_result_.values())).values()
            assert len(history) == 12
            assert 0.4 < abs(history[-1]) <= 1
            if target is labels and metric is recall:  # whose order the calibration does not touch
                assert abs(history[-1]) == pytest.approx(recall(labels, model.predict_proba(X)))
