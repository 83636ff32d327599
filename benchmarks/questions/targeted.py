"""Each message to one of 1,000 users, as fast as the store takes them: how long until it is on that user's socket?"""

from __future__ import annotations

from ..stage import Session

QUIET = 3.0


def measure(session: Session, *, number: int, limit: float = 30.0) -> dict[str, float]:
    """From the publish call, which includes the commit."""
    first = session.numbers(number)
    users = [str(pk) for pk in range(1, session.connections + 1)]
    session.load.count(first, number, mode="each", quiet=QUIET, limit=limit)
    published = session.publish(number, to=users, first=first)
    counted = session.load.counted(limit + 10)
    return {
        "p50": counted.p50,
        "p99": counted.p99,
        "max": counted.max,
        "lost": counted.lost,
        "doubled": counted.doubled,
        "stray": counted.stray,
        "publishes/s": number / published.seconds,
    }
