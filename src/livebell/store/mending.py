"""What ``verify`` does about what it finds: one function for each kind of damage, each one short transaction.

Nothing goes that anybody could still see. A hole is mended with a filler, an entry that retracts minus its own number: it
counts nothing, and clients get a number whose content is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.utils import timezone

from ..models import Entry, Notification
from .marks import _touch
from .outbox import number, put_retraction
from .sql import TABLES as T
from .sql import Dialect, again, database, execute, run

WINDOW = 1000
"""Entries that are looked at in one step when holes are filled."""

Key = tuple[Any, ...]
KEYS = {
    "stream": ("id",),
    "entry": ("stream_id", "seq"),
    "notification": ("id",),
    "outbox": ("id",),
    "reader": ("user_id",),
    "mark": ("user_id", "stream_id"),
    "receipt": ("user_id", "stream_id", "seq"),
}
"""The tables that are walked, in this order, and their primary keys."""


def _locked(stream: Any) -> None:
    """Nobody numbers into this stream until the transaction ends; also writes before it reads, for SQLite."""
    execute(f"UPDATE {T['stream']} SET head = head WHERE id = %s", [stream])


@again
def level(key: Key) -> None:
    """The head is that of the last entry, the floor below the first if it was above the head."""
    with transaction.atomic(using=database().alias):
        _locked(key[0])
        execute(
            f"""UPDATE {T["stream"]} SET
                head = COALESCE((SELECT MAX(e.seq) FROM {T["entry"]} e WHERE e.stream_id = {T["stream"]}.id), floor),
                floor = CASE WHEN floor <= head THEN floor ELSE
                    COALESCE((SELECT MIN(e.seq) - 1 FROM {T["entry"]} e WHERE e.stream_id = {T["stream"]}.id), head) END
                WHERE id = %s""",
            key,
        )
        execute(f"UPDATE {T['stream']} SET head = floor WHERE id = %s AND head < floor", key)


@again
def fill(key: Key) -> None:
    """No entry after the last one is missing; between others, fillers."""
    with transaction.atomic(using=database().alias):
        level(key)
        ((low, head),) = execute(f"SELECT floor, head FROM {T['stream']} WHERE id = %s", key)
        while low < head:
            rows = execute(_RANGE, [key[0], low, min(low + WINDOW, head)])
            missing = set(range(low + 1, min(low + WINDOW, head) + 1)) - {row[0] for row in rows}
            fillers = [Entry(stream_id=key[0], seq=seq, notification_id=0, retracts=-seq) for seq in sorted(missing)]
            Entry.objects.using(database().alias).bulk_create(fillers)
            low = min(low + WINDOW, head)


_RANGE = f"SELECT seq FROM {T['entry']} WHERE stream_id = %s AND seq > %s AND seq <= %s"


def sweep(key: Key) -> None:
    execute(
        f"""DELETE FROM {T["entry"]} WHERE stream_id = %s AND seq <= (
            SELECT floor FROM {T["stream"]} s WHERE s.id = {T["entry"]}.stream_id)""",
        key,
    )


def void(key: Key) -> None:
    """The entry, and what retracts it, count nothing any more."""
    stream, seq = key
    execute(
        f"UPDATE {T['entry']} SET retracts = -seq, key = NULL WHERE stream_id = %s AND (seq = %s OR retracts = %s)",
        [stream, seq, seq],
    )


def say(key: Key) -> None:
    """A notification is taken back on every stream it stands in, or on none."""
    note = (
        Entry.objects.using(database().alias)
        .values_list("notification_id", flat=True)
        .get(stream_id=key[0], seq=key[1])
    )
    Notification.objects.using(database().alias).filter(pk=note, retracted=None).update(retracted=timezone.now())
    number([put_retraction(note)])


def delete(table: str) -> Callable[[Key], object]:
    where = " AND ".join(f"{name} = %s" for name in KEYS[table])
    return lambda key: execute(f"DELETE FROM {T[table]} WHERE {where}", key)


def begin_rev(key: Key) -> None:
    """The reader's rev goes on, so that its pages are told."""
    _touch([key[0]])


def restart_rev(key: Key) -> None:
    """It counts from 1 again; clients may know a higher one, so this needs a new epoch."""
    execute(f"UPDATE {T['reader']} SET rev = 1 WHERE user_id = %s AND rev < 0", key)


def clip(key: Key) -> None:
    """Back to what exists; a mark in a stream that is gone goes."""
    with transaction.atomic(using=database().alias):
        begin_rev(key)
        run(_clip_mark, key)
        execute(
            f"""DELETE FROM {T["mark"]} WHERE user_id = %s AND stream_id = %s
                AND NOT EXISTS (SELECT 1 FROM {T["stream"]} s WHERE s.id = stream_id)""",
            key,
        )


def _clip_mark(d: Dialect) -> str:
    head = f"(SELECT s.head FROM {T['stream']} s WHERE s.id = stream_id)"
    return f"""
        UPDATE {T["mark"]} SET read_through = {d.greatest}({d.least}(read_through, {head}), 0),
            seen_through = {d.greatest}({d.least}(seen_through, {head}), 0)
        WHERE user_id = %s AND stream_id = %s AND EXISTS (SELECT 1 FROM {T["stream"]} s WHERE s.id = stream_id)"""


def unmark(key: Key) -> None:
    with transaction.atomic(using=database().alias):
        begin_rev(key)
        delete("receipt")(key)
