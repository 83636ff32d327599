"""What comes of a record: a table on the screen, and for a whole run the files in the docs and the lines in the README."""

from __future__ import annotations

from pathlib import Path

from .plots import draw
from .record import Record
from .tables import document
from .verdicts import verdicts


def show(record: Record) -> None:
    """On the screen: every question that was asked, and who is missing."""
    for question in dict.fromkeys(sample.question for sample in record.samples):
        print(f"\n{question}")
        for line in rows(record, question):
            print(line)
    if record.reduced:
        print(f"\nA quick run: {'; '.join(record.reduced)}.")
    for name, reason in record.missing.items():
        print(f"\nMISSING {name}: {reason}")
    print()
    for v in verdicts(record):
        if v.reached is not None:
            ours, wanted = ", ".join(dict.fromkeys(map(str, v.bounds))), ", ".join(b.wanted for b in v.bounds)
            print(f"{v.number:>3} {v.word.strip('*'):12} {v.title}: {ours}   (wanted: {wanted})")


def rows(record: Record, question: str) -> list[str]:
    """One line for each contender and place."""
    names = list(dict.fromkeys(name for sample in record.of(question) for name in sample.values if name != "expected"))
    table = [["", *names]]
    for peer in record.peers(question):
        for at in record.places(question, peer):
            figures = (record.figure(question, peer, name, at) for name in names)
            table.append([f"{peer}{f' {at:,.0f}' if at else ''}", *(cell(f.median) if f else "" for f in figures)])
    widths = [max(len(row[n]) for row in table) for n in range(len(names) + 1)]
    return [
        f"  {row[0]:{widths[0]}}"
        + "".join(f"  {text:>{width}}" for text, width in zip(row[1:], widths[1:], strict=True))
        for row in table
    ]


def cell(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.2f}"


def write(record: Record, folder: Path) -> None:
    """Into a folder: the record, the tables, the plots."""
    folder.mkdir(parents=True, exist_ok=True)
    record.save(folder / "results.json")
    (folder / "results.md").write_text(document(record), encoding="utf-8")
    draw(record, folder)
