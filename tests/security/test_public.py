"""Nobody gets a socket who isn't logged in, but for topics that the project has made public (T3)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from django.contrib.sessions.models import Session
from django.test import override_settings
from websockets.exceptions import ConnectionClosed, InvalidStatus

from livebell import EVERYONE, api, notify, push, retract
from livebell.protocol import CloseCode
from tests.helpers import person
from tests.security.listener import TRANSPORTS, Listener
from tests.security.servers import PATH, Channels, Daphne, Watched
from tests.site import Page, log_in, open_socket

pytestmark = pytest.mark.django_db(transaction=True)

PUBLIC = {"PUBLIC": ["status"]}


@pytest.fixture(params=[Watched, Channels, Daphne], ids=lambda server: server.__name__)
def site(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[Watched]:
    with override_settings(LIVEBELL=PUBLIC), request.param(**PUBLIC) as running:
        yield running


def answers(site: Watched, cookie: str = "") -> list[str]:
    """How each transport answers somebody with this cookie, or none."""
    headers = {"Cookie": f"sessionid={cookie}"} if cookie else {}
    found = []
    try:
        with open_socket(site, cookie=cookie) as opened:
            opened.send('{"type": "hello"}')
            found.append(json.loads(opened.recv(timeout=10))["type"])
    except InvalidStatus as refused:
        found.append(str(refused.response.status_code))
    for params in ({}, {"wait": "0"}):
        with httpx.stream("GET", site.url + PATH, params=params, headers=headers, timeout=20) as answer:
            found.append(str(answer.status_code))
    return found


def test_nothing_is_public_unless_somebody_says_so(transactional_db: None) -> None:
    """By default there are no anonymous connections: refused before the handshake is accepted, on every transport."""
    with Watched() as site:
        assert answers(site) == answers(site, "nonsense") == ["403", "401", "401"]
        assert site.said.count("[accepted]") == 0


def test_nobody_stands_on_what_is_public_alone(site: Watched) -> None:
    """Without a session, over each transport: what is public, nothing of ``all``, nothing unread, no marks; a push of that
    topic too, where a bus carries it; and the views stay closed."""
    alice = person("alice")
    notify("status", "before")
    pages = [Listener(site, "", transport) for transport in TRANSPORTS]
    snapshot = pages[0].client.snapshot
    assert snapshot == {"unread": 0, "unseen": 0, "at": {"status": 1}, "rev": 0, "through": {"status": 1}, "read": {}}
    for number in range(3):
        notify(EVERYONE, f"all {number}")
        notify(alice, f"own {number}")
        notify("other", f"other {number}")
        notify("status", f"{number}")
    for page in pages:
        page.until({"0", "1", "2"})
        assert page.titles() == ["0", "1", "2"]
        assert set(page.client.cursor) == {"status"}
    with httpx.Client(base_url=site.url) as http:
        assert [http.get(f"/livebell/api/{name}/").status_code for name in ("items", "frames")] == [401, 401]
        assert http.post("/livebell/api/mark/", json={"through": {"status": 4}}).status_code == 403
    assert not any(page.ended for page in pages)
    assert "Traceback" not in site.said


def test_the_gate_is_the_same_for_nobody(site: Watched) -> None:
    """A page of another site gets nothing of what is public either: it may not be counted, nor cost anything."""
    for origin in ("https://evil.example", None, f"http://127.0.0.1:{site.port + 1}"):
        with pytest.raises(InvalidStatus) as refused:
            open_socket(site, origin=origin).__enter__()
        assert refused.value.response.status_code == 403
    assert httpx.get(site.url + PATH, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_a_page_that_was_somebodys_is_over(site: Watched) -> None:
    """Whoever comes without a session but with a position on somebody's streams is a page whose session has ended: it is
    told so, and not turned into an anonymous one that goes on showing what it had."""
    alice = person("alice")
    for cursor in ({f"user:{alice.pk}": 0}, {"all": 0, "status": 0}, {"other": 0}):
        with open_socket(site) as opened:
            opened.send(json.dumps({"type": "hello", "cursor": cursor}))
            with pytest.raises(ConnectionClosed) as closed:
                opened.recv(timeout=10)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == CloseCode.NO_SESSION
        for wait in ({}, {"wait": "0"}):
            assert (
                httpx.get(site.url + PATH, params={"cursor": json.dumps(cursor), **wait}, timeout=20).status_code == 401
            )
    with open_socket(site) as opened:
        opened.send(json.dumps({"type": "hello", "cursor": {"status": 0}}))
        assert json.loads(opened.recv(timeout=10))["type"] == "hello"


def test_who_is_logged_in_stands_on_it_too(site: Watched) -> None:
    """What is public counts for users like what is for all: new ones are unread, what was there before they had an account
    isn't; on the socket, in the list, in the number."""
    notify("status", "long ago")
    alice = person("alice")
    assert api.unread(alice) == 0
    with Page(site, log_in(alice)) as page:
        one = notify("status", "one")
        page.badge(1)
        assert page.titles == ["one"]
        assert api.unread(alice) == 1
        api.mark_read(alice, one)
        page.badge(0)
        notify(alice, "own")
        page.badge(1)
    assert [item.title for item in api.store.items(api.key_of(alice), api.standing(alice))[0]][:2] == ["own", "one"]


def test_a_session_that_ends_ends_here_too() -> None:
    """That something is public keeps nobody's socket open: it ends with its session, and what comes back is nobody."""
    with override_settings(LIVEBELL=PUBLIC), Watched(constants={"live.RECOUNT_EVERY": 1}, **PUBLIC) as site:
        alice = person("alice")
        cookie = log_in(alice)
        pages = [Listener(site, cookie, transport) for transport in ("socket", "stream")]
        Session.objects.all().delete()
        for page in pages:
            page.join(10)
            assert page.code == CloseCode.SESSION_ENDED
        nobody = Listener(site, cookie, "socket")
        notify(alice, "own")
        notify("status", "public")
        nobody.until({"public"})
        assert nobody.titles() == ["public"]


def test_nobody_is_not_everybody_together() -> None:
    """Anonymous pages are not one user with twenty connections; what limits them is their address, and the process."""
    chosen = {**PUBLIC, "MAX_CONNECTIONS": 2, "MAX_ADDRESS_CONNECTIONS": 6}
    with override_settings(LIVEBELL=PUBLIC), Watched(**chosen) as site, ExitStack() as stack:
        pages = [Listener(site, "", transport) for transport in ("socket", "stream") * 3]
        with open_socket(site) as seventh:
            frames = [json.loads(seventh.recv(timeout=10))]
            assert (frames[0]["type"], frames[0]["code"]) == ("bye", CloseCode.OVERLOADED)
        assert httpx.get(site.url + PATH, timeout=20).status_code == 503
        elsewhere = stack.enter_context(open_socket(site, source_address=("127.0.0.2", 0)))
        elsewhere.send('{"type": "hello"}')
        assert json.loads(elsewhere.recv(timeout=10))["type"] == "hello"
        stack.enter_context(Page(site, log_in(person("alice"))))  # who is somebody isn't counted with the address
        notify("status", "all of them")
        for page in pages:
            page.until({"all of them"})
            assert not page.ended


def test_an_anonymous_page_goes_on_from_where_it_was() -> None:
    """It resumes from its cursor, hears of retractions, survives the position check and a new epoch."""
    with override_settings(LIVEBELL=PUBLIC), Watched(constants={"live.CHECK_EVERY": 0.5}, **PUBLIC) as site:
        page = Page(site, "")
        page.open()
        sent = notify("status", "one")
        page.until(lambda: page.titles == ["one"])
        page.close()
        notify("status", "two")
        page.open()
        page.until(lambda: page.titles == ["one", "two"])
        assert page.client.resets == 1
        retract(sent)
        page.until(lambda: len(page.client.gone) == 1)
        api.store.new_epoch()
        page.until(lambda: page.client.resets == 2)
        assert page.client.badge == 0
        notify("status", "three")
        page.until(lambda: page.titles == ["three"])
        page.close()
        assert "Traceback" not in site.said


@pytest.mark.redis
def test_anybody_hears_pushes_of_what_is_public(redis_server: Any) -> None:
    """An event without storage reaches anonymous pages of its topic, and of no other."""
    chosen = {"bus": "redis", "redis": redis_server.url, "PREFIX": f"public{time.time_ns()}", **PUBLIC}
    given = {"BUS": "redis", "REDIS_URL": redis_server.url, "PREFIX": chosen["PREFIX"], **PUBLIC}
    with override_settings(LIVEBELL=given), Watched(**chosen) as site:
        page = Listener(site, "", "socket")
        push("other", "changed", "not for you")
        push("status", "changed", "for all")
        notify("status", "end")
        page.until({"end"})
        assert [frame["data"] for _, frame in page.frames if frame["type"] == "push"] == ["for all"]
