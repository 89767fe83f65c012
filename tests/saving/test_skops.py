"""skops: what has to be trusted is what the documentation lists, and comes back as it was."""

import numpy as np
import pytest
import skops.io
from engines import both_engines
from problems import PROBLEMS
from repository import DOCS

from gbm_focal import AsymmetricLoss, FocalClassifier, FocalLoss, LinearSchedule, PowerCrossEntropy

PAGE = (DOCS / "mlflow.md").read_text(encoding="utf-8")


@both_engines
@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize(
    "loss", [FocalLoss(LinearSchedule(0, 2, 5), "balanced"), AsymmetricLoss(), PowerCrossEntropy()], ids=repr
)
def test_round_trip(engine, problem, loss):
    X, y = PROBLEMS[problem]()
    model = FocalClassifier(engine(n_estimators=5), loss).fit(X, y)
    stored = skops.io.dumps(model)
    types = skops.io.get_untrusted_types(data=stored)
    assert not [name for name in types if any(part.startswith("_") for part in name.split("."))]
    for name in types:
        assert name.replace("PowerCrossEntropy", "AsymmetricLoss") in PAGE
    np.testing.assert_array_equal(skops.io.loads(stored, trusted=types).predict_proba(X), model.predict_proba(X))
    with pytest.raises(skops.io.exceptions.UntrustedTypesFoundException):
        skops.io.loads(stored)
