"""Costs and thresholds against their definitions."""

import functools

import numpy as np
import pandas as pd
import pytest
from engines import both_engines, patience
from hypothesis import given
from hypothesis import strategies as st
from problems import rare_positives
from scored_rows import scored_rows
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, KFold, cross_validate

from gbm_focal import FocalClassifier, FocalLoss
from gbm_focal.base_rates import adapt
from gbm_focal.metrics import cost_optimal_threshold, expected_cost, least_cost_threshold, savings_score


def cost_by_hand(y, alert, weight, missed, alarm, review):
    """Mean cost of a row, one row after the other."""
    missed, alarm, review = (np.broadcast_to(cost, y.shape) for cost in (missed, alarm, review))
    each = [
        (review[i] if alert[i] else missed[i]) if y[i] == 1 else (alarm[i] if alert[i] else 0) for i in range(y.size)
    ]
    return np.average(each, weights=weight)


@st.composite
def rows_with_costs(draw):
    """Rows of `scored_rows`, and costs of each kind, as one number or one for each row."""
    rows = draw(scored_rows(positives=False))

    def cost(numbers, of_rows):
        size = rows[0].size
        return draw(st.sampled_from(numbers) | st.lists(st.sampled_from(of_rows), min_size=size, max_size=size))

    costs = cost([1, 2, 20, 0.5], [0, 1, 2, 20]), cost([1, 3], [1, 3]), cost([0, 1.5], [0, 1, 4])
    return rows, [np.array(of_kind) if isinstance(of_kind, list) else of_kind for of_kind in costs]


@given(problem=rows_with_costs())
def test_costs_are_counted(problem):
    (y, score, weight), (missed, alarm, review) = problem
    costs = {"cost_false_negative": missed, "cost_false_positive": alarm, "cost_true_positive": review}
    keywords = {"sample_weight": weight, **costs}

    def cost_at(threshold):
        return cost_by_hand(y, score >= threshold, weight, missed, alarm, review)

    # An alert costs p review + (1 - p) alarm, none p missed; where both cost the same rounding may decide.
    threshold = np.broadcast_to(cost_optimal_threshold(**costs), y.shape)
    without = score * missed
    with_alert = score * review + (1 - score) * alarm
    differ = np.abs(without - with_alert) > 1e-9
    np.testing.assert_array_equal((score >= threshold)[differ], (without > with_alert)[differ])
    assert expected_cost(y, score, **keywords) == pytest.approx(cost_at(threshold))
    assert expected_cost(y, score, threshold=0.55, **keywords) == pytest.approx(cost_at(0.55))
    candidates = [*sorted(set(score[weight > 0])), np.inf]
    least = min(map(cost_at, candidates))
    assert expected_cost(y, score, threshold="least", **keywords) == pytest.approx(least, abs=1e-12)
    fewest_alerts = max(t for t in candidates if cost_at(t) == pytest.approx(least, abs=1e-12))
    assert least_cost_threshold(y, score, **keywords) == fewest_alerts
    trivial = min(cost_at(np.inf), cost_at(-np.inf))
    if trivial > 0:
        assert savings_score(y, score, **keywords) == pytest.approx(1 - cost_at(threshold) / trivial)
        assert savings_score(y, score, threshold="least", **keywords) == pytest.approx(1 - least / trivial, abs=1e-12)
    else:
        with pytest.raises(ValueError, match="costs nothing on these rows, so there is nothing to save"):
            savings_score(y, score, **keywords)


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


def test_decisions_by_row_beat_any_threshold_where_amounts_differ():
    random = np.random.default_rng(1)
    eta, amount = random.beta(0.3, 3, 100_000), random.lognormal(3, 1.5, 100_000)
    y = random.random(eta.size) < eta
    costs = {"cost_false_negative": amount, "cost_false_positive": 10, "cost_true_positive": 10}
    threshold = cost_optimal_threshold(**costs)
    assert np.array_equal(np.isinf(threshold), amount < 10)  # a review costs more than the loss
    by_row = expected_cost(y, eta, **costs)
    assert by_row < 0.9 * expected_cost(y, eta, threshold="least", **costs)
    assert savings_score(y, eta, **costs) > savings_score(y, eta, threshold="least", **costs) + 0.05


def test_margins_have_a_threshold_of_their_own():
    y, margin = [0, 0, 1, 1], [-3.0, -1.0, -2.0, 4.0]
    assert least_cost_threshold(y, margin, cost_false_negative=5) == -2
    assert expected_cost(y, margin, cost_false_negative=5, threshold=-2) == 0.25
    assert expected_cost(y, margin, cost_false_negative=5, threshold="least") == 0.25


def test_thresholds_of_numbers_and_of_rows():
    assert cost_optimal_threshold(cost_false_negative=10, cost_true_positive=1) == 0.1
    assert cost_optimal_threshold(cost_false_negative=1, cost_true_positive=2) == np.inf
    amounts = pd.Series([9, 1, 0], index=[7, 8, 9])
    np.testing.assert_allclose(cost_optimal_threshold(cost_false_negative=amounts), [0.1, 0.5, 1])
    by_alarm = cost_optimal_threshold(cost_false_negative=3, cost_false_positive=[1, 3], cost_true_positive=[0, 4])
    np.testing.assert_allclose(by_alarm, [0.25, np.inf])


def test_undersampled_rows_at_the_base_rate_of_the_population():
    random = np.random.default_rng(2)
    eta, amount = random.beta(0.2, 5, 200_000), random.lognormal(3, 1, 200_000)
    y = (random.random(eta.size) < eta).astype(int)
    keep = (y == 1) | (random.random(eta.size) < 0.1)
    costs = {"cost_false_negative": amount, "cost_false_positive": 5, "cost_true_positive": 2}
    of_kept = {"cost_false_negative": amount[keep], "cost_false_positive": 5, "cost_true_positive": 2}
    truth = expected_cost(y, eta, **costs)
    rate = y.mean()
    assert expected_cost(y[keep], eta[keep], base_rate=rate, **of_kept) == pytest.approx(truth, rel=0.02)
    assert expected_cost(y[keep], eta[keep], **of_kept) > 3 * truth
    weight = np.where(y[keep] == 1, rate / y[keep].mean(), (1 - rate) / (1 - y[keep].mean()))
    for metric in (expected_cost, savings_score, least_cost_threshold):
        with_rate = metric(y[keep], eta[keep], base_rate=rate, **of_kept)
        assert with_rate == pytest.approx(metric(y[keep], eta[keep], sample_weight=weight, **of_kept), rel=1e-9)
    # Probabilities of a model of the kept rows are first taken to the population.
    of_kept_rows = adapt(eta[keep], trained=rate, used=y[keep].mean())
    back = adapt(of_kept_rows, trained=y[keep].mean(), used=rate)
    assert expected_cost(y[keep], back, base_rate=rate, **of_kept) == pytest.approx(truth, rel=0.02)


cost_scorer = functools.partial(make_scorer, expected_cost, greater_is_better=False, response_method="predict_proba")


def test_costs_of_rows_are_routed_to_scorers():
    X, y, weight, _ = rare_positives(1500)
    amount = np.exp(X[:, 5] + 3)
    model, folds = LogisticRegression(), KFold(3)
    with config_context(enable_metadata_routing=True):
        scorer = cost_scorer(cost_false_positive=7).set_score_request(cost_false_negative=True, sample_weight=True)
        savings = make_scorer(savings_score, response_method="predict_proba").set_score_request(
            cost_false_negative=True, sample_weight=False
        )
        params = {"cost_false_negative": amount, "sample_weight": weight}
        result = cross_validate(
            model.set_fit_request(sample_weight=False),
            *(X, y),
            cv=folds,
            scoring={"cost": scorer, "savings": savings},
            params=params,
        )
        grid = GridSearchCV(model, {"C": [1e-4, 1.0]}, cv=folds, scoring=scorer).fit(X, y, **params)
    for fold, (train, test) in enumerate(folds.split(X)):
        probability = LogisticRegression().fit(X[train], y[train]).predict_proba(X[test])[:, 1]
        rows = {"cost_false_negative": amount[test]}
        cost = expected_cost(y[test], probability, cost_false_positive=7, sample_weight=weight[test], **rows)
        assert result["test_cost"][fold] == pytest.approx(-cost)
        assert result["test_savings"][fold] == pytest.approx(savings_score(y[test], probability, **rows))
        assert grid.cv_results_[f"split{fold}_test_score"][1] == pytest.approx(-cost)
    assert grid.best_params_ == {"C": 1.0}


@both_engines
def test_costs_of_rows_stop_training(engine):
    X, y, _, _ = rare_positives(3000)
    X_eval, y_eval, _, _ = rare_positives(3000, seed=1)
    amount = np.exp(X_eval[:, 5] + 3)
    metric = functools.partial(expected_cost, cost_false_negative=amount, cost_false_positive=5.0)
    model = FocalClassifier(engine(n_estimators=100, learning_rate=0.3, **patience(engine, 5)), FocalLoss(2))
    model.fit(X, y, eval_set=[(X_eval, y_eval)], eval_metric=metric)
    ((name, history),) = next(iter(model.evals_result_.values())).items()
    assert name == "expected_cost"
    assert model.best_iteration_ == np.argmin(history) < 99
    assert min(history) == pytest.approx(metric(y_eval, model.predict_proba(X_eval)[:, 1]), rel=0.03)


@pytest.mark.parametrize(
    ("costs", "error", "message"),
    [
        ({"cost_false_negative": [1, 2, 3]}, ValueError, r"shape \(3,\): give one number, or one for each row, shape"),
        ({"cost_false_negative": [1, -2]}, ValueError, r"cost_false_negative\[1\] is -2.0: give finite numbers in \[0"),
        ({"cost_false_negative": [1, np.inf]}, ValueError, r"cost_false_negative\[1\] is inf"),
        ({"cost_false_negative": 1, "cost_false_positive": [0, 1]}, ValueError, r"cost_false_positive\[0\] is 0.0"),
        ({"cost_false_negative": 1, "cost_true_positive": -1}, ValueError, "cost_true_positive=-1 is out of range"),
        ({"cost_false_negative": "high"}, TypeError, "cost_false_negative='high' is a str"),
        ({"cost_false_negative": ["a", "b"]}, TypeError, "cost_false_negative is an array of"),
        ({"cost_false_negative": 1, "base_rate": 1}, ValueError, "base_rate=1 is out of range"),
    ],
)
def test_bad_costs(costs, error, message):
    for metric in (expected_cost, savings_score, least_cost_threshold):
        with pytest.raises(error, match=message):
            metric([0, 1], [0.2, 0.7], **costs)


def test_base_rates_need_both_labels():
    with pytest.raises(ValueError, match=r"y_true holds no positives, so no weights bring them to base_rate=0\.1"):
        expected_cost([0, 0], [0.2, 0.7], cost_false_negative=2, base_rate=0.1)
    with pytest.raises(ValueError, match="y_true holds nothing but positives"):
        expected_cost([1, 1], [0.2, 0.7], cost_false_negative=2, base_rate=0.1)
