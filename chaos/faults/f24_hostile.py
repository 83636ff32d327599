"""F24 and F25: payloads at and beyond their limits, hostile text, hostile frames. Each has the one outcome it should,
and the neighbour notices nothing."""

from __future__ import annotations

import json
from typing import Any

from livebell.protocol import MAX_INBOUND

from ..clients import until
from ..fault import Fault, Run
from ..result import Result
from ..rig import Rig, in_thread
from ..scene import Scene
from ..wire import connect
from ..without import DEFENCES

DEEP: Any = "x"
for _ in range(200):
    DEEP = [DEEP]
FITS = 16 * 1024

GOOD = {
    "a title of 200": {"title": "x" * 200},
    "a body of 10,000": {"title": "x", "body": "ü" * 10_000},
    "data of 16 KiB": {"title": "x", "data": "x" * (FITS - 2)},
    "markup": {"title": "<script>alert(1)</script>", "body": '"><img src=x onerror=alert(1)>'},
    "line ends and separators": {"title": "a b", "body": "data: x\n\nevent: y\r\n\u2028\u2029"},
    "right to left": {"title": "\u202egnp.exe \u0627\u0644"},
    "the largest exact integer": {"title": "x", "data": 2**53 - 1},
}
BAD = {
    "a title of 201": {"title": "x" * 201},
    "no title": {"title": ""},
    "a body of 10,001": {"title": "x", "body": "x" * 10_001},
    "data of 16 KiB and a byte": {"title": "x", "data": "x" * (FITS - 1)},
    "NUL in the title": {"title": "a\0b"},
    "NUL in the data": {"title": "x", "data": {"a": "\0"}},
    "a lone surrogate": {"title": "\ud800"},
    "a lone surrogate in the data": {"title": "x", "data": ["\udfff"]},
    "not a number": {"title": "x", "data": float("nan")},
    "infinite": {"title": "x", "data": [float("inf")]},
    "bytes": {"title": "x", "data": b"x"},
    "a script for a link": {"title": "x", "url": "javascript:alert(1)"},
    "another site by two slashes": {"title": "x", "url": "//evil.example"},
    "a level that is none": {"title": "x", "level": "loud"},
}
FRAMES: dict[str, bytes] = {
    "no JSON": b"{",
    "an array": b"[]",
    "another type": b'{"type":"shell"}',
    "twice the same field": b'{"type":"hello","v":1,"v":1,"cursor":1}',
    "10,000 deep": b"[" * 4000,
    "a cursor below zero": b'{"type":"hello","v":1,"epoch":"x","cursor":{"all":-1}}',
    "not a number": b'{"type":"hello","v":NaN}',
    "a byte too many": b'{"type":"hello","v":1,"epoch":"' + b"x" * (MAX_INBOUND - 32) + b'"}',
    "version 2": b'{"type":"hello","v":2}',
    "not UTF-8": b"\xff\xfe",
    "a lone surrogate": b'{"type":"hello","v":1,"epoch":"\\ud800","cursor":{"all":"\\udfff"}}',
}
"""First frames of a client; each ends the connection."""
HARMLESS: dict[str, bytes] = {
    "as large as it may be": b'{"type":"hello","v":1,"epoch":"' + b"x" * (MAX_INBOUND - 33) + b'"}',
    "a cursor beyond 64 bits": b'{"type":"hello","v":1,"epoch":"x","cursor":{"all":99999999999999999999999}}',
    "a cursor of streams that don't exist": b'{"type":"hello","v":1,"epoch":"x","cursor":{"\\u0000":1,"group:99":7}}',
}
"""First frames that are answered with a reset."""


async def run(rig: Rig, run: Run) -> Result:
    if run.without:
        DEFENCES[run.without]()  # the cases are published by this process
    async with Scene(rig, run, clients=10, groups=0, without="") as scene:
        pid = scene.servers[0].pid
        wrong = await in_thread(publish_cases, scene.people.users[0])
        if not run.control:
            wrong += await frame_cases(scene)
        await scene.publish(1, count=50, rate=100)
        dropped = sum(len(tab.codes) for tab in scene.crowd.tabs)
        result = await scene.result(settle=5 if run.control else 60)
        result.limit("wrong outcomes", len(wrong), 0)
        result.limit("neighbours dropped", dropped, 0)
        result.limit("process alive", scene.servers[0].pid == pid, 1, least=True)
        result.notes |= {"cases": len(GOOD) + len(BAD) + len(FRAMES) + len(HARMLESS), "wrong": wrong}
        return result


def publish_cases(user: int) -> list[str]:
    """Names of the cases whose outcome is wrong."""
    from django.contrib.auth import get_user_model
    from django.db import Error

    from livebell import notify
    from livebell.api import NotifyError
    from livebell.models import Notification, Outbox

    someone = get_user_model().objects.get(pk=user)
    wrong = []
    for name, fields in {**GOOD, **BAD}.items():
        before = Notification.objects.count() + Outbox.objects.count()
        try:
            notify(someone, **fields)
            outcome = "stored"
        except NotifyError:
            outcome = "refused"
        except (Error, ValueError, TypeError):
            outcome = "another error"
        stored = Notification.objects.count() + Outbox.objects.count() - before
        if (outcome, stored) != (("stored", 1) if name in GOOD else ("refused", 0)):
            wrong.append(f"{name}: {outcome}")
    return wrong


async def frame_cases(scene: Scene) -> list[str]:
    """The same for first frames: the connection ends, with a code that says: stop."""
    wrong = []
    for name, frame in {**FRAMES, **HARMLESS}.items():
        ear = Stranger()
        port, (_, cookie) = scene.servers[0].port, scene.people.who[0]
        headers = {"Origin": f"http://127.0.0.1:{port}", "Cookie": f"sessionid={cookie}"}
        link = await connect(ear, port, "/livebell/socket/", headers)
        await until(lambda ear=ear: ear.open, 5, "open")
        link.protocol.send_text(frame)
        link._flush()
        await until(lambda ear=ear: bool(ear.code), 8, "closed", strict=False)
        if ear.code not in (STOPS if name in FRAMES else (RESET,)):
            wrong.append(f"{name}: {ear.code}")
        link.abort()
    return wrong


RESET = -1
STOPS = (1002, 1006, 1007, 1009, 4504, 4505)


class Stranger:
    """Hears only how it ends."""

    def __init__(self) -> None:
        self.open, self.code = False, 0

    def opened(self) -> None:
        self.open = True

    def frame(self, text: bytes) -> None:
        frame = json.loads(text)
        if frame["type"] == "reset":
            self.code = RESET

    def lost(self, code: int) -> None:
        self.code = self.code or code


FAULT = Fault(
    "F24",
    "payload limits, hostile text and frames (and F25)",
    run,
    (Run(), Run("content not looked at", "content_check", ("wrong outcomes",))),
)
