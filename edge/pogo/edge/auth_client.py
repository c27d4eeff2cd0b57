"""The auth service, reached by gRPC."""

import grpc

from pogo.edge.authorizer import AuthorizerBusyError, AuthorizerError
from pogo.rpc.v1.auth_pb2 import (
    AuthenticateUserReply,
    AuthenticateUserRequest,
    AuthorizeChannelReply,
    AuthorizeChannelRequest,
)
from pogo.rpc.v1.auth_pb2_grpc import AuthStub
from pogo.serving import grpc_client_credentials
from pogo.tls import ClientTls

_GRACE = 1.0
"""Seconds beyond its own limit for which an answer of the auth service is waited for."""

_OUTAGES = (
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.UNKNOWN,
)
"""What says that the auth service, or the application behind it, is not there or not right."""

_OPTIONS = (
    # A dead auth service is noticed, and another one behind the same name taken, within seconds.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 4_000),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.lb_policy_name", "round_robin"),
)


class GrpcAuthService:
    """Asks the auth services behind one name. It belongs to one event loop."""

    def __init__(self, address: str, timeout: float, tls: ClientTls | None = None) -> None:
        """Ask at `HOST:PORT`; `timeout` is the auth service's own limit, in seconds.

        Raises:
            TlsError: A file that TLS needs cannot be used.
        """
        self._timeout = timeout + _GRACE
        target = f"dns:///{address}"
        if tls is None:
            self._channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
        else:
            credentials = grpc_client_credentials(tls)
            self._channel = grpc.aio.secure_channel(target, credentials, options=_OPTIONS)
        self._stub = AuthStub(self._channel)

    async def authorize_channel(self, request: AuthorizeChannelRequest) -> AuthorizeChannelReply:
        """Have a subscription signed.

        Raises:
            AuthorizerError: It could not be decided.
        """
        try:
            return await self._stub.AuthorizeChannel(request, timeout=self._timeout)
        except grpc.aio.AioRpcError as error:
            raise _error(error) from error

    async def authenticate_user(self, request: AuthenticateUserRequest) -> AuthenticateUserReply:
        """Have a user signed.

        Raises:
            AuthorizerError: It could not be decided.
        """
        try:
            return await self._stub.AuthenticateUser(request, timeout=self._timeout)
        except grpc.aio.AioRpcError as error:
            raise _error(error) from error

    async def close(self) -> None:
        """Close the connection. Idempotent."""
        await self._channel.close()


def _error(error: grpc.aio.AioRpcError) -> AuthorizerError:
    message = f"{error.code().name}: {error.details()}"
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return AuthorizerBusyError(message)
    return AuthorizerError(message, outage=error.code() in _OUTAGES)
