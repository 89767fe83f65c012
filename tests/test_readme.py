"""The README's snippets run as they stand."""

import functools
from pathlib import Path

import numpy as np
import pytest
from problems import rare_positives
from snippets import blocks_of

from gbm_focal import FocalClassifier, FocalLoss

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.parametrize("number", range(5))
def test_snippet(number):
    xgb, lgb = pytest.importorskip("xgboost"), pytest.importorskip("lightgbm")
    snippets = [block.code for block in blocks_of(README) if block.language == "python"]
    assert len(snippets) == 5
    X, y, _, _ = rare_positives()
    names = {
        "dtrain": xgb.DMatrix(X, y),
        "dtest": xgb.DMatrix(X),
        "train_set": lgb.Dataset(X, y),
        "X_test": X,
        "X": X,
        "y": y,
        # One thread: several wait for each other, for a minute where other programs are running.
        "XGBClassifier": functools.partial(xgb.XGBClassifier, n_jobs=1),
        "LGBMClassifier": functools.partial(lgb.LGBMClassifier, n_jobs=1),
        "FocalClassifier": FocalClassifier,
        "FocalLoss": FocalLoss,
    }
    exec(snippets[number], names)
    if "probability" in names:
        np.testing.assert_allclose(names["probability"].mean(), y.mean(), rtol=1e-3)
    elif "search" in names:
        assert names["search"].best_params_["loss__gamma"] in (0, 1, 2)
    else:
        assert names["booster"].num_boosted_rounds() == 100
