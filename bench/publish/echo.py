"""The least that a gRPC server in Python can do for a call: the limit of a broker.

It answers `Publish` at once, with messages of the same size and nothing between. Started as a
program, it does one job: it listens.
"""

from typing import Any

import grpc
import msgspec
from tests.servers import HOST

from bench.publish.child import Child, do_jobs
from pogo.rpc.v1 import broker_pb2, broker_pb2_grpc


class Listen(msgspec.Struct, frozen=True):
    """Asks for a server."""


class Listening(msgspec.Struct, frozen=True):
    """Where it is."""

    port: int


def echo() -> Child[Listen, Listening]:
    """Make the process."""
    return Child("bench.publish.echo", Listening)


class _Echo(broker_pb2_grpc.BrokerServicer):
    async def Publish(  # noqa: N802 (the contract's name)
        self,
        request: broker_pb2.PublishRequest,
        context: "grpc.aio.ServicerContext[Any, Any]",
    ) -> broker_pb2.PublishReply:
        del request, context
        return broker_pb2.PublishReply()


class _Servers:
    """The server, once there is one."""

    def __init__(self) -> None:
        self._server: grpc.aio.Server | None = None

    async def listen(self, _: Listen) -> Listening:
        """Start it."""
        self._server = grpc.aio.server()
        bare = _Echo()  # type: ignore[abstract]  # nothing else is called
        broker_pb2_grpc.add_BrokerServicer_to_server(bare, self._server)
        port = self._server.add_insecure_port(f"{HOST}:0")
        await self._server.start()
        return Listening(port)

    async def stop(self) -> None:
        """Stop it."""
        if self._server is not None:
            await self._server.stop(None)


if __name__ == "__main__":
    servers = _Servers()
    do_jobs(Listen, servers.listen, servers.stop)
