"""The frames that lead from a position to the present, straight from the store: for clients without a connection."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import msgspec

from . import api, store
from .protocol import (
    PING_EVERY,
    SPREAD,
    VERSION,
    ClientHello,
    Counted,
    Cursor,
    Entries,
    Frame,
    Hello,
    Reset,
    Snapshot,
    continues,
)


@dataclass(frozen=True, slots=True)
class Found:
    """The answer."""

    frames: list[Frame]
    etag: str
    """Changes whenever the answer would."""


def since(user: Any, asked: ClientHello) -> Found:
    """A reset if the position can't be continued; else the snapshot and every entry above the position."""
    standing = api.standing(user)
    epoch, snapshot = standing.epoch, standing.snapshot
    hello = Hello(v=VERSION, epoch=epoch, now=store.now(), ping=PING_EVERY, spread=SPREAD)
    if not asked.cursor or asked.epoch != epoch or not continues(asked.cursor, snapshot.at, standing.floor):
        return _found(hello, Reset(epoch=epoch, snapshot=snapshot))
    return _found(hello, Counted(epoch=epoch, snapshot=snapshot), *_entries(epoch, asked.cursor, snapshot))


def _entries(epoch: str, cursor: Cursor, snapshot: Snapshot) -> list[Entries]:
    positions = [(name, cursor[name]) for name, head in snapshot.at.items() if cursor.get(name, head) < head]
    pages = store.pull(positions) if positions else {}
    return [
        Entries(epoch=epoch, stream=name, prev=prev, entries=page.entries)
        for (name, prev), page in pages.items()
        if page.entries
    ]


def _found(hello: Hello, *frames: Frame) -> Found:
    """The answer, named by all of it but the clock: a page that isn't the last must not look like the next one."""
    digest = sha256(msgspec.json.encode(frames, order="sorted")).hexdigest()
    return Found([hello, *frames], f'"{digest[:32]}"')
