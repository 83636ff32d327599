"""``notify()`` from a process of its own, each in its own durable transaction."""

from __future__ import annotations

import django

from peers.publisher import Publish, serve


def publishing() -> Publish:
    """The users are loaded before, as a view has them."""
    from django.contrib.auth.models import User

    from livebell import EVERYONE, notify

    users = {str(user.pk): user for user in User.objects.filter(pk__lte=10_000)}

    def publish(to: str, text: str) -> None:
        notify(EVERYONE if to == "all" else users[to], text)

    return publish


if __name__ == "__main__":
    django.setup()
    serve(publishing())
