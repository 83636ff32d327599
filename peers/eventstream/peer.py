"""django-eventstream as a server."""

from __future__ import annotations

from collections.abc import Sequence

from ..peer import Peer


class EventStream(Peer):
    """*storage*: "" (as it comes), ``database`` or ``redis``. *as_installed*: with redis-py's own socket timeout."""

    transport = "sse"
    ready = "stream-open"
    path = "/events/"
    settings = "peers.eventstream.settings"

    def __init__(self, *, redis: str, database: str = "", storage: str = "", as_installed: bool = False) -> None:
        options = {"EVENTSTREAM_STORAGE": storage, "EVENTSTREAM_AS_INSTALLED": "1" if as_installed else ""}
        super().__init__(redis=redis, database=database, **options)
        self.label = f"django-eventstream{f', log in {storage}' if storage else ''}"

    def program(self) -> Sequence[str]:
        return self.uvicorn("peers.eventstream.asgi:application")
