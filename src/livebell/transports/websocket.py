"""The WebSocket: a plain ASGI application, so that it mounts in Channels' ``URLRouter`` or anywhere else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any

from django.db import DatabaseError

from .. import api
from ..hub import Connection, Hub
from ..live import Live
from ..protocol import SUBPROTOCOL, BadFrame, Bye, ClientHello, CloseCode, decode_hello, encode
from . import eager, gate

logger = logging.getLogger("livebell.websocket")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Coroutine[Any, Any, None]]

HELLO_WITHIN = 5.0
"""Seconds that a client has to say hello."""
MAX_INBOUND_FRAMES = 20
"""Frames after the hello that a client may send in a minute; it needs none."""


async def livebell_socket(scope: Scope, receive: Receive, send: Send) -> None:
    """One connection, from the handshake to the end."""
    if scope["type"] != "websocket":
        raise ValueError(f"livebell_socket serves WebSockets; route {scope['type']!r} elsewhere")
    await receive()
    if not gate.same_site(scope):
        return await send({"type": "websocket.close", "code": 4403})
    try:
        live = await Live.of_this_loop()
        key = await _key(live, scope)
    except DatabaseError:
        logger.exception("websocket: the database does not answer")
        return await send({"type": "websocket.close", "code": int(CloseCode.SERVER_ERROR)})
    if key is None:
        return await send({"type": "websocket.close", "code": int(CloseCode.NO_SESSION)})
    await send({"type": "websocket.accept", "subprotocol": _subprotocol(scope)})
    try:
        hello = await _hello(receive)
    except BadFrame as error:
        return await send({"type": "websocket.close", "code": int(error.code)})
    if hello is None:
        return None
    return await _converse(live.hub, Socket(key, hello, gate.session_key(scope) or "", send, live.hub), receive)


async def _key(live: Live, scope: Scope) -> str | None:
    """The reader's key. The user that an outer middleware has found counts, as do Channels' and a project's own."""
    if "user" not in scope:
        session = gate.session_key(scope)
        return await live.reader_of(session) if session else None
    user = scope["user"]
    if not getattr(user, "is_authenticated", False) or not getattr(user, "is_active", True):
        return None
    return api.key_of(user)


def _subprotocol(scope: Scope) -> str | None:
    return SUBPROTOCOL if SUBPROTOCOL in scope.get("subprotocols", ()) else None


async def _hello(receive: Receive) -> ClientHello | None:
    """The client's hello; None if it has gone. Raises :class:`BadFrame`."""
    try:
        async with asyncio.timeout(HELLO_WITHIN):
            message = await receive()
    except TimeoutError:
        raise BadFrame(CloseCode.BAD_FRAME) from None
    if message["type"] == "websocket.disconnect":
        return None
    return decode_hello(message.get("text"))


async def _converse(hub: Hub, socket: Socket, receive: Receive) -> None:
    hub.join(socket)
    try:
        await _listen(socket, receive)
    finally:
        hub.leave(socket)
        socket.cancel()


async def _listen(socket: Socket, receive: Receive) -> None:
    """Until the client has gone. What it says is of no interest, unless it is too much of it."""
    loop = asyncio.get_running_loop()
    began, frames = loop.time(), 0
    while (message := await receive())["type"] != "websocket.disconnect":
        if loop.time() - began > 60:
            began, frames = loop.time(), 0
        frames += 1
        if frames > MAX_INBOUND_FRAMES:
            socket.close(CloseCode.RATE)
        elif len(message.get("text") or message.get("bytes") or "") > 4096:
            socket.close(CloseCode.TOO_BIG)


class Socket(Connection):
    """A WebSocket as the hub sees it."""

    __slots__ = ("_closing", "_hub", "_send", "_sending")

    def __init__(self, key: str, hello: ClientHello, session: str, send: Send, hub: Hub) -> None:
        super().__init__(key, hello.epoch, hello.cursor, session)
        self._send, self._hub = send, hub
        self._sending: asyncio.Task[None] | None = None
        self._closing = False

    def send(self, text: str) -> bool:
        """See ``hub.Connection``."""
        if self._closing:
            return True
        return self._begin(self._send({"type": "websocket.send", "text": text}))

    def close(self, code: CloseCode, *, retry: int = 0) -> None:
        """See ``hub.Connection``. A client that doesn't read gets no farewell: the server drops it by its own means."""
        if self._closing:
            return
        self._closing = True
        self.cancel()
        self._begin(self._farewell(code, retry))

    def cancel(self) -> None:
        """Give up a send that is under way."""
        if self._sending is not None:
            self._sending.cancel()

    async def _farewell(self, code: CloseCode, retry: int) -> None:
        await self._send({"type": "websocket.send", "text": encode(Bye(code=int(code), retry=retry))})
        await self._send({"type": "websocket.close", "code": int(code)})

    def _begin(self, work: Coroutine[Any, Any, None]) -> bool:
        try:
            task = eager.start(work)
        except Exception as error:  # noqa: BLE001 (servers differ in what they raise when the client has gone)
            logger.debug("websocket: could not send: %r", error)
            return True
        if task is None:
            return True
        self._sending = task
        task.add_done_callback(self._sent)
        return False

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending = None
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.debug("websocket: could not send: %r", error)
        self._hub.free(self)
