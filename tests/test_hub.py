"""The hub alone, with a source of its own and connections that do as they are told. Nothing waits."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from livebell import hub as hub_module
from livebell import passes as passes_module
from livebell import register
from livebell.connection import Connection
from livebell.hub import Hub
from livebell.protocol import CloseCode, Entry, Snapshot
from tests.helpers import at_once


@dataclass
class Log:
    """A source: streams in memory, and a count of how often it was asked."""

    streams: dict[str, list[Entry]] = field(default_factory=dict)
    floor: dict[str, int] = field(default_factory=dict)
    stands: dict[str, list[str]] = field(default_factory=dict)
    revs: Counter[str] = field(default_factory=Counter)
    over: set[str] = field(default_factory=set)
    asked: Counter[str] = field(default_factory=Counter)
    broken: bool = False

    def add(self, name: str, number: int = 1, **content: Any) -> None:
        log = self.streams.setdefault(name, [])
        for _ in range(number):
            log.append(Entry(seq=len(log) + 1, title=f"{name} {len(log) + 1}", **content))

    def head(self, name: str) -> int:
        return len(self.streams.get(name, ()))

    async def pull(self, positions: Collection[tuple[str, int]]) -> Mapping[Any, Any]:
        self.ask("pull")
        return {(name, after): self.page(name, after) for name, after in positions}

    def page(self, name: str, after: int) -> Any:
        entries = [e for e in self.streams.get(name, ()) if e.seq > max(after, self.floor.get(name, 0))]
        return Answer(entries[:100], self.head(name), self.floor.get(name, 0))

    async def standings(self, readers: Collection[str]) -> Mapping[str, Any]:
        self.ask("standings")
        return {reader: self.standing(reader) for reader in readers if reader in self.stands}

    def standing(self, reader: str) -> Any:
        at = {name: self.head(name) for name in self.stands[reader]}
        snapshot = Snapshot(unread=0, unseen=0, at=at, rev=self.revs[reader], through={}, read={})
        return Counted(snapshot, {name: self.floor.get(name, 0) for name in at})

    async def ended(self, sessions: Mapping[str, str]) -> Collection[str]:
        self.ask("ended")
        return [session for session in sessions if session in self.over]

    def ask(self, what: str) -> None:
        self.asked[what] += 1
        if self.broken:
            raise OSError("the database is away")


@dataclass
class Answer:
    entries: list[Entry]
    head: int
    floor: int


@dataclass
class Counted:
    snapshot: Snapshot
    floor: dict[str, int]


class Line(Connection):
    """A connection that keeps what it is given; ``slow`` ones never finish a send by themselves."""

    def __init__(
        self, reader: str, cursor: dict[str, int] | None = None, *, slow: bool = False, session: str = ""
    ) -> None:
        super().__init__(reader, "epoch" if cursor else "", cursor or {}, session)
        self.slow = slow
        self.texts: list[str] = []
        self.closed: CloseCode | None = None

    def send(self, text: str) -> bool:
        assert not self.busy_since, "one send at a time"
        self.texts.append(text)
        return not self.slow

    def close(self, code: CloseCode, *, retry: int = 0) -> None:
        self.closed = code

    @property
    def frames(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.texts]

    @property
    def types(self) -> list[str]:
        return [frame["type"] for frame in self.frames]

    @property
    def seqs(self) -> list[int]:
        return [e["seq"] for frame in self.frames if frame["type"] == "entries" for e in frame["entries"]]


@pytest.fixture
def log() -> Log:
    return Log(stands={"1": ["user:1", "all"], "2": ["user:2", "all"]})


@pytest.fixture
def hub(log: Log) -> Hub:
    return Hub(log, epoch="epoch", now=lambda: 1.0, max_connections=3)


def passes(hub: Hub, number: int = 1) -> None:
    for _ in range(number):
        at_once(hub._pass())


def joined(hub: Hub, *lines: Line) -> None:
    for line in lines:
        hub.join(line)
    passes(hub)


def crowd(log: Log, number: int) -> list[Line]:
    log.stands |= {str(n): [f"user:{n}", "all"] for n in range(1, number + 1)}
    return [Line(str(n)) for n in range(1, number + 1)]


def test_a_newcomer_gets_hello_and_reset(hub: Hub, log: Log) -> None:
    """Without a cursor there is nothing to continue."""
    line = Line("1")
    joined(hub, line)
    assert line.types == ["hello", "reset"]


def test_a_returning_client_gets_what_it_missed(hub: Hub, log: Log) -> None:
    """With a cursor: a snapshot, and the entries above the cursor, once and in order."""
    log.add("user:1", 250)
    line = Line("1", {"user:1": 5, "all": 0})
    joined(hub, line)
    passes(hub, 5)
    assert line.types[:2] == ["hello", "snapshot"]
    assert line.seqs == list(range(6, 251))


def test_who_has_missed_a_thousand_is_reset(hub: Hub, log: Log) -> None:
    """Two frames lead to the present: what is older is in the list."""
    log.add("user:1", 1001)
    late, just = Line("1", {"user:1": 0, "all": 0}), Line("1", {"user:1": 1, "all": 0})
    joined(hub, late, just)
    passes(hub, 12)
    assert late.types == ["hello", "reset"]
    assert just.seqs == list(range(2, 1002))


@pytest.mark.parametrize("cursor", [{"user:1": 9, "all": 0}, {"user:1": 0, "all": 0}])
def test_a_cursor_that_cant_be_continued_is_reset(hub: Hub, log: Log, cursor: dict[str, int]) -> None:
    """Above the head, or below the floor."""
    log.add("user:1", 3)
    log.floor["user:1"] = 2
    line = Line("1", cursor)
    joined(hub, line)
    assert line.types == ["hello", "reset"]


def test_another_epoch_is_reset(hub: Hub, log: Log) -> None:
    """Positions of another history mean nothing; those connected are told when it changes."""
    old, here = Line("1", {"user:1": 0}), Line("2")
    old.epoch = "old"
    joined(hub, old, here)
    hub.restart("new")
    passes(hub)
    assert [old.types, here.types] == [["hello", "reset", "reset"]] * 2
    assert here.frames[-1]["epoch"] == "new"


def test_a_broadcast_is_encoded_once_and_pulled_once(hub: Hub, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand connections: one query, one encoding, the very same text for everybody."""
    lines = crowd(log, 1000)
    joined(hub, *lines)
    passes(hub, 2)
    encoded = []
    encode = passes_module.encode
    monkeypatch.setattr(passes_module, "encode", lambda frame: encoded.append(frame) or encode(frame))
    log.add("all", 50)
    log.asked.clear()
    hub.hint({"all": 50})
    passes(hub)
    assert log.asked == {"pull": 1}
    assert len(encoded) == 1
    assert len({id(line.texts[-1]) for line in lines}) == 1
    assert all(line.seqs == list(range(1, 51)) for line in lines)


def test_a_storm_costs_a_few_queries(hub: Hub, log: Log) -> None:
    """5,000 connections that each missed ten: at most 0.01 queries per connection."""
    lines = []
    for line in crowd(log, 5000):
        log.add(f"user:{line.reader}", 10)
        lines.append(Line(line.reader, {f"user:{line.reader}": 0, "all": 0}))
    for line in lines:
        hub.join(line)
    while any(len(line.seqs) < 10 for line in lines):
        passes(hub)
    assert sum(log.asked.values()) <= 50
    assert all(line.seqs == list(range(1, 11)) for line in lines)


def test_hints_in_the_same_moment_share_a_pass(hub: Hub, log: Log) -> None:
    """Natural batching: what is dirty is pulled together."""
    lines = crowd(log, 200)
    joined(hub, *lines)
    log.asked.clear()
    for line in lines:
        log.add(f"user:{line.reader}")
        hub.hint({f"user:{line.reader}": 1})
    passes(hub)
    assert log.asked == {"pull": 1}


def test_old_and_foreign_hints_ask_nothing(hub: Hub, log: Log) -> None:
    """What is here already, or concerns nobody here, costs no query."""
    log.add("user:1", 3)
    joined(hub, Line("1"))
    log.asked.clear()
    hub.hint({"user:1": 3, "user:99": 7, "reader:99": 2, "reader:1": 0, "nonsense": 1})
    passes(hub)
    assert not log.asked


def test_a_forged_hint_brings_nothing_that_isnt_in_the_log(hub: Hub, log: Log) -> None:
    """It costs one query, and nobody is sent anything."""
    line = Line("1")
    joined(hub, line)
    hub.hint({"user:1": 10**12, "reader:1": 10**12})
    passes(hub, 3)
    assert line.seqs == []


def test_a_slow_reader_owns_no_queue(hub: Hub, log: Log) -> None:
    """Ten thousand entries cost it one position and one send; when it is free again it gets them all."""
    slow, quick = Line("1", slow=True), Line("2")
    joined(hub, quick)
    slow.slow = False
    joined(hub, slow)
    slow.slow = True
    log.add("all")
    hub.hint({"all": 1})
    passes(hub)
    before = sys.getsizeof(slow.behind)
    for _ in range(100):
        log.add("all", 100)
        hub.hint({"all": log.head("all")})
        passes(hub)
    assert len(slow.texts) == 3, "hello, reset, and the one that has not finished"
    assert slow.behind == {"all": 1}
    assert sys.getsizeof(slow.behind) <= before + 256
    slow.slow = False
    hub.free(slow)
    passes(hub, 200)
    assert slow.seqs == list(range(1, 10_002)) == quick.seqs


def test_a_missed_snapshot_is_made_up_for(hub: Hub, log: Log) -> None:
    """One snapshot when it is free, however many it has missed."""
    line = Line("1")
    joined(hub, line)
    line.slow = True
    log.add("user:1")
    hub.hint({"user:1": 1})
    passes(hub)
    for rev in range(1, 6):
        log.revs["1"] = rev
        hub.hint({"reader:1": rev})
        passes(hub)
    line.slow = False
    hub.free(line)
    passes(hub)
    snapshots = [frame["snapshot"]["rev"] for frame in line.frames if frame["type"] == "snapshot"]
    assert snapshots == [5]


def test_who_does_not_read_is_closed(hub: Hub, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """After ten seconds, with a code that says: come back with your cursor. Before that, and others, not."""
    clock = [100.0]
    for module in (hub_module, register):
        monkeypatch.setattr(module, "monotonic", lambda: clock[0])
    slow, quick = Line("1"), Line("2")
    joined(hub, slow, quick)
    slow.slow = True
    log.add("all")
    hub.hint({"all": 1})
    passes(hub)
    clock[0] += 9
    hub.expel_slow()
    assert slow.closed is None
    clock[0] += 2
    hub.expel_slow()
    assert slow.closed is CloseCode.SLOW
    assert slow.closed.reconnect
    assert quick.closed is None
    assert hub.connections == {quick}


def test_the_oldest_of_too_many_is_closed(hub: Hub, log: Log) -> None:
    """A fourth connection of a user who may have three."""
    lines = [Line("1") for _ in range(4)]
    joined(hub, *lines)
    assert [line.closed for line in lines] == [CloseCode.TOO_MANY, None, None, None]
    assert [line.types for line in lines[1:]] == [["hello", "reset"]] * 3


def test_nothing_is_left_of_who_has_gone(hub: Hub, log: Log) -> None:
    """Streams, readers, flags: all as before."""
    lines = crowd(log, 50)
    joined(hub, *lines)
    for line in lines:
        hub.hint({f"user:{line.reader}": 1})
        hub.leave(line)
        hub.leave(line)
    passes(hub)
    assert (hub.streams, hub.readers, hub.connections, hub._lagging, hub._busy) == ({}, {}, set(), {}, set())


def test_leaving_in_the_middle_of_a_pass(hub: Hub, log: Log) -> None:
    """Connections may come and go while the source is asked."""
    lines = crowd(log, 300)
    joined(hub, *lines)
    log.add("all", 2)
    hub.hint({"all": 2})
    work = hub._pass()
    work.send(None)
    for line in lines[::2]:
        hub.leave(line)
    late = Line("1", {"user:1": 0, "all": 1})
    hub.join(late)
    with pytest.raises(StopIteration):
        while True:
            work.send(None)
    passes(hub, 3)
    assert all(line.seqs == [1, 2] for line in lines[1::2])
    assert late.seqs == [2]


def test_a_source_that_fails_loses_nothing(hub: Hub, log: Log) -> None:
    """What was dirty stays dirty; nobody is dropped."""
    line = Line("1")
    joined(hub, line)
    log.add("user:1")
    log.broken = True
    hub.hint({"user:1": 1, "reader:1": 1})
    for _ in range(3):
        with pytest.raises(OSError, match="away"):
            at_once(hub._pass())
    log.broken, log.revs["1"] = False, 1
    passes(hub, 2)
    assert line.seqs == [1]
    assert line.frames[-2]["snapshot"]["rev"] == 1
    assert line.closed is None


def test_a_retraction_recounts_everybody_who_got_it(hub: Hub, log: Log) -> None:
    """The number may be another, though nobody's marks have changed."""
    one, two = Line("1"), Line("2")
    joined(hub, one, two)
    log.add("all")
    log.streams["all"].append(Entry(seq=2, retracts=1))
    hub.hint({"all": 2})
    passes(hub, 2)
    assert one.types == two.types == ["hello", "reset", "entries", "snapshot"]


def test_rights_that_come_and_go(hub: Hub, log: Log) -> None:
    """A stream that is taken away is heard no more; one that is given is heard from its head on."""
    line = Line("1")
    log.add("group:7", 5)
    joined(hub, line)
    log.stands["1"] = ["user:1", "group:7"]
    log.revs["1"] = 1
    hub.hint({"reader:1": 1})
    passes(hub)
    log.add("group:7")
    log.add("all")
    hub.hint({"group:7": 6, "all": 1})
    passes(hub)
    entries = [(frame["stream"], frame["prev"]) for frame in line.frames if frame["type"] == "entries"]
    assert entries == [("group:7", 5)]
    assert "all" not in hub.streams


def test_a_quiet_review_tells_only_of_change(hub: Hub, log: Log) -> None:
    """Asked again once a minute, and silent while the answer is the same; a lost right is noticed without any hint."""
    line = Line("1")
    joined(hub, line)
    hub.review(0, 1)
    passes(hub)
    assert line.types == ["hello", "reset"]
    log.stands["1"] = ["user:1"]
    hub.review(0, 1)
    passes(hub)
    assert line.types == ["hello", "reset", "snapshot"]


def test_who_is_gone_is_closed(hub: Hub, log: Log) -> None:
    """A deleted or disabled user, and a session that has ended: 4502, and the user's other sessions stay."""
    deleted, ended, other = Line("1"), Line("2", session="a"), Line("2", session="b")
    joined(hub, deleted, ended, other)
    del log.stands["1"]
    log.over.add("a")
    hub.recount()
    passes(hub)
    assert [deleted.closed, ended.closed, other.closed] == [CloseCode.SESSION_ENDED, CloseCode.SESSION_ENDED, None]


def test_connections_have_a_maximum_age(hub: Hub, log: Log) -> None:
    """An hour, give or take: closed with a code that says to come back at once."""
    old, young = Line("1"), Line("2")
    joined(hub, old, young)
    assert 0.79 * 3600 < young.until - hub_module.monotonic() < 1.21 * 3600
    old.until = 0
    hub.expel_old()
    assert [old.closed, young.closed] == [CloseCode.MAX_AGE, None]


def test_pushes_reach_who_stands_there(hub: Hub, log: Log) -> None:
    """At once, without the log; a busy connection keeps the latest of each key, and no more than sixteen."""
    log.stands["1"].append("order:15")
    line, other = Line("1"), Line("2")
    joined(hub, line, other)
    hub.push("order:15", "changed", {"n": 0}, "")
    assert line.frames[-1] == {"type": "push", "topic": "order:15", "event": "changed", "data": {"n": 0}, "key": ""}
    assert "push" not in other.types
    line.slow = True
    hub.push("order:15", "changed", {"n": 1}, "state")
    for n in range(2, 50):
        hub.push("order:15", "changed", {"n": n}, "state")
        hub.push("order:15", "changed", {"n": n}, f"key {n}")
        hub.push("order:15", "changed", {"n": n}, "")
    line.slow = False
    hub.free(line)
    late = [(frame["data"]["n"], frame["key"]) for frame in line.frames[4:]]
    assert len(late) <= register.MAX_PUSHES
    assert (49, "state") in late


async def test_pings_go_to_those_who_are_free(hub: Hub, log: Log) -> None:
    """Every connection that isn't in the middle of a send."""
    free, busy = Line("1"), Line("2")
    joined(hub, free, busy)
    busy.busy_since = 1.0
    await hub.ping()
    assert [free.types[-1], busy.types[-1]] == ["ping", "reset"]


def test_others_get_their_turn_during_a_fan_out(hub: Hub, log: Log) -> None:
    """The loop is given back every hundred sends."""
    lines = crowd(log, 1000)
    joined(hub, *lines)
    passes(hub, 3)
    log.add("all")
    hub.hint({"all": 1})
    work, turns = hub._pass(), 0
    with pytest.raises(StopIteration):
        while True:
            work.send(None)
            turns += 1
    assert turns >= 1000 // passes_module.SLICE


def test_an_idle_connection_is_small(hub: Hub, log: Log) -> None:
    """No dict and no queue of its own."""
    lines = crowd(log, 10)
    joined(hub, *lines)
    assert all(line.behind is lines[0].behind for line in lines)
    assert all(line.pushes is None and line.cursor is None for line in lines)


def test_a_resume_survives_a_server_that_takes_its_time(hub: Hub, log: Log) -> None:
    """Busy with the hello already: it still gets its snapshot and what it missed, and no reset."""
    log.add("user:1", 3)
    line = Line("1", {"user:1": 1, "all": 0}, slow=True)
    joined(hub, line)
    for _ in range(6):
        line.slow = False
        hub.free(line)
        passes(hub)
    assert line.types == ["hello", "snapshot", "entries"]
    assert line.seqs == [2, 3]


def test_the_snapshot_that_names_a_stream_comes_before_its_entries(hub: Hub, log: Log) -> None:
    """A topic is granted while a connection is busy: it hears of the topic before it hears from it."""
    log.add("topic", 5)
    line = Line("1")
    joined(hub, line)
    line.slow = True
    log.add("user:1")
    hub.hint({"user:1": 1})
    passes(hub)
    log.stands["1"].append("topic")
    log.revs["1"] = 1
    hub.hint({"reader:1": 1})
    passes(hub)
    log.add("topic")
    hub.hint({"topic": 6})
    line.slow = False
    hub.free(line)
    passes(hub, 4)
    names = [frame.get("stream") or frame["type"] for frame in line.frames[3:]]
    assert names == ["snapshot", "topic"]


def test_who_cant_be_counted_keeps_nobody_from_the_log(hub: Hub, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting fails, pulling goes on."""
    line = Line("1")
    joined(hub, line)

    async def fail(readers: Any) -> Any:
        raise OSError("no count")

    monkeypatch.setattr(log, "standings", fail)
    log.add("user:1")
    hub.hint({"user:1": 1, "reader:1": 1})
    with pytest.raises(OSError, match="no count"):
        at_once(hub._pass())
    assert line.seqs == [1]


def test_a_review_reaches_everybody(hub: Hub, log: Log) -> None:
    """Whoever comes and goes meanwhile: within one round, each who stays is asked again."""
    lines = crowd(log, 300)
    joined(hub, *lines)
    passes(hub)
    asked: set[str] = set()
    for part in range(60):
        hub.leave(lines[part])
        hub.review(part, 60)
        asked |= hub._stale.keys()
        passes(hub)
    assert {line.reader for line in lines[60:]} <= asked
