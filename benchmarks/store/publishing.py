"""``notify()`` to one user in autocommit beside one raw statement, in turns, in one process. Argument: blocks of each."""

from __future__ import annotations

import statistics

import redis
from django.conf import settings

from .timing import TEXT, run, timed

BLOCK = 100


def main(blocks: int) -> dict[str, float]:
    """The ratio is the median of the ratios of neighbouring blocks."""
    from peers.accounts import users

    from . import raw

    user = users(1)[0]
    ours(user)
    raw_block(raw, user)
    server = redis.Redis.from_url(settings.LIVEBELL["REDIS_URL"])
    before = connections(server)
    pairs = [(ours(user), raw_block(raw, user)) for _ in range(blocks)]
    return {
        "publishes/s": BLOCK / statistics.median(mine for mine, _ in pairs),
        "raw/s": BLOCK / statistics.median(bare for _, bare in pairs),
        "ratio": statistics.median(bare / mine for mine, bare in pairs),
        "redis connections": connections(server) - before,
    }


def ours(user: object) -> float:
    from livebell import notify

    return timed(lambda: [notify(user, TEXT) for _ in range(BLOCK)])


def raw_block(raw: object, user: object) -> float:
    return timed(lambda: [raw.publish(raw.TO_ONE, TEXT, f"user:{user.pk}") for _ in range(BLOCK)])  # type: ignore[attr-defined]


def connections(server: redis.Redis) -> int:
    return int(server.info("stats")["total_connections_received"])  # type: ignore[index]


if __name__ == "__main__":
    run(main)
