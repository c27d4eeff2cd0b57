"""What gRPC servers need beside gRPC."""

import logging
import socket

import grpc
from google.protobuf.message import DecodeError


def listen_grpc(server: grpc.aio.Server, host: str, port: int) -> int:
    """Let a server listen, without TLS; returns its port, which is another one where it is 0.

    Raises:
        OSError: The address cannot be listened on; another process may have the port.
    """
    address = f"{f'[{host}]' if ':' in host else host}:{port}"
    _try_to_bind(host, port)
    try:
        return server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"cannot listen on {address} for gRPC") from error


def _try_to_bind(host: str, port: int) -> None:
    """Learn why an address cannot be listened on, which gRPC tells nobody but standard error.

    Raises:
        OSError: It cannot.
    """
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as probe:
        # As gRPC does: a connection that has just ended does not hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        probe.listen(1)


class _NotOurFault(logging.Filter):
    """Drops bytes that are no message: gRPC answers them, and logs them like a bug of the server.

    They come before any authentication, so anyone could fill the log with tracebacks.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, DecodeError)


_filter = _NotOurFault()


def quiet_callers_faults() -> None:
    """Keep callers' faults out of the log of errors, once for the process."""
    # The logger's name is gRPC's own affair: `tests/broker/test_grpc.py` says when it changes.
    logging.getLogger("grpc._cython.cygrpc").addFilter(_filter)
