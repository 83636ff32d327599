"""How many deliveries a second, when 500 messages are published to everybody as fast as they go?

From the first publish call to the last delivery. What has not come 3 s after the last one that came is lost. The load client
reads 50 times a second: it has a core in common with publisher and database, and would take of it what they need.
"""

from __future__ import annotations

from ..stage import Session

MESSAGES = 500
QUIET = 3.0
READ_EVERY = 0.02


def measure(session: Session, *, limit: float) -> dict[str, float]:
    """*limit*: seconds after which we stop listening; the rate is of what came until then."""
    first = session.numbers(MESSAGES)
    session.load.count(first, MESSAGES, quiet=QUIET, limit=limit, every=READ_EVERY)
    published = session.publish(MESSAGES, first=first)
    counted = session.load.counted(limit + 10)
    return {
        "deliveries/s": counted.rate,
        "lost": counted.lost,
        "doubled": counted.doubled,
        "seconds": counted.seconds,
        "p50": counted.p50,
        "p99": counted.p99,
        "publishes/s": MESSAGES / published.seconds,
        **counted.gathered,
        "expected": MESSAGES * session.connections,
    }
