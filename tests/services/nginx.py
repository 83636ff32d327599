"""An nginx in front of several servers, configured as ``docs/deployment.md`` says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .process import Process
from .programs import debian, on_path, program

CONFIG = """
daemon off; pid {directory}/pid; error_log {directory}/error; worker_processes 1;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    upstream live {{ least_conn; {servers} }}
    server {{
        listen 127.0.0.1:{port};
        location /livebell/socket/ {{
            proxy_pass http://live;
            proxy_next_upstream error timeout http_503;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header Host $http_host;
            proxy_buffering off;
            proxy_read_timeout 75s;
        }}
    }}
}}
"""


class Nginx(Process):
    """In front of these ports."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.server = program("nginx", find, debian("nginx-light"))
        super().__init__("nginx")
        servers = " ".join(f"server 127.0.0.1:{port};" for port in ports)
        text = CONFIG.format(directory=self.directory, port=self.port, servers=servers)
        (self.directory / "nginx.conf").write_text(text)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def command(self) -> Sequence[str]:
        return [str(self.server), "-p", str(self.directory), "-c", str(self.directory / "nginx.conf"), "-e", "stderr"]

    def answers(self) -> bool:
        return (self.directory / "pid").exists()


def find() -> Path | None:
    return on_path("nginx", also=[Path("/usr/sbin"), Path("/usr/local/sbin")])
