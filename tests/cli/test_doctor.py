"""`pogo doctor` as it is typed: what it prints, and its exit code."""

import asyncio
import json
import os
import pty
import re
from pathlib import Path

import pytest

from pogo.cli.doctor.findings import Check, Finding, FoundError, ok, skipped, warning, worst, wrong
from pogo.cli.doctor.report import as_text
from pogo.cli.doctor.run import examine
from tests.cli.conftest import Run
from tests.cli.doctoring import OK, SKIPPED, WARNING, WRONG
from tests.cli.process import Pogo, run_pogo
from tests.servers import HOST, NatsServer, free_port

ANY_PORT = ("--port", "0", "--grpc-port", "0", "--metrics-port", "0")
NAMES = [
    *("settings", "secrets", "file limit", "certificates", "bus", "messages", "registry"),
    *("records", "webhooks", "nodes", "clock", "edge", "proxies", "http api", "broker"),
    *("auth service", "php worker"),
]


async def test_a_local_server_is_found(tmp_path: Path) -> None:
    """Without configuration, `pogo serve` of the same user is tried, with its random secret."""
    async with Pogo(tmp_path, "serve", *ANY_PORT) as serve:
        await serve.logged("ready")
        code, out, err = await run_pogo(tmp_path, "doctor")

    results = {line[9:23].strip(): line[:8].strip() for line in out.splitlines() if line[:1] > " "}
    assert (0, "") == (code, err)
    assert ["ok"] * 3 == [results[name] for name in ("edge", "http api", "broker")]
    assert "skipped" == results["bus"]


async def test_json_is_for_programs(tmp_path: Path) -> None:
    """All checks in their fixed order, each with a result; exit code 1 where one is wrong."""
    bus = {"POGO_BUS": "nats", "POGO_NATS_URL": f"nats://u:hunter2@{HOST}:{free_port()}"}
    app = {"POGO_APP_ID": "shop", "POGO_APP_SECRET": "hunter2-hunter2-hunter2"}

    code, out, err = await run_pogo(tmp_path, "doctor", "--json", env={**bus, **app})

    told = json.loads(out)
    assert (1, "", "wrong") == (code, err, told["result"])
    assert NAMES == [check["name"] for check in told["checks"]]
    assert {"name", "result", "text", "advice"} == told["checks"][0].keys()
    assert "hunter2" not in out


def test_each_check_is_in_the_documents() -> None:
    """What its being right means, in the order in which checks are printed."""
    page = (Path(__file__).parents[2] / "docs" / "troubleshooting.md").read_text()
    table = page.partition("| check | right means |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `([a-z ]+)` \|", table, re.MULTILINE)

    assert NAMES == rows


async def test_warnings_are_no_failure(tmp_path: Path) -> None:
    """Exit code 0: an empty cluster works, and has no edge yet. Nothing but findings is printed."""
    async with NatsServer(tmp_path / "nats") as nats:
        bus = {"POGO_BUS": "nats", "POGO_NATS_URL": nats.url}
        app = {"POGO_APP_ID": "shop", "POGO_APP_SECRET": "0123456789abcdef0123"}
        code, out, err = await run_pogo(tmp_path, "doctor", env={**bus, **app})

    assert (0, "") == (code, err)
    assert "warning  nodes" in out
    assert "\x1b" not in out


def test_settings_that_cannot_be_used(pogo: Run) -> None:
    """Exit code 2, and everything that is wrong with them."""
    code, out, err = pogo("doctor", env={"POGO_PORT": "soon"})

    assert (2, "") == (code, out)
    assert "POGO_PORT" in err


@pytest.mark.parametrize("flag", [("--timeout", "0"), ("--url", "ftp://x"), ("--broker", "x")])
def test_flags_that_are_wrong(pogo: Run, flag: tuple[str, str]) -> None:
    """Exit code 2, before anything is looked at."""
    code, out, err = pogo("doctor", *flag)

    assert (2, "", True) == (code, out, bool(err))


def test_help(pogo: Run) -> None:
    """It names the flags, the exit codes and an example."""
    code, out, _ = pogo("doctor", "--help")

    assert 0 == code
    assert [] == [
        text for text in ("--url", "--edge", "--broker", "--authsvc", "--json") if text not in out
    ]


async def test_colours_on_a_terminal(tmp_path: Path) -> None:
    """Results are coloured where a person looks, as on a pseudo-terminal."""
    ours, theirs = pty.openpty()
    try:
        async with Pogo(tmp_path, "doctor", stdout=theirs) as pogo:
            await pogo.exit_code()
        shown = os.read(ours, 65_536)
    finally:
        os.close(ours)
        os.close(theirs)

    assert b"\x1b[32m" in shown


# How checks are run


def _check(name: str, finding: Finding, needs: str = "") -> Check:
    async def look() -> Finding:
        return finding

    return Check(name, look, needs=needs)


async def test_checks_keep_their_order_and_their_time() -> None:
    """One that hangs costs its own time and nothing else; what needs it is skipped."""

    async def hang() -> Finding:
        await asyncio.Event().wait()
        raise AssertionError

    checks = [Check("slow", hang), _check("next", ok("fine")), _check("after", ok(""), "slow")]

    findings = await examine(checks, 0.1)

    assert ["slow", "next", "after"] == list(findings)
    assert [WRONG, OK, SKIPPED] == [each.result for each in findings.values()]
    assert "within 0.1 s" in findings["slow"].text


async def test_a_check_that_fails() -> None:
    """It ends with what it has found; a fault of its own harms no other, and tells no secret."""

    async def end() -> Finding:
        raise FoundError(warning("early", "go on"))

    async def break_off() -> Finding:
        raise RuntimeError("hunter2")

    findings = await examine([Check("ended", end), Check("broken", break_off)], 5)

    assert warning("early", "go on") == findings["ended"]
    assert (WRONG, False) == (findings["broken"].result, "hunter2" in findings["broken"].text)


async def test_a_warning_does_not_stand_in_the_way() -> None:
    """What needs something that works is looked at."""
    findings = await examine([_check("a", warning("", "do")), _check("b", ok("fine"), "a")], 5)

    assert OK == findings["b"].result


def test_the_worst_of_several() -> None:
    """What is right is told only where all is; advice is given once."""
    assert ok("a; b") == worst([ok("a"), ok("b")])
    assert warning("b; c", "do") == worst([ok("a"), warning("b", "do"), warning("c", "do")])
    assert WRONG == worst([warning("b", "do"), wrong("c", "mend"), ok("a")]).result
    assert (SKIPPED, WARNING) == (skipped("x").result, warning("x", "y").result)


def test_what_servers_say_is_printed_on_one_line() -> None:
    """It can neither steer the terminal nor look like another finding."""
    text = as_text({"bus": wrong("said \x1b[2J\nok  all is fine", "do")})

    assert "\x1b[2J" not in text
    assert 5 == len(text.splitlines()) + 1
