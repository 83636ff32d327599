"""The test site as the chaos suite serves it: without the defences that a control takes away, and with its vital signs at
``/chaos/``. ``uvicorn chaos.site:application``."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.asgi import application as whole  # sets Django up
from tests.wsgi import application as pages  # gunicorn chaos.site:pages

__all__ = ["application", "pages"]

from livebell.live import Live

from . import without

without.apply()


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http" and scope["path"] == "/chaos/":
        await _vitals(send)
    else:
        await whole(scope, receive, send)


async def _vitals(send: Any) -> None:
    hub = (await Live.of_this_loop()).hub
    vitals = {"tasks": len(asyncio.all_tasks()), "connections": len(hub.connections), "streams": len(hub.streams)}
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(vitals).encode()})
