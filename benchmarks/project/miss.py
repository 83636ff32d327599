"""``python -m benchmarks.project.miss 10 1 5000``: ten messages to each of the users 1 … 5000, numbered 1 … 10."""

from __future__ import annotations

import sys

import django

from peers.marker import text_of


def main(number: int, first: int, last: int) -> None:
    from django.contrib.auth.models import User

    from livebell import notify

    for n in range(1, number + 1):
        notify(User.objects.filter(pk__gte=first, pk__lte=last), text_of(n))


if __name__ == "__main__":
    django.setup()
    main(*map(int, sys.argv[1:]))
