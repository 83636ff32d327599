"""How much memory does an idle connection take in the server?"""

from __future__ import annotations

from ..stage import Session


def measure(session: Session) -> dict[str, float]:
    """Kilobytes (1,000 bytes) for each."""
    return {"kB": session.grown / session.connections / 1e3}
