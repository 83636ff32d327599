"""A message is a line."""

import socket
import sys

from peers.publisher import serve

server = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def publish(to: str, text: str) -> None:
    server.sendall(text.encode() + b"\n")


if __name__ == "__main__":
    server.sendall(b"PUBLISH\n")
    serve(publish)
