"""What CPU does a process use while nothing happens on its connections?"""

from __future__ import annotations

import time

from ..cores import cpu_seconds
from ..stage import Session


def measure(session: Session, *, seconds: float) -> dict[str, float]:
    """Percent of a core."""
    pid = session.peer.pid
    assert pid is not None
    before, began = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    return {"percent": 100 * (cpu_seconds(pid) - before) / (time.monotonic() - began)}
