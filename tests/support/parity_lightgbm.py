"""LightGBM's own binary and multiclass, and ours, on each of its paths."""

import copy
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from parity import SAME_LOSS, Case, binary, start_of, three_classes, with_categories, with_gaps
from scipy.special import logit

from gbm_focal import AsymmetricLoss, FocalClassifier

lgb = pytest.importorskip("lightgbm")
engine = pytest.importorskip("gbm_focal.lightgbm")

PARAMS = {
    "num_leaves": 12,
    "learning_rate": 0.3,
    "num_threads": 1,
    "verbosity": -1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": 7,
}
ESTIMATOR = {"num_leaves": 12, "learning_rate": 0.3, "n_jobs": 1, "verbosity": -1, "random_state": 7}

AT_ZERO = {"boost_from_average": False}
DROPPING = {"boosting": "dart", "drop_rate": 0.3, "skip_drop": 0.2, "uniform_drop": True}


class Native:
    """LightGBM by itself."""

    def train(self, params, data, rounds=10, **kwargs):
        objective = "multiclass" if "num_class" in params else "binary"
        return lgb.train({**PARAMS, "objective": objective, **params}, data, rounds, **kwargs)

    def cv(self, params, data, rounds=10, **kwargs):
        return lgb.cv({**PARAMS, "objective": "binary", **params}, data, rounds, return_cvbooster=True, **kwargs)

    def classifier(self, **params):
        return lgb.LGBMClassifier(**{**ESTIMATOR, **params})


class Ours:
    """LightGBM with our loss."""

    def train(self, params, data, rounds=10, **kwargs):
        return engine.train({**PARAMS, **params}, data, rounds, **SAME_LOSS, **kwargs)

    def cv(self, params, data, rounds=10, **kwargs):
        objective = engine.Objective(SAME_LOSS["loss"], max_step=None)
        params = {**PARAMS, "objective": objective, "metric": "None", **params}
        return lgb.cv(params, data, rounds, return_cvbooster=True, feval=engine.Metric(SAME_LOSS["loss"]), **kwargs)

    def classifier(self, **params):
        return FocalClassifier(
            lgb.LGBMClassifier(**{**ESTIMATOR, **params}), SAME_LOSS["loss"], max_step=None, pseudo_count=0
        )


def dataset(problem=binary, seed=0, **kwargs):
    X, y, w = problem(seed=seed)
    return lgb.Dataset(X, y, weight=w, **kwargs)


def features(problem=binary, seed=0):
    return problem(seed=seed)[0]


def margin(booster, X, **kwargs):
    """Margins; those of classes without their mean, which softmax does not see: natively they start at log-rates."""
    given = booster.predict(X, raw_score=True, **kwargs)
    return given if given.ndim == 1 else given - given.mean(axis=1, keepdims=True)


def trains(problem=binary, rounds=10, **params):
    """Train with parameters, and predict rows seen and unseen."""

    def run(side):
        booster = side.train(params, dataset(problem), rounds)
        X = features(problem)
        return [margin(booster, X), margin(booster, features(problem, seed=1)), booster.predict(X)]

    return run


class Reset:
    """Sets a parameter to what it is, before a round; LightGBM then begins its random numbers anew."""

    before_iteration = True

    def __init__(self, number):
        self.number = number

    def __call__(self, environment):
        if environment.iteration == environment.begin_iteration + self.number:
            environment.model.reset_parameter({"learning_rate": PARAMS["learning_rate"]})


def columns_of_the_same_draw(side, problem=binary, **params):
    # LightGBM draws the columns of the first tree once more where the objective is in Python (its issue 6053).
    callbacks = [Reset(0)] if isinstance(side, Native) else None
    params = {"feature_fraction": 0.6, **params}
    return [margin(side.train(params, dataset(problem), callbacks=callbacks), features(problem))]


def drops_the_same(side, problem=binary, **params):
    # Where the objective is in Python, LightGBM asks a flag that it has not set yet whether trees are to be dropped in
    # the first round, in which there are none: the numbers drawn after that depend on what was in memory.
    return [margin(side.train({**DROPPING, **params}, dataset(problem), callbacks=[Reset(1)]), features(problem))]


def drops_and_evaluates(side):
    train_set = dataset()
    return [margin(side.train(DROPPING, train_set, valid_sets=[train_set]), features())]


def drops_the_same_from_init_score(side):
    if isinstance(side, Ours):
        return drops_the_same(side)
    X, y, w = binary()
    start = logit(np.average(y, weights=w))
    data = lgb.Dataset(X, y, weight=w, init_score=np.full(y.size, start))
    return [start + margin(side.train(DROPPING, data, callbacks=[Reset(1)]), X)]


def one_against_the_rest(side):
    params = {"num_class": 3, "boost_from_average": False}
    if isinstance(side, Native):
        booster = side.train({**params, "objective": "multiclassova"}, dataset(three_classes))
    else:
        booster = engine.train(
            {**PARAMS, **params},
            dataset(three_classes),
            10,
            loss=AsymmetricLoss(0, 0, 0),
            max_step=None,
            pseudo_count=0,
        )
    return [booster.predict(features(three_classes), raw_score=True)]


def sparse(side):
    X, y, w = with_gaps()
    X = scipy.sparse.csr_matrix(np.nan_to_num(X))
    return [margin(side.train({}, lgb.Dataset(X, y, weight=w)), X)]


def init_score(side):
    X, y, w = binary()
    return [margin(side.train({}, lgb.Dataset(X, y, weight=w, init_score=start_of(y))), X)]


def init_score_of_classes(side):
    X, y, w = three_classes()
    start = np.column_stack([start_of(y), -start_of(y), 0 * y])
    return [margin(side.train(THREE, lgb.Dataset(X, y, weight=w, init_score=start)), X)]


def init_score_continued(side):
    X, y, w = binary()
    begun = side.train({}, dataset(), 5)
    data = lgb.Dataset(X, y, weight=w, init_score=start_of(y))
    return [margin(side.train({}, data, 5, init_model=begun), X)]


def init_score_stopped(side):
    X, y, w = binary()
    data = lgb.Dataset(X, y, weight=w, init_score=start_of(y))
    X_valid, y_valid, w_valid = binary(seed=1)
    valid = lgb.Dataset(X_valid, y_valid, weight=w_valid, init_score=start_of(y_valid), reference=data)
    booster = side.train({}, data, 60, valid_sets=[valid], callbacks=[lgb.early_stopping(3, verbose=False)])
    return [margin(booster, X), np.array([booster.best_iteration])]


def labels_of_signs(side):
    X, y, w = binary()
    return [margin(side.train({}, lgb.Dataset(X, 2 * y - 1, weight=w)), X)]


def subset(side):
    booster = side.train({}, dataset(free_raw_data=False).construct().subset(list(range(1000))))
    return [margin(booster, features())]


def file_of_data(side):
    X, y, w = binary()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.csv"
        np.savetxt(path, np.column_stack([y, X]), delimiter=",")
        np.savetxt(f"{path}.weight", w)
        return [margin(side.train({"label_column": 0}, lgb.Dataset(path)), X)]


def continued(side):
    booster = side.train({}, dataset(), 5, init_model=side.train({}, dataset(), 5))
    return [margin(booster, features())]


def continued_with_classes(side):
    begun = side.train(THREE, dataset(three_classes), 5)
    return [margin(side.train(THREE, dataset(three_classes), 5, init_model=begun), features(three_classes))]


def continued_after_early_stopping(side):
    return [margin(side.train({}, dataset(), 5, init_model=stops(side)), features())]


def continued_on_other_rows(side):
    booster = side.train({}, dataset(seed=2), 5, init_model=side.train({}, dataset(), 5))
    return [margin(booster, features())]


def continued_from_file(side):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "begun.txt"
        side.train({}, dataset(), 5).save_model(path)
        return [margin(side.train({"learning_rate": 0.1}, dataset(), 5, init_model=path), features())]


def continued_from_native(side):
    return [margin(side.train({}, dataset(), 5, init_model=Native().train({}, dataset(), 5)), features())]


def continued_by_native(side):
    return [margin(Native().train({}, dataset(), 5, init_model=side.train({}, dataset(), 5)), features())]


def sliced(side):
    booster = side.train({}, dataset())
    X = features()
    parts = ({"num_iteration": 4}, {"start_iteration": 2, "num_iteration": 4}, {"start_iteration": 5})
    return [margin(booster, X, **part) for part in parts]


def slower_and_slower(side):
    callback = lgb.reset_parameter(learning_rate=lambda epoch: 0.5 * 0.8**epoch)
    return [margin(side.train({}, dataset(), callbacks=[callback]), features())]


def firmer_and_firmer(side):
    callback = lgb.reset_parameter(lambda_l2=[1.5**epoch for epoch in range(10)])
    return [margin(side.train({}, dataset(), callbacks=[callback]), features())]


def stops(side, problem=binary, **params):
    data = dataset(problem)
    valid = dataset(problem, seed=1, reference=data)
    callback = lgb.early_stopping(3, verbose=False)
    return side.train({"learning_rate": 0.5, **params}, data, 60, valid_sets=[valid], callbacks=[callback])


def stopped(side, problem=binary, **params):
    booster = stops(side, problem, **params)
    return [margin(booster, features(problem)), np.array([booster.best_iteration])]


def metric_of_the_order(side):
    data, history = dataset(), {}
    params = {"metric": ["auc", "average_precision"]}
    callback = lgb.record_evaluation(history)
    booster = side.train(params, data, valid_sets=[dataset(seed=1, reference=data)], callbacks=[callback])
    (scores,) = history.values()
    return [margin(booster, features()), *(np.array(scores[name]) for name in params["metric"])]


def cross_validated(side, **kwargs):
    params = {"boost_from_average": False, "learning_rate": 0.5}
    result = side.cv(params, dataset(), nfold=3, seed=3, **kwargs)
    boosters = result["cvbooster"]
    rounds = boosters.best_iteration
    return [*(margin(one, features(), num_iteration=rounds) for one in boosters.boosters), np.array([rounds])]


def cross_validated_and_stopped(side):
    return cross_validated(side, callbacks=[lgb.early_stopping(3, verbose=False)])


def cross_validated_from_base_rates(side):
    boosters = side.cv({}, dataset(), nfold=3, seed=3)["cvbooster"].boosters
    return [margin(one, features()) for one in boosters]


def saved(side):
    booster = side.train({}, dataset())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.txt"
        booster.save_model(path)
        loaded = lgb.Booster(model_file=path)
    return [margin(loaded, features()), loaded.predict(features())]


def as_string(side):
    loaded = lgb.Booster(model_str=side.train({}, dataset()).model_to_string())
    return [margin(loaded, features()), loaded.predict(features())]


def pickled(side):
    loaded = pickle.loads(pickle.dumps(side.train({}, dataset())))
    return [margin(loaded, features()), loaded.predict(features())]


def copied(side):
    booster = side.train({}, dataset())
    return [margin(model, features()) for model in (copy.copy(booster), copy.deepcopy(booster))]


def leaves(side):
    """Values of all leaves, which are the same in JSON and in tables."""
    booster = side.train({}, dataset())
    trees = booster.trees_to_dataframe()
    return [margin(booster, features()), trees[trees.split_feature.isna()].value.to_numpy()]


def predicts(problem=binary, params=None, **kwargs):
    def run(side):
        booster = side.train(params or {}, dataset(problem))
        return [margin(booster, features(problem)), booster.predict(features(problem, seed=1), **kwargs)]

    return run


def predicts_roughly(side):
    booster = side.train({}, dataset(), 40)
    early = {"pred_early_stop": True, "pred_early_stop_freq": 5, "pred_early_stop_margin": 1.0}
    return [margin(booster, features(), **early), booster.predict(features(), **early)]


def contributions(side):
    booster = side.train(THREE, dataset(three_classes))
    given = booster.predict(features(three_classes), pred_contrib=True).reshape(-1, 3, 6)
    given[:, :, -1] -= given[:, :, -1].mean(axis=1, keepdims=True)  # the start, of which see `margin`
    return [margin(booster, features(three_classes)), given]


def metric_up_to_its_unit(side):
    data, history = dataset(), {}
    valid = dataset(seed=1, reference=data)
    booster = side.train({}, data, valid_sets=[valid], callbacks=[lgb.record_evaluation(history)])
    (values,) = history["valid_0"].values()
    return [margin(booster, features()), np.array(values) / values[0]]


def metric_of_the_user(side):
    """The mean of what a function of the user is called with."""
    data, seen = dataset(), []

    def mean(prediction, _):
        seen.append(prediction.mean())
        return "mean", seen[-1], False

    booster = side.train({}, data, valid_sets=[dataset(seed=1, reference=data)], feval=mean)
    return [margin(booster, features()), np.array(seen)]


def stopped_by_a_parameter(side):
    data = dataset()
    params = {"learning_rate": 0.5, "early_stopping_round": 3}
    booster = side.train(params, data, 60, valid_sets=[dataset(seed=1, reference=data)])
    return [margin(booster, features()), np.array([booster.best_iteration])]


def refit(side, booster, X, y, w, decay_rate):
    if isinstance(side, Native):
        return booster.refit(X, y, weight=w, decay_rate=decay_rate, verbosity=-1)
    return engine.refit(booster, X, y, weight=w, decay_rate=decay_rate, max_step=None)


def refits(data_of=binary, decay_rate=0.5, through=lambda booster: booster, **params):
    """Refit leaves to other data."""

    def run(side):
        booster = through(side.train(params, dataset(data_of)))
        return [margin(refit(side, booster, *data_of(seed=2), decay_rate), features(data_of))]

    return run


def as_read(booster):
    with tempfile.TemporaryDirectory() as folder:  # a string loses the parameters natively, before LightGBM 4.7
        path = Path(folder) / "model.txt"
        booster.save_model(path)
        return lgb.Booster(model_file=path)


def probabilities(side):
    booster = side.train({}, dataset())
    if isinstance(side, Native):
        positive = booster.predict(features(seed=1))
        return [np.column_stack([1 - positive, positive])]
    return [engine.predict_proba(booster, features(seed=1))]


def importances(side):
    booster = side.train({}, dataset())
    gain = np.log(booster.feature_importance("gain"))
    return [margin(booster, features()), gain, booster.feature_importance("split")]


def goes_on_by_itself(side):
    booster = side.train({}, dataset(), keep_training_booster=True)
    booster.update()
    return [margin(booster, features())]


def linear_by_data_set(side):
    return [margin(side.train({}, dataset(params={"linear_tree": True})), features())]


def fitted_margin(side, model, X):
    fitted = model.estimator_ if isinstance(side, Ours) else model
    return fitted.predict(X, raw_score=True)


def estimates(problem=binary, **params):
    """Fit a classifier with parameters; if they say where to start, probabilities are not the engine's own."""

    def run(side):
        X, y, w = problem()
        model = side.classifier(**params).fit(X, y.astype(int), sample_weight=w)
        if "boost_from_average" in params:
            return [fitted_margin(side, model, rows) for rows in (X, problem(seed=1)[0])]
        return [model.predict_proba(X), model.predict_proba(problem(seed=1)[0]), model.predict(X)]

    return run


def estimates_and_goes_on(side):
    X, y, w = binary()
    begun = side.classifier(n_estimators=5).fit(X, y, sample_weight=w)
    begun = begun.estimator_ if isinstance(side, Ours) else begun
    model = side.classifier(n_estimators=5).fit(X, y, sample_weight=w, init_model=begun)
    return [fitted_margin(side, model, X)]


def estimates_from_a_start(side):
    X, y, w = binary()
    return [side.classifier(n_estimators=10).fit(X, y, sample_weight=w, init_score=start_of(y)).predict_proba(X)]


def estimates_and_stops(side):
    X, y, w = binary()
    X_valid, y_valid, w_valid = binary(seed=1)
    model = side.classifier(n_estimators=60, learning_rate=0.5, early_stopping_round=3)
    ours = isinstance(side, Ours)
    weights = {"eval_sample_weight": [w_valid]}
    model.fit(X, y, sample_weight=w, eval_set=[(X_valid, y_valid)], **weights)
    fitted = model.estimator_ if ours else model
    return [model.predict_proba(X_valid), np.array([fitted.best_iteration_])]


THREE = {"num_class": 3}
BAGGED = {"bagging_fraction": 0.6, "bagging_freq": 1}
QUANTISED = {"use_quantized_grad": True}

CASES = [
    # How trees grow.
    Case("leaf by leaf", trains()),
    Case("three classes", trains(three_classes, **THREE)),
    Case('`objective="multiclassova"` as `AsymmetricLoss(0, 0, 0)`', one_against_the_rest),
    Case("`max_depth=2`", trains(max_depth=2)),
    Case("`force_col_wise=True`", trains(force_row_wise=False, force_col_wise=True)),
    Case("`max_bin=16`", trains(max_bin=16)),
    Case("`lambda_l1`, `lambda_l2`, `min_gain_to_split`", trains(lambda_l1=0.5, lambda_l2=5, min_gain_to_split=0.5)),
    Case("`max_delta_step=0.5`", trains(max_delta_step=0.5)),
    Case("`path_smooth=5`", trains(path_smooth=5)),
    Case("`cegb_penalty_split`", trains(cegb_penalty_split=0.005)),
    Case("`extra_trees=True`", trains(extra_trees=True)),
    *(
        Case(
            f"`monotone_constraints`, {method}",
            trains(monotone_constraints=[1, 1, 0, 0, -1], monotone_constraints_method=method),
        )
        for method in ("basic", "intermediate", "advanced")
    ),
    Case("`interaction_constraints`", trains(interaction_constraints=[[0, 1], [2, 3, 4]])),
    Case("`use_quantized_grad=True`", trains(**QUANTISED)),
    Case("`use_quantized_grad=True`, renewed leaves", trains(**QUANTISED, quant_train_renew_leaf=True)),
    Case("`use_quantized_grad=True`, three classes", trains(three_classes, **THREE, **QUANTISED)),
    # Boosting.
    Case(
        '`boosting="dart"`, `boost_from_average=False`, the same draws',
        lambda side: drops_the_same(side, boost_from_average=False),
    ),
    Case(
        '`boosting="dart"`, `boost_from_average=False`, the same draws, three classes',
        lambda side: drops_the_same(side, three_classes, **THREE, boost_from_average=False),
    ),
    Case(
        '`boosting="dart"`, natively with the base rate as `init_score`, the same draws',
        drops_the_same_from_init_score,
    ),
    Case(
        '`boosting="dart"`',
        drops_the_same,
        differs="natively the base rate is part of the first tree, and dropped with it, and here it stays; margins by "
        "up to 0.8, and here LightGBM may drop other trees in another run",
    ),
    # Samples.
    Case('`boosting="goss"`', trains(boosting="goss")),
    Case('`data_sample_strategy="goss"`', trains(data_sample_strategy="goss")),
    Case('`data_sample_strategy="goss"`, three classes', trains(three_classes, **THREE, data_sample_strategy="goss")),
    Case("`bagging_fraction`", trains(**BAGGED)),
    Case("`bagging_fraction`, three classes", trains(three_classes, **THREE, **BAGGED)),
    Case("`bagging_fraction`, quantised gradients", trains(**BAGGED, **QUANTISED)),
    Case("`feature_fraction_bynode`", trains(feature_fraction_bynode=0.6)),
    Case("`feature_fraction`, the same draws", columns_of_the_same_draw),
    Case(
        "`feature_fraction`, the same draws, three classes",
        lambda side: columns_of_the_same_draw(side, three_classes, **THREE),
    ),
    Case(
        "`feature_fraction`",
        trains(feature_fraction=0.6),
        differs="LightGBM draws the columns of the first tree once more where the objective is in Python "
        "([its issue 6053](https://github.com/microsoft/LightGBM/issues/6053)), so that all trees see others; margins "
        "by up to 2.0",
    ),
    # Data.
    Case("missing values", trains(with_gaps)),
    Case("missing values, `use_missing=False`", trains(with_gaps, use_missing=False)),
    Case("sparse features", sparse),
    Case("categories, by partition", trains(with_categories, max_cat_to_onehot=1)),
    Case("categories, one against all", trains(with_categories, max_cat_to_onehot=20)),
    Case("data in a file", file_of_data),
    Case("`Dataset.subset`", subset),
    # Where it starts.
    Case("`boost_from_average=False`", trains(boost_from_average=False)),
    Case("`boost_from_average=False`, three classes", trains(three_classes, **THREE, boost_from_average=False)),
    Case("`init_score`", init_score),
    Case("`init_score`, three classes", init_score_of_classes),
    Case("`init_score`, early stopping", init_score_stopped),
    Case("continuation of a booster", continued),
    Case("continuation on other rows", continued_on_other_rows),
    Case("continuation of a file", continued_from_file),
    Case("continuation of a native booster", continued_from_native),
    Case("native continuation", continued_by_native),
    Case("continuation, three classes", continued_with_classes),
    Case("continuation after early stopping", continued_after_early_stopping),
    Case("continuation, `init_score`", init_score_continued),
    # Rounds.
    Case("`reset_parameter(learning_rate=...)`", slower_and_slower),
    Case("`reset_parameter(lambda_l2=...)`", firmer_and_firmer),
    Case("early stopping", stopped),
    Case("early stopping, three classes", lambda side: stopped(side, three_classes, **THREE)),
    Case("early stopping by a parameter", stopped_by_a_parameter),
    Case('early stopping on `metric="auc"`', lambda side: stopped(side, metric="auc")),
    Case('`metric=["auc", "average_precision"]`', metric_of_the_order),
    Case("`num_iterations`", trains(num_iterations=4)),
    Case("the loss as metric, in the unit of its first value", metric_up_to_its_unit),
    Case(
        "`feval` of the user",
        metric_of_the_user,
        differs="it gets the margin, as under each objective in Python, and natively the probability",
    ),
    Case(
        "`lightgbm.cv` of `Objective`",
        cross_validated_from_base_rates,
        differs="its folds start at a margin of 0, and natively at the base rate of each; margins by up to 1.8",
    ),
    Case("`lightgbm.cv` of `Objective`, `boost_from_average=False`", cross_validated),
    Case("`lightgbm.cv` of `Objective`, `boost_from_average=False`, early stopping", cross_validated_and_stopped),
    # Models.
    Case("slices, `num_iteration` and `start_iteration`", sliced),
    Case("text file", saved),
    Case("string", as_string),
    Case("pickle", pickled),
    Case("copies", copied),
    Case("table of the trees", leaves),
    Case("`pred_contrib`", predicts(pred_contrib=True)),
    Case("`pred_contrib`, three classes", contributions),
    Case("`pred_leaf`", predicts(pred_leaf=True)),
    Case("`pred_early_stop`", predicts_roughly),
    Case("`refit`, `boost_from_average=False`", refits(**AT_ZERO)),
    Case("`refit`, `boost_from_average=False`, `decay_rate=0`", refits(decay_rate=0, **AT_ZERO)),
    Case("`refit`, `boost_from_average=False`, of a file", refits(through=as_read, **AT_ZERO)),
    Case(
        "`refit`, `boost_from_average=False`, `lambda_l1`, `lambda_l2`, `max_delta_step`",
        refits(lambda_l1=0.5, lambda_l2=2, max_delta_step=0.4, **AT_ZERO),
    ),
    Case("`refit`, `boost_from_average=False`, missing values", refits(with_gaps, **AT_ZERO)),
    Case("`refit`, `boost_from_average=False`, categories", refits(with_categories, **AT_ZERO)),
    Case("`refit`, `boost_from_average=False`, three classes", refits(three_classes, **THREE, **AT_ZERO)),
    Case(
        "`refit`",
        refits(),
        differs="LightGBM starts at a margin of 0 and asks the first tree to make up for it; ours starts at the base "
        "rate of the new data",
    ),
    Case("`predict_proba`", probabilities),
    Case("importances", importances),
    # Classifiers.
    Case("`LGBMClassifier`", estimates(n_estimators=10)),
    Case("`LGBMClassifier`, three classes", estimates(three_classes, n_estimators=10)),
    Case("`LGBMClassifier`, categories", estimates(with_categories, n_estimators=10)),
    Case("`LGBMClassifier`, missing values", estimates(with_gaps, n_estimators=10)),
    Case(
        "`LGBMClassifier(boost_from_average=False)`",
        estimates(n_estimators=10, boost_from_average=False),
    ),
    Case("`LGBMClassifier`, continuation", estimates_and_goes_on),
    Case("`LGBMClassifier`, early stopping", estimates_and_stops),
    # What is refused.
    Case('`boosting="dart"`, training data evaluated', drops_and_evaluates, "would drop trees from the finished model"),
    Case('`boosting="rf"`', trains(boosting="rf", **BAGGED), "LightGBM's random forest takes no starting margin"),
    Case("`linear_tree=True`", trains(linear_tree=True), "linear_tree=True is not possible here"),
    Case("`linear_tree=True` of the data set", linear_by_data_set, "linear_tree=True is not possible here"),
    Case("`is_unbalance=True`", trains(is_unbalance=True), "has no effect on a custom objective"),
    Case("`scale_pos_weight`", trains(scale_pos_weight=3), "has no effect on a custom objective"),
    Case(
        "`pos_bagging_fraction`",
        trains(pos_bagging_fraction=0.6, bagging_freq=1),
        "has no effect on a custom objective",
    ),
    Case('`metric="binary_logloss"`', trains(metric="binary_logloss"), "would take the margin for a probability"),
    Case('`objective="cross_entropy"`', trains(objective="cross_entropy"), "contradicts loss="),
    Case("`keep_training_booster=True`", goes_on_by_itself, "keep_training_booster=True is not possible here"),
    Case("`feature_pre_filter=True`", trains(feature_pre_filter=True), "feature_pre_filter=True makes LightGBM fail"),
    Case(
        "`LGBMClassifier(class_weight=...)`",
        estimates(class_weight="balanced"),
        "class_weight='balanced' of the estimator has no effect",
    ),
    Case("`LGBMClassifier.fit(init_score=...)`", estimates_from_a_start, "init_score is not possible here"),
    Case("labels -1 and 1", labels_of_signs, "give labels 0 and 1"),
    Case("`sigmoid=2`", trains(sigmoid=2), "has no effect on a custom objective"),
]
