"""Code blocks of Markdown pages: found, and run as a reader would run them."""

import contextlib
import io
import re
import sys
import types
from typing import NamedTuple

import numpy as np

TOLERANCE = 0.1  # of printed decimals, relative: another version of an engine grows other trees
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?")


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    code: str
    line: int  # of the page, from 0, where the code begins


def blocks_of(page):
    text = page.read_text(encoding="utf-8")
    return [Block(found[1], found[2], text.count("\n", 0, found.start(2))) for found in _FENCE.finditer(text)]


def run_blocks(page, **names):
    """Run every block of Python from top to bottom, all in one module; a block of output says what the last printed."""
    module = types.ModuleType(f"page_{page.stem}")  # a real one, so that classes of a page can be pickled
    vars(module).update(names)
    sys.modules[module.__name__] = module
    printed = ""
    try:
        for block in blocks_of(page):
            if block.language == "python":
                with contextlib.redirect_stdout(io.StringIO()) as stream:
                    # Empty lines before it let errors name the line of the page.
                    exec(compile("\n" * block.line + block.code, str(page), "exec"), vars(module))
                printed = stream.getvalue()
            elif block.language == "output":
                assert_alike(printed, block.code, f"{page}, line {block.line + 1}")
    finally:
        del sys.modules[module.__name__]
    return vars(module)


def assert_alike(printed, shown, where):
    """Compare what was printed with what a page shows: words and whole numbers exactly, decimals nearly."""
    same = f"{where} shows\n{shown}\nbut this was printed\n{printed}"
    assert _NUMBER.sub("#", printed).split() == _NUMBER.sub("#", shown).split(), same
    for actual, wanted in zip(_NUMBER.findall(printed), _NUMBER.findall(shown), strict=True):
        if "." in wanted:
            last_digit = 10.0 ** -len(wanted.partition(".")[2])
            limits = {"rtol": TOLERANCE, "atol": 1.01 * last_digit}
            np.testing.assert_allclose(float(actual), float(wanted), **limits, err_msg=same)
        else:
            assert actual == wanted, same
