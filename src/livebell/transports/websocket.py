"""The WebSocket."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Any

from django.db import Error

from ..hub import Hub
from ..live import Live
from ..protocol import MAX_INBOUND, SUBPROTOCOL, BadFrame, Bye, ClientHello, CloseCode, decode_hello, encode
from . import gate
from .admission import Full, Place, admission
from .asgi import Message, Outlet, Receive, Scope, Send, nobody, reader_of, session_of
from .frames import EXTENSION, Writer, text_frame

logger = logging.getLogger("livebell.websocket")

HELLO_WITHIN = 5.0
"""Seconds that a client has to say hello."""
MAX_FRAMES = 20
"""Frames after the hello that a client may send in a minute; it needs none."""


class Socket(Outlet):
    """A WebSocket as the hub sees it."""

    __slots__ = ()

    def wrap(self, text: str) -> Message:
        """See ``Outlet``."""
        return {"type": "websocket.send", "text": text}

    async def end(self, code: CloseCode) -> None:
        """See ``Outlet``."""
        await _close(self._send, code)


class FramedSocket(Socket):
    """A WebSocket of a server that takes finished frames."""

    __slots__ = ("_full", "_write", "_writer")

    def __init__(self, writer: Writer, *given: Any) -> None:
        super().__init__(*given)
        self._full = False
        self._writer, self._write = writer, writer.adopt(self)

    def send(self, text: str) -> bool:
        """See ``Connection``. One write to the transport; its buffer is the send that hasn't finished."""
        if self._closing:
            return True
        self._write(text_frame(text))
        return not self._full

    def close(self, code: CloseCode, *, retry: int = 0) -> None:
        """See ``Connection``. Who doesn't read is dropped, with what the buffer holds."""
        if code is CloseCode.SLOW and not self._closing:
            self._closing = True
            self._writer.abort()
        super().close(code, retry=retry)

    def filled(self) -> None:
        """See ``Adopter``."""
        self._full = True

    def drained(self) -> None:
        """See ``Adopter``."""
        self._full = False
        if self.busy_since:
            self._hub.free(self)

    def ended(self) -> None:
        """See ``Adopter``."""
        self._closing = True


async def serve_websocket(scope: Scope, receive: Receive, send: Send) -> None:
    """One connection, from the handshake to the end."""
    await receive()
    if not gate.same_site(scope):
        return await _close(send, CloseCode.FORBIDDEN)
    try:
        with admission.enter(gate.address(scope)) as place:
            await _serve(place, scope, receive, send)
    except Full as full:
        await _send_away(scope, send, full)


async def _serve(place: Place, scope: Scope, receive: Receive, send: Send) -> None:
    try:
        live = await Live.of_this_loop()
        reader = await reader_of(live, scope)
    except Error:
        logger.exception("websocket: the database does not answer")
        return await _close(send, CloseCode.SERVER_ERROR)
    if live.hub.draining:
        return await _unavailable(scope, send)
    if reader is not None:
        place.known(reader)
    elif nobody(None) is not None:
        place.nobody()
    else:
        return await _close(send, CloseCode.NO_SESSION)
    await send({"type": "websocket.accept", "subprotocol": _subprotocol(scope)})
    try:
        socket = await _greet(place, scope, reader, receive, send, live.hub)
    except BadFrame as error:
        return await _close(send, error.code)
    if socket is None:
        return None
    live.hub.join(socket)
    try:
        await _listen(socket, receive)
    finally:
        live.hub.leave(socket)
        socket.cancel()


async def _greet(
    place: Place, scope: Scope, reader: str | None, receive: Receive, send: Send, hub: Hub
) -> Socket | None:
    """The socket as its client's hello asks for it; None if the client has gone. Raises :class:`BadFrame`.

    A function of its own, so that the hello is not kept for as long as the connection lasts.
    """
    hello = await _hello(receive)
    if hello is None:
        return None
    if reader is not None:
        place.settle()
    elif (reader := nobody(hello)) is None:
        raise BadFrame(CloseCode.NO_SESSION)
    session = session_of(scope, reader)
    writer = scope.get("extensions", {}).get(EXTENSION)
    if writer is None:
        return Socket(reader, hello, session, send, hub)
    return FramedSocket(writer, reader, hello, session, send, hub)


async def _close(send: Send, code: CloseCode) -> None:
    """Before the handshake is accepted, a server makes an HTTP 403 of it. Daphne lets an application say only what is its
    own, from 3000 on; what is too big is a bad frame there."""
    try:
        await send({"type": "websocket.close", "code": int(code)})
    except Exception:
        if code >= 3000:
            raise
        await send({"type": "websocket.close", "code": int(CloseCode.BAD_FRAME)})


async def _send_away(scope: Scope, send: Send, full: Full) -> None:
    """The handshake is accepted, because a browser tells its page nothing of a refused one, not even to wait."""
    await send({"type": "websocket.accept", "subprotocol": _subprotocol(scope)})
    await send({"type": "websocket.send", "text": encode(Bye(code=int(CloseCode.OVERLOADED), retry=full.retry))})
    await _close(send, CloseCode.OVERLOADED)


async def _unavailable(scope: Scope, send: Send) -> None:
    """503 in place of the handshake, at which a proxy asks another process; a server that can't say it makes a 403 of it."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await _close(send, CloseCode.DRAIN)
        return
    start = {"type": "websocket.http.response.start", "status": int(HTTPStatus.SERVICE_UNAVAILABLE), "headers": []}
    await send(start)
    await send({"type": "websocket.http.response.body", "body": b""})


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


async def _listen(socket: Socket, receive: Receive) -> None:
    """Until the client has gone. What it says is of no interest, unless it is too much of it."""
    loop = asyncio.get_running_loop()
    began, frames = loop.time(), 0
    while (message := await receive())["type"] != "websocket.disconnect":
        if loop.time() - began > 60:
            began, frames = loop.time(), 0
        frames += 1
        if frames > MAX_FRAMES:
            socket.close(CloseCode.RATE)
        elif len(message.get("text") or message.get("bytes") or "") > MAX_INBOUND:
            socket.close(CloseCode.TOO_BIG)
