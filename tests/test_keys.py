"""Any primary key type of ``AUTH_USER_MODEL``: the suite of ``keys.py`` in a process of its own for each user model."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
OWN_DATABASE = {name: value for name, value in os.environ.items() if name != "LIVEBELL_TEST_NAME"}


@pytest.mark.parametrize("key", ["uuid", "text"])
def test_users_may_have_any_type_of_key(key: str) -> None:
    """Users with a UUID, and users with a text and without groups, are notified, counted and marked like any other."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-q",
        f"--ds=tests.settings_{key}",
        "tests/keys.py",
    ]
    done = subprocess.run(
        command, cwd=HERE.parent, env=OWN_DATABASE, capture_output=True, text=True, check=False, timeout=110
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


@pytest.mark.parametrize("key", ["uuid", "text"])
def test_the_migrations_fit_every_user_model(key: str, tmp_path: Path) -> None:
    """``makemigrations`` has nothing to add for another user model."""
    command = [sys.executable, "-m", "django", "makemigrations", "--check", "--dry-run", "livebell"]
    empty = {"LIVEBELL_TEST_DB": "sqlite", "LIVEBELL_TEST_NAME": str(tmp_path / "empty.sqlite3")}
    env = {**os.environ, **empty, "DJANGO_SETTINGS_MODULE": f"tests.settings_{key}"}
    done = subprocess.run(command, cwd=HERE.parent, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
