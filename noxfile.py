"""What CONTRIBUTING.md asks of a change, each session in an environment of its own.

    nox                      # lint, types, tests on every Python that is found, docs
    nox -s tests-3.12        # one of them; --list names all, -r uses an environment again
    nox -s oldest newest     # the tests at both ends of the versions that pyproject.toml allows

Pythons that are not found are left out.
"""

import nox
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

PROJECT = nox.project.load_toml("pyproject.toml")["project"]
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
    session.install("-e", ".[all,dask]", *from_extra("dev", "mypy"))
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


@nox.session(python="3.10")  # the oldest versions have no wheels for later ones
@nox.parametrize(
    ("extras", "pinned"),
    [
        nox.param("all,tune", [*PROJECT["dependencies"], "gbm_focal[all,tune]"], id="engines"),
        # Dask itself asks for later ones of NumPy and pandas, so beside the oldest Dask they are the newest.
        nox.param("all,dask", ["gbm_focal[dask]"], id="dask"),
    ],
)
def oldest(session: nox.Session, extras: str, pinned: list[str]) -> None:
    """Test with the oldest versions that pyproject.toml allows."""
    pins = oldest_of(pinned)
    session.log("oldest: %s", ", ".join(pins))
    tools = [one for one in EXTRAS["test"] if Requirement(one).name != PROJECT["name"]]
    session.install("-e", f".[{extras}]", *pins, *tools)
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
