"""Who gets in, over real sockets: the same gate for every transport, on every server, and what a client says opens nothing
(T1, T2, T5 to T9, T26)."""

from __future__ import annotations

import json
import re
import socket
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.test import Client as HttpClient
from django.test import override_settings
from django.urls import URLPattern, URLResolver, get_resolver
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidStatus

from livebell import EVERYONE, api, notify, store
from tests.helpers import person
from tests.security.listener import TRANSPORTS, Listener
from tests.security.servers import PATH, Channels, Daphne, Framed, Watched, event_stream
from tests.site import log_in, open_socket

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=[Watched, Framed, Channels, Daphne], ids=lambda server: server.__name__)
def site(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[Watched]:
    with request.param() as running:
        yield running


@pytest.fixture
def alice(transactional_db: None) -> Any:
    return person("alice")


@pytest.fixture
def bob(transactional_db: None) -> Any:
    return person("bob")


# The page that asks


def foreign(site: Watched) -> list[str]:
    """Origins of other pages, and what is none."""
    own, port = site.url, site.port
    return [
        own.replace("http", "https"), own.replace("http", "ws"), own.replace("http", "ftp"),
        f"http://127.0.0.1:{port + 1}", "http://127.0.0.1", f"http://localhost:{port}", f"http://127.0.0.1.evil.example:{port}",
        f"http://evil.example#{own}", f"http://user@127.0.0.1:{port}", f"{own}/", f"{own} {own}", f"{own}, {own}",
        "https://evil.example", "null", "file://", "chrome-extension://127.0.0.1", "*", f"{own}\\",
    ]  # fmt: skip


def test_origin_matrix(site: Watched, alice: Any) -> None:
    """Only a page of the same scheme, host and port gets in, over each transport; the others are refused before the
    handshake is accepted, and for none of them the database is asked who it is (Channels' middleware asks first)."""
    cookie = log_in(alice)
    for transport in TRANSPORTS:
        assert enter(site, transport, cookie, site.url) == "in"
    before = site.figures()["about_somebody"]
    for transport in TRANSPORTS:
        answers = {origin: enter(site, transport, cookie, origin) for origin in foreign(site)}
        refusals = {"403", "400"} if isinstance(site, Daphne) else {"403"}  # autobahn reads some of them itself
        assert {origin: answer for origin, answer in answers.items() if answer not in refusals} == {}
    assert enter(site, "socket", cookie, None) == "403", "without an origin"
    if not isinstance(site, Channels):
        assert site.figures()["about_somebody"] == before
    for transport in TRANSPORTS:
        assert enter(site, transport, cookie, site.url) == "in"
    assert "Traceback" not in site.said


def enter(site: Watched, transport: str, cookie: str, origin: str | None, **headers: str) -> str:
    """``in``, or the status of the refusal."""
    if transport == "socket":
        try:
            with open_socket(site, cookie=cookie, origin=f"{origin}" if origin is not None else None) as opened:
                opened.send('{"type": "hello"}')
                return "in" if json.loads(opened.recv(timeout=10))["type"] == "hello" else "?"
        except InvalidStatus as refused:
            return str(refused.response.status_code)
    given = {"Cookie": f"sessionid={cookie}", **({"Origin": origin} if origin is not None else {}), **headers}
    params = {"wait": "0"} if transport == "poll" else {}
    with httpx.stream("GET", site.url + PATH, params=params, headers=given, timeout=20) as answer:
        assert not [name for name in answer.headers if name.startswith("access-control-")], "no CORS, ever"
        return "in" if answer.status_code == 200 else str(answer.status_code)


@pytest.mark.parametrize("transport", ["stream", "poll"])
def test_a_browser_says_where_a_request_comes_from(site: Watched, alice: Any, transport: str) -> None:
    """``Sec-Fetch-Site`` of another site, or of another port or subdomain of this one, is refused; a page of ours has no
    Origin on a GET."""
    cookie, answers = log_in(alice), {}
    for said in ("same-origin", "none", "same-site", "cross-site", "x"):
        answers[said] = enter(site, transport, cookie, None, **{"Sec-Fetch-Site": said})
    assert answers == {"same-origin": "in", "none": "in", "same-site": "403", "cross-site": "403", "x": "403"}


def test_nobody_is_refused_before_the_handshake(site: Watched) -> None:
    """Without a session, or with one that isn't: 403 or 401, and no hello."""
    for cookie in ("", "nonsense", "a" * 32):
        assert [enter(site, transport, cookie, site.url) for transport in TRANSPORTS] == ["403", "401", "401"]


def smuggled(site: Watched) -> list[bytes]:
    """Header lines that one parser reads as two, or two as one."""
    own, host = f"Origin: {site.url}\r\n".encode(), f"Host: 127.0.0.1:{site.port}\r\n".encode()
    evil = b"Origin: https://evil.example\r\n"
    return [
        host + own + evil, host + evil + own, host + own + own, host + own[:-2] + b"\x0b\r\n",
        host + own[:-2] + b"\x85\r\n", host + own[:-2] + b"\x00\r\n", host + own[:-2] + b"\x0c.evil.example\r\n",
        host + b"Origin: https://evil.example\x0b\r\n" + own, host + b"Origin\x0b: x\r\n" + evil, host + own.replace(b": ", b" : "),
        host + own[:-2] + b"\r\n https://evil.example\r\n", host + own + b"\r Origin: https://evil.example\r\n",
        host + b"X: y\x0bOrigin: " + site.url.encode() + b"\r\n", b"Host: evil.example\r\n" + own, host + host + own,
        b"Host: evil.example\r\n" + host + own, host + b"Host: evil.example\r\n" + own,
        host.replace(b"127", b"\x0b127") + own, b"Host: evil.example\r\nX-Forwarded-Host: 127.0.0.1\r\n" + own,
        host + b"X-Forwarded-Proto: https\r\nOrigin: https://127.0.0.1\r\n", own,
    ]  # fmt: skip


def test_smuggled_headers(site: Watched, alice: Any) -> None:
    """Two origins, two hosts, and control characters that only some take for the end of a line: no handshake, no frames."""
    cookie = f"Cookie: sessionid={log_in(alice)}\r\n".encode()
    plain = f"Host: 127.0.0.1:{site.port}\r\nOrigin: {site.url}\r\n".encode()
    assert status(site, plain + cookie) == "101"
    assert {status(site, headers + cookie) for headers in smuggled(site)} <= {"403", "400", "500", "none"}
    assert status(site, plain + cookie) == "101"


@pytest.mark.parametrize("query", ["", "?wait=0"], ids=["stream", "poll"])
def test_doubled_headers_over_http(site: Watched, alice: Any, query: str) -> None:
    """The servers hand two origins, or two hosts, on to us over HTTP: they are none, whichever comes first."""
    cookie = f"Cookie: sessionid={log_in(alice)}\r\n".encode()
    own, host = f"Origin: {site.url}\r\n".encode(), f"Host: 127.0.0.1:{site.port}\r\n".encode()
    evil, rebound = b"Origin: https://evil.example\r\n", b"Host: evil.example\r\n"
    assert status(site, host + own + cookie, query) == "200"
    for lines in (
        own + evil,
        evil + own,
        own + own,
        evil,
        own + rebound,
        b"Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\n",
    ):
        assert status(site, host + lines + cookie, query) in ("403", "400")
    assert status(site, rebound + host + own + cookie, query) in ("403", "400")


UPGRADE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def status(site: Watched, headers: bytes, query: str | None = None) -> str:
    """Of a handshake, or with a query of a GET, whose bytes are sent as they stand."""
    more = UPGRADE if query is None else b""
    with socket.create_connection(("127.0.0.1", site.port), timeout=5) as opened:
        opened.sendall(f"GET {PATH}{query or ''} HTTP/1.1\r\n".encode() + more + headers + b"\r\n")
        try:
            answer = opened.recv(64)
        except OSError:
            answer = b""
    return answer[9:12].decode() if answer.startswith(b"HTTP/1.1 ") else "none"


# What a client says


SECRET = "SECRET"


def gentle(examples: int) -> Any:
    """Each example asks a server."""
    quiet = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=examples, deadline=None, suppress_health_check=quiet)


@pytest.fixture
def secrets(alice: Any, bob: Any) -> list[str]:
    """Bob's own stream, his group's and a topic of his, with secrets in them; alice has a row of her own."""
    team = Group.objects.create(name="team")
    bob.groups.add(team)
    api.subscribe(bob, "ledger")
    for audience in (bob, team, "ledger"):
        notify(audience, SECRET, body=SECRET)
    notify(alice, "hers")
    notify(EVERYONE, "everybody's")
    return [f"user:{bob.pk}", f"group:{team.pk}", "ledger"]


def fields(names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """A hello, or a query: every field that there is, and some that there aren't."""
    numbers = st.integers(-2, 5) | st.sampled_from([2**31, 2**53, 2**63 - 1, 2**63, -(2**63), 10**30])
    stream = st.sampled_from([*names, *(name.upper() for name in names), "all", "user:*", "*", "reader:1"]) | st.text(
        max_size=8
    )
    cursor = st.dictionaries(stream, st.integers(0, 3), max_size=6) | st.dictionaries(
        stream, numbers | st.none(), max_size=6
    )
    anything = stream | numbers | st.booleans() | st.none() | cursor
    extra = st.dictionaries(
        st.sampled_from(["streams", "channel", "topic", "user", "reader", "session", "subscribe", "to", "key"]),
        anything,
    )
    epoch = st.just("") | st.just(store.epoch()) | st.text(max_size=8)
    known = st.fixed_dictionaries(
        {"type": st.just("hello")}, optional={"v": st.just(1), "epoch": epoch, "cursor": cursor}
    )
    return st.builds(lambda more, hello: {**more, **hello}, extra, known)


def test_whatever_a_hello_says_brings_only_own_rows(alice: Any, bob: Any, secrets: list[str]) -> None:
    """Hypothesis writes every field of the hello, and of the query of a poll; whoever asks stands on her own streams."""
    allowed = {f"user:{alice.pk}", "all"}
    with Watched() as site:
        headers, http = {"Cookie": f"sessionid={log_in(alice)}"}, httpx.Client(base_url=site.url, timeout=20)

        @gentle(150)
        @given(fields(secrets))
        def by_socket(hello: dict[str, Any]) -> None:
            with open_socket(site, cookie=headers["Cookie"][10:]) as opened:
                opened.send(json.dumps(hello))
                try:
                    while (frame := json.loads(opened.recv(timeout=10)))["type"] not in ("reset", "snapshot"):
                        pass
                except ConnectionClosed:
                    return
                assert set(frame["snapshot"]["at"]) == allowed

        @gentle(60)
        @given(fields(secrets))
        def by_poll(hello: dict[str, Any]) -> None:
            texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in hello.items()}
            answer = http.get(PATH, params={**texts, "rev": "-1", "wait": "0.02"}, headers=headers)
            assert answer.status_code in (200, 400)
            assert SECRET not in answer.text
            assert all(
                set(frame["snapshot"]["at"]) == allowed
                for frame in answer.json().get("frames", [])
                if "snapshot" in frame
            )

        by_socket()
        by_poll()
        assert "Traceback" not in site.said


def test_whatever_a_request_says_brings_only_own_rows(alice: Any, bob: Any, secrets: list[str]) -> None:
    """The same for every parameter of the views, and of the body that changes marks: nothing of bob's comes, and nothing of
    bob's changes."""
    browser = HttpClient()
    browser.force_login(alice)
    before = api.standing(bob).snapshot

    @gentle(150)
    @given(fields(secrets), st.sampled_from(["", "unread", "archived", "x"]))
    def views(hello: dict[str, Any], only: str) -> None:
        query = {name: json.dumps(value) for name, value in hello.items() if name != "epoch"}
        mark = urlsafe_b64encode(json.dumps(hello.get("cursor", {})).encode()).decode().rstrip("=")
        marks = {name: hello.get("cursor") for name in ("through", "seen")}
        answers = [
            browser.get("/livebell/api/items/", {**query, "filter": only, "before": mark}),
            browser.get("/livebell/api/frames/", {**query, "epoch": store.epoch()}),
            browser.get("/livebell/", {**query, "filter": only, "before": mark}),
            browser.post("/livebell/api/mark/", json.dumps(hello), content_type="application/json"),
            browser.post("/livebell/api/mark/", json.dumps(marks), content_type="application/json"),
        ]
        assert all(answer.status_code in (200, 302, 400) for answer in answers)
        assert not any(SECRET in answer.content.decode() for answer in answers)

    views()
    assert api.standing(bob).snapshot == before


def test_a_foreign_id_answers_like_a_missing_one(alice: Any, bob: Any, secrets: list[str]) -> None:
    """Byte by byte: whoever marks, archives or asks for what isn't hers learns not even whether it is there."""
    browser = HttpClient()
    browser.force_login(alice)
    before = api.standing(bob).snapshot
    for there, missing in ((secrets[0], "user:999999"), (secrets[1], "group:999999"), ("ledger", "ledgex")):
        for field in ("read", "archive", "unarchive"):
            answers = [mark(browser, {field: {name: [1]}}) for name in (there, missing)]
            forms = [browser.post("/livebell/", {"action": field, "ref": f"{name} 1"}) for name in (there, missing)]
            assert answers[0] == answers[1]
            assert (forms[0].status_code, forms[0].content) == (forms[1].status_code, forms[1].content)
        for field in ("through", "seen"):
            assert mark(browser, {field: {there: 1}}) == mark(browser, {field: {missing: 1}})
    assert api.standing(bob).snapshot == before


def mark(browser: HttpClient, marks: dict[str, Any]) -> tuple[int, bytes]:
    """The answer, but for ``rev``, which counts her own requests, whatever they ask for."""
    answer = browser.post("/livebell/api/mark/", json.dumps(marks), content_type="application/json")
    return answer.status_code, re.sub(rb'"rev":\d+', b'"rev":N', answer.content)


# GET


def rows() -> dict[str, list[Any]]:
    """Every row of every table."""
    return {
        model.__name__: sorted(model.objects.values_list(), key=repr)
        for model in apps.get_models()
        if model._meta.managed
    }


def paths(resolver: URLResolver | None = None, before: str = "") -> Iterator[str]:
    """Of every view, with 1 for what it asks."""
    for pattern in (resolver or get_resolver()).url_patterns:
        route = before + "".join("1" if part.endswith(">") else part for part in split(str(pattern.pattern)))
        if isinstance(pattern, URLResolver):
            yield from paths(pattern, route)
        elif isinstance(pattern, URLPattern):
            yield "/" + route


def split(route: str) -> list[str]:
    return [re.sub(r"[\^$?]|\(.*?\)", "", part) for part in re.split(r"(<.*?>)", route) if part]


ON_PURPOSE = ("/log-in/", "/log-out/", "/send/", "/admin/logout/")
"""Views of the test site that are there to change something; logging out of the admin takes a POST, and is left in peace."""


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_no_get_changes_anything(alice: Any, bob: Any, method: str) -> None:
    """Every address there is, with whatever a form would send in its query: no row of any table is another, not even the
    session's."""
    alice.is_staff = alice.is_superuser = True
    alice.save()
    notify(alice, "one")
    notify(EVERYONE, "two")
    store.epoch()
    browser = HttpClient(raise_request_exception=False)
    browser.force_login(alice)
    query = {"action": "read_all", "through": json.dumps(api.standing(alice).snapshot.at), "ref": f"user:{alice.pk} 1"}
    found = [path for path in paths() if not path.startswith(ON_PURPOSE)]
    assert {
        "/livebell/",
        "/livebell/api/mark/",
        "/livebell/api/items/",
        "/livebell/api/frames/",
        "/admin/livebell/notification/",
    } <= set(found)
    before = rows()
    for path in found:
        getattr(browser, method)(path, {**query, "read": json.dumps({f"user:{alice.pk}": [1]}), "_method": "POST"})
    assert rows() == before


def test_no_get_of_the_socket_changes_anything(alice: Any) -> None:
    """Nor at the path of the socket: the stream, the poll, an open page."""
    notify(alice, "one")
    notify(EVERYONE, "two")
    with Watched() as site:
        cookie = log_in(alice)
        Listener(site, cookie, "poll")  # the live side has begun
        before = rows()
        pages = [Listener(site, cookie, transport) for transport in TRANSPORTS]
        with httpx.Client(base_url=site.url, headers={"Cookie": f"sessionid={cookie}"}) as http:
            for method in ("POST", "PUT", "DELETE", "PATCH", "HEAD"):
                assert http.request(method, PATH).status_code == 405
            query = {"through": '{"all": 1}', "read": '{"all": [1]}', "cursor": '{"all": 0}', "epoch": store.epoch()}
            assert http.get(PATH, params={**query, "wait": "0.1"}).status_code == 200
        assert rows() == before
        assert not any(page.ended for page in pages)


# Addresses and logs


def test_nothing_secret_in_an_address(alice: Any, bob: Any, secrets: list[str]) -> None:
    """After a run over every transport and every view, the access log holds no session key, no token, no content, no name.
    The cursor stands in it: stream names and positions, which open nothing (the tests above)."""
    with Watched() as site:
        cookie = log_in(bob)
        pages = [Listener(site, cookie, transport) for transport in TRANSPORTS]
        with httpx.Client(base_url=site.url, cookies={"sessionid": cookie}) as http:
            http.get("/livebell/")
            token = http.cookies["csrftoken"]
            cursor = json.dumps(api.standing(bob).snapshot.at)
            http.get("/livebell/api/items/", params={"filter": "unread"})
            http.get("/livebell/api/frames/", params={"epoch": store.epoch(), "cursor": cursor})
            http.post("/livebell/api/mark/", json={"through": {"ledger": 1}}, headers={"X-CSRFToken": token})
            with event_stream(site, cookie, epoch=store.epoch(), cursor=cursor) as frames:
                next(frames)
        notify(bob, "TITLE", body="BODY", url="/URL/", kind="KIND", actor="ACTOR", data={"DATA": 1}, key="KEY")
        for page in pages:
            page.until({"TITLE"})
        assert "/livebell/api/mark/" in site.said, "there is an access log"
        assert "cursor=" in site.said
        for secret in (
            cookie,
            token,
            SECRET,
            "TITLE",
            "BODY",
            "URL/",
            "KIND",
            "ACTOR",
            "DATA",
            "KEY",
            "bob",
            "sessionid",
        ):
            assert secret not in site.said, secret


@override_settings(ALLOWED_HOSTS=["*"])
def test_any_host_still_means_this_origin(alice: Any) -> None:
    """A name that leads here but isn't the page's (DNS rebinding) is no way round, over HTTP either."""
    with Watched() as site:
        answer = httpx.get(site.url + PATH, headers={"Host": "evil.example", "Cookie": f"sessionid={log_in(alice)}"})
        assert answer.status_code == 403
