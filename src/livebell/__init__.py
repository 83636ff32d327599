"""Live notifications for Django: stored once, on every open page within a blink, and the bell's number is the true one.

    from livebell import EVERYONE, notify

    notify(user, "Build passed", url="/builds/1/")
    notify(EVERYONE, "Maintenance at six", level="warning")

The names below are loaded at first use, because Django's models can't be imported before the application registry is
ready, and ``livebell`` itself is imported while the registry is being filled.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "EVERYONE",
    "amark_read",
    "anotify",
    "apush",
    "aretract",
    "mark_read",
    "notify",
    "push",
    "retract",
    "unread",
]

if TYPE_CHECKING:
    from .api import amark_read, anotify, apush, aretract, mark_read, notify, push, retract, unread
    from .audience import EVERYONE


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(".api", __name__), name)
    globals()[name] = value
    return value
