"""A proxy between browser and site that refuses one way of connecting or another, as those of companies do."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Collection

REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
MARKS = {
    "socket": b"upgrade: websocket",
    "stream": b"text/event-stream",
    "long poll": b"wait=",
    "poll": b"/api/frames/",
}


class Proxy:
    """Forwards to a port. ``block`` names what is refused from now on; what is open of it is cut."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.blocked: Collection[str] = ()
        self.used: list[str] = []
        """Kind of each connection that was let through, in the order they came."""
        self._open: list[tuple[str, socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        _cut(self._listener)
        self.block(*MARKS, "page")

    def open(self, kind: str) -> int:
        """How many connections of this kind there are now."""
        return sum(kind == one for one, *_ in list(self._open))

    def block(self, *kinds: str) -> None:
        self.blocked = kinds
        for kind, *pair in list(self._open):
            if kind in kinds:
                for end in pair:
                    _cut(end)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = _head(client)
            kind = _kind(head)
            if kind in self.blocked:
                client.sendall(REFUSAL)
                return
            with socket.create_connection(("127.0.0.1", self.target)) as server:
                self.used.append(kind)
                entry = (kind, client, server)
                self._open.append(entry)
                # one request for each connection, so that every one is looked at
                server.sendall(head.replace(b"Connection: keep-alive", b"Connection: close"))
                answering = threading.Thread(target=_pipe, args=(server, client), daemon=True)
                answering.start()
                _pipe(client, server)
                answering.join()
                self._open.remove(entry)


def _head(client: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head and (data := client.recv(65536)):
        head += data
    return head


def _kind(head: bytes) -> str:
    head = head.lower()
    return next((kind for kind, mark in MARKS.items() if mark in head), "page")


def _pipe(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    _cut(sink)


def _cut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
