"""With gamma = 0 and no longest step, each path of an engine ends where its own logistic loss does, or we refuse it."""

import re

import numpy as np
import parity_lightgbm
import pytest
from parity import TOLERANCE
from parity_table import ENGINES, table
from repository import DOCS

KINDS_OF_DIFFERENCE = (AssertionError, parity_lightgbm.lgb.basic.LightGBMError)


def marked(case):
    return [pytest.mark.xfail(raises=KINDS_OF_DIFFERENCE, reason=case.differs)] if case.differs else []


CASES = [
    pytest.param(engine, case, id=f"{name}, {case.path}", marks=marked(case))
    for name, engine in ENGINES.items()
    for case in engine.CASES
]


@pytest.mark.filterwarnings("ignore:.*You have manually specified the `updater`")
@pytest.mark.filterwarnings("ignore:Overriding the parameters from Reference Dataset")
@pytest.mark.filterwarnings("ignore:The argument 'eval_set' is deprecated")
@pytest.mark.filterwarnings(
    "ignore:.*`(booster=dart|booster=gblinear|XGBRFClassifier)` is deprecated"
)  # from XGBoost 3.4 on
@pytest.mark.filterwarnings("ignore:X does not have valid feature names, but LGBMClassifier")
@pytest.mark.parametrize(("engine", "case"), CASES)
def test_path(engine, case):
    native = case.run(engine.Native())
    if case.refused:
        with pytest.raises((ValueError, TypeError), match=re.escape(case.refused)):
            case.run(engine.Ours())
        return
    ours = case.run(engine.Ours())
    assert native[0].std() > 0.05
    for actual, wanted in zip(ours, native, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=TOLERANCE)


def test_page_holds_the_table():
    page = (DOCS / "engines.md").read_text(encoding="utf-8")
    assert [line for line in page.splitlines() if line.startswith("|")] == table().splitlines()
