"""The plots: SVG, on white, in colours that everybody can tell apart, each series named where it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, NullFormatter

from .contenders import LIMIT, NCHAN, OURS, SOCKET_IO
from .plan import HQ
from .record import Figure, Record

BLUE, ORANGE, GREEN, GREY, INK, RED = "#0072B2", "#B86E00", "#00805C", "#6B6B6B", "#222222", "#B5452C"
"""After Okabe and Ito, darkened where it stands as text on white."""
COLOURS = {OURS: BLUE, NCHAN: ORANGE, SOCKET_IO: GREEN, LIMIT: INK, HQ: RED, "one raw SQL statement": INK}
NAMES = {LIMIT: "C loop", HQ: "hq"}
"""At the ends of lines."""
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "livebell",
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": INK,
    "axes.edgecolor": "#BBBBBB",
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "grid.color": "#E6E6E6",
    "figure.facecolor": "white",
}


def draw(record: Record, folder: Path) -> list[str]:
    """Every plot for which there are figures; returns the names of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    with plt.rc_context(STYLE):
        for name, plot in PLOTS.items():
            figure = plot(record)
            if figure is not None:
                figure.savefig(folder / f"{name}.svg", metadata={"Date": None}, bbox_inches="tight")
                plt.close(figure)
                made.append(f"{name}.svg")
    return made


def deliveries(record: Record) -> Any:
    """Dots on a logarithmic axis, the best above."""
    title = "Deliveries per second, 500 messages at once to 1,000 connections"
    return dots(record, "broadcast", {"deliveries/s": "o"}, title, note=lost)


def latency(record: Record) -> Any:
    """p50 and p99."""
    title = "From publish call to socket at 50 messages/s to 1,000 connections, ms"
    return dots(record, "latency", {"p50": "o", "p99": "D"}, title, note=lost, small_is_good=True)


def memory(record: Record) -> Any:
    """Bars from zero."""
    return bars(record, "memory", "kB", "Memory per idle connection, kB", small_is_good=True)


def connects(record: Record) -> Any:
    """Dots, because those who ask nobody who they are, are far away."""
    return dots(record, "connect", {"connects/s": "o"}, "Connections opened per second, 1,000 in all", note=users)


def dots(
    record: Record,
    question: str,
    values: dict[str, str],
    title: str,
    *,
    note: Callable[[Record, str, str], str],
    small_is_good: bool = False,
) -> Any:
    """A row for each contender, a mark for each value, a line for the spread."""
    first = next(iter(values))
    peers = ordered(record, question, first, small_is_good)
    if not peers:
        return None
    figure, axes = plt.subplots(figsize=(8, 0.42 * len(peers) + 1.1))
    for row, peer in enumerate(peers):
        if not record.median(question, peer, first):
            axes.annotate(
                "nothing was delivered", (0.02, row), xycoords=axes.get_yaxis_transform(), va="center", fontsize=10
            )
            continue
        draw_row(axes, row, [(record.figure(question, peer, name), mark) for name, mark in values.items()], peer)
        right = max(f.high for name in values if (f := record.figure(question, peer, name)))
        text = " / ".join(short(record.median(question, peer, name)) for name in values)
        axes.annotate(
            text + note(record, question, peer), (right, row), (9, 0), textcoords="offset points", va="center",
            fontsize=10, color=colour(peer),
        )  # fmt: skip
    axes.set_xscale("log")
    finish(axes, peers, title + (f" (● {' ◆ '.join(values)})" if len(values) > 1 else ""))
    axes.margins(x=0.03)
    low, high = axes.get_xlim()
    axes.set_xlim(low, high * (high / low) ** 0.28)  # room for the words
    return figure


def draw_row(axes: Any, row: int, figures: Sequence[tuple[Figure | None, str]], peer: str) -> None:
    known = [figure for figure, _ in figures if figure]
    axes.plot(
        [min(f.low for f in known), max(f.high for f in known)], [row, row], color=colour(peer), lw=1.2, alpha=0.5
    )
    for figure, mark in figures:
        if figure:
            axes.plot([figure.median], [row], mark, color=colour(peer), ms=7 if mark == "o" else 6)


def bars(record: Record, question: str, value: str, title: str, *, small_is_good: bool = False) -> Any:
    """A row for each contender."""
    peers = ordered(record, question, value, small_is_good)
    if not peers:
        return None
    figure, axes = plt.subplots(figsize=(8, 0.42 * len(peers) + 1.1))
    for row, peer in enumerate(peers):
        found = record.figure(question, peer, value)
        assert found is not None
        axes.barh([row], [found.median], color=colour(peer), height=0.55)
        if found.high > found.low:
            axes.plot([found.low, found.high], [row, row], color="#BBBBBB", lw=1.2)
        axes.annotate(
            short(found.median), (max(found.high, 0), row), (6, 0), textcoords="offset points", va="center", fontsize=10
        )
    finish(axes, peers, title)
    axes.margins(x=0.12)
    return figure


def finish(axes: Any, peers: Sequence[str], title: str) -> None:
    axes.set_yticks(range(len(peers)), peers)
    for label, peer in zip(axes.get_yticklabels(), peers, strict=True):
        label.set_fontweight("bold" if peer == OURS else "normal")
        label.set_color(INK)
    axes.set_ylim(len(peers) - 0.4, -0.6)
    axes.tick_params(which="both", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    plain_numbers(axes.xaxis)
    heading = axes.set_title(title, pad=10)
    axes.figure.canvas.draw()
    left = min(label.get_window_extent().x0 for label in axes.get_yticklabels())
    heading.set_x(axes.transAxes.inverted().transform((left, 0))[0])


def publishes(record: Record) -> Any:
    """Two panels: to one user, to many."""
    if not record.of("publish"):
        return None
    figure, panels = plt.subplots(1, 2, figsize=(8, 2.2), gridspec_kw={"wspace": 0.12}, sharey=True)
    raw = "one raw SQL statement"
    for axes, question, value, title in (
        (panels[0], "publish", "publishes/s", "To one user: publishes/s"),
        (panels[1], "audience", "recipients/s", "To many at once: recipients/s"),
    ):
        found = {OURS: last(record, question, OURS, value), raw: last(record, question, OURS, "raw/s")}
        found[HQ] = last(record, question, HQ, value)
        for row, (peer, amount) in enumerate(found.items()):
            axes.barh([row], [amount or 0], color=colour(peer), height=0.55)
            axes.annotate(
                short(amount), (amount or 0, row), (6, 0), textcoords="offset points", va="center", fontsize=10
            )
        axes.set_yticks(range(len(found)), list(found))
        axes.tick_params(which="both", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        plain_numbers(axes.xaxis)
        axes.locator_params(axis="x", nbins=4)
        axes.margins(x=0.25)
        axes.set_title(title)
    panels[0].invert_yaxis()
    return figure


def growth(record: Record) -> Any:
    """Three panels over the number of connections."""
    if not record.of("growth"):
        return None
    figure, panels = plt.subplots(1, 3, figsize=(11, 3.4), gridspec_kw={"wspace": 0.42})
    for axes, value, title in (
        (panels[0], "p99", "Latency p99, ms"),
        (panels[1], "cpu", "CPU per delivery, µs"),
        (panels[2], "kB", "Memory per connection, kB"),
    ):
        series = {peer: curve(record, "growth", peer, value) for peer in record.peers("growth")}
        lines(axes, series, logarithmic=value == "p99")
        axes.set_title(title)
        axes.set_xlabel("connections")
        if value != "p99":
            axes.set_ylim(bottom=0)
    return figure


def stored(record: Record) -> Any:
    """Three panels over the number of stored notifications."""
    if not record.of("reading"):
        return None
    figure, panels = plt.subplots(1, 3, figsize=(11, 3.4), gridspec_kw={"wspace": 0.42}, sharey=True)
    for axes, value, title in (
        (panels[0], "unread", "Unread number, ms"),
        (panels[1], "page", "First page, ms"),
        (panels[2], "mark all", "Mark all read, ms"),
    ):
        series = {peer: curve(record, "reading", peer, value) for peer in record.peers("reading")}
        lines(axes, series, logarithmic=True)
        axes.set_title(title)
        axes.set_xlabel("stored for the user, a tenth unread")
    return figure


Curve = list[tuple[float, float]]


def curve(record: Record, question: str, peer: str, value: str) -> Curve:
    places = ((at, record.figure(question, peer, value, at)) for at in record.places(question, peer))
    return [(at, figure.median) for at, figure in places if figure]


def lines(axes: Any, series: dict[str, Curve], *, logarithmic: bool) -> None:
    """A line each, named at its end; the names don't stand on each other."""
    axes.set_xscale("log")
    if logarithmic:
        axes.set_yscale("log")
    for peer, points in series.items():
        axes.plot(*zip(*points, strict=True), "o-", color=colour(peer), lw=2 if peer == OURS else 1.4, ms=4)
    plain_numbers(axes.xaxis)
    plain_numbers(axes.yaxis)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.tick_params(which="both", length=0)
    axes.margins(y=0.12)
    axes.figure.canvas.draw()
    name_lines(axes, series)


def name_lines(axes: Any, series: dict[str, Curve]) -> None:
    ends = sorted(
        (axes.transData.transform(points[-1])[1], peer, points[-1]) for peer, points in series.items() if points
    )
    lowest = -1e9
    for height, peer, (x, y) in ends:
        placed = max(height, lowest + 13 * axes.figure.dpi / 72)
        lowest = placed
        shift = (placed - height) * 72 / axes.figure.dpi
        axes.annotate(
            NAMES.get(peer, peer), (x, y), (7, shift), textcoords="offset points", va="center", fontsize=9.5,
            color=colour(peer), fontweight="bold" if peer == OURS else "normal", annotation_clip=False,
        )  # fmt: skip


def plain_numbers(axis: Any) -> None:
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axis.set_minor_formatter(NullFormatter())


def ordered(record: Record, question: str, value: str, small_is_good: bool) -> list[str]:
    """The best first; whoever delivered nothing last."""
    known = {p: m for p in record.peers(question) if (m := record.median(question, p, value)) is not None}
    return sorted(known, key=lambda peer: (not known[peer], known[peer] if small_is_good else -known[peer]))


def lost(record: Record, question: str, peer: str) -> str:
    """In words, if something was."""
    gone, expected = record.median(question, peer, "lost"), record.median(question, peer, "expected")
    if not gone or not expected:
        return ""
    part = 100 * gone / expected
    return f" · {part:.0f} % not delivered" if part >= 1 else " · some not delivered"


def users(record: Record, question: str, peer: str) -> str:
    return " · knows no users" if peer in (LIMIT, NCHAN, SOCKET_IO) else ""


def last(record: Record, question: str, peer: str, value: str) -> float | None:
    places = record.places(question, peer)
    figure = record.figure(question, peer, value, places[-1]) if places else None
    return figure.median if figure else None


def colour(peer: str) -> str:
    return COLOURS.get(peer, BLUE if peer.startswith(OURS) else GREY)


def short(value: float | None) -> str:
    if value is None:
        return "–"
    if value >= 1e6:
        return f"{value / 1e6:.3g}M"
    if value >= 1000:
        return f"{value / 1e3:.3g}k"
    return f"{value:.3g}"


PLOTS: dict[str, Callable[[Record], Any]] = {
    "deliveries": deliveries,
    "latency": latency,
    "memory": memory,
    "connects": connects,
    "publishes": publishes,
    "growth-connections": growth,
    "growth-stored": stored,
}
