"""Pack static/livebell/src into client.js, bell.js and bell.css, with npm's esbuild. ``--check`` only compares."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from tests.services.programs import Unavailable  # noqa: E402

STATIC = ROOT / "src" / "livebell" / "static" / "livebell"
ESBUILD = "esbuild@0.28.2"
SCRIPT = ("--bundle", "--minify", "--format=esm", "--target=es2022")
FILES = {"client.js": SCRIPT, "bell.js": (*SCRIPT, "--external:./client.js"), "bell.css": ("--minify",)}


def esbuild(*arguments: str) -> str:
    """What esbuild writes. It is called elsewhere: npx takes a package.json beside it for its own."""
    npx = shutil.which("npx")
    if not npx:
        raise Unavailable("no npx")
    command = [npx, "--yes", ESBUILD, *(arguments or ["--version"])]
    environment = os.environ | {"NO_UPDATE_NOTIFIER": "1"}
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"{ESBUILD}: {(done.stderr.strip() or 'no message').splitlines()[-1]}")
    return done.stdout


def packed(name: str) -> str:
    return esbuild(str(STATIC / "src" / name), *FILES[name])


def main() -> int:
    stale = {name: text for name in FILES if (text := packed(name)) != current(name)}
    if "--check" in sys.argv:
        print("stale, so run `make pack`: " + ", ".join(stale) if stale else "up to date")
        return bool(stale)
    for name, text in stale.items():
        (STATIC / name).write_text(text)
    return 0


def current(name: str) -> str:
    path = STATIC / name
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Unavailable as reason:
        sys.exit(str(reason))
