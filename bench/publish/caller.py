"""Whoever publishes, at as little cost as it can: a process of its own.

Started as a program, it does jobs: see `bench.publish.child`.
"""

import asyncio
import time

import msgspec

from bench.publish.child import Child, do_jobs
from bench.publish.http1 import HttpCalls
from bench.publish.http2 import GrpcCalls
from bench.publish.requests import (
    Kind,
    grpc_messages,
    grpc_metadata,
    grpc_reply,
    http_requests,
)

_SERVICE = "/pogo.rpc.v1.Broker"


class Job(msgspec.Struct, frozen=True):
    """Calls to make."""

    kind: Kind
    host: str
    port: int
    app: str
    secret: str
    calls: int
    window: int
    """Calls that are under way at a time."""


class Called(msgspec.Struct, frozen=True):
    """What became of a job: seconds, and those of the caller's own processor time."""

    seconds: float
    cpu: float

    @property
    def share(self) -> float:
        """The share of a core that the caller was busy for."""
        return self.cpu / self.seconds


def caller() -> Child[Job, Called]:
    """Make the process."""
    return Child("bench.publish.caller", Called)


async def _call(job: Job) -> Called:
    """Make the calls; opening connections and writing requests is not measured."""
    calls: HttpCalls | GrpcCalls
    if job.kind is Kind.HTTP:
        calls = HttpCalls(job.host, job.port)
        requests = http_requests(job.app, job.secret, f"{job.host}:{job.port}")
    else:
        calls = await _grpc(job)
        requests = grpc_messages(job.kind, job.app)
    began, cpu = time.perf_counter(), time.process_time()
    try:
        await calls.run(requests, job.calls, job.window)
    finally:
        calls.close()
    return Called(time.perf_counter() - began, time.process_time() - cpu)


async def _grpc(job: Job) -> GrpcCalls:
    metadata = grpc_metadata(job.app, job.secret)

    def make() -> GrpcCalls:
        return GrpcCalls(f"{_SERVICE}/{job.kind.value}", metadata, grpc_reply(job.kind))

    _, calls = await asyncio.get_running_loop().create_connection(make, job.host, job.port)
    return calls


if __name__ == "__main__":
    do_jobs(Job, _call)
