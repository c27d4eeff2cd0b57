"""What edges get, from a real php-fpm."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Self

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from pogo.rpc.v1 import auth_pb2, auth_pb2_grpc
from tests.authsvc.helpers import (
    APP,
    CHANNEL,
    SOCKET_ID,
    Service,
    channel_auth,
    eventually,
    user_auth,
)
from tests.php_fpm import PhpFpm


class _Edge:
    """Asks as an edge does."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def __aenter__(self) -> Self:
        await self.service.__aenter__()
        self.channel = grpc.aio.insecure_channel(self.service.grpc)
        self.stub: auth_pb2_grpc.AuthAsyncStub = auth_pb2_grpc.AuthStub(self.channel)
        return self

    async def __aexit__(self, *details: object) -> None:
        await self.channel.close()
        await self.service.__aexit__(None, None, None)

    async def channel_of(
        self, channel: str = CHANNEL, *, app_id: str = APP, socket_id: str = SOCKET_ID, **more: str
    ) -> auth_pb2.AuthorizeChannelReply:
        """Have a channel signed."""
        remote = more.pop("remote", "10.1.2.3")
        headers = [
            auth_pb2.Header(name=name.replace("_", "-"), value=value)
            for name, value in more.items()
        ]
        return await self.stub.AuthorizeChannel(
            auth_pb2.AuthorizeChannelRequest(
                app_id=app_id,
                socket_id=socket_id,
                channel=channel,
                headers=headers,
                remote=remote,
            ),
            timeout=10,
        )

    async def code(self, *args: str, **more: str) -> grpc.StatusCode:
        """Tell why a channel was not decided."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.channel_of(*args, **more)
        assert caught.value.details()
        return caught.value.code()


@pytest.fixture(name="edge")
async def _edge(fpm: PhpFpm, script: str) -> AsyncIterator[_Edge]:
    async with _Edge(Service(auth_upstream=fpm.upstream, auth_script=script)) as edge:
        yield edge


async def test_signed(edge: _Edge) -> None:
    """An edge gets what a browser would get."""
    member, user = '{"user_id":"ada"}', '{"id":"ada"}'
    private = await edge.channel_of()
    presence = await edge.channel_of("presence-room")
    signed_in = await edge.stub.AuthenticateUser(
        auth_pb2.AuthenticateUserRequest(app_id=APP, socket_id=SOCKET_ID)
    )

    assert (channel_auth(), "") == (private.auth, private.channel_data)
    assert (channel_auth("presence-room", member), member) == (presence.auth, presence.channel_data)
    assert (user_auth(user), user) == (signed_in.auth, signed_in.user_data)


@pytest.mark.parametrize("behave", ["status:403", "status:401", "redirect"])
async def test_refused(tmp_path_factory: pytest.TempPathFactory, behave: str) -> None:
    """A refusal is an answer."""
    directory = tmp_path_factory.mktemp("refusing")
    script = directory / "index.php"
    status = 302 if behave == "redirect" else int(behave.partition(":")[2])
    script.write_text(f"<?php http_response_code({status});")
    async with (
        PhpFpm(directory, children=1) as fpm,
        _Edge(Service(auth_upstream=fpm.upstream, auth_script=str(script))) as edge,
    ):
        channel = await edge.channel_of()
        user = await edge.stub.AuthenticateUser(
            auth_pb2.AuthenticateUserRequest(app_id=APP, socket_id=SOCKET_ID)
        )

        assert ("", "") == (channel.auth, user.auth)
        assert channel.detail
        assert user.detail
        assert 2 == edge.service.metric("auth_failures_total", reason="refused")


@pytest.mark.parametrize(
    ("channel", "more"),
    [
        ("private-encrypted-safe", {}),
        ("private-encrypted-cache-safe", {}),
        ("orders", {}),
        ("", {}),
        (CHANNEL, {"socket_id": "1.2:private-a"}),
        (CHANNEL, {"cookie": "a=b\r\nX-Forwarded-For: 1.2.3.4"}),
        (CHANNEL, {"host": "a\r\nX: y"}),
        (CHANNEL, {"remote": "1.2.3.4\r\nX: y"}),
        (CHANNEL, {"cookie": "x" * 20_000}),
    ],
)
async def test_what_cannot_be_asked(edge: _Edge, channel: str, more: dict[str, str]) -> None:
    """It does not reach the worker, and does not open the breaker either."""
    for _ in range(6):
        assert grpc.StatusCode.INVALID_ARGUMENT == await edge.code(channel, **more)

    assert 0 == edge.service.metric("auth_duration_seconds_count")
    assert (await edge.channel_of()).auth


async def test_another_app(edge: _Edge) -> None:
    """The worker signs for one app, and a connection belongs to another one."""
    assert grpc.StatusCode.INTERNAL == await edge.code(app_id="other")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await edge.stub.AuthenticateUser(
            auth_pb2.AuthenticateUserRequest(app_id="other", socket_id=SOCKET_ID)
        )

    assert grpc.StatusCode.INTERNAL == caught.value.code()
    assert 2 == edge.service.metric("auth_failures_total", reason="invalid_answer")


async def test_worker_away(tmp_path_factory: pytest.TempPathFactory, script: str) -> None:
    """It is unavailable, before and after the breaker has opened."""
    away = tmp_path_factory.mktemp("away") / "php-fpm.sock"
    service = Service(auth_upstream=f"fastcgi://{away}", auth_script=script)
    async with _Edge(service) as edge:
        assert {grpc.StatusCode.UNAVAILABLE} == {await edge.code() for _ in range(7)}
        assert 2 == service.metric("auth_failures_total", reason="circuit_open")


async def test_slow_worker(tmp_path_factory: pytest.TempPathFactory, script: str) -> None:
    """Who waits is told in time, and more than there may be at once."""
    directory = tmp_path_factory.mktemp("slow")
    service_settings = {"auth_script": script, "auth_timeout": 0.3, "max_concurrent_auth": 1}
    async with (
        PhpFpm(directory, children=1, environment={"AUTH_DELAY": "600"}) as fpm,
        _Edge(Service(auth_upstream=fpm.upstream, **service_settings)) as edge,
    ):
        slow = asyncio.create_task(edge.code())
        await eventually(lambda: edge.service.metric("auth_requests_active") == 1)
        began = time.monotonic()
        assert grpc.StatusCode.RESOURCE_EXHAUSTED == await edge.code()
        assert time.monotonic() - began < 0.1
        assert grpc.StatusCode.DEADLINE_EXCEEDED == await slow


async def test_cancelled(tmp_path_factory: pytest.TempPathFactory, script: str) -> None:
    """An edge that does not wait any more leaves nothing behind once the worker is done."""
    directory = tmp_path_factory.mktemp("slow")
    async with (
        PhpFpm(directory, children=1, environment={"AUTH_DELAY": "200"}) as fpm,
        _Edge(Service(auth_upstream=fpm.upstream, auth_script=script, auth_connections=1)) as edge,
    ):
        asking = [asyncio.create_task(edge.channel_of()) for _ in range(3)]
        await eventually(lambda: edge.service.metric("auth_requests_active") == 3)
        for task in asking:
            task.cancel()
        # Those who wait are forgotten at once.
        await eventually(lambda: edge.service.metric("auth_requests_active") == 1)
        await eventually(lambda: edge.service.metric("auth_requests_active") == 0)

        assert (await edge.channel_of()).auth


async def test_health_and_reflection(edge: _Edge) -> None:
    """Tools find out what there is, and whether it works."""
    health = health_pb2_grpc.HealthStub(edge.channel)
    for name in ("", "pogo.rpc.v1.Auth"):
        reply = await health.Check(health_pb2.HealthCheckRequest(service=name))
        assert health_pb2.HealthCheckResponse.SERVING == reply.status
    reflected = reflection_pb2_grpc.ServerReflectionStub(edge.channel).ServerReflectionInfo(
        iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    )
    async for answer in reflected:
        names = {service.name for service in answer.list_services_response.service}
        assert "pogo.rpc.v1.Auth" in names


async def test_health_of_one_that_stops(fpm: PhpFpm, script: str) -> None:
    """Whoever watches is told to turn elsewhere."""
    service = Service(auth_upstream=fpm.upstream, auth_script=script, auth_timeout=0.5)
    async with _Edge(service) as edge:
        watch = health_pb2_grpc.HealthStub(edge.channel).Watch(
            health_pb2.HealthCheckRequest(service="pogo.rpc.v1.Auth")
        )
        assert health_pb2.HealthCheckResponse.SERVING == (await watch.read()).status
        stopping = asyncio.create_task(service.server.stop_grpc())

        assert health_pb2.HealthCheckResponse.NOT_SERVING == (await watch.read()).status
        watch.cancel()
        await stopping


async def test_no_message(edge: _Edge) -> None:
    """Bytes that are no request do no harm."""
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = edge.channel.unary_unary(
        "/pogo.rpc.v1.Auth/AuthorizeChannel"
    )
    with pytest.raises(grpc.aio.AioRpcError):
        await call(b"\xff\xff\xff")

    assert (await edge.channel_of()).auth
