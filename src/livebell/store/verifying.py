"""Verify: everything is counted again, the slow way, and held against what the arithmetic relies on.

Each check is one statement over a slice of a table, so it sees one moment, and what it suspects is looked at once more a little
later: publishing, reading and pruning may go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import sleep

from django.utils import timezone

from . import mending
from .mending import KEYS, Key
from .outbox import number
from .reading import Standing, standings
from .sql import TABLES as T
from .sql import Dialect, execute, key_param, key_type, pack, run

SLICE = 1000
"""Rows that one statement looks at."""
STUCK_AFTER = timedelta(seconds=60)
"""Age of an outbox row that somebody should have numbered."""
LOOK_AGAIN = 1.0
"""Seconds after which a suspect is looked at once more."""
LOOKS = 4
"""Times that a suspect is looked at again: where a prune goes on, a stream is between two of its steps now and then."""


@dataclass(frozen=True)
class Check:
    """One kind of damage."""

    kind: str
    table: str
    says: str
    """What is wrong, for people."""
    bad: str
    """SQL over a row ``x`` of the table."""
    fix: Callable[[Key], object]
    """Mends one row, without losing anything that anybody could still see."""
    mends: str
    """What that does, for people."""
    epoch: bool = False
    """Whether clients have to start over after it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One row that is wrong."""

    check: Check
    key: Key

    def __str__(self) -> str:
        where = ", ".join(f"{name} {value}" for name, value in zip(KEYS[self.check.table], self.key, strict=True))
        return f"{self.check.kind}: {self.check.table} {where}: {self.check.says}"


def rows_to_verify() -> int:
    """How many rows there are to look at."""
    return sum(int(execute(f"SELECT COUNT(*) FROM {T[table]}")[0][0]) for table in KEYS)


def verify() -> Iterator[tuple[int, list[Finding]]]:
    """Walk everything: for each slice how many rows it has, and what is wrong in it."""
    for table, key in KEYS.items():
        checks = [check for check in CHECKS if check.table == table]
        for first, last, count in _slices(table, key):
            yield count, [finding for check in checks for finding in _suspects(check, first, last)]


def still(finding: Finding) -> bool:
    """Whether it is wrong still."""
    return bool(_suspects(finding.check, finding.key, finding.key))


def settled(findings: Sequence[Finding]) -> list[Finding]:
    """Those that are no passing state: wrong each time they are looked at again."""
    left = list(findings)
    for _ in range(LOOKS):
        if left:
            sleep(LOOK_AGAIN)
        left = [finding for finding in left if still(finding)]
    return left


def fix(finding: Finding) -> bool:
    """Mend it; False if it is wrong still."""
    finding.check.fix(finding.key)
    return not still(finding)


def _slices(table: str, key: Sequence[str]) -> Iterator[tuple[Key, Key, int]]:
    columns, marks = ", ".join(key), ", ".join(["%s"] * len(key))
    after: Key = ()
    while True:
        above = f"WHERE ({columns}) > ({marks})" if after else ""
        rows = execute(f"SELECT {columns} FROM {T[table]} {above} ORDER BY {columns} LIMIT {SLICE}", after)
        if not rows:
            return
        yield tuple(rows[0]), (after := tuple(rows[-1])), len(rows)


def _suspects(check: Check, first: Key, last: Key) -> list[Finding]:
    columns = ", ".join(f"x.{name}" for name in KEYS[check.table])
    marks = ", ".join(["%s"] * len(first))
    when = [timezone.now() - STUCK_AFTER] if "%s" in check.bad else []
    rows = execute(
        f"SELECT {columns} FROM {T[check.table]} x WHERE ({columns}) >= ({marks}) AND ({columns}) <= ({marks}) AND ({check.bad})",
        [*first, *last, *when],
    )
    return [Finding(check, tuple(row)) for row in rows]


def _of_stream(then: str) -> str:
    return f"EXISTS (SELECT 1 FROM {T['stream']} s WHERE s.id = x.stream_id AND {then})"


_ENTRIES = f"{T['entry']} e WHERE e.stream_id = x.id AND e.seq"
_BACK = f"{T['entry']} r WHERE r.stream_id = x.stream_id AND r.retracts = x.seq"
_NOTE = f"{T['notification']} n WHERE n.id = x.notification_id"

CHECKS = [
    Check(
        "head", "stream", "its head is below its last entry, or its floor above its head",
        f"x.floor > x.head OR EXISTS (SELECT 1 FROM {_ENTRIES} > x.head)",
        mending.level, "head and floor are set to what the entries say", epoch=True,
    ),
    Check(
        "hole", "stream", "entries are missing between its floor and its head",
        f"x.head - x.floor <> (SELECT COUNT(*) FROM {_ENTRIES} > x.floor AND e.seq <= x.head)",
        mending.fill, "the head goes back to the last entry, holes before it are filled with entries that count nothing", epoch=True,
    ),
    Check(
        "below floor", "stream", "entries are left below its floor",
        f"EXISTS (SELECT 1 FROM {_ENTRIES} <= x.floor)",
        mending.sweep, "they are deleted, as the prune meant to",
    ),
    Check(
        "stray entry", "entry", "its stream is gone",
        f"NOT {_of_stream('1 = 1')}",
        mending.delete("entry"), "it is deleted: nobody can stand there",
    ),
    Check(
        "no content", "entry", "its notification is gone",
        f"x.retracts IS NULL AND NOT EXISTS (SELECT 1 FROM {_NOTE})",
        mending.void, "it counts nothing any more", epoch=True,
    ),
    Check(
        "no target", "entry", "it takes back an entry that does not exist",
        f"""x.retracts >= 0 AND {_of_stream("x.retracts > s.floor")} AND NOT EXISTS (
            SELECT 1 FROM {T["entry"]} t WHERE t.stream_id = x.stream_id AND t.seq = x.retracts
            AND t.seq < x.seq AND t.retracts IS NULL)""",
        mending.void, "it counts nothing any more", epoch=True,
    ),
    Check(
        "half taken back", "entry", "its notification is taken back and the stream does not say so, or the other way round",
        f"""x.retracts IS NULL AND {_of_stream("x.seq > s.floor")} AND (
            EXISTS (SELECT 1 FROM {_NOTE} AND n.retracted IS NOT NULL) AND NOT EXISTS (SELECT 1 FROM {_BACK})
            OR EXISTS (SELECT 1 FROM {_NOTE} AND n.retracted IS NULL) AND EXISTS (SELECT 1 FROM {_BACK}))""",
        mending.say, "it is taken back everywhere",
    ),
    Check(
        "unused", "notification", "no entry shows it, and none will",
        f"""NOT EXISTS (SELECT 1 FROM {T["entry"]} e WHERE e.notification_id = x.id)
            AND NOT EXISTS (SELECT 1 FROM {T["outbox"]} o WHERE o.id = x.id OR o.part_of = x.id)""",
        mending.delete("notification"), "it is deleted",
    ),
    Check(
        "stuck", "outbox", "it has waited for more than a minute to be numbered",
        "x.created < %s",
        lambda key: number([key[0]]), "it is numbered",
    ),
    Check(
        "rev", "reader", "its rev is below 0",
        "x.rev < 0",
        mending.restart_rev, "the rev begins at 1", epoch=True,
    ),
    Check(
        "mark", "mark", "it points beyond the head, below 0, or into a stream that is gone",
        f"""x.read_through < 0 OR x.seen_through < 0 OR NOT {_of_stream("x.read_through <= s.head AND x.seen_through <= s.head")}""",
        mending.clip, "it goes back to the head; in a stream that is gone it is deleted",
    ),
    Check(
        "rev", "mark", "its reader has no rev",
        f"NOT EXISTS (SELECT 1 FROM {T['reader']} r WHERE r.user_id = x.user_id AND r.rev > 0)",
        mending.begin_rev, "the rev begins, or goes on",
    ),
    Check(
        "receipt", "receipt", "it is for an entry that does not exist, or shows nothing",
        f"""NOT {_of_stream("x.seq <= s.floor")} AND NOT EXISTS (
            SELECT 1 FROM {T["entry"]} e WHERE e.stream_id = x.stream_id AND e.seq = x.seq AND e.retracts IS NULL)""",
        mending.unmark, "it is deleted",
    ),
]  # fmt: skip
"""In the order in which they are mended. Receipts below a floor are the prune's, which comes to them last."""


TRIES = 20
"""Times that a reader is counted again who reads, or is published to, while being counted."""


@dataclass(frozen=True, slots=True)
class Miscounted:
    """A reader whose number isn't what the slow way says."""

    reader: str
    arithmetic: int
    recounted: int

    def __str__(self) -> str:
        return (
            f"unread: reader {self.reader}: the number is {self.arithmetic}, counted one by one it is {self.recounted}"
        )


def miscounted(readers: Mapping[str, Sequence[str]]) -> list[Miscounted]:
    """Count these readers by arithmetic and one by one; *readers* as for ``standings``. Who changes meanwhile is counted
    again, so that publishing and reading may go on."""
    left, wrong = dict(readers), {}
    for _ in range(TRIES):
        before = standings(left)
        slow = _recount_all(before)
        after = standings(left)
        for key, standing in before.items():
            if (now := after.get(key)) is not None and now == standing:
                del left[key]
                wrong[key] = Miscounted(key, standing.snapshot.unread, slow[key])
        left = {key: topics for key, topics in left.items() if key in before}  # who is gone has no number
        if not left:
            break
    return [one for one in wrong.values() if one.arithmetic != one.recounted]


def _recount_all(found: Mapping[str, Standing]) -> dict[str, int]:
    where = [(key_param(key), key, name) for key, standing in found.items() for name in standing.snapshot.at]
    counted = dict(run(_recount, [pack(where), timezone.now()]))
    return {key: counted.get(key, 0) for key in found}


def _recount(d: Dialect) -> str:
    return f"""
        SELECT p.key, COUNT(*) FROM (
            SELECT {d.item(0, key_type())} AS user_id, {d.item(1, "text")} AS key, {d.item(2, "text")} AS name FROM {d.rows}) p
        JOIN {T["stream"]} s ON s.name = p.name
        LEFT JOIN {T["mark"]} m ON m.stream_id = s.id AND m.user_id = p.user_id
        JOIN {T["entry"]} e ON e.stream_id = s.id AND e.seq > s.floor AND e.seq > COALESCE(m.read_through, 0)
        JOIN {T["notification"]} n ON n.id = e.notification_id
        WHERE e.retracts IS NULL AND n.retracted IS NULL AND (n.expires IS NULL OR n.expires > %s)
        AND NOT EXISTS (SELECT 1 FROM {T["receipt"]} c WHERE c.user_id = p.user_id AND c.stream_id = s.id AND c.seq = e.seq)
        GROUP BY p.key"""
