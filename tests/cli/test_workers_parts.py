"""What workers are made of, without any process."""

import asyncio
import os
import socket
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram

from pogo.cli.errors import UsageError
from pogo.cli.workers import Job, ParentLink, worker_count
from pogo.cli.workers.backoff import LONGEST, STEADY, Backoff
from pogo.cli.workers.count import available_cpus
from pogo.cli.workers.link import WorkerLink
from pogo.cli.workers.listeners import Listeners
from pogo.cli.workers.metrics import merge
from pogo.settings import SettingsError, load_settings
from pogo.telemetry import metrics_page
from tests.cli.conftest import Run
from tests.servers import HOST

CPUS = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(("text", "count"), [("auto", 0), ("0", 0), ("1", 1), ("64", 64)])
def test_workers_are_a_number_or_auto(text: str, count: int) -> None:
    """Auto is 0 by its name."""
    assert count == load_settings(None, {"POGO_WORKERS": text}).workers


@pytest.mark.parametrize("text", ["-1", "2000", "all", "1.5"])
def test_other_numbers_of_workers_are_none(text: str) -> None:
    """Each is refused by its name."""
    with pytest.raises(SettingsError, match="POGO_WORKERS"):
        load_settings(None, {"POGO_WORKERS": text})


@pytest.mark.parametrize(
    ("quota", "count"),
    [
        ("max 100000", CPUS),
        ("100000 100000", 1),
        ("50000 100000", 1),
        ("99999999 100000", CPUS),
        ("nonsense", CPUS),
    ],
)
def test_a_quota_bounds_the_cpus(tmp_path: Path, quota: str, count: int) -> None:
    """As a container has it, whose cgroup is the root, and a service with one below it."""
    (tmp_path / "cpu.max").write_text(quota)
    own = tmp_path / "own"
    own.write_text("0::/a.service\n")
    (tmp_path / "a.service").mkdir()
    in_container = available_cpus(tmp_path, tmp_path / "none")
    (tmp_path / "cpu.max").rename(tmp_path / "a.service" / "cpu.max")
    as_service = available_cpus(tmp_path, own)

    assert (count, count) == (in_container, as_service)


def test_without_cgroups_the_affinity_counts(tmp_path: Path) -> None:
    """And a number in the settings counts before anything else."""
    assert CPUS == available_cpus(tmp_path, tmp_path / "none")
    assert [available_cpus(), 3] == [worker_count(0), worker_count(3)]


def test_pauses_grow_up_to_a_bound_and_begin_anew() -> None:
    """The first attempt is made at once; a worker that has lived long begins anew."""
    backoff = Backoff()
    pauses = [backoff.failed(1.0) for _ in range(100)]

    assert 0.0 == pauses[0]
    for at, longest in enumerate([1.0, 2.0, 4.0, 8.0, 16.0, *[LONGEST] * 94], start=1):
        assert longest / 2 <= pauses[at] <= longest
    assert len(set(pauses)) > 50
    assert [0.0, True] == [backoff.failed(STEADY), backoff.failed(1.0) > 0]


def test_a_job_is_read_as_it_was_written(pogo: Run) -> None:
    """And anything else is none, also as a command."""
    flags = {"port": 0, "host": None}
    job = Job(number=1, config="a b", flags=flags, listeners=[5, 6], link=7, takes_over=True)

    assert job == Job.decode(job.encode())
    assert Path("a b") == job.config_path
    with pytest.raises(UsageError, match="pogo edge --workers N"):
        Job.decode("{}")
    code, _, err = pogo("edge-worker", "{}")
    assert 2 == code
    assert "pogo: a worker is started by" in err


def test_samples_of_all_pages_get_a_label() -> None:
    """Families are joined, and what is only on one page is there too."""
    pages = {}
    for name, count in (("0", 1), ("1", 2)):
        registry = CollectorRegistry()
        counter = Counter("pogo_things", 'Things, "quoted"\nand \\.', ["kind"], registry=registry)
        counter.labels('a"\n\\').inc(count)
        Histogram(f"pogo_only_{name}", "x", registry=registry).observe(1.0)
        pages[name] = metrics_page(registry)
    merged = {family.name: family for family in merge(pages)}

    assert ["pogo_things", "pogo_only_0", "pogo_only_1"] == list(merged)
    assert "counter" == merged["pogo_things"].type
    assert 'Things, "quoted"\nand \\.' == merged["pogo_things"].documentation
    assert [
        ("pogo_things_total", {"worker": "0", "kind": 'a"\n\\'}, 1.0),
        ("pogo_things_total", {"worker": "1", "kind": 'a"\n\\'}, 2.0),
    ] == [sample[:3] for sample in merged["pogo_things"].samples]
    assert {"1"} == {sample.labels["worker"] for sample in merged["pogo_only_1"].samples}


async def test_all_addresses_of_a_host_have_one_port() -> None:
    """Each worker has a socket for each of them, all on the port that was free."""
    listeners = Listeners("localhost", 0, 3)
    await listeners.open()
    try:
        sockets = [listeners.of(worker) for worker in range(3)]
        bound = [[sock.getsockname()[:2] for sock in of_one] for of_one in sockets]
    finally:
        await listeners.close()

    assert listeners.port > 0
    assert bound[0] == bound[1] == bound[2]
    assert {listeners.port} == {port for _, port in bound[0]}
    assert "127.0.0.1" in [host for host, _ in bound[0]]


async def test_the_last_socket_is_never_withdrawn() -> None:
    """The others are, and bound anew when they are wanted."""
    listeners = Listeners(HOST, 0, 2)
    await listeners.open()
    try:
        first, second = (listeners.of(worker)[0] for worker in (0, 1))
        listeners.withdraw(0)
        listeners.withdraw(1)
        closed = (first.fileno(), second.fileno() >= 0)
        again = listeners.of(0)[0]
        address = again.getsockname()
    finally:
        await listeners.close()

    assert (-1, True) == closed
    assert (HOST, listeners.port) == address


async def test_a_taken_address_leaves_nothing_open() -> None:
    """Nor does one that another group of workers listens on."""
    first = Listeners(HOST, 0, 2)
    await first.open()
    first.of(0)[0].listen()
    second = Listeners(HOST, first.port, 2)
    try:
        with pytest.raises(OSError, match="in use"):
            await second.open()
    finally:
        await first.close()

    # Garbage that is an open socket would be a warning, which is an error in tests.
    with socket.create_server((HOST, first.port)):
        pass


async def test_questions_get_their_answers_in_turn() -> None:
    """A caller that gave up does not take the next one's; the end fails those that wait."""
    ours, theirs = socket.socketpair()
    pages = iter((b"one", b"two" * 100_000))
    parent, worker = ParentLink(theirs, lambda: next(pages)), WorkerLink(ours)
    await worker.open()
    await parent.open()
    parent.ready()
    await worker.ready()
    gave_up = asyncio.create_task(worker.metrics())
    await asyncio.sleep(0)
    gave_up.cancel()
    page = await worker.metrics()
    parent.withdraw()
    await worker.withdrawn.wait()
    with pytest.raises(ConnectionError, match="does not answer"):
        await worker.metrics()
    await parent.close()
    await worker.close()

    assert b"two" * 100_000 == page


async def test_a_worker_that_does_not_answer_gets_few_questions() -> None:
    """Those that wait fail when it ends, like the question whether it is ready."""
    ours, theirs = socket.socketpair()
    worker = WorkerLink(ours)
    await worker.open()
    asking = [asyncio.create_task(worker.metrics()) for _ in range(20)]
    await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    refused = sum(task.done() for task in asking)
    theirs.close()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    with pytest.raises(ConnectionError, match="ended"):
        await worker.ready()
    await worker.close()

    # The first place is that of the message that says that it is ready.
    assert 5 == refused
    assert {ConnectionError} == {type(answer) for answer in answers}
