"""``{% livebell %}``: the number is in the HTML before any script runs."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.template import Context, Template
from django.test import Client, RequestFactory, override_settings
from django.urls import reverse
from django.utils import translation

from livebell import api, store
from tests.helpers import person

pytestmark = pytest.mark.django_db


def send(user: Any, count: int = 1) -> None:
    store.number([store.put({"title": "T"}, [f"user:{user.pk}"]).rows[0] for _ in range(count)])


def bell(user: Any, options: str = "", **request: Any) -> str:
    """The HTML of the tag on a page of this user."""
    asked = RequestFactory().get("/")
    asked.user = user
    for name, value in request.items():
        setattr(asked, name, value)
    return Template("{% load livebell %}{% livebell " + options + " %}").render(Context({"request": asked}))


def badge(html: str) -> tuple[str, bool]:
    """What the badge says, and whether it is hidden."""
    found = re.search(r'<span class="lb-badge"[^>]*>([^<]*)</span>', html)
    assert found
    return found[1], " hidden" in found[0]


def attribute(html: str, name: str) -> str:
    found = re.search(rf'data-{name}="([^"]*)"', html)
    assert found
    return unescape(found[1])


@pytest.mark.parametrize("count", [1, 7, 99])
def test_the_number_is_in_the_html(count: int) -> None:
    """The badge shows how many are unread."""
    ann = person()
    send(ann, count)
    assert badge(bell(ann)) == (str(count), False)


def test_above_99_it_says_so() -> None:
    """Above 99 the badge says "99+", and the label the true number."""
    ann = person()
    send(ann, 100)
    html = bell(ann)
    assert badge(html)[0] == "99+"
    assert 'aria-label="Notifications, 100 unread"' in html


def test_with_nothing_unread_the_badge_is_hidden() -> None:
    """Zero isn't shown."""
    html = bell(person())
    assert badge(html) == ("0", True)
    assert 'aria-label="Notifications, none unread"' in html


def test_the_number_may_be_what_is_unseen() -> None:
    """With ``count="unseen"`` the badge shows what came since the list was last opened."""
    ann = person()
    send(ann, 3)
    api.mark(ann, store.Marking(seen={f"user:{ann.pk}": 2}))
    html = bell(ann, 'count="unseen"')
    assert badge(html)[0] == "1"
    assert attribute(html, "count") == "unseen"
    assert badge(bell(ann))[0] == "3"


@pytest.mark.parametrize("user", [AnonymousUser(), None])
def test_for_nobody_there_is_nothing(user: Any) -> None:
    """Without a user there is no bell, no script and no query."""
    assert bell(user) == ""


def test_without_a_request_there_is_nothing() -> None:
    """In a template that has no request (a mail) the tag is empty, not an error."""
    assert Template("{% load livebell %}{% livebell %}").render(Context()) == ""


def test_without_the_session_middleware_there_is_nothing() -> None:
    """A request without a user is nobody's."""
    html = Template("{% load livebell %}{% livebell %}").render(Context({"request": RequestFactory().get("/")}))
    assert html == ""


def test_for_nobody_nothing_is_asked(django_assert_num_queries: Any) -> None:
    """An anonymous page costs no query."""
    with django_assert_num_queries(0):
        bell(AnonymousUser())


def test_the_bell_costs_one_query(django_assert_num_queries: Any) -> None:
    """Count, position and epoch come from the same read."""
    ann = person()
    store.epoch()
    with django_assert_num_queries(1):
        bell(ann)


def test_the_script_begins_with_this_snapshot() -> None:
    """The page carries the snapshot from which the script goes on."""
    ann = person()
    send(ann, 2)
    initial = json.loads(attribute(bell(ann), "initial"))
    assert initial["epoch"] == store.epoch()
    assert (initial["snapshot"]["unread"], initial["snapshot"]["at"]) == (2, {f"user:{ann.pk}": 2, "all": 0})


def test_without_javascript_the_bell_is_a_link() -> None:
    """The bell links to the list page."""
    assert f'<a class="lb-button" part="button" href="{reverse("livebell:list")}"' in bell(person())


@pytest.mark.parametrize("name", ["list", "items", "mark", "frames"])
def test_the_script_is_told_the_addresses(name: str) -> None:
    """The addresses are those of the project's own routing."""
    assert attribute(bell(person()), f"{name}-url") == reverse(f"livebell:{name}")


def test_the_socket_is_where_the_settings_say() -> None:
    """``SOCKET_PATH`` is the path that the script opens."""
    ann = person()
    assert attribute(bell(ann), "socket-url") == "/livebell/socket/"
    with override_settings(LIVEBELL={"SOCKET_PATH": "ws/bell/"}):
        assert attribute(bell(ann), "socket-url") == "/ws/bell/"


def test_options_become_attributes() -> None:
    """Options are handed to the script; what is false is left out."""
    html = bell(person(), "toasts=True app_badge=True sound=False")
    assert (attribute(html, "toasts"), attribute(html, "app-badge")) == ("True", "True")
    assert "data-sound" not in html


def test_the_user_key_says_nothing_of_the_user() -> None:
    """Tabs of one user know each other by a key that differs between users and isn't the primary key."""
    ann, bob = person(), person("bob")
    keys = [attribute(bell(user), "user-key") for user in (ann, ann, bob)]
    assert keys[0] == keys[1] != keys[2]
    assert re.fullmatch("[0-9a-f]{16}", keys[0])


def test_nothing_runs_inline() -> None:
    """Under a strict policy the bell works: one module from a file, no inline script, no handler, no style."""
    html = bell(person())
    assert re.findall(r"<script[^>]*>(.*?)</script>", html, re.DOTALL) == [""]
    assert not re.search(r"\son\w+=|\sstyle=|<style", html)


def test_a_nonce_is_handed_on() -> None:
    """A policy with a nonce gets it on script and style."""
    html = bell(person(), csp_nonce="abc")
    assert html.count('nonce="abc"') == 2
    assert "nonce" not in bell(person("bob"))


def test_the_words_follow_the_language() -> None:
    """The bell says in which language it is."""
    with translation.override("de"):
        assert '<live-bell lang="de"' in bell(person())


def test_an_option_that_looks_like_markup_is_escaped() -> None:
    """What goes into an attribute stays in it."""
    wild = '"><script>alert(1)</script>'
    request = RequestFactory().get("/")
    request.user = person()
    html = Template("{% load livebell %}{% livebell title=wild %}").render(Context({"request": request, "wild": wild}))
    assert "<script>alert" not in html
    assert attribute(html, "title") == wild


def test_the_bell_is_on_the_page(client: Client) -> None:
    """On a real page the number and the CSRF token are there, and the token's cookie is set."""
    ann = person()
    send(ann, 3)
    client.force_login(ann)
    answer = client.get("/")
    assert badge(answer.content.decode())[0] == "3"
    assert attribute(answer.content.decode(), "csrf")
    assert "csrftoken" in answer.cookies
