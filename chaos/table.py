"""The table at the end, on the terminal and in ``docs/guarantees.md``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from .faults import FILES, load
from .result import ZEROES, Result, short

PAGE = Path(__file__).resolve().parent.parent / "docs" / "guarantees.md"
EVERYWHERE = ("failed publishes", "left over")
HEADINGS = ("fault", "run", "sent", "applied", *ZEROES, "p50 ms", "p99 ms", "verdict")


def text(results: Sequence[Result]) -> str:
    """For a terminal: columns of equal width."""
    rows = [HEADINGS, *(cells(result) for result in results)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def cells(result: Result) -> tuple[str, ...]:
    counts = [f"{getattr(result, name):,}" for name in ZEROES]
    times = [short(result.p50), short(result.p99)]
    return (result.fault, result.variant, f"{result.sent:,}", f"{result.applied:,}", *counts, *times, verdict(result))


def verdict(result: Result) -> str:
    """The verdict, with what was wrong; of a run of ours with nothing wrong, what was promised and reached."""
    figures = result.wrong or ([] if result.control else promised(result))
    return f"{result.verdict}: {'; '.join(figures)}" if figures and not result.peer else result.verdict


def promised(result: Result) -> list[str]:
    """Its figures beside their limits, but for those that every fault has."""
    return [str(limit) for limit in result.limits if limit.name not in EVERYWHERE and limit.limit != float("inf")]


def summary(results: Sequence[Result], seconds: float) -> str:
    """One sentence."""
    wrong = [f"{result.fault} ({result.variant})" for result in results if not result.as_it_should]
    ours = sum(not result.control and not result.peer for result in results)
    controls = sum(result.control for result in results)
    end = f"WRONG: {', '.join(wrong)}" if wrong else "all as they should be"
    return f"{ours} runs of Livebell and {controls} controls in {seconds / 60:.1f} minutes, {end}."


def markdown(results: Iterable[Result]) -> str:
    """For the page."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    last = ""
    for result in results:
        fault, *rest = cells(result)
        name = "" if fault == last else title(fault)
        last = fault
        lines.append("| " + " | ".join([name, *rest]).replace(" > ", " &gt; ").replace(" < ", " &lt; ") + " |")
    return "\n".join(lines)


def title(fault: str) -> str:
    """A fault's name, and what it is."""
    return f"**{fault}** {load(fault).title}" if fault in FILES else fault


def write(results: Sequence[Result]) -> None:
    """Put the table between its markers on the page."""
    put("chaos", markdown(results))


def put(name: str, content: str) -> None:
    """Replace what stands between ``<!-- name -->`` and ``<!-- /name -->``."""
    page = PAGE.read_text()
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, rest = page.split(begin)
    _, after = rest.split(end)
    PAGE.write_text(f"{before}{begin}\n{content}\n{end}{after}")
