"""What one reader sees: the streams it stands on, its snapshot, its list."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Annotated, Any

import msgspec
from django.contrib.auth import get_user_model
from django.utils import timezone

from ..protocol import Cursor, Entry, Snapshot
from .log import as_entry, entry_columns, epoch
from .sql import TABLES, Dialect, dialect, execute, key_param, key_type, pack, run, user_pk, user_table

MAX_RECEIPTS = 200
"""Single receipts of one stream that a snapshot lists, the newest first."""

MAX_TERMS = 100
"""Streams in one query of the list; SQLite takes 500 terms."""

WINDOW = 64
"""Entries of a stream that are looked through first for one page of the list."""

MAX_PAGE = 100
"""Items in one page of the list."""

Span = tuple[str, int, int]
"""A stream, the ``seq`` below which, and the one above which."""

Below = dict[str, Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]]
"""What is in the mark of a page: for each stream, the ``seq`` below which to go on."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One reader's snapshot, with the floor of every stream it stands on, from one consistent read."""

    snapshot: Snapshot
    floor: Cursor
    epoch: str


class Item(Entry, frozen=True, omit_defaults=True, kw_only=True):
    """An entry in one reader's list."""

    stream: str
    read: bool
    archived: bool


def standings(readers: Mapping[str, Iterable[str]]) -> dict[str, Standing]:
    """The snapshots of many readers in one query, which is one consistent read.

    *readers*: for each reader's key, the topics it may read by the project's own rule. Its own stream, everybody's, those
    of its groups and its subscriptions are added here. A user that doesn't exist has no snapshot.
    """
    keys = {str(param): key for key in readers for param in [key_param(key)]}
    who = pack([param, key] for param, key in keys.items())
    topics = pack([key, topic] for key, topics in readers.items() for topic in topics)
    found: dict[str, list[tuple[Any, ...]]] = {}
    for key, *row in run(_standings, [who, topics, timezone.now()]):
        found.setdefault(key, []).append(tuple(row))
    return {key: _standing(rows) for key, rows in found.items()}


def _standing(rows: list[tuple[Any, ...]]) -> Standing:
    snapshot = Snapshot(
        unread=sum(row[6] for row in rows),
        unseen=sum(row[7] for row in rows),
        at={row[0]: row[1] for row in rows},
        rev=rows[0][5],
        through={row[0]: row[3] for row in rows},
        read={row[0]: json.loads(row[4]) for row in rows if row[4] not in (None, "[]")},
    )
    return Standing(snapshot, {row[0]: row[2] for row in rows}, rows[0][8] or epoch())


def _stand(d: Dialect) -> str:
    """(key, user_id, name): which readers stand on which streams. Invariant 7 begins here."""
    user = get_user_model()
    users, pk = user_table(), user_pk()
    return f"""
        who AS (
            SELECT u.{pk} AS user_id, want.key
            FROM (SELECT {d.item(0, key_type())} AS user_id, {d.item(1, "text")} AS key FROM {d.rows}) want
            JOIN {users} u ON u.{pk} = want.user_id {_active(user)}
        ), stand AS (
            SELECT key, user_id, 'user:' || key AS name FROM who
            UNION SELECT key, user_id, 'all' FROM who
            UNION SELECT who.key, who.user_id, given.topic FROM who JOIN (
                  SELECT {d.item(0, "text")} AS key, {d.item(1, "text")} AS topic FROM {d.rows}) given ON given.key = who.key
            UNION SELECT who.key, who.user_id, s.name FROM who
                  JOIN {TABLES["mark"]} m ON m.user_id = who.user_id AND m.subscribed
                  JOIN {TABLES["stream"]} s ON s.id = m.stream_id
            {_groups(user)}
        )"""


def _active(user: Any) -> str:
    """Who is disabled stands nowhere, if the user model knows that."""
    names = {field.name for field in user._meta.get_fields()}
    return 'AND u."is_active"' if "is_active" in names else ""


def _groups(user: Any) -> str:
    """The groups of a user model that has them."""
    groups = getattr(user, "groups", None)
    if groups is None:
        return ""
    field = groups.field
    return f"""
            UNION SELECT who.key, who.user_id, 'group:' || g."{field.m2m_reverse_name()}" FROM who
                  JOIN "{field.m2m_db_table()}" g ON g."{field.m2m_column_name()}" = who.user_id"""


def _standings(d: Dialect) -> str:
    retraction = f"{TABLES['entry']} e WHERE e.stream_id = p.id AND e.retracts IS NOT NULL"

    def above(mark: str) -> str:
        """Entries above a mark that count: no retraction, not retracted, not expired, not read on its own."""
        receipt = f"{TABLES['receipt']} c WHERE c.user_id = p.user_id AND c.stream_id = p.id"
        return f"""
            p.head - p.{mark}
            - (SELECT COUNT(*) FROM {retraction} AND e.seq > p.{mark})
            - (SELECT COUNT(*) FROM {retraction} AND e.retracts > p.{mark})
            - (SELECT COUNT(*) FROM {receipt} AND c.seq > p.{mark}
               AND NOT EXISTS (SELECT 1 FROM {retraction} AND e.retracts = c.seq))
            - (SELECT COUNT(*) FROM late WHERE late.stream_id = p.id AND late.seq > p.{mark}
               AND NOT EXISTS (SELECT 1 FROM {receipt} AND c.seq = late.seq))"""

    return f"""
        WITH {_stand(d)}, late AS MATERIALIZED (
            SELECT e.stream_id, e.seq FROM {TABLES["notification"]} n {d.entries(TABLES["entry"])}
            WHERE n.expires <= %s AND n.expires IS NOT NULL AND n.retracted IS NULL AND e.retracts IS NULL
        ), p AS (
            SELECT stand.key, stand.name, stand.user_id, s.id, COALESCE(s.head, 0) AS head, COALESCE(s.floor, 0) AS floor,
                   {d.greatest}(COALESCE(m.read_through, 0), COALESCE(s.floor, 0)) AS through,
                   {d.greatest}(COALESCE(m.read_through, 0), COALESCE(m.seen_through, 0), COALESCE(s.floor, 0)) AS seen
            FROM stand LEFT JOIN {TABLES["stream"]} s ON s.name = stand.name
            LEFT JOIN {TABLES["mark"]} m ON m.stream_id = s.id AND m.user_id = stand.user_id
        )
        SELECT p.key, p.name, p.head, p.floor, p.through,
               (SELECT {d.collect("seq")} FROM (
                    SELECT c.seq FROM {TABLES["receipt"]} c
                    WHERE c.user_id = p.user_id AND c.stream_id = p.id AND c.seq > p.through
                    ORDER BY c.seq DESC LIMIT {MAX_RECEIPTS}) newest) AS receipts,
               COALESCE(r.rev, 0), {above("through")} AS unread, {above("seen")} AS unseen, (SELECT value FROM {TABLES["epoch"]}) AS epoch
        FROM p LEFT JOIN {TABLES["reader"]} r ON r.user_id = p.user_id"""


def items(key: str, standing: Standing, *, only: str = "", before: str = "", limit: int = 20) -> tuple[list[Item], str]:
    """One page of a reader's list, the newest first, and the opaque mark of the next page ("" when there is none).

    *only*: ``unread``, ``archived``, or "" for all that isn't archived. *before*: the mark of this page. Raises
    :class:`ValueError` for a mark that can't be read.
    """
    limit = max(1, min(limit, MAX_PAGE))
    below = _unmark(before)
    bottoms = standing.snapshot.through if only == "unread" else standing.floor
    spans = [(name, below.get(name, head + 1), bottoms.get(name, 0)) for name, head in standing.snapshot.at.items()]
    rows = _newest(key, [span for span in spans if span[1] > span[2] + 1], only, limit + 1)
    page = [_item(row, standing.snapshot) for row in rows[:limit]]
    if len(rows) <= limit:
        return page, ""
    for item in page:
        below[item.stream] = item.seq
    return page, _mark({name: below.get(name, head + 1) for name, head in standing.snapshot.at.items()})


def _newest(key: str, streams: list[Span], only: str, limit: int) -> list[tuple[Any, ...]]:
    """The newest of each stream, merged by age without changing the order inside a stream, which the marks rely on."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    width = max(WINDOW, 2 * limit)
    while streams:
        for start in range(0, len(streams), MAX_TERMS):
            for row in _windows(key, streams[start : start + MAX_TERMS], only, limit, width):
                found.setdefault(row[0], []).append(row)
        further = [(name, top - width, bottom) for name, top, bottom in streams if top - width > bottom + 1]
        streams = [span for span in further if len(found.get(span[0], ())) < limit]
        width *= 8
    return list(islice(merge(*found.values(), key=lambda row: -row[6]), limit))


def _windows(key: str, streams: list[Span], only: str, limit: int, width: int) -> list[tuple[Any, ...]]:
    user, now = key_param(key), timezone.now()
    params = [
        value
        for name, top, bottom in streams
        for value in (name, now, user, name, max(bottom, top - width - 1), top, now)
    ]
    return execute(" UNION ALL ".join([_window(dialect(), only, limit)] * len(streams)), params)


def _window(d: Dialect, only: str, limit: int) -> str:
    """A stretch of one stream. Bounded from below, because a planner that thinks streams short sorts the whole of a long
    one to find its newest twenty; as there are no holes, a stretch that is twice as long nearly always holds them."""
    return f"""
        SELECT * FROM (
            SELECT %s AS name, c.seq IS NOT NULL AS receipt, COALESCE(c.archived, FALSE) AS archived, {entry_columns(d)}
            FROM {TABLES["entry"]} e
            JOIN {TABLES["notification"]} n ON n.id = e.notification_id
            LEFT JOIN {TABLES["receipt"]} c ON c.stream_id = e.stream_id AND c.seq = e.seq AND c.user_id = %s
            WHERE e.stream_id = (SELECT id FROM {TABLES["stream"]} WHERE name = %s) AND e.seq > %s AND e.seq < %s
            AND e.retracts IS NULL AND n.retracted IS NULL AND (n.expires IS NULL OR n.expires > %s) {_ONLY[only]}
            ORDER BY e.seq DESC LIMIT {limit}) page"""


_ONLY = {
    "": "AND (c.seq IS NULL OR NOT c.archived)",
    "unread": "AND c.seq IS NULL",
    "archived": "AND c.archived",
}


def _item(row: tuple[Any, ...], snapshot: Snapshot) -> Item:
    name, receipt, archived, *entry = row
    content = {f: v for f, v in msgspec.structs.asdict(as_entry(entry)).items() if f not in ("retracts", "gone")}
    read = bool(receipt) or content["seq"] <= snapshot.through.get(name, 0)
    return Item(stream=name, read=read, archived=bool(archived), **content)


def entries_of(notifications: Iterable[int], streams: Iterable[str]) -> dict[str, list[int]]:
    """Where these notifications stand in these streams: ``{stream: [seq, …]}``."""
    found: dict[str, list[int]] = {}
    for name, seq in run(_entries_of, [pack(notifications), pack(streams)]):
        found.setdefault(name, []).append(seq)
    return found


def _entries_of(d: Dialect) -> str:
    return f"""
        SELECT s.name, e.seq FROM {TABLES["entry"]} e JOIN {TABLES["stream"]} s ON s.id = e.stream_id
        WHERE e.retracts IS NULL AND e.notification_id IN (SELECT CAST({d.element} AS bigint) FROM {d.rows})
        AND s.name IN (SELECT {d.element} FROM {d.rows})"""


def _mark(below: Cursor) -> str:
    return urlsafe_b64encode(msgspec.json.encode(below)).decode().rstrip("=")


def _unmark(mark: str) -> Cursor:
    if not mark:
        return {}
    try:
        return msgspec.json.decode(urlsafe_b64decode(mark + "=" * (-len(mark) % 4)), type=Below)
    except (ValueError, msgspec.DecodeError) as error:
        raise ValueError(f"before: {mark[:40]!r} is not the mark of a page") from error
