"""`pogo edge --workers 2`: one port, and a parent that looks after the workers."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect

from tests.cli.process import TIMEOUT, Pogo, run_pogo
from tests.cli.workers import (
    APP,
    PORTS,
    Stream,
    Workers,
    close_code,
    environment,
    is_served,
    two_workers,
)
from tests.registry.nats_helpers import PlainNatsServer
from tests.servers import HOST, NatsServer, free_port


async def test_connections_are_spread_over_workers_of_one_port(tmp_path: Path) -> None:
    """Both have some, one page counts them all, and SIGTERM closes all of them and ends well.

    On the page, each family is there once, and each of its samples once, also that of the parent.
    """
    async with two_workers(tmp_path) as workers:
        clients = [await workers.connect() for _ in range(40)]
        active = await workers.metric("connections_active")
        page = await workers.page()
        up = await workers.metric("worker_up")
        groups = {os.getpgid(pid) for pid in (workers.process.pid, *workers.pids.values())}
        stopping = asyncio.gather(*(close_code(client) for client in clients))
        ended = await workers.stop()
        codes = await stopping

    assert {"0", "1"} == active.keys()
    assert 40 == sum(active.values())
    # By chance alone, less than one in a million runs has them all on one worker.
    assert min(active.values()) > 0
    assert {"0": 1.0, "1": 1.0} == up
    assert "pogo_websocket_workers 2.0" in page
    assert [4200] * 40 == codes
    assert 0 == ended
    # Ctrl-C is for the parent alone.
    assert 3 == len(groups)
    started = workers.log("edge started")
    assert {0, 1} == {line["worker"] for line in started}
    assert {workers.port} == {line["port"] for line in started}
    assert 2 == len({line["node"] for line in started})
    types = Counter(line.split()[2] for line in page.splitlines() if line.startswith("# TYPE"))
    samples = Counter(
        (sample.name, *sorted(sample.labels.items()))
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    )
    assert {1} == set(types.values())
    assert {1} == set(samples.values())
    memory = [labels for name, *labels in samples if name == "process_resident_memory_bytes"]
    assert [[("worker", name)] for name in ("parent", "0", "1")] == memory


async def test_a_killed_worker_is_replaced(tmp_path: Path) -> None:
    """Its clients break off, those of the other see nothing, and nobody is refused meanwhile."""
    async with two_workers(tmp_path) as workers:
        clients = [await workers.connect() for _ in range(40)]
        active = await workers.metric("connections_active")
        pid = workers.pids[0]
        workers.kill(0)
        async with Stream(workers) as stream:
            ended = await workers.logged("worker ended unasked")
            await workers.logged("worker ready", 3)
            after = await workers.metric("worker_up")
        gone = [client for client in clients if client.close_code is not None]
        served = [await is_served(client) for client in clients if client not in gone]
        codes = {await close_code(client) for client in gone}
        restarts = await workers.metric("worker_restarts_total")
        await workers.stop()

    assert (0, pid, "SIGKILL") == (ended["worker"], ended["worker_pid"], ended["signal"])
    assert {1006} == codes
    assert [True] * int(active["1"]) == served
    assert [] == stream.refused
    assert {"0": 1.0, "1": 1.0} == after
    assert {"0": 1.0, "1": 0.0} == restarts


async def test_a_worker_that_dies_again_waits_and_the_other_has_its_clients(
    tmp_path: Path,
) -> None:
    """The second time in a row there is a pause, for which the port is the other's alone."""
    async with two_workers(tmp_path) as workers:
        workers.kill(0)
        await workers.logged("worker ready", 3)
        workers.kill(0)
        pause = await workers.logged("worker will be restarted")
        active = await workers.metric("connections_active")
        clients = [await workers.connect() for _ in range(20)]
        ready = len(workers.log("worker ready"))
        await workers.logged("worker ready", 4)
        clients += [await workers.connect() for _ in range(40)]
        spread = await workers.metric("connections_active")
        await workers.stop()

    assert 0.5 <= pause["seconds"] <= 1.0
    assert {"1"} == active.keys()
    assert 3 == ready
    # The worker that came back has its share again.
    assert 60 == sum(spread.values())
    assert spread["0"] > 0


async def test_a_worker_that_is_stopped_by_someone_is_replaced(tmp_path: Path) -> None:
    """It drains as asked, and the next one takes its clients while it does."""
    async with two_workers(tmp_path) as workers:
        clients = [await workers.connect() for _ in range(20)]
        os.kill(workers.pids[1], signal.SIGTERM)
        async with Stream(workers) as stream:
            await workers.logged("worker ready", 3)
            ended = await workers.logged("worker ended unasked")
        codes = {await close_code(client) for client in clients if client.close_code}
        await workers.stop()

    assert (1, 0) == (ended["worker"], ended["exit_code"])
    assert {4200} == codes
    assert [] == stream.refused


async def test_a_rolling_restart_refuses_nobody(tmp_path: Path) -> None:
    """Clients that come all the time get in, and those of a worker that leaves come back."""
    async with two_workers(tmp_path) as workers:
        before = workers.pids
        async with Stream(workers) as stream:
            workers.hang_up()
            await workers.logged("rolling restart done")
            early = [client for client in stream.clients if client.close_code is not None]
        after = workers.pids
        restarts = await workers.metric("worker_restarts_total")
        await workers.stop()

    assert [] == stream.refused
    assert len(early) > 0
    assert {4200} == {client.close_code for client in early}
    assert set() == set(before.values()) & set(after.values())
    # One after the other, and each only when there is another in its place.
    ready, draining = workers.log("worker ready")[2:], workers.log("edge draining")[:2]
    stopped = workers.log("edge stopped")[:2]
    steps = [step[at] for at in (0, 1) for step in (ready, draining, stopped)]
    assert [0, 0, 0, 1, 1, 1] == [line["worker"] for line in steps]
    assert steps == sorted(steps, key=lambda line: str(line["timestamp"]))
    assert {"0": 0.0, "1": 0.0} == restarts
    assert [] == workers.log("worker ended unasked")


async def test_a_restart_that_cannot_work_leaves_the_old_workers(tmp_path: Path) -> None:
    """Neither settings that are wrong are taken over, nor a bus that is not there."""
    config = tmp_path / "pogo.toml"
    async with NatsServer(tmp_path / "nats") as nats:
        env = environment(nats)
        config.write_text(f'nats_url = "{env.pop("POGO_NATS_URL")}"\n')
        async with Workers(tmp_path, "edge", *PORTS, "--workers", "2", env=env) as workers:
            before = workers.pids
            client = await workers.connect()
            config.write_text("typo = 1")
            workers.hang_up()
            refused = await workers.logged("no rolling restart, the old workers stay")
            config.write_text(f'metrics_host = "::1"\nnats_url = "nats://{HOST}:{free_port()}"')
            workers.hang_up()
            given_up = await workers.logged("rolling restart given up, the other workers stay")
            served = await is_served(client)
            up = await workers.metric("worker_up")
            code = await workers.stop()

    assert "typo: unknown setting" in refused["reason"]
    assert "worker 0 ended before it was ready: exit code 1" == given_up["reason"]
    assert served
    assert {"0": 1.0, "1": 1.0} == up
    assert before == workers.pids
    assert 0 == code
    (changed,) = workers.log("other settings have changed and need a restart")
    assert ["metrics_host"] == changed["settings"]


async def test_what_no_worker_can_work_with_ends_the_parent(tmp_path: Path) -> None:
    """With the worker's own exit code, after its own words, which are said once."""
    async with PlainNatsServer(tmp_path / "nats") as nats:
        env = environment(nats)
        code, out, err = await run_pogo(tmp_path, "edge", *PORTS, "--workers", "2", env=env)

    assert (2, "") == (code, out)
    assert 1 == err.count("pogo: JetStream is off on this nats-server")
    assert "pogo: worker 0 ended before it was ready: exit code 2" in err
    assert "Traceback" not in err


async def test_settings_that_are_wrong_start_no_worker(tmp_path: Path) -> None:
    """The parent says so itself, as a single edge does."""
    code, _, err = await run_pogo(tmp_path, "edge", "--workers", "2", env=APP)

    assert 2 == code
    assert "run `pogo serve`" in err


async def test_a_port_that_others_share_is_taken(tmp_path: Path) -> None:
    """Another parent has it so that more could listen on it; a second one is none of them."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind((HOST, 0))
        other.listen()
        taken = str(other.getsockname()[1])
        ways = [("--port", taken, "--metrics-port", "0"), ("--port", "0", "--metrics-port", taken)]
        env = {**APP, "POGO_BUS": "nats"}
        runs = await asyncio.gather(
            *(run_pogo(tmp_path, "edge", *way, "--workers", "2", env=env) for way in ways)
        )

    assert [1, 1] == [code for code, _, _ in runs]
    assert ["--port" in runs[0][2], "--metrics-port" in runs[1][2]] == [True, True]
    assert all("address already in use" in err for _, _, err in runs)


async def test_a_restart_that_is_asked_for_too_early(tmp_path: Path) -> None:
    """Whoever changes the settings while the workers start need not wait until they have."""
    async with NatsServer(tmp_path / "nats") as nats:
        command = ("edge", *PORTS, "--workers", "2")
        async with Pogo(tmp_path, *command, env=environment(nats)) as parent:
            await parent.logged("worker ready")
            parent.process.send_signal(signal.SIGHUP)
            await parent.logged("rolling restart")
            code = await parent.stop()

    assert 0 == code
    (ready,), (restart,) = parent.log("ready"), parent.log("rolling restart")
    assert ready["timestamp"] < restart["timestamp"]


async def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    """Also with one that was killed: they drain, and leave nothing behind."""
    async with two_workers(tmp_path) as workers:
        clients = [await workers.connect() for _ in range(10)]
        workers.process.kill()
        codes = {await close_code(client) for client in clients}
        # Standard error ends when the last process that has it does.
        code = await workers.exit_code()
        with pytest.raises(OSError, match=r".*"):
            await asyncio.open_connection(HOST, workers.port)

    assert -signal.SIGKILL == code
    assert {4200} == codes
    assert {0, 1} == {line["worker"] for line in workers.log("the parent is no more: stopping")}
    assert 2 == len(workers.log("edge stopped"))


async def test_workers_end_in_order_with_nobody_to_read_their_logs(tmp_path: Path) -> None:
    """Whoever ends the parent may have been the reader of the logs, too."""
    async with NatsServer(tmp_path / "nats") as nats:
        command = [sys.executable, "-m", "pogo.cli", "edge", *PORTS, "--workers", "2"]
        env = {"PATH": os.environ["PATH"], **environment(nats)}
        with subprocess.Popen(  # noqa: ASYNC220 (whose pipe can be closed, unlike asyncio's)
            command, cwd=tmp_path, env=env, stderr=subprocess.PIPE
        ) as parent:
            assert parent.stderr is not None
            lines = (json.loads(line) for line in parent.stderr)
            ready = await asyncio.to_thread(
                lambda: next(line for line in lines if line["event"] == "ready")
            )
            url = f"ws://{HOST}:{ready['port']}/app/shop?protocol=7"
            clients = [await connect(url) for _ in range(10)]
            parent.stderr.close()
            parent.kill()
        codes = {await close_code(client) for client in clients}

    assert {4200} == codes


async def test_a_second_signal_ends_all_at_once(tmp_path: Path) -> None:
    """The first begins to drain, which clients that do not answer draw out."""
    async with NatsServer(tmp_path / "nats") as nats:
        env = {**environment(nats), "POGO_SHUTDOWN_TIMEOUT": "60s"}
        async with Workers(tmp_path, "edge", *PORTS, "--workers", "2", env=env) as workers:
            clients = [await workers.connect() for _ in range(20)]
            for client in clients:
                client.transport.pause_reading()
            workers.process.send_signal(signal.SIGINT)
            await workers.logged("edge draining", 2)
            # Until then, a second signal is taken for the first.
            await asyncio.sleep(0.6)
            async with asyncio.timeout(TIMEOUT):
                code = await workers.stop(signal.SIGINT)
            for client in clients:
                client.transport.abort()

    assert -signal.SIGINT == code
    assert [] == workers.log("edge stopped")


async def test_stopping_during_a_restart_lets_workers_drain(tmp_path: Path) -> None:
    """The one that drains already is not hurried: it takes a second signal for that."""
    async with two_workers(tmp_path) as workers:
        clients = [await workers.connect() for _ in range(20)]
        for client in clients:
            client.transport.pause_reading()
        workers.hang_up()
        await workers.logged("edge draining")
        # Until then, a second signal would be taken for the first.
        await asyncio.sleep(0.6)
        code = await workers.stop()
        for client in clients:
            client.transport.abort()

    assert 0 == code
    assert {0, 1} == {line["worker"] for line in workers.log("edge stopped")}
    assert 3 == len(workers.log("edge stopped"))
    assert [] == workers.log("rolling restart done")
