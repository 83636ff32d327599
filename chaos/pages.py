"""WSGI workers that publish: ``gunicorn --preload chaos.pages:application``. They have published before they are forked."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpx

from tests.services.process import Process
from tests.site import ROOT


class Workers(Process):
    """Four of them, under a gunicorn."""

    def __init__(self, env: dict[str, str], user: int) -> None:
        super().__init__("workers")
        self.environment = {**env, "CHAOS_FIRST": str(user)}

    def command(self) -> list[str]:
        options = ["--preload", "--workers", "4", "--threads", "2", "--bind", f"127.0.0.1:{self.port}"]
        return [sys.executable, "-m", "gunicorn", *options, "chaos.pages:application"]

    def popen_options(self) -> dict:
        return {**super().popen_options(), "cwd": ROOT, "env": self.environment}

    def answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/", timeout=5).is_success
        except httpx.HTTPError:
            return False


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """``POST /USER/KEY`` publishes, and answers the seconds that it took."""
    body = b""
    if environ["REQUEST_METHOD"] == "POST":
        user, key = environ["PATH_INFO"].strip("/").split("/")
        body = str(publish(int(user), key)).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def publish(user: int, key: str) -> float:
    from django.contrib.auth import get_user_model

    from livebell import notify

    someone = get_user_model().objects.get(pk=user)
    began = time.monotonic()
    notify(someone, key, data={"k": key, "t": began})
    return time.monotonic() - began


def prepare() -> None:
    """Before the fork: Django, the bus, and one publish over it."""
    import django

    django.setup()
    from django.db import connections

    from . import without

    without.apply()
    publish(int(os.environ["CHAOS_FIRST"]), "before-the-fork")
    connections.close_all()


if "CHAOS_FIRST" in os.environ:
    prepare()
