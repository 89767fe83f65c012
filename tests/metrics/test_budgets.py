"""Budgets by day: the k most suspicious rows or cards."""

import functools
import itertools

import numpy as np
import pandas as pd
import pytest
from engines import both_engines, patience
from hypothesis import given
from hypothesis import strategies as st
from problems import rare_positives
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer
from sklearn.model_selection import GroupKFold, cross_validate

from gbm_focal import FocalClassifier, FocalLoss
from gbm_focal.metrics import precision_at_alert_rate, precision_at_top, recall_at_top


@st.composite
def days_of_cards(draw):
    """Labels, scores, days and cards of up to 7 rows."""
    rows = draw(st.integers(1, 7))

    def column(values):
        return np.array(draw(st.lists(st.sampled_from(values), min_size=rows, max_size=rows)))

    y = column([0, 1])
    y[draw(st.integers(0, rows - 1))] = 1
    return y, column([0.1, 0.2, 0.5]), column([1, 2]), column(["a", "b", "c"])


@given(rows=days_of_cards(), k=st.integers(1, 4), random=st.randoms())
def test_days_and_cards_are_counted(rows, k, random):
    frame = pd.DataFrame(dict(zip(["y", "score", "day", "card"], rows, strict=True)))
    hits = []
    for _, day in frame.groupby("day"):
        cards = day.groupby("card").max()
        orders = [
            order
            for order in itertools.permutations(cards.index)
            if cards.loc[list(order), "score"].is_monotonic_decreasing
        ]
        hits.append(np.mean([cards.loc[list(order[:k]), "y"].sum() for order in orders]))
    positive = sum(day.groupby("card")["y"].max().sum() for _, day in frame.groupby("day"))
    order = list(range(len(frame)))
    random.shuffle(order)
    for shown in (frame, frame.iloc[order]):
        columns = {"groups": shown["day"], "entities": shown["card"]}
        assert precision_at_top(shown["y"], shown["score"], k, **columns) == pytest.approx(np.mean(hits) / k)
        assert recall_at_top(shown["y"], shown["score"], k, **columns) == pytest.approx(sum(hits) / positive)


def simulated_cards(seed=0):
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({"day": random.integers(0, 20, 6000), "card": random.integers(0, 300, 6000)})
    stolen = random.random(300) < 0.1
    frame["y"] = (random.random(6000) < np.where(stolen[frame["card"]], 0.2, 0.002)).astype(int)
    frame["score"] = random.normal(size=6000) + 1.5 * frame["y"]
    return frame


def of_the_handbook(frame, k, drop):
    """Each day: the highest score of each card, the k first cards, and how many of them hold a fraud."""
    found, precision = set(), []
    for day in sorted(frame["day"].unique()):
        today = frame[(frame["day"] == day) & ~frame["card"].isin(found)]
        cards = today.groupby("card").agg(score=("score", "max"), y=("y", "max")).nlargest(k, "score")
        right = cards.index[cards["y"] == 1]
        precision.append(len(right) / k)
        found |= set(right) if drop else set()
    return np.mean(precision)


@pytest.mark.parametrize("drop", [False, True])
def test_card_precision_of_the_handbook(drop):
    frame = simulated_cards()
    columns = {"groups": frame["day"], "entities": frame["card"], "drop_found": drop}
    for k in (1, 10, 400):
        assert precision_at_top(frame["y"], frame["score"], k, **columns) == pytest.approx(
            of_the_handbook(frame, k, drop)
        )
    assert recall_at_top(frame["y"], frame["score"], 300, **columns) == 1


NUMBERINGS = {
    "negative": lambda values: values - 7,
    "far apart": lambda values: values * 10**15 - 3 * 10**16,
    "beyond int64": lambda values: values.astype(np.uint64) + np.uint64(2**63),
    "int8 from end to end": lambda values: np.linspace(-128, 127, 20).astype(np.int8)[values % 20],
    "words": lambda values: np.char.add("card ", np.char.zfill(values.astype(str), 4)),
    "dates": lambda values: np.datetime64("2024-01-01") + values,
    "fractions": lambda values: values / 7,
}


@pytest.mark.parametrize("numbering", NUMBERINGS)
@pytest.mark.parametrize("drop", [False, True])
def test_days_and_cards_may_be_called_anything(numbering, drop):
    frame = simulated_cards()
    frame["card"] %= 20  # as many as the int8 have
    named = {name: NUMBERINGS[numbering](frame[name].to_numpy()) for name in ("day", "card")}
    columns = {"groups": named["day"], "entities": named["card"], "drop_found": drop}
    for k in (3, 10**300):
        expected = of_the_handbook(frame, min(k, 20), drop) * min(k, 20) / k
        assert precision_at_top(frame["y"], frame["score"], k, **columns) == pytest.approx(expected, rel=1e-9, abs=0)


def test_a_day_of_cards_that_were_all_found():
    y, score, day, card = [1, 1, 0, 1], [0.9, 0.8, 0.2, 0.3], [1, 2, 3, 3], ["a", "a", "b", "c"]
    budget = {"groups": day, "entities": card, "drop_found": True}
    assert precision_at_top(y, score, 1, **budget) == pytest.approx(2 / 3)
    assert recall_at_top(y, score, 1, **budget) == 1


def test_many_days():
    random = np.random.default_rng(0)
    day, y, score = random.permutation(np.repeat(np.arange(3000), 2)), random.random(6000) < 0.2, random.random(6000)
    first = pd.DataFrame({"day": day, "y": y, "score": score}).sort_values("score").groupby("day").tail(1)
    assert precision_at_top(y, score, 1, groups=day) == pytest.approx(first["y"].mean())


def test_rows_without_days_and_cards():
    y, score = [0, 1, 1, 0], [0.9, 0.8, 0.3, 0.3]
    assert precision_at_top(y, score, 2) == 0.5 == precision_at_alert_rate(y, score, alert_rate=0.5)
    assert precision_at_top(y, score, 3) == pytest.approx(1.5 / 3)  # one of the two that are tied
    assert recall_at_top(y, score, 3) == 0.75
    assert precision_at_top(y, score, 8) == 0.25
    names = np.where(y, "fraud", "fair")
    days = np.array(["2024-01-01", "2024-01-01", "2024-01-02", "2024-01-02"], dtype="datetime64[D]")
    assert recall_at_top(names, score, 1, groups=days, pos_label="fraud") == pytest.approx(0.25)


def test_days_are_routed_to_scorers():
    X, y, _, _ = rare_positives(3000)
    day = np.arange(3000) % 12
    with config_context(enable_metadata_routing=True):
        scorer = make_scorer(precision_at_top, response_method="predict_proba", k=5).set_score_request(groups=True)
        result = cross_validate(
            LogisticRegression(), X, y, cv=GroupKFold(3), scoring=scorer, params={"groups": day}, return_indices=True
        )
    for score, train, test in zip(result["test_score"], *result["indices"].values(), strict=True):
        probability = LogisticRegression().fit(X[train], y[train]).predict_proba(X[test])[:, 1]
        assert score == precision_at_top(y[test], probability, 5, groups=day[test])


@both_engines
def test_budgets_stop_training(engine):
    X, y, _, _ = rare_positives(3000)
    X_eval, y_eval, _, _ = rare_positives(3000, seed=1)
    metric = functools.partial(recall_at_top, k=5, groups=np.arange(3000) // 300)
    model = FocalClassifier(engine(n_estimators=60, learning_rate=0.3, **patience(engine, 10)), FocalLoss(2))
    model.fit(X, y, eval_set=[(X_eval, y_eval)], eval_metric=metric)
    (history,) = next(iter(model.evals_result_.values())).values()
    assert model.best_iteration_ == np.argmax(np.abs(history)) < 59
    assert max(np.abs(history)) == pytest.approx(metric(y_eval, model.predict_proba(X_eval)[:, 1]), abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"k": 0}, ValueError, "k=0 is out of range"),
        ({"k": 1.5}, ValueError, r"k=1\.5 is no whole number"),
        ({"k": "ten"}, TypeError, "k='ten' is a str"),
        ({"k": 1, "groups": [1]}, ValueError, r"groups has shape \(1,\): give one for each row, shape \(2,\)"),
        ({"k": 1, "entities": [1.0, np.nan]}, ValueError, r"entities\[1\] is nan"),
        ({"k": 1, "groups": np.array([1, "a"], dtype=object)}, TypeError, "groups holds values that have no order"),
    ],
)
def test_bad_input(arguments, error, message):
    for metric in (precision_at_top, recall_at_top):
        with pytest.raises(error, match=message):
            metric([0, 1], [0.1, 0.2], **arguments)


def test_without_positives():
    assert precision_at_top([0, 0], [0.1, 0.2], 1) == 0
    with pytest.raises(ValueError, match="y_true holds no positives, so there is no recall"):
        recall_at_top([0, 0], [0.1, 0.2], 1)
