"""Prune: what is too old, or too much for its stream, leaves the log for good, while everybody goes on.

In this order, so that every moment is right: the floor is raised, and from then on nothing below it counts or is shown; then
the entries go, with the notifications that nothing refers to any more; then the receipts. Each step is a short transaction,
and only the first holds stream rows. What a crash leaves below a floor, the next run takes away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from time import monotonic, sleep
from typing import Any

from django.db import transaction
from django.utils import timezone

from ..models import Intake, Notification, Stream
from .sql import TABLES, Dialect, again, database, pack, run

MAX_BATCH = 2000
"""Entries in one transaction, at the most."""
TARGET = 0.02
"""Seconds that a transaction should take; the batch grows and shrinks towards it."""
STREAMS = 100
"""Streams that are looked at in one query."""
AT_ONCE = 25
"""Streams whose floors are raised in one transaction."""
EVER = timedelta(days=50 * 365)
"""Older than all publishes."""
INTAKE_AFTER = timedelta(hours=1)
"""Age of a publish over the channel layer after which no copy of it can come any more."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What may stay. None: no limit."""

    since: datetime | None = None
    """What was published before this goes, as far as everything before it in its stream goes too."""
    keep: int | None = None
    """Entries of a stream that stay, the newest, at the most."""


@dataclass(slots=True)
class Pruned:
    """One step."""

    floors: dict[str, int] = field(default_factory=dict)
    """New floors of streams."""
    seen: int = 0
    """Entries that have been dealt with, whether they stay or not."""
    entries: int = 0
    notifications: int = 0
    receipts: int = 0
    took: float = 0.0
    """Seconds of the longest transaction."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Part of a stream: the entries above ``low`` up to ``high``."""

    stream: int
    name: str
    low: int
    high: int
    more: bool = False
    """There may be more to cut above it."""


class Pace:
    """How much to do at once, and when to let others have their turn."""

    def __init__(self, batch: int) -> None:
        self.most = batch
        self.size = min(batch, 200)

    def took(self, seconds: float) -> None:
        """What was done at once took so long: fit the next, and leave the database alone for as long as that."""
        fitting = self.size * TARGET / max(seconds, 0.001)
        self.size = int(min(self.most, max(fitting, self.size / 4, 10), self.size * 2))
        sleep(min(seconds, 0.2))


def to_look_at() -> int:
    """How many entries there are."""
    return int(run(_entries_in_all)[0][0])


def prune(limits: Limits, *, batch: int = MAX_BATCH) -> Iterator[Pruned]:
    """Prune, step by step: each item of the iterator is a step that is committed. *batch*: entries in one transaction, at
    the most. Memory doesn't grow with what there is to prune."""
    pace = Pace(batch)
    last = 0
    while ids := list(_streams().filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:STREAMS]):
        last = ids[-1]
        yield from _prune_streams(ids, limits, pace)
    yield from _prune_receipts(pace)
    _prune_intake(pace)


def _streams() -> Any:
    return Stream.objects.using(database().alias)


def _prune_streams(ids: Sequence[int], limits: Limits, pace: Pace) -> Iterator[Pruned]:
    left = sum(head - floor for head, floor in _streams().filter(pk__in=ids).values_list("head", "floor"))
    look = _look_first
    while ids:
        cuts = _due(run(look, [pace.size, _moment(limits.since), pack(ids)]), limits, pace.size)
        look = _look_again
        for some in _portions(cuts, pace):
            step = _cut(some, pace)
            left -= step.seen
            yield step
        ids = [cut.stream for cut in cuts if cut.more]
    yield Pruned(seen=max(left, 0))


def _moment(since: datetime | None) -> Any:
    return Notification._meta.get_field("created").get_db_prep_value(since or timezone.now() - EVER, database())


def _due(looked: Iterable[tuple[Any, ...]], limits: Limits, window: int) -> list[Cut]:
    """What is to be cut, *window* entries of each stream at the most, in the order in which rows are locked."""
    cuts = []
    for stream, name, head, floor, young, debris in looked:
        if debris is not None:
            cuts.append(Cut(stream, name, debris - 1, floor, more=True))
            continue
        top = min(head, floor + window)
        by_age = top if young is None else young - 1
        by_number = floor if limits.keep is None else head - limits.keep
        high = min(top, max(by_age, by_number))
        if high > floor:
            cuts.append(Cut(stream, name, floor, high, more=high == floor + window))
    return cuts


def _portions(cuts: Iterable[Cut], pace: Pace) -> Iterator[list[Cut]]:
    """The same in transactions of a fitting size."""
    portion: list[Cut] = []
    size = 0
    for cut in cuts:
        low = cut.low
        while low < cut.high:
            high = min(cut.high, low + max(pace.size - size, 1))
            portion.append(replace(cut, low=low, high=high))
            size, low = size + high - low, high
            if size >= pace.size or len(portion) >= AT_ONCE:
                yield portion
                portion, size = [], 0
    if portion:
        yield portion


def _cut(cuts: Sequence[Cut], pace: Pace) -> Pruned:
    began = monotonic()
    floors = _raise(cuts)
    raised = monotonic()
    entries, notifications = _remove(cuts)
    ended = monotonic()
    pace.took(ended - began)
    seen = sum(cut.high - cut.low for cut in cuts if cut.name in floors)
    return Pruned(floors, seen, entries, notifications, took=max(raised - began, ended - raised))


@again
def _raise(cuts: Iterable[Cut]) -> dict[str, int]:
    """From here on nothing below counts. The only step that holds stream rows, in the order of their names as always."""
    with transaction.atomic(using=database().alias):
        raised = [(cut.name, run(_raise_floor, [cut.high, cut.stream, cut.high])) for cut in cuts]
    return {name: rows[0][0] for name, rows in raised if rows}


@again
def _remove(cuts: Iterable[Cut]) -> tuple[int, int]:
    """Delete the entries, and the notifications that nothing refers to any more; how many of both."""
    with transaction.atomic(using=database().alias):
        notes = [note for cut in cuts for (note,) in run(_delete_entries, [cut.stream, cut.low, cut.high])]
        return len(notes), len(run(_delete_unused, [pack(sorted(set(notes)))])) if notes else 0


def _prune_receipts(pace: Pace) -> Iterator[Pruned]:
    """One walk over all receipts, in slices: no index leads from a stream to its receipts, and writing one would cost more."""
    after: list[Any] = []
    while rows := run(_receipts_after if after else _first_receipts, [*after, pace.size]):
        until = list(rows[-1][:3])
        if any(row[3] for row in rows):
            began = monotonic()
            gone = _delete_receipts(list(rows[0][:3]), until)
            took = monotonic() - began
            pace.took(took)
            yield Pruned(receipts=gone, took=took)
        after = until


@again
def _delete_receipts(first: list[Any], last: list[Any]) -> int:
    return len(run(_delete_some_receipts, [*first, *last]))


def _prune_intake(pace: Pace) -> None:
    old = Intake.objects.using(database().alias).filter(received__lt=timezone.now() - INTAKE_AFTER).order_by("pk")
    while ids := list(old.values_list("pk", flat=True)[: pace.size]):
        began = monotonic()
        Intake.objects.using(database().alias).filter(pk__in=ids).delete()
        pace.took(monotonic() - began)


def _entries_in_all(d: Dialect) -> str:
    return f"SELECT COALESCE(SUM(head - floor), 0) FROM {TABLES['stream']}"


def _look(d: Dialect, debris: str) -> str:
    """(id, name, head, floor, first entry in the window that is to stay, first entry below the floor) of some streams."""
    return f"""
        SELECT s.id, s.name, s.head, s.floor,
               (SELECT e.seq FROM {TABLES["entry"]} e JOIN {TABLES["notification"]} n ON n.id = e.notification_id
                WHERE e.stream_id = s.id AND e.seq > s.floor AND e.seq <= s.floor + %s AND n.created >= %s
                ORDER BY e.seq LIMIT 1) AS young,
               {debris} AS debris
        FROM {TABLES["stream"]} s WHERE s.id IN (SELECT CAST({d.element} AS bigint) FROM {d.rows}) ORDER BY s.name"""


def _look_first(d: Dialect) -> str:
    below = f"{TABLES['entry']} e WHERE e.stream_id = s.id AND e.seq <= s.floor"
    return _look(d, f"(SELECT e.seq FROM {below} ORDER BY e.seq LIMIT 1)")


def _look_again(d: Dialect) -> str:
    """PostgreSQL would walk over all that has just been deleted."""
    return _look(d, "CAST(NULL AS bigint)")


def _raise_floor(d: Dialect) -> str:
    return f"""
        UPDATE {TABLES["stream"]} SET floor = {d.least}(CAST(%s AS bigint), head) WHERE id = %s AND floor < %s
        RETURNING floor"""


def _delete_entries(d: Dialect) -> str:
    return f"""
        DELETE FROM {TABLES["entry"]} WHERE stream_id = %s AND seq > %s AND seq <= %s RETURNING notification_id"""


def _delete_unused(d: Dialect) -> str:
    """A large audience is numbered in parts: whoever numbers the next one may have found its notification still there."""
    note = TABLES["notification"]
    return f"""
        DELETE FROM {note} WHERE id IN (SELECT CAST({d.element} AS bigint) FROM {d.rows})
        AND NOT EXISTS (SELECT 1 FROM {TABLES["entry"]} e WHERE e.notification_id = {note}.id)
        AND id NOT IN (SELECT COALESCE(part_of, id) FROM {TABLES["outbox"]} WHERE retracts IS NULL)
        RETURNING id"""


def _receipts(d: Dialect, above: str) -> str:
    return f"""
        SELECT c.user_id, c.stream_id, c.seq, EXISTS (
            SELECT 1 FROM {TABLES["stream"]} s WHERE s.id = c.stream_id AND c.seq <= s.floor) AS below
        FROM {TABLES["receipt"]} c {above} ORDER BY c.user_id, c.stream_id, c.seq LIMIT %s"""


def _first_receipts(d: Dialect) -> str:
    return _receipts(d, "")


def _receipts_after(d: Dialect) -> str:
    return _receipts(d, "WHERE (c.user_id, c.stream_id, c.seq) > (%s, %s, %s)")


def _delete_some_receipts(d: Dialect) -> str:
    receipt = TABLES["receipt"]
    return f"""
        DELETE FROM {receipt} WHERE (user_id, stream_id, seq) >= (%s, %s, %s) AND (user_id, stream_id, seq) <= (%s, %s, %s)
        AND EXISTS (SELECT 1 FROM {TABLES["stream"]} s WHERE s.id = {receipt}.stream_id AND {receipt}.seq <= s.floor)
        RETURNING seq"""
