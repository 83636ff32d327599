"""An open page in a thread of its own: whichever transport, it writes down what came when, and how it ended."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed

from tests.reference_client import Client
from tests.security.servers import PATH, event_stream
from tests.site import Site, open_socket

TRANSPORTS = ("socket", "stream", "poll")


class Listener(threading.Thread):
    """``frames`` with the time of each, and ``code`` and ``ended`` once it is over."""

    def __init__(self, site: Site, cookie: str, transport: str) -> None:
        super().__init__(daemon=True)
        self.site, self.cookie, self.transport = site, cookie, transport
        self.client = Client()
        self.frames: list[tuple[float, dict[str, Any]]] = []
        self.code: int | None = None
        self.ended = 0.0
        self.ready = threading.Event()
        self.start()
        assert self.ready.wait(20), f"{transport} gets no answer"

    def run(self) -> None:
        with suppress(httpx.HTTPError, ConnectionClosed, AssertionError):  # how it ended is in ``code``, or isn't known
            getattr(self, f"_{self.transport}")()
        self.ended = self.ended or time.time()
        self.ready.set()

    def titles(self, after: float = 0.0) -> list[str]:
        """Of the notifications that came after that time."""
        return [
            entry["title"]
            for came, frame in self.frames
            if came > after and frame["type"] == "entries"
            for entry in frame["entries"]
            if "title" in entry
        ]

    def until(self, titles: set[str], seconds: float = 20) -> None:
        """Wait until all of these have come."""
        deadline = time.monotonic() + seconds
        while not titles <= set(self.titles()):
            assert time.monotonic() < deadline, f"{self.transport} lacks {sorted(titles - set(self.titles()))[:5]}"
            time.sleep(0.02)  # the thread writes; nothing would tell us

    def kinds(self, kind: str) -> int:
        """How many frames of this type have come."""
        return [frame["type"] for _, frame in list(self.frames)].count(kind)

    def _take(self, frame: dict[str, Any]) -> None:
        self.frames.append((time.time(), frame))
        self.client.receive(frame)
        if frame["type"] in ("reset", "snapshot"):
            self.ready.set()
        if frame["type"] == "bye":
            self.code, self.ended = frame["code"], time.time()

    def _socket(self) -> None:
        with open_socket(self.site, cookie=self.cookie) as socket:
            socket.send('{"type": "hello"}')
            try:
                while True:
                    self._take(json.loads(socket.recv(timeout=70)))
            except ConnectionClosed as closed:
                self.code = closed.rcvd.code if closed.rcvd else self.code

    def _stream(self) -> None:
        with event_stream(self.site, self.cookie) as frames:
            for frame in frames:
                self._take(frame)

    def _poll(self) -> None:
        headers = {"Cookie": f"sessionid={self.cookie}"}
        with httpx.Client(base_url=self.site.url, headers=headers, timeout=70) as http:
            while self.code is None:
                answer = http.get(PATH, params={**self._position(), "wait": "20"})
                if answer.status_code == 401:
                    self.code = 4501
                    return
                for frame in answer.raise_for_status().json()["frames"]:
                    self._take(frame)

    def _position(self) -> dict[str, str]:
        client = self.client
        if client.snapshot is None:
            return {}
        return {"epoch": client.epoch, "cursor": json.dumps(client.cursor), "rev": str(client.snapshot["rev"])}
