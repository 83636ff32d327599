"""The faults. Each file has a ``FAULT``; its number is the file's."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from ..fault import Fault

FILES = {f"F{int(path.stem[1:3])}": path.stem for path in sorted(Path(__file__).parent.glob("f[0-9][0-9]_*.py"))}
"""Module of each fault, by its name."""


def load(name: str) -> Fault:
    """The fault of this name, such as ``F1``."""
    fault: Fault = import_module(f"{__name__}.{FILES[name.upper()]}").FAULT
    return fault
