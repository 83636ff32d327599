"""python-socketio as a server."""

from __future__ import annotations

from collections.abc import Sequence

from ..peer import Peer


class PythonSocketIO(Peer):
    """On uvicorn."""

    label = "python-socketio"
    transport = "sio"
    ready = "40{"
    path = "/socket.io/?EIO=4&transport=websocket"
    settings = "peers.django_site"

    def program(self) -> Sequence[str]:
        return self.uvicorn("peers.python_socketio.app:application")
