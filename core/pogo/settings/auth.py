"""The settings of auth services, and of edges that ask them."""

from pydantic import ValidationInfo, field_validator

from pogo.settings.group import Group
from pogo.settings.tls import key_of
from pogo.settings.values import Count, Duration, OptionalAddress, Upstream, UrlPath

_OWN_PAGES = ("/", "/up", "/pogo/health")
_OWN_FOLDERS = ("/app/", "/demo/")
"""What an edge or an auth service answers itself: an `auth_path` there would not be reached."""


class AuthSettings(Group):
    """Authorisation by the application's PHP worker."""

    auth_upstream: Upstream = ""
    """Where the auth service finds the PHP worker: `fastcgi:///run/php/php-fpm.sock`,
    `fastcgi://host:9000`, or `http://host:port` (nginx, Octane, FrankenPHP). Empty: no auth
    service in `pogo serve`."""

    auth_script: str = ""
    """The PHP script of the worker, by its path where php-fpm runs: of Laravel,
    `public/index.php`. Needed with FastCGI, and of no meaning with HTTP."""

    auth_path: UrlPath = "/pogo/auth"
    """Where browsers have channels signed, and where the worker is asked to."""

    user_auth_path: UrlPath = "/pogo/user-auth"
    """The same for users who sign in."""

    auth_connections: Count = 4
    """Connections of one auth service to the worker, and so requests that the worker has in hand
    at a time. php-fpm keeps a child for each: over all auth services together they must not be
    more than its `pm.max_children`."""

    max_auth_body: Count = 16_384
    """Bytes of one request to the auth service, and of the worker's answer."""

    max_concurrent_auth: Count = 100
    """Requests that one auth service, or edge, has under way; more are refused at once, with 503.
    So are those that would not be answered in time, by what the latest have taken."""

    auth_timeout: Duration = 3.0
    """How long a client waits for the worker; then it gets 504."""

    auth_breaker_failures: Count = 5
    """Failures in a row after which the worker is left alone: it could not be reached, or did not
    answer in time."""

    auth_breaker_wait: Duration = 10.0
    """For how long it is; then one request is tried."""

    subscribe_without_auth: bool = False
    """Whether clients may subscribe to private and presence channels, and sign in, without `auth`:
    the auth service then decides by the cookies of their handshake. Needs `allowed_origins`
    without `*`, since any web page could have a browser send its cookies."""

    auth_service: OptionalAddress = ""
    """The gRPC `host:port` of the auth service that edges ask then. `pogo serve` has its own."""

    auth_service_tls: bool = False
    """Whether edges speak TLS to it."""

    auth_service_tls_ca: str = ""
    """A PEM file with the authorities that vouch for it; empty for those of the system. This and
    the next two need `auth_service_tls`."""

    auth_service_tls_cert: str = ""
    """A PEM file with a certificate to show to it, and its chain."""

    auth_service_tls_key: str = ""
    """A PEM file with its private key, not encrypted."""

    max_auth_headers: Count = 8192
    """Bytes of a handshake's headers that are kept for it, for each connection."""

    @field_validator("auth_script")
    @classmethod
    def _named_for_fastcgi(cls, script: str, info: ValidationInfo) -> str:
        if not script and str(info.data.get("auth_upstream", "")).startswith("fastcgi:"):
            raise ValueError(
                "is required with a FastCGI auth_upstream: the path of the PHP script on the "
                "machine of php-fpm, such as /var/www/public/index.php"
            )
        return script

    @field_validator("auth_path", "user_auth_path")
    @classmethod
    def _not_the_servers_own(cls, path: str) -> str:
        if path in _OWN_PAGES or path.startswith(_OWN_FOLDERS):
            raise ValueError(f"{path} is the server's own; choose a path such as /pogo/auth")
        return path

    @field_validator("user_auth_path")
    @classmethod
    def _another_than_for_channels(cls, path: str, info: ValidationInfo) -> str:
        if path == info.data.get("auth_path"):
            raise ValueError(f"{path} is auth_path already, and users need another one")
        return path

    @field_validator("auth_service_tls_ca", "auth_service_tls_cert")
    @classmethod
    def _with_auth_service_tls(cls, path: str, info: ValidationInfo) -> str:
        if path and not info.data.get("auth_service_tls"):
            raise ValueError("needs auth_service_tls = true")
        return path

    @field_validator("auth_service_tls_key")
    @classmethod
    def _with_auth_service_certificate(cls, key: str, info: ValidationInfo) -> str:
        return key_of(info.data.get("auth_service_tls_cert"), key, "auth_service_tls_cert")

    @field_validator("subscribe_without_auth")
    @classmethod
    def _only_for_known_pages(cls, allowed: bool, info: ValidationInfo) -> bool:  # noqa: FBT001
        if not allowed:
            return False
        places = {"allowed_origins": info.data.get("allowed_origins", ())}
        for index, app in enumerate(info.data.get("apps", ())):
            places[f"apps[{index}].allowed_origins"] = app.allowed_origins or ()
        for place, origins in places.items():
            if "*" in origins:
                raise ValueError(
                    f"needs {place} without '*': any web page could have a browser send its "
                    "cookies; name the origins of your pages"
                )
        return True
