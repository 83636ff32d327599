"""The shape of the cost, over the real transport: uvicorn with Livebell's protocol, and sockets. What a connection and a
broadcast cost in queries, encodings and tasks; not how long they take. ``test_hub.py`` has the hub's own part of it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from django.db.backends.signals import connection_created

from livebell import EVERYONE, notify, passes, store
from livebell.live import Live
from livebell.transports import frames, websocket
from tests.asgi import application
from tests.helpers import commits, people
from tests.services.process import free_port
from tests.site import log_in

pytestmark = commits

CONNECTIONS = 200
MISSED = 3
SNAPSHOT = b'"type":"snapshot"'


@dataclass
class Server:
    """uvicorn in a thread of its own, with its loop, and what it has done so far."""

    port: int
    loop: asyncio.AbstractEventLoop
    counted: Counter[str] = field(default_factory=Counter)

    def tasks(self) -> int:
        """Tasks that there are."""

        async def count() -> int:
            return len(asyncio.all_tasks()) - 1

        return asyncio.run_coroutine_threadsafe(count(), self.loop).result(10)


@pytest.fixture
def server(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving() as running:
        count(monkeypatch, running.counted)
        yield running


@contextmanager
def serving() -> Iterator[Server]:
    port, began = free_port(), threading.Event()
    options = {"ws": "livebell.transports.uvicorn:Protocol", "log_level": "warning", "ws_per_message_deflate": False}
    running = uvicorn.Server(uvicorn.Config(application, port=port, **options))  # type: ignore[arg-type]
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        began.set()
        await running.serve()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    began.wait(10)
    try:
        while not running.started:
            assert thread.is_alive()
            threading.Event().wait(0.01)
        yield Server(port, loops[0])
    finally:
        running.should_exit = True
        thread.join(20)


def count(monkeypatch: pytest.MonkeyPatch, counted: Counter[str]) -> None:
    """Encodings, frames, writes, and tasks that are made, from now on."""

    def counting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            counted[name] += 1
            return function(*args, **kwargs)

        return wrapped

    monkeypatch.setattr(passes, "encode", counting("encoded", passes.encode))
    monkeypatch.setattr(websocket.FramedSocket, "send", counting("sent", websocket.FramedSocket.send))
    built = frames.text_frame.__wrapped__
    monkeypatch.setattr(websocket, "text_frame", frames.lru_cache(maxsize=64)(counting("framed", built)))
    monkeypatch.setattr(asyncio.BaseEventLoop, "create_task", counting("tasks", asyncio.BaseEventLoop.create_task))


@contextmanager
def counting_queries(counted: Counter[str]) -> Iterator[None]:
    """Of connections to the database that are made within: begin before the server does."""

    def wrap(execute: Callable[..., Any], *args: Any) -> Any:
        counted["queries"] += 1
        return execute(*args)

    def begin(connection: Any, **kwargs: object) -> None:
        connection.execute_wrappers.append(wrap)

    connection_created.connect(begin)
    try:
        yield
    finally:
        connection_created.disconnect(begin)


class Crowd:
    """Plain sockets, opened all before any is answered; no thread and no task of ours stands in the way."""

    def __init__(self, stack: ExitStack, port: int, clients: list[tuple[str, str]]) -> None:
        self.sockets = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 20)) for _ in clients]
        self.data = [b""] * len(clients)
        for s, (cookie, _) in zip(self.sockets, clients, strict=True):
            s.sendall(request(port, cookie))
        self.until(b"\r\n\r\n")
        for s, (_, hello) in zip(self.sockets, clients, strict=True):
            s.sendall(masked(hello))

    def until(self, text: bytes) -> None:
        """Everybody has got this."""
        for n, s in enumerate(self.sockets):
            while text not in self.data[n]:
                more = s.recv(65536)
                assert more, self.data[n][-200:]
                self.data[n] += more


def request(port: int, cookie: str) -> bytes:
    host = f"127.0.0.1:{port}"
    lines = ["GET /livebell/socket/ HTTP/1.1", f"Host: {host}", f"Origin: http://{host}", f"Cookie: sessionid={cookie}"]
    lines += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
    return "\r\n".join([*lines, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", ""]).encode()


def masked(text: str) -> bytes:
    """A text frame as a client sends it, with a mask of zeros."""
    data = text.encode()
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
    return b"\x81" + size + bytes(4) + data


def clients() -> list[tuple[str, str]]:
    """A cookie and a hello each; all of them up to date."""
    users = people(CONNECTIONS)
    standings = store.standings({str(user.pk): () for user in users})
    return [(log_in(user), hello(standings[str(user.pk)])) for user in users]


def hello(standing: store.Standing) -> str:
    return json.dumps({"type": "hello", "v": 1, "epoch": store.epoch(), "cursor": standing.snapshot.at})


@pytest.fixture
def crowd(server: Server) -> Iterator[Crowd]:
    """Everybody is connected, and has a snapshot."""
    with ExitStack() as stack:
        crowd = Crowd(stack, server.port, clients())
        crowd.until(SNAPSHOT)
        yield crowd


async def never(self: Live) -> None:
    """In place of a loop that asks by the clock, whoever connects or not."""
    await asyncio.get_running_loop().create_future()


def test_queries_per_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Session, user, streams, unread number and what was missed, for everybody: at most one query for ten of them."""
    for loop in ("_check", "_sweep", "_tick"):
        monkeypatch.setattr(Live, loop, never)
    counted: Counter[str] = Counter()
    returning = clients()
    for n in range(MISSED):
        notify(EVERYONE, f"missed {n}")
    with counting_queries(counted), serving() as running, ExitStack() as stack:
        before = counted["queries"]
        crowd = Crowd(stack, running.port, returning)
        crowd.until(f"missed {MISSED - 1}".encode())
        asked = counted["queries"] - before
    assert 0 < asked <= 0.1 * CONNECTIONS


def test_a_broadcast_is_encoded_and_framed_once(server: Server, crowd: Crowd) -> None:
    """However many get it: one encoding, one frame, and one write for each connection."""
    server.counted.clear()
    notify(EVERYONE, "once")
    crowd.until(b"once")
    done = {name: server.counted[name] for name in ("encoded", "framed", "sent")}
    assert done == {"encoded": 1, "framed": 1, "sent": CONNECTIONS}


def test_a_broadcast_makes_no_tasks(server: Server, crowd: Crowd) -> None:
    """None for a send, so none for each connection."""
    server.counted.clear()
    before = server.tasks()
    made = server.counted["tasks"]
    for n in range(5):
        notify(EVERYONE, f"broadcast {n}")
        crowd.until(f"broadcast {n}".encode())
    assert server.counted["sent"] >= CONNECTIONS
    assert server.counted["tasks"] - made <= 5
    assert server.tasks() - before <= 2


def test_an_idle_connection_is_one_task(server: Server) -> None:
    """The server's own, which waits for what the client says. Livebell adds none."""
    coming = clients()
    with ExitStack() as stack:
        Crowd(stack, server.port, coming[:1]).until(SNAPSHOT)  # what begins with the first, has begun
        before = server.tasks()
        Crowd(stack, server.port, coming[1:]).until(SNAPSHOT)
        assert server.tasks() - before <= CONNECTIONS - 1 + 2
