"""The load client's account, against a server that does wrong on purpose: what it says is lost and doubled must be."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from benchmarks.load import Load
from peers.marker import text_of

pytestmark = pytest.mark.usefixtures("load_client")


class Server(socketserver.ThreadingTCPServer):
    """Shakes hands, then hands each connection to ``serve(socket, number)``."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, serve: Callable[[socket.socket, int], None], head: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.serve, self.head, self.asked = serve, head, []  # type: ignore[var-annotated]
        self.lock = threading.Lock()


class Handler(socketserver.BaseRequestHandler):
    server: Server

    def handle(self) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.request.recv(4096)
        with self.server.lock:
            number = len(self.server.asked)
            self.server.asked.append(head.decode())
        self.request.sendall(self.server.head)
        self.server.serve(self.request, number)


UPGRADE = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


@contextmanager
def serving(serve: Callable[[socket.socket, int], None], head: bytes = UPGRADE) -> Iterator[Server]:
    with Server(serve, head) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def frame(text: str, opcode: int = 1) -> bytes:
    data = text.encode()
    size = bytes([len(data)]) if len(data) < 126 else b"\x7e" + len(data).to_bytes(2, "big")
    return bytes([0x80 | opcode]) + size + data


def counted(server: Server, connections: int, number: int, mode: str = "all", **more: Any) -> Any:
    """What the client says of messages 1 … *number*, counted from before it connects."""
    count = (1, number, mode, 0.5, 5)
    with Load("ws", server.server_address[1], "/", connections, in_flight=1, count=count, **more) as load:
        return load.counted(10)


def test_what_comes_once_is_counted_once() -> None:
    """The control: nothing lost, nothing doubled."""
    with serving(lambda s, n: s.sendall(b"".join(frame(text_of(k)) for k in range(1, 11)))) as server:
        said = counted(server, 3, 10)
    assert (said.deliveries, said.lost, said.doubled, said.stray, said.frames) == (30, 0, 0, 0, 30)


def test_lost_and_doubled_are_seen() -> None:
    """Connection 0 doesn't get message 4, connection 1 gets message 7 twice: the sum would be right."""

    def serve(s: socket.socket, n: int) -> None:
        numbers = [[1, 2, 3, 5, 6, 7, 8, 9, 10], [1, 2, 3, 4, 5, 6, 7, 7, 8, 9, 10]][n]
        s.sendall(b"".join(frame(text_of(k)) for k in numbers))

    with serving(serve) as server:
        said = counted(server, 2, 10)
    assert (said.deliveries, said.lost, said.doubled) == (19, 1, 1)


def test_a_late_copy_of_the_last_message_is_seen() -> None:
    """After everything has come the client listens on for a moment."""

    def serve(s: socket.socket, n: int) -> None:
        s.sendall(frame(text_of(1)))
        time.sleep(0.1)
        s.sendall(frame(text_of(1)))

    with serving(serve) as server:
        assert counted(server, 1, 1).doubled == 1


def test_what_goes_to_the_wrong_connection_is_seen() -> None:
    """Messages for one each: both connections get both."""
    with serving(lambda s, n: s.sendall(frame(text_of(1)) + frame(text_of(2)))) as server:
        said = counted(server, 2, 2, "each")
    assert (said.deliveries, said.stray, said.lost) == (2, 2, 0)


@pytest.mark.parametrize("step", [1, 7, 33, 211])
def test_wherever_the_bytes_are_cut(step: int) -> None:
    """Frames, several messages in one frame, pings between: in pieces of any size."""
    several = "[" + ",".join(text_of(k) for k in range(2, 6)) + "]"
    data = frame(text_of(1)) + frame("", 9) + frame(several) + frame("ping", 9) + frame(text_of(6))

    def serve(s: socket.socket, n: int) -> None:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(data), step):
            s.sendall(data[start : start + step])
            time.sleep(0.0002)

    with serving(serve) as server:
        said = counted(server, 1, 6)
    assert (said.deliveries, said.lost, said.doubled, said.frames) == (6, 0, 0, 3)


def test_latency_is_from_the_publish_call() -> None:
    """Held back for 50 ms."""

    def serve(s: socket.socket, n: int) -> None:
        texts = [text_of(k) for k in range(1, 101)]
        time.sleep(0.05)
        s.sendall(b"".join(map(frame, texts)))

    with serving(serve) as server:
        said = counted(server, 1, 100)
    assert 50 <= said.p50 <= said.p99 <= said.max < 200
    assert said.seconds == pytest.approx(said.max / 1000, abs=0.002)


def test_pings_are_answered_and_a_close_is_told() -> None:
    """A server that hears no pong ends the connection; here it does so with 4001."""
    heard = []

    def serve(s: socket.socket, n: int) -> None:
        s.sendall(frame("are you there", 9))
        heard.append(s.recv(100))
        s.sendall(frame(text_of(1)) + bytes([0x88, 2]) + (4001).to_bytes(2, "big"))

    with serving(serve) as server:
        said = counted(server, 1, 1)
    assert heard == [b"\x8a\x8d\0\0\0\0are you there"]
    assert (said.closed, said.last_close) == (1, 4001)


def test_each_connection_brings_its_cookie_and_its_first_text() -> None:
    """And counts as ready when the text it waits for has come, though that is cut in two."""
    texts = []

    def serve(s: socket.socket, n: int) -> None:
        got = s.recv(100)
        texts.append(got[6:].decode())
        whole = frame('{"type":"snapshot"}')
        s.sendall(whole[:9])
        time.sleep(0.05)
        s.sendall(whole[9:])
        s.recv(1)

    with serving(serve) as server:
        clients = [("one", "hello 1"), ("two", "hello 2")]
        port = server.server_address[1]
        with Load("ws", port, "/x", 2, clients=clients, ready='"type":"snapshot"', subprotocol="livebell.v1") as load:
            assert (load.opened.connections, load.opened.failed) == (2, 0)
            assert load.opened.p50 >= 50
    assert sorted(texts) == ["hello 1", "hello 2"]
    assert {f"sessionid={name}" in "".join(server.asked) for name in ("one", "two")} == {True}
    assert all("Sec-WebSocket-Protocol: livebell.v1" in head for head in server.asked)


def test_who_is_refused_counts_as_failed() -> None:
    """And doesn't keep the others waiting."""
    with serving(lambda s, n: None, b"HTTP/1.1 403 Forbidden\r\n\r\n") as server:
        with Load("ws", server.server_address[1], "/", 2) as load:
            assert (load.opened.connections, load.opened.failed) == (0, 2)


def test_event_streams() -> None:
    """No frames there, only text."""

    def serve(s: socket.socket, n: int) -> None:
        s.sendall(b": hello\n\n" + b"".join(f"data: {text_of(k)}\n\n".encode() for k in range(1, 6)))

    with serving(serve, STREAM) as server:
        with Load("sse", server.server_address[1], "/", 2, count=(1, 5, "all", 0.5, 5)) as load:
            said = load.counted(10)
    assert (said.deliveries, said.lost) == (10, 0)


def test_socket_io() -> None:
    """Its handshake, and its own ping and pong in text frames."""
    heard = []

    def serve(s: socket.socket, n: int) -> None:
        s.sendall(frame('0{"sid":"x"}'))
        heard.append(s.recv(100)[6:])
        s.sendall(frame('40{"sid":"y"}') + frame("2"))
        heard.append(s.recv(100)[6:])
        s.sendall(frame(f'42["message","{text_of(1)}"]'))

    with serving(serve) as server:
        with Load("sio", server.server_address[1], "/", 1, ready="40{", count=(1, 1, "all", 0.5, 5)) as load:
            assert load.counted(10).deliveries == 1
    assert heard == [b"40", b"3"]


def test_the_next_count_forgets_the_last() -> None:
    """Numbers of an earlier count, come late, are nobody's."""
    go = threading.Event()

    def serve(s: socket.socket, n: int) -> None:
        s.sendall(frame(text_of(1)))
        go.wait(5)
        s.sendall(frame(text_of(1)) + frame(text_of(2)) + frame(text_of(3)))
        s.recv(1)

    with serving(serve) as server:
        with Load("ws", server.server_address[1], "/", 1, count=(1, 1, "all", 0.5, 5)) as load:
            assert load.counted(10).deliveries == 1
            load.count(2, 2, quiet=0.5, limit=5)
            go.set()
            said = load.counted(10)
    assert (said.deliveries, said.lost, said.doubled) == (2, 0, 0)
