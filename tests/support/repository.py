"""Where the files of this repository lie."""

from pathlib import Path

import gbm_focal

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
DOCS = ROOT / "docs"
EXAMPLES = ROOT / "examples"
BENCHMARKS = ROOT / "benchmarks"
MODELS = ROOT / "tests" / "models"  # of earlier versions
SOURCES = ROOT / "gbm_focal" / "kernels"
KERNELS = Path(gbm_focal.__file__).parent / "kernels"  # as installed
