"""The protocol as a whole, against the real store and the real hub: random histories of publishes, rollbacks, crashes,
retractions, reads, prunes, restores, lost and doubled hints, slow and broken connections; then everything heals, and every
client must show what the database says. And the same with one thing broken on purpose, which must be found.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection, transaction

from livebell import hub, store
from livebell.connection import Connection
from livebell.models import Entry, Mark, Notification, Reader, Receipt, Stream
from livebell.protocol import CloseCode
from livebell.store import log
from tests.helpers import at_once
from tests.reference_client import Client, Key

RECORDED = Path(__file__).parent / "js" / "recorded.jsonl"
pytestmark = pytest.mark.timeout(300)

SLOW_AFTER = 5
"""Frames on the wire of a connection after which its send no longer finishes."""


class Wire(Connection):
    """A connection whose frames arrive when the test says so."""

    def __init__(self, reader: str, client: Client) -> None:
        super().__init__(reader, client.epoch, dict(client.cursor))
        self.frames: list[dict[str, Any]] = []
        self.closed = False

    def send(self, text: str) -> bool:
        self.frames.append(json.loads(text))
        return len(self.frames) <= SLOW_AFTER

    def close(self, code: CloseCode, *, retry: int = 0) -> None:
        self.closed = True


class StoreSource:
    """The hub's source, without threads."""

    async def pull(self, positions: Any) -> Any:
        return store.pull(positions)

    async def standings(self, readers: Any) -> Any:
        return store.standings(dict.fromkeys(readers, ()))


class History:
    """One random history of one user with two pages open, on its own stream and a topic of its own."""

    def __init__(
        self, seed: int, hub_module: ModuleType = hub, broken: str = "", record: list[Any] | None = None
    ) -> None:
        self.rng, self.broken, self.record = random.Random(seed), broken, record
        self.hub_module = hub_module
        self.user = get_user_model().objects.create(username=f"{broken}-{seed}-{id(self)}")
        self.key = str(self.user.pk)
        topic = f"model:{self.key}"
        store.subscribe(self.key, [topic])
        self.streams = (f"user:{self.key}", topic)
        self.backup: list[Any] | None = None
        self.pending: list[Any] = []
        self.hints: list[dict[str, int]] = []
        self.clients = [BROKEN_CLIENTS.get(broken, Client)() for _ in range(2)]
        self.wires: list[Wire | None] = [None, None]
        self.serve()

    def serve(self) -> None:
        """A server process starts."""
        self.hub = self.hub_module.Hub(StoreSource(), epoch=store.epoch(), now=store.now)
        self.wires = [None, None]

    # What happens to the database.

    def content(self) -> dict[str, Any]:
        return {
            "title": "x",
            "body": "",
            "url": "",
            "level": "info",
            "kind": "",
            "data": None,
            "actor": "",
            "key": None,
            "expires": None,
        }

    def publish(self) -> None:
        stream, fate = self.rng.choice(self.streams), self.rng.choice(["ok", "ok", "ok", "rollback", "slow"])
        if fate == "rollback":
            with transaction.atomic():
                store.put(self.content(), [stream])
                transaction.set_rollback(True)
        elif self.broken == "gapseq" and fate == "slow":
            self.reserve(stream)
        else:
            rows = store.put(self.content(), [stream]).rows
            self.pending += rows if fate == "slow" else []
            self.hints += [] if fate == "slow" else [store.number(rows)]

    def reserve(self, stream: str) -> None:
        """The mistake of every autoincrement: the number is taken before the commit that makes the row visible."""
        row, _ = Stream.objects.get_or_create(name=stream)
        row.head += 1
        row.save()
        note = Notification.objects.create(id=-self.rng.getrandbits(60), title="x")
        self.pending.append(Entry(stream=row, seq=row.head, notification=note))

    def sweep(self) -> None:
        for row in self.pending:
            if isinstance(row, Entry):
                row.save(force_insert=True)
                self.hints.append({row.stream.name: row.seq})
            else:
                self.hints.append(store.number([row]))
        self.pending = []

    def living(self) -> list[Key]:
        """Notifications that stand and were not taken back, from the tables alone."""
        entries = Entry.objects.filter(stream__name__in=self.streams).values_list("stream__name", "seq", "retracts")
        dead = {(name, retracts) for name, _, retracts in entries if retracts}
        return sorted((name, seq) for name, seq, retracts in entries if not retracts and (name, seq) not in dead)

    def truth(self) -> store.Standing:
        return store.standings({self.key: ()})[self.key]

    def mark(self, **changes: Any) -> None:
        rev = store.mark(self.key, store.Marking(**changes), standing=self.streams)
        self.hints.append({f"reader:{self.key}": rev})

    def read_one(self) -> None:
        if living := self.living():
            stream, seq = self.rng.choice(living)
            self.mark(read={stream: [seq]})

    def read_all(self) -> None:
        client = self.rng.choice(self.clients)
        if client.snapshot is not None and client.epoch == store.epoch():
            self.mark(through=client.cursor)

    def retract(self) -> None:
        if living := self.living():
            stream, seq = self.rng.choice(living)
            note = Entry.objects.get(stream__name=stream, seq=seq).notification_id
            row = store.put_retraction(note)
            self.hints.append(store.number([row]))

    def prune(self) -> None:
        stream = self.rng.choice(self.streams)
        store.cut(stream, self.truth().snapshot.at[stream] // 2)

    def tables(self) -> list[Any]:
        streams = Stream.objects.filter(name__in=self.streams)
        mine = [Entry.objects.filter(stream__in=streams), Mark.objects.filter(stream__in=streams)]
        mine += [Receipt.objects.filter(stream__in=streams), Reader.objects.filter(user=self.user)]
        notes = Notification.objects.filter(pk__in=Entry.objects.filter(stream__in=streams).values("notification_id"))
        return [streams, notes, *mine]

    def back_up(self) -> None:
        self.sweep()
        self.backup = [list(rows) for rows in self.tables()]

    def restore(self) -> None:
        if self.backup is None:
            return
        for rows in reversed(self.tables()):
            rows.delete() if rows.model is not Entry else connection_delete(rows)
        for rows in self.backup:
            for row in rows:
                row.__class__.objects.filter(pk=row.pk)._raw_delete("default")  # a prune had left it without entries
                row.__class__.objects.bulk_create([row])
        self.pending = []
        if self.broken != "noepoch":
            store.new_epoch()
        self.serve()  # a restore restarts the servers

    # The bus, the server, the wire.

    def bus(self) -> None:
        if self.hints:
            hint = self.hints.pop(self.rng.randrange(len(self.hints)))
            for _ in range(self.rng.choice([0, 1, 1, 2])):
                self.hub.hint(hint)

    def connect(self, i: int) -> None:
        if self.wires[i] is None:
            wire = self.wires[i] = Wire(self.key, self.clients[i])
            self.hub.join(wire)
            self.log(i, {"connect": True})

    def kill(self, i: int) -> None:
        if (wire := self.wires[i]) is not None:
            self.hub.leave(wire)
            self.wires[i] = None

    def serve_one_pass(self) -> None:
        at_once(self.hub._pass())

    def position_check(self) -> None:
        if self.broken == "nocheck":
            return
        moved = store.moved(self.hub.heads, self.hub.revs, self.hub.floors)
        for name in moved.streams:
            self.hub.pull(name)
        self.hub.prune(moved.floors)
        self.hub.recount(moved.readers)

    def deliver(self, i: int, *, swap: bool = False) -> None:
        wire = self.wires[i]
        if wire is None or not wire.frames:
            return
        if swap and len(wire.frames) > 2 and wire.frames[0]["type"] != "hello":
            wire.frames.insert(0, wire.frames.pop(self.rng.randrange(1, len(wire.frames))))
        frame = wire.frames.pop(0)
        if frame["type"] == "entries":
            seqs = [entry["seq"] for entry in frame["entries"]]
            assert seqs == list(range(frame["prev"] + 1, frame["prev"] + 1 + len(seqs))), (
                f"holes after {frame['prev']}: {seqs}"
            )
        applied = self.clients[i].receive(frame)
        self.log(i, {"frame": frame, "applied": applied, "badge": self.badge(i)})
        if not applied:
            self.kill(i)
        elif wire.busy_since and not wire.frames:
            self.hub.free(wire)

    def catch_up(self, i: int) -> None:
        self.connect(i)
        self.serve_one_pass()
        while self.wires[i] is not None and self.wires[i].frames:
            self.deliver(i)

    def badge(self, i: int) -> int | None:
        return self.clients[i].badge if self.clients[i].snapshot else None

    def log(self, i: int, line: dict[str, Any]) -> None:
        if self.record is not None and i == 0:
            self.record.append(line)

    # A history, and its end.

    def actions(self) -> list[tuple[float, Callable[[], None]]]:
        one, chance = (lambda: self.rng.randint(0, 1)), self.rng.random
        return [
            (6, self.publish), (1, self.sweep), (4, self.read_one), (1, self.read_all), (2, self.retract),
            (0.2, self.prune), (6, self.bus), (2, lambda: self.catch_up(one())), (1, lambda: self.connect(one())),
            (0.3, lambda: self.kill(one())), (8, self.serve_one_pass),
            (6, lambda: self.deliver(one(), swap=chance() < 0.3)), (0.5, self.position_check),
            (0.15, self.back_up), (0.15, self.restore),
        ]  # fmt: skip

    def run(self) -> None:
        weights = [weight for weight, _ in self.actions()]
        for _ in range(self.rng.randint(10, 70)):
            self.rng.choices(self.actions(), weights)[0][1]()
        self.heal()

    def heal(self) -> None:
        """What is under way arrives; what is lost stays lost; then only the position check and the log can help."""
        self.sweep()
        for hint in self.hints:
            self.hub.hint(hint)
        for _ in range(60):
            self.connect(0)
            self.connect(1)
            self.position_check()
            self.serve_one_pass()
            if not any(wire and wire.frames for wire in self.wires):
                break
            for i in (0, 1):
                while self.wires[i] is not None and self.wires[i].frames:
                    self.deliver(i, swap=self.rng.random() < 0.3)
        self.assert_true()

    def assert_true(self) -> None:
        standing, living = self.truth(), set(self.living())
        floor, snapshot = standing.floor, standing.snapshot
        unread = {
            (stream, seq) for stream, seq in living
            if seq > max(snapshot.through[stream], floor[stream]) and seq not in snapshot.read.get(stream, [])
        }  # fmt: skip
        assert snapshot.unread == len(unread), "the store counts what the tables hold"
        for client in self.clients:
            assert client.badge == len(unread), f"badge {client.badge}, database {len(unread)}"
            assert client.cursor == snapshot.at, f"cursor {client.cursor}, heads {snapshot.at}"
            shown = {key for key in client.items if key not in client.gone}
            assert {k for k in shown if k[1] > floor[k[0]]} <= living, f"ghosts {shown - living}"
            for stream in self.streams:
                mine = [seq for name, seq in shown if name == stream]
                missing = {k for k in living if mine and k[0] == stream and k[1] >= min(mine)} - shown
                assert not missing, f"missing {missing}"
            for key in shown & living:
                assert client.is_unread(key) == (key in unread), f"{key} is shown wrongly"
            assert len(client.applied) == len(set(client.applied)), "applied twice"


def connection_delete(rows: Any) -> None:
    """Django can't cascade from a composite key; nothing hangs on an entry."""
    rows._raw_delete(rows.db)


# What can be broken. In the client:


class NoAt(Client):
    """badge = last snapshot + 1 for each message since it came, not since the position it was counted at."""

    def __init__(self) -> None:
        super().__init__()
        self.since = 0

    @property
    def badge(self) -> int:
        assert self.snapshot is not None
        return self.snapshot["unread"] + self.since

    def reset(self, frame: dict[str, Any]) -> None:
        super().reset(frame)
        self.since = 0

    def count(self, snapshot: dict[str, Any]) -> None:
        if self.newer(snapshot):
            self.since = 0
        super().count(snapshot)

    def take(self, stream: str, entry: dict[str, Any]) -> None:
        super().take(stream, entry)
        self.since += not entry.get("retracts") and not entry.get("gone")


class NoRev(Client):
    """Takes snapshots in the order of their arrival."""

    def newer(self, snapshot: dict[str, Any]) -> bool:
        return True


class NoPrev(Client):
    """Does not check that a batch continues its own position."""

    def extend(self, stream: str, prev: int, entries: list[dict[str, Any]]) -> bool:
        return super().extend(stream, 0, entries)


BROKEN_CLIENTS: dict[str, type[Client]] = {"noat": NoAt, "norev": NoRev, "noprev": NoPrev}

# In the code, by replacing its text:
BROKEN_HUBS = {
    "norecount": [("if any(entry.retracts for entry in page.entries):", "if False:")],
    "nofloor": [
        ("if prev < page.floor or prev > page.head:", "if prev > page.head:"),
        ("if not page.floor <= prev <= page.head:", "if not prev <= page.head:"),
        ("continues(cursor, at, standing.floor)", "continues(cursor, at, {})"),
    ],
    "noepoch": [
        ("if prev < page.floor or prev > page.head:", "if prev < page.floor:"),
        ("if not page.floor <= prev <= page.head:", "if not page.floor <= prev:"),
        ("continues(cursor, at, standing.floor)", "continues(cursor, at | cursor, standing.floor)"),
    ],
}
MUTANTS = [*BROKEN_CLIENTS, *BROKEN_HUBS, "nocheck", "gapseq"]
"""The eight of the model this test began as."""


def broken_hub(changes: list[tuple[str, str]]) -> ModuleType:
    """A copy of the hub with some of its text replaced."""
    text = Path(hub.__file__).read_text()
    for old, new in changes:
        assert old in text, f"hub.py no longer has {old!r}: mend this mutant"
        text = text.replace(old, new)
    spec = importlib.util.spec_from_loader("livebell.broken_hub", loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    exec(compile(text, "broken_hub.py", "exec"), module.__dict__)
    return module


def shorten(pull: str) -> str:
    """However the database spells the length of a page."""
    text = pull.replace(f"want.after + {log.PAGE}", "want.after + 2").replace(f"LIMIT {log.PAGE})", "LIMIT 2)")
    assert text != pull
    return text


@contextmanager
def short_pages() -> Iterator[None]:
    """Two entries in a page, so that pages end in the middle of everything."""
    short = log._pull
    with mock.patch.object(log, "_pull", lambda d: shorten(short(d))):
        yield


RUNS = 600 if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3") else 200
CATCH_WITHIN = 2000
"""Histories in which a mutant must be found. The rarest, ``norev``, needs two snapshots to cross on the wire."""


@pytest.mark.django_db(transaction=True)
def test_every_client_ends_level_with_the_database() -> None:
    """Whatever is lost, doubled, reordered, killed, pruned or restored: badge, cursor and items are the database's."""
    with short_pages():
        for seed in range(RUNS):
            run(seed)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("broken", MUTANTS)
def test_every_mutant_is_caught(broken: str) -> None:
    """The same histories find each of eight classic mistakes."""
    module = broken_hub(BROKEN_HUBS[broken]) if broken in BROKEN_HUBS else hub
    with short_pages():
        for seed in range(CATCH_WITHIN):
            try:
                run(seed, module, broken)
            except AssertionError:
                return
    pytest.fail(f"{broken} was not caught in {CATCH_WITHIN} histories")


def run(seed: int, module: ModuleType = hub, broken: str = "", record: list[Any] | None = None) -> None:
    if seed % 50 == 0:
        sweep_up()
    with transaction.atomic():
        History(seed, module, broken, record).run()
        transaction.set_rollback(True)


def sweep_up() -> None:
    """PostgreSQL plans by statistics, and walks over what was rolled back until it is vacuumed."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def test_recorded_frames_still_mean_the_same() -> None:
    """``tests/js/recorded.jsonl``, which the JavaScript client replays, leads this client to the same badges.

    ``LIVEBELL_RECORD=1 make test ARGS="-- -k recorded"`` writes it anew, from this server.
    """
    lines = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    client = Client()
    for line in lines:
        if "new" in line:
            client = Client()
        elif "frame" in line:
            assert client.receive(line["frame"]) == line["applied"]
            assert (client.badge if client.snapshot else None) == line["badge"]
    assert sum("new" in line for line in lines) == len(RECORDED_SEEDS)


RECORDED_SEEDS = range(60)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("LIVEBELL_RECORD" not in os.environ, reason="writes tests/js/recorded.jsonl, only when asked to")
def test_record_frames() -> None:
    """Write what this server sends to one client in twenty histories."""
    lines: list[Any] = []
    with short_pages():
        for seed in RECORDED_SEEDS:
            lines.append({"new": True})
            run(seed, record=lines)
    RECORDED.write_text("".join(json.dumps(line) + "\n" for line in lines))
