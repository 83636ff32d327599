"""The test site served by real servers, and clients that keep a log of what they applied."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from livebell.protocol import SUBPROTOCOL
from tests.reference_client import Client
from tests.services.process import Process

ROOT = Path(__file__).resolve().parent.parent


def environment(*, bus: str = "database", redis: str = "", layer: str = "", **livebell: Any) -> dict[str, str]:
    """What a process of the test site needs to know: the test's own database, a bus, a layer."""
    chosen = {"BUS": bus, **({"REDIS_URL": redis} if redis else {}), **livebell}
    given = {
        "LIVEBELL_TEST_NAME": str(settings.DATABASES["default"]["NAME"]),
        "LIVEBELL_TEST_SETTINGS": json.dumps(chosen),
        "LIVEBELL_TEST_LAYER": layer,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "PYTHONPATH": str(ROOT),
    }
    return {**os.environ, **given, **({"REDIS_URL": redis} if redis else {})}


class Site(Process):
    """One uvicorn with the test site."""

    program: Sequence[str] = ("uvicorn", "--ws", "websockets-sansio", "--ws-per-message-deflate", "false")
    application = "tests.asgi:application"

    def __init__(self, **chosen: Any) -> None:
        super().__init__("site")
        self.environment = environment(**chosen)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> Sequence[str]:
        options = ["--host", "127.0.0.1", "--port", str(self.port), "--timeout-graceful-shutdown", "2"]
        return [sys.executable, "-m", *self.program, *options, self.application]

    def popen_options(self) -> dict:
        return {**super().popen_options(), "cwd": ROOT, "env": self.environment}

    def answers(self) -> bool:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "Uvicorn running on" in text


class Pages(Site):
    """The same site under WSGI: one gunicorn, which can publish and show, and holds no socket."""

    @classmethod
    def at(cls, port: int, **chosen: Any) -> Pages:
        """On a port that was chosen before, because another process has to know it."""
        pages = cls(**chosen)
        pages.port = port
        return pages

    def command(self) -> Sequence[str]:
        options = ["--bind", f"127.0.0.1:{self.port}", "--workers", "2", "--threads", "4"]
        return [sys.executable, "-m", "gunicorn", *options, "tests.wsgi:application"]

    def answers(self) -> bool:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return text.count("Booting worker") >= 2


class Page:
    """An open page of one user: a socket, and a client that applies what comes and reconnects as a browser would."""

    def __init__(self, site: Site, cookie: str) -> None:
        self.site, self.cookie, self.client = site, cookie, Client()
        self.socket: ClientConnection | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Page:
        self.open()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def open(self) -> None:
        self.socket = self._stack.enter_context(open_socket(self.site, cookie=self.cookie))
        self.socket.send(json.dumps(self.client.hello()))
        self.until(lambda: self.client.snapshot is not None)

    def close(self) -> None:
        self._stack.close()
        self.socket = None

    def until(self, level: Callable[[], bool], seconds: float = 10) -> float:
        """Apply frames until the page is as wanted; returns how long it took, in seconds."""
        began = time.monotonic()
        while not level():
            left = seconds - (time.monotonic() - began)
            assert left > 0, f"still {self.client.cursor}, {self.client.snapshot} after {seconds} s"
            assert self.socket is not None
            try:
                frame = json.loads(self.socket.recv(timeout=left))
            except TimeoutError:
                continue
            except ConnectionClosed:
                return self._again(began, level, left)
            if not self.client.receive(frame):
                self.close()
                self.open()
        return time.monotonic() - began

    def _again(self, began: float, level: Callable[[], bool], left: float) -> float:
        self.open()
        self.until(level, left)
        return time.monotonic() - began

    def badge(self, number: int, seconds: float = 10) -> float:
        """Wait until the badge shows this number."""
        return self.until(lambda: self.client.snapshot is not None and self.client.badge == number, seconds)

    @property
    def titles(self) -> list[str]:
        """Titles of the notifications that came, in the order they came."""
        return [item["title"] for item in self.client.items.values()]


def open_socket(site: Site, *, cookie: str = "", origin: str | None = "", **options: Any) -> ClientConnection:
    """A WebSocket as a browser would open it; ``origin=None`` sends none."""
    headers = {"Cookie": f"sessionid={cookie}"} if cookie else {}
    return connect(
        f"ws://127.0.0.1:{site.port}/livebell/socket/",
        origin=site.url if origin == "" else origin,  # type: ignore[arg-type]
        additional_headers=headers,
        subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]
        compression=None,
        **options,
    )


def log_in(user: Any) -> str:
    """A session of this user; returns the cookie."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    assert session.session_key is not None
    return session.session_key


def python(code: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, with Django set up."""
    setup = "import django; django.setup()\n"
    command = [sys.executable, "-c", setup + code]
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def serving(**chosen: Any) -> Iterator[Site]:
    """A site, for as long as the block lasts."""
    with Site(**chosen) as site:
        yield site
