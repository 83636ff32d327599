"""Socket.IO on Node.js as a server."""

from __future__ import annotations

import functools
import json
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from tests.services.node import node_path
from tests.services.programs import Unavailable, debian, on_path, program, run

from ..peer import Login, Peer

HERE = Path(__file__).resolve().parent


class SocketIO(Peer):
    """One process with the Redis adapter. It knows no users: everybody is in the room of all."""

    label = "Socket.IO"
    transport = "sio"
    ready = "40{"
    path = "/socket.io/?EIO=4&transport=websocket"
    words = "Listening"

    def __init__(self, *, redis: str) -> None:
        self.node = node()
        super().__init__(redis=redis)

    def logins(self, number: int) -> list[Login]:
        return [Login(pk, "") for pk in range(1, number + 1)]

    def command(self) -> Sequence[str]:
        return [self.node, "--expose-gc", str(HERE / "server.js"), str(self.port)]

    def settle(self) -> None:
        """The garbage of its start would hide what connections take."""
        assert self.process is not None
        self.process.send_signal(signal.SIGUSR2)
        time.sleep(0.3)

    def publish_command(self) -> Sequence[str]:
        return [self.node, str(HERE / "publish.js")]


@functools.cache
def node() -> str:
    """Node.js, with the packages beside this file installed from npm if they aren't. Raises ``Unavailable``."""
    found = node_path()
    if not up_to_date():
        npm = program("npm", lambda: on_path("npm"), debian("npm"))
        shutil.rmtree(HERE / "node_modules", ignore_errors=True)
        options = ("--prefix", str(HERE), "--no-package-lock", "--no-audit", "--no-fund", "--omit", "dev")
        if problem := run(str(npm), "install", *options):
            raise Unavailable(problem)
    return found


def up_to_date() -> bool:
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"]
    return all(version_of(name) == version for name, version in wanted.items())


def version_of(package: str) -> str:
    """Which version of a package is installed; "" if it isn't."""
    try:
        return str(json.loads((HERE / "node_modules" / package / "package.json").read_text())["version"])
    except OSError:
        return ""
