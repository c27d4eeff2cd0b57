"""An nginx in front of a php-fpm, as an HTTP upstream of the auth service."""

from pathlib import Path

from tests.nginx import Nginx
from tests.php_fpm import PhpFpm

_LOCATIONS = """\
access_log {directory}/access.log;
location /prefix/ {{
  include /etc/nginx/fastcgi_params;
  fastcgi_param SCRIPT_FILENAME {script};
  fastcgi_pass unix:{socket};
}}
"""


class Front(Nginx):
    """A web server that hands everything below `/prefix` to one script."""

    def __init__(self, directory: Path, fpm: PhpFpm, script: str) -> None:
        locations = _LOCATIONS.format(directory=directory, script=script, socket=fpm.socket)
        super().__init__(directory, locations)

    @property
    def upstream(self) -> str:
        """The setting `auth_upstream` for it."""
        return f"{self.url}/prefix"

    def requests(self) -> list[str]:
        """Return what it was asked, as it logs it."""
        return (self.directory / "access.log").read_text().splitlines()
