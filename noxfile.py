"""What can be run over this repository: `nox` for all checks, `nox -s NAME` for one."""

from __future__ import annotations

from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.stop_on_first_error = False

PROJECT = nox.project.load_toml(Path(__file__).with_name("pyproject.toml"))


def install(session: nox.Session, *groups: str) -> None:
    """Install mlenv as it stands here, and the dependency groups."""
    session.install("--editable", ".", *nox.project.dependency_groups(PROJECT, *groups))


@nox.session
def lint(session: nox.Session) -> None:
    """Hold the source to ruff's rules and format."""
    session.install(*nox.project.dependency_groups(PROJECT, "lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of source, tests and this file."""
    install(session, "types", "tests")
    session.install("nox")
    session.run("mypy", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run every test that can run here; one that lacks its program says so."""
    install(session, "tests")
    session.run("pytest", *session.posargs)


@nox.session(default=False)
def golden(session: nox.Session) -> None:
    """Write the golden folders and the reference anew, to be read as a diff."""
    install(session, "tests")
    session.run("pytest", "--golden=write", *session.posargs)
    session.run("git", "status", "--short", "tests", "docs", external=True)


@nox.session(default=False)
def nightly(session: nox.Session) -> None:
    """Say which curated facts somebody should look at again."""
    install(session, "tests")
    session.run("pytest", "-m", "nightly", *session.posargs)


@nox.session(default=False)
def gpu(session: nox.Session) -> None:
    """Run the tests that need an NVIDIA GPU."""
    install(session, "tests")
    session.run("pytest", "-m", "gpu", *session.posargs)


@nox.session(default=False)
def engine(session: nox.Session) -> None:
    """Run the tests that need a container engine."""
    install(session, "tests")
    session.run("pytest", "-m", "engine", *session.posargs)


@nox.session(default=False)
def slurm(session: nox.Session) -> None:
    """Run the tests that need a SLURM controller."""
    install(session, "tests")
    session.run("pytest", "-m", "slurm", *session.posargs)


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Write the pages anew that come from the program: spec, commands, codes, failures."""
    install(session, "tests")
    pages = ("tests/spec/test_spec_reference.py", "tests/docs/test_docs_written.py")
    session.run("pytest", "--golden=write", *pages)


@nox.session(default=False)
def site(session: nox.Session) -> None:
    """Build the site of docs/ into site/; `nox -s site -- serve` shows it while you write."""
    session.install(*nox.project.dependency_groups(PROJECT, "docs"))
    words = session.posargs or ("build", "--strict")
    session.run("mkdocs", *words, env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure mlenv against uv alone: time, memory, start-up."""
    install(session)
    session.run("python", "bench/lock.py", *session.posargs)
    session.run("python", "bench/matrix.py", "--cells", "40")
