"""The servers that other tests lean on start, stop, come back, and don't outlive us."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import redis

from tests.services import External, PostgreSQL, Redis, Unavailable
from tests.services.postgresql import find

ROOT = Path(__file__).resolve().parent.parent

STARTS_A_REDIS = """
import sys, time
from tests.services import Redis
with Redis() as server:
    print(server.pid, server.directory, flush=True)
    time.sleep(60)
"""


@pytest.mark.redis
def test_redis_comes_back_on_the_same_port_and_empty(own_redis: Redis) -> None:
    client = redis.Redis.from_url(own_redis.url, decode_responses=True)
    client.set("a", "1")
    port = own_redis.port
    own_redis.stop(kill=True)
    assert own_redis.pid is None
    with pytest.raises(redis.ConnectionError):
        client.ping()
    own_redis.start()
    assert own_redis.port == port
    assert client.get("a") is None
    client.close()


@pytest.mark.postgresql
def test_postgresql_comes_back_with_its_data(own_postgresql: PostgreSQL) -> None:
    url = own_postgresql.create_database("here")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept (n int)")
    own_postgresql.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    own_postgresql.start()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


@pytest.mark.redis
@pytest.mark.usefixtures("redis_server")  # skips where there is no Redis
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_nothing_is_left_when_we_are_killed(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTS_A_REDIS], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as starter:
        pid, directory = starter.stdout.readline().split()
        starter.send_signal(number)
    assert eventually(lambda: not alive(int(pid)) and not Path(directory).exists())


def test_somebody_elses_server_is_not_stopped() -> None:
    server = External("REDIS_URL", "redis://127.0.0.1:6399/0")
    assert server.port == 6399
    with pytest.raises(Unavailable, match="somebody else"):
        server.stop()


def test_what_does_not_start_says_why(tmp_path: Path) -> None:
    class Broken(Redis):
        def __init__(self) -> None:
            super(Redis, self).__init__("broken")

        def command(self) -> list[str]:
            return ["sh", "-c", "echo no luck; exit 1"]

    server = Broken()
    with pytest.raises(Unavailable, match="broken does not start: no luck"), server:
        pass
    assert not server.directory.exists()


def test_postgresql_is_found_with_its_tools() -> None:
    directory = find()
    if directory is None:
        pytest.skip("no PostgreSQL")
    assert (directory / "initdb").exists()


def alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[-1][:3]
    return False


def eventually(condition, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
