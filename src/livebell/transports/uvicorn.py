"""A door into uvicorn: ``uvicorn … --ws livebell.transports.uvicorn:Protocol``.

Optional. A broadcast hands the same frame to thousands of sockets; through ASGI's ``send`` each of them encodes and frames
it again. This subclass of uvicorn's own protocol lets the application hand over a finished frame, which it writes to the
transport as it is. It offers that in the scope, as an ASGI extension; with any other server ``send`` is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from .frames import EXTENSION


class Protocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, with the extension ``livebell.frames``."""

    _drained: Callable[[], None] | None = None

    def handle_connect(self, event: Any) -> None:
        """Offer the extension; the application's task begins after this returns."""
        super().handle_connect(event)
        if hasattr(self, "scope"):
            extensions: dict[Any, Any] = self.scope["extensions"] or {}
            self.scope["extensions"] = {**extensions, EXTENSION: self}  # type: ignore[dict-item]

    def write(self, frame: bytes) -> bool:
        """Write a finished frame. False: the transport's buffer is full, and ``when_drained`` will say when it isn't."""
        if not (self.disconnected or self.close_sent or self.transport.is_closing()):
            self.transport.write(frame)
        return self.writable.is_set()

    def when_drained(self, call: Callable[[], None]) -> None:
        """Call this each time the buffer has room again."""
        self._drained = call

    def abort(self) -> None:
        """Drop the connection with all that its buffer holds: its client does not read."""
        self.transport.abort()

    def resume_writing(self) -> None:
        """The transport says that its buffer has room again."""
        super().resume_writing()
        if self._drained is not None:
            self._drained()
