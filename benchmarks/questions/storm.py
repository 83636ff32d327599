"""A deploy: everybody comes back at once, each with a session, a cursor, and notifications that were missed.

It is over when everybody has a snapshot and all that was missed.
"""

from __future__ import annotations

from urllib.request import urlopen

from ..load import Load
from ..project.peer import Livebell
from ..stage import Stage

MISSED = 10


def measure(stage: Stage, peer: Livebell, *, connections: int, in_flight: int) -> dict[str, float]:
    """*peer* counts its queries. *in_flight*: handshakes at one time."""
    clients = peer.clients(connections)
    with stage.serving(peer):
        peer.run_module("benchmarks.project.miss", str(MISSED), "1", str(connections))
        before = queries(peer)
        count = (1, MISSED, "all", 5, 60)
        options = {"clients": clients, "ready": peer.ready, "subprotocol": peer.subprotocol}
        with Load("ws", peer.port, peer.path, connections, in_flight=in_flight, count=count, **options) as load:
            counted = load.counted(70)
            asked = queries(peer) - before
            opened = load.opened
    return {
        "connects/s": (connections - opened.failed) / max(opened.seconds, counted.since_connect),
        "queries per connection": asked / connections,
        "failed": opened.failed,
        "lost": counted.lost,
        "doubled": counted.doubled,
        "p50": opened.p50,
        "p99": opened.p99,
    }


def queries(peer: Livebell) -> int:
    """How many queries the site has made so far."""
    with urlopen(f"{peer.url}/queries/") as answer:
        return int(answer.read())
