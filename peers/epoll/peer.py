"""The epoll loop as a server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..compiler import compile_c
from ..peer import Login, Peer

HERE = Path(__file__).resolve().parent


class EpollLoop(Peer):
    """One process, one thread. It knows no users and keeps nothing."""

    label = "epoll loop in C"
    words = "Listening"

    def __init__(self) -> None:
        self.program_path = compile_c(HERE, "broadcast")
        super().__init__()

    def logins(self, number: int) -> list[Login]:
        return [Login(pk, "") for pk in range(1, number + 1)]

    def command(self) -> Sequence[str]:
        return [str(self.program_path), str(self.port)]

    def publish_command(self) -> Sequence[str]:
        return [*super().publish_command(), str(self.port)]
