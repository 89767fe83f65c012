"""docs/link_vectors.json, which other languages test themselves against: as the definitions say, and as Link does."""

import json

import link_vectors
import numpy as np
import pytest
from repository import DOCS

from gbm_focal.link import Link

FILE = DOCS / "link_vectors.json"
CASES = json.loads(FILE.read_text(encoding="utf-8"))["cases"]


def test_the_file_is_what_the_definitions_say():
    assert FILE.read_text(encoding="utf-8") == link_vectors.as_text()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['link']['loss']}, {case['link']['kind']}")
def test_link_agrees(case):
    link = Link.from_json(json.dumps(case["link"]))
    margin = np.array(case["margins"], np.float64)
    if link.kind == "binary":
        margin = margin[:, 0]
    probabilities = link.probabilities(margin)
    found = probabilities[:, 1:] if link.kind == "binary" else probabilities
    np.testing.assert_allclose(found, case["probabilities"], rtol=1e-12)
    decisions = link.classes(margin).reshape(len(case["decisions"]), -1)
    np.testing.assert_array_equal(decisions, case["decisions"])


def test_a_later_version_is_refused():
    stored = {**CASES[0]["link"], "version": 2}
    with pytest.raises(ValueError, match="has version 2, and this gbm_focal reads 1"):
        Link.from_json(json.dumps(stored))
    del stored["version"]  # as version 0.1 wrote it
    assert Link.from_json(json.dumps(stored)).shift == (0.0,)
