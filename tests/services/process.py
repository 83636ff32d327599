"""A server process of ours: started, awaited, stopped, and ended by a guard if we die before we can do so."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from .programs import Unavailable

START_SECONDS = 30
GUARD = 'read _; kill -9 "$1" 2>/dev/null; sleep 0.2; rm -rf "$2"'
"""Waits on a pipe that only we hold. It reads its end when we are gone, however we went, then ends the server."""


class Process:
    """One server in a directory of its own. ``command()`` and ``answers()`` make it a Redis or a PostgreSQL."""

    host = "127.0.0.1"
    stop_signal = signal.SIGTERM

    def __init__(self, name: str, user: str | None = None) -> None:
        self.name = name
        self.user = user
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix=f"livebell-{name}-"))
        if user:
            shutil.chown(self.directory, user, pwd.getpwnam(user).pw_gid)
        self.log = self.directory / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self.guard: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process and self.process.poll() is None else None

    def start(self) -> None:
        """Start, on the same port as before if this isn't the first time, and return when it answers."""
        if self.pid:
            return
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, **self.popen_options())
        self.guard = subprocess.Popen(
            ["sh", "-c", GUARD, "livebell-guard", str(self.process.pid), str(self.directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self.pid is None or time.monotonic() > deadline:
                reason = self.last_words()
                self.stop()
                raise Unavailable(f"{self.name} does not start: {reason}")
            time.sleep(0.02)

    def popen_options(self) -> dict:
        # a session of its own: Ctrl-C is for us, and we stop the server in good order
        options: dict = {"cwd": self.directory, "stdin": subprocess.DEVNULL, "start_new_session": True}
        if self.user:
            options |= {"user": self.user, "group": pwd.getpwnam(self.user).pw_gid, "extra_groups": []}
        return options

    def stop(self, *, kill: bool = False) -> None:
        """Stop; with ``kill`` as a crash would. The data stays for the next start()."""
        if self.guard:
            self.guard.kill()
            self.guard.communicate()
            self.guard = None
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGKILL if kill else self.stop_signal)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines() if self.log.exists() else []
        return lines[-1] if lines else "it said nothing"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def another_user() -> str | None:
    """For servers that refuse to run as root: somebody else, if we are root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise Unavailable("root may not run it, and there is neither a user postgres nor nobody")
