"""Its virtual environment, and how to run something in it."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.services.programs import Unavailable, run

ROOT = Path(__file__).resolve().parent.parent.parent
REQUIREMENTS = ROOT / "requirements" / "peer-notifications-hq.txt"
VENV = ROOT / ".venv" / "peers" / "notifications-hq"


def store(database: str, what: str, number: int) -> dict[str, float]:
    """What ``store.py`` prints. Raises ``Unavailable``."""
    settings = {"DJANGO_SETTINGS_MODULE": "peers.notifications_hq.settings", "DATABASE_URL": database}
    command = [python(), "-m", "peers.notifications_hq.store", what, str(number)]
    options: dict[str, Any] = {"env": os.environ | settings, "cwd": ROOT, "capture_output": True, "text": True}
    done = subprocess.run(command, timeout=600, check=False, **options)
    if done.returncode:
        raise Unavailable(f"django-notifications-hq failed: {done.stderr.strip()[-300:]}")
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


@functools.cache
def python() -> str:
    """Its Python, installed if it isn't there. Raises ``Unavailable``."""
    stamp = VENV / "requirements.txt"
    program = VENV / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != REQUIREMENTS.read_text():
        shutil.rmtree(VENV, ignore_errors=True)
        for command in (
            (sys.executable, "-m", "venv", str(VENV)),
            (str(program), "-m", "pip", "install", "-qq", "--requirement", str(REQUIREMENTS)),
        ):
            if problem := run(*command):
                raise Unavailable(problem)
        stamp.write_text(REQUIREMENTS.read_text())
    return str(program)
