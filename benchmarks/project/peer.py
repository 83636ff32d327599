"""Livebell as a server, in the same clothes as its peers."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from peers import Login, Peer

WEBSOCKETS = {"": "livebell.transports.uvicorn:Protocol", "plain": "websockets-sansio"}


class Livebell(Peer):
    """*door*: "" for the documented one, ``plain`` for uvicorn's own WebSockets. *bus*: ``redis`` or ``database``.

    *counting*: the site counts its queries, and tells at ``/queries/`` how many there have been.
    """

    path = "/livebell/socket/"
    subprotocol = "livebell.v1"
    ready = '"type":"snapshot"'
    settings = "benchmarks.project.settings"

    def __init__(
        self, *, redis: str, database: str, door: str = "", bus: str = "redis", counting: bool = False
    ) -> None:
        super().__init__(redis=redis, database=database, BENCH_BUS=bus, BENCH_COUNT="1" if counting else "")
        self.websockets = WEBSOCKETS[door]
        self.label = (
            "Livebell" + (", plain ASGI send" if door else "") + (", database bus" if bus == "database" else "")
        )

    def program(self) -> Sequence[str]:
        options = ("--ws", self.websockets, "--ws-max-size", "16384", "--ws-per-message-deflate", "false")
        return self.uvicorn("benchmarks.project.asgi:application", *options)

    def publish_command(self) -> Sequence[str]:
        return [sys.executable, "-m", "benchmarks.project.publish"]

    def logins(self, number: int) -> list[Login]:
        return [Login(pk, cookie) for pk, (cookie, _) in enumerate(self.clients(number), 1)]

    def clients(self, number: int) -> list[tuple[str, str]]:
        """With the hello of a client that has everything up to now."""
        lines = self.run_module("benchmarks.project.clients", str(number)).splitlines()
        return [(cookie, hello) for cookie, _, hello in (line.partition("\t") for line in lines)]
