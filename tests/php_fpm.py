"""A real php-fpm for tests, with a pool of its own that listens on a Unix socket or on TCP.

async with PhpFpm(tmp_path, children=4) as fpm:
    ...  # fpm.upstream is `fastcgi:///…/php-fpm.sock`
"""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

from tests.servers import HOST, ServerError, ServerProcess

_CONFIGURATION = """\
[global]
daemonize = no
error_log = {directory}/server.log
log_level = notice

[pogo]
{user}
listen = {listen}
listen.mode = 0666
pm = static
pm.max_children = {children}
request_terminate_timeout = {terminate_after}s
catch_workers_output = yes
decorate_workers_output = no
clear_env = yes
php_admin_value[error_log] = {directory}/php.log
php_admin_flag[log_errors] = on
php_admin_flag[display_errors] = off
{environment}
"""


def php_fpm_path() -> str:
    """Find php-fpm, which Debian calls after its version, or that of a chroot.

    Raises:
        ServerError: There is none.
    """
    if chosen := os.environ.get("POGO_TEST_PHP_FPM"):
        return chosen
    for name in ("php-fpm8.2", "php-fpm8.4", "php-fpm8.3", "php-fpm8.1", "php-fpm"):
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
        if path is not None:
            return path
    raise ServerError("php-fpm is missing: run `make test`, which installs it")


class PhpFpm(ServerProcess):
    """A php-fpm whose pool has a fixed number of children.

    `tcp` has it listen on its port instead of a Unix socket; `environment` is what scripts see in
    `getenv()`.
    """

    name = "php-fpm"

    def __init__(
        self,
        directory: Path,
        *,
        children: int = 4,
        tcp: bool = False,
        terminate_after: int = 10,
        environment: dict[str, str] | None = None,
    ) -> None:
        super().__init__(directory)
        self.children = children
        self.tcp = tcp
        self.socket = directory / "php-fpm.sock"
        self._terminate_after = terminate_after
        self._environment = environment or {}

    @property
    def upstream(self) -> str:
        """The setting `auth_upstream` for it."""
        return f"fastcgi://{HOST}:{self.port}" if self.tcp else f"fastcgi://{self.socket}"

    def kill(self) -> None:
        """End it with its children, which outlive a master that is killed. Idempotent."""
        children = self._children()
        super().kill()
        for pid in children:
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                continue
        self.socket.unlink(missing_ok=True)

    def _children(self) -> list[int]:
        if self._process is None:
            return []
        listing = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        try:
            return [int(pid) for pid in listing.read_text().split()]
        except OSError:
            return []

    def _spawn(self, port: int) -> "subprocess.Popen[bytes]":
        configuration = self.directory / "php-fpm.conf"
        is_root = os.geteuid() == 0
        quoted = {name: value.replace('"', '\\"') for name, value in self._environment.items()}
        configuration.write_text(
            _CONFIGURATION.format(
                directory=self.directory,
                user="user = root\ngroup = root" if is_root else "",
                listen=f"{HOST}:{port}" if self.tcp else self.socket,
                children=self.children,
                terminate_after=self._terminate_after,
                environment="\n".join(f'env[{key}] = "{value}"' for key, value in quoted.items()),
            )
        )
        allow_root = ["--allow-to-run-as-root"] if is_root else []
        command = [php_fpm_path(), *allow_root, "--nodaemonize", "--fpm-config"]
        with self.log.open("ab") as log:
            return subprocess.Popen([*command, str(configuration)], stdout=log, stderr=log)

    async def _answers(self, port: int, process: "subprocess.Popen[bytes]") -> bool:
        del process  # its socket is its own
        if self.tcp:
            _, writer = await asyncio.open_connection(HOST, port)
        else:
            _, writer = await asyncio.open_unix_connection(self.socket)
        writer.close()
        return True
