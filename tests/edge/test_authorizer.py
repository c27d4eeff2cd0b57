"""Clients that send no signature, and an auth service that the edge asks by gRPC."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable

import grpc
import pytest
from websockets.frames import Frame, Opcode

from pogo.edge import authorizer
from pogo.edge.authorizer import AuthService
from pogo.pusher.signatures import sign_channel, sign_user
from pogo.rpc.v1 import auth_pb2, auth_pb2_grpc
from tests.edge.helpers import APP, KEY, SECRET, Client, Edge, eventually, running_edge
from tests.edge.raw import REQUEST, RawClient

ORIGIN = "https://shop.example"
SUCCEEDED = "pusher_internal:subscription_succeeded"


_Context = grpc.aio.ServicerContext[object, object]
_Question = auth_pb2.AuthorizeChannelRequest | auth_pb2.AuthenticateUserRequest


def _headers(request: _Question) -> dict[str, str]:
    return {header.name: header.value for header in request.headers}


class _Application(auth_pb2_grpc.AuthServicer):
    """Signs for whoever has the cookie of a user, channels that have their name in it."""

    def __init__(self) -> None:
        self.secret = SECRET.encode()
        self.requests: list[_Question] = []
        self.cancelled = 0
        # How many questions are still sent away.
        self.busy = 0
        # Questions about slow channels are answered once it is set.
        self.open = asyncio.Event()

    def headers(self) -> dict[str, str]:
        """Return the headers of the latest question."""
        return _headers(self.requests[-1])

    async def AuthorizeChannel(  # noqa: N802 - gRPC's names
        self, request: auth_pb2.AuthorizeChannelRequest, context: _Context
    ) -> auth_pb2.AuthorizeChannelReply:
        """Answer as the application's worker would."""
        self.requests.append(request)
        if self.busy:
            self.busy -= 1
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many")
        if request.channel.startswith("private-slow"):
            try:
                await self.open.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        user = _headers(request).get("cookie", "").removeprefix("user=")
        if not user or user not in request.channel:
            return auth_pb2.AuthorizeChannelReply(detail="not yours")
        data = json.dumps({"user_id": user}) if request.channel.startswith("presence-") else None
        signature = sign_channel(self.secret, request.socket_id, request.channel, data)
        return auth_pb2.AuthorizeChannelReply(auth=f"{KEY}:{signature}", channel_data=data or "")

    async def AuthenticateUser(  # noqa: N802 - gRPC's names
        self, request: auth_pb2.AuthenticateUserRequest, context: object
    ) -> auth_pb2.AuthenticateUserReply:
        """Answer as the application's worker would."""
        del context
        self.requests.append(request)
        user = _headers(request).get("cookie", "").removeprefix("user=")
        if not user:
            return auth_pb2.AuthenticateUserReply(detail="not logged in")
        data = json.dumps({"id": user})
        signature = sign_user(self.secret, request.socket_id, data)
        return auth_pb2.AuthenticateUserReply(auth=f"{KEY}:{signature}", user_data=data)


@pytest.fixture(name="application")
def _application() -> _Application:
    return _Application()


@contextlib.asynccontextmanager
async def _listening(application: _Application) -> AsyncIterator[str]:
    server = grpc.aio.server()
    auth_pb2_grpc.add_AuthServicer_to_server(application, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@contextlib.asynccontextmanager
async def _asking_edge(
    address: str, local_auth: AuthService | None = None, **overrides: object
) -> AsyncIterator[Edge]:
    settings = {
        "subscribe_without_auth": True,
        "allowed_origins": [ORIGIN],
        "auth_service": address,
        **overrides,
    }
    async with running_edge(local_auth=local_auth, **settings) as edge:  # type: ignore[arg-type]
        yield edge


@pytest.fixture(name="edge")
async def _edge(application: _Application) -> AsyncIterator[Edge]:
    async with _listening(application) as address, _asking_edge(address) as edge:
        yield edge


def _client(edge: Edge, user: str = "", **options: object) -> Client:
    headers = {"Cookie": f"user={user}"} if user else {}
    return Client(edge.url(), **{"origin": ORIGIN, "additional_headers": headers, **options})


async def _ask(client: Client, channel: str) -> None:
    await client.send("pusher:subscribe", {"channel": channel, "auth": ""})


async def _refused(client: Client, channel: str) -> str:
    """Return why a subscription was refused, which the client is told twice."""
    error = await client.expect("pusher:error")
    assert 4009 == error["data"]["code"]
    refusal = await client.expect("pusher:subscription_error")
    assert channel == refusal["channel"]
    return str(error["data"]["message"])


async def test_application_lets_in(edge: Edge, application: _Application) -> None:
    """Who is let in receives what is published, and nobody else was asked for a signature."""
    async with _client(edge, "ada") as client:
        await _ask(client, "private-ada")
        await client.expect(SUCCEEDED)
        await edge.publish("private-ada", "hello")
        await client.expect("hello")

        assert client.socket_id == application.requests[0].socket_id
        assert APP == application.requests[0].app_id
        assert 1 == edge.metric("edge_authorizations_total", outcome="signed")


async def test_presence(edge: Edge) -> None:
    """The application says who the member is."""
    async with _client(edge, "ada") as client:
        await _ask(client, "presence-ada")
        answer = await client.expect(SUCCEEDED)

        assert ["ada"] == json.loads(answer["data"])["presence"]["ids"]


async def test_application_refuses(edge: Edge) -> None:
    """A refusal is the error 4009, with the application's reason, and the connection stays."""
    async with _client(edge, "ada") as client:
        await _ask(client, "private-bob")

        assert "not yours" == await _refused(client, "private-bob")
        await client.silent()
        assert 1 == edge.metric("edge_authorizations_total", outcome="refused")


async def test_application_is_believed_no_more_than_a_client(
    edge: Edge, application: _Application
) -> None:
    """What is signed with another secret lets nobody in."""
    application.secret = b"guessed"
    async with _client(edge, "ada") as client:
        await _ask(client, "private-ada")

        assert "signature" in await _refused(client, "private-ada")


async def test_signin(edge: Edge) -> None:
    """The application says who the user is."""
    async with _client(edge, "ada") as client, _client(edge) as stranger:
        await client.send("pusher:signin", {"auth": "", "user_data": ""})
        await client.expect("pusher:signin_success")
        await client.send("pusher:subscribe", {"channel": "#server-to-user-ada"})
        await client.expect(SUCCEEDED)

        await stranger.send("pusher:signin", {"auth": "", "user_data": ""})
        error = await stranger.expect("pusher:error")
        assert [4009, "not logged in"] == [error["data"]["code"], error["data"]["message"]]


async def test_headers(edge: Edge, application: _Application) -> None:
    """The application gets what it knows its user by, and nothing of the connection itself."""
    headers = {"Cookie": "user=ada", "X-Forwarded-For": "10.1.2.3", "X-Other": "1", "Accept": "a"}
    async with _client(edge, additional_headers=headers) as client:
        await _ask(client, "private-ada")
        await client.expect(SUCCEEDED)

        assert {"cookie", "host", "origin", "user-agent"} == set(application.headers())
        assert "127.0.0.1" == application.requests[0].remote


async def test_headers_beyond_ascii(edge: Edge, application: _Application) -> None:
    """A cookie reaches the application as the text that it is; what is no text cannot."""
    cookie = "user=ada; city=Zürich; \udcff".encode(errors="surrogateescape")
    end = b"\r\nOrigin: %b\r\nCookie: %b\r\n\r\n" % (ORIGIN.encode(), cookie)
    async with RawClient(edge.server.port, handshake=False) as client:
        await client.write(REQUEST.format(KEY).removesuffix("\r\n\r\n").encode() + end)
        await client.read_until(b"socket_id")
        await client.send('{"event":"pusher:subscribe","data":{"channel":"private-ada"}}')
        await eventually(lambda: bool(application.requests))

        assert "user=ada; city=Zürich; \ufffd" == application.headers()["cookie"]


async def test_headers_of_a_trusted_proxy(application: _Application) -> None:
    """Whose word counts may say who the client is."""
    headers = {"Cookie": "user=ada", "X-Forwarded-For": "10.1.2.3", "X-Forwarded-Proto": "https"}
    async with (
        _listening(application) as address,
        _asking_edge(address, trusted_proxies=["127.0.0.1"]) as edge,
        _client(edge, additional_headers=headers) as client,
    ):
        await _ask(client, "private-ada")
        await client.expect(SUCCEEDED)

        assert "10.1.2.3" == application.headers()["x-forwarded-for"]
        assert "https" == application.headers()["x-forwarded-proto"]


async def test_too_many_headers(application: _Application) -> None:
    """What would take too much memory is not kept, and the application cannot be asked."""
    async with (
        _listening(application) as address,
        _asking_edge(address, max_auth_headers=500) as edge,
        _client(edge, "a" * 500) as client,
    ):
        await _ask(client, "private-a")

        assert "too large" in await _refused(client, "private-a")
        assert [] == application.requests


@pytest.mark.parametrize("origin", [None, "https://evil.example", "null"])
async def test_origins(edge: Edge, origin: str | None) -> None:
    """Where cookies decide, a page that is not known does not even connect."""
    async with _client(edge, "ada", origin=origin) as client:
        code, _ = await client.closed()

        assert 4009 == code


async def test_nothing_else_waits(edge: Edge, application: _Application) -> None:
    """While the application thinks, its client, other channels and other clients go on."""
    async with _client(edge, "ada") as client, _client(edge, "bob") as other:
        await _ask(client, "private-slow-ada")
        await eventually(lambda: bool(application.requests))
        await client.silent()
        await client.subscribe("private-signed")
        await _ask(other, "private-bob")
        await other.expect(SUCCEEDED)
        application.open.set()

        assert "private-slow-ada" == (await client.expect(SUCCEEDED))["channel"]


async def test_one_question_after_another(edge: Edge, application: _Application) -> None:
    """A page with many channels has one question under way."""
    channels = [f"private-slow-ada-{number}" for number in range(5)]
    async with _client(edge, "ada") as client:
        for channel in channels:
            await _ask(client, channel)
        await eventually(lambda: bool(application.requests))
        await client.silent()
        assert 1 == len(application.requests)
        assert 5 == edge.metric("edge_authorizations_waiting")
        application.open.set()

        assert channels == [(await client.expect(SUCCEEDED))["channel"] for _ in channels]
        await eventually(lambda: edge.metric("edge_authorizations_waiting") == 0)


async def test_bound_of_an_edge(application: _Application) -> None:
    """No more questions are under way than the settings allow; the others wait their turn."""
    async with (
        _listening(application) as address,
        _asking_edge(address, max_concurrent_auth=2) as edge,
        contextlib.AsyncExitStack() as stack,
    ):
        clients = [await stack.enter_async_context(_client(edge, "ada")) for _ in range(4)]
        for client in clients:
            await _ask(client, "private-slow-ada")
        await eventually(lambda: len(application.requests) == 2)
        await clients[-1].silent()
        assert 2 == len(application.requests)
        application.open.set()

        for client in clients:
            await client.expect(SUCCEEDED)


async def test_asked_twice(edge: Edge, application: _Application) -> None:
    """Who asks again before there is an answer takes no more of the application, nor of memory."""
    async with _client(edge, "ada") as client:
        for _ in range(3):
            await _ask(client, "private-slow-ada")
        await eventually(lambda: bool(application.requests))
        await client.silent()
        assert 1 == edge.metric("edge_authorizations_waiting")
        application.open.set()

        await client.expect(SUCCEEDED)
        await client.silent()
        assert 1 == len(application.requests)


async def test_bound_of_a_connection(application: _Application) -> None:
    """No more waits of a client than it may have subscriptions, also where it unsubscribes."""
    async with (
        _listening(application) as address,
        _asking_edge(address, max_subscriptions=3) as edge,
        _client(edge, "ada") as client,
    ):
        for number in range(3):
            await _ask(client, f"private-slow-ada-{number}")
            await client.send("pusher:unsubscribe", {"channel": f"private-slow-ada-{number}"})
        await _ask(client, "private-slow-ada-3")

        assert "too much" in await _refused(client, "private-slow-ada-3")
        assert 3 == edge.metric("edge_authorizations_waiting")


class _LocalService:
    """An auth service without a network, which refuses; the first channel in a way of its own."""

    def __init__(self, first: Callable[[], object]) -> None:
        self._first = first

    async def authorize_channel(
        self, request: auth_pb2.AuthorizeChannelRequest
    ) -> auth_pb2.AuthorizeChannelReply:
        """Refuse."""
        if request.channel == "private-first":
            self._first()
        return auth_pb2.AuthorizeChannelReply(detail="not yours")

    async def authenticate_user(
        self, request: auth_pb2.AuthenticateUserRequest
    ) -> auth_pb2.AuthenticateUserReply:
        """Refuse."""
        del request
        return auth_pb2.AuthenticateUserReply(detail="not yours")


async def test_asked_in_the_turn_of_the_last_answer() -> None:
    """What a client asks when its last question has just been answered is asked too."""
    message = json.dumps({"event": "pusher:subscribe", "data": {"channel": "private-second"}})
    frame = Frame(Opcode.TEXT, message.encode()).serialize(mask=True)

    def first() -> None:
        # The socket's turn is next, and only then that of whatever waits for the task's end.
        [connection] = edge.server._hub  # noqa: SLF001 (a socket cannot be made to be in time)
        asyncio.get_running_loop().call_soon(connection.data_received, frame)

    async with _asking_edge("", _LocalService(first)) as edge, _client(edge, "ada") as client:
        await _ask(client, "private-first")
        await _refused(client, "private-first")

        assert "not yours" == await _refused(client, "private-second")


async def test_auth_service_fails() -> None:
    """Whatever goes wrong, the client is told, and what waits behind it is asked."""

    def first() -> None:
        raise RuntimeError("a mistake")

    async with _asking_edge("", _LocalService(first)) as edge, _client(edge, "ada") as client:
        await _ask(client, "private-first")
        await _ask(client, "private-second")

        assert "cannot be asked" in await _refused(client, "private-first")
        assert "not yours" == await _refused(client, "private-second")
        assert 1 == edge.metric("edge_authorizations_total", outcome="failed")


async def test_unsubscribed_meanwhile(edge: Edge, application: _Application) -> None:
    """Who has unsubscribed is told nothing, and may ask again."""
    async with _client(edge, "ada") as client:
        await _ask(client, "private-slow-ada")
        await eventually(lambda: bool(application.requests))
        await client.send("pusher:unsubscribe", {"channel": "private-slow-ada"})
        await client.silent()
        application.open.set()
        await eventually(lambda: edge.metric("edge_authorizations_waiting") == 0)
        await client.silent()

        await _ask(client, "private-slow-ada")
        await client.expect(SUCCEEDED)


async def test_gone_meanwhile(edge: Edge, application: _Application) -> None:
    """The question of a client that has gone is withdrawn, and nothing of it stays."""
    async with _client(edge, "ada") as client:
        await _ask(client, "private-slow-ada")
        await _ask(client, "private-slow-ada-2")
        await eventually(lambda: bool(application.requests))
    await eventually(lambda: application.cancelled == 1)

    assert 1 == len(application.requests)
    assert 0 == edge.metric("edge_authorizations_waiting")
    assert 0 == edge.metric("subscriptions_active")


async def test_auth_service_away(application: _Application) -> None:
    """Nobody is let in and everybody is told; when it is there again, all goes on."""
    async with _listening(application) as address:
        pass
    async with _asking_edge(address) as edge, _client(edge, "ada") as client:
        await _ask(client, "private-ada")
        assert "cannot be asked" in await _refused(client, "private-ada")
        await client.send("pusher:signin", {"auth": "", "user_data": ""})
        assert 4009 == (await client.expect("pusher:error"))["data"]["code"]
        assert 2 == edge.metric("edge_authorizations_total", outcome="failed")
        await client.subscribe("private-signed")


async def test_auth_service_is_busy(edge: Edge, application: _Application) -> None:
    """Who is sent away since too many ask is let in once there is room."""
    application.busy = 2
    async with _client(edge, "ada") as client:
        await _ask(client, "private-ada")
        await client.expect(SUCCEEDED)

        assert 3 == len(application.requests)
        assert 0 == edge.metric("edge_authorizations_total", outcome="failed")


async def test_auth_service_stays_busy(
    edge: Edge, application: _Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the end the client is told."""
    monkeypatch.setattr(authorizer, "BUSY_WITHIN", 0.2)
    application.busy = 100
    async with _client(edge, "ada") as client:
        await _ask(client, "private-ada")

        assert "cannot be asked" in await _refused(client, "private-ada")
        assert 1 == edge.metric("edge_authorizations_total", outcome="failed")


async def test_drain(application: _Application) -> None:
    """An edge that stops does not wait for the application."""
    async with _listening(application) as address, _asking_edge(address) as edge:
        async with _client(edge, "ada") as client:
            await _ask(client, "private-slow-ada")
            await eventually(lambda: bool(application.requests))
            stopping = asyncio.create_task(edge.server.stop())
            code, _ = await client.closed()

        assert 4200 == code
        await stopping


async def test_off_by_default() -> None:
    """Otherwise no signature is a wrong one, and a client without an origin may connect."""
    async with running_edge() as edge, _client(edge, "ada", origin=None) as client:
        await _ask(client, "private-ada")

        await _refused(client, "private-ada")
