"""What must hold for every type of primary key. Run by ``test_keys.py``, each time with another user model."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from livebell import EVERYONE, api, mark_read, notify, retract, store, unread
from livebell.audience import addressed
from livebell.content import NotifyError
from livebell.models import Mark, Outbox, Reader, Receipt
from tests.helpers import commits, items, listening, log, nothing_stored, person, titles

pytestmark = commits

GROUPS = hasattr(get_user_model(), "groups")
UUID = get_user_model()._meta.pk.get_internal_type() == "UUIDField"


@pytest.fixture(params=["ann"] if UUID else ["ann", """user:1 o'b "ü🛎" 100%s""", "42"])
def ann(request: Any) -> Any:
    return person(request.param)


@pytest.fixture
def bob() -> Any:
    return person("bob")


def test_a_user_is_notified(ann: Any, bob: Any) -> None:
    """One user gets it, and another doesn't."""
    notify(ann, "T")
    assert log(f"user:{ann.pk}") == ["T"]
    assert (titles(ann), unread(ann)) == (["T"], 1)
    assert (titles(bob), unread(bob)) == ([], 0)


def test_several_users_are_notified(ann: Any, bob: Any) -> None:
    """A list, a queryset and everybody reach both."""
    for audience in ([ann, bob], get_user_model().objects.all(), EVERYONE):
        notify(audience, "T")
    assert (unread(ann), unread(bob)) == (3, 3)


def test_marks_are_kept(ann: Any) -> None:
    """One is read, one is archived, then all are read."""
    one, two, _ = (notify(ann, str(number)) for number in range(3))
    mark_read(ann, one)
    assert unread(ann) == 2
    (ref,) = [(item.stream, item.seq) for item in items(ann) if item.id == two.id]
    api.mark(ann, store.Marking(archive={ref[0]: [ref[1]]}))
    assert (unread(ann), titles(ann)) == (1, ["2", "0"])
    api.mark(ann, store.Marking(unarchive={ref[0]: [ref[1]]}))
    assert titles(ann) == ["2", "1", "0"]
    mark_read(ann)
    assert unread(ann) == 0
    assert not Receipt.objects.exists()


def test_one_is_taken_back(ann: Any) -> None:
    """A retraction reaches the user."""
    retract(notify(ann, "oops"))
    assert unread(ann) == 0


def test_a_key_counts_once(ann: Any) -> None:
    """The same key reaches a user once."""
    notify(ann, "T", key="k")
    assert notify(ann, "T", key="k").duplicate


def test_topics_are_subscribed(ann: Any, bob: Any) -> None:
    """A subscription is one user's."""
    api.subscribe(ann, "t")
    notify("t", "T")
    assert (unread(ann), unread(bob)) == (1, 0)
    api.unsubscribe(ann, "t")
    assert unread(ann) == 0


@pytest.mark.skipif(not GROUPS, reason="these users have no groups")
def test_groups_are_followed(ann: Any, bob: Any) -> None:
    """Entering and leaving a group counts from both sides."""
    red = Group.objects.create(name="red")
    notify(red, "before")
    ann.groups.add(red)
    red.user_set.add(bob)
    notify(red, "after")
    assert (unread(ann), unread(bob)) == (1, 1)
    red.user_set.clear()
    assert (unread(ann), unread(bob)) == (0, 0)


def test_a_newcomer_begins_at_the_head_of_all(ann: Any) -> None:
    """Older announcements are not counted for a new user."""
    notify(EVERYONE, "T")
    assert (unread(ann), unread(person("new"))) == (1, 0)


def test_the_position_check_names_readers_by_key(ann: Any, bob: Any) -> None:
    """The position check and the bus use the same key for a reader."""
    before = {api.key_of(user): api.standing(user).snapshot.rev for user in (ann, bob)}
    with listening() as ear:
        mark_read(ann)
    rev = api.standing(ann).snapshot.rev
    assert store.moved({}, before).readers == {api.key_of(ann): rev}
    assert ear.heard() == {f"reader:{api.key_of(ann)}": rev}


def test_many_readers_are_asked_at_once(ann: Any, bob: Any) -> None:
    """Standings of several users are found by their keys."""
    notify(bob, "T")
    found = store.standings({api.key_of(user): [] for user in (ann, bob)})
    assert [found[api.key_of(user)].snapshot.unread for user in (ann, bob)] == [0, 1]


def test_a_script_names_a_user_by_key(ann: Any) -> None:
    """``to`` takes the text of the primary key."""
    assert addressed(f"user:{ann.pk}") == f"user:{ann.pk}"


@pytest.mark.skipif(not UUID, reason="a text has one spelling")
def test_another_spelling_of_a_uuid_is_the_same(ann: Any) -> None:
    """A UUID without dashes, or in capitals, leads to the same stream."""
    assert addressed(f"user:{ann.pk.hex}") == addressed(f"user:{str(ann.pk).upper()}") == f"user:{ann.pk}"


@pytest.mark.parametrize("pk", ["", "nobody", "1", str(uuid4()), "\0", "\ud800", "x" * 5000], ids=ascii)
def test_a_script_that_names_nobody_is_refused(pk: str) -> None:
    """A key that isn't one, or isn't there, is refused with the field."""
    with pytest.raises(NotifyError) as caught:
        addressed(f"user:{pk}")
    assert caught.value.field == "to"


def test_an_unsaved_user_is_refused() -> None:
    """A user who has a primary key but no row yet is refused."""
    unsaved = get_user_model()() if UUID else get_user_model()(login="new")
    assert unsaved.pk is not None
    with pytest.raises(NotifyError, match="save it first"):
        notify(unsaved, "T")
    assert nothing_stored()


def test_a_deleted_user_leaves_no_marks(ann: Any) -> None:
    """Marks go along with the user."""
    mark_read(ann, notify(ann, "T"))
    ann.delete()
    assert not any(model.objects.exists() for model in (Reader, Mark, Receipt))
    assert not Outbox.objects.exists()


def test_the_views_answer(ann: Any) -> None:
    """List, frames and marks work over HTTP."""
    notify(ann, "T")
    client, own = Client(), f"user:{ann.pk}"
    client.force_login(ann)
    assert [item["stream"] for item in client.get(reverse("livebell:items")).json()["items"]] == [own]
    query = {"epoch": store.epoch(), "cursor": json.dumps({own: 0, "all": 0})}
    assert [frame["type"] for frame in client.get(reverse("livebell:frames"), query).json()["frames"]][-1] == "entries"
    assert client.post(reverse("livebell:list"), {"action": "read", "ref": f"{own} 1"}).status_code == 302
    assert unread(ann) == 0
