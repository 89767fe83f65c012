"""What CONTRIBUTING.md asks of a change, each session in an environment of its own.

    nox                      # lint, types, tests on every Python that is found, docs
    nox -s tests-3.12        # one of them; --list names all, -r uses an environment again
    nox -s oldest newest     # the tests at both ends of the versions that pyproject.toml allows

Pythons that are not found are left out.
"""

import nox
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

PYPROJECT = nox.project.load_toml("pyproject.toml")
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]

nox.options.sessions = ["lint", "types", "tests", "docs"]


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format, and who may import whom."""
    session.install(*from_extra("dev", "ruff", "import-linter"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, beside the packages whose types the code is checked against."""
    session.install("-e", ".[all,dask,onnx]", *from_extra("dev", "mypy"))
    session.run("mypy")


@nox.session(python=["3.10", "3.11", "3.12", "3.13", "3.14"])
def tests(session: nox.Session) -> None:
    """Test; what stands behind -- goes to pytest."""
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error."""
    session.install("-e", ".[docs]")
    session.run("sphinx-build", "-W", "--keep-going", "-n", "-b", "html", "docs", "docs/_build/html")


@nox.session(python="3.10")
def oldest(session: nox.Session) -> None:
    """Test with the oldest versions that pyproject.toml allows; `--force-python` takes another, up to 3.13."""
    pins = oldest_of([*PROJECT["dependencies"], f"{PROJECT['name']}[test]"])
    session.log("oldest: %s", ", ".join(pins))
    session.install(*oldest_of(PYPROJECT["build-system"]["requires"]), "cmake", "ninja")
    # Matplotlib 3.9 asks pyparsing for names that 3.3 calls deprecated, and in the tests a warning is an error.
    session.install("--no-build-isolation", "-e", ".[test]", *pins, "pyparsing<3.3")
    session.run("python", "-m", "pip", "list")
    session.run("pytest", *session.posargs)


@nox.session
def mlflow(session: nox.Session) -> None:
    """Run the page about MLflow, which is large and has demands of its own."""
    session.install("-e", ".[all,mlflow]", *from_extra("test", "hypothesis", "pytest", "pytest-xdist"))
    session.run("pytest", "-n", "0", "tests/package/test_docs.py", "-k", "mlflow")


@nox.session
def newest(session: nox.Session) -> None:
    """Test with the newest release of everything, also of what the packages themselves ask for."""
    session.install("--upgrade", "--upgrade-strategy", "eager", "-e", ".[test]")
    session.run("python", "-m", "pip", "list")  # what the newest is today
    session.run("pytest", *session.posargs)


def from_extra(extra: str, *names: str) -> list[str]:
    """Return the requirements of these names in an extra, so that versions stand in pyproject.toml alone."""
    return [one for one in EXTRAS[extra] if Requirement(one).name in names]


def oldest_of(requirements: list[str]) -> list[str]:
    """Return requirements with `>=` turned into `==`, and extras of this project replaced by what they hold."""
    pins: list[str] = []
    for requirement in map(Requirement, requirements):
        if requirement.name == PROJECT["name"]:
            pins += oldest_of([one for extra in sorted(requirement.extras) for one in EXTRAS[extra]])
        else:
            requirement.specifier = SpecifierSet(str(requirement.specifier).replace(">=", "=="))
            pins.append(str(requirement))
    return pins
