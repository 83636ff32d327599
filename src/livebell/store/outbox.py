"""Publish and number: from the caller's transaction into the log.

A publish is one row in the outbox, written inside the caller's transaction. After the commit, numbering moves it, in a
short transaction of its own: it locks the stream rows in the order of their names, takes ``head + 1``, writes the entries
and deletes the outbox row. So entries of a stream become visible in the order of ``seq`` and without holes (invariant 1),
and nobody holds a lock while a caller thinks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from django.db import transaction
from django.utils import timezone

from ..models import Content, Outbox
from .sql import TABLES, Dialect, again, database, execute, pack, run

CHUNK = 2000
"""Streams in one outbox row, so that a large audience is numbered in bounded steps."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What a publish has put into the outbox."""

    rows: list[int]
    """Ids of the outbox rows; the first is the notification's."""
    streams: int
    """How many streams they go to."""


FIELDS = tuple(Content._meta.local_fields)
COLUMNS = ", ".join(str(field.column) for field in FIELDS)


def put(content: dict[str, Any], streams: Iterable[str]) -> Stored:
    """Write a publish into the outbox, in the caller's transaction: all of it or nothing."""
    names = iter(streams)
    first, second = list(islice(names, CHUNK)), list(islice(names, CHUNK))
    if not first:
        return Stored([], 0)
    if not second:
        return Stored([_put_row(content, first, None)], len(first))
    with transaction.atomic(using=database().alias):
        stored = Stored([_put_row(content, first, None)], len(first))
        for chunk in chain([second], iter(lambda: list(islice(names, CHUNK)), [])):
            stored.rows.append(_put_row(content, chunk, stored.rows[0]))
            stored = Stored(stored.rows, stored.streams + len(chunk))
    return stored


def put_and_number(content: dict[str, Any], streams: Sequence[str]) -> tuple[Stored, dict[str, int]]:
    """Publish, without a key and to at most ``CHUNK`` different streams, outside of any transaction: there is no commit to
    wait for, so one transaction does all of it; on PostgreSQL one statement. Returns the new heads too. If it raises, it
    has stored nothing."""
    return _put_and_number(content, streams)


def nobody_has_to_commit() -> bool:
    """Whether the caller is outside of any transaction."""
    connection = database()
    return connection.get_autocommit() and not connection.in_atomic_block


def _put_row(content: dict[str, Any], streams: list[str], part_of: int | None) -> int:
    row = Outbox(**content, streams=streams, part_of=part_of)
    row.save(force_insert=True, using=database().alias)
    return row.pk


def standing_already(key: str, streams: Sequence[str]) -> int | None:
    """The notification with this key if it, or one before it, stands in every one of these streams already."""
    rows = run(_with_key, [key, pack(streams)])
    return rows[0][0] if len(rows) == len(streams) else None


def put_retraction(notification: int) -> int:
    """Write a retraction into the outbox; returns the row's id."""
    return Outbox.objects.using(database().alias).create(title="", retracts=notification).pk


def put_expired() -> list[int]:
    """Write a retraction for each notification that has expired since; returns the rows' ids."""
    if not run(_has_expired, [timezone.now()]):  # writing nothing would still take SQLite's one write lock
        return []
    return [row[0] for row in run(_put_expired, [timezone.now(), timezone.now()])]


def number(ids: Sequence[int]) -> dict[str, int]:
    """Move these outbox rows into the log; returns the new head of each stream they went to.

    Rows that somebody else has numbered, or is numbering, are skipped, so that it may be called twice and by anybody.
    """
    moved: dict[str, int] = {}
    for some in _slices(ids):
        moved.update(_number(some))
    return moved


def pending(up_to: int, limit: int = 500) -> list[int]:
    """Ids of the oldest rows that wait in the outbox, none above *up_to*."""
    rows = Outbox.objects.using(database().alias).filter(pk__lte=up_to).order_by("pk")
    return list(rows.values_list("pk", flat=True)[:limit])


def newest_pending() -> int:
    """Id of the newest row that waits in the outbox, 0 if it is empty."""
    newest = Outbox.objects.using(database().alias).order_by("-pk").values_list("pk", flat=True).first()
    return newest or 0


def _slices(ids: Sequence[int], size: int = 100) -> Iterator[Sequence[int]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


@again
def _put_and_number(content: dict[str, Any], streams: Sequence[str]) -> tuple[Stored, dict[str, int]]:
    connection = database()
    if connection.vendor == "postgresql":
        now = timezone.now()
        values = [field.get_db_prep_save(content.get(field.name, now), connection) for field in FIELDS]
        if len(streams) == 1:
            rows = run(_publish_to_one, [*values, streams[0]])
        else:
            rows = run(_publish_to_several, [*values, list(streams)])
        return Stored([rows[0][2]], len(streams)), {name: head for name, head, _ in rows}
    with transaction.atomic(using=connection.alias):
        row = _put_row(content, list(streams), None)
        return Stored([row], len(streams)), _steps([row])


@again
def _number(ids: Sequence[int]) -> dict[str, int]:
    if database().vendor == "postgresql":
        return dict(run(_number_at_once, [list(ids), timezone.now()]))
    return _number_in_steps(ids)


def _number_in_steps(ids: Sequence[int]) -> dict[str, int]:
    """SQLite can't write in a CTE. The first statement writes, so that the transaction owns the lock before it reads."""
    with transaction.atomic(using=database().alias):
        return _steps(ids)


def _steps(ids: Sequence[int]) -> dict[str, int]:
    chosen = pack(ids)
    moved = dict(run(_move_heads, [chosen]))
    run(_copy_content, [chosen])
    run(_take_back, [timezone.now(), chosen])
    run(_enter, [chosen])
    run(_clear, [chosen])
    return moved


def _want(d: Dialect, due: str) -> str:
    """(id, note, name, key, retracts) for each entry to write, in SQL over the outbox rows ``due``.

    What has a key and stands in the stream already is left out; so is what was retracted before.
    """
    return f"""
        SELECT o.id, COALESCE(o.part_of, o.id) AS note, {d.name} AS name, o.key, CAST(NULL AS bigint) AS retracts
        FROM {due} o {d.each}
        WHERE o.retracts IS NULL AND (o.key IS NULL OR (
            SELECT e.seq FROM {TABLES["entry"]} e JOIN {TABLES["stream"]} s ON s.id = e.stream_id
            WHERE s.name = {d.name} AND e.key = o.key LIMIT 1) IS NULL)
        UNION ALL
        SELECT MIN(o.id), e.notification_id, s.name, NULL, e.seq
        FROM {due} o JOIN {TABLES["entry"]} e ON e.notification_id = o.retracts AND e.retracts IS NULL
        JOIN {TABLES["stream"]} s ON s.id = e.stream_id
        WHERE NOT EXISTS (SELECT 1 FROM {TABLES["entry"]} r WHERE r.stream_id = e.stream_id AND r.retracts = e.seq)
        GROUP BY e.notification_id, s.name, e.seq"""


def _target(want: str) -> str:
    """The same with the place ``n`` of each entry among the ``total`` of its stream; a key counts once."""
    return f"""
        SELECT note, name, key, retracts, ROW_NUMBER() OVER (PARTITION BY name ORDER BY id, retracts) AS n,
               COUNT(*) OVER (PARTITION BY name) AS total
        FROM (SELECT want.*, ROW_NUMBER() OVER (
                  PARTITION BY name, key, CASE WHEN key IS NULL THEN id END, retracts ORDER BY id) AS copy
              FROM ({want}) want) once
        WHERE copy = 1"""


_PUBLISHED = f"""(o.retracts IS NULL OR NOT EXISTS (
    SELECT 1 FROM {TABLES["outbox"]} p WHERE p.id = o.retracts OR p.part_of = o.retracts))"""
"""A retraction waits until all of what it takes back has been numbered."""


def _publish_to_one(d: Dialect) -> str:
    """The plain case by itself: an array of one name costs PostgreSQL a sixth of the statement."""
    return _publish("VALUES (%s::text, 1, 0)")


def _publish_to_several(d: Dialect) -> str:
    return _publish("SELECT name, 1, 0 FROM unnest(%s::text[]) AS name ORDER BY name")


def _publish(streams: str) -> str:
    """What numbering comes to for one new notification without a key: nothing to look for, nothing to leave out."""
    columns = ", ".join(f"%s::{field.db_type(database())}" for field in FIELDS)
    ((sequence,),) = execute("SELECT pg_get_serial_sequence(%s, 'id')", [TABLES["outbox"]])
    return f"""
        WITH note AS (
            INSERT INTO {TABLES["notification"]} (id, {COLUMNS})
            VALUES (nextval('{sequence}'), {columns}) RETURNING id
        ), moved AS (
            INSERT INTO {TABLES["stream"]} AS s (name, head, floor)
            {streams}
            ON CONFLICT (name) DO UPDATE SET head = s.head + 1 RETURNING s.id, s.name, s.head
        ), entered AS (
            INSERT INTO {TABLES["entry"]} (stream_id, seq, notification_id)
            SELECT moved.id, moved.head, note.id FROM moved CROSS JOIN note
        )
        SELECT moved.name, moved.head, note.id FROM moved CROSS JOIN note"""


def _number_at_once(d: Dialect) -> str:
    return f"""
        WITH due AS (
            DELETE FROM {TABLES["outbox"]} WHERE id IN (
                SELECT id FROM {TABLES["outbox"]} o WHERE id = ANY(%s) AND {_PUBLISHED}
                ORDER BY id FOR UPDATE SKIP LOCKED)
            RETURNING *
        ), target AS MATERIALIZED ({_target(_want(d, "due"))}),
        note AS (
            INSERT INTO {TABLES["notification"]} (id, {COLUMNS})
            SELECT COALESCE(part_of, id), {COLUMNS} FROM due
            WHERE retracts IS NULL AND COALESCE(part_of, id) IN (SELECT note FROM target)
            ON CONFLICT (id) DO NOTHING
        ), gone AS (
            UPDATE {TABLES["notification"]} SET retracted = %s
            WHERE id IN (SELECT retracts FROM due WHERE retracts IS NOT NULL) AND retracted IS NULL
        ), moved AS (
            INSERT INTO {TABLES["stream"]} AS s (name, head, floor)
            SELECT DISTINCT name, total, 0 FROM target ORDER BY name
            ON CONFLICT (name) DO UPDATE SET head = s.head + excluded.head
            RETURNING s.id, s.name, s.head
        ), entered AS (
            INSERT INTO {TABLES["entry"]} (stream_id, seq, notification_id, key, retracts)
            SELECT moved.id, moved.head - target.total + target.n, target.note, target.key, target.retracts
            FROM target JOIN moved USING (name)
        )
        SELECT name, head FROM moved"""


def _chosen(d: Dialect) -> str:
    return f"""(SELECT o.* FROM {TABLES["outbox"]} o WHERE o.id IN (SELECT w.value FROM {d.rows}) AND {_PUBLISHED})"""


def _move_heads(d: Dialect) -> str:
    return f"""
        WITH due AS {_chosen(d)}
        INSERT INTO {TABLES["stream"]} (name, head, floor)
        SELECT DISTINCT name, total, 0 FROM ({_target(_want(d, "due"))}) WHERE true ORDER BY name
        ON CONFLICT (name) DO UPDATE SET head = head + excluded.head
        RETURNING name, head"""


def _copy_content(d: Dialect) -> str:
    return f"""
        WITH due AS {_chosen(d)}
        INSERT INTO {TABLES["notification"]} (id, {COLUMNS})
        SELECT COALESCE(part_of, id), {COLUMNS} FROM due
        WHERE retracts IS NULL AND COALESCE(part_of, id) IN (SELECT note FROM ({_target(_want(d, "due"))}))
        ON CONFLICT (id) DO NOTHING"""


def _take_back(d: Dialect) -> str:
    return f"""
        UPDATE {TABLES["notification"]} SET retracted = %s
        WHERE retracted IS NULL AND id IN (SELECT retracts FROM {_chosen(d)} WHERE retracts IS NOT NULL)"""


def _enter(d: Dialect) -> str:
    return f"""
        WITH due AS {_chosen(d)}
        INSERT INTO {TABLES["entry"]} (stream_id, seq, notification_id, key, retracts)
        SELECT s.id, s.head - target.total + target.n, target.note, target.key, target.retracts
        FROM ({_target(_want(d, "due"))}) target JOIN {TABLES["stream"]} s ON s.name = target.name"""


def _clear(d: Dialect) -> str:
    return f"""DELETE FROM {TABLES["outbox"]} WHERE id IN (SELECT id FROM {_chosen(d)})"""


def _expired() -> str:
    return f"""{TABLES["notification"]} n WHERE n.expires <= %s AND n.expires IS NOT NULL AND n.retracted IS NULL
        AND NOT EXISTS (SELECT 1 FROM {TABLES["outbox"]} p WHERE p.retracts = n.id)"""


def _has_expired(d: Dialect) -> str:
    return f"SELECT 1 FROM {_expired()} LIMIT 1"


def _put_expired(d: Dialect) -> str:
    return f"""
        INSERT INTO {TABLES["outbox"]} (kind, title, body, url, level, actor, created, streams, retracts)
        SELECT '', '', '', '', 'info', '', %s, '[]', n.id FROM {_expired()} LIMIT {CHUNK} RETURNING id"""


def _with_key(d: Dialect) -> str:
    return f"""
        SELECT e.notification_id FROM {TABLES["entry"]} e JOIN {TABLES["stream"]} s ON s.id = e.stream_id
        WHERE e.key = %s AND s.name IN (SELECT {d.element} FROM {d.rows}) ORDER BY e.notification_id"""
