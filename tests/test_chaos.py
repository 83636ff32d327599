"""A selection of the chaos suite in small, at most three minutes on two cores: real processes, the same count, and controls.

``python -m chaos`` runs everything; ``docs/guarantees.md`` has its table.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from chaos.faults import load
from chaos.result import Result
from tests.services import redis_program
from tests.services.postgresql import find
from tests.site import ROOT

from .conftest import had

SELECTION = {
    "F1": ("livebell", "without the cursor"),
    "F3": ("livebell", "without the position check"),
    "F10": ("livebell",),
    "F11": ("livebell", "published outside the caller's transaction"),
    "F12": ("livebell",),
    "F13": ("livebell",),
    "F19": ("livebell", "followed by created > last"),
    "F21": ("livebell", "a caller who passes over the error"),
    "F24": ("livebell",),
    "F27": ("livebell",),
}
"""Faults, and which of their runs."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.environ.get("LIVEBELL_TEST_DB") == "postgresql", reason="runs once, whatever the database"),
]


@pytest.mark.timeout(150)
@pytest.mark.parametrize("name", SELECTION)
def test_fault(name: str) -> None:
    """Nothing lost, doubled, invented, out of order or miscounted; and a control fails."""
    had("Redis", redis_program)
    if load(name).database == "postgresql" and find() is None:
        pytest.skip("PostgreSQL: none here")
    results = run(name, SELECTION[name])
    assert [result.variant for result in results] == list(SELECTION[name])
    for result in results:
        assert result.as_it_should, result.line()


def run(name: str, runs: Sequence[str]) -> list[Result]:
    """In a process of its own, with a database of its own."""
    command = [sys.executable, "-m", "chaos.one", name, "--quick", *(word for one in runs for word in ("--run", one))]
    own = {name: value for name, value in os.environ.items() if not name.startswith(("LIVEBELL_TEST", "DATABASE_URL"))}
    done = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, timeout=140, check=False)
    results = [Result.parse(line) for line in done.stdout.splitlines()]
    assert results, done.stderr[-3000:]
    return results
