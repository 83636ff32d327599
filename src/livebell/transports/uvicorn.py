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

from .frames import EXTENSION, Adopter

UNHEARD: Final = 30_000
"""Milliseconds after which the kernel gives up a connection whose other end acknowledges nothing."""


class Protocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, with the extension ``livebell.frames``."""

    _adopter: Adopter | None = None

    def handle_connect(self, event: Any) -> None:
        """Offer the extension; the application's task begins after this returns."""
        super().handle_connect(event)
        if hasattr(self, "scope"):
            extensions: dict[Any, Any] = self.scope["extensions"] or {}
            self.scope["extensions"] = {**extensions, EXTENSION: self}  # type: ignore[dict-item]

    def adopt(self, adopter: Adopter) -> Callable[[bytes], None]:
        """See ``Writer``.

        Livebell sends a frame every 25 s, so that the kernel can tell whether anybody is there (TCP_USER_TIMEOUT, RFC 5482):
        uvicorn's own pings would be two timers and two frames of the same for each connection, four fifths of what an idle
        one costs. What the handshake needed is let go of, a sixth of what one weighs.
        """
        self._adopter = adopter
        self.stop_keepalive()
        self.request.headers.clear()  # the parser's frame keeps the request itself
        del self.request, self.response
        connected = self.transport.get_extra_info("socket")
        with suppress(OSError, AttributeError):  # no TCP, no Linux: then a lost one is noticed later
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNHEARD)
        return self.transport.write

    def abort(self) -> None:
        """See ``Writer``."""
        self.transport.abort()

    def pause_writing(self) -> None:
        """The transport says that its buffer is full."""
        super().pause_writing()
        if self._adopter is not None:
            self._adopter.filled()

    def resume_writing(self) -> None:
        """The transport says that its buffer has room again."""
        super().resume_writing()
        if self._adopter is not None:
            self._adopter.drained()

    def handle_close(self, event: Any) -> None:
        """The client says goodbye: nothing may follow the answer to it."""
        self._end()
        super().handle_close(event)

    def shutdown(self) -> None:
        """The server says goodbye: nothing may follow."""
        self._end()
        super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        self._end()
        super().connection_lost(exc)

    def _end(self) -> None:
        adopter, self._adopter = self._adopter, None
        if adopter is not None:
            adopter.ended()
