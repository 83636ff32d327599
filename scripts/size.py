"""Print what the bell weighs on the wire (gzip -9, file by file), and fail above the limits."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

STATIC = Path(__file__).resolve().parent.parent / "src" / "livebell" / "static" / "livebell"
HEADLESS = ["client.js"]
COMPLETE = [*HEADLESS, "bell.js", "bell.css"]
LIMITS = {"headless": 5_120, "complete bell": 12_288}


def weigh(names: list[str]) -> int:
    return sum(len(gzip.compress((STATIC / name).read_bytes(), 9, mtime=0)) for name in names)


def main() -> int:
    sizes = {"headless": weigh(HEADLESS), "complete bell": weigh(COMPLETE)}
    print(", ".join(f"{what} {size} B" for what, size in sizes.items()))
    return int(any(size > LIMITS[what] for what, size in sizes.items()))


if __name__ == "__main__":
    sys.exit(main())
