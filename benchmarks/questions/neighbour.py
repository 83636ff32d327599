"""What does a broadcast cost other work in the same process? A request to a trivial view, again and again, meanwhile."""

from __future__ import annotations

import statistics
import threading
import time
from http.client import HTTPConnection

from ..stage import Session
from . import latency

PAUSE = 0.02
"""Seconds between two requests."""


def measure(session: Session, *, every: float, seconds: float) -> dict[str, float]:
    """Milliseconds that a request takes while messages go out as in :mod:`latency`."""
    took: list[float] = []
    done = threading.Event()
    asking = threading.Thread(target=ask, args=(session.peer.port, done, took))
    asking.start()
    try:
        beside = latency.measure(session, every=every, seconds=seconds)
    finally:
        done.set()
        asking.join()
    if len(took) < 2:
        raise ValueError("no request was answered")
    parts = statistics.quantiles(took, n=100)
    return {"p50": parts[49], "p99": parts[98], "max": max(took), "requests": len(took), "lost": beside["lost"]}


def ask(port: int, done: threading.Event, took: list[float]) -> None:
    """One request after the other over one connection."""
    server = HTTPConnection("127.0.0.1", port, timeout=30)
    while not done.wait(PAUSE):
        began = time.perf_counter()
        server.request("GET", "/hello/")
        server.getresponse().read()
        took.append((time.perf_counter() - began) * 1e3)
    server.close()
