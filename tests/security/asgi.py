"""The test site for an ASGI server, watched and hurried.

``LIVEBELL_TEST_INNER`` names the application (default ``tests.asgi:application``). ``LIVEBELL_TEST_CONSTANTS`` is JSON:
``{"live.RECOUNT_EVERY": 2}`` shortens what would take a test too long. ``GET /watched/`` tells how many statements this
process has sent to the database, how many at once at the most, how many of them ask about somebody (the loops of a live
process don't), what it weighs, and how many it has let in.
``LIVEBELL_TEST_DELAY`` makes each statement take so many seconds longer.
"""

import json
import os
import resource
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

module, _, name = os.environ.get("LIVEBELL_TEST_INNER", "tests.asgi:application").partition(":")
inner = getattr(import_module(module), name)

from django.db.backends.signals import connection_created  # noqa: E402  (after Django is set up)

from livebell.transports.admission import admission  # noqa: E402

for path, value in json.loads(os.environ.get("LIVEBELL_TEST_CONSTANTS", "{}")).items():
    part, constant = path.rsplit(".", 1)
    assert hasattr(import_module(f"livebell.{part}"), constant)
    setattr(import_module(f"livebell.{part}"), constant, value)


DELAY = float(os.environ.get("LIVEBELL_TEST_DELAY", "0"))


class Statements:
    """Counts what goes to the database."""

    def __init__(self) -> None:
        self.sent = self.now = self.most = self.about = 0
        self.lock = threading.Lock()

    def watch(self, connection: Any, **kwargs: object) -> None:
        if self.execute not in connection.execute_wrappers:  # they outlive a reconnect
            connection.execute_wrappers.append(self.execute)

    def execute(self, execute: Any, sql: str, *args: Any) -> Any:
        with self.lock:
            self.sent += 1
            self.about += any(table in sql for table in ("django_session", "auth_user", "livebell_mark"))
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(DELAY)
        try:
            return execute(sql, *args)
        finally:
            with self.lock:
                self.now -= 1


statements = Statements()
connection_created.connect(statements.watch, weak=False)


def figures() -> dict[str, int]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "statements": statements.sent,
        "at_once": statements.most,
        "about_somebody": statements.about,
        "cpu_ms": int(1000 * (used.ru_utime + used.ru_stime)),
        "kib": pages * os.sysconf("SC_PAGE_SIZE") // 1024,
        "taken": admission.taken,
        "waiting": sum(admission.waiting.values()),
        "files": len(os.listdir("/proc/self/fd")),
    }


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http" or scope["path"] != "/watched/":
        await inner(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(figures()).encode()})
