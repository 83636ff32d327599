"""``python -m benchmarks.project.clients 1000``: as ``peers.accounts``, and the hello of a client that is up to date."""

from __future__ import annotations

import sys

import django

from peers.accounts import log_in, users

SLICE = 1000


def main(number: int) -> None:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    made = log_in(users(number))
    for start in range(0, number, SLICE):
        some = made[start : start + SLICE]
        hellos = hellos_of([user.pk for user, _ in some])
        for user, cookie in some:
            print(cookie, hellos[user.pk], sep="\t")


def hellos_of(users: list[int]) -> dict[int, str]:
    from livebell import protocol, store

    epoch = store.epoch()
    standings = store.standings({str(pk): () for pk in users})
    frame = '{{"type":"hello","v":1,"epoch":"{}","cursor":{}}}'
    return {int(key): frame.format(epoch, protocol.encode(standing.snapshot.at)) for key, standing in standings.items()}


if __name__ == "__main__":
    django.setup()
    main(int(sys.argv[1]))
