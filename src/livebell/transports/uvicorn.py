"""A door into uvicorn: ``uvicorn … --ws livebell.transports.uvicorn:Protocol``.

Optional. A broadcast hands the same frame to thousands of sockets; through ASGI's ``send`` each of them encodes and frames
it again. This subclass of uvicorn's own protocol lets the application hand over a finished frame, which it writes to the
transport as it is. It offers that in the scope, as an ASGI extension; with any other server ``send`` is used.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from .frames import EXTENSION

UNHEARD: Final = 30_000
"""Milliseconds after which the kernel gives up a connection whose other end acknowledges nothing."""


class Protocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, with the extension ``livebell.frames``."""

    _drained: Callable[[], None] | None = None
    _full = False

    def handle_connect(self, event: Any) -> None:
        """Offer the extension; the application's task begins after this returns."""
        super().handle_connect(event)
        if hasattr(self, "scope"):
            extensions: dict[Any, Any] = self.scope["extensions"] or {}
            self.scope["extensions"] = {**extensions, EXTENSION: self}  # type: ignore[dict-item]

    def write(self, frame: bytes) -> bool:
        """Write a finished frame. False: the transport's buffer is full; the call given to ``adopt`` says when it isn't."""
        if not (self.disconnected or self.close_sent or self.transport.is_closing()):
            self.transport.write(frame)
        return not self._full

    def adopt(self, drained: Callable[[], None]) -> None:
        """Livebell has accepted this connection and keeps it from now on. Call *drained* each time the buffer has room
        again.

        Livebell sends a frame every 25 s, so that the kernel can tell whether anybody is there (TCP_USER_TIMEOUT, RFC 5482):
        uvicorn's own pings would be two timers and two frames of the same for each connection, four fifths of what an idle
        one costs. What the handshake needed is let go of, a sixth of what one weighs.
        """
        self._drained = drained
        self.stop_keepalive()
        self.request.headers.clear()  # the parser's frame keeps the request itself
        del self.request, self.response
        connected = self.transport.get_extra_info("socket")
        with suppress(OSError, AttributeError):  # no TCP, no Linux: then a lost one is noticed later
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNHEARD)

    def abort(self) -> None:
        """Drop the connection with all that its buffer holds: its client does not read."""
        self.transport.abort()

    def pause_writing(self) -> None:
        """The transport says that its buffer is full."""
        super().pause_writing()
        self._full = True

    def resume_writing(self) -> None:
        """The transport says that its buffer has room again."""
        super().resume_writing()
        self._full = False
        if self._drained is not None:
            self._drained()
