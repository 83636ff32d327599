"""The verbs, against a real database that really commits."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, Group
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, connections, transaction
from django.test import override_settings
from django.utils import timezone

import livebell
from livebell import EVERYONE, api, mark_read, notify, push, retract, store, unread
from livebell.bus import get_bus
from livebell.content import NotifyError
from livebell.models import Entry, Mark, Notification, Outbox, Reader, Receipt
from tests.helpers import commits, items, listening, log, people, person, seqs, titles

pytestmark = commits


@pytest.fixture
def ann() -> Any:
    return person("ann")


@pytest.fixture
def bob() -> Any:
    return person("bob")


@pytest.fixture
def red() -> Group:
    return Group.objects.create(name="red")


@pytest.fixture
async def loop_side() -> Any:
    """Gives back the connections of the thread that async code uses."""
    yield
    await sync_to_async(connections.close_all)()


class Trouble(Exception):
    """Of a test's own."""


def later() -> Any:
    return timezone.now() + timedelta(hours=1)


def expire(*notifications: api.Published) -> None:
    """Let their time be over."""
    ids = [one.id for one in notifications]
    Notification.objects.filter(pk__in=ids).update(expires=timezone.now() - timedelta(seconds=1))


# Publishing and transactions


def test_in_autocommit_it_is_there_at_once(ann: Any) -> None:
    """Without a transaction, a notification is numbered when ``notify`` returns."""
    published = notify(ann, "Build passed", url="/builds/1/")
    (item,) = items(ann)
    assert (item.id, item.seq, item.title, item.url, item.read) == (
        published.id,
        1,
        "Build passed",
        "/builds/1/",
        False,
    )
    assert unread(ann) == 1


def test_the_answer_says_what_was_stored(ann: Any, bob: Any) -> None:
    """``notify`` returns the notification's number and how many streams it goes to."""
    published = notify([ann, bob], "T")
    assert published == api.Published(id=Notification.objects.get().pk, streams=2, duplicate=False)


def test_the_outbox_is_empty_afterwards(ann: Any) -> None:
    """What is numbered no longer waits."""
    notify(ann, "T")
    assert not Outbox.objects.exists()


def test_inside_a_transaction_it_is_numbered_after_the_commit(ann: Any) -> None:
    """Inside ``atomic`` nothing is numbered before the commit, and all is after it."""
    with transaction.atomic():
        notify(ann, "T")
        assert Outbox.objects.count() == 1
        assert log(f"user:{ann.pk}") == []
    assert log(f"user:{ann.pk}") == ["T"]


def test_rolled_back_it_was_never_sent(ann: Any) -> None:
    """After a rollback neither an entry nor an outbox row is left."""
    with pytest.raises(Trouble), transaction.atomic():
        notify(ann, "T")
        raise Trouble
    assert not Outbox.objects.exists()
    assert log(f"user:{ann.pk}") == []


def test_a_rollback_leaves_no_hole(ann: Any) -> None:
    """The entry after a rolled-back one follows the one before it."""
    notify(ann, "1")
    with pytest.raises(Trouble), transaction.atomic():
        notify(ann, "never")
        raise Trouble
    notify(ann, "2")
    assert seqs(f"user:{ann.pk}") == [1, 2]


def test_a_savepoint_rolled_back_takes_only_its_own(ann: Any) -> None:
    """What was sent inside a savepoint that is rolled back is never seen; the rest of the transaction is."""
    with transaction.atomic():
        notify(ann, "before")
        with pytest.raises(Trouble), transaction.atomic():
            notify(ann, "inside")
            raise Trouble
        notify(ann, "after")
    assert log(f"user:{ann.pk}") == ["before", "after"]


def test_a_nested_transaction_waits_for_the_outermost(ann: Any) -> None:
    """The end of an inner ``atomic`` numbers nothing yet."""
    with transaction.atomic():
        with transaction.atomic():
            notify(ann, "T")
        assert log(f"user:{ann.pk}") == []
    assert log(f"user:{ann.pk}") == ["T"]


def test_several_in_one_transaction_keep_their_order(ann: Any) -> None:
    """What one transaction sends is numbered in the order of sending."""
    with transaction.atomic():
        for number in range(5):
            notify(ann, str(number))
    assert log(f"user:{ann.pk}") == list("01234")


def test_what_one_transaction_sends_is_numbered_together(ann: Any, bob: Any) -> None:
    """Three hundred notifications of one request: three statements and three hints, not three hundred."""
    with listening() as ear, transaction.atomic():
        for number in range(150):
            notify(ann, str(number))
            notify(bob, str(number))
    assert len(ear.hints) == 1
    assert ear.heard() == {f"user:{ann.pk}": 150, f"user:{bob.pk}": 150}
    assert log(f"user:{ann.pk}", 50) == [str(number) for number in range(50, 150)]


def test_large_audiences_of_one_transaction_are_numbered_in_bounded_steps(
    ann: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No numbering transaction locks more than ``CHUNK`` streams, as far as a single row allows."""
    monkeypatch.setattr(store, "CHUNK", 10)
    with listening() as ear, transaction.atomic():
        for _ in range(6):
            notify([ann, *people_of(3)], "T")
    assert [len(hints) for hints in ear.hints] == [4, 4, 4], "two rows of four streams each"
    assert unread(ann) == 6


def people_of(number: int) -> list[Any]:
    return list(get_user_model().objects.filter(username__startswith="user")[:number]) or people(number)


def test_sent_and_taken_back_in_one_transaction_needs_no_sweeper(ann: Any) -> None:
    """The retraction is not numbered together with what it takes back, but right after."""
    with transaction.atomic():
        notify(ann, "before")
        retract(notify(ann, "oops"))
        notify(ann, "after")
    assert log(f"user:{ann.pk}") == ["before", "gone", "-2", "after"]
    assert not Outbox.objects.exists()


def test_rows_of_a_failed_transaction_hold_up_nobody(ann: Any) -> None:
    """What a rolled back transaction leaves in the list of rows to number is passed over by the next."""
    with pytest.raises(Trouble), transaction.atomic():
        notify(ann, "never")
        raise Trouble
    with transaction.atomic():
        transaction.on_commit(lambda: None)
        notify(ann, "now")
    assert log(f"user:{ann.pk}") == ["now"]


def test_without_autocommit_the_sweeper_finds_it(ann: Any) -> None:
    """Where a caller drives transactions by hand, the row waits in the outbox for the sweeper."""
    transaction.set_autocommit(False)
    try:
        notify(ann, "T")
        transaction.commit()
    finally:
        transaction.set_autocommit(True)
    assert log(f"user:{ann.pk}") == []
    api.number(store.pending(store.newest_pending()))
    assert log(f"user:{ann.pk}") == ["T"]


def test_an_error_in_numbering_is_logged_and_not_raised(
    ann: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What is committed can't be undone by an error after the commit: it is logged, and the row waits."""

    def fails(rows: Any) -> Any:
        raise Trouble("numbering")

    with monkeypatch.context() as patch:
        patch.setattr(store, "number", fails)
        with transaction.atomic():
            notify(ann, "T")
        assert "numbering" in caplog.text
    assert store.pending(store.newest_pending()) == [Outbox.objects.get().pk]


def test_an_error_in_numbering_does_not_stop_other_hooks(ann: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's own ``on_commit`` functions run all the same."""
    ran = []
    with monkeypatch.context() as patch:
        patch.setattr(store, "number", lambda rows: 1 / 0)
        with transaction.atomic():
            notify(ann, "T")
            transaction.on_commit(lambda: ran.append(True))
    assert ran == [True]


def test_content_is_stored_once_for_many(ann: Any) -> None:
    """A notification to many is one row of content and an entry each."""
    notify(people(30), "T")
    assert (Notification.objects.count(), Entry.objects.count()) == (1, 30)


async def test_anotify_does_the_same_from_async_code(ann: Any, loop_side: Any) -> None:
    """``anotify`` stores and numbers, and returns the same."""
    published = await livebell.anotify(ann, "T", level="success")
    assert await sync_to_async(log)(f"user:{ann.pk}") == ["T"]
    assert published.streams == 1


async def test_anotify_refuses_the_same(ann: Any, loop_side: Any) -> None:
    """``anotify`` raises the same error."""
    with pytest.raises(NotifyError, match="^title: "):
        await livebell.anotify(ann, "")


async def test_the_other_verbs_have_a_twin_too(ann: Any, loop_side: Any) -> None:
    """``amark_read``, ``aretract``, ``aunread`` do what their twins do."""
    one, two = await livebell.anotify(ann, "1"), await livebell.anotify(ann, "2")
    await livebell.amark_read(ann, one)
    assert await api.aunread(ann) == 1
    await livebell.aretract(two)
    assert await api.aunread(ann) == 0


# Keys


def test_the_same_key_reaches_a_stream_once(ann: Any) -> None:
    """The second with a key is not stored, and the answer names the first."""
    first = notify(ann, "T", key="build-1")
    assert notify(ann, "T again", key="build-1") == api.Published(id=first.id, streams=0, duplicate=True)
    assert log(f"user:{ann.pk}") == ["T"]


def test_a_key_is_a_streams_own(ann: Any, bob: Any) -> None:
    """The same key reaches every other stream too."""
    notify(ann, "T", key="k")
    assert not notify(bob, "T", key="k").duplicate
    assert log(f"user:{bob.pk}") == ["T"]


def test_a_key_is_looked_for_in_each_stream(ann: Any, bob: Any) -> None:
    """Sent again to more people, it reaches only those who don't have it."""
    notify(ann, "T", key="k")
    notify([ann, bob], "T", key="k")
    assert (log(f"user:{ann.pk}"), log(f"user:{bob.pk}")) == (["T"], ["T"])


def test_a_key_counts_once_within_a_transaction(ann: Any) -> None:
    """Twice in one transaction is once."""
    with transaction.atomic():
        notify(ann, "T", key="k")
        notify(ann, "T", key="k")
    assert log(f"user:{ann.pk}") == ["T"]
    assert not Outbox.objects.exists()


def test_a_key_counts_once_for_a_queryset(ann: Any) -> None:
    """A queryset, whose streams aren't known beforehand, gets a key once as well."""
    for _ in range(2):
        notify(get_user_model().objects.all(), "T", key="k")
    assert log(f"user:{ann.pk}") == ["T"]


def test_a_key_of_a_retracted_one_stays_taken(ann: Any) -> None:
    """What was taken back doesn't come again under the same key."""
    retract(notify(ann, "T", key="k"))
    notify(ann, "T", key="k")
    assert unread(ann) == 0


def test_a_key_of_a_rolled_back_one_is_free(ann: Any) -> None:
    """What was never sent doesn't take its key."""
    with pytest.raises(Trouble), transaction.atomic():
        notify(ann, "never", key="k")
        raise Trouble
    notify(ann, "T", key="k")
    assert log(f"user:{ann.pk}") == ["T"]


def in_threads(count: int, work: Callable[[int], None]) -> list[BaseException]:
    """Run it in so many threads that begin together; returns what they raised."""
    errors: list[BaseException] = []
    start = threading.Barrier(count)

    def thread(number: int) -> None:
        try:
            start.wait(10)
            work(number)
        except BaseException as error:  # the test has to hear of it
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=thread, args=(number,)) for number in range(count)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    return errors


def test_racing_threads_send_each_key_once(ann: Any) -> None:
    """Four threads send the same 50 keys: each arrives once, and the numbers have no hole."""

    def send(_: int) -> None:
        for key in range(50):
            notify(ann, f"{key}", key=f"{key}")

    errors = in_threads(4, send)
    assert errors == []
    assert sorted(log(f"user:{ann.pk}")) == sorted(map(str, range(50)))
    assert seqs(f"user:{ann.pk}") == list(range(1, 51))
    assert Notification.objects.count() == 50


def test_racing_threads_leave_no_hole_in_shared_streams(ann: Any, bob: Any) -> None:
    """Four threads send to overlapping audiences in different orders: no deadlock, no hole, nothing lost."""

    def send(number: int) -> None:
        for step in range(15):
            notify([ann, bob] if (number + step) % 2 else [bob, ann], "T")
            with transaction.atomic():
                notify(EVERYONE, "T")
                notify(bob, "T")

    errors = in_threads(4, send)
    assert errors == []
    assert seqs("all") == list(range(1, 61))
    assert seqs(f"user:{ann.pk}") == list(range(1, 61))
    assert seqs(f"user:{bob.pk}") == list(range(1, 121))


# Taking back


@pytest.mark.parametrize(
    "which", [lambda one: one, lambda one: one.id, lambda one: Notification.objects.get(pk=one.id)]
)
def test_a_retracted_one_leaves_list_and_number(ann: Any, which: Callable[[api.Published], Any]) -> None:
    """What is taken back, by what ``notify`` returned, its number or its row, is in neither list nor number."""
    published = notify(ann, "oops")
    notify(ann, "stays")
    retract(which(published))
    assert titles(ann) == ["stays"]
    assert unread(ann) == 1


def test_a_retraction_is_an_entry(ann: Any) -> None:
    """A retraction has a number of its own, so that who was away hears of it."""
    retract(notify(ann, "oops"))
    assert log(f"user:{ann.pk}") == ["gone", "-1"]


def test_retracted_before_the_commit_it_is_never_shown(ann: Any) -> None:
    """Sent and taken back in one transaction, it is never in list or number."""
    with transaction.atomic():
        retract(notify(ann, "oops"))
    assert (titles(ann), unread(ann)) == ([], 0)
    assert not Outbox.objects.exists()


def test_a_retraction_waits_until_all_it_takes_back_is_numbered(ann: Any) -> None:
    """A retraction that is numbered before its notification waits, and works later."""
    published = store.put({"title": "oops"}, [f"user:{ann.pk}"])
    retraction = store.put_retraction(published.rows[0])
    assert store.number([retraction]) == {}
    assert store.number(published.rows) == {f"user:{ann.pk}": 1}
    assert store.number([retraction]) == {f"user:{ann.pk}": 2}
    assert unread(ann) == 0


def test_a_retraction_rolled_back_changes_nothing(ann: Any) -> None:
    """Taking back is part of the caller's transaction."""
    published = notify(ann, "stays")
    with pytest.raises(Trouble), transaction.atomic():
        retract(published)
        raise Trouble
    assert titles(ann) == ["stays"]


def test_retracting_twice_is_retracting_once(ann: Any) -> None:
    """A second retraction makes no second entry."""
    published = notify(ann, "oops")
    retract(published)
    retract(published)
    assert log(f"user:{ann.pk}") == ["gone", "-1"]
    assert unread(ann) == 0


def test_retracting_twice_in_one_transaction_is_retracting_once(ann: Any) -> None:
    """Nor do two that are numbered together."""
    published = notify(ann, "oops")
    rows = [store.put_retraction(published.id) for _ in range(2)]
    store.number(rows)
    assert log(f"user:{ann.pk}") == ["gone", "-1"]


def test_a_retracted_broadcast_leaves_every_list(ann: Any, bob: Any) -> None:
    """What went to everybody is taken back from everybody by one entry."""
    retract(notify(EVERYONE, "oops"))
    assert log("all") == ["gone", "-1"]
    assert [unread(user) for user in (ann, bob)] == [0, 0]
    assert titles(ann) == []


def test_retracting_from_many_reaches_each(ann: Any, bob: Any) -> None:
    """What went to several people is taken back from each."""
    retract(notify([ann, bob], "oops"))
    assert [log(f"user:{user.pk}") for user in (ann, bob)] == [["gone", "-1"]] * 2


def test_retracting_what_was_read_keeps_the_number(ann: Any) -> None:
    """What was read already isn't subtracted twice."""
    published = notify(ann, "read")
    notify(ann, "unread")
    mark_read(ann, published)
    retract(published)
    assert unread(ann) == 1


@pytest.mark.parametrize("what", [api.Published(id=None, streams=0), 987_654_321])
def test_retracting_nothing_is_no_error(ann: Any, what: Any) -> None:
    """What went to nobody, or doesn't exist, can be taken back: nothing happens."""
    retract(what)
    assert not Outbox.objects.exists()


@pytest.mark.parametrize("what", [None, "1", True, 1.5])
def test_retracting_something_else_is_refused(what: Any) -> None:
    """Anything but a notification is refused."""
    with pytest.raises(NotifyError, match="^notification: "):
        retract(what)


# Expiry


def test_until_it_expires_it_is_there(ann: Any) -> None:
    """Before its time it is like any other."""
    notify(ann, "T", expires=later())
    assert (titles(ann), unread(ann)) == (["T"], 1)


def test_expired_it_leaves_list_and_number_by_itself(ann: Any) -> None:
    """After its time it is in neither, though nothing was written."""
    expire(notify(ann, "old", expires=later()))
    notify(ann, "new")
    assert (titles(ann), unread(ann)) == (["new"], 1)


def test_what_has_expired_before_it_is_sent_is_never_shown(ann: Any) -> None:
    """A notification that comes too late is never shown."""
    notify(ann, "old", expires=timezone.now() - timedelta(hours=1))
    assert (titles(ann), unread(ann), log(f"user:{ann.pk}")) == ([], 0, ["gone"])


def test_expiry_becomes_a_retraction(ann: Any) -> None:
    """The sweeper makes an entry of it, once, so that open pages drop it too."""
    expire(notify(ann, "old", expires=later()))
    rows = store.put_expired()
    assert store.put_expired() == []
    store.number(rows)
    assert log(f"user:{ann.pk}") == ["gone", "-1"]
    assert (titles(ann), unread(ann)) == ([], 0)
    assert store.put_expired() == []


def test_what_was_read_and_expires_is_not_subtracted_twice(ann: Any) -> None:
    """Neither before nor after the sweeper has seen it."""
    old = notify(ann, "old", expires=later())
    notify(ann, "new")
    mark_read(ann, old)
    expire(old)
    assert unread(ann) == 1
    store.number(store.put_expired())
    assert unread(ann) == 1


# Reading


def test_mark_read_takes_one(ann: Any) -> None:
    """One notification is read, the others aren't."""
    one, _ = notify(ann, "1"), notify(ann, "2")
    mark_read(ann, one)
    assert [(item.title, item.read) for item in items(ann)] == [("2", False), ("1", True)]
    assert unread(ann) == 1


def test_mark_read_takes_several(ann: Any) -> None:
    """A list may mix what ``notify`` returned, numbers and rows."""
    one, two, three = (notify(ann, str(number)) for number in range(3))
    mark_read(ann, [one, two.id, Notification.objects.get(pk=three.id)])
    assert unread(ann) == 0


def test_mark_read_without_more_takes_all(ann: Any, red: Group) -> None:
    """With no notification named, everything there is now is read, on every stream; what comes later isn't."""
    ann.groups.add(red)
    for audience in (ann, red, EVERYONE):
        notify(audience, "T")
    assert unread(ann) == 3
    mark_read(ann)
    assert unread(ann) == 0
    notify(ann, "later")
    assert unread(ann) == 1


def test_reading_twice_is_reading_once(ann: Any) -> None:
    """A second time changes nothing more."""
    one, _ = notify(ann, "1"), notify(ann, "2")
    mark_read(ann, one)
    mark_read(ann, one)
    assert unread(ann) == 1


def test_reading_a_broadcast_is_each_ones_own(ann: Any, bob: Any) -> None:
    """That one user has read it doesn't make it read for another."""
    mark_read(ann, notify(EVERYONE, "T"))
    assert (unread(ann), unread(bob)) == (0, 1)


def test_reading_what_belongs_to_another_changes_nothing(ann: Any, bob: Any) -> None:
    """A user can't mark what isn't the user's own, neither for the owner nor for oneself."""
    mark_read(ann, notify(bob, "T"))
    assert unread(bob) == 1
    assert not Receipt.objects.exists()


def test_reading_what_does_not_exist_changes_nothing(ann: Any) -> None:
    """A number that stands for nothing is passed over."""
    notify(ann, "T")
    mark_read(ann, [987_654_321, -1, api.Published(id=None, streams=0)])
    assert unread(ann) == 1


def test_reading_nothing_changes_nothing(ann: Any) -> None:
    """An empty list isn't "all"."""
    notify(ann, "T")
    mark_read(ann, [])
    assert unread(ann) == 1


@pytest.mark.parametrize("what", ["x", [None], True])
def test_reading_something_else_is_refused(ann: Any, what: Any) -> None:
    """Anything but notifications is refused."""
    with pytest.raises(NotifyError, match="^notification: "):
        mark_read(ann, what)


def test_every_change_of_marks_raises_rev(ann: Any) -> None:
    """Open pages tell a newer snapshot by a higher ``rev``."""
    one, revs = notify(ann, "1"), [api.standing(ann).snapshot.rev]
    for what in (one, None):
        mark_read(ann, what)
        revs.append(api.standing(ann).snapshot.rev)
    assert revs == sorted(set(revs))


def test_a_change_of_marks_is_told_to_the_readers_pages(ann: Any) -> None:
    """The bus hears the reader's new ``rev``."""
    with listening() as ear:
        mark_read(ann)
    assert ear.heard() == {f"reader:{ann.pk}": api.standing(ann).snapshot.rev}


@pytest.mark.parametrize("verb", [unread, mark_read, api.standing, lambda user: api.subscribe(user, "t")])
@pytest.mark.parametrize("nobody", [AnonymousUser, lambda: get_user_model()(), lambda: None])
def test_nobody_has_no_marks(verb: Callable[[Any], Any], nobody: Callable[[], Any]) -> None:
    """Without a saved user there is nothing to read."""
    with pytest.raises(NotifyError, match="^(user|audience): "):
        verb(nobody())


# Topics


def test_a_subscriber_hears_a_topic_from_now_on(ann: Any) -> None:
    """What a topic holds already is not counted; what comes next is."""
    notify("order:1", "before")
    api.subscribe(ann, "order:1")
    assert unread(ann) == 0
    notify("order:1", "after")
    assert unread(ann) == 1


def test_a_topic_without_any_entry_can_be_subscribed(ann: Any) -> None:
    """A topic need not exist yet."""
    api.subscribe(ann, "order:1", "order:2")
    notify("order:2", "T")
    assert titles(ann) == ["T"]


def test_who_does_not_subscribe_hears_nothing(ann: Any) -> None:
    """A topic reaches only those who stand on it."""
    notify("order:1", "T")
    assert "order:1" not in api.standing(ann).snapshot.at


def test_subscribing_twice_keeps_what_is_unread(ann: Any) -> None:
    """A second subscription doesn't mark anything read."""
    api.subscribe(ann, "order:1")
    notify("order:1", "T")
    api.subscribe(ann, "order:1")
    assert unread(ann) == 1


def test_unsubscribed_it_is_neither_shown_nor_counted(ann: Any) -> None:
    """Who leaves a topic neither sees nor counts it any more."""
    api.subscribe(ann, "order:1")
    notify("order:1", "T")
    api.unsubscribe(ann, "order:1")
    assert (titles(ann), unread(ann)) == ([], 0)


def test_subscribing_again_begins_at_the_head(ann: Any) -> None:
    """What was said in between belongs to those who were there."""
    api.subscribe(ann, "order:1")
    api.unsubscribe(ann, "order:1")
    notify("order:1", "in between")
    api.subscribe(ann, "order:1")
    assert unread(ann) == 0
    notify("order:1", "after")
    assert unread(ann) == 1


@pytest.mark.parametrize("verb", [api.subscribe, api.unsubscribe])
def test_a_change_of_topics_is_told_to_the_readers_pages(ann: Any, verb: Callable[..., None]) -> None:
    """Open pages ask again."""
    with listening() as ear:
        verb(ann, "order:1")
    assert ear.heard() == {f"reader:{ann.pk}": api.standing(ann).snapshot.rev}


@pytest.mark.parametrize("name", ["all", "user:1", "group:1", "a b", 5, None])
def test_only_topics_can_be_subscribed(ann: Any, name: Any) -> None:
    """Nobody subscribes to another user's stream, or a group's."""
    with pytest.raises(NotifyError, match="^audience: "):
        api.subscribe(ann, name)
    assert not Mark.objects.filter(subscribed=True).exists()


def rule(user: Any) -> list[str]:
    return [f"team:{user.username}"]


@pytest.mark.parametrize("streams", [rule, "tests.test_api.rule"])
def test_the_projects_rule_gives_topics(ann: Any, bob: Any, streams: Any) -> None:
    """``LIVEBELL["STREAMS"]`` says what a user may read besides."""
    with override_settings(LIVEBELL={"STREAMS": streams}):
        notify("team:ann", "T")
        assert (titles(ann), unread(ann)) == (["T"], 1)
        assert (titles(bob), unread(bob)) == ([], 0)


@override_settings(LIVEBELL={"STREAMS": rule})
def test_a_topic_of_the_rule_is_marked_like_any_other(ann: Any) -> None:
    """What is read there stays read."""
    mark_read(ann, notify("team:ann", "T"))
    assert unread(ann) == 0


@pytest.mark.parametrize("name", ["all", "user:1", "group:1", "a b"])
def test_a_rule_cannot_give_other_streams(ann: Any, name: str) -> None:
    """A rule that names a stream of Livebell's own is a mistake in the project, and says so."""
    with (
        override_settings(LIVEBELL={"STREAMS": lambda user: [name]}),
        pytest.raises(ImproperlyConfigured, match="STREAMS"),
    ):
        unread(ann)


# Newcomers, groups, and those who go


def test_a_newcomer_begins_at_the_head_of_all(ann: Any) -> None:
    """Older announcements are not counted for a new user; newer ones are."""
    notify(EVERYONE, "before")
    bob = person("bob")
    assert (unread(ann), unread(bob)) == (1, 0)
    notify(EVERYONE, "after")
    assert (unread(ann), unread(bob)) == (2, 1)


def test_a_newcomer_in_a_transaction_that_fails_leaves_nothing() -> None:
    """A user whose creation is rolled back leaves no marks."""
    notify(EVERYONE, "T")
    with pytest.raises(Trouble), transaction.atomic():
        person()
        raise Trouble
    assert not Mark.objects.exists()
    assert not Reader.objects.exists()


def test_saving_a_user_again_marks_nothing(ann: Any) -> None:
    """Only the first save makes a newcomer."""
    notify(EVERYONE, "T")
    ann.first_name = "Ann"
    ann.save()
    assert unread(ann) == 1


def test_a_deleted_user_leaves_no_marks(ann: Any, bob: Any) -> None:
    """A user can be deleted, and the marks go along; others' stay."""
    for audience in (ann, bob, EVERYONE):
        notify(audience, "T")
    for user in (ann, bob):
        mark_read(user, [item.id for item in items(user)])
    pk = ann.pk
    ann.delete()
    for model in (Reader, Mark, Receipt):
        assert not model.objects.filter(user_id=pk).exists()
    assert Receipt.objects.filter(user_id=bob.pk).count() == 2


def test_a_user_who_is_deleted_while_somebody_sends_harms_nobody(ann: Any, bob: Any) -> None:
    """What goes to a user who is no longer there is stored, and the others get theirs."""
    both = [ann, bob]
    get_user_model().objects.filter(pk=ann.pk).delete()
    notify(both, "T")
    assert titles(bob) == ["T"]


ENTER: dict[str, Callable[[Any, Group], Any]] = {
    "user.groups.add": lambda user, group: user.groups.add(group),
    "group.user_set.add": lambda user, group: group.user_set.add(user),
    "user.groups.set": lambda user, group: user.groups.set([group]),
    "group.user_set.set": lambda user, group: group.user_set.set([user]),
}
LEAVE: dict[str, Callable[[Any, Group], Any]] = {
    "user.groups.remove": lambda user, group: user.groups.remove(group),
    "group.user_set.remove": lambda user, group: group.user_set.remove(user),
    "user.groups.set": lambda user, group: user.groups.set([]),
    "group.user_set.set": lambda user, group: group.user_set.set([]),
    "user.groups.clear": lambda user, group: user.groups.clear(),
    "group.user_set.clear": lambda user, group: group.user_set.clear(),
}


@pytest.mark.parametrize("enter", ENTER.values(), ids=ENTER)
def test_who_enters_a_group_begins_at_its_head(ann: Any, bob: Any, red: Group, enter: Callable[..., Any]) -> None:
    """What a group was told before is not counted for a new member; what it is told next is."""
    notify(red, "before")
    enter(ann, red)
    assert unread(ann) == 0
    notify(red, "after")
    assert (unread(ann), unread(bob)) == (1, 0)


@pytest.mark.parametrize("enter", ENTER.values(), ids=ENTER)
def test_entering_a_group_is_told_to_the_readers_pages(ann: Any, red: Group, enter: Callable[..., Any]) -> None:
    """Open pages stand on the new stream at once."""
    with listening() as ear:
        enter(ann, red)
    assert ear.heard() == {f"reader:{ann.pk}": api.standing(ann).snapshot.rev}


@pytest.mark.parametrize("leave", LEAVE.values(), ids=LEAVE)
def test_who_leaves_a_group_no_longer_stands_on_it(ann: Any, bob: Any, red: Group, leave: Callable[..., Any]) -> None:
    """After leaving, a group's notifications are neither shown nor counted, and open pages hear of it."""
    ann.groups.add(red)
    notify(red, "T")
    with listening() as ear:
        leave(ann, red)
    assert f"group:{red.pk}" not in api.standing(ann).snapshot.at
    assert (titles(ann), unread(ann)) == ([], 0)
    assert ear.heard() == {f"reader:{ann.pk}": api.standing(ann).snapshot.rev}


@pytest.mark.parametrize("enter", ENTER.values(), ids=ENTER)
@pytest.mark.parametrize("leave", LEAVE.values(), ids=LEAVE)
def test_who_enters_again_begins_at_the_head_again(
    ann: Any, red: Group, enter: Callable[..., Any], leave: Callable[..., Any]
) -> None:
    """What was said while somebody was away is not counted after the return."""
    enter(ann, red)
    leave(ann, red)
    notify(red, "in between")
    enter(ann, red)
    assert unread(ann) == 0


def test_adding_a_member_again_marks_nothing(ann: Any, red: Group) -> None:
    """Adding who is in already leaves what is unread unread."""
    ann.groups.add(red)
    notify(red, "T")
    ann.groups.add(red)
    red.user_set.add(ann)
    assert unread(ann) == 1


def test_set_leaves_other_members_alone(ann: Any, bob: Any, red: Group) -> None:
    """``set`` that keeps a member keeps what that member has unread."""
    red.user_set.add(ann)
    notify(red, "T")
    red.user_set.set([ann, bob])
    assert (unread(ann), unread(bob)) == (1, 0)


def test_clearing_a_group_tells_every_member(ann: Any, bob: Any, red: Group) -> None:
    """All who were in it hear of it, not only one."""
    red.user_set.set([ann, bob])
    with listening() as ear:
        red.user_set.clear()
    assert set(ear.heard()) == {f"reader:{user.pk}" for user in (ann, bob)}


def test_a_change_of_groups_rolled_back_is_told_to_nobody(ann: Any, red: Group) -> None:
    """The bus hears of committed changes only."""
    with listening() as ear:
        with pytest.raises(Trouble), transaction.atomic():
            ann.groups.add(red)
            raise Trouble
        assert ear.hints == []


def test_a_deleted_group_is_no_longer_stood_on(ann: Any, red: Group) -> None:
    """A group that is deleted leaves list and number."""
    ann.groups.add(red)
    notify(red, "T")
    red.delete()
    assert (titles(ann), unread(ann)) == ([], 0)


def test_a_deleted_group_is_told_to_its_members_pages(ann: Any, red: Group) -> None:
    """Those who were in a group that is deleted hear of it at once, as if they had left it."""
    ann.groups.add(red)
    with listening() as ear:
        red.delete()
    assert ear.heard() == {f"reader:{ann.pk}": api.standing(ann).snapshot.rev}


# The bus


def test_a_publish_is_told_to_the_bus(ann: Any) -> None:
    """The bus hears the new head of each stream, after the commit."""
    with listening() as ear, transaction.atomic():
        notify([ann], "T")
        assert ear.hints == []
    assert ear.hints == [{f"user:{ann.pk}": 1}]


def test_a_push_reaches_the_bus_and_stores_nothing() -> None:
    """An event without storage goes to the bus as it is, signed."""
    with listening() as ear:
        push("order:1", "changed", {"state": "paid"}, key="state")
    (heard,) = ear.pushes
    assert api.is_signed(heard)
    assert heard.pop("signature")
    assert heard == {"topic": "order:1", "event": "changed", "data": {"state": "paid"}, "key": "state"}
    assert not Outbox.objects.exists()


def test_a_push_waits_for_the_commit() -> None:
    """Inside a transaction nothing is pushed before the commit, and nothing after a rollback."""
    with listening() as ear:
        with transaction.atomic():
            push("order:1", "changed")
            assert ear.pushes == []
        with pytest.raises(Trouble), transaction.atomic():
            push("order:1", "never")
            raise Trouble
    assert [one["event"] for one in ear.pushes] == ["changed"]


async def test_apush_does_the_same_from_async_code(loop_side: Any) -> None:
    """``apush`` pushes."""
    with listening() as ear:
        await livebell.apush("order:1", "changed")
    assert len(ear.pushes) == 1


@pytest.mark.parametrize(
    ("topic", "event", "data"),
    [
        ("all", "e", None),
        ("user:1", "e", None),
        ("a b", "e", None),
        (None, "e", None),
        ("t", "", None),
        ("t", "a b", None),
        ("t", "<b>", None),
        ("t", None, None),
        ("t", "e", object()),
        ("t", "e", "x" * 17_000),
        ("t", "e", "\0"),
    ],
)
def test_a_push_is_checked(topic: Any, event: Any, data: Any) -> None:
    """A push goes to a topic, has a name, and carries JSON up to 16 KiB; else it is refused."""
    with listening() as ear, pytest.raises(NotifyError):
        push(topic, event, data)
    assert ear.pushes == []


class Broken:
    """Stands in for a bus's ``send``."""

    def __init__(self) -> None:
        self.calls = 0
        self.works = False

    def __call__(self, message: dict[str, Any]) -> None:
        self.calls += 1
        if not self.works:
            raise ConnectionError("no broker")


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[Broken]:
    with override_settings(LIVEBELL={}):
        send = Broken()
        monkeypatch.setattr(get_bus(), "send", send)
        yield send
        get_bus.cache_clear()


def test_a_broken_bus_fails_nobody(ann: Any, broken: Broken, caplog: pytest.LogCaptureFixture) -> None:
    """A bus that raises neither fails the publish nor hides it: it is stored, and one warning is logged."""
    with caplog.at_level(logging.WARNING, "livebell.bus"):
        for _ in range(20):
            notify(ann, "T")
    assert unread(ann) == 20
    assert [record.levelname for record in caplog.records if record.name == "livebell.bus"] == ["WARNING"]


def test_a_broken_bus_is_left_alone(ann: Any, broken: Broken) -> None:
    """After one failure the bus isn't tried again for two seconds."""
    for _ in range(20):
        notify(ann, "T")
    assert broken.calls == 1


def test_a_bus_that_works_again_is_used_again(ann: Any, broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the pause one publish tries, and if it succeeds all of them are sent again."""
    notify(ann, "T")
    broken.works = True
    later = monotonic() + 10
    monkeypatch.setattr("livebell.bus.base.monotonic", lambda: later)
    for _ in range(5):
        notify(ann, "T")
    assert broken.calls == 1 + 5


def test_a_bus_that_is_still_broken_is_tried_rarely(ann: Any, broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the pause only one publish tries, and its failure begins another pause."""
    notify(ann, "T")
    later = monotonic() + 10
    monkeypatch.setattr("livebell.bus.base.monotonic", lambda: later)
    for _ in range(5):
        notify(ann, "T")
    assert broken.calls == 2


def test_listeners_of_this_process_hear_without_the_broker(ann: Any, broken: Broken) -> None:
    """Pages of the same process stay live while the broker is down."""
    with listening() as ear:
        notify(ann, "T")
    assert ear.heard() == {f"user:{ann.pk}": 1}


def test_a_redis_that_swallows_everything_delays_nobody(ann: Any) -> None:
    """With a Redis that accepts and never answers, a publish takes at most 250 ms, and the next ones nothing."""
    with socket.create_server(("127.0.0.1", 0)) as hole:
        url = f"redis://127.0.0.1:{hole.getsockname()[1]}/0"
        with override_settings(LIVEBELL={"BUS": "redis", "REDIS_URL": url}):
            get_bus()
            took = []
            for _ in range(4):
                began = monotonic()
                notify(ann, "T")
                took.append(monotonic() - began)
    assert took[0] < 0.25 + 0.15, took  # the second part is the database's
    assert max(took[1:]) < 0.15, took
    assert unread(ann) == 4


def test_a_redis_that_refuses_delays_nobody(ann: Any) -> None:
    """With no Redis at all, a publish takes no longer than without a bus."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with override_settings(LIVEBELL={"BUS": "redis", "REDIS_URL": f"redis://127.0.0.1:{port}/0"}):
        get_bus()
        began = monotonic()
        notify(ann, "T")
        assert monotonic() - began < 0.15
    assert unread(ann) == 1


def test_hooks_of_another_connection_do_not_matter(ann: Any) -> None:
    """Publishing leaves the connection as it was."""
    notify(ann, "T")
    assert connection.get_autocommit()
    assert not connection.in_atomic_block
