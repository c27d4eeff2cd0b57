"""A real nginx for tests, on a port of its own."""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

from tests.servers import HOST, ServerError, ServerProcess

_CONFIGURATION = """\
daemon off;
{user}
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/server.log warn;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  {before}
  server {{
    listen {host}:{port};
    {locations}
  }}
}}
"""


def nginx_path() -> str:
    """Find nginx.

    Raises:
        ServerError: There is none.
    """
    path = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if path is None:
        raise ServerError("nginx is missing: run `make test`, which installs it")
    return path


class Nginx(ServerProcess):
    """An nginx with these `location` blocks, and what is to stand before its server block.

    `port` is for those that others must know before it starts.
    """

    name = "nginx"

    def __init__(
        self, directory: Path, locations: str, *, before: str = "", port: int | None = None
    ) -> None:
        super().__init__(directory)
        self._port = port
        self._locations = locations
        self._before = before

    @property
    def url(self) -> str:
        """Where its pages are."""
        return f"http://{HOST}:{self.port}"

    def _spawn(self, port: int) -> "subprocess.Popen[bytes]":
        configuration = self.directory / "nginx.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                # Root's workers could not reach what lies in root's folders.
                user="user root;" if os.geteuid() == 0 else "",
                directory=self.directory,
                host=HOST,
                port=port,
                before=self._before,
                locations=self._locations,
            )
        )
        command = [nginx_path(), "-p", str(self.directory), "-c", str(configuration)]
        # Before the configuration is read, nginx writes to a log that belongs to root.
        command += ["-e", str(self.log)]
        with self.log.open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    async def _answers(self, port: int, process: "subprocess.Popen[bytes]") -> bool:
        del process  # a port that is taken ends it
        _, writer = await asyncio.open_connection(HOST, port)
        writer.close()
        return True
