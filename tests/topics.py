"""Topics for ``LIVEBELL["STREAMS"]``."""

from typing import Any


def orders(user: Any) -> list[str]:
    return ["order:15"]
