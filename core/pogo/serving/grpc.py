"""What gRPC servers need beside gRPC."""

import logging
import socket

import grpc
from google.protobuf.message import DecodeError

from pogo.tls import ClientTls, Identity, ServerTls


def listen_grpc(server: grpc.aio.Server, host: str, port: int, tls: ServerTls | None = None) -> int:
    """Let a server listen; returns its port, which is another one where it is 0.

    With `tls` it speaks nothing else, and new connections get what that has read last.

    Raises:
        OSError: The address cannot be listened on; another process may have the port.
    """
    address = f"{f'[{host}]' if ':' in host else host}:{port}"
    _try_to_bind(host, port)
    try:
        if tls is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, _server_credentials(tls))
    except RuntimeError as error:
        raise OSError(f"cannot listen on {address} for gRPC") from error


def grpc_client_credentials(tls: ClientTls) -> grpc.ChannelCredentials:
    """Make what a channel with TLS needs.

    Raises:
        TlsError: A file cannot be used.
    """
    authorities, pair = tls.pem()
    if pair is None:
        return grpc.ssl_channel_credentials(authorities)
    return grpc.ssl_channel_credentials(authorities, pair.key, pair.certificate)


def _server_credentials(tls: ServerTls) -> grpc.ServerCredentials:
    given = tls.identity

    def replaced() -> grpc.ServerCertificateConfiguration | None:
        # gRPC asks for each connection, from threads of its own.
        nonlocal given
        identity = tls.identity
        if identity is given:
            return None
        given = identity
        return _configuration(identity)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(given),
        replaced,  # type: ignore[arg-type]  # the stubs do not know that None is "no change"
        require_client_authentication=given.client_ca is not None,
    )


def _configuration(identity: Identity) -> grpc.ServerCertificateConfiguration:
    pair = identity.pair
    return grpc.ssl_server_certificate_configuration(
        [(pair.key, pair.certificate)], identity.client_ca
    )


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
