"""Models in files, of this version and of those before, and files that are damaged or hostile."""

import json
import pickle
import zipfile

import numpy as np
import pandas as pd
import pytest
from engines import both_engines, patience, xgboost_classifier
from problems import PROBLEMS, rare_positives
from programs import run_where_nothing_is_known
from repository import MODELS
from sklearn.base import clone

from gbm_focal import AsymmetricLoss, FocalClassifier, FocalLoss, LinearSchedule


@both_engines
@pytest.mark.parametrize("problem", PROBLEMS)
def test_saved_model_predicts_the_same_in_a_new_process(engine, problem, tmp_path):
    X, y = PROBLEMS[problem]()
    if problem == "classes":
        y = np.array(["c", "b", "a", "d"])[y]
    X = pd.DataFrame(X, columns=list("abcdef"))
    estimator = engine(n_estimators=40, learning_rate=0.8, **patience(engine, 3))
    loss = AsymmetricLoss(alpha="balanced") if problem == "labels" else FocalLoss(1, "balanced")
    model = FocalClassifier(estimator, loss).fit(X[:1000], y[:1000], eval_set=[(X[1000:], y[1000:])])
    model.save_model(tmp_path / "model.zip")
    X.to_pickle(tmp_path / "X.pkl")
    run_where_nothing_is_known(
        "import sys, numpy, pandas, gbm_focal\n"
        "X = pandas.read_pickle(sys.argv[2])\n"
        "model = gbm_focal.FocalClassifier.load_model(sys.argv[1])\n"
        "numpy.savez(sys.argv[3], p=model.predict_proba(X), y=model.predict(X), d=model.decision_function(X))\n",
        *(tmp_path / "model.zip", tmp_path / "X.pkl", tmp_path / "out.npz"),
    )
    with np.load(tmp_path / "out.npz") as out:
        np.testing.assert_array_equal(out["p"], model.predict_proba(X))
        np.testing.assert_array_equal(out["y"], model.predict(X))
        np.testing.assert_array_equal(out["d"], model.decision_function(X))
    again = FocalClassifier.load_model(tmp_path / "model.zip")
    assert again.best_iteration_ == model.best_iteration_
    assert again.estimator.get_params()["max_depth"] == 3
    assert again.loss.get_params() == loss.get_params()
    np.testing.assert_array_equal(again.feature_importances_ > 0, model.feature_importances_ > 0)
    with pytest.raises(ValueError, match="feature names"):
        again.predict(X.rename(columns={"a": "other"}))
    again.save_model(tmp_path / "again.zip")
    np.testing.assert_array_equal(
        FocalClassifier.load_model(tmp_path / "again.zip").predict_proba(X), model.predict_proba(X)
    )
    clone(again).fit(X[:1000], y[:1000], eval_set=[(X[1000:], y[1000:])])


@both_engines
def test_numpy_parameters_and_schedules_are_saved(engine, tmp_path):
    X, y, _, _ = rare_positives(600)
    estimator = engine(max_depth=np.int64(2), learning_rate=np.float64(0.3))
    loss = FocalLoss(LinearSchedule(0, 3, 10), alpha=np.float64(0.4))
    model = FocalClassifier(estimator, loss, max_step=np.float32(3), class_weight={0: 1, 1: 2.5}).fit(X, y)
    model.save_model(tmp_path / "model.zip")
    again = FocalClassifier.load_model(tmp_path / "model.zip")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.estimator.get_params()["max_depth"] == 2
    assert again.class_weight == {0: 1, 1: 2.5}
    assert again.loss.gamma.get_params() == loss.gamma.get_params()
    np.testing.assert_allclose(clone(again).fit(X, y).predict_proba(X), model.predict_proba(X), rtol=1e-6)
    model.estimator.set_params(callbacks=[print])
    with pytest.warns(UserWarning, match="callbacks"):
        model.save_model(tmp_path / "model.zip")


def damaged(path, tmp_path, change_description=None, change_model=None):
    """Write a copy of a saved model with other content."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    description = json.loads(content["gbm_focal.json"])
    model_file = next(name for name in content if name != "gbm_focal.json")
    if change_model:
        content[model_file] = change_model(content[model_file])
    if change_description:
        change_description(description, content[model_file])
    content["gbm_focal.json"] = json.dumps(description).encode()
    copy = tmp_path / "damaged.zip"
    with zipfile.ZipFile(copy, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return copy


@both_engines
def test_damaged_and_hostile_files_are_refused(engine, tmp_path):
    import hashlib

    X, y, _, _ = rare_positives(500)
    path = tmp_path / "model.zip"
    FocalClassifier(engine()).fit(X, y).save_model(path)

    def flipped(model):
        return model[:-100] + bytes([model[-100] ^ 1]) + model[-99:]

    def set_to(*keys_and_value):
        def change(description, model):
            *keys, last, value = keys_and_value
            for key in keys:
                description = description[key]
            description[last] = value

        return change

    def with_checksum(description, model):
        description["sha256"] = hashlib.sha256(model).hexdigest()

    cases = [
        (None, flipped, "damaged"),
        (with_checksum, lambda model: b"nonsense", "cannot read"),
        (set_to("format", 99), None, "format 99"),
        (set_to("format", None), None, "no format"),
        (set_to("engine", "os"), None, "'os'"),
        (set_to("engine", ["xgboost"]), None, "its engine is"),
        (set_to("classes", None), None, "not a model"),
        (set_to("classes", "labels", [0, 1, 2]), None, "are not 2 different ones"),
        (set_to("classes", "labels", [0]), None, "are not 2 different ones"),
        (set_to("classes", "labels", 5), None, "are not 2 different ones"),
        (set_to("classes", {"dtype": "<i8", "labels": [1.5, 1]}), None, "are not 2 different ones"),
        (set_to("classes", "dtype", None), None, "not a model"),
        (set_to("first_is_positive", "zz"), None, "neither true nor false"),
        (set_to("link", "log_odds_shift", []), None, "log_odds_shift has 0 numbers"),
        (set_to("link", "log_odds_shift", [0.1, 0.2]), None, "log_odds_shift has 2 numbers"),
        (set_to("link", "parameters", "gamma", -1), None, "gamma=-1 is out of range"),
        (set_to("link", "parameters", "gamma", "zz"), None, "gamma='zz'"),
        (set_to("link", "loss", "Popen"), None, "Popen"),
        (set_to("link", "kind", "other"), None, "link"),
        (set_to("link", "log_odds_shift", ["x"]), None, "link"),
        (set_to("link", "base_rate", [0.1, 0.2]), None, "link"),
        (set_to("link", "base_rate", [1.5]), None, "link"),
        (set_to("link", "alpha_follows_base_rate", "no"), None, "link"),
        (set_to("classes", {"dtype": "O", "labels": [{"a": 1}, 2]}), None, "not a model"),
        (set_to("parameters", None), None, "not a model"),
        (set_to("parameters", "hessian", "__import__('os')"), None, "hessian"),
    ]
    for change_description, change_model, message in cases:
        with pytest.raises(ValueError, match=message):
            FocalClassifier.load_model(damaged(path, tmp_path, change_description, change_model))
    with pytest.raises(FileNotFoundError):
        FocalClassifier.load_model(tmp_path / "missing.zip")
    for content in (b"", b"no zip at all", path.read_bytes()[:200], pickle.dumps({"a": 1})):
        (tmp_path / "bad.zip").write_bytes(content)
        with pytest.raises(ValueError, match="not a model that this version can read"):
            FocalClassifier.load_model(tmp_path / "bad.zip")


def test_unknown_entries_of_a_description_are_left_alone(tmp_path):
    # What a later minor version adds must not stop this one, nor what this one adds stop the next.
    X, y, _, _ = rare_positives(500)
    model = FocalClassifier(xgboost_classifier()).fit(X, y)
    model.save_model(tmp_path / "model.zip")
    copy = damaged(tmp_path / "model.zip", tmp_path, lambda description, _: description.update(new={"entry": 1}))
    np.testing.assert_array_equal(FocalClassifier.load_model(copy).predict_proba(X), model.predict_proba(X))


def test_a_model_of_version_0_1_still_loads():
    X = np.load(MODELS / "X.npy")
    for name in ("xgboost", "lightgbm"):
        model = FocalClassifier.load_model(MODELS / f"{name}-0.1.0.zip")
        np.testing.assert_allclose(model.predict_proba(X), np.load(MODELS / f"{name}-0.1.0.npy"), rtol=1e-5)
