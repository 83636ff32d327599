"""One WebSocket connection as cheap as it gets in Python: the ``websockets`` library does the protocol, without its tasks,
so that one process holds thousands."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any, Protocol

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from livebell.protocol import SUBPROTOCOL

CONNECT_WITHIN = 10.0


class Ear(Protocol):
    """Who hears what comes."""

    def opened(self) -> None: ...
    def frame(self, text: bytes) -> None: ...
    def lost(self, code: int) -> None: ...


class Link(asyncio.Protocol):
    """A connection, from the handshake to the end. ``lost`` is called exactly once, with 1006 if nobody said why."""

    def __init__(self, ear: Ear, url: str, headers: dict[str, str], subprotocol: str = SUBPROTOCOL) -> None:
        self.ear = ear
        self.protocol = ClientProtocol(
            parse_uri(url),
            origin=headers.get("Origin"),
            subprotocols=[subprotocol] if subprotocol else None,
            max_size=2**24,
        )
        self.headers = headers
        self.transport: asyncio.Transport
        self.gone = False
        self._parts: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        request = self.protocol.connect()
        for name, value in self.headers.items():
            if name != "Origin":
                request.headers[name] = value
        self.protocol.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        self.protocol.receive_data(data)
        self._flush()
        for event in self.protocol.events_received():
            self._event(event)

    def eof_received(self) -> None:
        self.protocol.receive_eof()
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.gone:
            self.gone = True
            self.ear.lost(self.protocol.close_code or 1006)

    def send(self, text: str) -> None:
        if self.protocol.state is State.OPEN:
            self.protocol.send_text(text.encode())
            self._flush()

    def abort(self) -> None:
        """Drop it, without a word to the server and without one to the ear."""
        self.gone = True
        self.transport.abort()

    def _event(self, event: Any) -> None:
        if isinstance(event, Response):
            if self.protocol.state is State.OPEN:
                self.ear.opened()
            else:
                self.transport.close()
        elif isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.CONT):
            self._parts.append(event.data)
            if event.fin:
                text, self._parts = b"".join(self._parts), []
                self.ear.frame(text)

    def _flush(self) -> None:
        for data in self.protocol.data_to_send():
            if data:
                self.transport.write(data)
            else:
                self.transport.close()


async def connect(
    ear: Ear, port: int, path: str, headers: dict[str, str], *, receive_buffer: int = 0, subprotocol: str = SUBPROTOCOL
) -> Link:
    """Connect to a port of this machine. Raises ``OSError`` if nobody listens, ``TimeoutError`` after ten seconds."""
    loop = asyncio.get_running_loop()
    link = Link(ear, f"ws://127.0.0.1:{port}{path}", headers, subprotocol)
    raw = socket.socket()
    try:
        raw.setblocking(False)
        if receive_buffer:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        async with asyncio.timeout(CONNECT_WITHIN):
            await loop.sock_connect(raw, ("127.0.0.1", port))
        await loop.create_connection(lambda: link, sock=raw)
    except BaseException:
        raw.close()
        raise
    return link


def say(frame: dict[str, Any]) -> str:
    return json.dumps(frame, separators=(",", ":"))
