"""The machinery that runs pages, which must notice a page that is wrong."""

import pytest
from snippets import assert_alike, run_blocks


def page_with(folder, text):
    page = folder / "page.md"
    page.write_text(text)
    return page


def test_blocks_share_their_names_and_errors_name_the_line(tmp_path):
    page = page_with(tmp_path, "# Page\n\n```python\nx = 2\n```\n\n```text\nx = 3\n```\n\n```python\nx += 1\n```\n")
    assert run_blocks(page)["x"] == 3
    with pytest.raises(ZeroDivisionError) as error:
        run_blocks(page_with(tmp_path, "text\n\n```python\nx = 1\nx / 0\n```\n"))
    assert error.traceback[-1].lineno + 1 == 5


@pytest.mark.parametrize("wrong", ["a 0.62", "b 0.5", "a 0.5 0.5", "a"])
def test_other_output_is_noticed(tmp_path, wrong):
    code = f"```python\nprint('{wrong}')\n```\n\n```output\na 0.50\n```\n"
    with pytest.raises(AssertionError):
        run_blocks(page_with(tmp_path, code))


def test_output_may_differ_in_the_last_digits():
    assert_alike("a 0.52 of 7 rows\n", "a 0.50  of 7 rows", "here")
    with pytest.raises(AssertionError, match="here shows"):
        assert_alike("a 0.50 of 8 rows", "a 0.50 of 7 rows", "here")
