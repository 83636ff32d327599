"""How long from the publish call to the socket, at a fixed load; and what of the server's CPU does a delivery cost?"""

from __future__ import annotations

from ..cores import cpu_seconds
from ..stage import Session

QUIET = 3.0


def measure(session: Session, *, every: float, seconds: float, limit: float = 10.0) -> dict[str, float]:
    """A message to everybody each *every* seconds, for so many *seconds*; *limit*: how long we listen on after that."""
    number = round(seconds / every)
    first = session.numbers(number)
    pid = session.peer.pid
    assert pid is not None
    session.load.count(first, number, quiet=QUIET, limit=seconds + limit)
    before = cpu_seconds(pid)
    session.publish(number, every=every, first=first)
    counted = session.load.counted(seconds + limit + 10)
    used = cpu_seconds(pid) - before
    return {
        "p50": counted.p50,
        "p90": counted.p90,
        "p99": counted.p99,
        "max": counted.max,
        "lost": counted.lost,
        "doubled": counted.doubled,
        "deliveries/s": counted.rate,
        "cpu": used / counted.deliveries * 1e6 if counted.deliveries else 0,
        **counted.gathered,
        "expected": number * session.connections,
    }
