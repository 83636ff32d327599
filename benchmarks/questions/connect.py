"""How many connections a second, from the first SYN to the moment when the last one is ready?"""

from __future__ import annotations

from ..stage import Session


def measure(session: Session) -> dict[str, float]:
    """Of those that the session stands on."""
    opened = session.load.opened
    rate = opened.connections / opened.seconds if opened.seconds else 0.0
    return {"connects/s": rate, "failed": opened.failed, "p50": opened.p50, "p99": opened.p99}
