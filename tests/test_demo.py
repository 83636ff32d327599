"""The demo as `make demo` runs it, on a SQLite file of its own."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.services.process import free_port

ROOT = Path(__file__).resolve().parent.parent
OURS = ("LIVEBELL_BUS", "LAYER", "REDIS_URL", "DJANGO_SETTINGS_MODULE")


class Demo:
    """One `demo/run.py`, in a process group of its own as a terminal would have it."""

    def __init__(self, database: Path, command: list[str] | None = None, cwd: Path = ROOT) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database = database
        self.command = command or [sys.executable, str(ROOT / "demo" / "run.py"), str(self.port)]
        self.cwd = cwd
        self.output = ""

    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name not in OURS}
        return inherited | {"DATABASE_URL": f"sqlite:///{self.database}", "PORT": str(self.port)}

    def __enter__(self) -> "Demo":
        self.process = subprocess.Popen(
            self.command,
            cwd=self.cwd,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        deadline = time.monotonic() + 30
        while not answers(self.port):
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < deadline, "the demo doesn't answer"
            time.sleep(0.05)
        return self

    def __exit__(self, *exc_info: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def end(self, how) -> int:
        how()
        self.output = self.process.communicate(timeout=20)[0]
        return self.process.returncode

    @contextlib.contextmanager
    def client(self, username: str) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=self.url, follow_redirects=True) as client:
            client.get("/")
            assert client.post("/log-in/", data={"username": username}, headers=csrf(client)).status_code == 200
            yield client


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def csrf(client: httpx.Client) -> dict[str, str]:
    return {"X-CSRFToken": client.cookies["csrftoken"], "Accept": "application/json"}


def send(client: httpx.Client, to: str, **fields: str) -> httpx.Response:
    data = {"to": to, "title": "Hello", "level": "info", "count": "1"} | fields
    return client.post("/send/", data=data, headers=csrf(client))


def titles(client: httpx.Client) -> list[str]:
    return [item["title"] for item in client.get("/livebell/api/items/?limit=100").json()["items"]]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with Demo(tmp_path_factory.mktemp("demo") / "db.sqlite3") as demo:
        yield demo


def test_logs_in_with_one_click_under_a_strict_policy(demo: Demo) -> None:
    anonymous = httpx.get(demo.url)
    assert "Log in as alice" in anonymous.text
    assert "default-src 'none'" in anonymous.headers["Content-Security-Policy"]
    with demo.client("alice") as alice:
        page = alice.get("/").text
    assert "<live-bell" in page
    assert "<script>" not in page
    assert "style=" not in page


def test_static_files_are_served(demo: Demo) -> None:
    assert httpx.get(f"{demo.url}/static/demo/demo.js").headers["Content-Type"].startswith("text/javascript")


@pytest.mark.parametrize(
    ("to", "alice_gets", "bob_gets"),
    [("self", 1, 0), ("other", 0, 1), ("team", 1, 1), ("everyone", 1, 1)],
)
def test_reaches_whom_it_is_for(demo: Demo, to: str, alice_gets: int, bob_gets: int) -> None:
    title = f"To {to}"
    with demo.client("alice") as alice, demo.client("bob") as bob:
        response = send(alice, to, title=title, url="/")
        assert (response.status_code, response.json()["message"]) == (200, "Sent.")
        assert (titles(alice).count(title), titles(bob).count(title)) == (alice_gets, bob_gets)


def test_sends_a_hundred(demo: Demo) -> None:
    with demo.client("alice") as alice:
        assert send(alice, "self", title="Many", count="100").json()["message"] == "Sent 100 notifications."
        assert len([title for title in titles(alice) if title.startswith("Many ")]) == 100


def test_what_is_refused_names_the_field(demo: Demo) -> None:
    with demo.client("alice") as alice:
        for fields in ({"title": ""}, {"url": "javascript:alert(1)"}):
            response = send(alice, "self", **fields)
            assert response.status_code == 400
            assert next(iter(fields)) in response.json()["message"]


def test_works_without_its_script(demo: Demo) -> None:
    with demo.client("alice") as alice:
        headers = {"X-CSRFToken": alice.cookies["csrftoken"], "Accept": "text/html"}
        data = {"to": "self", "title": "Plain", "level": "info", "count": "1"}
        response = alice.post("/send/", data=data, headers=headers)
    assert response.url.path == "/"
    assert "Sent." in response.text


def test_a_second_start_keeps_the_data_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    database = tmp_path / "db.sqlite3"
    with Demo(database) as first:
        with first.client("alice") as alice:
            send(alice, "self", title="Kept")
        assert first.end(lambda: os.killpg(first.process.pid, signal.SIGINT)) == 0
        assert first.output.count("\n") == 3
        assert f"open {first.url}/" in first.output
    started = time.monotonic()
    with Demo(database) as second, second.client("alice") as alice:
        assert time.monotonic() - started < 10
        assert titles(alice) == ["Kept"]


def test_a_busy_port_is_one_line(demo: Demo) -> None:
    again = subprocess.run(
        demo.command, env=demo.environment(), capture_output=True, text=True, timeout=30, check=False
    )
    assert again.returncode != 0
    assert again.stdout == ""
    assert again.stderr.startswith(f"Port {demo.port} is busy")
    assert again.stderr.count("\n") == 1


@pytest.mark.parametrize("port", ["0x", "70000", "-1"])
def test_a_port_that_is_none_is_one_line(port: str) -> None:
    command = [sys.executable, str(ROOT / "demo" / "run.py"), port]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0
    assert done.stderr == f"PORT={port} is not a port: a number from 1 to 65535.\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_stops_when_make_alone_is_stopped(tmp_path: Path, number: signal.Signals) -> None:
    if number is not signal.SIGTERM and not Path("/proc/self/status").exists():
        pytest.skip("needs /proc")
    (tmp_path / "Makefile").write_text(f"demo:\n\t@exec {sys.executable} {ROOT}/demo/run.py $(PORT)\n")
    with Demo(tmp_path / "db.sqlite3", ["make", "demo"], cwd=tmp_path) as demo:
        demo.end(lambda: demo.process.send_signal(number))  # returns when nobody holds the output any more
        assert not answers(demo.port)
