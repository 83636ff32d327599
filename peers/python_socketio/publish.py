"""An emitter in a process of its own: the manager, write-only."""

import os

import socketio

from peers.publisher import serve

manager = socketio.RedisManager(os.environ["REDIS_URL"], write_only=True)


def publish(to: str, text: str) -> None:
    manager.emit("message", {"text": text}, room="all" if to == "all" else f"user-{to}")


if __name__ == "__main__":
    serve(publish)
