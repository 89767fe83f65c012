"""XGBoost's own binary:logistic and multi:softprob, and ours, on each of its paths."""

import copy
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from parity import SAME_LOSS, Case, binary, start_of, three_classes, two_labels, with_categories, with_gaps
from xgboost_data import XGBOOST_STARTS_COLUMNS_APART

from gbm_focal import FocalClassifier

xgb = pytest.importorskip("xgboost")
engine = pytest.importorskip("gbm_focal.xgboost")

# Where XGBoost itself starts differs between older versions.
START = {} if XGBOOST_STARTS_COLUMNS_APART else {"base_score": 0.5}
PARAMS = {**START, "nthread": 1, "max_depth": 4, "eta": 0.3, "min_child_weight": 3, "seed": 7}
ESTIMATOR = {**START, "n_jobs": 1, "max_depth": 4, "learning_rate": 0.3, "min_child_weight": 3, "random_state": 7}
THREE = {"num_class": 3, "base_score": 0.5}  # the same start: XGBoost's own is up to 1e-6 beside ours


class Native:
    """XGBoost by itself."""

    def train(self, params, matrix, rounds=10, **kwargs):
        objective = "multi:softprob" if "num_class" in params else "binary:logistic"
        return xgb.train({**PARAMS, "objective": objective, **params}, matrix, rounds, **kwargs)

    def cv(self, params, matrix, rounds=10, **kwargs):
        return xgb.cv({**PARAMS, "objective": "binary:logistic", **params}, matrix, rounds, **kwargs)

    def classifier(self, kind=xgb.XGBClassifier, **params):
        return kind(**{**ESTIMATOR, **params})


class Ours:
    """XGBoost with our loss."""

    def train(self, params, matrix, rounds=10, **kwargs):
        return engine.train({**PARAMS, **params}, matrix, rounds, **SAME_LOSS, **kwargs)

    def cv(self, params, matrix, rounds=10, **kwargs):
        objective = engine.Objective(SAME_LOSS["loss"], max_step=None)
        params = {**PARAMS, "objective": "binary:logistic", "disable_default_eval_metric": True, **params}
        metric = engine.Metric(SAME_LOSS["loss"])
        return xgb.cv(params, matrix, rounds, obj=objective, custom_metric=metric, **kwargs)

    def classifier(self, kind=xgb.XGBClassifier, **params):
        return FocalClassifier(kind(**{**ESTIMATOR, **params}), SAME_LOSS["loss"], max_step=None, pseudo_count=0)


def matrix(problem=binary, seed=0, kind=xgb.DMatrix, **kwargs):
    X, y, w = problem(seed=seed)
    return kind(X, label=y, weight=w, **kwargs)


def margin(booster, data, **kwargs):
    return booster.predict(data, output_margin=True, **kwargs)


def trains(problem=binary, rounds=10, *, kind=xgb.DMatrix, **params):
    """Train with parameters, and predict rows seen and unseen."""
    categorical = {"enable_categorical": True} if problem is with_categories else {}

    def run(side):
        data = matrix(problem, kind=kind, **categorical)
        booster = side.train(params, data, rounds)
        return [margin(booster, data), margin(booster, matrix(problem, seed=1, **categorical)), booster.predict(data)]

    return run


def starts_by_itself(problem, **params):
    run = trains(problem, **params)

    def run_where_columns_have_starts(side):
        if not XGBOOST_STARTS_COLUMNS_APART:
            pytest.skip("this XGBoost has one start for all columns")
        return run(side)

    return run_where_columns_have_starts


def trains_by_hand(side):
    """Train by XGBoost's own function, with the objective alone."""
    data = matrix()
    if isinstance(side, Native):
        return [margin(side.train({"base_score": 0.3}, data), data)]
    objective = engine.Objective(SAME_LOSS["loss"], max_step=None)
    params = {**PARAMS, "objective": "binary:logistic", "base_score": 0.3}
    return [margin(xgb.train(params, data, 10, obj=objective), data)]


def estimates_by_hand(side):
    """Fit XGBoost's own classifier, with the objective alone."""
    X, y, w = binary()
    native = isinstance(side, Native)
    objective = "binary:logistic" if native else engine.Objective(SAME_LOSS["loss"], max_step=None)
    model = xgb.XGBClassifier(**{**ESTIMATOR, "n_estimators": 10, "base_score": 0.5, "objective": objective})
    model.fit(X, y, sample_weight=w)
    return [model.predict(X, output_margin=True)]


def sparse(side):
    X, y, w = with_gaps()
    data = xgb.DMatrix(scipy.sparse.csr_matrix(np.nan_to_num(X)), label=y, weight=w)
    return [margin(side.train({}, data), data)]


def soft_labels(side):
    X, y, w = binary()
    data = xgb.DMatrix(X, label=0.1 + 0.8 * y, weight=w)
    return [margin(side.train({}, data), data)]


def base_margin(side):
    X, y, w = binary()
    data = xgb.DMatrix(X, label=y, weight=w, base_margin=start_of(y))
    booster = side.train({}, data)
    return [margin(booster, data), margin(booster, xgb.DMatrix(X, base_margin=start_of(y)))]


def linear(side):
    data = matrix()
    # Of trees it takes no parameters.
    params = {"booster": "gblinear", "updater": "coord_descent", "max_depth": None, "min_child_weight": None}
    booster = side.train(params, data)
    return [margin(booster, data), margin(booster, matrix(seed=1))]


def base_margin_of_classes(side):
    X, y, w = three_classes()
    data = xgb.DMatrix(X, label=y, weight=w, base_margin=np.column_stack([start_of(y), -start_of(y), 0 * y]))
    return [margin(side.train(THREE, data), data)]


def base_margin_continued(side):
    X, y, w = binary()
    begun = side.train({}, matrix())
    data = xgb.DMatrix(X, label=y, weight=w, base_margin=start_of(y))
    return [margin(side.train({}, data, 5, xgb_model=begun), data)]


def weights_of_features(side):
    data = matrix()
    data.set_info(feature_weights=[1, 2, 3, 1, 1])
    return [margin(side.train({"colsample_bynode": 0.5}, data), data)]


def continued(side):
    data = matrix()
    booster = side.train({}, data, 5, xgb_model=side.train({}, data, 5))
    return [margin(booster, data)]


def continued_with_classes(side):
    data = matrix(three_classes)
    return [margin(side.train(THREE, data, 5, xgb_model=side.train(THREE, data, 5)), data)]


def continued_dart(side):
    data, params = matrix(), {"booster": "dart", "rate_drop": 0.3}
    return [margin(side.train(params, data, 5, xgb_model=side.train(params, data, 5)), data)]


def continued_after_early_stopping(side):
    begun = stops(side)
    return [margin(side.train({}, matrix(), 5, xgb_model=begun), matrix())]


def continued_on_other_rows(side):
    booster = side.train({}, matrix(seed=2), 5, xgb_model=side.train({}, matrix(), 5))
    return [margin(booster, matrix())]


def continued_from_file(side):
    data = matrix()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "begun.ubj"
        side.train({}, data, 5).save_model(path)
        return [margin(side.train({"eta": 0.1}, data, 5, xgb_model=path), data)]


def continued_from_native(side):
    data = matrix()
    return [margin(side.train({}, data, 5, xgb_model=Native().train({}, data, 5)), data)]


def continued_by_native(side):
    data = matrix()
    return [margin(Native().train({}, data, 5, xgb_model=side.train({}, data, 5)), data)]


def updated_by_native(side):
    data = matrix()
    booster = side.train({}, data, 5)
    for number in range(5, 8):
        booster.update(data, number)
    return [margin(booster, data)]


def sliced(side):
    data = matrix()
    booster = side.train({}, data)
    return [
        *(margin(part, data) for part in (booster[:4], booster[3:8], booster[::2])),
        margin(booster, data, iteration_range=(2, 6)),
    ]


def refreshed(side, **params):
    booster = side.train({}, matrix(), 6)
    params = {"process_type": "update", "updater": "refresh", **params}
    again = side.train(params, matrix(seed=2), 6, xgb_model=booster)
    return [margin(again, matrix())]


def pruned(side):
    booster = side.train({}, matrix(), 6)
    params = {"process_type": "update", "updater": "prune", "gamma": 3}
    return [margin(side.train(params, matrix(), 6, xgb_model=booster), matrix())]


def slower_and_slower(side):
    callback = xgb.callback.LearningRateScheduler(lambda epoch: 0.5 * 0.8**epoch)
    return [margin(side.train({}, matrix(), callbacks=[callback]), matrix())]


def stops(side, problem=binary, **params):
    evals = [(matrix(problem, seed=1), "valid")]
    arguments = {"evals": evals, "early_stopping_rounds": 3, "verbose_eval": False}
    return side.train({"eta": 0.5, **params}, matrix(problem), 60, **arguments)


def stopped(side, problem=binary, **params):
    booster = stops(side, problem, **params)
    data, best = matrix(problem), booster.best_iteration
    return [margin(booster, data, iteration_range=(0, best + 1)), margin(booster, data), np.array([best])]


def stopped_and_best_saved(side):
    callback = xgb.callback.EarlyStopping(rounds=3, save_best=True)
    evals = [(matrix(seed=1), "valid")]
    booster = side.train({"eta": 0.5}, matrix(), 60, evals=evals, callbacks=[callback], verbose_eval=False)
    return [margin(booster, matrix()), np.array([booster.num_boosted_rounds()])]


def evaluates(side):
    booster = side.train({}, matrix())
    values = [float(item.partition(":")[2]) for item in booster.eval(matrix(seed=1), "valid").split()[1:]]
    return [margin(booster, matrix()), np.array(values)]


def metric_of_the_order(side):
    history = {}
    evals = [(matrix(seed=1), "valid")]
    params = {"eval_metric": ["auc", "aucpr"]}
    booster = side.train(params, matrix(), evals=evals, evals_result=history, verbose_eval=False)
    return [margin(booster, matrix()), *map(np.array, (history["valid"]["auc"], history["valid"]["aucpr"]))]


def metric_up_to_its_unit(side):
    history = {}
    arguments = {"evals": [(matrix(seed=1), "valid")], "evals_result": history, "verbose_eval": False}
    booster = side.train({}, matrix(), **arguments)
    (values,) = history["valid"].values()
    return [margin(booster, matrix()), np.array(values) / values[0]]


def metric_of_the_user(side):
    """The mean of what a function of the user is called with."""
    seen = []

    def mean(prediction, _):
        seen.append(prediction.mean())
        return "mean", seen[-1]

    evals = [(matrix(seed=1), "valid")]
    booster = side.train({}, matrix(), evals=evals, custom_metric=mean, verbose_eval=False)
    return [margin(booster, matrix()), np.array(seen)]


class Folds(xgb.callback.TrainingCallback):
    """Margins of the boosters of a cross-validation."""

    def __init__(self):
        self.margins = []

    def after_training(self, model):
        self.margins = [margin(fold.bst, matrix()) for fold in model.cvfolds]
        return model


def cross_validated(side):
    folds = Folds()
    side.cv({"base_score": 0.5}, matrix(), nfold=3, seed=3, callbacks=[folds])
    return folds.margins


def cross_validated_and_stopped(side):
    folds = Folds()
    params = {"base_score": 0.5, "eta": 0.5}
    history = side.cv(params, matrix(), 60, nfold=3, seed=3, callbacks=[folds], early_stopping_rounds=3)
    return [*folds.margins, np.array([len(history)])]


def cross_validated_from_base_rates(side):
    folds = Folds()
    side.cv({"base_score": None}, matrix(), nfold=3, seed=3, callbacks=[folds])
    return folds.margins


def saved(ending):
    def run(side):
        booster = side.train({}, matrix())
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"model.{ending}"
            booster.save_model(path)
            loaded = xgb.Booster(model_file=path)
        return [margin(loaded, matrix()), loaded.predict(matrix())]

    return run


def pickled(side):
    loaded = pickle.loads(pickle.dumps(side.train({}, matrix())))
    return [margin(loaded, matrix()), loaded.predict(matrix())]


def copied(side):
    booster = side.train({}, matrix())
    return [margin(model, matrix()) for model in (booster.copy(), copy.deepcopy(booster))]


def raw(side):
    booster = xgb.Booster()
    booster.load_model(side.train({}, matrix()).save_raw("ubj"))
    return [margin(booster, matrix()), booster.predict(matrix())]


def predicts(problem=binary, params=None, **kwargs):
    def run(side):
        booster = side.train(params or {}, matrix(problem))
        return [margin(booster, matrix(problem)), booster.predict(matrix(problem, seed=1), **kwargs)]

    return run


def predicts_in_place(side):
    booster = side.train({}, matrix())
    X = binary(seed=1)[0]
    return [booster.inplace_predict(X, predict_type="margin"), booster.inplace_predict(X)]


def probabilities(side):
    if isinstance(side, Native):
        positive = side.train({}, matrix()).predict(matrix(seed=1))
        return [np.column_stack([1 - positive, positive])]
    return [engine.predict_proba(side.train({}, matrix(), calibrate=False), matrix(seed=1))]


def importances(side):
    booster = side.train({}, matrix())
    scores = [booster.get_score(importance_type=kind) for kind in ("weight", "gain", "cover")]
    return [margin(booster, matrix()), *(np.log([score[f"f{i}"] for i in range(5)]) for score in scores)]


def fitted_margin(side, model, X):
    fitted = model.estimator_ if isinstance(side, Ours) else model
    return fitted.predict(X, output_margin=True)


def estimates(problem=binary, kind=xgb.XGBClassifier, **params):
    """Fit a classifier with parameters; if they say where to start, probabilities are not the engine's own."""

    def run(side):
        X, y, w = problem()
        model = side.classifier(kind, **params).fit(X, y.astype(int), sample_weight=w)
        if "base_score" in {**ESTIMATOR, **params}:
            return [fitted_margin(side, model, rows) for rows in (X, problem(seed=1)[0])]
        return [model.predict_proba(X), model.predict_proba(problem(seed=1)[0]), model.predict(X)]

    return run


def estimates_and_goes_on(side):
    X, y, w = binary()
    begun = side.classifier(n_estimators=5).fit(X, y, sample_weight=w)
    begun = begun.estimator_ if isinstance(side, Ours) else begun
    model = side.classifier(n_estimators=5).fit(X, y, sample_weight=w, xgb_model=begun)
    return [fitted_margin(side, model, X)]


def estimates_from_a_start(side):
    X, y, w = binary()
    return [side.classifier(n_estimators=10).fit(X, y, sample_weight=w, base_margin=start_of(y)).predict_proba(X)]


def estimates_and_stops(side):
    X, y, w = binary()
    X_valid, y_valid, w_valid = binary(seed=1)
    model = side.classifier(n_estimators=60, learning_rate=0.5, early_stopping_rounds=3)
    sets = {"eval_set": [(X_valid, y_valid)], "sample_weight_eval_set": [w_valid]}
    ours = isinstance(side, Ours)
    if ours:
        sets["eval_sample_weight"] = sets.pop("sample_weight_eval_set")
    model.fit(X, y, sample_weight=w, **sets, **({} if ours else {"verbose": False}))
    fitted = model.estimator_ if ours else model
    return [fitted_margin(side, model, X_valid), np.array([fitted.best_iteration])]


CASES = [
    # How trees grow.
    Case('`tree_method="hist"`', trains(tree_method="hist")),
    Case('`tree_method="approx"`', trains(tree_method="approx")),
    Case('`tree_method="exact"`', trains(tree_method="exact")),
    Case("`hist`, three classes", trains(three_classes, **THREE, tree_method="hist")),
    Case("`approx`, three classes", trains(three_classes, **THREE, tree_method="approx")),
    Case("`exact`, three classes", trains(three_classes, **THREE, tree_method="exact")),
    Case("`hist`, two labels a row", trains(two_labels, base_score=0.5)),
    Case("`num_class=2`", trains(num_class=2, base_score=0.5)),
    Case("`QuantileDMatrix`", trains(kind=xgb.QuantileDMatrix)),
    Case("`max_bin=16`", trains(max_bin=16)),
    Case('`grow_policy="lossguide"`, `hist`', trains(grow_policy="lossguide", max_leaves=12, max_depth=0)),
    Case(
        '`grow_policy="lossguide"`, `approx`',
        trains(tree_method="approx", grow_policy="lossguide", max_leaves=12, max_depth=0),
    ),
    Case("`max_depth=1`", trains(max_depth=1)),
    Case("`lambda`, `alpha`, `gamma`", trains(**{"lambda": 5, "alpha": 0.5, "gamma": 0.5})),
    Case("`max_delta_step=0.5`", trains(max_delta_step=0.5)),
    Case("`monotone_constraints`, `hist`", trains(monotone_constraints="(1,1,0,0,-1)")),
    Case("`monotone_constraints`, `exact`", trains(tree_method="exact", monotone_constraints="(1,1,0,0,-1)")),
    Case("`interaction_constraints`", trains(interaction_constraints="[[0, 1], [2, 3, 4]]")),
    Case(
        '`multi_strategy="multi_output_tree"`, three classes',
        trains(three_classes, **THREE, multi_strategy="multi_output_tree"),
    ),
    Case(
        '`multi_strategy="multi_output_tree"`, two labels a row',
        trains(two_labels, base_score=0.5, multi_strategy="multi_output_tree"),
    ),
    # Boosters.
    Case('`booster="dart"`', trains(booster="dart", rate_drop=0.3)),
    Case('`booster="dart"`, three classes', trains(three_classes, **THREE, booster="dart", rate_drop=0.3)),
    Case('`booster="gblinear"`', linear),
    Case(
        "random forest, `num_parallel_tree`", trains(num_parallel_tree=5, subsample=0.7, colsample_bynode=0.7, rounds=1)
    ),
    Case("boosted forests, `num_parallel_tree`", trains(num_parallel_tree=3, subsample=0.7, colsample_bynode=0.7)),
    # Samples.
    Case("`subsample`", trains(subsample=0.6)),
    Case("`subsample`, three classes", trains(three_classes, **THREE, subsample=0.6)),
    Case(
        "`colsample_bytree`, `_bylevel`, `_bynode`",
        trains(colsample_bytree=0.8, colsample_bylevel=0.8, colsample_bynode=0.8),
    ),
    Case("weights of features", weights_of_features),
    # Data.
    Case("missing values, `hist`", trains(with_gaps)),
    Case("missing values, `exact`", trains(with_gaps, tree_method="exact")),
    Case("sparse features", sparse),
    Case("categories, by partition", trains(with_categories, max_cat_to_onehot=1)),
    Case("categories, one against all", trains(with_categories, max_cat_to_onehot=20)),
    Case("categories, `approx`", trains(with_categories, tree_method="approx")),
    # Where it starts.
    Case("`base_score`", trains(base_score=0.2)),
    Case("XGBoost's own start, two labels a row", starts_by_itself(two_labels)),
    Case("XGBoost's own start, three classes", starts_by_itself(three_classes, num_class=3)),
    Case("`base_margin`", base_margin),
    Case("`base_margin`, three classes", base_margin_of_classes),
    Case("continuation of a booster", continued),
    Case("continuation on other rows", continued_on_other_rows),
    Case("continuation of a file", continued_from_file),
    Case("continuation of a native booster", continued_from_native),
    Case("native continuation", continued_by_native),
    Case("continuation, three classes", continued_with_classes),
    Case("continuation of dart", continued_dart),
    Case("continuation after early stopping", continued_after_early_stopping),
    Case("continuation, `base_margin`", base_margin_continued),
    Case("`Booster.update`", updated_by_native),
    Case("refresh of leaves", refreshed),
    Case("refresh of statistics alone", lambda side: refreshed(side, refresh_leaf=False)),
    Case("pruning", pruned),
    # Rounds.
    Case("`LearningRateScheduler`", slower_and_slower),
    Case("early stopping", stopped),
    Case('early stopping on `eval_metric="aucpr"`', lambda side: stopped(side, eval_metric="aucpr")),
    Case("early stopping, three classes", lambda side: stopped(side, three_classes, **THREE)),
    Case("early stopping, `save_best`", stopped_and_best_saved),
    Case("early stopping of dart", lambda side: stopped(side, booster="dart", rate_drop=0.2)),
    Case('`eval_metric=["auc", "aucpr"]`', metric_of_the_order),
    Case("the loss as metric, in the unit of its first value", metric_up_to_its_unit),
    Case(
        "`Booster.eval`",
        evaluates,
        differs="it knows no metric, because log loss would take sigmoid(margin) for a probability",
    ),
    Case(
        "`custom_metric` of the user",
        metric_of_the_user,
        differs="it gets the margin, as under each objective in Python, and natively the probability",
    ),
    Case("`xgboost.train` of `Objective`, `base_score`", trains_by_hand),
    Case(
        "`xgboost.cv` of `Objective`",
        cross_validated_from_base_rates,
        differs="its folds start at a margin of 0, and natively at the base rate of each; margins by up to 1.4",
    ),
    Case("`xgboost.cv` of `Objective`, `base_score=0.5`", cross_validated),
    Case("`xgboost.cv` of `Objective`, `base_score=0.5`, early stopping", cross_validated_and_stopped),
    # Models.
    Case("slices", sliced),
    Case("JSON", saved("json")),
    Case("UBJSON", saved("ubj")),
    Case("`save_raw`", raw),
    Case("pickle", pickled),
    Case("copies", copied),
    Case("`pred_contribs`", predicts(pred_contribs=True)),
    Case("`pred_contribs`, three classes", predicts(three_classes, THREE, pred_contribs=True)),
    Case("`pred_interactions`", predicts(pred_interactions=True)),
    Case("`pred_leaf`", predicts(pred_leaf=True)),
    Case("`inplace_predict`", predicts_in_place),
    Case("`predict_proba`", probabilities),
    Case("importances", importances),
    # Classifiers.
    Case("`XGBClassifier`", estimates(n_estimators=10)),
    Case("`XGBClassifier`, three classes", estimates(three_classes, n_estimators=10, base_score=0.5)),
    Case("`XGBClassifier`, early stopping", estimates_and_stops),
    Case("`XGBRFClassifier`", estimates(kind=xgb.XGBRFClassifier, n_estimators=10, learning_rate=1.0)),
    Case("`XGBClassifier`, categories", estimates(with_categories, n_estimators=10, enable_categorical=True)),
    Case("`XGBClassifier`, missing values", estimates(with_gaps, n_estimators=10)),
    Case("`XGBClassifier(base_score=...)`", estimates(n_estimators=10, base_score=0.2)),
    Case("`XGBClassifier`, continuation", estimates_and_goes_on),
    Case("`XGBClassifier` of `Objective`", estimates_by_hand),
    # What is refused.
    Case("`XGBClassifier(scale_pos_weight=...)`", estimates(scale_pos_weight=3), "has no effect on a custom objective"),
    Case("`XGBClassifier.fit(base_margin=...)`", estimates_from_a_start, "base_margin is not possible here"),
    Case("labels between 0 and 1", soft_labels, "give labels 0 and 1"),
    Case("`scale_pos_weight`", trains(scale_pos_weight=3), "has no effect on a custom objective"),
    Case('`eval_metric="logloss"`', trains(eval_metric="logloss"), "would take sigmoid(margin) for a probability"),
    Case('`objective="binary:hinge"`', trains(objective="binary:hinge"), "contradicts loss="),
]
