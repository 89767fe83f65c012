"""A bar over the boosting rounds, for ``progress=True``. Needs tqdm, which is imported when a bar is asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def bar_of_rounds(progress: bool, rounds: int | None = None) -> Iterator[Any]:
    """Yield a tqdm bar, or None if there shall be none, and close it however the block ends.

    It shows nothing where stderr is no terminal. A training that ends before the last round by its own choice is
    finished, and so is its bar; one that fails leaves the bar where it was.
    """
    if not isinstance(progress, bool):
        raise TypeError(f"progress={progress!r} is a {type(progress).__name__}: give True or False")
    if not progress:
        yield None
        return
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise ImportError("progress=True needs tqdm: pip install 'gbm_focal[progress]'") from error
    with tqdm(total=rounds, desc="training", unit="round", disable=None) as bar:
        yield bar
        if not bar.disable and bar.total is not None and bar.n < bar.total:
            bar.total = bar.n
            bar.set_postfix_str("stopped early")
