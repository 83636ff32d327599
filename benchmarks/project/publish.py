"""``notify()`` from a process of its own, each in its own durable transaction."""

import django

from peers.publisher import serve


def publish(to: str, text: str) -> None:
    from django.contrib.auth.models import User

    from livebell import EVERYONE, notify

    notify(EVERYONE if to == "all" else User(pk=int(to)), text)


if __name__ == "__main__":
    django.setup()
    serve(publish)
