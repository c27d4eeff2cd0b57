import json
import re
from pathlib import Path

from tests.php_worker.conftest import Files, Start
from tests.php_worker.fastcgi import FastCgi
from tests.php_worker.worker import sign

DOCS = Path(__file__).parents[2] / "docs" / "auth-worker.md"
SESSION = "4nkd7vj2q0s8p1m5c9h3b6t0ra"


def test_example(start: Start, files: Files) -> None:
    """The application in the documentation knows its users by PHP's sessions."""
    blocks = re.findall(r"```php\n(<\?php.*?)```", DOCS.read_text(), re.DOTALL)
    assert 1 == len(blocks)
    app = files.folder / "pogo-auth.php"
    app.write_text(blocks[0])
    session = files.folder / f"sess_{SESSION}"
    session.write_text('user_id|s:1:"7";name|s:3:"Ada";')
    worker = start("--workers=1", app=app, php_options=["-d", f"session.save_path={files.folder}"])
    cookie = f"PHPSESSID={SESSION}"
    with FastCgi(worker.address) as client:
        for _ in range(3):
            member = json.loads(sign(client, "presence-lobby", cookie).body)["channel_data"]

            assert {"user_id": "7", "user_info": {"name": "Ada"}} == json.loads(member)
            assert 200 == sign(client, "private-user-7", cookie).status
            assert 403 == sign(client, "private-user-8", cookie).status
            assert 403 == sign(client, "private-user-7").status
            assert 403 == sign(client, "private-user-7", f"PHPSESSID={SESSION[::-1]}").status
            assert 403 == sign(client, "private-user-7", "PHPSESSID=../../etc").status
    assert "Warning" not in worker.log.read_text()


def test_options() -> None:
    """The documentation names every option and environment variable that there is."""
    package = DOCS.parents[1] / "php" / "src" / "Worker"
    text = DOCS.read_text()
    options = re.findall(
        r"^ +(--[a-z-]+)", (package / "Cli" / "Options.php").read_text(), re.MULTILINE
    )
    variables = re.findall(r"POGO_[A-Z_0-9]+", (package / "AuthSettings.php").read_text())

    assert [] == [name for name in options if name not in text and name != "--help"]
    assert [] == [name for name in variables if name not in text]
