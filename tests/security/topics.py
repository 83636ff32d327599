"""Rules for ``LIVEBELL["STREAMS"]``."""

from typing import Any


def by_permission(user: Any) -> list[str]:
    """What only some may read."""
    return ["ledger"] if user.has_perm("livebell.change_notification") else []
