"""The tutorial's publisher: ``async_to_sync(group_send)``."""

import django
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from peers.publisher import serve


def publish(to: str, text: str) -> None:
    group = "notifications" if to == "all" else f"user_{to}"
    async_to_sync(get_channel_layer().group_send)(group, {"type": "send_notification", "message": text})


if __name__ == "__main__":
    django.setup()
    serve(publish)
