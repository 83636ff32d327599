"""The servers that the security tests ask, each with the watched site, and what a client of each transport does."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx

from tests.site import Site


class Watched(Site):
    """Uvicorn as ``docs/deployment.md`` has it, but for the size of frames."""

    application = "tests.security.asgi:application"
    inner = "tests.asgi:application"

    def __init__(self, *, constants: dict[str, Any] | None = None, delay: float = 0, **chosen: Any) -> None:
        super().__init__(**chosen)
        self.environment["LIVEBELL_TEST_INNER"] = self.inner
        self.environment["LIVEBELL_TEST_DELAY"] = str(delay)
        self.environment["LIVEBELL_TEST_CONSTANTS"] = json.dumps(constants or {})

    def close(self) -> None:
        """Without waiting for the event streams that clients have left open."""
        self.stop(kill=True)
        super().close()

    def figures(self) -> dict[str, int]:
        return httpx.get(f"{self.url}/watched/", timeout=20).json()

    @property
    def said(self) -> str:
        """Its log."""
        return self.log.read_text(errors="surrogateescape")


class Framed(Watched):
    """Uvicorn with the protocol that takes finished frames, as it comes: it inflates, and takes frames of any size."""

    program: Sequence[str] = ("uvicorn", "--ws", "livebell.transports.uvicorn:Protocol", "--ws-max-size", "16777216")


class Strict(Watched):
    """Uvicorn with the whole line of ``docs/deployment.md``."""

    program: Sequence[str] = (*Watched.program, "--ws-max-size", "16384")


class Channels(Watched):
    """Uvicorn with Channels routing and ``AuthMiddlewareStack``."""

    inner = "tests.channels_asgi:application"


class Daphne(Watched):
    """Another server."""

    def command(self) -> list[str]:
        return [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(self.port), self.application]

    def answers(self) -> bool:
        return self.log.exists() and "Listening on TCP address" in self.said


PATH = "/livebell/socket/"


@contextmanager
def event_stream(site: Site, cookie: str, **params: str) -> Iterator[Iterator[dict[str, Any]]]:
    """An open event stream: its frames, read as the specification has it."""
    headers = {"Cookie": f"sessionid={cookie}"} if cookie else {}
    with httpx.stream("GET", site.url + PATH, params=params, headers=headers, timeout=70) as answer:
        assert answer.status_code == 200
        yield (json.loads(data) for data in events(answer.iter_bytes()))


def events(pieces: Iterator[bytes]) -> Iterator[str]:
    """The data of each event, parsed by https://html.spec.whatwg.org/multipage/server-sent-events.html, section 9.2.6."""
    data: list[str] = []
    for line in lines(pieces):
        field, _, value = line.partition(":")
        if not line and data:
            yield "\n".join(data)
            data = []
        elif field == "data":
            data.append(value.removeprefix(" "))
        else:
            assert not line or line.startswith(":"), f"a field that nobody sent: {line!r}"


def lines(pieces: Iterator[bytes]) -> Iterator[str]:
    """Lines end at CR LF, LF or CR; a CR at the end of a piece waits for what follows."""
    rest = b""
    for piece in pieces:
        rest += piece
        while (end := min((at for at in (rest.find(b"\r"), rest.find(b"\n")) if at >= 0), default=-1)) >= 0:
            if rest[end : end + 1] == b"\r" and end + 1 == len(rest):
                break
            skip = 2 if rest[end : end + 2] == b"\r\n" else 1
            yield rest[:end].decode()
            rest = rest[end + skip :]
