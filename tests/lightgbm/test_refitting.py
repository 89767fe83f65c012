"""Leaves fitted to other data. What they have in common with LightGBM's own refit is in tests/parity."""

import copy

import numpy as np
import pytest
from problems import classes_problem, labels_problem, rare_positives

from gbm_focal import AsymmetricLoss, FocalClassifier, FocalLoss, LinearSchedule, PowerCrossEntropy

lgb = pytest.importorskip("lightgbm")
engine = pytest.importorskip("gbm_focal.lightgbm")

PARAMS = {"num_threads": 1, "verbosity": -1, "num_leaves": 7, "learning_rate": 0.123456789, "lambda_l2": 1.5}
X, Y, W, _ = rare_positives()
OTHER_X, OTHER_Y, _, _ = rare_positives(seed=1, base=-3.0)

LOSSES = [
    FocalLoss(2),
    FocalLoss(2, alpha="balanced"),
    FocalLoss(LinearSchedule(0, 3, 8)),
    AsymmetricLoss(1, 3, 0.05),
    PowerCrossEntropy(2),
]


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_forgetting_all_on_the_same_data_gives_the_model_that_training_gave(loss):
    booster = engine.train(PARAMS, lgb.Dataset(X, Y, weight=W), 12, loss=loss)
    again = engine.refit(booster, X, Y, 0, weight=W, loss=loss)
    np.testing.assert_allclose(again.predict(X, raw_score=True), booster.predict(X, raw_score=True), atol=2e-5)
    np.testing.assert_allclose(engine.predict_proba(again, X), engine.predict_proba(booster, X), atol=1e-5)
    assert engine.link_of(again).loss.to_json() == engine.link_of(booster).loss.to_json()


def test_the_same_of_classes():
    X, y, w, _ = classes_problem(3000)
    loss = FocalLoss(2, alpha="balanced")
    booster = engine.train({**PARAMS, "num_class": 4}, lgb.Dataset(X, y, weight=w), 6, loss=loss, max_step=1)
    again = engine.refit(booster, X, y, 0, weight=w, max_step=1)
    np.testing.assert_allclose(engine.predict_proba(again, X), engine.predict_proba(booster, X), atol=1e-5)
    assert (
        np.abs(engine.predict_proba(engine.refit(booster, X, y, 0), X) - engine.predict_proba(booster, X)).max() > 1e-3
    )


def test_the_same_of_several_labels():
    X, y = labels_problem()
    fitted = FocalClassifier(lgb.LGBMClassifier(n_estimators=5, n_jobs=1, verbosity=-1), FocalLoss(2)).fit(X, y)
    again = engine.refit(fitted.estimator_.booster_, X, y, 0)
    np.testing.assert_allclose(engine.predict_proba(again, X), fitted.predict_proba(X), atol=1e-5)


def test_nothing_changes_at_decay_rate_1_but_the_calibration():
    booster = engine.train(PARAMS, lgb.Dataset(X, Y), 12, loss=FocalLoss(2))
    before = booster.model_to_string()
    same = engine.refit(booster, OTHER_X, OTHER_Y, 1)
    np.testing.assert_array_equal(same.predict(X, raw_score=True), booster.predict(X, raw_score=True))
    assert engine.predict_proba(same, OTHER_X)[:, 1].mean() == pytest.approx(OTHER_Y.mean(), rel=1e-5)
    assert booster.model_to_string() == before


def test_a_refitted_model_knows_its_population():
    booster = engine.train(PARAMS, lgb.Dataset(X, Y), 12, loss=FocalLoss(2, alpha="balanced"), base_rate=0.2)
    refitted = engine.refit(booster, OTHER_X, OTHER_Y)
    link = engine.link_of(refitted)
    assert link.base_rate == pytest.approx((OTHER_Y.mean(),))
    assert link.trained_base_rate == engine.link_of(booster).trained_base_rate
    assert link.alpha_follows_base_rate
    balanced_anew = engine.link_of(engine.refit(booster, OTHER_X, OTHER_Y, loss=FocalLoss(2, alpha="balanced")))
    assert balanced_anew.trained_base_rate == link.base_rate
    elsewhere = engine.link_of(engine.refit(booster, OTHER_X, OTHER_Y, base_rate=0.01))
    assert elsewhere.base_rate == (0.01,)
    margin = refitted.predict(X, raw_score=True)
    np.testing.assert_array_equal(elsewhere.classes(margin), link.classes(margin))


def test_decisions_are_balanced_on_the_new_data_whether_the_loss_is_given_or_not():
    loss = FocalLoss(2, alpha="balanced")
    booster = engine.train(PARAMS, lgb.Dataset(X, Y), 12, loss=loss)
    test_X, _, _, _ = rare_positives(seed=2, base=-3.0)
    alerted = []
    for given in (None, loss):
        refitted = engine.refit(booster, OTHER_X, OTHER_Y, 0.5, loss=given)
        link = engine.link_of(refitted)
        margin = refitted.predict(test_X, raw_score=True)
        np.testing.assert_array_equal(link.classes(margin), link.probabilities(margin)[:, 1] > OTHER_Y.mean())
        alerted.append(link.classes(margin).mean())
    assert alerted[0] == pytest.approx(alerted[1], rel=0.1)


def test_monotone_constraints_are_not_dropped_in_silence():
    free, bound = (
        engine.train({**PARAMS, "monotone_constraints": signs}, lgb.Dataset(X, Y), 2, loss=FocalLoss(2))
        for signs in ([0] * X.shape[1], [1] * X.shape[1])
    )
    engine.refit(free, X, Y)
    with pytest.warns(RuntimeWarning, match="monotone_constraints, which refitted leaves may break"):
        engine.refit(bound, X, Y)


@pytest.mark.parametrize("loss", [FocalLoss(0), FocalLoss(2)], ids=repr)
def test_a_refitted_model_is_right_on_the_new_data(loss):
    booster = engine.train(PARAMS, lgb.Dataset(X, Y), 30, loss=loss)
    refitted = engine.refit(booster, OTHER_X, OTHER_Y, 0.5)
    test_X, test_y, _, _ = rare_positives(seed=2, base=-3.0)

    def log_loss(model):
        return -np.log(engine.predict_proba(model, test_X)[np.arange(test_y.size), test_y.astype(int)]).mean()

    assert log_loss(refitted) < log_loss(booster)
    assert engine.predict_proba(refitted, OTHER_X)[:, 1].mean() == pytest.approx(OTHER_Y.mean(), rel=1e-5)
    for other in (copy.deepcopy(refitted), lgb.Booster(model_str=refitted.model_to_string())):
        np.testing.assert_allclose(engine.predict_proba(other, X), engine.predict_proba(refitted, X), rtol=1e-12)


def test_a_model_from_an_init_score_is_refitted_from_one():
    start = np.linspace(-4, 0, Y.size)
    booster = engine.train(PARAMS, lgb.Dataset(X, Y, init_score=start), 8, loss=FocalLoss(2))
    again = engine.refit(booster, X, Y, 0, init_score=start)
    np.testing.assert_allclose(again.predict(X, raw_score=True), booster.predict(X, raw_score=True), atol=2e-5)
    assert engine.link_of(again).to_json() == engine.link_of(booster).to_json()


def test_a_leaf_without_rows_keeps_its_share_and_the_intercept():
    booster = engine.train({**PARAMS, "num_leaves": 2}, lgb.Dataset(X, Y), 1, loss=FocalLoss(0))
    on_one_side = X[booster.predict(X, pred_leaf=True)[:, 0] == 0][:500]
    y = np.arange(on_one_side.shape[0]) % 2
    refitted = engine.refit(booster, on_one_side, y, 0.25)
    assert refitted.get_leaf_output(0, 1) == pytest.approx(0.25 * booster.get_leaf_output(0, 1))  # + 0.75 * logit(1/2)


def test_bad_input():
    booster = engine.train(PARAMS, lgb.Dataset(X, Y), 2, loss=FocalLoss(2))
    with pytest.raises(ValueError, match=r"decay_rate=1.5 is out of range"):
        engine.refit(booster, X, Y, 1.5)
    with pytest.raises(ValueError, match="label has 10 rows and data 4000"):
        engine.refit(booster, X, Y[:10])
    with pytest.raises(ValueError, match=r"label has shape \(4000, 2\): give \(n,\)"):
        engine.refit(booster, X, np.column_stack([Y, Y]))
    with pytest.raises(ValueError, match="labels of data go up to 2: give labels 0 and 1"):
        engine.refit(booster, X, np.where(Y == 1, 2, Y))
    with pytest.raises(ValueError, match=r"init_score has shape \(10,\): give \(4000,\)"):
        engine.refit(booster, X, Y, init_score=np.zeros(10))
    with pytest.raises(TypeError, match=r"a booster|booster is a"):
        engine.refit(booster.model_to_string(), X, Y)
    smooth = engine.train({**PARAMS, "path_smooth": 1.0}, lgb.Dataset(X, Y), 2, loss=FocalLoss(2))
    with pytest.raises(ValueError, match="path_smooth"):
        engine.refit(smooth, X, Y)
    native = lgb.train({**PARAMS, "objective": "binary"}, lgb.Dataset(X, Y), 2)
    with pytest.raises(ValueError, match="its loss is unknown"):
        engine.refit(native, X, Y)
