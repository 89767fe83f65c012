"""The package as a whole: imports, the examples in docstrings."""

import doctest
import importlib
import importlib.metadata
import inspect

import pytest
from packaging.requirements import Requirement
from programs import run_in_new_process

import gbm_focal


def test_engines_are_attributes_that_are_imported_when_first_used():
    run_in_new_process(
        "import sys, gbm_focal\n"
        "assert not {'dask', 'xgboost', 'lightgbm'} & set(sys.modules), 'engine imported'\n"
        "gbm_focal.xgboost.train, gbm_focal.lightgbm.train, gbm_focal.dask.xgboost_train"
    )
    with pytest.raises(AttributeError, match="catboost"):
        _ = gbm_focal.catboost


def test_missing_engine_says_what_to_install():
    needed = [Requirement(one) for one in importlib.metadata.requires("gbm_focal")]
    names = ["dask", "xgboost", "lightgbm"]
    code = (
        "import importlib, sys\n"
        "sys.modules.update(dict.fromkeys(sys.argv[1:]))\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n        importlib.import_module(f'gbm_focal.{name}')\n"
        "    except ImportError as e: print(e)"
    )
    printed = run_in_new_process(code, *names).splitlines()
    for name, line in zip(names, printed, strict=True):
        assert f"pip install 'gbm_focal[{name}]'" in line
        (oldest,) = (str(one.specifier) for one in needed if one.name == name)
        assert f"{oldest.removeprefix('>=')} or newer" in line


@pytest.mark.parametrize(
    "name", ["losses.base", "metrics", "classifier", "xgboost.objective", "lightgbm.objective", "dask.classifier"]
)
def test_examples_in_docstrings(name):
    results = doctest.testmod(importlib.import_module(f"gbm_focal.{name}"))
    assert results.attempted > 0
    assert results.failed == 0


def test_public_names_have_docstrings():
    for name in gbm_focal.__all__:
        thing = getattr(gbm_focal, name)
        assert inspect.getdoc(thing)
        for method, function in inspect.getmembers(thing, inspect.isfunction):
            if not method.startswith("_") and function.__module__.startswith("gbm_focal"):
                assert inspect.getdoc(function), f"{name}.{method}"
