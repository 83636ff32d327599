"""What one client can cost, over real sockets: each limit with its close code, and a neighbour who notices nothing
(T15 to T22)."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.test import override_settings
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from livebell import notify
from livebell.protocol import MAX_INBOUND, MAX_MISSED, CloseCode
from livebell.transports import admission, websocket
from tests.conftest import had
from tests.helpers import person
from tests.security.servers import PATH, Channels, Daphne, Framed, Strict, Watched, event_stream
from tests.services import Unavailable
from tests.services.process import Process
from tests.site import Page, log_in, open_socket

pytestmark = pytest.mark.django_db(transaction=True)

HELLO = '{"type": "hello"}'
UVICORNS = [Framed, Strict]
SERVERS = [Watched, Framed, Daphne]


def named(server: type[Watched]) -> str:
    return server.__name__


@pytest.fixture
def alice(transactional_db: None) -> Any:
    return person("alice")


def end_of(socket: ClientConnection, seconds: float = 10) -> tuple[int | None, list[dict[str, Any]]]:
    """How it was closed (None: without a word), and what came before."""
    frames = []
    deadline = time.monotonic() + seconds
    while True:
        try:
            frames.append(json.loads(socket.recv(timeout=max(0.01, deadline - time.monotonic()))))
        except ConnectionClosed as closed:
            return (closed.rcvd.code if closed.rcvd else None), frames


@contextmanager
def greeted(site: Watched, cookie: str, **options: Any) -> Iterator[ClientConnection]:
    """A socket that has said hello and got its snapshot."""
    with open_socket(site, cookie=cookie, **options) as opened:
        opened.send(HELLO)
        assert [json.loads(opened.recv(timeout=20))["type"] for _ in range(2)] == ["hello", "reset"]
        yield opened


def visit(site: Watched, cookie: str, **options: Any) -> None:
    with greeted(site, cookie, **options):
        pass


def settled(site: Watched, wanted: Callable[[dict[str, int]], bool], seconds: float = 15) -> dict[str, int]:
    """The server's figures, as soon as they are as wanted."""
    deadline = time.monotonic() + seconds
    while not wanted(figures := site.figures()):
        assert time.monotonic() < deadline, figures
        time.sleep(0.05)  # only asking tells
    return figures


# Frames


@pytest.mark.parametrize("server", SERVERS, ids=named)
def test_a_frame_above_16_kib_is_1009(server: type[Watched], alice: Any) -> None:
    """Before the hello and after it; a frame at the limit is a frame. (Daphne lets nobody say 1009: there it is 4504.)"""
    too_big = CloseCode.BAD_FRAME if server is Daphne else CloseCode.TOO_BIG
    with server() as site, Page(site, log_in(alice)) as neighbour:
        room = MAX_INBOUND - len(HELLO)
        for before, frame in (
            ([], HELLO[:-1] + " " * (room + 1) + "}"), ([HELLO], " " * (MAX_INBOUND + 1)), ([HELLO], b"\0" * (MAX_INBOUND + 1)),
        ):  # fmt: skip
            with open_socket(site, cookie=log_in(alice)) as opened:
                for text in [*before, frame]:
                    opened.send(text)
                assert end_of(opened)[0] == too_big
        with open_socket(site, cookie=log_in(alice)) as opened:
            opened.send(HELLO[:-1] + " " * room + "}")
            assert json.loads(opened.recv(timeout=5))["type"] == "hello"
        notify(alice, "still here")
        neighbour.badge(1)
        assert "Traceback" not in site.said


@pytest.mark.parametrize(("server", "limit"), [(Framed, 45_000), (Strict, 3_000), (Daphne, 45_000)], ids=str)
def test_seventeen_megabytes_are_not_kept(server: type[Watched], limit: int, alice: Any) -> None:
    """A frame above every server's own limit: closed, and the process is hardly heavier; with ``--ws-max-size 16384`` its
    header alone is enough."""
    with server() as site, Page(site, log_in(alice)) as neighbour:
        before = site.figures()["kib"]
        for _ in range(3):
            with open_socket(site, cookie=log_in(alice)) as opened:
                try:
                    opened.send(b"\0" * 17_000_000)
                    code, _ = end_of(opened)
                except ConnectionClosed as closed:  # it was faster
                    code = closed.rcvd.code if closed.rcvd else None
                assert code in ((None,) if server is Daphne else (None, CloseCode.TOO_BIG))
        assert site.figures()["kib"] - before < limit
        notify(alice, "still here")
        neighbour.badge(1)


def test_a_deflate_bomb_is_1009(alice: Any) -> None:
    """64 MiB in 64 KiB: the limit holds after inflation, and the server is not heavier by what it didn't keep."""
    with Framed() as site, Page(site, log_in(alice)) as neighbour:
        uri, headers = f"ws://127.0.0.1:{site.port}{PATH}", {"Cookie": f"sessionid={log_in(alice)}"}
        before = site.figures()["kib"]
        with connect(uri, origin=site.url, additional_headers=headers, compression="deflate") as opened:  # type: ignore[arg-type]
            assert opened.protocol.extensions, "this server was to inflate"
            opened.send(b"\0" * 2**26)
            assert end_of(opened)[0] == CloseCode.TOO_BIG
        assert site.figures()["kib"] - before < 45_000
        notify(alice, "still here")
        neighbour.badge(1)


def test_as_the_docs_have_it_nothing_is_inflated(alice: Any) -> None:
    """``--ws-per-message-deflate false``: who asks for compression is answered without, and a frame that claims to be
    compressed is 1002."""
    with Strict() as site:
        uri, headers = f"ws://127.0.0.1:{site.port}{PATH}", {"Cookie": f"sessionid={log_in(alice)}"}
        with connect(uri, origin=site.url, additional_headers=headers, compression="deflate") as opened:  # type: ignore[arg-type]
            assert opened.protocol.extensions == []
            opened.socket.sendall(bytes([0xC1, 0x81, 0, 0, 0, 0, 0]))  # final, RSV1, text, masked, one byte
            assert end_of(opened)[0] == 1002


# Messages


@pytest.mark.parametrize("server", SERVERS, ids=named)
def test_a_flood_is_4008_within_a_second(server: type[Watched], alice: Any) -> None:
    """A client that says hello again and again, each time with an old cursor, or anything else: closed within a second,
    what it said is asked of nobody, and it costs a fraction of a second of the processor."""
    notify(alice, "one")
    with server() as site, Page(site, log_in(alice)) as neighbour, ExitStack() as stack:
        cookie, old = (
            log_in(alice),
            json.dumps({"type": "hello", "epoch": neighbour.client.epoch, "cursor": {f"user:{alice.pk}": 0}}),
        )
        opened = stack.enter_context(greeted(site, cookie))
        before, began = site.figures(), time.monotonic()
        try:
            for _ in range(20_000):
                opened.send(old)
                if time.monotonic() - began > 1:
                    break
        except ConnectionClosed:
            pass
        assert end_of(opened, 5)[0] == CloseCode.RATE
        assert time.monotonic() - began < 2 if server is Daphne else 1.2
        after = site.figures()
        assert after["cpu_ms"] - before["cpu_ms"] < 900
        assert after["statements"] - before["statements"] < 30, "the loops' own"
        notify(alice, "still here")
        neighbour.badge(2)


def test_old_cursors_cost_a_few_queries_each(alice: Any) -> None:
    """A hundred connections with a cursor from the beginning: each gets what it missed in two pages or a reset, for no more
    than eight statements, and never more than a thousand entries."""
    for _ in range(MAX_MISSED // 100):
        notify([alice], "m")
    with Watched() as site, Page(site, log_in(alice)) as neighbour:
        cookie, before = log_in(alice), site.figures()["statements"]
        for _ in range(100):
            with open_socket(site, cookie=cookie) as opened:
                opened.send(
                    json.dumps({"type": "hello", "epoch": neighbour.client.epoch, "cursor": {f"user:{alice.pk}": 0}})
                )
                for _ in range(3):
                    frame = json.loads(opened.recv(timeout=10))
                assert len(frame["entries"]) == MAX_MISSED // 100
        assert site.figures()["statements"] - before < 100 * 8
        notify(alice, "still here")
        neighbour.badge(MAX_MISSED // 100 + 1)


# Who says nothing


def test_the_hello_has_five_seconds() -> None:
    """The constant that the next test shortens."""
    assert websocket.HELLO_WITHIN == 5


@pytest.mark.parametrize("server", SERVERS, ids=named)
def test_who_never_says_hello_is_4504(server: type[Watched], alice: Any) -> None:
    """A socket that is opened and then silent is closed at its deadline, also one that only pings; its place is free."""
    with server(constants={"transports.websocket.HELLO_WITHIN": 1}) as site:
        with open_socket(site, cookie=log_in(alice)) as silent, open_socket(site, cookie=log_in(alice)) as pinging:
            began = time.monotonic()
            for _ in range(5):
                pinging.ping()
            assert [end_of(opened)[0] for opened in (silent, pinging)] == [CloseCode.BAD_FRAME] * 2
            assert 0.8 < time.monotonic() - began < 2.5
        settled(site, lambda figures: figures["taken"] == figures["waiting"] == 0)


def half_open(port: int) -> socket.socket:
    """A handshake that has begun."""
    opened = socket.create_connection(("127.0.0.1", port))
    opened.sendall(f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: webs".encode())
    return opened


def test_half_open_handshakes_keep_nobody_out(alice: Any) -> None:
    """Five hundred connections that never finish their headers, with one more byte now and then: everybody else connects,
    p99 within a second, no place is taken, and with them go their files. (uvicorn waits for headers without a limit; the
    next test has what the docs say to put in front.)"""
    with Watched() as site, ExitStack() as stack:
        before = site.figures()["files"]
        dribbling = [stack.enter_context(half_open(site.port)) for _ in range(500)]
        cookie, took = log_in(alice), []
        for number in range(100):
            dribbling[number].sendall(b"o")
            began = time.monotonic()
            visit(site, cookie)
            took.append(time.monotonic() - began)
        assert sorted(took)[98] < 1
        assert site.figures()["files"] > before + 400
        settled(site, lambda figures: figures["taken"] == 0)
        stack.close()
        settled(site, lambda figures: figures["files"] <= before + 5)


class Nginx(Process):
    """The proxy of ``docs/deployment.md``, in a hurry."""

    def __init__(self, target: int) -> None:
        found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        if not found:
            raise Unavailable("no nginx here")
        self.found = found
        super().__init__("nginx")
        (self.directory / "nginx.conf").write_text(f"""
            daemon off; pid {self.directory}/pid; error_log {self.directory}/error.log; worker_processes 1;
            events {{ worker_connections 1024; }}
            http {{
                access_log off; client_body_temp_path {self.directory}/body; proxy_temp_path {self.directory}/proxy;
                fastcgi_temp_path {self.directory}/f; uwsgi_temp_path {self.directory}/u; scgi_temp_path {self.directory}/s;
                server {{
                    listen 127.0.0.1:{self.port};
                    client_header_timeout 1s;
                    location {PATH} {{
                        proxy_pass http://127.0.0.1:{target}; proxy_http_version 1.1; proxy_buffering off;
                        proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
                        proxy_set_header Host $http_host;
                    }}
                }}
            }}""")

    def command(self) -> list[str]:
        return [self.found, "-p", str(self.directory), "-c", str(self.directory / "nginx.conf")]

    def answers(self) -> bool:
        return Path(self.directory / "pid").exists()


def test_behind_nginx_half_open_handshakes_are_cut(alice: Any) -> None:
    """``client_header_timeout`` ends them before the server hears of them, and finished ones pass."""
    with Watched() as site, had("nginx", lambda: Nginx(site.port)) as proxy, ExitStack() as stack:
        dribbling = [stack.enter_context(half_open(proxy.port)) for _ in range(50)]
        proxy.url = f"http://127.0.0.1:{proxy.port}"
        visit(proxy, log_in(alice))
        for opened in dribbling:
            opened.settimeout(5)
            assert opened.recv(100)[:12] in (b"", b"HTTP/1.1 408")
        assert "half" not in site.said


# How many


def test_one_more_than_a_user_may_have_closes_the_oldest(alice: Any) -> None:
    """Over all transports together; those of others are not counted."""
    with Watched(MAX_CONNECTIONS=3) as site, ExitStack() as stack:
        neighbour = stack.enter_context(greeted(site, log_in(person("bob"))))
        cookie = log_in(alice)
        first, second = [stack.enter_context(greeted(site, cookie)) for _ in range(2)]
        stream = stack.enter_context(event_stream(site, cookie))
        assert next(stream)["type"] == "hello"
        settled(site, lambda figures: figures["taken"] == 4)
        httpx.get(site.url + PATH, params={"wait": "5"}, headers={"Cookie": f"sessionid={cookie}"}, timeout=20)
        code, frames = end_of(first)
        assert code == frames[-1]["code"] == CloseCode.TOO_MANY
        second.ping().wait(5)
        neighbour.ping().wait(5)


def test_a_user_has_as_many_places_before_the_hello(alice: Any) -> None:
    """Who never says hello can't take more of the process than who does."""
    with Watched(MAX_CONNECTIONS=3) as site, ExitStack() as stack:
        cookie = log_in(alice)
        waiting = [stack.enter_context(open_socket(site, cookie=cookie)) for _ in range(3)]
        assert sent_away(site, cookie) == CloseCode.OVERLOADED
        waiting[0].send(HELLO)
        assert json.loads(waiting[0].recv(timeout=5))["type"] == "hello"
        stack.enter_context(greeted(site, cookie))


def sent_away(site: Watched, cookie: str, **options: Any) -> int | None:
    """The code with which a socket is sent away, after a bye that says when to come back."""
    with open_socket(site, cookie=cookie, **options) as opened:
        code, frames = end_of(opened)
    assert [frame["type"] for frame in frames] == ["bye"]
    assert frames[0]["code"] == code
    low, high = admission.RETRY
    assert low <= frames[0]["retry"] <= high
    return code


@pytest.mark.parametrize("server", [Watched, Framed, Channels, Daphne], ids=named)
def test_one_more_than_a_process_holds_is_4004(server: type[Watched], alice: Any) -> None:
    """By socket 4004 and a bye with the time to wait; over HTTP 503 with Retry-After; nothing is asked of the database for
    them (Channels' own middleware aside); and there is room as soon as somebody leaves."""
    with server(MAX_PROCESS_CONNECTIONS=5) as site, ExitStack() as stack:
        cookies = [log_in(person(f"p{number}")) for number in range(5)]
        opened = [stack.enter_context(greeted(site, cookie)) for cookie in cookies]
        cookie, before = log_in(alice), site.figures()["statements"]
        for _ in range(20):
            assert sent_away(site, cookie) == CloseCode.OVERLOADED
        for params in ({}, {"wait": "5"}):
            answer = httpx.get(site.url + PATH, params=params, headers={"Cookie": f"sessionid={cookie}"}, timeout=20)
            assert answer.status_code == 503
            assert 2 <= int(answer.headers["retry-after"]) <= 8
        if server is not Channels:
            assert site.figures()["statements"] - before < 30, "the loops' own"
        opened[0].close()
        settled(site, lambda figures: figures["taken"] == 4)
        visit(site, cookie)


def test_one_address_can_not_fill_the_process(alice: Any) -> None:
    """While the database is slow: of thirty from one address of whom nobody knows who they are, ten may wait. Another
    address gets in meanwhile, and X-Forwarded-For makes no other address of it unless the server trusts who says so."""
    slow = Watched(delay=0.2, MAX_ADDRESS_CONNECTIONS=10)
    elsewhere = {"source_address": ("127.0.0.2", 0)}
    with slow as site, ThreadPoolExecutor(40) as threads:
        cookie = log_in(alice)

        def attempt(number: int) -> str:
            claim = {"X-Forwarded-For": f"198.51.100.{number}"}
            try:
                uri = f"ws://127.0.0.1:{site.port}{PATH}"
                with connect(
                    uri, origin=site.url, additional_headers=claim | {"Cookie": "sessionid=nobody"}, **elsewhere
                ) as opened:  # type: ignore[arg-type]
                    return str(end_of(opened)[0])
            except InvalidStatus as refused:
                return str(refused.response.status_code)

        visit(site, cookie)  # the live side has started
        flood = [threads.submit(attempt, number) for number in range(30)]
        settled(site, lambda figures: figures["waiting"] == 10)
        visit(site, cookie, open_timeout=20)
        assert sorted(one.result() for one in flood) == ["4004"] * 20 + ["403"] * 10
        settled(site, lambda figures: figures["taken"] == figures["waiting"] == 0)


@pytest.mark.parametrize("server", [Watched, Channels], ids=named)
def test_a_storm_is_a_few_statements_at_once(server: type[Watched]) -> None:
    """Two hundred users connect in the same moment: never more than fifty statements at once (there are five threads), and
    without Channels' middleware far fewer statements than connections."""
    cookies = [log_in(person(f"s{number}")) for number in range(200)]
    with server() as site, ExitStack() as stack, ThreadPoolExecutor(50) as threads:
        before = site.figures()["statements"]
        for _ in threads.map(lambda cookie: stack.enter_context(greeted(site, cookie, open_timeout=60)), cookies):
            pass
        after = site.figures()
        assert after["at_once"] <= 50
        assert after["taken"] == 200
        if server is Watched:
            assert after["statements"] - before < 400
    assert after["waiting"] == 0


def test_who_does_not_read_costs_its_buffer(alice: Any) -> None:
    """Twenty sockets that never read, three megabytes for each: at most 300 KiB each, and a neighbour gets all of it."""
    with Watched(MAX_CONNECTIONS=40) as site, ExitStack() as stack, Page(site, log_in(alice)) as neighbour:
        cookie = log_in(alice)
        for _ in range(20):
            raw = stack.enter_context(greeted(site, cookie, max_queue=1))
            raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stack.callback(raw.socket.close)
        before = site.figures()["kib"]
        for _ in range(300):
            notify(alice, "t", body="x" * 10_000)
        neighbour.until(lambda: len(neighbour.client.items) == 300, 30)
        assert site.figures()["kib"] - before < 20 * 300


# The counter itself


def test_a_place_is_always_given_back() -> None:
    """However it ends: refused, moved, raised."""
    places = admission.Admission()
    with pytest.raises(KeyError), places.enter("10.0.0.1") as place:
        place.known("1")
        with override_settings(LIVEBELL={"MAX_CONNECTIONS": 1}), pytest.raises(admission.Full):
            with places.enter("10.0.0.2") as other:
                other.known("1")
        assert (places.taken, dict(places.waiting)) == (1, {"reader 1": 1})
        raise KeyError
    assert (places.taken, dict(places.waiting)) == (0, {})


def test_without_an_address_only_the_process_counts() -> None:
    """Behind a Unix socket the server may not know any: that must not be one address for all."""
    places = admission.Admission()
    with places.enter(""), places.enter(""):
        assert (places.taken, dict(places.waiting)) == (2, {})
