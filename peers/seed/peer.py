"""The tutorials' design as a server."""

from __future__ import annotations

from collections.abc import Sequence

from ..peer import Peer


class Seed(Peer):
    """*layer*: ``core`` or ``pubsub`` of channels_redis. *server*: ``uvicorn`` or ``daphne``.

    *as_installed*: with redis-py's own socket timeout, which closes idle sockets after 5 s (see ``settings.py``).
    """

    path = "/ws/notifications/"
    in_flight = 40  # each takes two connections to Redis, and redis-py's pool refuses the 101st
    settings = "peers.seed.settings"

    def __init__(
        self,
        *,
        redis: str,
        database: str = "",
        layer: str = "core",
        server: str = "uvicorn",
        as_installed: bool = False,
    ) -> None:
        super().__init__(
            redis=redis, database=database, SEED_LAYER=layer, SEED_AS_INSTALLED="1" if as_installed else ""
        )
        self.server = server
        self.label = f"Channels tutorial, {layer}, {server}"
        self.words = {"uvicorn": "Uvicorn running on", "daphne": "Listening on TCP address"}[server]

    def program(self) -> Sequence[str]:
        if self.server == "daphne":
            return ["daphne", "-b", self.host, "-p", str(self.port), "peers.seed.asgi:application"]
        return self.uvicorn("peers.seed.asgi:application")
