"""Damaged and hostile files of models: each is a ValueError that names the file, whatever the damage."""

import hashlib
import json
import re
import tracemalloc
import zipfile

import numpy as np
import pytest
from problems import rare_positives

from gbm_focal import FocalClassifier

X, Y, _, _ = rare_positives(500)


@pytest.fixture(scope="module", params=["xgboost", "lightgbm"])
def saved(request, tmp_path_factory):
    """A fitted classifier, and the bytes of its file."""
    pytest.importorskip(request.param)
    if request.param == "xgboost":
        from xgboost import XGBClassifier

        estimator = XGBClassifier(n_estimators=3, max_depth=2, n_jobs=1)
    else:
        from lightgbm import LGBMClassifier

        estimator = LGBMClassifier(n_estimators=3, num_leaves=4, n_jobs=1, verbosity=-1)
    classifier = FocalClassifier(estimator).fit(X, Y)
    path = tmp_path_factory.mktemp("saved") / "model.zip"
    classifier.save_model(path)
    return classifier.predict_proba(X), path.read_bytes()


def assert_refused_or_right(probability, path):
    """A flip in a date, say, does no harm; any other is an error."""
    try:
        loaded = FocalClassifier.load_model(path)
    except ValueError:
        with pytest.raises(ValueError, match=re.escape(str(path))):
            FocalClassifier.load_model(path)
        return 1
    np.testing.assert_array_equal(loaded.predict_proba(X), probability)
    return 0


def test_flipped_bits(saved, tmp_path):
    probability, content = saved
    path, rng, refused = tmp_path / "model.zip", np.random.default_rng(0), 0
    for _ in range(300):
        damaged = bytearray(content)
        for position in rng.integers(len(content), size=rng.integers(1, 4)):
            damaged[position] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        refused += assert_refused_or_right(probability, path)
    assert refused > 250


def test_truncated(saved, tmp_path):
    _, content = saved
    path = tmp_path / "model.zip"
    for size in np.random.default_rng(1).integers(len(content), size=100).tolist():
        for damaged in (content[:size], content[size:]):
            path.write_bytes(damaged)
            if size:
                with pytest.raises(ValueError, match=r"model\.zip"):
                    FocalClassifier.load_model(path)


def entries_of(content, tmp_path):
    path = tmp_path / "whole.zip"
    path.write_bytes(content)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_swapped_duplicated_and_missing_entries(saved, tmp_path):
    _, content = saved
    (description, model) = entries_of(content, tmp_path).items()
    cases = [
        ([(description[0], model[1]), (model[0], description[1])], "not a model"),
        ([description, model, (model[0], b"another")], "2 entries"),
        ([description, description, model], "2 entries"),
        ([description], "0 entries"),
        ([model], "0 entries"),
        ([description, (model[0], model[1] + b" ")], "damaged"),
    ]
    path = tmp_path / "model.zip"
    for entries, message in cases:
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in entries:
                archive.writestr(name, data)
        with pytest.raises(ValueError, match=message) as error:
            FocalClassifier.load_model(path)
        assert str(path) in str(error.value)


@pytest.mark.parametrize("which", ["description", "model"])
def test_an_entry_that_unpacks_to_hundreds_of_megabytes(saved, tmp_path, which):
    _, content = saved
    (description, model) = entries_of(content, tmp_path).items()
    path, large = tmp_path / "model.zip", b" " * (200 * 2**20)
    if which == "description":
        description = (description[0], description[1] + large)
    else:
        described = json.loads(description[1])
        described["sha256"] = hashlib.sha256(large).hexdigest()
        description, model = (description[0], json.dumps(described)), (model[0], large)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(*description)
        archive.writestr(*model)
    del large, model, description
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="more than any model"):
            FocalClassifier.load_model(path)
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    finally:
        tracemalloc.stop()


def test_a_model_that_repeats_itself_is_stored_so_that_it_loads(tmp_path, monkeypatch):
    import gbm_focal.saving as saving

    monkeypatch.setattr(saving, "_ALWAYS_UNPACKED", 1000)
    monkeypatch.setattr(saving, "_LARGEST_RATIO", 2)  # as if it were a large model, packed beyond the limit
    path = tmp_path / "model.zip"
    FocalClassifier().fit(X, Y).save_model(path)
    with zipfile.ZipFile(path) as archive:
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
    FocalClassifier.load_model(path)
