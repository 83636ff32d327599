"""``notify()`` to many users beside a raw INSERT … SELECT of the same rows, in turns. Arguments: users, rounds."""

from __future__ import annotations

import statistics

from .timing import TEXT, forget_peak, peak_mb, run, timed


def main(number: int, rounds: int) -> dict[str, float]:
    """The first round of each makes the streams; it is not counted, and alike for both."""
    from django.contrib.auth.models import User

    from livebell import notify
    from peers.accounts import users

    from . import raw

    users(number)
    everybody = User.objects.filter(pk__lte=number)
    forget_peak()
    before = peak_mb()
    notify(everybody, TEXT)
    pairs = [
        (timed(lambda: notify(everybody, TEXT)), timed(lambda: raw.publish(raw.TO_USERS, TEXT, number)))
        for _ in range(rounds)
    ]
    return {
        "recipients/s": number / statistics.median(mine for mine, _ in pairs),
        "raw/s": number / statistics.median(bare for _, bare in pairs),
        "ratio": statistics.median(bare / mine for mine, bare in pairs),
        "memory": peak_mb() - before,
    }


if __name__ == "__main__":
    run(main)
