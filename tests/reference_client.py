"""A client of the protocol in Python, as plain as can be: ``docs/protocol.md`` rule by rule, over decoded frames.

The model test drives it by hand, the tests of whole processes over real sockets. ``static/livebell/state.js`` is the same
client in JavaScript; ``tests/js/replay.test.js`` holds the two against each other.
"""

from __future__ import annotations

from typing import Any

Key = tuple[str, int]


class Client:
    """Everything a client remembers: epoch, cursor, snapshot, items. Nothing else touches the badge."""

    def __init__(self) -> None:
        self.epoch = ""
        self.cursor: dict[str, int] = {}
        self.snapshot: dict[str, Any] | None = None
        self.items: dict[Key, dict[str, Any]] = {}
        self.gone: set[Key] = set()
        self.applied: list[tuple[str, str, int]] = []
        """Log of what was applied: (epoch, stream, seq)."""
        self.resets = 0

    @property
    def badge(self) -> int:
        """Invariant 3."""
        assert self.snapshot is not None
        return self.snapshot["unread"] + sum(1 for key in self.items if self.counts(key))

    def counts(self, key: Key) -> bool:
        assert self.snapshot is not None
        return key not in self.gone and key[1] > self.snapshot["at"].get(key[0], 0)

    def is_unread(self, key: Key) -> bool:
        """Rule 5."""
        assert self.snapshot is not None
        stream, seq = key
        return seq > self.snapshot["through"].get(stream, 0) and seq not in self.snapshot["read"].get(stream, [])

    def hello(self) -> dict[str, Any]:
        if not self.epoch:
            return {"type": "hello", "v": 1}
        return {"type": "hello", "v": 1, "epoch": self.epoch, "cursor": self.cursor}

    def receive(self, frame: dict[str, Any]) -> bool:
        """Apply a frame. False: it can't be applied, connect again with my cursor."""
        kind = frame["type"]
        if kind == "reset":
            self.reset(frame)
        elif kind in ("snapshot", "entries") and frame["epoch"] != self.epoch:
            return False
        elif kind == "snapshot":
            self.count(frame["snapshot"])
        elif kind == "entries":
            return self.extend(frame["stream"], frame["prev"], frame["entries"])
        return True

    def reset(self, frame: dict[str, Any]) -> None:
        """Rule 1."""
        self.epoch, self.snapshot = frame["epoch"], frame["snapshot"]
        self.cursor = dict(frame["snapshot"]["at"])
        self.items, self.gone = {}, set()
        self.resets += 1

    def count(self, snapshot: dict[str, Any]) -> None:
        """Rule 3."""
        if not self.newer(snapshot):
            return
        self.snapshot = snapshot
        for stream in list(self.cursor):
            if stream not in snapshot["at"]:
                del self.cursor[stream]
                self.items = {key: item for key, item in self.items.items() if key[0] != stream}
        for stream, seq in snapshot["at"].items():
            self.cursor.setdefault(stream, seq)

    def newer(self, snapshot: dict[str, Any]) -> bool:
        mine = self.snapshot
        if mine is None or snapshot["rev"] != mine["rev"]:
            return mine is None or snapshot["rev"] > mine["rev"]
        ahead = [seq - mine["at"].get(stream, 0) for stream, seq in snapshot["at"].items()]
        return min(ahead, default=0) >= 0 and (max(ahead, default=0) > 0 or snapshot["unread"] <= mine["unread"])

    def extend(self, stream: str, prev: int, entries: list[dict[str, Any]]) -> bool:
        """Rule 4."""
        if prev > self.cursor.get(stream, 0):
            return False
        for entry in entries:
            if entry["seq"] > self.cursor.get(stream, 0):
                self.take(stream, entry)
        return True

    def take(self, stream: str, entry: dict[str, Any]) -> None:
        seq = self.cursor[stream] = entry["seq"]
        self.applied.append((self.epoch, stream, seq))
        if entry.get("retracts"):
            self.gone.add((stream, entry["retracts"]))
        elif not entry.get("gone"):
            self.items[stream, seq] = entry
