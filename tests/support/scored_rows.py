"""Labels, scores and weights of a handful of rows, for hypothesis."""

import numpy as np
from hypothesis import strategies as st

SCORES = [0.0, 0.1, 0.25, 0.5, 0.6, 1.0]  # few, so that ties are common


@st.composite
def scored_rows(draw, positives=True):
    """Labels, scores and whole weights of up to 6 rows."""
    rows = draw(st.integers(1, 6))
    y = draw(st.lists(st.integers(0, 1), min_size=rows, max_size=rows))
    score = draw(st.lists(st.sampled_from(SCORES), min_size=rows, max_size=rows))
    weight = draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows))
    label, count = draw(st.integers(0, rows - 1)), draw(st.integers(1, 3))
    weight[label] = count
    if positives:
        y[label] = 1
    return np.array(y), np.array(score), np.array(weight)


def repeated(y, score, weight):
    return np.repeat(y, weight), np.repeat(score, weight)
