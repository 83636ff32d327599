"""The ASGI application that mounts in Channels' ``URLRouter`` or anywhere else."""

from __future__ import annotations

from .asgi import Receive, Scope, Send
from .http import serve_http, serve_ready
from .websocket import serve_websocket


async def livebell_socket(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one WebSocket, one event stream or one long poll."""
    if scope["type"] == "websocket":
        await serve_websocket(scope, receive, send)
    elif scope["type"] == "http":
        await serve_http(scope, receive, send)
    else:
        raise ValueError(f"livebell_socket serves websocket and http, not {scope['type']!r}")


async def livebell_ready(scope: Scope, receive: Receive, send: Send) -> None:
    """Say whether this process takes in connections."""
    if scope["type"] == "http":
        await serve_ready(scope, receive, send)
    else:
        raise ValueError(f"livebell_ready serves http, not {scope['type']!r}")
