"""What JetStream says of a stream, and what is to be thought of that."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from pogo.bus.nats_messages import ApiError
from pogo.cli.doctor.bus_server import size
from pogo.cli.doctor.findings import Finding, ok, warning, worst, wrong

_FULL = 0.8
"""The part of its room from which on a stream is worth a warning."""


class _Config(msgspec.Struct):
    storage: str = ""
    num_replicas: int = 1
    max_bytes: int = -1


class _State(msgspec.Struct):
    bytes: int = 0


class _Peer(msgspec.Struct):
    name: str = ""
    current: bool = True
    offline: bool = False


class _Cluster(msgspec.Struct):
    leader: str = ""
    replicas: list[_Peer] = []


class StreamInfo(msgspec.Struct):
    """What JetStream says of a stream."""

    config: _Config = msgspec.field(default_factory=_Config)
    state: _State = msgspec.field(default_factory=_State)
    cluster: _Cluster | None = None
    ts: datetime | None = None
    """The server's time."""
    error: ApiError | None = None


decode_info = msgspec.json.Decoder(StreamInfo).decode


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a stream should be."""

    name: str
    storage: str
    replicas: int
    room: str
    """The setting for how many bytes it may have."""


def judge_stream(wanted: Wanted, info: StreamInfo | None) -> Finding:
    """Judge one stream as it stands; it may not be there yet."""
    name = f"the stream {wanted.name}"
    if info is None:
        return ok(f"{name} is not there yet: the first service that needs it makes it")
    if info.cluster is not None and not info.cluster.leader:
        return wrong(
            f"{name} has no leader: a majority of its servers is away",
            "bring the nats-servers back that are away",
        )
    return worst([*_judge_copies(name, wanted, info), *_judge_room(name, wanted, info)])


def _judge_copies(name: str, wanted: Wanted, info: StreamInfo) -> list[Finding]:
    findings: list[Finding] = []
    if info.config.storage != wanted.storage:
        findings.append(
            warning(
                f"{name} is kept in {info.config.storage}, not in {wanted.storage}",
                "remove the stream while no service runs: the next one makes it as it should be",
            )
        )
    if info.config.num_replicas < wanted.replicas:
        findings.append(
            warning(
                f"{name} is on {info.config.num_replicas} of {wanted.replicas} servers",
                "restart a service, which changes it; its log says what nats-server refuses",
            )
        )
    peers = [] if info.cluster is None else info.cluster.replicas
    behind = [peer.name for peer in peers if peer.offline or not peer.current]
    if behind:
        findings.append(
            warning(f"{name} is not up to date on {', '.join(behind)}", "see to these nats-servers")
        )
    return findings


def _judge_room(name: str, wanted: Wanted, info: StreamInfo) -> list[Finding]:
    used, room = info.state.bytes, info.config.max_bytes
    text = f"{name} has {size(used)}"
    if room <= 0:
        return [ok(f"{text} on {info.config.num_replicas} server(s)")]
    text = f"{text} of {size(room)} at the most"
    if used < _FULL * room:
        return [ok(text)]
    return [warning(f"{text}: what finds no room is refused", f"raise {wanted.room}")]
