"""Fixtures for the real servers, and a loud line at the end for each that can't be had.

Without ``CI=true`` a test that needs such a server is skipped; with it, it fails.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connections

from benchmarks.load import compiled
from tests.services import External, PostgreSQL, Redis, Unavailable, chromium_path

CI = os.environ.get("CI") == "true"
missing: dict[str, str] = {}


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis | External]:
    """The Redis of REDIS_URL, or one of our own. To stop one, take ``own_redis``."""
    yield from served("Redis", lambda: external("REDIS_URL") or Redis())


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQL | External]:
    """The PostgreSQL of DATABASE_URL (``make test`` sets it), or one of our own. To stop one, take ``own_postgresql``."""
    yield from served("PostgreSQL", lambda: external("DATABASE_URL") or PostgreSQL())


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    """A Redis for this test alone, to stop, kill and start again. Starts in about 0.1 s."""
    yield from served("Redis", Redis)


@pytest.fixture
def own_postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL for this test alone, to stop, kill and start again. Starts in about 1 s."""
    yield from served("PostgreSQL", PostgreSQL)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium, for Playwright's ``launch(executable_path=chromium, args=CHROMIUM_ARGS)``."""
    return had("Chromium", chromium_path)


@pytest.fixture(scope="session")
def load_client() -> Path:
    """The benchmarks' load client, compiled."""
    path: Path = had("a C compiler", compiled)
    return path


def served(name: str, make: Callable[[], Redis | PostgreSQL | External]) -> Iterator[Any]:
    with ExitStack() as stack:
        yield had(name, lambda: stack.enter_context(make()))


def had(name: str, get: Callable[[], Any]) -> Any:
    """What ``get`` returns. If it can't be had: skip, or with CI=true fail."""
    try:
        return get()
    except Unavailable as error:
        reason = f"{name}: {error}"
        missing[name] = str(error)
    if CI:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def external(variable: str) -> External | None:
    url = os.environ.get(variable)
    return External(variable, url) if url else None


def pytest_unconfigure() -> None:
    """Django removes the file of a SQLite test database, but not what WAL keeps beside it."""
    if settings.configured and settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        connections.close_all()
        for suffix in ("", "-wal", "-shm"):
            Path(settings.DATABASES["default"]["TEST"]["NAME"] + suffix).unlink(missing_ok=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if missing:
        terminalreporter.section("NOT TESTED", sep="!", red=True, bold=True)
    for name, reason in missing.items():
        terminalreporter.line(f"Everything that needs {name}: {reason}", red=True, bold=True)
