"""The ways in which LightGBM trains."""

import numpy as np
import pytest
from instances import TRAINED, NumpyFocalLoss
from lightgbm_data import PARAMS, data, features
from parity_lightgbm import Reset
from problems import rare_positives
from sklearn.metrics import average_precision_score

from gbm_focal import AsymmetricLoss, FocalClassifier, FocalLoss

lgb = pytest.importorskip("lightgbm")
engine = pytest.importorskip("gbm_focal.lightgbm")


@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_is_the_native_objective(weighted):
    X = features(20_000)
    native = lgb.train({**PARAMS, "objective": "binary"}, data(20_000, weighted=weighted), 100)
    ours = engine.train(PARAMS, data(20_000, weighted=weighted), 100, loss=FocalLoss(0), max_step=None)
    np.testing.assert_allclose(engine.predict_proba(ours, X)[:, 1], native.predict(X), atol=1e-5)
    assert native.predict(X).std() > 0.05


def test_integer_weights_are_repetitions():
    X, y, _, _ = rare_positives(3000)
    repeats = np.random.default_rng(1).integers(1, 4, y.size)
    X = np.round(X, 1)  # so that both data sets have the same bins
    params = {**PARAMS, "min_data_in_leaf": 1, "min_data_in_bin": 1}
    for loss in TRAINED:
        weighted = engine.train(params, lgb.Dataset(X, y, weight=repeats), 10, loss=loss)
        repeated = engine.train(params, lgb.Dataset(np.repeat(X, repeats, 0), np.repeat(y, repeats)), 10, loss=loss)
        pair = [engine.predict_proba(b, X)[:, 1] for b in (weighted, repeated)]
        np.testing.assert_allclose(*pair, atol=2e-3)


def test_users_data_sets_are_left_as_they_were():
    train_set = data(weighted=True).construct()
    valid = data(seed=1, reference=train_set).construct()
    before = [(d.get_label().copy(), d.get_init_score(), dict(d.params)) for d in (train_set, valid)]
    engine.train(PARAMS, train_set, 3, loss=FocalLoss(), valid_sets=[valid])
    for dataset, (label, init_score, params) in zip((train_set, valid), before, strict=True):
        np.testing.assert_array_equal(dataset.get_label(), label)
        assert dataset.get_init_score() is init_score is None
        assert dataset.params == params


def test_init_score_of_the_user():
    X, y, _, _ = rare_positives()
    start = np.linspace(-4, 0, y.size)
    gradients = []

    class Recording(FocalLoss):
        def fill_derivatives(self, y, z, *args, **kwargs):
            gradients.append(z + kwargs.get("offset", 0))
            super().fill_derivatives(y, z, *args, **kwargs)

    engine.train(PARAMS, lgb.Dataset(X, y, init_score=start), 1, loss=Recording(2.0))
    np.testing.assert_allclose(gradients[-1], start, atol=1e-12)


@pytest.mark.parametrize("loss", TRAINED, ids=repr)
def test_continued_training_equals_training_at_once(tmp_path, loss):
    X = features()
    whole = engine.train(PARAMS, data(), 10, loss=loss)
    begun = engine.train(PARAMS, data(), 4, loss=loss)
    begun.save_model(tmp_path / "begun.txt")
    for start in (begun, str(tmp_path / "begun.txt")):
        finished = engine.train(PARAMS, data(), 6, loss=loss, init_model=start)
        assert finished.num_trees() == 10
        pair = [b.predict(X, raw_score=True) for b in (finished, whole)]
        np.testing.assert_allclose(*pair, atol=1e-5)
        np.testing.assert_allclose(*(engine.predict_proba(b, X) for b in (finished, whole)), atol=1e-6)


def test_continuing_again_and_again_on_one_data_set():
    X, y, _, _ = rare_positives()
    train_set = data(free_raw_data=False)
    booster = None
    for rounds in (5, 10, 15):
        booster = engine.train(PARAMS, train_set, 5, loss=FocalLoss(), init_model=booster)
        assert booster.num_trees() == rounds
        np.testing.assert_allclose(engine.predict_proba(booster, X)[:, 1].mean(), y.mean(), rtol=1e-5)
    with pytest.raises(ValueError, match="make a new Dataset"):
        engine.train(PARAMS, train_set, 5, loss=FocalLoss())


@pytest.mark.parametrize("loss", [AsymmetricLoss(0, 0, 0.05), AsymmetricLoss(1, 0, 0.2)], ids=repr)
def test_asymmetric_cross_entropy_starts_at_its_edge_and_learns(loss):
    X, y, _, _ = rare_positives(20_000, base=-7)
    booster = engine.train(PARAMS, lgb.Dataset(X, y), 20, loss=loss)
    assert average_precision_score(y, engine.predict_proba(booster, X)[:, 1]) > 5 * y.mean()


@pytest.mark.filterwarnings("ignore:training ended without a single split")
def test_weights_of_a_subset_and_beside_a_file(tmp_path):
    X, y, w, _ = rare_positives()
    expected = FocalLoss().intercept(y[:2000], w[:2000])
    frozen = {**PARAMS, "min_gain_to_split": 1e9, "learning_rate": 1e-9}
    whole = lgb.Dataset(X, y, weight=w)
    subset = whole.subset(list(range(2000)))
    subset.label = y[:2000]
    with pytest.warns(UserWarning, match="Overriding the parameters"):
        booster = engine.train(frozen, subset, 1, loss=FocalLoss())
    np.testing.assert_allclose(booster.predict(X[:1], raw_score=True), expected, atol=1e-6)
    np.savetxt(tmp_path / "data.csv", np.column_stack([y, X])[:2000], delimiter=",")
    np.savetxt(tmp_path / "data.csv.weight", w[:2000])
    in_file = lgb.Dataset(tmp_path / "data.csv", label=y[:2000])
    booster = engine.train({**frozen, "label_column": 0}, in_file, 1, loss=FocalLoss())
    np.testing.assert_allclose(booster.predict(X[:1], raw_score=True), expected, atol=1e-6)


def test_data_set_in_a_file_and_subset(tmp_path):
    X, y, _, _ = rare_positives()
    np.savetxt(tmp_path / "data.csv", np.column_stack([y, X]), delimiter=",")
    booster = engine.train({**PARAMS, "label_column": 0}, lgb.Dataset(tmp_path / "data.csv"), 5, loss=FocalLoss())
    expected = engine.predict_proba(engine.train(PARAMS, data(), 5, loss=FocalLoss()), X)
    np.testing.assert_allclose(engine.predict_proba(booster, X), expected, atol=1e-6)
    rows = list(range(2000))
    with pytest.warns(UserWarning, match="Overriding the parameters"):  # LightGBM's own, as without us
        subset = engine.train(PARAMS, data().subset(rows), 5, loss=FocalLoss())
    assert abs(engine.predict_proba(subset, X)[:, 1].mean() / y[rows].mean() - 1) < 0.2


def test_own_loss_trains_like_the_built_in_one():
    pair = [engine.train(PARAMS, data(), 5, loss=loss(2.0, "balanced")) for loss in (NumpyFocalLoss, FocalLoss)]
    np.testing.assert_allclose(*(engine.predict_proba(b, features())[:, 1] for b in pair), atol=1e-5)


@pytest.mark.parametrize("max_step", [0.5, 2.0])
@pytest.mark.parametrize("loss", TRAINED, ids=repr)
def test_no_leaf_takes_a_longer_step(loss, max_step):
    X, y, _, _ = rare_positives(20_000, base=-7)
    params = {**PARAMS, "num_leaves": 31, "learning_rate": 0.3, "lambda_l2": 0, "min_sum_hessian_in_leaf": 0}
    intercept = loss.intercept(y)
    for kind in ("fisher", "exact"):
        booster = engine.train(params, lgb.Dataset(X, y), 30, loss=loss, hessian=kind, max_step=max_step)
        trees = booster.trees_to_dataframe()
        leaves = trees[trees.split_feature.isna()]
        first = leaves.tree_index == 0
        steps = np.abs(leaves.value - np.where(first, intercept, 0)) / 0.3
        assert steps.max() <= max_step * (1 + 1e-5)
        assert steps.max() > 0.5 * max_step


@pytest.mark.parametrize("constructed", [False, True])
def test_data_without_a_usable_feature(constructed):
    y = np.array([0, 1] * 50)
    dataset = lgb.Dataset(np.ones((100, 3)), y)
    if constructed:
        with pytest.raises(ValueError, match="feature_pre_filter"):
            engine.train(PARAMS, dataset.construct(), 3, loss=FocalLoss())
    else:
        with pytest.warns(RuntimeWarning, match="without a single split"):
            booster = engine.train(PARAMS, dataset, 3, loss=FocalLoss())
        np.testing.assert_allclose(engine.predict_proba(booster, np.ones((2, 3))), 0.5)


def test_who_replaces_lightgbm_train_never_sees_an_unfinished_booster(monkeypatch):
    def logged(*_, **__):
        pytest.fail("MLflow's autologging would store the booster before it has its intercept and link")

    monkeypatch.setattr(lgb, "train", logged)
    X, y, _, _ = rare_positives(500)
    engine.train({"verbosity": -1, "num_threads": 1}, lgb.Dataset(X, y), 2, loss=FocalLoss(2))


DART = {**PARAMS, "boosting": "dart", "drop_rate": 0.5, "skip_drop": 0.0}


@pytest.mark.parametrize("loss", [FocalLoss(0), FocalLoss(2)], ids=repr)
def test_calibration_leaves_dart_its_trees(loss):
    # Where the objective is in Python, LightGBM's draws of the first round depend on what was in memory.
    params, begin_draws_anew = {**DART, "boost_from_average": False}, Reset(1)
    calibrated, bare = (
        engine.train(params, data(), 8, loss=loss, calibrate=calibrate, callbacks=[begin_draws_anew])
        for calibrate in (True, False)
    )
    X, y, _, _ = rare_positives()
    np.testing.assert_array_equal(calibrated.predict(X, raw_score=True), bare.predict(X, raw_score=True))
    assert engine.predict_proba(calibrated, X)[:, 1].mean() == pytest.approx(y.mean(), rel=1e-5)
    assert calibrated.params.get("skip_drop") == 0.0


def test_dart_is_not_evaluated_on_its_training_data():
    train_set = data()
    with pytest.raises(ValueError, match="would drop trees from the finished model"):
        engine.train(DART, train_set, 3, loss=FocalLoss(2), valid_sets=[data(seed=1, reference=train_set), train_set])
    X, y, _, _ = rare_positives()
    estimator = lgb.LGBMClassifier(n_estimators=3, n_jobs=1, verbosity=-1, boosting_type="dart")
    with pytest.raises(ValueError, match="would drop trees from the finished model"):
        FocalClassifier(estimator).fit(X, y, eval_set=[(X, y)])
