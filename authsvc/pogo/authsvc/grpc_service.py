"""The gRPC service that edges ask for clients that subscribed without `auth`."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc

from pogo.authsvc.apps import AuthApp
from pogo.authsvc.errors import (
    AuthError,
    BadRequestError,
    InvalidAnswerError,
    RefusedError,
    ShedError,
    WorkerTimeoutError,
)
from pogo.authsvc.headers import check_host, check_remote, passed_headers
from pogo.authsvc.service import Asker, AuthService
from pogo.pusher.channels import channel_kind
from pogo.rpc.v1 import auth_pb2, auth_pb2_grpc

_Context = grpc.aio.ServicerContext[object, object]
_Request = TypeVar("_Request", auth_pb2.AuthorizeChannelRequest, auth_pb2.AuthenticateUserRequest)
_Reply = TypeVar("_Reply", auth_pb2.AuthorizeChannelReply, auth_pb2.AuthenticateUserReply)


class EdgeAuth:
    """Answers edges, wherever they are. What the application refuses is an answer."""

    def __init__(self, service: AuthService) -> None:
        self._service = service

    async def authorize_channel(
        self, request: auth_pb2.AuthorizeChannelRequest
    ) -> auth_pb2.AuthorizeChannelReply:
        """Have a channel signed for a connection.

        Raises:
            AuthError: It could not be decided.
        """
        fields = [("socket_id", request.socket_id), ("channel_name", request.channel)]
        try:
            if channel_kind(request.channel).is_encrypted:
                raise BadRequestError("the key of an encrypted channel is for its client alone")
            signed = await self._service.sign_channel(fields, _asker(request))
            _check_app(signed.app, request.app_id)
        except RefusedError as error:
            self._service.report(error)
            return auth_pb2.AuthorizeChannelReply(detail=_why(error))
        except AuthError as error:
            self._service.report(error)
            raise
        return auth_pb2.AuthorizeChannelReply(
            auth=signed.answer.auth, channel_data=signed.answer.channel_data or ""
        )

    async def authenticate_user(
        self, request: auth_pb2.AuthenticateUserRequest
    ) -> auth_pb2.AuthenticateUserReply:
        """Have a connection's user signed.

        Raises:
            AuthError: It could not be decided.
        """
        fields = [("socket_id", request.socket_id)]
        try:
            signed = await self._service.sign_user(fields, _asker(request))
            _check_app(signed.app, request.app_id)
        except RefusedError as error:
            self._service.report(error)
            return auth_pb2.AuthenticateUserReply(detail=_why(error))
        except AuthError as error:
            self._service.report(error)
            raise
        return auth_pb2.AuthenticateUserReply(
            auth=signed.answer.auth, user_data=signed.answer.user_data
        )


class GrpcService(auth_pb2_grpc.AuthServicer):
    """Answers edges by gRPC, whose errors say what could not be decided."""

    def __init__(self, edge_auth: EdgeAuth) -> None:
        self._edge_auth = edge_auth

    async def AuthorizeChannel(  # noqa: N802 - gRPC's names
        self, request: auth_pb2.AuthorizeChannelRequest, context: _Context
    ) -> auth_pb2.AuthorizeChannelReply:
        """Have a channel signed for a connection."""
        return await _answer(self._edge_auth.authorize_channel, request, context)

    async def AuthenticateUser(  # noqa: N802 - gRPC's names
        self, request: auth_pb2.AuthenticateUserRequest, context: _Context
    ) -> auth_pb2.AuthenticateUserReply:
        """Have a connection's user signed."""
        return await _answer(self._edge_auth.authenticate_user, request, context)


async def _answer(
    ask: Callable[[_Request], Awaitable[_Reply]], request: _Request, context: _Context
) -> _Reply:
    try:
        return await ask(request)
    except AuthError as error:
        await context.abort(_code(error), str(error))


def _code(error: AuthError) -> grpc.StatusCode:
    match error:
        case BadRequestError():
            return grpc.StatusCode.INVALID_ARGUMENT
        case ShedError():
            return grpc.StatusCode.RESOURCE_EXHAUSTED
        case WorkerTimeoutError():
            return grpc.StatusCode.DEADLINE_EXCEEDED
        case InvalidAnswerError():
            return grpc.StatusCode.INTERNAL
        case _:
            return grpc.StatusCode.UNAVAILABLE


def _check_app(app: AuthApp, app_id: str) -> None:
    """See that the worker signed for the app that the connection belongs to.

    Raises:
        InvalidAnswerError: It is another one's key.
    """
    if app.id != app_id:
        raise InvalidAnswerError(f"it signs for the app {app.id}, and should for {app_id}")


def _asker(
    request: auth_pb2.AuthorizeChannelRequest | auth_pb2.AuthenticateUserRequest,
) -> Asker:
    # The edge has judged whose word for the client's address counts.
    headers = [(header.name, header.value) for header in request.headers]
    host = next((value for name, value in headers if name == "host"), "")
    return Asker(
        passed_headers(headers, from_trusted_proxy=True),
        check_host(host),
        check_remote(request.remote),
    )


def _why(error: RefusedError) -> str:
    return f"{error} ({error.status})"
