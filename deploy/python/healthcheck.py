"""Whether the service in this container is up: exit code 0 if its `/up` answers 200, else 1.

It imports little, as it runs every few seconds in every container.
"""

import os
import socket
import sys

_TIMEOUT = 2.0


def status(port: int) -> bytes:
    """Ask this machine's `/up`, and return the first line of the answer.

    Raises:
        OSError: Nothing listens, or it does not answer in time.
    """
    with socket.create_connection(("127.0.0.1", port), _TIMEOUT) as connection:
        connection.sendall(b"GET /up HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return connection.recv(4096).partition(b"\r\n")[0]


if __name__ == "__main__":
    try:
        answer = status(int(os.environ.get("POGO_PORT") or 8080))
    except OSError as error:
        sys.exit(str(error))
    print(answer.decode("latin-1"))  # noqa: T201 (`docker inspect` shows it)
    sys.exit(0 if b" 200 " in answer else 1)
