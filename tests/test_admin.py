"""The admin shows what was sent and takes it back; it changes nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client, override_settings
from django.urls import reverse

from livebell import EVERYONE, api, notify
from livebell.models import Notification
from tests.helpers import commits, person

pytestmark = commits
LIST = reverse("admin:livebell_notification_changelist")


def browser(*permissions: str, **more: Any) -> Client:
    """A browser of a member of the staff with these permissions."""
    user = person("staff", is_staff=True, **more)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def retract(client: Client, *published: api.Published) -> Any:
    return client.post(LIST, {"action": "retract", "_selected_action": [one.id for one in published]}, follow=True)


def test_the_list_shows_what_was_sent() -> None:
    """Who may view notifications sees their titles, and can search them."""
    client = browser("view_notification")
    notify(EVERYONE, "Build passed")
    notify(EVERYONE, "Build failed", level="error")
    assert "Build passed" in client.get(LIST).content.decode()
    found = client.get(LIST, {"q": "failed", "level__exact": "error"}).content.decode()
    assert "Build failed" in found
    assert "Build passed" not in found


def test_one_can_be_looked_at() -> None:
    """A notification can be looked at, without a button to save it."""
    client = browser("view_notification", "change_notification")
    published = notify(EVERYONE, "T", body="the whole text", data={"a": 1})
    html = client.get(reverse("admin:livebell_notification_change", args=[published.id])).content.decode()
    assert "the whole text" in html
    assert 'name="_save"' not in html


def test_selected_ones_are_taken_back() -> None:
    """The action takes back what was selected, from everybody who got it."""
    client = browser("view_notification", "change_notification")
    ann = person()
    one, _ = notify([ann], "1"), notify([ann], "2")
    assert retract(client, one).status_code == 200
    assert api.unread(ann) == 1
    assert Notification.objects.get(pk=one.id).retracted


def test_who_may_only_look_takes_nothing_back() -> None:
    """Without the permission to change, the action is neither offered nor done."""
    client = browser("view_notification")
    ann = person()
    published = notify(ann, "T")
    assert "Take back" not in client.get(LIST).content.decode()
    retract(client, published)
    assert api.unread(ann) == 1


def test_who_may_nothing_sees_nothing() -> None:
    """Without a permission the list is refused."""
    assert browser().get(LIST).status_code == 403


@pytest.mark.parametrize("view", ["add", "delete", "change"])
def test_nothing_is_added_changed_or_deleted_by_hand(view: str) -> None:
    """Not even a superuser adds, changes or deletes here."""
    client = browser(is_superuser=True)
    published = notify(EVERYONE, "T")
    url = reverse(f"admin:livebell_notification_{view}", args=[] if view == "add" else [published.id])
    assert client.post(url, {"title": "changed", "post": "yes"}).status_code == 403
    assert Notification.objects.get().title == "T"


def test_the_action_to_delete_is_not_offered() -> None:
    """Django's own action to delete is not there."""
    client = browser(is_superuser=True)
    notify(EVERYONE, "T")
    html = client.get(LIST).content.decode()
    assert "delete_selected" not in html
    assert 'value="retract"' in html


@pytest.mark.parametrize("wanted", [False, True])
def test_the_header_has_a_bell_if_the_settings_say_so(wanted: bool) -> None:
    """``ADMIN_BELL`` puts it there; without it, the admin is as ever."""
    with override_settings(LIVEBELL={"ADMIN_BELL": wanted}):
        html = browser().get(reverse("admin:index")).content.decode()
    assert ("<live-bell" in html) is wanted
    assert ("livebell/admin.css" in html) is wanted
    assert "Site administration" in html


@override_settings(LIVEBELL={"ADMIN_BELL": True})
def test_the_login_page_has_none() -> None:
    """Who may not be there has no bell there."""
    assert "<live-bell" not in Client().get(reverse("admin:login")).content.decode()
