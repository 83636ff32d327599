"""What leaves the store: pruned entries, and what belonged to users and groups that are gone."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from .sql import TABLES, Dialect, database, pack, run


def cut(stream: str, floor: int) -> int:
    """Prune the entries of a stream up to *floor*; returns the floor in force. A reader behind it gets a reset."""
    with transaction.atomic(using=database().alias):
        rows = run(_raise_floor, [floor, stream])
        run(_delete_below, [stream])
    return rows[0][0] if rows else 0


def forget(streams: Iterable[str]) -> None:
    """Drop whole streams, with the marks in them: their user or group is gone, and its key may come back as another's."""
    names = pack(streams)
    with transaction.atomic(using=database().alias):
        for table in ("receipt", "mark", "entry"):
            run(_FORGET[table], [names])
        run(_forget_streams, [names])


def _raise_floor(d: Dialect) -> str:
    floor = f"{d.least}({d.greatest}(floor, CAST(%s AS bigint)), head)"
    return f"UPDATE {TABLES['stream']} SET floor = {floor} WHERE name = %s RETURNING floor"


def _delete_below(d: Dialect) -> str:
    return f"""
        DELETE FROM {TABLES["entry"]} WHERE EXISTS (
            SELECT 1 FROM {TABLES["stream"]} s
            WHERE s.name = %s AND s.id = {TABLES["entry"]}.stream_id AND {TABLES["entry"]}.seq <= s.floor)"""


def _forget_rows(table: str, d: Dialect) -> str:
    return f"""
        DELETE FROM {TABLES[table]} WHERE stream_id IN (
            SELECT id FROM {TABLES["stream"]} WHERE name IN (SELECT {d.element} FROM {d.rows}))"""


def _forget_receipts(d: Dialect) -> str:
    return _forget_rows("receipt", d)


def _forget_marks(d: Dialect) -> str:
    return _forget_rows("mark", d)


def _forget_entries(d: Dialect) -> str:
    return _forget_rows("entry", d)


_FORGET = {"receipt": _forget_receipts, "mark": _forget_marks, "entry": _forget_entries}


def _forget_streams(d: Dialect) -> str:
    return f"DELETE FROM {TABLES['stream']} WHERE name IN (SELECT {d.element} FROM {d.rows})"
