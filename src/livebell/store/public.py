"""What anybody may read: streams without a reader."""

from __future__ import annotations

from collections.abc import Iterable

from ..protocol import Snapshot
from .log import epoch
from .reading import Standing
from .sql import TABLES, Dialect, pack, run


def public(names: Iterable[str]) -> Standing:
    """Where these streams are, for somebody who has no marks: nothing is unread, and all there is counts as read."""
    rows = run(_public, [pack([name] for name in names)])
    at = {name: head for name, head, _ in rows}
    snapshot = Snapshot(unread=0, unseen=0, at=at, rev=0, through=at, read={})
    return Standing(snapshot, {name: floor for name, _, floor in rows}, epoch())


def _public(d: Dialect) -> str:
    return f"""
        SELECT want.name, COALESCE(s.head, 0), COALESCE(s.floor, 0)
        FROM (SELECT {d.item(0, "text")} AS name FROM {d.rows}) want
        LEFT JOIN {TABLES["stream"]} s ON s.name = want.name"""
