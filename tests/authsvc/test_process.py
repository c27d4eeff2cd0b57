"""`pogo authsvc`: how it starts, what signals do to it, and what it says."""

import asyncio
import json
import signal
from pathlib import Path

from tests.authsvc.helpers import APP, CHANNEL, KEY, SECRET, SOCKET_ID, channel_auth
from tests.authsvc.process import AuthProcess, Browsers
from tests.cli.process import Pogo, run_pogo
from tests.php_fpm import PhpFpm

_APPS = """
[[apps]]
id = "{app}"
key = "{key}"
secret = "{secret}"
enabled = {enabled}
"""


async def test_needs_a_worker(tmp_path: Path) -> None:
    """Without one it does not start, and says what is missing."""
    environment = {"POGO_APP_ID": APP, "POGO_APP_KEY": KEY, "POGO_APP_SECRET": SECRET}
    code, _, said = await run_pogo(tmp_path, "authsvc", env=environment)

    assert 2 == code
    assert "auth_upstream" in said


async def test_stops(tmp_path: Path, fpm: PhpFpm, script: str) -> None:
    """Requests in hand are answered, whoever was kept connected is let go, and it ends well."""
    async with (
        AuthProcess(tmp_path, fpm.upstream, script) as service,
        Browsers(service.port, 3, behave="sleep:300") as browsers,
        Browsers(service.port, 3),
    ):
        asking = asyncio.create_task(browsers.ask())
        await service.until_metric("auth_requests_active", 3)
        assert 0 == await service.pogo.stop()

        assert [200] * 3 == [answer.status for answer in await asking]
        said = [json.loads(line) for line in service.pogo.err]
        assert "auth service stopped" == said[-1]["event"]
        assert not {"error", "critical"} & {line["level"] for line in said}


async def test_apps_are_read_again(tmp_path: Path, fpm: PhpFpm, script: str) -> None:
    """SIGHUP is enough to disable an app."""
    config = tmp_path / "pogo.toml"
    base = f'auth_upstream = "{fpm.upstream}"\nauth_script = "{script}"\nlog_format = "json"\n'
    base += "port = 0\ngrpc_port = 0\nmetrics_port = 0\n"

    def write(enabled: str) -> None:
        apps = _APPS.format(app=APP, key=KEY, secret=SECRET, enabled=enabled)
        config.write_text(base + apps)

    write("true")
    async with Pogo(tmp_path, "authsvc", "--config", str(config)) as pogo:
        port = int((await pogo.logged("ready"))["port"])
        async with Browsers(port, 1) as browsers:
            assert [200] == [answer.status for answer in await browsers.ask()]
            write("false")
            pogo.process.send_signal(signal.SIGHUP)
            async with asyncio.timeout(10):
                await browsers.until_all_get(502)


async def test_nothing_secret_is_logged(tmp_path: Path, fpm: PhpFpm, script: str) -> None:
    """Not even where everything is logged."""
    async with AuthProcess(tmp_path, fpm.upstream, script, log_level="debug") as service:
        for behave in ("", "forge", "fault", "malformed", "status:500", "status:403"):
            async with Browsers(service.port, 2, behave=behave, password="hidden-field") as some:
                await some.ask()
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        form = f"socket_id={SOCKET_ID}&channel_name={CHANNEL}&behave=forge"
        writer.write(
            b"POST /pogo/auth HTTP/1.1\r\nHost: a\r\nCookie: session=hidden-cookie\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(form), form.encode())
        )
        assert b" 502 " in await reader.readline()
        writer.close()
        assert 0 == await service.pogo.stop()

        written = "\n".join([*service.pogo.out, *service.pogo.err])
        assert "invalid_answer" in written
        for secret in ("hidden", SECRET, channel_auth().partition(":")[2]):
            assert secret not in written
