"""What Livebell must reach, and whether it has, from one and the same run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from .contenders import LIMIT, NCHAN, OURS, SOCKET_IO, TUTORIAL
from .plan import DATABASE_BUS, HQ
from .record import Record

Value = float | None


@dataclass(frozen=True)
class Bound:
    """One value and its limit. Without either it was not measured."""

    what: str
    value: Value
    limit: Value
    unit: str = ""
    at_least: bool = False

    @property
    def reached(self) -> bool | None:
        if self.value is None or self.limit is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        return f"{self.what} {number(self.value)}{self.unit}".strip()

    @property
    def wanted(self) -> str:
        return f"{self.what} {'≥' if self.at_least else '≤'} {number(self.limit)}{self.unit}".strip()


@dataclass(frozen=True)
class Verdict:
    """One line of the table."""

    number: int
    title: str
    bounds: tuple[Bound, ...]
    beside: str = ""
    """What others had in the same run."""

    @property
    def reached(self) -> bool | None:
        """None: at least one of them was not measured."""
        every = [bound.reached for bound in self.bounds]
        return False if False in every else None if None in every else True

    @property
    def word(self) -> str:
        return {True: "reached", False: "**not reached**", None: "not measured"}[self.reached]


def verdicts(record: Record) -> list[Verdict]:
    """All of them, in order."""
    return [
        Verdict(n, title, tuple(bounds(record)), beside(record)) for n, (title, bounds, beside) in enumerate(FIGURES, 1)
    ]


def number(value: Value) -> str:
    """As many digits as mean something."""
    if value is None:
        return "–"
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def times(factor: float, value: Value) -> Value:
    return None if value is None else factor * value


def broadcast(r: Record) -> Iterator[Bound]:
    yield Bound("", r.median("broadcast", OURS, "deliveries/s"), 600_000, "/s", at_least=True)
    yield from whole(r, "broadcast")


def latency(r: Record) -> Iterator[Bound]:
    for name, factor in (("p50", 1.25), ("p99", 1.5)):
        yield Bound(name, r.median("latency", OURS, name), times(factor, r.median("latency", NCHAN, name)), " ms")
    yield from whole(r, "latency")


def cpu(r: Record) -> Iterator[Bound]:
    ours = r.median("latency", OURS, "cpu")
    yield Bound("", ours, 10, " µs")
    yield Bound("", ours, times(1.25, r.median("latency", LIMIT, "cpu")), " µs")
    yield Bound("messages per frame", r.median("latency", OURS, "messages per frame"), 1.05)


def many(r: Record) -> Iterator[Bound]:
    yield Bound("p99", r.median("many", OURS, "p99"), times(1.5, r.median("many", NCHAN, "p99")), " ms")
    yield from whole(r, "many")


def targeted(r: Record) -> Iterator[Bound]:
    yield Bound("p99", r.median("targeted", OURS, "p99"), 100, " ms")
    yield from whole(r, "targeted")


def memory(r: Record) -> Iterator[Bound]:
    yield Bound("", r.median("memory", OURS, "kB"), 20, " kB")


def storm(r: Record) -> Iterator[Bound]:
    yield Bound("", r.median("storm", OURS, "connects/s"), 1200, "/s", at_least=True)
    yield Bound("queries per connection", r.median("storm", OURS, "queries per connection"), 0.1)
    yield from whole(r, "storm")


def publish(r: Record) -> Iterator[Bound]:
    yield Bound("of the raw statement", r.median("publish", OURS, "ratio"), 0.6, " ×", at_least=True)
    yield Bound("new Redis connections", r.median("publish", OURS, "redis connections"), 0)


def audience(r: Record) -> Iterator[Bound]:
    for size in r.places("audience", OURS) or [10_000]:
        figure = r.figure("audience", OURS, "ratio", size)
        yield Bound(f"{size:,.0f}: of raw", figure.median if figure else None, 0.6, " ×", at_least=True)
    held = r.figure("audience", OURS, "memory")
    yield Bound("memory", held.high if held else None, 50, " MB")


def everyone(r: Record) -> Iterator[Bound]:
    places = r.places("everyone", OURS) or [10]
    few, lots = (r.figure("everyone", OURS, "ms", place) for place in (places[0], places[-1]))
    yield Bound(f"{places[-1]:,.0f} users", lots and lots.median, times(1.25, few and few.median), " ms")
    yield Bound("entries", r.median("everyone", OURS, "rows"), 1)


def reading(r: Record) -> Iterator[Bound]:
    most = max(r.places("reading", OURS), default=0)
    for name, what, limit in (("unread", "number", 2.0), ("page", "page", 5.0), ("mark all", "all read", 5.0)):
        figure = r.figure("reading", OURS, name, most)
        yield Bound(what, figure and figure.median, limit, " ms")


def idle(r: Record) -> Iterator[Bound]:
    yield Bound("Redis bus", r.median("idle", OURS, "percent"), 2, " %")
    yield Bound("database bus", r.median("idle", DATABASE_BUS, "percent"), 5, " %")


def neighbour(r: Record) -> Iterator[Bound]:
    yield Bound("p99", r.median("neighbour", OURS, "p99"), 50, " ms")


def whole(r: Record, question: str) -> Iterator[Bound]:
    """Nothing lost and nothing doubled, in any round."""
    for name in ("lost", "doubled"):
        figure = r.figure(question, OURS, name)
        yield Bound(name, figure and figure.high, 0)


def beside(question: str, value: str, *peers: str, unit: str = "") -> Callable[[Record], str]:
    """Medians of others."""

    def words(r: Record) -> str:
        found = {peer: r.median(question, peer, value) for peer in peers}
        return ", ".join(f"{peer} {number(median)}{unit}" for peer, median in found.items() if median is not None)

    return words


def both(question: str, unit: str, *peers: str) -> Callable[[Record], str]:
    """p50 / p99 of others."""

    def words(r: Record) -> str:
        found = {peer: [r.median(question, peer, name) for name in ("p50", "p99")] for peer in peers}
        return ", ".join(f"{peer} {number(a)} / {number(b)}{unit}" for peer, (a, b) in found.items() if a is not None)

    return words


def hq_reading(r: Record) -> str:
    most = max(r.places("reading", HQ), default=0)
    found = [r.figure("reading", HQ, name, most) for name in ("unread", "page", "mark all")]
    return f"{HQ} " + " / ".join(number(f and f.median) for f in found) + " ms" if all(found) else ""


def nothing(r: Record) -> str:
    return ""


Bounds = Callable[[Record], Iterable[Bound]]
FIGURES: tuple[tuple[str, Bounds, Callable[[Record], str]], ...] = (
    (
        "broadcast, 500 publishes at once, deliveries/s",
        broadcast,
        beside("broadcast", "deliveries/s", LIMIT, NCHAN, SOCKET_IO, "python-socketio", TUTORIAL),
    ),
    ("broadcast, 50/s, publish call → socket", latency, both("latency", " ms", NCHAN, LIMIT, SOCKET_IO)),
    (
        "one message per frame, CPU of the server per delivery",
        cpu,
        beside("latency", "cpu", LIMIT, NCHAN, SOCKET_IO, unit=" µs"),
    ),
    ("5,000 connections, 10/s", many, beside("many", "p99", NCHAN, LIMIT, SOCKET_IO, unit=" ms")),
    ("1,000 users, each message to one of them", targeted, nothing),
    (
        "memory per idle connection",
        memory,
        beside("memory", "kB", NCHAN, SOCKET_IO, "python-socketio", TUTORIAL, unit=" kB"),
    ),
    (
        "storm of 5,000 with session, cursor and 10 missed each",
        storm,
        beside("connect", "connects/s", TUTORIAL, "python-socketio", unit="/s (1,000, nothing missed)"),
    ),
    ("`notify()` to one user, autocommit", publish, beside("publish", "publishes/s", OURS, HQ, unit="/s")),
    ("`notify()` to many users", audience, beside("audience", "recipients/s", OURS, HQ, unit="/s")),
    ("`notify(EVERYONE)`, as fast as with 10 users", everyone, nothing),
    ("the user with the most stored: unread number, first page, mark all read", reading, hq_reading),
    ("idle, 5,000 connections, of a core", idle, nothing),
    ("an HTTP request on the same loop while #2 runs", neighbour, nothing),
)
