"""The same frames over HTTP, where WebSockets don't get through: Server-Sent Events, and the long poll.

Server-Sent Events: https://html.spec.whatwg.org/multipage/server-sent-events.html. A frame is one line of JSON, so that no
content can end a field. There are no event ids: a client that was cut off opens the stream anew, with its cursor.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qs

import msgspec
from django.db import Error

from ..connection import Connection
from ..live import Live
from ..protocol import Bye, ClientHello, CloseCode, encode, read_position
from . import gate
from .admission import Full, Place, admission
from .asgi import Message, Outlet, Receive, Scope, Send, nobody, reader_of, session_of

logger = logging.getLogger("livebell.http")

MAX_WAIT = 30.0
"""Seconds that a long poll is held, at the most."""
GATHER = 0.02
"""Seconds from the first piece of news to the answer: what belongs together comes together."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The query of a request."""

    hello: ClientHello
    wait: float | None
    """Seconds to hold a long poll; None: a stream is wanted."""
    rev: int | None
    """``rev`` of the client's snapshot."""

    @classmethod
    def parse(cls, scope: Scope) -> Asked:
        """Raises ``ValueError`` that names the parameter."""
        query = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()}
        hello = read_position(query.get("epoch", ""), query.get("cursor", ""))
        wait = min(float(query["wait"]), MAX_WAIT) if "wait" in query else None
        if wait is not None and not wait >= 0:
            raise ValueError("wait: must be a number of seconds, 0 or more")
        return cls(hello, wait, int(query["rev"]) if "rev" in query else None)


class EventStream(Outlet):
    """An event stream as the hub sees it."""

    __slots__ = ()

    def wrap(self, text: str) -> Message:
        """See ``Outlet``."""
        return {"type": "http.response.body", "body": f"data: {text}\n\n".encode(), "more_body": True}

    async def end(self, code: CloseCode) -> None:
        """See ``Outlet``."""
        await self._send({"type": "http.response.body", "body": b""})


class LongPoll(Connection):
    """A request that is held until there is news, as the hub sees it. Its few frames are the answer."""

    __slots__ = ("frames", "news", "rev", "unread")

    def __init__(self, reader: str, asked: Asked, session: str) -> None:
        super().__init__(reader, asked.hello.epoch, asked.hello.cursor, session)
        self.frames: list[str] = []
        self.news = asyncio.Event()
        self.rev = asked.rev
        self.unread = -1

    def send(self, text: str) -> bool:
        """See ``Connection``."""
        self.frames.append(text)
        if self._is_news(msgspec.json.decode(text)):
            self.news.set()
        return True

    def close(self, code: CloseCode, *, retry: int = 0) -> None:
        """See ``Connection``."""
        self.frames.append(encode(Bye(code=int(code), retry=retry)))
        self.news.set()

    def _is_news(self, frame: dict[str, object]) -> bool:
        """Not the greeting, and not a snapshot that the client has."""
        snapshot = frame.get("snapshot")
        if frame["type"] == "snapshot" and isinstance(snapshot, dict):
            before, self.unread = self.unread, snapshot["unread"]
            pruned = before > self.unread  # the rev is of the marks, and says nothing of it
            return self.rev is not None and (pruned or snapshot["rev"] != self.rev)
        return frame["type"] not in ("hello", "ping")

    @property
    def body(self) -> bytes:
        """The answer; empty if nothing has happened."""
        frames = self.frames if self.news.is_set() else []
        return f'{{"frames":[{",".join(frames)}]}}'.encode()


async def serve_http(scope: Scope, receive: Receive, send: Send) -> None:
    """One request, from the gate to the end."""
    if scope["method"] != "GET":
        return await _answer(send, HTTPStatus.METHOD_NOT_ALLOWED)
    if not gate.same_site_read(scope):
        return await _answer(send, HTTPStatus.FORBIDDEN)
    try:
        asked = Asked.parse(scope)
    except ValueError as error:
        return await _answer(send, HTTPStatus.BAD_REQUEST, msgspec.json.encode({"error": str(error)}))
    try:
        with admission.enter(gate.address(scope)) as place:
            await _serve(place, asked, scope, receive, send)
    except Full as full:
        wait = (b"retry-after", str(-(-full.retry // 1000)).encode())
        await _answer(send, HTTPStatus.SERVICE_UNAVAILABLE, b"{}", wait)


async def _serve(place: Place, asked: Asked, scope: Scope, receive: Receive, send: Send) -> None:
    try:
        live = await Live.of_this_loop()
        if live.hub.draining:
            return await _answer(send, HTTPStatus.SERVICE_UNAVAILABLE)
        reader = await reader_of(live, scope)
    except Error:
        logger.exception("http: the database does not answer")
        return await _answer(send, HTTPStatus.SERVICE_UNAVAILABLE)
    if reader is not None:
        place.settle()
    elif (reader := nobody(asked.hello)) is not None:
        place.nobody()
    else:
        return await _answer(send, HTTPStatus.UNAUTHORIZED)
    session = session_of(scope, reader)
    if asked.wait is None:
        return await _stream(live, EventStream(reader, asked.hello, session, send, live.hub), receive, send)
    return await _hold(live, LongPoll(reader, asked, session), asked.wait, receive, send)


async def serve_ready(scope: Scope, receive: Receive, send: Send) -> None:
    """Whether this process takes in connections: 200 or 503, for whoever distributes them. Needs no session."""
    if scope["method"] not in ("GET", "HEAD"):
        return await _answer(send, HTTPStatus.METHOD_NOT_ALLOWED)
    try:
        live = await Live.of_this_loop()
    except Error:
        logger.exception("http: the database does not answer")
        return await _answer(send, HTTPStatus.SERVICE_UNAVAILABLE, b'{"ready":false}')
    state = {"ready": live.ready, "connections": len(live.hub.connections), "bus": live.bus.linked}
    status = HTTPStatus.OK if live.ready else HTTPStatus.SERVICE_UNAVAILABLE
    return await _answer(send, status, msgspec.json.encode(state))


async def _stream(live: Live, stream: EventStream, receive: Receive, send: Send) -> None:
    # X-Accel-Buffering: nginx would gather frames into blocks.
    await _begin(send, HTTPStatus.OK, b"text/event-stream", (b"x-accel-buffering", b"no"))
    live.hub.join(stream)
    try:
        await _gone(receive)
    finally:
        live.hub.leave(stream)
        stream.cancel()


async def _hold(live: Live, poll: LongPoll, seconds: float, receive: Receive, send: Send) -> None:
    live.hub.join(poll)
    waits = [asyncio.ensure_future(poll.news.wait()), asyncio.ensure_future(_gone(receive))]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if poll.news.is_set():
            await asyncio.sleep(GATHER)
    finally:
        live.hub.leave(poll)
        for wait in waits:
            wait.cancel()
    await _answer(send, HTTPStatus.OK, poll.body)


async def _gone(receive: Receive) -> None:
    """Until the client has gone: a request that nobody waits for must not count as a connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer(send: Send, status: HTTPStatus, body: bytes = b"{}", *headers: tuple[bytes, bytes]) -> None:
    await _begin(send, status, b"application/json", *headers)
    await send({"type": "http.response.body", "body": body})


async def _begin(send: Send, status: HTTPStatus, content_type: bytes, *headers: tuple[bytes, bytes]) -> None:
    common = [(b"content-type", content_type), (b"cache-control", b"private, no-store"), *headers]
    await send({"type": "http.response.start", "status": int(status), "headers": common})
