"""Hostile text stays inside the field it came in: in the event stream, in the log, on the bus (T12, T23, T24)."""

from __future__ import annotations

import json
import logging
import socket
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livebell import notify
from livebell.bus import get_bus
from livebell.bus.base import deliver
from livebell.bus.channel_layer import Membership
from livebell.content import NotifyError
from livebell.live import take_in
from livebell.protocol import Bye, Counted, Entries, Entry, Push, Snapshot, encode
from livebell.transports.gate import same_site, same_site_read
from livebell.transports.http import EventStream
from tests.helpers import Ear, person
from tests.security.listener import TRANSPORTS, Listener
from tests.security.servers import PATH, Watched, events
from tests.services.process import free_port
from tests.site import log_in, open_socket, python, serving
from tests.test_gate import scope

TEXT = st.text(
    st.sampled_from('\r\n\0\u2028\u2029\x85\x0b\x0c\ufeff: data event id retry{}"\\') | st.characters(codec="utf-8")
)
JSON = st.recursive(
    TEXT | st.integers(-(2**53), 2**53) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
ENTRY = st.builds(
    Entry, seq=st.integers(1, 2**53), id=st.integers(1, 2**53), kind=TEXT, title=TEXT, body=TEXT, url=TEXT, level=TEXT,
    actor=TEXT, data=JSON,
)  # fmt: skip
SNAPSHOT = st.builds(
    Snapshot, unread=st.integers(0, 9), unseen=st.integers(0, 9), rev=st.integers(0, 9),
    at=st.dictionaries(TEXT, st.integers(0, 9), max_size=3), through=st.just({}), read=st.just({}),
)  # fmt: skip
FRAME = (
    st.builds(Entries, epoch=TEXT, stream=TEXT, prev=st.integers(0, 9), entries=st.lists(ENTRY, max_size=3))
    | st.builds(Counted, epoch=TEXT, snapshot=SNAPSHOT)
    | st.builds(Push, topic=TEXT, event=TEXT, data=JSON, key=TEXT)
    | st.builds(Bye, code=st.integers(1000, 4999), retry=st.integers(0, 9))
)


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(FRAME, max_size=5), st.integers(1, 7))
def test_events_are_what_was_sent(frames: list[Any], size: int) -> None:
    """A parser that follows the specification finds exactly one event for each frame, with exactly its text, in whatever
    pieces the bytes come."""
    texts = [encode(frame) for frame in frames]
    wrap = EventStream.wrap
    sent = b"".join(wrap(None, text)["body"] for text in texts)  # type: ignore[arg-type]
    pieces = (sent[at : at + size] for at in range(0, len(sent), size))
    assert list(events(pieces)) == texts


def test_the_parser_would_notice() -> None:
    """The control: text that isn't JSON does end a field, for this parser too."""
    for end in ("\r", "\n", "\r\n"):
        sent = f"data: a{end}data: b\n\n".encode()
        assert list(events(iter([sent]))) == ["a\nb"]
    with pytest.raises(AssertionError):
        list(events(iter([b"data: a\nevent: x\n\n"])))


# The log


EVIL = "x\n2026-01-01 ERROR root: all is lost\r\x1b[2J\x1b]0;owned\x07\u2028\x85\x0by"
PERCENT = "%s %n %(asctime)s {0.__class__}"


def calm(said: str, lines: int | None = None) -> None:
    """No line that we didn't write, and nothing that a terminal obeys."""
    assert "\x1b" not in said
    assert not any(line.startswith("2026-01-01 ERROR") for line in said.splitlines())
    assert lines is None or len(said.splitlines()) == lines, said


def test_refused_headers_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """Origins, hosts and Sec-Fetch-Site, as a server might let them through."""
    with caplog.at_level(logging.DEBUG, "livebell"):
        for text in (EVIL, PERCENT):
            latin = text.encode("latin-1", "replace").decode("latin-1")
            same_site(scope(latin))
            same_site(scope(latin, latin))
            same_site_read(scope("http://testserver", sec_fetch_site=latin))
            same_site_read(scope("http://testserver", host=latin))
    assert len(caplog.messages) >= 6
    for message in caplog.messages:
        calm(message, lines=1)


@pytest.mark.django_db(transaction=True)
def test_what_the_bus_brings_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """Publishes over the channel layer that are refused, message types that nobody knows."""
    with caplog.at_level(logging.DEBUG, "livebell"):
        for text in (EVIL, PERCENT):
            Membership(None, Ear())._dispatch({"type": text})
            for message in (
                {"to": text, "title": "t"}, {"to": f"user:{text}", "title": "t"}, {"to": "all", "title": "t", text: 1},
                {"to": "all", "title": "t", "level": text}, {"to": "all", "title": "t", "expires": text},
                {"to": "all", "title": "t", "url": f"javascript:{text}"}, {"to": "all", "title": "t", "data": {text: float("nan")}},
            ):  # fmt: skip
                with pytest.raises(NotifyError) as refused:
                    take_in({**message, "key": "k"}, "p")
                logging.getLogger("livebell.live").warning(
                    "live: a publish over the channel layer was dropped: %r", str(refused.value)
                )
    assert len(caplog.messages) == 16
    for message in caplog.messages:
        calm(message, lines=1)


@pytest.mark.django_db(transaction=True)
def test_a_whole_run_writes_only_our_lines() -> None:
    """Hostile titles, bodies, user names, paths, close reasons, cookies, queries and messages on the channel layer: the
    log of a server with everything it has to say holds not one line of theirs, no ESC, and none of the content."""
    user = person(EVIL[:150], first_name="x")
    with serving(bus="database") as site:
        cookie = log_in(user)
        pages = [Listener(site, cookie, transport) for transport in TRANSPORTS]
        notify(user, EVIL, body=EVIL, actor=user, kind=EVIL[:100], data={EVIL: EVIL}, key=EVIL)
        notify(user, PERCENT, body=PERCENT)
        for page in pages:
            page.until({EVIL, PERCENT})
        with httpx.Client(base_url=site.url, cookies={"sessionid": cookie}) as http:
            for path in (f"/{quote(EVIL)}", PATH):
                http.get(path, params={"cursor": EVIL, "wait": EVIL, "rev": EVIL})
        for header in (b"Cookie: sessionid=" + EVIL.encode(), b"User-Agent: \x1b[2J", b"X: \x1b", b"Origin: \x1b[2J"):
            say(site.port, b"GET " + PATH.encode() + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n" + header + b"\r\n\r\n")
        say(site.port, b"GET /\x1b[2J\x0b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        close_with_reason(site, cookie)
        said = site.log.read_text(errors="surrogateescape")
    calm(said)
    assert "all is lost" not in said.replace("all%20is%20lost", "").replace("all+is+lost", "")
    assert "Traceback" not in said


def say(port: int, request: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as opened:
        opened.sendall(request)
        opened.settimeout(0.5)
        with suppress(TimeoutError):
            opened.recv(1000)


def close_with_reason(site: Any, cookie: str) -> None:
    with open_socket(site, cookie=cookie) as opened:
        opened.send('{"type": "hello"}')
        opened.recv(timeout=5)
        opened.close(4000, "\x1b[2J\n2026-01-01 ERROR root: all is lost")


# Secrets


CANARIES = [f"canary{number:02}{secrets_:04x}" for number, secrets_ in enumerate(range(41000, 41032))]
"""In every field of a notification, in names, in what is read and archived."""

CONTENT = ("title", "body", "url", "kind", "actor", "key")

PUBLISH = """
import logging, json, sys
logging.basicConfig(level=logging.DEBUG)
from django.contrib.auth import get_user_model
from livebell import mark_read, notify, retract, unread
user = get_user_model().objects.get()
for fields in json.loads({fields!r}):
    sent = notify(user, fields.pop("title"), **fields)
mark_read(user, sent)
retract(sent)
unread(user)
"""


def canary_fields() -> list[dict[str, Any]]:
    names = iter(CANARIES)
    found = []
    for _ in range(4):
        fields: dict[str, Any] = {name: next(names) for name in CONTENT}
        fields["url"] = f"/{fields['url']}/"
        found.append({**fields, "data": {next(names): [next(names)]}})
    return found


@pytest.mark.redis
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("bus", ["redis", "core", "pubsub"])
def test_no_content_on_redis_or_in_a_log(bus: str, own_redis: Any) -> None:
    """Thirty-two canaries are published, pushed out, marked and retracted while MONITOR writes down all that Redis is told:
    none is in it, nor in the log of the server or of the publisher, each at its most talkative. What does go over Redis is
    the name of a stream and a number."""
    user = person("alice")
    chosen: dict[str, Any] = {"bus": "redis", "redis": own_redis.url}
    if bus != "redis":
        chosen = {"bus": "channel-layer", "layer": bus, "redis": own_redis.url}
    with socket.create_connection(("127.0.0.1", own_redis.port)) as monitor, Watched(**chosen) as site:
        monitor.sendall(b"MONITOR\r\n")
        pages = [Listener(site, log_in(user), transport) for transport in TRANSPORTS]
        done = python(PUBLISH.format(fields=json.dumps(canary_fields())), site.environment)
        assert done.returncode == 0, done.stderr
        for page in pages:
            page.until({fields["title"] for fields in canary_fields()[:-1]})  # the last is taken back at once
        traffic = everything(monitor)
        said = site.said
    assert f"user:{user.pk}" in traffic, "the hint itself, so this was the right Redis"
    for canary in CANARIES:
        assert canary not in traffic
        assert canary not in said
        assert canary not in done.stderr + done.stdout


def everything(monitor: socket.socket) -> str:
    monitor.settimeout(0.5)
    text = b""
    with suppress(TimeoutError):
        while data := monitor.recv(65536):
            text += data
    return text.decode(errors="replace")


def test_an_error_never_quotes_the_content(caplog: pytest.LogCaptureFixture) -> None:
    """What the bus can't be told is logged by the kind of error, never with the message."""
    dead = {"BUS": "redis", "REDIS_URL": f"redis://user:PASSWORD@127.0.0.1:{free_port()}/0"}
    with override_settings(LIVEBELL=dead), caplog.at_level(logging.DEBUG):
        get_bus().publish({"push": {"topic": "t", "event": "e", "data": "CANARY"}})
        deliver(Ear(), {"push": {"data": "CANARY"}, "hints": {"CANARY": "x"}})
    assert caplog.messages
    assert "CANARY" not in caplog.text
    assert "PASSWORD" not in caplog.text
