"""Markdown: the verdicts, a table for each question, the few lines for the README."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from .contenders import LIMIT, NCHAN, OURS, SOCKET_IO, TUTORIAL
from .record import Figure, Record
from .verdicts import number, verdicts

TITLES = {
    "broadcast": "Broadcast: 500 messages at once to 1,000 connections",
    "latency": "Latency at 50 messages a second to 1,000 connections (ms), CPU of the server (µs per delivery)",
    "many": "5,000 connections, 10 messages a second (ms)",
    "targeted": "One message to each of 1,000 users in turn (ms)",
    "memory": "Memory per idle connection",
    "connect": "Opening 1,000 connections",
    "storm": "5,000 come back at once, 10 missed each",
    "publish": "One user, autocommit",
    "audience": "Many users",
    "everyone": "Everybody",
    "reading": "Reading, a tenth unread (ms)",
    "idle": "Idle, 5,000 connections",
    "neighbour": "An HTTP request beside 50 broadcasts a second (ms)",
    "growth": "From few connections to many, 5 messages a second",
}
HIDDEN = {"expected", "deliveries/s in growth"}


def document(record: Record) -> str:
    """``results.md``."""
    return "\n".join([*head(record), "", *verdict_table(record), *all_tables(record), "", *foot(record)]) + "\n"


def head(record: Record) -> Iterator[str]:
    yield "# Results"
    yield ""
    yield "Written by `make bench`; [README.md](README.md) says how it is measured and what can be compared."
    yield ""
    yield f"{record.date}, {described(record)}. Medians of {record.rounds} round{'s' * (record.rounds > 1)}."
    if record.reduced:
        yield ""
        yield f"**A quick run**: {'; '.join(record.reduced)}."


def described(record: Record) -> str:
    m = record.machine
    return f"{m.get('processor', '')}, {m.get('cores', '?')} cores, {m.get('memory', '')}"


def verdict_table(record: Record) -> Iterator[str]:
    yield "## What it must reach"
    yield ""
    yield "| # | figure | Livebell | must reach | others, same run | |"
    yield "|---|---|---|---|---|---|"
    for v in verdicts(record):
        ours = ", ".join(dict.fromkeys(map(str, v.bounds)))
        wanted = ", ".join(bound.wanted for bound in v.bounds)
        yield f"| {v.number} | {v.title} | {ours} | {wanted} | {v.beside} | {v.word} |"


def all_tables(record: Record) -> Iterator[str]:
    for question, title in TITLES.items():
        if record.of(question):
            yield from ("", f"## {title}", "", *table(record, question))


def table(record: Record, question: str) -> Iterator[str]:
    """A row for each contender, and for each place on a growth curve."""
    places = any(sample.at for sample in record.of(question))
    names = [n for n in dict.fromkeys(n for s in record.of(question) for n in s.values) if n not in HIDDEN]
    yield f"| | {'at | ' if places else ''}{' | '.join(names)} |"
    yield "|---" * (len(names) + 1 + places) + "|"
    for peer in record.peers(question):
        for at in record.places(question, peer):
            figures = [cell(record.figure(question, peer, name, at)) for name in names]
            yield f"| {peer} | {f'{at:,.0f} | ' if places else ''}{' | '.join(figures)} |"


def cell(figure: Figure | None) -> str:
    """The median, and the spread if there was more than one."""
    if figure is None:
        return ""
    spread = f" ({number(figure.low)}–{number(figure.high)})" if figure.high > figure.low else ""
    return number(figure.median) + spread


def foot(record: Record) -> Iterator[str]:
    if record.missing:
        yield "## Missing"
        yield ""
        yield from (f"- {name}: {' '.join(reason.split())}" for name, reason in record.missing.items())
        yield ""
    yield "## Machine and versions"
    yield ""
    yield ", ".join(f"{name} {value}" for name, value in {**record.machine, **record.versions}.items()) + "."


MARKS = re.compile(r"(<!-- benchmarks -->\n).*?(<!-- /benchmarks -->)", re.DOTALL)
README_ROWS = (
    ("500 messages at once: deliveries/s", "broadcast", ("deliveries/s",)),
    ("50 messages/s: latency p50 / p99, ms", "latency", ("p50", "p99")),
    ("server CPU per delivery, µs", "latency", ("cpu",)),
    ("memory per idle connection, kB", "memory", ("kB",)),
)
README_PEERS = (OURS, NCHAN, SOCKET_IO, LIMIT, TUTORIAL)


def for_readme(record: Record) -> list[str]:
    """Eight lines."""
    lines = [f"| 1,000 connections | {' | '.join(README_PEERS)} |", "|---" * (len(README_PEERS) + 1) + "|"]
    for title, question, names in README_ROWS:
        cells = [" / ".join(number(record.median(question, peer, name)) for name in names) for peer in README_PEERS]
        lines.append(f"| {title} | {' | '.join(marked(cells, record, question))} |")
    where = "[How, and all the rest](docs/benchmarks/README.md)"
    how = "one server process on one core, real Redis and PostgreSQL"
    return [*lines, "", f"{record.date}, {described(record)}; {how}. {where}."]


def marked(cells: Iterable[str], record: Record, question: str) -> Iterator[str]:
    """With what was lost, where something was."""
    for peer, text in zip(README_PEERS, cells, strict=True):
        lost, expected = (record.median(question, peer, name) for name in ("lost", "expected"))
        yield f"{text}, {100 * lost / expected:.0f} % lost" if lost and expected and lost / expected > 0.005 else text


def write_readme(record: Record, readme: Path) -> None:
    """Put those lines between the two marks."""
    text = readme.read_text(encoding="utf-8")
    lines = "\n".join(for_readme(record))
    readme.write_text(MARKS.sub(lambda found: f"{found[1]}{lines}\n{found[2]}", text), encoding="utf-8")
