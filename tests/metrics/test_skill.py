"""The skill scores against their definitions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, recall_score

from gbm_focal.metrics import heidke_skill_score, true_skill_score


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
