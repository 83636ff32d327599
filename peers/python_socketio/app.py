"""The server: a room for everybody, and one for each user that the session of Django names."""

from __future__ import annotations

import os
from http.cookies import SimpleCookie
from typing import Any

import django
import socketio

django.setup()

from django.contrib.auth import SESSION_KEY  # noqa: E402  (after Django is set up)
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402

manager = socketio.AsyncRedisManager(os.environ["REDIS_URL"], redis_options={"socket_timeout": None})
server = socketio.AsyncServer(async_mode="asgi", client_manager=manager, cors_allowed_origins="*")
application = socketio.ASGIApp(server)


@server.event
async def connect(sid: str, environ: dict[str, Any]) -> bool:
    cookie = SimpleCookie(environ.get("HTTP_COOKIE", "")).get("sessionid")
    user = await SessionStore(cookie.value).aget(SESSION_KEY) if cookie else None
    if user is None:
        return False
    await server.enter_room(sid, "all")
    await server.enter_room(sid, f"user-{user}")
    return True
