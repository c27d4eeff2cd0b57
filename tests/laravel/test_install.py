"""`php artisan pogo:ws-install` prepares an application, and leaves alone what it should."""

import json
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.laravel.application import MASTER_KEY, Shop, php_path
from tests.servers import ServerError

CONFIGS = Path(__file__).parent / "configs"
UNCHANGED = "Nothing to change."


@dataclass(frozen=True, slots=True)
class Project:
    """The application that is prepared, and the files that are touched."""

    shop: Shop

    @property
    def env(self) -> Path:
        """The environment's file."""
        return self.shop.directory / ".env"

    @property
    def config(self) -> Path:
        """The file of connections."""
        return self.shop.directory / "config" / "broadcasting.php"

    @property
    def echo(self) -> Path:
        """The set-up of Laravel Echo."""
        return self.shop.directory / "resources" / "js" / "pogo.js"

    @property
    def contents(self) -> list[bytes | None]:
        """What the files hold now."""
        files = (self.env, self.config, self.echo)
        return [file.read_bytes() if file.exists() else None for file in files]

    @property
    def variables(self) -> dict[str, str]:
        """The environment's file as Laravel reads it, references resolved."""
        code = "echo json_encode(Dotenv\\Dotenv::parse(file_get_contents($argv[1])));"
        return dict(_php("require 'Illuminate/autoload.php';" + code, self.env))

    @property
    def connections(self) -> dict[str, Any]:
        """What the file of connections returns, with an empty environment."""
        code = "function env($name, $default = null) { return $default; }"
        returned = _php(code + "echo json_encode(require $argv[1]);", self.config)
        return dict(returned["connections"])

    def install(self, *options: str) -> str:
        """Run the command, and return what it says.

        Raises:
            ServerError: It ended with a failure.
        """
        return self.shop.artisan("pogo:ws-install", *options)


def _php(code: str, file: Path) -> Any:
    # Newer PHPs warn about what older ones take.
    command = [php_path(), "-d", "error_reporting=0", "-r", code, "--", str(file)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.fixture(name="project")
def _project(tmp_path: Path, vendor: Path) -> Project:
    project = Project(Shop(tmp_path / "shop", vendor))
    project.env.write_text(f'APP_NAME=Shop\nAPP_KEY="base64:{MASTER_KEY}"\n')
    return project


@pytest.mark.parametrize(
    ("config", "default"),
    [("laravel8.php", "BROADCAST_DRIVER"), ("laravel13.php", "BROADCAST_CONNECTION")],
)
def test_new_application(project: Project, config: str, default: str) -> None:
    """An application with the configuration that Laravel ships gets all it needs, and says what."""
    shutil.copy(CONFIGS / config, project.config)
    project.env.write_text(f"APP_NAME=Shop\n{default}=log # until we are live\nMAIL=x\n")
    before = project.connections
    told = project.install()

    assert project.env.read_text().startswith(
        f"APP_NAME=Shop\n{default}=pogo # until we are live\nMAIL=x\n\nPOGO_APP_ID=pogo-app\n"
    )
    variables = project.variables
    secret = variables.pop("POGO_APP_SECRET")
    assert re.fullmatch(r"[0-9a-f]{40}", secret)
    assert {
        "APP_NAME": "Shop",
        default: "pogo",
        "MAIL": "x",
        "POGO_APP_ID": "pogo-app",
        "POGO_APP_KEY": "pogo-app",
        "POGO_BROKER": "127.0.0.1:50051",
        "VITE_POGO_APP_KEY": "pogo-app",
        "VITE_POGO_HOST": "",
        "VITE_POGO_PORT": "8080",
        "VITE_POGO_SCHEME": "http",
    } == variables
    connections = project.connections
    assert "pogo" == connections.pop("pogo")["driver"]
    assert before == connections
    assert f".env: set {default}=pogo" in told
    assert "config/broadcasting.php: added the connection pogo" in told
    assert "resources/js/pogo.js: made" in told
    assert secret not in told


def test_connection_fits_in(project: Project) -> None:
    """The connection stands in Laravel's own file as if Laravel had written it."""
    shutil.copy(CONFIGS / "laravel13.php", project.config)
    project.install()
    text = project.config.read_text()
    original = (CONFIGS / "laravel13.php").read_text()
    start = text.index("        'pogo' => [")
    end = text.index("        'reverb' => [")

    assert original == text[:start] + text[end:]
    assert text[start:end].endswith("\n        ],\n\n")
    assert "            'app_id' => env('POGO_APP_ID') ?: env('WS_APP_ID'),\n" in text


def test_second_run_changes_nothing(project: Project) -> None:
    """What is there is not written again, and the command says so."""
    project.install()
    contents = project.contents
    told = project.install()

    assert contents == project.contents
    assert UNCHANGED in told


def test_dry_run_changes_nothing(project: Project) -> None:
    """A dry run says what would be changed, without the secret, and changes nothing."""
    contents = project.contents
    told = project.install("--dry-run")

    assert contents == project.contents
    assert "added POGO_APP_ID=pogo-app" in told
    assert "added POGO_APP_SECRET=(40 random hex digits)" in told
    assert "resources/js/pogo.js: made" in told
    assert "Nothing was changed" in told


def test_values_of_the_user_stay(project: Project) -> None:
    """What the user has set stays, also another default connection, which is told."""
    own = (
        "BROADCAST_CONNECTION=journal\nPOGO_APP_ID=mine\nexport POGO_APP_KEY='my key'\n"
        'POGO_APP_SECRET="s3 # cret"\nPOGO_BROKER=unix:/run/pogo.sock\nVITE_POGO_PORT=443\n'
    )
    project.env.write_text(own)
    told = project.install()

    assert project.env.read_text().startswith(own + "\nVITE_POGO_APP_KEY=")
    assert "BROADCAST_CONNECTION stays journal (--force sets pogo)" in told
    assert "my key" == project.variables["VITE_POGO_APP_KEY"]
    assert "s3 # cret" not in told


def test_force(project: Project) -> None:
    """`--force` takes another default connection and a changed pogo.js, but no credentials."""
    project.env.write_text(
        'BROADCAST_CONNECTION="journal"\nPOGO_APP_ID=mine\nPOGO_APP_SECRET=mine\n'
    )
    project.echo.parent.mkdir()
    project.echo.write_text("// my own\n")
    told = project.install()
    assert "resources/js/pogo.js: stays as it is (--force overwrites it)" in told
    assert "// my own\n" == project.echo.read_text()
    told = project.install("--force")

    assert project.env.read_text().startswith(
        "BROADCAST_CONNECTION=pogo\nPOGO_APP_ID=mine\nPOGO_APP_SECRET=mine\n"
    )
    assert "resources/js/pogo.js: overwritten" in told
    assert "window.Echo = new Echo({" in project.echo.read_text()


def test_empty_values_are_filled(project: Project) -> None:
    """A variable without a value is filled where it stands."""
    project.env.write_text("POGO_APP_ID=\nPOGO_APP_KEY=\nPOGO_APP_SECRET=\n# POGO_BROKER=x\n")
    project.install()

    assert re.match(
        r'POGO_APP_ID=pogo-app\nPOGO_APP_KEY="\$\{POGO_APP_ID\}"\nPOGO_APP_SECRET=[0-9a-f]{40}\n'
        r"# POGO_BROKER=x\n\n",
        project.env.read_text(),
    )


@pytest.mark.parametrize(
    ("text", "credentials"),
    [
        ("WS_APP_ID=shop\nWS_APP_SECRET=s3cret\n", ("shop", "shop", "s3cret")),
        (
            "PUSHER_APP_ID=\nREVERB_APP_ID=1\nREVERB_APP_KEY=abc\nREVERB_APP_SECRET=s3cret\n",
            ("1", "abc", "s3cret"),
        ),
        (
            "REVERB_APP_ID=1\nPUSHER_APP_ID=2\nPUSHER_APP_KEY=def\nPUSHER_APP_SECRET=s3cret\n",
            ("2", "def", "s3cret"),
        ),
    ],
    ids=["module", "reverb", "pusher"],
)
def test_credentials_are_taken_over(
    project: Project, text: str, credentials: tuple[str, str, str]
) -> None:
    """An application that moves keeps its credentials, those of one server together."""
    project.env.write_text(text)
    told = project.install()

    names = ("POGO_APP_ID", "POGO_APP_KEY", "POGO_APP_SECRET")
    assert project.env.read_text().startswith(text)
    assert credentials == tuple(project.variables[name] for name in names)
    assert "s3cret" not in told
    assert UNCHANGED in project.install()


def test_own_credentials_are_not_mixed(project: Project) -> None:
    """Who has chosen an app id gets a secret of its own, not that of another server."""
    project.env.write_text("POGO_APP_ID=mine\nREVERB_APP_ID=1\nREVERB_APP_SECRET=s3cret\n")
    project.install()

    assert ("mine", "mine") == (
        project.variables["POGO_APP_ID"],
        project.variables["POGO_APP_KEY"],
    )
    assert "s3cret" != project.variables["POGO_APP_SECRET"]


def test_line_ends_and_permissions_stay(project: Project) -> None:
    """Files of Windows stay such files, and nobody else can read what they could not."""
    project.env.write_bytes(b"APP_NAME=Shop\r\nBROADCAST_CONNECTION=null")
    project.env.chmod(0o600)
    config = (CONFIGS / "laravel13.php").read_text().replace("\n", "\r\n")
    project.config.write_bytes(config.encode())
    project.config.chmod(0o640)
    project.install()

    for file, mode in ((project.env, 0o600), (project.config, 0o640)):
        text = file.read_bytes()
        assert text.count(b"\n") == text.count(b"\r\n")
        assert mode == stat.S_IMODE(file.stat().st_mode)
    assert "pogo" == project.variables["BROADCAST_CONNECTION"]
    assert "pogo" in project.connections
    assert UNCHANGED in project.install()


def test_links_stay_links(project: Project) -> None:
    """A .env that is a link to the one of all releases stays a link."""
    shared = project.shop.directory / "shared.env"
    project.env.rename(shared)
    project.env.symlink_to(shared)
    project.install()

    assert project.env.is_symlink()
    assert "POGO_APP_ID" in shared.read_text()


def test_no_file_of_connections(project: Project) -> None:
    """Newer Laravels have no such file: the package's own connection counts, and none is made."""
    project.config.unlink()
    told = project.install()

    assert not project.config.exists()
    assert "broadcasting.php" not in told
    # Laravel 8 has no default of its own, newer ones have.
    assert {"BROADCAST_CONNECTION", "BROADCAST_DRIVER"} & set(project.variables)


def test_no_environment_file(project: Project) -> None:
    """Without a .env the command says what to set, fails, and does the rest."""
    project.env.unlink()
    with pytest.raises(ServerError, match=r"(?s)POGO_APP_ID=pogo-app.*SECRET=\(40 random"):
        project.install()

    assert not project.env.exists()
    assert project.echo.exists()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("POGO_APP_ID=\nPOGO_APP_ID=\n", id="twice"),
        pytest.param('KEY="a\nPOGO_APP_ID="\nPOGO_APP_ID=\n', id="inside-a-value"),
        pytest.param("POGO_APP_KEY=\n", id="reference-to-below"),
    ],
)
def test_odd_environment_files(project: Project, text: str) -> None:
    """A .env that cannot be changed safely is left as it is, and the lines are printed."""
    project.env.write_text(text)
    with pytest.raises(ServerError, match=r"\.env was not changed: (?s:.*)POGO_APP_ID=pogo-app"):
        project.install()

    assert text == project.env.read_text()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("<?php return ['connections' => ['log' => ['driver' => 'log']]];", id="line"),
        pytest.param("<?php return array('connections' => array());", id="old-arrays"),
        pytest.param("<?php\nreturn [\n  'connections' => [], // none\n];\n", id="empty"),
        pytest.param(
            "<?php\nreturn [\n  'connections' => [ // 'pogo' => [\n    # ]\n"
            "    'a' => [']'],\n  ],\n];",
            id="comments",
        ),
        pytest.param(
            "<?php\n$b = \"{$_SERVER['argc']}\";\nreturn [\n    'x' => fn () => [1],\n"
            "    'connections' => [\n        'a' => ['b' => \"[ {$b} ${b}\"],\n    ],\n];\n",
            id="code",
        ),
    ],
)
def test_odd_files_of_connections(project: Project, text: str) -> None:
    """However a plain array is written, the connection goes into it, once."""
    project.config.write_text(text)
    before = project.connections
    project.install()
    connections = project.connections

    assert "pogo" == connections.pop("pogo")["driver"]
    assert list(before) == list(connections)
    assert UNCHANGED in project.install()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("<?php $c = ['connections' => []]; return $c;", id="variable"),
        pytest.param("<?php return ['connections' => [] + []];", id="sum"),
        pytest.param("<?php return array_merge(['connections' => []], []);", id="function"),
        pytest.param("<?php return ['default' => 'null'];", id="no-connections"),
        pytest.param("<?php return ['other' => ['connections' => []]];", id="elsewhere"),
    ],
)
def test_other_files_of_connections(project: Project, text: str) -> None:
    """A file that is no plain array is left as it is, and the connection is printed."""
    project.config.write_text(text)
    with pytest.raises(ServerError, match=r"(?s)was not changed: its connections.*'pogo' => \["):
        project.install()

    assert text == project.config.read_text()


def test_own_connection_stays(project: Project) -> None:
    """A connection `pogo` that is there already is the user's."""
    text = "<?php return ['connections' => ['pogo' => ['driver' => 'pogo', 'app_id' => 'mine']]];"
    project.config.write_text(text)
    told = project.install()

    assert text == project.config.read_text()
    assert "broadcasting.php" not in told


def test_laravel_mix(project: Project) -> None:
    """An application that is still built by Laravel Mix gets its variables under Mix's names."""
    (project.shop.directory / "webpack.mix.js").touch()
    project.install()

    assert "8080" == project.variables["MIX_POGO_PORT"]
    assert "VITE_POGO_PORT" not in project.variables
    assert "process.env.MIX_POGO_APP_KEY" in project.echo.read_text()
    assert "import.meta" not in project.echo.read_text()


def test_cached_configuration(project: Project) -> None:
    """Where the configuration is cached, it has to be cached anew, and the command says so."""
    project.shop.artisan("config:cache")

    assert "The configuration is cached" in project.install()
