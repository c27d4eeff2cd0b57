"""The upstream that the settings name."""

from urllib.parse import urlsplit

from pogo.authsvc.fastcgi_upstream import FastCgiUpstream
from pogo.authsvc.http_upstream import HttpUpstream
from pogo.authsvc.upstream import Upstream
from pogo.settings import Settings


def make_upstream(settings: Settings) -> Upstream:
    """Make the upstream of `auth_upstream`, which is checked and not empty; nothing connects."""
    url = urlsplit(settings.auth_upstream)
    max_body = settings.max_auth_body
    if url.scheme != "fastcgi":
        return HttpUpstream(
            settings.auth_upstream, max_body=max_body, connections=settings.auth_connections
        )
    if not url.netloc:
        return FastCgiUpstream(script=settings.auth_script, max_body=max_body, socket_path=url.path)
    return FastCgiUpstream(
        script=settings.auth_script,
        max_body=max_body,
        host=url.hostname or "",
        port=url.port or 0,
    )
