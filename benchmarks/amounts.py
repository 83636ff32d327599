"""How much of everything a run does. A quick run takes fewer rounds and stores less; the loads are the same."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Amounts:
    """Seconds, counts, rounds."""

    rounds: int = 3
    slow_rounds: int = 1
    """Of contenders that can't keep up with the load, whose rounds take as long as we listen."""
    latency_seconds: float = 8.0
    latency_limit: float = 5.0
    """Seconds that we listen on after the last publish, for those that can't keep up."""
    broadcast_limit: float = 10.0
    variants: int = 5
    """The tutorials' design with core and pubsub, on uvicorn and on daphne; django-eventstream with its log."""
    many: int = 5000
    many_seconds: float = 8.0
    idle_seconds: float = 30.0
    targeted: int = 3000
    storm: int = 5000
    storm_rounds: int = 3
    publish_blocks: int = 20
    audiences: tuple[int, ...] = (10_000, 100_000)
    everyone: tuple[int, ...] = (10, 1_000_000)
    stored: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    """Entries of one user; a tenth of them unread."""
    compared: int = 4
    """Contenders with 5,000 connections and on the growth curves."""
    crowds: tuple[int, ...] = (100, 300, 1_000, 3_000, 10_000)
    crowd_seconds: float = 3.0


FULL = Amounts()
QUICK = Amounts(
    rounds=1,
    slow_rounds=1,
    latency_seconds=3.0,
    latency_limit=3.0,
    broadcast_limit=4.0,
    variants=3,
    compared=3,
    many_seconds=3.0,
    idle_seconds=8.0,
    targeted=1500,
    storm_rounds=1,
    publish_blocks=6,
    audiences=(10_000,),
    everyone=(10, 100_000),
    stored=(1_000, 100_000),
    crowds=(),
)


def reduced() -> list[str]:
    """What a quick run does less of, in words."""
    names = [name for name in Amounts.__dataclass_fields__ if getattr(FULL, name) != getattr(QUICK, name)]
    return [f"{name.replace('_', ' ')}: {getattr(QUICK, name)} instead of {getattr(FULL, name)}" for name in names]
