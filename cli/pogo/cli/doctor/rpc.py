"""Brokers and auth services, as their callers meet them: by gRPC."""

import contextlib
from collections.abc import AsyncIterator

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from pogo.cli.doctor.bus_server import Stopwatch
from pogo.cli.doctor.findings import Finding, FoundError, ok, skipped, wrong
from pogo.cli.doctor.reach import Service
from pogo.cli.doctor.targets import AppKeys, Place, Targets
from pogo.client.config import Configuration
from pogo.client.tokens import TokenMinter
from pogo.rpc.v1 import auth_pb2, broker_pb2
from pogo.rpc.v1.broker_pb2_grpc import BrokerStub
from pogo.serving import grpc_client_credentials
from pogo.tls import ClientTls

_AUTH: str = auth_pb2.DESCRIPTOR.services_by_name["Auth"].full_name
_BROKER: str = broker_pb2.DESCRIPTOR.services_by_name["Broker"].full_name

_ADVICE = {
    grpc.StatusCode.UNAUTHENTICATED: "give both the same secret of the app, and set the clocks",
    grpc.StatusCode.NOT_FOUND: "see which gRPC service is at this address",
    grpc.StatusCode.UNIMPLEMENTED: "see which gRPC service is at this address",
    grpc.StatusCode.UNAVAILABLE: "see whether one speaks TLS and the other does not (--tls), and "
    "whose certificates each believes (--ca, POGO_CLIENT_CERT)",
}


async def check_broker(targets: Targets) -> Finding:
    """Ask a broker how it is, and to publish nothing, which needs a token that it accepts."""
    place, app = targets.broker, targets.app
    broker = Service(place, "a broker", "--broker")
    async with _asking(broker, targets.tls) as channel:
        watch = Stopwatch()
        if not await _serves(channel, _BROKER):
            return wrong(
                f"the broker at {place} does not serve",
                "its /up says why: it is stopping, or the bus is away from it",
            )
        text = f"{place} serves, and answers in {watch.milliseconds:.0f} ms"
        if app is None:
            return ok(f"{text}; no app is known to try")
        await _publish_nothing(channel, place, app)
        return ok(f"{text}; it accepts the app {app.id!r}")


async def check_authsvc(targets: Targets) -> Finding:
    """Ask an auth service how it is."""
    place = targets.authsvc
    if place is None:
        return skipped("auth_service names none", "name one with --authsvc")
    service = Service(place, "an auth service", "--authsvc")
    async with _asking(service, targets.authsvc_tls) as channel:
        watch = Stopwatch()
        if not await _serves(channel, _AUTH):
            return wrong(f"the auth service at {place} is stopping", "wait for its successor")
        return ok(f"{place} serves, and answers in {watch.milliseconds:.0f} ms")


@contextlib.asynccontextmanager
async def _asking(service: Service, tls: ClientTls) -> AsyncIterator[grpc.aio.Channel]:
    """Open a channel to a service.

    Raises:
        FoundError: It is not there, or does not answer as it should.
    """
    await service.require_listener()
    with service.connecting():
        try:
            async with _channel(service.place, tls) as channel:
                yield channel
        except grpc.aio.AioRpcError as error:
            raise FoundError(_judge_error(service.place, error)) from error


def _channel(place: Place, tls: ClientTls) -> grpc.aio.Channel:
    """Make a channel.

    Raises:
        TlsError: A file that TLS needs cannot be used.
    """
    if place.has_tls:
        return grpc.aio.secure_channel(place.parts.netloc, grpc_client_credentials(tls))
    return grpc.aio.insecure_channel(place.parts.netloc)


async def _serves(channel: grpc.aio.Channel, service: str) -> bool:
    request = health_pb2.HealthCheckRequest(service=service)
    answer = await health_pb2_grpc.HealthStub(channel).Check(request)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def _publish_nothing(channel: grpc.aio.Channel, place: Place, app: AppKeys) -> None:
    tokens = TokenMinter(Configuration(place.parts.netloc, app.id, app.key, app.secret))
    request = broker_pb2.PublishBatchRequest()
    await BrokerStub(channel).PublishBatch(request, metadata=tokens.metadata())


def _judge_error(place: Place, error: grpc.aio.AioRpcError) -> Finding:
    code = error.code()
    advice = _ADVICE.get(code, "see the log of the service")
    return wrong(f"{place} answers {code.name}: {error.details()}", advice)
