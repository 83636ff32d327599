"""What one reader has read: the only place where marks change. Each change is one transaction and raises ``rev`` by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.db import transaction
from msgspec import Struct

from ..protocol import Cursor
from .sql import TABLES, Dialect, again, database, key_param, key_type, pack, run, user_pk, user_table

Entries = Mapping[str, Iterable[int]]
"""Single entries: ``{stream: [seq, …]}``."""

MAX_SEQ = 2**63 - 1
"""What the column holds; a client's number may be any."""


class Marking(Struct, frozen=True, forbid_unknown_fields=True):
    """A change of marks. Entries of streams the reader doesn't stand on, or that don't exist, are passed over."""

    read: dict[str, list[int]] = {}
    through: Cursor = {}
    """Read all up to here. Never more than what exists, never back."""
    seen: Cursor = {}
    archive: dict[str, list[int]] = {}
    unarchive: dict[str, list[int]] = {}


@again
def mark(key: str, marking: Marking, *, standing: Iterable[str]) -> int:
    """Change a reader's marks on the streams it stands on; returns the new ``rev``. Doing it twice changes nothing more."""
    allowed = set(standing)
    user = key_param(key)
    with transaction.atomic(using=database().alias):
        rev = max(_touch([user]).values(), default=0)
        _change(_read_through, _positions(user, marking.through, allowed))
        _change(_seen_through, _positions(user, marking.seen, allowed))
        _change(_receive, _entries(user, marking.read, allowed))
        _change(_archive, _entries(user, marking.archive, allowed))
        _change(_unarchive, _entries(user, marking.unarchive, allowed))
        _change(_compact, [name for name in marking.through if name in allowed], user)
    return rev


def _change(template: Callable[[Dialect], str], rows: list[Any], *more: object) -> None:
    if rows:
        run(template, [pack(rows), *more])


def subscribe(key: str, topics: Iterable[str]) -> None:
    """Let a reader stand on these topics, from now on: what they hold already is neither shown nor counted."""
    _stand([key], topics, subscribed=True)


def unsubscribe(key: str, topics: Iterable[str]) -> None:
    """Take a reader off these topics."""
    user = key_param(key)
    with transaction.atomic(using=database().alias):
        _touch([user])
        run(_drop, [user, pack(topics)])


def join(keys: Iterable[str], streams: Iterable[str]) -> None:
    """These readers stand on these streams from now on by somebody else's rule (a group, ``all``)."""
    _stand(list(keys), streams, subscribed=False)


def guard(key: str, digest: str) -> dict[str, int]:
    """Note what the reader's login depends on; ``{key: rev}`` if that has changed, which raises ``rev``, else empty."""
    rows = run(_guard, [digest, key_param(key)])
    return {key: rows[0][0]} if rows else {}


def touch(keys: Iterable[str]) -> dict[str, int]:
    """Raise ``rev``: something about what these readers may see has changed. Returns each one's new ``rev``."""
    users = {key: key_param(key) for key in keys}
    revs = _touch(list(users.values()))
    return {key: revs[str(user)] for key, user in users.items() if str(user) in revs}


@again
def _stand(keys: list[str], streams: Iterable[str], *, subscribed: bool) -> None:
    users, names = [key_param(key) for key in keys], sorted(set(streams))
    with transaction.atomic(using=database().alias):
        _touch(users)
        if subscribed:
            run(_make_streams, [pack(names)])
        run(_subscribe if subscribed else _join, [pack([user] for user in users), pack(names)])


def _touch(users: list[object]) -> dict[str, int]:
    return {str(user): rev for user, rev in run(_raise_rev, [pack([user] for user in users)])}


def _positions(user: object, cursor: Cursor, allowed: set[str]) -> list[Any]:
    return [[user, name, min(max(seq, 0), MAX_SEQ)] for name, seq in sorted(cursor.items()) if name in allowed]


def _entries(user: object, entries: Entries, allowed: set[str]) -> list[Any]:
    return [
        [user, name, seq]
        for name, seqs in sorted(entries.items())
        if name in allowed
        for seq in seqs
        if 0 < seq <= MAX_SEQ
    ]


def _raise_rev(d: Dialect) -> str:
    return f"""
        INSERT INTO {TABLES["reader"]} AS r (user_id, rev, guard)
        SELECT u.{user_pk()} AS user_id, 1, '' FROM {d.rows} JOIN {user_table()} u ON u.{user_pk()} = {d.item(0, key_type())}
        WHERE true ORDER BY 1
        ON CONFLICT (user_id) DO UPDATE SET rev = r.rev + 1 RETURNING user_id, rev"""


def _guard(d: Dialect) -> str:
    return f"""
        INSERT INTO {TABLES["reader"]} AS r (user_id, rev, guard)
        SELECT u.{user_pk()}, 1, %s FROM {user_table()} u WHERE u.{user_pk()} = %s
        ON CONFLICT (user_id) DO UPDATE SET guard = excluded.guard, rev = r.rev + 1 WHERE r.guard <> excluded.guard
        RETURNING rev"""


def _given(d: Dialect) -> str:
    return f"""(SELECT {d.item(0, key_type())} AS user_id, {d.item(1, "text")} AS name, {d.item(2, "bigint")} AS seq
                FROM {d.rows}) given"""


def _move(d: Dialect, read: str, seen: str) -> str:
    return f"""
        INSERT INTO {TABLES["mark"]} AS m (user_id, stream_id, read_through, seen_through, subscribed)
        SELECT given.user_id, s.id, {read}, {seen}, FALSE
        FROM {_given(d)} JOIN {TABLES["stream"]} s ON s.name = given.name WHERE true
        ON CONFLICT (user_id, stream_id) DO UPDATE SET
            read_through = {d.greatest}(m.read_through, excluded.read_through),
            seen_through = {d.greatest}(m.seen_through, excluded.seen_through)"""


def _read_through(d: Dialect) -> str:
    existing = f"{d.least}(given.seq, s.head)"
    return _move(d, existing, existing)


def _seen_through(d: Dialect) -> str:
    return _move(d, "0", f"{d.least}(given.seq, s.head)")


def _receipts(d: Dialect, archived: str, condition: str, conflict: str) -> str:
    return f"""
        INSERT INTO {TABLES["receipt"]} (user_id, stream_id, seq, archived)
        SELECT DISTINCT given.user_id, s.id, e.seq, {archived}
        FROM {_given(d)} JOIN {TABLES["stream"]} s ON s.name = given.name
        JOIN {TABLES["entry"]} e ON e.stream_id = s.id AND e.seq = given.seq AND e.retracts IS NULL
        LEFT JOIN {TABLES["mark"]} m ON m.stream_id = s.id AND m.user_id = given.user_id
        WHERE given.seq > s.floor {condition}
        ON CONFLICT (user_id, stream_id, seq) DO {conflict}"""


def _receive(d: Dialect) -> str:
    return _receipts(d, "FALSE", "AND given.seq > COALESCE(m.read_through, 0)", "NOTHING")


def _archive(d: Dialect) -> str:
    return _receipts(d, "TRUE", "", "UPDATE SET archived = TRUE")


def _unarchive(d: Dialect) -> str:
    return f"""
        UPDATE {TABLES["receipt"]} SET archived = FALSE WHERE EXISTS (
            SELECT 1 FROM {_given(d)} JOIN {TABLES["stream"]} s ON s.name = given.name
            WHERE s.id = {TABLES["receipt"]}.stream_id AND given.seq = {TABLES["receipt"]}.seq
            AND given.user_id = {TABLES["receipt"]}.user_id)"""


def _compact(d: Dialect) -> str:
    """Receipts that the mark has overtaken say nothing any more."""
    return f"""
        DELETE FROM {TABLES["receipt"]} WHERE NOT archived AND EXISTS (
            SELECT 1 FROM {TABLES["mark"]} m JOIN {TABLES["stream"]} s ON s.id = m.stream_id
            WHERE s.name IN (SELECT {d.element} FROM {d.rows})
            AND m.user_id = {TABLES["receipt"]}.user_id AND m.stream_id = {TABLES["receipt"]}.stream_id
            AND {TABLES["receipt"]}.seq <= m.read_through) AND user_id = %s"""


def _make_streams(d: Dialect) -> str:
    return f"""
        INSERT INTO {TABLES["stream"]} (name, head, floor) SELECT {d.element}, 0, 0 FROM {d.rows} WHERE true
        ON CONFLICT (name) DO NOTHING"""


def _join(d: Dialect) -> str:
    """Begin at the head: what was said before belongs to those who were there."""
    return _begin(d, "FALSE") + "read_through = excluded.read_through, seen_through = excluded.seen_through"


def _subscribe(d: Dialect) -> str:
    keep = "CASE WHEN m.subscribed THEN m.{0} ELSE excluded.{0} END"
    read, seen = keep.format("read_through"), keep.format("seen_through")
    return _begin(d, "TRUE") + f"subscribed = TRUE, read_through = {read}, seen_through = {seen}"


def _begin(d: Dialect, subscribed: str) -> str:
    return f"""
        INSERT INTO {TABLES["mark"]} AS m (user_id, stream_id, read_through, seen_through, subscribed)
        SELECT who.user_id, s.id, s.head, s.head, {subscribed}
        FROM (SELECT {d.item(0, key_type())} AS user_id FROM {d.rows}) who CROSS JOIN {TABLES["stream"]} s
        WHERE s.name IN (SELECT {d.element} FROM {d.rows})
        ON CONFLICT (user_id, stream_id) DO UPDATE SET """


def _drop(d: Dialect) -> str:
    return f"""
        UPDATE {TABLES["mark"]} SET subscribed = FALSE WHERE user_id = %s AND stream_id IN (
            SELECT id FROM {TABLES["stream"]} WHERE name IN (SELECT {d.element} FROM {d.rows}))"""
