"""Settings of Sphinx; CONTRIBUTING.md says how to build."""

import gbm_focal

project = "gbm_focal"
author = "The gbm_focal developers"
project_copyright = author
version = release = gbm_focal.__version__
extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.mathjax"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3
numpydoc_show_class_members = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say types and shapes
default_role = "py:obj"
html_theme = "furo"
html_title = f"gbm_focal {version}"


def setup(app):
    """Adjust Sphinx."""
    app.connect("missing-reference", as_code)


def as_code(app, environment, node, content):
    """Show names in single quotes in docstrings that are on no page, such as parameters, as code.

    A page that links to what does not exist is still an error, because pages name the kind of thing they link to.
    """
    return content if node["reftype"] == "obj" else None
