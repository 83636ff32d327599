"""C programs of our own, compiled on the spot."""

from __future__ import annotations

import functools
import subprocess
import tempfile
from pathlib import Path

from tests.services.programs import Unavailable, debian, on_path, program


@functools.cache
def compile_c(sources: Path, name: str) -> Path:
    """Compile all C files of a folder into one program, in a directory that goes away with us. Raises ``Unavailable``."""
    compiler = program("C compiler", lambda: on_path("gcc", "cc", "clang"), debian("gcc"))
    target = Path(_directory().name) / name
    files = sorted(map(str, sources.glob("*.c")))
    done = subprocess.run([compiler, "-O2", "-o", target, *files], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"{compiler.name} can't compile {sources.name}: {done.stderr.strip()[-300:]}")
    return target


@functools.cache
def _directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="livebell-bench-")
