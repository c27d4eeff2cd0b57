import json
import os
import signal
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.process import Pogo, run_pogo
from tests.servers import HOST, free_port

ANY_PORT = ("--port", "0", "--grpc-port", "0", "--metrics-port", "0")
_APP = '[[apps]]\nid = "one"\nkey = "one-key"\nsecret = "secret-of-the-first-app"\n'


async def test_lines_of_json_are_for_programs(tmp_path: Path) -> None:
    """Data is decoded as pusher-js does; members come and go under their public event names."""
    async with Pogo(tmp_path, "serve", *ANY_PORT) as serve:
        await serve.logged("ready")
        async with Pogo(tmp_path, "listen", "presence-room", "c", "--json") as listen:
            await listen.told("listening to presence-room")
            await listen.told("listening to c")
            async with Pogo(tmp_path, "listen", "presence-room") as other:
                await other.told("listening to presence-room")
                await listen.printed(1)
                await other.stop(signal.SIGINT)
            await listen.printed(2)
            await run_pogo(tmp_path, "publish", "c", "e", '{"a": [1, "é"]}')
            lines = [json.loads(line) for line in await listen.printed(3)]

    added, removed, event = lines
    assert "pusher:member_added" == added["event"]
    assert {"name": "pogo listen"} == added["data"]["user_info"]
    assert "pusher:member_removed" == removed["event"]
    assert added["data"]["user_id"] == removed["data"]["user_id"]
    assert {"timestamp", "channel", "event", "data"} == event.keys()
    assert ("c", "e", {"a": [1, "é"]}) == (event["channel"], event["event"], event["data"])


async def test_it_ends_when_nobody_reads_its_output(tmp_path: Path) -> None:
    """As with `pogo listen c | head -1`: no traceback, and no coming back."""
    async with Pogo(tmp_path, "serve", *ANY_PORT) as serve:
        await serve.logged("ready")
        reader, writer = os.pipe()
        async with Pogo(tmp_path, "listen", "c", stdout=writer) as listen:
            os.close(writer)
            await listen.told("listening to c")
            os.close(reader)
            await run_pogo(tmp_path, "publish", "c", "e", "1")
            code = await listen.exit_code()

    assert 1 == code
    assert ["connected", "listening"] == [line.split(" ")[0] for line in listen.err]


async def test_it_comes_back_when_the_server_does(tmp_path: Path) -> None:
    """It says that it is cut off, tries again, subscribes again, and hears what is published."""
    ports = ("--port", str(free_port()), "--grpc-port", "0", "--metrics-port", "0")
    async with Pogo(tmp_path, "serve", *ports) as serve:
        await serve.logged("ready")
        async with Pogo(tmp_path, "listen", "c") as listen:
            await listen.told("listening to c")
            await serve.stop()
            await listen.told("trying again in")
            listen.err.clear()
            async with Pogo(tmp_path, "serve", *ports) as again:
                await again.logged("ready")
                await listen.told("listening to c")
                published = await run_pogo(tmp_path, "publish", "c", "e", "1")
                lines = await listen.printed(1)

    assert (0, "ok", "") == published
    assert lines[0].endswith("  c  e  1")


async def test_what_cannot_work_is_said_and_ends_it(tmp_path: Path) -> None:
    """A wrong key, a wrong secret, and a server that is no Pogo: exit code 1, no traceback."""
    (tmp_path / "pogo.toml").write_text(_APP)
    wrong = {"WRONG": "another-secret-altogether"}
    async with Pogo(tmp_path, "serve", *ANY_PORT) as serve:
        ready = await serve.logged("ready")
        to_url, to_broker = ("--url", ready["url"]), ("--broker", ready["grpc"])
        results = [
            await run_pogo(tmp_path, "listen", "c", *to_url, "--key", "two-key"),
            await run_pogo(
                tmp_path, "listen", "private-c", *to_url, "--secret-from-env", "WRONG", env=wrong
            ),
            await run_pogo(tmp_path, "listen", "c", "--url", ready["metrics"]),
            await run_pogo(
                tmp_path,
                *("publish", "c", "e", "1", *to_broker, "--secret-from-env", "WRONG"),
                env=wrong,
            ),
        ]

    assert [(1, "")] * 4 == [result[:2] for result in results]
    texts = [
        "the server refused, 4001",
        "private-c refused: ",
        "is no Pogo server: it answered HTTP 404",
        "pogo: UNAUTHENTICATED: ",
    ]
    assert [] == [
        (text, err) for text, (_, _, err) in zip(texts, results, strict=True) if text not in err
    ]
    assert "Traceback" not in "".join(err for _, _, err in results)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("listen", "c"), "no app is known: start `pogo serve`"),
        (("publish", "c", "e", "1"), "no app is known: start `pogo serve`"),
        (("publish", "c", "e", "1", "--app-id", "one"), "--secret-from-env"),
        (("listen", "private-c", "--key", "one"), "--secret-from-env"),
        (("listen", "c", "--key", "one", "--url", "ftp://x"), "is no URL such as"),
        (("listen", "c", "--key", "one", "--url", "http://x:99999"), "is no URL such as"),
        (("listen", "c", "--key", "one", "--url", "http://[::1"), "is no URL such as"),
        (("listen", "no channel", "--key", "one"), "a channel name is made of"),
        (("publish", "c", "e", "\udcff", "--app-id", "one"), "text in UTF-8"),
        (("publish", "c", "e", "1", "--app-id", "one", "--socket-id", "zzz"), "is no socket id"),
        (("listen", "c", "--key", "one", "--secret-from-env", "UNSET"), "UNSET holds no secret"),
    ],
)
def test_what_was_asked_wrongly_is_said(pogo: Run, args: tuple[str, ...], message: str) -> None:
    """Exit code 2, and what to do, without trying to connect."""
    code, out, err = pogo(*args)

    assert (2, "") == (code, out)
    assert message in err


def test_several_apps_need_a_choice(tmp_path: Path, pogo: Run) -> None:
    """Their ids are named."""
    (tmp_path / "pogo.toml").write_text(_APP + _APP.replace("one", "two"))

    code, _, err = pogo("publish", "c", "e", "1")

    assert 2 == code
    assert "Choose one with --app-id: one, two" in err


def test_a_broker_that_is_not_there_is_named(tmp_path: Path, pogo: Run) -> None:
    """Exit code 1 with the code that callers know, within the client's time limit."""
    (tmp_path / "pogo.toml").write_text(_APP)
    target = f"{HOST}:{free_port()}"

    code, out, err = pogo("publish", "c", "e", "1", "--broker", target)

    assert (1, "") == (code, out)
    assert err.startswith("pogo: BROKER_PUBLISH_FAILED (6): ")
    assert target in err
