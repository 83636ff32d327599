"""How many queries this process makes, if ``BENCH_COUNT`` is set."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from django.db.backends.signals import connection_created

total = 0


def count(execute: Callable[..., Any], *args: Any) -> Any:
    """Wraps every query (threads of the process share the number; a lost increment would need two in the same instant)."""
    global total  # noqa: PLW0603
    total += 1
    return execute(*args)


def begin(connection: Any, **kwargs: object) -> None:
    connection.execute_wrappers.append(count)


if os.environ.get("BENCH_COUNT"):
    connection_created.connect(begin)
