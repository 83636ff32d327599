"""What comes of a record: on the screen and in files."""

from __future__ import annotations

from pathlib import Path

from .record import Record


def write(record: Record, output: Path | None) -> None:
    for question in dict.fromkeys(s.question for s in record.samples):
        print(question)
        for peer in record.peers(question):
            names = record.of(question)[0].values
            row = {name: figure.median for name in names if (figure := record.figure(question, peer, name))}
            print(f"  {peer:34}", "  ".join(f"{k} {v:,.2f}" for k, v in row.items()))
    for name, reason in record.missing.items():
        print("MISSING", name, reason)
