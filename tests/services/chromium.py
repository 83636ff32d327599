"""A Chromium for Playwright: ``launch(executable_path=chromium_path(), args=CHROMIUM_ARGS)``."""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import subprocess
from pathlib import Path

from .programs import Unavailable, carried, debian, on_path, program, run, say

CHROMIUM_ARGS = ["--no-sandbox", "--disable-dev-shm-usage"]
"""Root has no sandbox, and many a container neither. What it opens is our own pages."""

NPM_PACKAGE = "@sparticuz/chromium@147.0.0"
"""Carries a headless Chromium with the libraries it needs, compressed: for those who have npm but aren't root."""

UNPACK = 'import("@sparticuz/chromium").then(m => m.default.executablePath()).catch(e => { console.error(e); process.exit(1) })'
DIRECTORY = carried("chromium")
START = DIRECTORY / "start"

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@functools.cache
def chromium_path() -> str:
    return str(program("Chromium", find, debian("chromium"), install_npm))


def find() -> Path | None:
    named = os.environ.get("CHROMIUM")
    if named and not works(Path(named)):
        raise Unavailable(f"CHROMIUM={named} does not work")
    candidates = [Path(named)] if named else [on_path(name) for name in NAMES] + playwrights_own() + [START]
    return next((path for path in candidates if path and works(path)), None)


def playwrights_own() -> list[Path]:
    """What ``playwright install chromium`` leaves."""
    caches = [Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright")]
    return [path for cache in caches for path in sorted(cache.glob("chromium-*/chrome-linux*/chrome"), reverse=True)]


def works(path: Path) -> bool:
    """Some systems have a ``chromium`` that only tells how to install one."""
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def install_npm() -> str:
    npm, node = shutil.which("npm"), shutil.which("node")
    if not (npm and node):
        return "no npm"
    say(f"Installing npm's {NPM_PACKAGE} …")
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    if problem := run(
        npm, "install", "--loglevel=error", "--no-audit", "--no-fund", "--prefix", str(DIRECTORY), NPM_PACKAGE
    ):
        return problem
    # it unpacks its libraries only where it believes to be at home
    more = {"TMPDIR": str(DIRECTORY), "AWS_EXECUTION_ENV": "AWS_Lambda_nodejs22.x"}
    problem = run(
        "sh", "-c", f"cd {shlex.quote(str(DIRECTORY))} && {shlex.quote(node)} -e {shlex.quote(UNPACK)}", **more
    )
    write_start()
    return problem


def write_start() -> None:
    """Start it with the libraries that it carries."""
    here = shlex.quote(str(DIRECTORY))
    START.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={here}/al2023/lib exec {here}/chromium "$@"\n')
    START.chmod(0o755)
