"""Who a notification is for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, Group
from django.utils.functional import SimpleLazyObject

from livebell import EVERYONE, notify
from livebell.api import publish_message
from livebell.audience import MAX_NAME, addressed, streams_of
from livebell.content import NotifyError
from livebell.models import Outbox
from tests.helpers import nothing_stored, people, person

pytestmark = pytest.mark.django_db


def streams(audience: Any) -> list[str]:
    return list(streams_of(audience))


# Allowed


def test_a_user_is_the_users_own_stream() -> None:
    """A user means the user's own stream."""
    ann = person()
    assert streams(ann) == [f"user:{ann.pk}"]


def test_the_lazy_user_of_a_request_is_that_user() -> None:
    """``request.user``, which is a lazy object, is the user behind it."""
    ann = person()
    assert streams(SimpleLazyObject(lambda: ann)) == [f"user:{ann.pk}"]


@pytest.mark.parametrize("kind", [list, tuple, set, iter])
def test_several_users_are_a_stream_each(kind: Callable[[Any], Any]) -> None:
    """Any iterable of users means each one's own stream."""
    several = people(3)
    assert sorted(streams(kind(several))) == sorted(f"user:{user.pk}" for user in several)


def test_lazy_users_in_a_list_are_users() -> None:
    """A list may hold lazy users."""
    ann = person()
    assert streams([SimpleLazyObject(lambda: ann)]) == [f"user:{ann.pk}"]


def test_a_user_who_is_named_twice_gets_it_once() -> None:
    """The same user twice in a list is one stream."""
    ann, bob = person(), person("bob")
    assert streams([ann, bob, ann]) == [f"user:{ann.pk}", f"user:{bob.pk}"]


def test_a_queryset_is_its_users() -> None:
    """A queryset of users means each one's own stream."""
    people(3)
    chosen = get_user_model().objects.exclude(username="user1")
    assert streams(chosen) == [f"user:{user.pk}" for user in chosen]


def test_a_sliced_queryset_keeps_its_slice() -> None:
    """The first two by name are these two, not the first two by number."""
    several = people(4)
    assert streams(get_user_model().objects.order_by("-username")[:2]) == [f"user:{user.pk}" for user in several[2:]]


def test_a_joined_queryset_with_duplicates_is_each_user_once() -> None:
    """A user whom a join lists twice gets it once."""
    ann = person()
    ann.groups.set(Group.objects.create(name=name) for name in ("red", "blue"))
    twice = get_user_model().objects.filter(groups__name__in=["red", "blue"])
    assert len(twice) == 2
    assert streams(twice) == [f"user:{ann.pk}"]


def test_a_combined_queryset_is_its_users() -> None:
    """A union of querysets is a queryset."""
    people(3)
    users = get_user_model().objects
    assert len(streams(users.filter(username="user0").union(users.filter(username="user2")))) == 2


def test_a_queryset_of_values_is_its_users() -> None:
    """What columns a queryset selects doesn't matter."""
    ann = person()
    assert streams(get_user_model().objects.values("username")) == [f"user:{ann.pk}"]


@pytest.mark.parametrize(
    "nobody", [list, lambda: get_user_model().objects.none(), lambda: get_user_model().objects.all()]
)
def test_an_empty_audience_stores_nothing(nobody: Callable[[], Any]) -> None:
    """Nobody at all is no error: nothing is stored, and there is no number."""
    published = notify(nobody(), "T")
    assert (published.id, published.streams) == (None, 0)
    assert nothing_stored()


def test_an_empty_audience_with_a_key_stores_nothing() -> None:
    """The same with a key."""
    assert notify([], "T", key="k").id is None
    assert nothing_stored()


def test_a_group_is_one_stream() -> None:
    """A group is one stream, however many belong to it."""
    group = Group.objects.create(name="red")
    assert streams(group) == [f"group:{group.pk}"]


def test_everyone_is_one_stream() -> None:
    """Everybody is one stream."""
    assert streams(EVERYONE) == ["all"]


def test_everyone_says_its_name() -> None:
    """In a traceback ``EVERYONE`` reads as such."""
    assert repr(EVERYONE) == "EVERYONE"


@pytest.mark.parametrize(
    "name", ["order:15", "a", "0", "A-b_c.d:e@f/g+h", "users", "user", "group", "allx", "ALL", "x" * MAX_NAME]
)
def test_a_name_is_a_topic(name: str) -> None:
    """Any other text is the name of a topic."""
    assert streams(name) == [name]


def test_the_audience_is_written_down_with_the_notification() -> None:
    """The outbox holds the streams."""
    several = people(2)
    assert notify(several, "T").streams == 2
    assert Outbox.objects.get().streams == [f"user:{user.pk}" for user in several]


# Refused


def refused(audience: Any) -> str:
    with pytest.raises(NotifyError) as caught:
        notify(audience, "T")
    assert caught.value.field == "audience"
    assert nothing_stored()
    return str(caught.value)


@pytest.mark.parametrize("name", ["all", "user:1", "user:", "group:3", "group:", "livebell:x", "user:1:x", "reader:5"])
def test_a_name_of_livebells_own_is_refused(name: str) -> None:
    """Who means a user passes the user: a text can't name a stream of Livebell's own."""
    assert "name of Livebell's own" in refused(name)


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "-a", ":a", "ä", "a\n", "a\0", "a*", "a?", 'a"', "a\ud800", "x" * (MAX_NAME + 1)],
    ids=ascii,
)
def test_a_name_of_other_characters_is_refused(name: str) -> None:
    """A topic's name has 1 to 200 characters of a small set, and begins with a letter or digit."""
    assert "no topic name" in refused(name)


def test_an_unsaved_user_is_refused() -> None:
    """A user who isn't saved has no stream yet."""
    assert "save it first" in refused(get_user_model()(username="ann"))


def test_an_unsaved_group_is_refused() -> None:
    """A group that isn't saved has no stream yet."""
    assert "save it first" in refused(Group(name="red"))


def test_a_deleted_user_is_refused() -> None:
    """A user who has been deleted has no stream any more."""
    ann = person()
    ann.delete()
    refused(ann)


@pytest.mark.parametrize("value", [None, 5, 1.5, True, object()])
def test_what_is_no_audience_is_refused(value: Any) -> None:
    """None, numbers and other objects are no audience."""
    refused(value)


def test_the_anonymous_user_is_refused() -> None:
    """Nobody in particular can't be notified."""
    refused(AnonymousUser())


def test_the_anonymous_user_of_a_request_is_refused() -> None:
    """The lazy anonymous user of a request is refused just the same."""
    refused(SimpleLazyObject(AnonymousUser))


@pytest.mark.parametrize("value", [b"order", {"user": 1}, [1, 2], ["order:1", "order:2"], [None], [EVERYONE]])
def test_a_list_of_anything_but_users_is_refused(value: Any) -> None:
    """Several means several users."""
    assert "several means several users" in refused(value)


def test_a_list_of_users_and_others_is_refused_whole() -> None:
    """One wrong member refuses the whole list."""
    ann = person()
    refused([ann, Group.objects.create(name="red")])
    refused([ann, AnonymousUser()])
    refused([ann, get_user_model()(username="new")])


def test_a_queryset_of_another_model_is_refused() -> None:
    """A queryset of groups would mean one stream each, not their users: it is refused."""
    assert "a queryset of users is wanted, not of Group" in refused(Group.objects.all())


# What a script means by "to"


def test_to_names_a_user_by_primary_key() -> None:
    """``user:1`` is the user with that primary key."""
    ann = person()
    assert addressed(f"user:{ann.pk}") == f"user:{ann.pk}"


def test_to_names_a_group_by_primary_key() -> None:
    """``group:3`` is the group with that primary key."""
    group = Group.objects.create(name="red")
    assert addressed(f"group:{group.pk}") == f"group:{group.pk}"


def test_to_all_is_everybody() -> None:
    """``all`` is everybody."""
    assert addressed("all") == "all"


def test_to_another_name_is_a_topic() -> None:
    """Anything else is a topic."""
    assert addressed("order:15") == "order:15"


def test_to_is_spelt_as_the_primary_key_is() -> None:
    """Another spelling of the number leads to the same stream, not to a second one."""
    ann = person()
    assert addressed(f"user:00{ann.pk}") == f"user:{ann.pk}"


@pytest.mark.parametrize(
    "to", ["user:999999", "user:", "user", "user:x", "user:1.5", "user:\0", f"user:{10**30}", "group:999999", "group:x"]
)
def test_to_somebody_who_is_not_there_is_refused(to: str) -> None:
    """Nothing is stored for a user or a group that doesn't exist."""
    with pytest.raises(NotifyError) as caught:
        publish_message({"to": to, "title": "T"})
    assert caught.value.field == "to"
    assert nothing_stored()


@pytest.mark.parametrize("to", [None, 1, ["user:1"], {"user": 1}, b"all"])
def test_to_must_be_text(to: Any) -> None:
    """``to`` is text."""
    with pytest.raises(NotifyError, match="^to: must be text"):
        addressed(to)


@pytest.mark.parametrize("to", ["", "livebell:x", "a b"])
def test_to_a_wrong_topic_is_refused(to: str) -> None:
    """A topic's name follows the same rules from outside."""
    with pytest.raises(NotifyError):
        addressed(to)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"title": "T"}, "to"),
        ({"to": "all"}, "title"),
        ({"to": "all", "title": 5}, "title"),
        ({"to": "all", "title": "T", "colour": "red"}, "message"),
        ({"to": "all", "title": "T", "expires": "soon"}, "expires"),
        ({"to": "all", "title": "T", "expires": 5}, "expires"),
        ({"to": "all", "title": "T", "url": "javascript:1"}, "url"),
    ],
)
def test_a_malformed_message_is_refused_with_its_reason(message: dict[str, Any], field: str) -> None:
    """What a script sends is checked like what ``notify`` gets, and the error names the field."""
    with pytest.raises(NotifyError) as caught:
        publish_message(message)
    assert caught.value.field == field
    assert nothing_stored()


def test_a_message_may_carry_every_field() -> None:
    """A script may send all that ``notify`` takes; the expiry as ISO 8601."""
    fields = {"title": "T", "body": "B", "url": "/u/", "level": "error", "kind": "k", "actor": "A", "key": "1"}
    publish_message({"to": "all", **fields, "data": {"a": 1}, "expires": "2030-01-02T03:04:05+00:00"})
    row = Outbox.objects.get()
    assert {name: getattr(row, name) for name in fields} == fields
    assert (row.data, row.expires.isoformat()) == ({"a": 1}, "2030-01-02T03:04:05+00:00")
