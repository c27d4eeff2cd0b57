"""The auth service of `pogo serve`, which its edge asks without a network between them."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from pogo.authsvc import Auth, AuthError, ShedError
from pogo.edge.authorizer import AuthorizerBusyError, AuthorizerError
from pogo.rpc.v1.auth_pb2 import (
    AuthenticateUserReply,
    AuthenticateUserRequest,
    AuthorizeChannelReply,
    AuthorizeChannelRequest,
)

_Request = TypeVar("_Request")
_Reply = TypeVar("_Reply")


class LocalAuthService:
    """Asks an auth service of the same process."""

    def __init__(self, auth: Auth) -> None:
        self._auth = auth.for_edges

    async def authorize_channel(self, request: AuthorizeChannelRequest) -> AuthorizeChannelReply:
        """Have a subscription signed.

        Raises:
            AuthorizerError: It could not be decided.
        """
        return await _ask(self._auth.authorize_channel, request)

    async def authenticate_user(self, request: AuthenticateUserRequest) -> AuthenticateUserReply:
        """Have a user signed.

        Raises:
            AuthorizerError: It could not be decided.
        """
        return await _ask(self._auth.authenticate_user, request)


async def _ask(ask: Callable[[_Request], Awaitable[_Reply]], request: _Request) -> _Reply:
    try:
        return await ask(request)
    except ShedError as error:
        raise AuthorizerBusyError(str(error)) from error
    except AuthError as error:
        # The auth service has logged what its worker did.
        raise AuthorizerError(str(error), outage=False) from error
