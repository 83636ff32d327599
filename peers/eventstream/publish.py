"""``send_event`` from a process of its own."""

import django

from peers.publisher import serve


def publish(to: str, text: str) -> None:
    from django_eventstream import send_event

    send_event("all" if to == "all" else f"user-{to}", "message", {"text": text})


if __name__ == "__main__":
    django.setup()
    serve(publish)
