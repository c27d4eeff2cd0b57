"""The types of setting values, and how each is read from text.

Everything raised here is a `ValueError` whose text may be shown: it never quotes a secret.
"""

import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, StringConstraints

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_NATS_SCHEMES = ("nats", "tls")
_HTTP_SCHEMES = ("http", "https")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_OWN_HEADERS = ("content-type", "content-length", "host", "connection", "transfer-encoding")


def parse_duration(value: object) -> object:
    """Read `54s`, `1m30s`, `500ms` or `2h` as seconds; anything else is left to the float type.

    Raises:
        ValueError: Text that is neither a duration nor a number.
    """
    if not isinstance(value, str):
        return value
    text = value.strip()
    if _DURATION.fullmatch(text):
        return sum(float(n) * _UNITS[unit] for n, unit in _DURATION_PART.findall(text))
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{value!r} is no duration; write 54s, 1m30s, 500ms or seconds") from None


def format_duration(seconds: float) -> str:
    """Write seconds as `parse_duration` reads them: `54s`, `500ms`."""
    return f"{seconds:g}s" if seconds >= 1 else f"{seconds * 1000:g}ms"


def split_list(value: object) -> object:
    """Read one string as a comma-separated list; the environment has nothing else."""
    if not isinstance(value, str):
        return value
    return [item.strip() for item in value.split(",") if item.strip()]


def _parse_network(value: object) -> IPv4Network | IPv6Network:
    try:
        return ip_network(str(value).strip())
    except ValueError as error:
        raise ValueError(f"{error}; write a network such as 10.0.0.0/8") from None


def _check_nats_url(url: str) -> str:
    # The URL may hold a password, so no message quotes it.
    try:
        parts = urlsplit(url)
        valid = parts.scheme in _NATS_SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ValueError("should be nats://[user:password@]host[:port], or tls://…")
    return url


def _check_address(address: str) -> str:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 1 <= int(port) <= _MAX_PORT:
        raise ValueError(f"{address!r} is no host:port")
    return address


def _check_optional_address(address: str) -> str:
    return _check_address(address) if address else ""


def _check_upstream(url: str) -> str:
    """Accept a FastCGI or HTTP server by its URL; empty for none."""
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    # No message quotes it: someone may have put a password there.
    is_plain = not (parts.username or parts.password or parts.query or parts.fragment)
    names_file = parts.path.startswith("/") and parts.path != "/"
    is_socket = parts.scheme == "fastcgi" and not parts.netloc and names_file
    is_fastcgi = parts.scheme == "fastcgi" and parts.hostname and port and not parts.path
    is_http = parts.scheme in _HTTP_SCHEMES and parts.hostname and port != 0
    if not (is_plain and (is_socket or is_fastcgi or is_http)):
        raise ValueError("should be fastcgi:///path/of.sock, fastcgi://host:port or http://host")
    return url.rstrip("/")


def _check_http_url(url: str) -> str:
    # It may hold a password or a token, so no message quotes it.
    try:
        parts = urlsplit(url)
        valid = parts.scheme in _HTTP_SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or not url.isascii() or any(char.isspace() for char in url):
        raise ValueError("should be http://host[:port]/path, or https://…")
    return url


def _check_optional_http_url(url: str) -> str:
    return _check_http_url(url) if url else ""


def _check_headers(headers: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
    for name, value in headers.items():
        if _HEADER_NAME.fullmatch(name) is None:
            raise ValueError(f"{name!r} is no name of a header")
        if name.lower().startswith("x-pusher-") or name.lower() in _OWN_HEADERS:
            raise ValueError(f"{name} is set by Pogo itself")
        if _HEADER_VALUE.fullmatch(value.get_secret_value()) is None:
            raise ValueError(f"the value of {name} has characters that no header may have")
    return headers


def _check_number(value: object) -> object:
    # To Python, and so to pydantic, true is 1.
    if isinstance(value, bool):
        raise ValueError("should be a number, not true or false")  # noqa: TRY004 - pydantic's
    return value


def _parse_workers(value: object) -> object:
    return 0 if value == "auto" else value


def _check_rate(rate: float) -> float:
    # Nobody means a server that serves nobody.
    if rate == 0:
        raise ValueError("should not be 0; negative is unlimited")
    return rate


def _check_secret(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().strip():
        raise ValueError("must not be empty")
    return secret


_MAX_PORT = 65_535

# No machine has more CPUs; beyond, it is a mistake.
_MAX_WORKERS = 1024

_NUMBER = BeforeValidator(_check_number)

Duration = Annotated[
    float, BeforeValidator(parse_duration), _NUMBER, Field(gt=0, allow_inf_nan=False)
]
"""A span of time in seconds."""

Rate = Annotated[float, _NUMBER, AfterValidator(_check_rate), Field(allow_inf_nan=False)]
"""Events per second; negative means unlimited."""

Count = Annotated[int, _NUMBER, Field(ge=1)]
"""A limit that cannot be switched off."""

Workers = Annotated[int, BeforeValidator(_parse_workers), _NUMBER, Field(ge=0, le=_MAX_WORKERS)]
"""How many processes share the work; 0, or `auto`, is one for each CPU."""

Port = Annotated[int, _NUMBER, Field(ge=0, le=_MAX_PORT)]
"""A TCP port to listen on; 0 takes any free one."""

RemotePort = Annotated[int, _NUMBER, Field(ge=1, le=_MAX_PORT)]
"""A TCP port to connect to."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
"""An app's id or key: it stands in URLs, and before the `:` of a signature."""

Text = Annotated[str, StringConstraints(min_length=1)]
"""Text that must not be empty."""

Secret = Annotated[SecretStr, AfterValidator(_check_secret)]
"""A secret that must not be empty."""

TextList = Annotated[tuple[Text, ...], BeforeValidator(split_list)]
"""A list, or one string with commas."""

Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_parse_network)]
"""A network in CIDR notation; a bare address is a network of one."""

NetworkList = Annotated[tuple[Network, ...], BeforeValidator(split_list)]
"""A list of networks, or one string with commas."""

NatsUrls = Annotated[
    tuple[Annotated[str, AfterValidator(_check_nats_url)], ...],
    BeforeValidator(split_list),
    Field(min_length=1),
]
"""One or more servers of a NATS cluster, as a list or one string with commas."""

Addresses = Annotated[
    tuple[Annotated[str, AfterValidator(_check_address)], ...], BeforeValidator(split_list)
]
"""A list of `host:port`, or one string with commas."""

OptionalAddress = Annotated[str, AfterValidator(_check_optional_address)]
"""One `host:port`, or nothing."""

Upstream = Annotated[str, AfterValidator(_check_upstream)]
"""`fastcgi:///path/of.sock`, `fastcgi://host:port`, `http://host:port/prefix`, or nothing."""

UrlPath = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._~/-]*$")]
"""The path of a URL."""

HttpUrl = Annotated[str, AfterValidator(_check_http_url)]
"""The URL of an HTTP endpoint."""

OptionalHttpUrl = Annotated[str, AfterValidator(_check_optional_http_url)]
"""The same, or nothing."""

HeaderMap = Annotated[Mapping[str, SecretStr], AfterValidator(_check_headers)]
"""HTTP headers by name; their values may be secrets."""
