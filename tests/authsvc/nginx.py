"""A real nginx for tests, in front of a php-fpm.

async with Nginx(tmp_path, fpm, script) as nginx:
    ...  # nginx.upstream is `http://127.0.0.1:…`
"""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

from tests.php_fpm import PhpFpm
from tests.servers import HOST, ServerError, ServerProcess

_CONFIGURATION = """\
daemon off;
{user}
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/server.log;
events {{ worker_connections 64; }}
http {{
    access_log {directory}/access.log;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen {host}:{port};
        location = /prefix/up {{ return 204; }}
        location /prefix/ {{
            include /etc/nginx/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME {script};
            fastcgi_pass unix:{socket};
        }}
    }}
}}
"""


class Nginx(ServerProcess):
    """A web server that hands everything below `/prefix` to one script."""

    name = "nginx"

    def __init__(self, directory: Path, fpm: PhpFpm, script: str) -> None:
        super().__init__(directory)
        self._fpm = fpm
        self._script = script

    @property
    def upstream(self) -> str:
        """The setting `auth_upstream` for it."""
        return f"http://{HOST}:{self.port}/prefix"

    def requests(self) -> list[str]:
        """Return what it was asked, as it logs it."""
        return (self.directory / "access.log").read_text().splitlines()

    def _spawn(self, port: int) -> "subprocess.Popen[bytes]":
        path = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
        if path is None:
            raise ServerError("nginx is missing: run `make test`, which installs it")
        configuration = self.directory / "nginx.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                directory=self.directory,
                # Its workers would else be somebody who may not enter the directory.
                user="user root;" if os.geteuid() == 0 else "",
                host=HOST,
                port=port,
                script=self._script,
                socket=self._fpm.socket,
            )
        )
        command = [path, "-p", str(self.directory), "-e", str(self.log), "-c", str(configuration)]
        return subprocess.Popen(command)

    async def _answers(self, port: int, process: "subprocess.Popen[bytes]") -> bool:
        del process  # its port is its own
        reader, writer = await asyncio.open_connection(HOST, port)
        try:
            writer.write(b"GET /prefix/up HTTP/1.0\r\n\r\n")
            return b" 204 " in await reader.readline()
        finally:
            writer.close()
