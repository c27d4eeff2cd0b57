"""Whether the service in this container is up: exit code 0 if its `/up` answers 200, else 1.

It imports little, as it runs every few seconds in every container. Of the settings it reads three,
as the service does: `host`, `port`, and whether there is a `tls_cert`.
"""

import os
import socket
import sys
from pathlib import Path

_TIMEOUT = 2.0
_CONFIG = Path("pogo.toml")
# Where to ask a service that listens everywhere.
_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (it connects)


def setting(name: str) -> str:
    """Return a setting of the environment or of pogo.toml; empty where neither has it."""
    given = os.environ.get(f"POGO_{name.upper()}")
    if not given and _CONFIG.exists():
        import tomllib  # noqa: PLC0415 (only where there is a file)

        given = str(tomllib.loads(_CONFIG.read_text()).get(name, ""))
    return given or ""


def status(host: str, port: int, *, tls: bool) -> bytes:
    """Ask `/up`, and return the first line of the answer.

    Raises:
        OSError: Nothing listens, or it does not answer in time.
    """
    with socket.create_connection((host, port), _TIMEOUT) as plain:
        connection = _encrypted(plain) if tls else plain
        connection.sendall(b"GET /up HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return connection.recv(4096).partition(b"\r\n")[0]


def _encrypted(plain: socket.socket) -> socket.socket:
    import ssl  # noqa: PLC0415 (only where it is needed)

    # It asks itself, by an address that no certificate has. Nobody is between.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain)


if __name__ == "__main__":
    host = setting("host")
    try:
        answer = status(
            _LOOPBACK.get(host, host),
            int(setting("port") or 8080),
            tls=bool(setting("tls_cert")),
        )
    except OSError as error:
        sys.exit(str(error))
    print(answer.decode("latin-1"))  # noqa: T201 (`docker inspect` shows it)
    sys.exit(0 if b" 200 " in answer else 1)
