"""The count: what publishers were told, what is stored, and what every client applied, held against each other.

It is pure, so that a test can show that each kind of failure is seen (``tests/test_chaos_count.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .ledger import Ledger


@dataclass(frozen=True, slots=True)
class Row:
    """An entry in the database."""

    stream: str
    seq: int
    key: str
    """The publisher's key; "" for a retraction."""
    notification: int = 0


@dataclass(frozen=True, slots=True)
class Applied:
    """An entry that a client applied."""

    epoch: str
    stream: str
    seq: int
    key: str
    delay: float
    """Seconds since the publisher began to publish it."""


@dataclass
class Seen:
    """What one client has seen, and how it stands at the end."""

    reader: str
    log: list[Applied] = field(default_factory=list)
    resets: list[tuple[str, dict[str, int], int]] = field(default_factory=list)
    """Each reset: its epoch, the position it set, and the length of the log at that moment."""
    cursor: dict[str, int] = field(default_factory=dict)
    epoch: str = ""
    badge: int | None = None


@dataclass
class Count:
    """The verdict in figures. Everything but ``sent``, ``committed``, ``applied`` and ``resets`` has to be 0."""

    sent: int = 0
    committed: int = 0
    applied: int = 0
    resets: int = 0
    """Resets after the first, over all clients."""
    unstored: int = 0
    """Acknowledged, and not in the database."""
    missed: int = 0
    """Stored, and not applied by a client that should have: counted once for each client."""
    doubled: int = 0
    phantom: int = 0
    disorder: int = 0
    drift: int = 0

    @property
    def lost(self) -> int:
        return self.unstored + self.missed


def count(
    ledger: Ledger,
    rows: Iterable[Row],
    seen: Iterable[Seen],
    unread: Mapping[str, int],
    *,
    resets_allowed: bool = False,
) -> Count:
    """Hold the ledgers, the database and the clients' logs against each other.

    *unread*: each reader's number by the database. *resets_allowed*: a reset stands for the entries up to its position;
    otherwise what it jumped over counts as missed.
    """
    streams = by_stream(rows)
    clients = list(seen)
    total = Count(sent=len(ledger.intents))
    _count_stored(total, ledger, streams)
    for client in clients:
        _count_client(total, client, streams, ledger, resets_allowed)
        total.drift += client.badge != unread.get(client.reader)
    return total


def key_in(data: object) -> str:
    """The publisher's key in a notification's data; "" if a publisher of ours did not write it."""
    return str(data.get("k", "")) if isinstance(data, dict) else ""


def by_stream(rows: Iterable[Row]) -> dict[str, dict[int, Row]]:
    streams: dict[str, dict[int, Row]] = {}
    for row in rows:
        streams.setdefault(row.stream, {})[row.seq] = row
    return streams


def _count_stored(total: Count, ledger: Ledger, streams: Mapping[str, Mapping[int, Row]]) -> None:
    notifications = {row.notification: row.key for entries in streams.values() for row in entries.values() if row.key}
    copies = Counter(notifications.values())
    total.committed = len(copies)
    total.unstored = len(ledger.acknowledged - copies.keys())
    total.phantom += len(ledger.rolled_back & copies.keys()) + len(copies.keys() - ledger.intents)
    total.doubled += sum(copies.values()) - len(copies)
    for entries in streams.values():  # without holes, from the lowest that is still there
        total.disorder += max(entries) - min(entries) + 1 - len(entries)
        places = Counter(row.notification for row in entries.values() if row.key)
        total.doubled += sum(places.values()) - len(places)


def _count_client(
    total: Count, client: Seen, streams: Mapping[str, Mapping[int, Row]], ledger: Ledger, resets_allowed: bool
) -> None:
    total.applied += len(client.log)
    total.resets += max(len(client.resets) - 1, 0)
    _count_order(total, client)
    _count_phantoms(total, client, streams, ledger)
    begins, since = _beginning(client, resets_allowed)
    applied = {(one.stream, one.seq) for one in client.log[begins:]}
    for stream in client.cursor:
        entries = streams.get(stream, {})
        total.missed += sum((stream, seq) not in applied for seq in entries if seq > since.get(stream, 0))


def _count_order(total: Count, client: Seen) -> None:
    """Twice, backwards, or over a hole that no reset has announced."""
    known: set[tuple[str, str, int]] = set()
    positions: dict[str, int] = {}
    resets = {begins: at for _, at, begins in client.resets}
    for number, one in enumerate(client.log):
        if number in resets:
            positions = dict(resets[number])
        before = positions.get(one.stream, one.seq - 1)
        if (one.epoch, one.stream, one.seq) in known:
            total.doubled += 1
        else:
            total.disorder += one.seq != before + 1
        known.add((one.epoch, one.stream, one.seq))
        positions[one.stream] = max(one.seq, before)


def _count_phantoms(total: Count, client: Seen, streams: Mapping[str, Mapping[int, Row]], ledger: Ledger) -> None:
    for one in client.log:
        if one.epoch != client.epoch:  # what a history that is no more held can't be looked up
            continue
        row = streams.get(one.stream, {}).get(one.seq)
        lowest = min(streams.get(one.stream, {}), default=0)
        pruned = row is None and one.seq < lowest
        other = row is not None and row.key != one.key != ""  # without a key: taken back before it came
        total.phantom += (row is None and not pruned) or other or one.key in ledger.rolled_back


def _beginning(client: Seen, resets_allowed: bool) -> tuple[int, dict[str, int]]:
    """From where on the log and the streams are compared."""
    if not client.resets:
        return 0, {}
    _, at, begins = client.resets[-1 if resets_allowed else 0]
    return begins, at
