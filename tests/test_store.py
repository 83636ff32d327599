"""The store: numbering, pulling, counting, marking, on the database of the run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, OperationalError, connection
from django.utils import timezone

from livebell import api, store
from livebell.models import Entry, Intake, Notification, Outbox, Receipt, Stream
from livebell.store import Marking, intake, log, reading, sql
from tests.helpers import commits, person, seqs, titles

pytestmark = pytest.mark.django_db


def put(*streams: str, **content: Any) -> list[int]:
    return store.put({"title": "T", **content}, streams).rows


def fill(stream: str, count: int, **content: Any) -> None:
    store.number([row for number in range(count) for row in put(stream, title=f"{number + 1}", **content)])


def pull(stream: str, after: int = 0) -> store.Page:
    return store.pull([(stream, after)])[stream, after]


def mark(user: Any, **marking: Any) -> int:
    return store.mark(api.key_of(user), Marking(**marking), standing=api.standing(user).snapshot.at)


def past() -> Any:
    return timezone.now() - timedelta(minutes=1)


# Numbering


def test_numbering_twice_is_numbering_once() -> None:
    """What has been numbered is skipped, so numbering may be repeated by anybody."""
    rows = put("a")
    assert store.number(rows) == {"a": 1}
    assert store.number(rows) == {}
    assert seqs("a") == [1]


def test_numbering_what_does_not_exist_is_no_error() -> None:
    """Unknown rows are passed over, and so is nothing at all."""
    assert store.number([987_654]) == {}
    assert store.number([]) == {}


def test_numbering_takes_only_what_it_is_given() -> None:
    """Other rows keep waiting."""
    first, second = put("a", title="first"), put("a", title="second")
    store.number(second)
    assert store.pending(store.newest_pending()) == first


def test_rows_numbered_together_are_in_order() -> None:
    """The order of rows decides, not the order in which they are named."""
    rows = [row for title in "123" for row in put("a", title=title)]
    assert store.number(rows[::-1]) == {"a": 3}
    assert [entry.title for entry in pull("a").entries] == ["1", "2", "3"]


def test_numbering_more_than_a_slice_at_once() -> None:
    """Any number of rows can be numbered in one call."""
    fill("a", 250)
    assert seqs("a") == list(range(1, 251))


def test_a_large_audience_shares_one_notification() -> None:
    """5,000 recipients are written in three rows, and become 5,000 entries of one notification."""
    stored = store.put({"title": "T"}, (f"user:{number}" for number in range(5000)))
    assert (len(stored.rows), stored.streams) == (3, 5000)
    moved = store.number(stored.rows)
    assert len(moved) == 5000
    assert set(moved.values()) == {1}
    assert Notification.objects.get().pk == stored.rows[0]
    assert Entry.objects.filter(notification_id=stored.rows[0]).count() == 5000
    assert not Outbox.objects.exists()


def test_the_parts_of_a_large_audience_come_in_any_order() -> None:
    """A later part that is numbered first brings the content along."""
    rows = store.put({"title": "T", "body": "B"}, (f"user:{number}" for number in range(4001))).rows
    for row in reversed(rows):
        store.number([row])
    assert Notification.objects.get().body == "B"
    assert pull("user:0").entries[0].id == pull("user:4000").entries[0].id == rows[0]


def test_a_retraction_waits_for_every_part_of_a_large_audience() -> None:
    """Taking back what is half numbered takes back all of it, later."""
    rows = store.put({"title": "T"}, (f"user:{number}" for number in range(2001))).rows
    retraction = store.put_retraction(rows[0])
    store.number(rows[:1])
    assert store.number([retraction]) == {}
    store.number(rows[1:])
    assert len(store.number([retraction])) == 2001


def test_every_stream_is_without_holes() -> None:
    """After 200 publishes and retractions to random audiences each stream has every number once, up to its head."""
    random, names = Random(1), [f"s{number}" for number in range(6)]
    rows: list[int] = []
    for _ in range(200):
        if rows and random.random() < 0.2:
            rows.append(store.put_retraction(random.choice(rows)))
        else:
            key = random.choice([None, None, f"k{random.randrange(9)}"])
            rows += put(*random.sample(names, random.randint(1, 4)), key=key)
        if random.random() < 0.5:
            store.number(random.sample(rows, len(rows) // 2))
    store.number(rows)
    store.number(store.pending(store.newest_pending()))
    assert not Outbox.objects.exists()
    for stream in Stream.objects.all():
        assert seqs(stream.name) == list(range(1, stream.head + 1))


def test_content_is_copied_whole() -> None:
    """Numbering changes no field."""
    content: dict[str, Any] = {
        "title": "T", "body": "B\n", "url": "/u/", "level": "error", "kind": "k", "actor": "A", "key": "1",
        "data": {"a": [1, None, "ü"]}, "expires": timezone.now() + timedelta(days=1),
    }  # fmt: skip
    store.number(put("a", **content))
    stored = Notification.objects.get()
    assert {name: getattr(stored, name) for name in content} == content


@pytest.mark.parametrize("data", [None, 0, False, "", [], {}, "text", [1, {"a": None}]])
def test_data_comes_back_as_it_was(data: Any) -> None:
    """Every JSON value goes through outbox, log and pull unchanged."""
    store.number(put("a", data=data))
    (entry,) = pull("a").entries
    assert (None if entry.data is None else json.loads(bytes(entry.data))) == data


@commits
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite locks the whole database")
def test_what_somebody_else_is_numbering_is_skipped() -> None:
    """A row that another transaction has locked is left to it, without waiting."""
    first, second = put("a", title="first"), put("a", title="second")
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM livebell_outbox WHERE id = %s FOR UPDATE", first)
        assert store.number([*first, *second]) == {"a": 1}
        other.rollback()
    finally:
        other.close()
    assert store.number([*first, *second]) == {"a": 2}


def test_pending_is_oldest_first_and_bounded() -> None:
    """The sweeper gets the oldest rows, none newer than it has seen before."""
    rows = [put("a")[0] for _ in range(4)]
    assert store.newest_pending() == rows[-1]
    assert store.pending(rows[2]) == rows[:3]
    assert store.pending(rows[2], limit=2) == rows[:2]
    store.number(rows)
    assert store.newest_pending() == 0


@commits
@pytest.mark.parametrize(("losses", "wins"), [(1, True), (sql.TRIES - 1, True), (sql.TRIES, False)])
def test_a_lost_race_is_run_again(losses: int, wins: bool) -> None:
    """A transaction that lost a race is run again, eight times in all."""
    calls = []

    @sql.again
    def race() -> str:
        calls.append(1)
        if len(calls) <= losses:
            raise IntegrityError("lost")
        return "won"

    if wins:
        assert race() == "won"
    else:
        with pytest.raises(IntegrityError):
            race()
    assert len(calls) == min(losses + 1, sql.TRIES)


@commits
def test_another_error_is_not_run_again() -> None:
    """Only what a second run can mend is run again."""
    calls = []

    @sql.again
    def fails() -> None:
        calls.append(1)
        raise OperationalError("no such table")

    with pytest.raises(OperationalError):
        fails()
    assert len(calls) == 1


# Pulling


def test_a_page_ends_after_100_entries() -> None:
    """A pull of a long stream is a page of 100, and the next one goes on behind it."""
    fill("a", 230)
    pages = [pull("a", after) for after in (0, 100, 200, 230)]
    assert [len(page.entries) for page in pages] == [100, 100, 30, 0]
    assert [entry.seq for page in pages for entry in page.entries] == list(range(1, 231))
    assert {page.head for page in pages} == {230}


def test_a_page_ends_after_256_kib() -> None:
    """A page of long texts is shorter, never empty, and the next one goes on behind it."""
    fill("a", 60, body="x" * 10_000)
    read, sizes = 0, []
    while page := pull("a", read).entries:
        assert [entry.seq for entry in page] == list(range(read + 1, read + 1 + len(page)))
        read += len(page)
        sizes.append(len(page))
    assert read == 60
    assert max(sizes) * 10_000 <= log.MAX_BYTES + 10_000


def test_an_entry_above_the_limit_is_a_page_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is too large to be pulled at all."""
    monkeypatch.setattr(log, "MAX_BYTES", 10)
    fill("a", 3, body="x" * 100)
    assert [entry.seq for entry in pull("a", 1).entries] == [2]


def test_an_unknown_stream_is_empty() -> None:
    """A stream that doesn't exist yet has no entry and stands at 0."""
    assert pull("nowhere") == store.Page([], 0, 0)


def test_a_position_above_the_head_is_empty() -> None:
    """Who is ahead of the log gets its head, and nothing else."""
    fill("a", 2)
    assert (pull("a", 7).entries, pull("a", 7).head) == ([], 2)


def test_one_stream_may_be_pulled_from_several_positions() -> None:
    """Readers of one stream at different positions are answered in one query, each with its own page."""
    fill("a", 12)
    pages = store.pull([("a", 0), ("a", 5), ("a", 11), ("a", 12)])
    assert {after: [entry.seq for entry in page.entries] for (_, after), page in pages.items()} == {
        0: list(range(1, 13)),
        5: list(range(6, 13)),
        11: [12],
        12: [],
    }


def test_many_streams_are_one_query(django_assert_num_queries: Any) -> None:
    """However many streams are pulled, it is one query."""
    store.number(put(*(f"s{number}" for number in range(50))))
    with django_assert_num_queries(1):
        pages = store.pull([(f"s{number}", 0) for number in range(60)])
    assert sum(len(page.entries) for page in pages.values()) == 50


@pytest.mark.parametrize("name", ["o'brien", 'a"b', "100%", "%s", "a\\b", "ü"])
def test_a_name_is_never_sql(name: str) -> None:
    """Names with the signs of SQL are names."""
    store.number(put(name))
    assert len(pull(name).entries) == 1


def test_no_positions_are_no_pages() -> None:
    """Nothing asked is nothing answered."""
    assert store.pull([]) == {}


def test_what_was_taken_back_has_no_content() -> None:
    """A retracted or expired notification keeps its number only."""
    rows = put("a", title="secret") + put("a", title="old", expires=past())
    store.number(rows)
    store.number([store.put_retraction(rows[0])])
    assert [(entry.seq, entry.gone, entry.retracts, entry.title) for entry in pull("a").entries] == [
        (1, True, 0, ""),
        (2, True, 0, ""),
        (3, False, 1, ""),
    ]


# Position check, epoch, clock


def test_what_has_not_moved_is_not_named() -> None:
    """A process that is up to date hears nothing but the epoch."""
    ann = person()
    fill("a", 2)
    rev = mark(ann)
    assert store.moved({"a": 2, "nowhere": 0}, {api.key_of(ann): rev, "987654": 0}) == store.Moved(
        {}, {}, {}, *store.history()
    )


def test_what_has_moved_is_named_with_its_position() -> None:
    """Streams ahead of, and behind, what a process believes are named, and so are readers."""
    ann = person()
    fill("a", 2)
    fill("b", 1)
    rev = mark(ann)
    key = api.key_of(ann)
    found = store.moved({"a": 1, "b": 5, "gone": 3}, {key: rev - 1, "987654": 2})
    assert found.streams == {"a": 2, "b": 1, "gone": None}
    assert found.readers == {key: rev, "987654": 0}


def test_the_position_check_of_nothing() -> None:
    """A process without pages checks nothing."""
    assert store.moved({}, {}).streams == {}


def test_the_epoch_stays() -> None:
    """The epoch is made once."""
    assert store.epoch() == store.epoch()


def test_a_new_epoch_is_another() -> None:
    """After a restore the epoch is another, and stays that."""
    before = store.epoch()
    after = store.new_epoch()
    assert before != after == store.epoch()


@commits
def test_the_change_test_sees_another_connection_commit() -> None:
    """The value of the cheap change test differs after another connection has committed."""
    before = store.change_mark()
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("INSERT INTO livebell_stream (name, head, floor) VALUES ('other', 0, 0)")
    finally:
        other.close()
    assert store.change_mark() != before


# Counting


def test_many_readers_are_counted_in_one_query(django_assert_num_queries: Any) -> None:
    """However many readers ask, it is one query."""
    readers = [person(f"user{number}") for number in range(20)]
    store.number(put(*(f"user:{user.pk}" for user in readers[:5]), "all"))
    store.epoch()
    with django_assert_num_queries(1):
        found = store.standings({api.key_of(user): ["t"] for user in readers})
    assert [found[api.key_of(user)].snapshot.unread for user in readers] == [2] * 5 + [1] * 15


def test_who_does_not_exist_has_no_snapshot() -> None:
    """There is no answer for a user who isn't there."""
    assert store.standings({"987654": ["t"]}) == {}
    assert store.standings({}) == {}


def test_everybody_stands_on_the_own_stream_and_on_all() -> None:
    """Without groups and topics a user stands on two streams, also when both are empty."""
    ann = person()
    snapshot = api.standing(ann).snapshot
    assert (snapshot.at, snapshot.unread) == ({f"user:{ann.pk}": 0, "all": 0}, 0)


def test_a_topic_of_one_reader_is_not_anothers() -> None:
    """The rule's topics go to the reader they were given for."""
    ann, bob = person(), person("bob")
    found = store.standings({api.key_of(ann): ["t"], api.key_of(bob): []})
    assert "t" in found[api.key_of(ann)].snapshot.at
    assert "t" not in found[api.key_of(bob)].snapshot.at


def test_the_snapshot_lists_single_receipts_newest_first() -> None:
    """What was read on its own above ``through`` is listed, of each stream."""
    ann = person()
    own = f"user:{ann.pk}"
    fill(own, 9)
    mark(ann, through={own: 2}, read={own: [4, 8]})
    snapshot = api.standing(ann).snapshot
    assert (snapshot.read, snapshot.through[own], snapshot.unread) == ({own: [8, 4]}, 2, 5)


def test_the_snapshot_lists_no_more_than_200_receipts() -> None:
    """Of many receipts the newest 200 are listed, and the number is right all the same."""
    ann = person()
    own = f"user:{ann.pk}"
    fill(own, 210)
    mark(ann, read={own: list(range(1, 206))})
    snapshot = api.standing(ann).snapshot
    assert snapshot.read[own] == list(range(205, 5, -1))
    assert len(snapshot.read[own]) == reading.MAX_RECEIPTS
    assert snapshot.unread == 5


def test_below_the_floor_nothing_counts() -> None:
    """What has been pruned is neither counted nor listed."""
    ann = person()
    own = f"user:{ann.pk}"
    fill(own, 5)
    Stream.objects.filter(name=own).update(floor=3)
    assert api.standing(ann).snapshot.unread == 2
    assert titles(ann) == ["5", "4"]


# Marks


@pytest.mark.parametrize("seq", [6, 10**6, 2**63 - 1, 2**63, 10**30])
def test_reading_through_more_than_there_is_reads_what_there_is(seq: int) -> None:
    """A position above the head marks up to the head; what comes later is unread."""
    ann = person()
    own = f"user:{ann.pk}"
    fill(own, 5)
    mark(ann, through={own: seq}, seen={own: seq})
    assert api.standing(ann).snapshot.through[own] == 5
    fill(own, 1)
    assert api.standing(ann).snapshot.unread == 1


@pytest.mark.parametrize("seq", [0, -1, -(2**63), -(10**30), 2**63, 10**30, 6])
@pytest.mark.parametrize("what", ["read", "archive", "unarchive"])
def test_a_number_that_no_entry_has_is_passed_over(seq: int, what: str) -> None:
    """A single number outside the log changes nothing and is no error."""
    ann = person()
    own = f"user:{ann.pk}"
    fill(own, 5)
    mark(ann, **{what: {own: [seq]}})
    assert api.standing(ann).snapshot.unread == 5
    assert not Receipt.objects.exists()


def test_reading_never_goes_back() -> None:
    """A lower position after a higher one changes nothing."""
    ann = person()
    own = f"user:{ann.pk}"
    fill(own, 5)
    mark(ann, through={own: 4}, seen={own: 5})
    mark(ann, through={own: 1}, seen={own: -3})
    snapshot = api.standing(ann).snapshot
    assert (snapshot.unread, snapshot.unseen) == (1, 0)


def test_a_stream_one_does_not_stand_on_is_passed_over() -> None:
    """Marks of a foreign stream are not even stored."""
    ann, bob = person(), person("bob")
    foreign = f"user:{bob.pk}"
    fill(foreign, 2)
    mark(ann, through={foreign: 2}, read={foreign: [1]}, archive={foreign: [1]}, seen={foreign: 2})
    assert api.standing(bob).snapshot.unread == 2
    assert not Receipt.objects.exists()


def test_receipts_below_the_mark_are_dropped() -> None:
    """What the mark has overtaken needs no receipt, unless it is archived."""
    ann = person()
    own = f"user:{ann.pk}"
    fill(own, 5)
    mark(ann, read={own: [1, 2]}, archive={own: [3]})
    mark(ann, through={own: 4})
    assert list(Receipt.objects.values_list("seq", "archived")) == [(3, True)]


def test_each_change_raises_rev_by_one() -> None:
    """Every change of marks, and every touch, is one step of ``rev``."""
    ann = person()
    first = mark(ann)
    assert mark(ann) == first + 1
    assert store.touch([api.key_of(ann)]) == {api.key_of(ann): first + 2}


def test_touching_nobody() -> None:
    """Nobody's ``rev`` changes."""
    assert store.touch([]) == {}


# The number against a recount


class Model:
    """Users, streams, and what is true of them, in plain Python: facts, no positions below which all is read."""

    def __init__(self, users: Iterable[str]) -> None:
        self.logs: dict[str, list[int]] = {}  # stream -> notification of each entry, 0 for a retraction
        self.gone: set[int] = set()
        self.expired: set[int] = set()
        self.stands = {user: {f"user:{user}", "all"} for user in users}
        self.read: dict[str, set[tuple[str, int]]] = {user: set() for user in users}
        self.seen: dict[str, set[tuple[str, int]]] = {user: set() for user in users}
        self.archived: dict[str, set[tuple[str, int]]] = {user: set() for user in users}

    def entries(self, stream: str) -> list[int]:
        return self.logs.setdefault(stream, [])

    def publish(self, note: int, streams: Iterable[str]) -> None:
        for stream in streams:
            self.entries(stream).append(note)

    def retract(self, note: int) -> None:
        if note not in self.gone:
            self.gone.add(note)
            for entries in self.logs.values():
                entries.extend(0 for other in tuple(entries) if other == note)

    def sweep(self) -> None:
        for note in sorted(self.expired - self.gone):
            self.retract(note)

    def up_to(self, stream: str, seq: int) -> set[tuple[str, int]]:
        return {(stream, number) for number in range(1, min(seq, len(self.entries(stream))) + 1)}

    def notes(self, stream: str, seqs: Iterable[int]) -> set[tuple[str, int]]:
        entries = self.entries(stream)
        return {(stream, seq) for seq in seqs if 0 < seq <= len(entries) and entries[seq - 1]}

    def mark(self, user: str, kind: str, stream: str, seq: int) -> None:
        if stream not in self.stands[user]:
            return
        if kind in ("through", "seen"):
            self.seen[user] |= self.up_to(stream, seq)
        if kind == "through":
            self.read[user] |= self.up_to(stream, seq)
        if kind in ("read", "archive"):
            self.read[user] |= self.notes(stream, [seq])
        if kind == "archive":
            self.archived[user] |= self.notes(stream, [seq])
        if kind == "unarchive":
            self.archived[user] -= {(stream, seq)}

    def enter(self, user: str, stream: str) -> None:
        self.stands[user].add(stream)
        everything = self.up_to(stream, len(self.entries(stream)))
        self.read[user] |= everything
        self.seen[user] |= everything

    def alive(self, user: str) -> set[tuple[str, int]]:
        return {
            (stream, seq)
            for stream in self.stands[user]
            for seq, note in enumerate(self.entries(stream), 1)
            if note and note not in self.gone | self.expired
        }


class World:
    """The same steps on the store and on the model."""

    KINDS = ("through", "seen", "read", "read", "archive", "unarchive")

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.people = {api.key_of(user): user for user in (person(name) for name in ("ann", "bob", "cid"))}
        self.group = Group.objects.create(name="red")
        self.model = Model(self.people)
        self.notes: list[int] = []
        self.shared = ["all", f"group:{self.group.pk}", "t"]
        self.streams = [*self.shared, *(f"user:{key}" for key in self.people)]

    def step(self) -> None:
        steps: list[Callable[[], None]] = [self.publish] * 6 + [self.mark] * 6
        steps += [self.retract, self.expire, self.sweep, self.regroup, self.resubscribe]
        self.random.choice(steps)()

    def publish(self) -> None:
        streams = self.random.sample(self.streams, self.random.choice([1, 1, 1, 3]))
        (row,) = put(*streams)
        store.number([row])
        self.notes.append(row)
        self.model.publish(row, streams)

    def retract(self) -> None:
        if self.notes:
            note = self.random.choice(self.notes)
            store.number([store.put_retraction(note)])
            self.model.retract(note)

    def expire(self) -> None:
        if self.notes:
            note = self.random.choice(self.notes)
            Notification.objects.filter(pk=note).update(expires=past())
            self.model.expired.add(note)

    def sweep(self) -> None:
        store.number(store.put_expired())
        self.model.sweep()

    def mark(self) -> None:
        key, stream = self.random.choice(list(self.people)), self.random.choice(self.streams)
        kind, seq = self.random.choice(self.KINDS), self.random.randint(0, len(self.model.entries(stream)) + 1)
        position: Any = seq if kind in ("through", "seen") else [seq]
        mark(self.people[key], **{kind: {stream: position}})
        self.model.mark(key, kind, stream, seq)

    def regroup(self) -> None:
        self.change(
            f"group:{self.group.pk}",
            lambda user: user.groups.add(self.group),
            lambda user: user.groups.remove(self.group),
        )

    def resubscribe(self) -> None:
        self.change("t", lambda user: api.subscribe(user, "t"), lambda user: api.unsubscribe(user, "t"))

    def change(self, stream: str, enter: Callable[[Any], Any], leave: Callable[[Any], Any]) -> None:
        key = self.random.choice(list(self.people))
        if stream in self.model.stands[key]:
            leave(self.people[key])
            self.model.stands[key].discard(stream)
        else:
            enter(self.people[key])
            self.model.enter(key, stream)

    def check(self) -> None:
        for key, user in self.people.items():
            model, standing = self.model, api.standing(user)
            snapshot, alive = standing.snapshot, self.model.alive(key)
            assert snapshot.at == {stream: len(model.entries(stream)) for stream in model.stands[key]}
            assert snapshot.unread == len(alive - model.read[key])
            assert snapshot.unseen == len(alive - model.read[key] - model.seen[key])
            for stream in model.stands[key]:
                read = {(stream, seq) for seq in snapshot.read.get(stream, [])} | model.up_to(
                    stream, snapshot.through[stream]
                )
                assert read & alive == {one for one in model.read[key] & alive if one[0] == stream}
            expected = {
                "": alive - model.archived[key],
                "unread": alive - model.read[key],
                "archived": alive & model.archived[key],
            }
            for only, wanted in expected.items():
                page, _ = store.items(key, standing, only=only, limit=100)
                assert sorted((item.stream, item.seq) for item in page) == sorted(wanted), only
                assert all(item.read == ((item.stream, item.seq) in model.read[key]) for item in page)
                assert all(item.archived == ((item.stream, item.seq) in model.archived[key]) for item in page)


@pytest.mark.parametrize("seed", range(8))
def test_the_number_is_what_a_recount_says(seed: int) -> None:
    """After random publishes, retractions, expiries, marks, and changes of groups and topics, every user's number, list and
    receipts are what a plain recount says."""
    world = World(seed)
    for number in range(70):
        world.step()
        if number % 2:
            world.check()


# The list


def everything(
    user: Any, limit: int = 7, between: Callable[[], Any] = lambda: None, only: str = ""
) -> list[store.Item]:
    """All pages of a list."""
    found, before = [], ""
    for _ in range(200):
        page, before = store.items(api.key_of(user), api.standing(user), only=only, before=before, limit=limit)
        found += page
        assert len(page) <= limit
        if not before:
            return found
        between()
    raise AssertionError("the pages don't end")


def several_streams(user: Any, count: int) -> list[str]:
    group = Group.objects.create(name="red")
    user.groups.add(group)
    api.subscribe(user, "t")
    streams, random = [f"user:{user.pk}", "all", f"group:{group.pk}", "t"], Random(5)
    store.number([row for number in range(count) for row in put(random.choice(streams), title=str(number))])
    return streams


def test_pages_hold_everything_once() -> None:
    """All pages together are the list, the newest first, each item once."""
    ann = person()
    several_streams(ann, 60)
    assert [item.title for item in everything(ann)] == [str(number) for number in reversed(range(60))]


def test_a_stream_that_ends_early_does_not_begin_again() -> None:
    """A stream whose items are all on the first page stays ended on every later one."""
    ann = person()
    fill(f"user:{ann.pk}", 12)
    fill("all", 2)
    assert [item.stream for item in everything(ann, 3)] == ["all"] * 2 + [f"user:{ann.pk}"] * 12


def test_pages_lose_and_repeat_nothing_while_new_ones_come() -> None:
    """What arrives between two pages neither moves nor hides what was there before."""
    ann = person()
    streams = several_streams(ann, 60)
    found = everything(ann, between=lambda: store.number(put(*streams, title="new")))
    assert [item.title for item in found] == [str(number) for number in reversed(range(60))]


def test_pages_lose_nothing_while_others_are_taken_back() -> None:
    """What is taken back between two pages is missing, and nothing else is."""
    ann = person()
    several_streams(ann, 40)
    notes = list(Notification.objects.order_by("pk").values_list("pk", flat=True))
    seen = [item.id for item in everything(ann, between=lambda: store.number([store.put_retraction(notes.pop())]))]
    assert len(seen) == len(set(seen))
    assert set(notes) <= set(seen)


def test_pages_of_numbers_out_of_order_lose_nothing() -> None:
    """What was numbered later than its neighbours, because its transaction took longer, is on one of the pages."""
    ann = person()
    own = f"user:{ann.pk}"
    rows = [put(own, "all", title=str(number))[0] for number in range(30)]
    Random(3).shuffle(rows)
    for row in rows:
        store.number([row])
    found = [(item.stream, item.seq) for item in everything(ann, 4)]
    assert sorted(found) == sorted((stream, seq) for stream in (own, "all") for seq in range(1, 31))
    for stream in (own, "all"):
        assert all(one > two for one, two in pairwise(seq for name, seq in found if name == stream))


@pytest.mark.parametrize(("limit", "length"), [(-5, 1), (0, 1), (1, 1), (100, 100), (101, 100), (10**9, 100)])
def test_a_page_has_between_1_and_100_items(limit: int, length: int) -> None:
    """Any number may be asked for; a page has 1 to 100."""
    ann = person()
    fill(f"user:{ann.pk}", 120)
    page, following = store.items(api.key_of(ann), api.standing(ann), limit=limit)
    assert len(page) == length
    assert following


def test_a_list_that_just_fits_has_no_next_page() -> None:
    """Exactly as many as the limit are one page."""
    ann = person()
    fill(f"user:{ann.pk}", 5)
    assert store.items(api.key_of(ann), api.standing(ann), limit=5)[1] == ""


def test_filters_choose() -> None:
    """All that isn't archived, only what is unread, only what is archived."""
    ann = person()
    own = f"user:{ann.pk}"
    fill(own, 4)
    mark(ann, read={own: [2]}, archive={own: [3]})
    assert titles(ann) == ["4", "2", "1"]
    assert titles(ann, only="unread") == ["4", "1"]
    assert titles(ann, only="archived") == ["3"]


def test_archived_is_read_and_stays_so_when_moved_back() -> None:
    """Who archives has read; moved back, it is in the list again, and read."""
    ann = person()
    own = f"user:{ann.pk}"
    fill(own, 1)
    mark(ann, archive={own: [1]})
    assert api.standing(ann).snapshot.unread == 0
    mark(ann, unarchive={own: [1]})
    assert titles(ann) == ["1"]
    assert api.standing(ann).snapshot.unread == 0


@pytest.mark.parametrize("only", ["", "unread", "archived"])
def test_pages_of_a_filter_hold_everything_once(only: str) -> None:
    """A filtered list has pages too."""
    ann = person()
    own = f"user:{ann.pk}"
    fill(own, 30)
    mark(ann, through={own: 4}, read={own: [9, 12]}, archive={own: [2, 10, 20, 21, 22]})
    whole = titles(ann, only=only, limit=100)
    assert [item.title for item in everything(ann, 3, only=only)] == whole


def broken_mark(value: Any) -> str:
    return reading._mark(value)


@pytest.mark.parametrize(
    "before",
    [
        "!",
        "e30x",
        "ä",
        "a" * 5000,
        broken_mark([1]),
        broken_mark({"a": "x"}),
        broken_mark({"a": -1}),
        broken_mark({"a": 10**30}),
    ],
    ids=lambda value: value[:20],
)
def test_a_mark_that_cannot_be_read_is_refused(before: str) -> None:
    """A mark of a page is opaque, and what isn't one is refused with an error that a view can catch."""
    ann = person()
    fill(f"user:{ann.pk}", 1)
    with pytest.raises(ValueError, match="not the mark of a page"):
        titles(ann, before=before)


def test_a_mark_of_foreign_streams_shows_nothing_foreign() -> None:
    """A mark is no credential: naming a stream in it doesn't open it."""
    ann, bob = person(), person("bob")
    fill(f"user:{bob.pk}", 3)
    assert titles(ann, before=broken_mark({f"user:{bob.pk}": 4})) == []


# What comes over the channel layer


def test_of_all_copies_one_is_stored() -> None:
    """Each process gets a copy; the first stores it, the others leave it."""
    assert [store.claim({"to": "all"}, process) for process in "abc"] == [True, False, False]


def test_two_equal_messages_stay_two() -> None:
    """The same message twice in a row is two messages, in every process."""
    assert [store.claim({"to": "all"}, process) for process in "aabb"] == [True, True, False, False]


def test_another_message_is_another() -> None:
    """A different content is a message of its own; the order of its fields is no difference."""
    assert store.claim({"to": "all", "title": "1"}, "a")
    assert store.claim({"to": "all", "title": "2"}, "b")
    assert not store.claim({"title": "2", "to": "all"}, "a")


def test_after_half_a_minute_it_is_a_new_message() -> None:
    """What comes long after is no copy, and what is old is forgotten."""
    store.claim({"to": "all"}, "a")
    Intake.objects.update(received=timezone.now() - 3 * intake.WINDOW)
    assert store.claim({"to": "all"}, "b")
    assert Intake.objects.count() == 1
