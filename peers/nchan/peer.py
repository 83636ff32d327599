"""nginx with Nchan as a server."""

from __future__ import annotations

import contextlib
import functools
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.services.programs import Unavailable, debian, on_path, program

from ..peer import Login, Peer

MODULES = [Path("/usr/lib/nginx/modules/ngx_nchan_module.so"), Path("/usr/share/nginx/modules/ngx_nchan_module.so")]

CONFIG = """
load_module {module};
daemon off; master_process off; worker_rlimit_nofile 65536;
pid {directory}/pid; error_log {directory}/log warn;
events {{ worker_connections 30000; }}
http {{
    access_log off; client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
    keepalive_requests 1000000; nchan_shared_memory_size 512M; nchan_message_buffer_length 2000;
    server {{
        listen {host}:{port} backlog=4096;
        location = /alive {{ return 204; }}
        location ~ /publish/(\\w+)$ {{ nchan_publisher http; nchan_channel_id $1; }}
        location ~ /subscribe/(\\w+)$ {{
            nchan_subscriber websocket; nchan_channel_id $1; nchan_subscriber_first_message newest; }}
    }}
}}
"""


class Nchan(Peer):
    """One process. It knows no users: everybody reads the channel of all."""

    label = "Nchan"
    path = "/subscribe/all"

    def __init__(self) -> None:
        self.nginx, self.module = nginx()
        super().__init__()

    def logins(self, number: int) -> list[Login]:
        return [Login(pk, "") for pk in range(1, number + 1)]

    def command(self) -> Sequence[str]:
        config = self.directory / "nginx.conf"
        given = {"module": self.module, "directory": self.directory, "host": self.host, "port": self.port}
        config.write_text(CONFIG.format(**given))
        return [str(self.nginx), "-p", str(self.directory), "-e", str(self.log), "-c", str(config)]

    def answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), timeout=1) as asking:
            asking.sendall(b"GET /alive HTTP/1.0\r\n\r\n")
            return b" 204" in asking.recv(64)
        return False

    def publish_command(self) -> Sequence[str]:
        return [*super().publish_command(), str(self.port)]


@functools.cache
def nginx() -> tuple[Path, Path]:
    """The program and the module, of Debian. Raises ``Unavailable``."""
    found = program("nginx", lambda: on_path("nginx"), debian("nginx-light"))
    module = program("Nchan", lambda: next((m for m in MODULES if m.exists()), None), debian("libnginx-mod-nchan"))
    return found, module


def version() -> str:
    """Of nginx; Debian's Nchan is of the same package."""
    try:
        return subprocess.run([nginx()[0], "-v"], capture_output=True, text=True, check=False).stderr.strip()
    except Unavailable as reason:
        return str(reason)
