"""The ASGI application that mounts in Channels' ``URLRouter`` or anywhere else."""

from __future__ import annotations

from .asgi import Receive, Scope, Send
from .http import serve_http
from .websocket import serve_websocket


async def livebell_socket(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one WebSocket, one event stream or one long poll."""
    if scope["type"] == "websocket":
        await serve_websocket(scope, receive, send)
    elif scope["type"] == "http":
        await serve_http(scope, receive, send)
    else:
        raise ValueError(f"livebell_socket serves websocket and http, not {scope['type']!r}")
