"""The benchmark of quality; `__main__.py` says what it does and how to run it."""
