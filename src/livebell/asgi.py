"""For projects without Channels routing: one line in ``asgi.py``.

application = livebell_asgi(get_asgi_application())
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.handlers.asgi import ASGIHandler

from .conf import conf
from .live import Live
from .transports import livebell_ready, livebell_socket
from .transports.asgi import Receive, Scope, Send

logger = logging.getLogger("livebell.asgi")

Application = Callable[[Any, Any, Any], Awaitable[None]]


def livebell_asgi(application: Application) -> Application:
    """Serve Livebell's socket and ``lifespan`` in front of *application*, which gets everything else.

    The live side starts with the server, not with the first visitor, so that what scripts publish over the channel layer
    is stored from then on. With ``DEBUG`` it serves static files too, as ``runserver`` does, so that any ASGI server will do
    for development.
    """
    if settings.DEBUG and isinstance(application, ASGIHandler) and apps.is_installed("django.contrib.staticfiles"):
        application = ASGIStaticFilesHandler(application)

    async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif (ours := _ours(scope)) is not None:
            await ours(scope, receive, send)
        elif scope["type"] == "websocket" and not _takes_websockets(application):
            await _refuse(receive, send)
        else:
            await application(scope, receive, send)

    return asgi


def _ours(scope: Scope) -> Application | None:
    """What answers at this path, if it is one of ours."""
    prefix = scope.get("root_path", "") or settings.FORCE_SCRIPT_NAME or ""
    path = scope["path"].removeprefix(prefix.rstrip("/")).strip("/")
    if path == conf().SOCKET_PATH.strip("/"):
        return livebell_socket
    if path == conf().ready_path.strip("/") and scope["type"] == "http":
        return livebell_ready
    return None


def _takes_websockets(application: Application) -> bool:
    """Django's own handler raises for anything but HTTP."""
    return not hasattr(application, "get_response_async") and not hasattr(application, "get_response")


async def _refuse(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close", "code": 4404})


async def _lifespan(receive: Receive, send: Send) -> None:
    live: Live | None = None
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            try:
                live = await Live.of_this_loop()
            except Exception:
                logger.exception("asgi: Livebell could not start, and tries again with the first connection")
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            if live is not None:
                await live.stop()
            return await send({"type": "lifespan.shutdown.complete"})
