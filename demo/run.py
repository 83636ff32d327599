"""`make demo`: migrate, make the accounts, serve on 127.0.0.1 until Ctrl-C. One process, so nothing stays behind."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
SIGINT_BIT = 1 << (signal.SIGINT - 1)


def main(port: str = "8000") -> None:
    parent = os.getppid()
    listener = listen(port)
    prepare()
    serve(listener, parent if is_make(parent) else None)


def listen(port: str) -> socket.socket:
    """Take the port before anything else, so that a busy one is found at once and nobody can take it meanwhile."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, int(port)))
        listener.listen(1024)
    except (ValueError, OverflowError):
        sys.exit(f"PORT={port} is not a port: a number from 1 to 65535.")
    except PermissionError:
        sys.exit(f"Port {port} needs more rights than you have: choose one from 1024 on, PORT=8000 make demo")
    except OSError:
        sys.exit(f"Port {port} is busy: stop what runs there, or choose another: PORT={int(port) + 1} make demo")
    return listener


def prepare() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "demo.settings")
    import django
    from django.core.management import call_command
    from django.db import OperationalError, connections

    django.setup()
    try:
        call_command("migrate", verbosity=0, interactive=False)
        call_command("setup_demo")
    except OperationalError as error:
        sys.exit(f"The database can't be used: {' '.join(str(error).split())}")
    connections.close_all()


def serve(listener: socket.socket, make: int | None) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                print(
                    f"\n  Livebell demo: open http://{HOST}:{listener.getsockname()[1]}/  (Ctrl-C stops it)\n",
                    flush=True,
                )

    config = uvicorn.Config(
        "demo.asgi:application",
        ws="websockets-sansio",
        ws_max_size=16384,
        ws_per_message_deflate=False,
        log_level="warning",
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=3,
    )
    server = Server(config)
    if make:
        threading.Thread(target=stop_with_make, args=(server, make), daemon=True).start()
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        return  # uvicorn raises it again when everything is closed
    if not server.started:
        sys.exit("The demo could not start; the reason is above.")


def stop_with_make(server: Any, make: int) -> None:
    """Stop when make has gone, or was alone told to stop: it then waits for us, and hands the signal on to nobody."""
    while os.getppid() == make and catches_sigint(make):
        time.sleep(0.2)
    server.should_exit = True  # not a signal: a second one would cut the shutdown short


def is_make(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() in {"make", "gmake"}
    except OSError:
        return False  # no /proc here: Ctrl-C reaches us all the same, with the whole process group


def catches_sigint(pid: int) -> bool:
    """Make takes its handler of SIGINT away once it has been interrupted. Where it ignores SIGINT, we can't see."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return True
    masks = [int(line.split()[1], 16) for line in lines if line.startswith(("SigCgt:", "SigIgn:"))]
    return any(mask & SIGINT_BIT for mask in masks)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
