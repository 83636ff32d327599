"""Pull: the entries above a position, of any number of streams, in one query. And what has moved since."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from secrets import token_hex
from typing import Any

import msgspec
from django.utils import timezone

from ..models import Epoch
from ..protocol import Entry
from .sql import TABLES, Dialect, database, dialect, key_param, moment, pack, run

PAGE = 100
"""Entries of one stream in one pull, at the most."""
MAX_BYTES = 256 * 1024
"""Content of one stream in one pull, in characters, after which the page ends."""

Position = tuple[str, int]
"""A stream and the ``seq`` above which entries are wanted."""


@dataclass(frozen=True, slots=True)
class Page:
    """The entries of one stream above a position: at most ``PAGE``, in order, without holes."""

    entries: list[Entry]
    head: int
    floor: int


@dataclass(frozen=True, slots=True)
class Moved:
    """What is not where the asker thought."""

    streams: dict[str, int | None]
    """New heads; None where the stream is gone."""
    floors: dict[str, int]
    """New floors."""
    readers: dict[str, int]
    """New revs."""
    epoch: str
    drains: int
    """How often the live processes have been told to drain."""


def pull(positions: Iterable[Position]) -> dict[Position, Page]:
    """The page above each position. A stream that doesn't exist yet has head and floor 0."""
    wanted = list(positions)
    pages = {position: Page([], 0, 0) for position in wanted}
    rows = run(_pull, [pack(wanted), timezone.now()])
    for (name, after, head, floor), group in groupby(rows, key=itemgetter(0, 1, 2, 3)):
        pages[name, after] = Page(list(_within_bytes(group)), head, floor)
    return pages


def _within_bytes(rows: Iterable[tuple[Any, ...]]) -> Iterator[Entry]:
    size = 0
    for row in rows:
        if row[4] is None or size > MAX_BYTES:  # no entry above the position, or enough for one frame
            return
        size += len(row[10] or "") + len(row[14] or "")  # body and data
        yield as_entry(row[4:])


def as_entry(row: Sequence[Any]) -> Entry:
    """An entry from the columns of ``entry_columns``."""
    seq, retracts, gone, id_, kind, title, body, url, level, actor, data, created = row
    if retracts is not None:
        return Entry(seq=seq, retracts=retracts)
    if gone:
        return Entry(seq=seq, gone=True)
    return Entry(
        seq=seq,
        id=id_,
        kind=kind,
        title=title,
        body=body,
        url=url,
        level=level,
        actor=actor,
        data=None if data is None else msgspec.Raw(data.encode()),
        created=moment(created).timestamp(),
    )


def entry_columns(d: Dialect) -> str:
    """The columns of ``e`` and its notification ``n`` that ``as_entry`` reads; takes the time as its parameter."""
    return f"""e.seq, e.retracts, (n.retracted IS NOT NULL OR n.expires <= %s) AS gone, n.id, n.kind,
        n.title, n.body, n.url, n.level, n.actor, {d.text("n.data")}, n.created"""


def _pull(d: Dialect) -> str:
    return f"""
        WITH want AS (SELECT {d.item(0, "text")} AS name, {d.item(1, "bigint")} AS after FROM {d.rows})
        SELECT want.name, want.after, s.head, s.floor, {entry_columns(d)}
        FROM want JOIN {TABLES["stream"]} s ON s.name = want.name
        LEFT JOIN {d.page(TABLES["entry"], PAGE)}
        LEFT JOIN {TABLES["notification"]} n ON n.id = e.notification_id
        ORDER BY want.name, want.after, e.seq"""


def moved(heads: Mapping[str, int], revs: Mapping[str, int], floors: Mapping[str, int] = {}) -> Moved:
    """The position check: which of these streams and readers are elsewhere by now, in one query."""
    keys = {str(param): key for key in revs for param in [key_param(key)]}
    positions = pack((name, head, floors.get(name, 0)) for name, head in heads.items())
    rows = run(_moved, [positions, pack((param, revs[key]) for param, key in keys.items())])
    value, drains = history()
    return Moved(
        streams={name: head for what, name, head, _ in rows if what == "s" and head != heads[name]},
        floors={name: floor for what, name, _, floor in rows if what == "s" and floor > floors.get(name, 0)},
        readers={keys[name]: rev for what, name, rev, _ in rows if what == "r"},
        epoch=value,
        drains=drains,
    )


def _moved(d: Dialect) -> str:
    return f"""
        SELECT 's', want.name, s.head, COALESCE(s.floor, 0)
        FROM (SELECT {d.item(0, "text")} AS name, {d.item(1, "bigint")} AS head, {d.item(2, "bigint")} AS floor
              FROM {d.rows}) want
        LEFT JOIN {TABLES["stream"]} s ON s.name = want.name
        WHERE COALESCE(s.head, 0) <> want.head OR COALESCE(s.floor, 0) <> want.floor
        UNION ALL
        SELECT 'r', want.name, COALESCE(r.rev, 0), 0
        FROM (SELECT {d.item(0, "text")} AS name, {d.item(1, "bigint")} AS position FROM {d.rows}) want
        LEFT JOIN {TABLES["reader"]} r ON r.user_id = {d.key("want.name")} WHERE COALESCE(r.rev, 0) <> want.position"""


def change_mark() -> Any:
    """A value that differs from the last one whenever anything may have been committed; costs next to nothing.

    PostgreSQL: the snapshot moves on with each transaction that writes. SQLite: ``data_version`` counts what *other*
    connections committed, so ask it always on one connection that writes nothing (https://sqlite.org/pragma.html).
    """
    with database().cursor() as cursor:
        cursor.execute(dialect().change_mark)
        return cursor.fetchone()


def epoch() -> str:
    """The name of this database's history; made at first use."""
    return history()[0]


def history() -> tuple[str, int]:
    """The name of this database's history, and how often its live processes have been told to drain."""
    rows = Epoch.objects.using(database().alias).values_list("value", "drains")
    found = rows.first()
    if found is None:
        Epoch.objects.using(database().alias).bulk_create([Epoch(value=token_hex(8))], ignore_conflicts=True)
        found = rows.get()
    return found


def new_epoch() -> str:
    """Begin another history: every client forgets what it has and starts over. For after a restore from a backup."""
    Epoch.objects.using(database().alias).update_or_create(pk=1, defaults={"value": token_hex(8)})
    return epoch()


def now() -> float:
    """The server's clock, in seconds since 1970."""
    return timezone.now().timestamp()
