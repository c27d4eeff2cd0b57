"""Every command in the documents is run by a test, or says that none does."""

import base64
import functools
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pogo.cli import main
from tests.documents import NOT_RUN, PAGES, ROOT, Block, blocks, claims

COMMANDS = {block: text for block, text in blocks().items() if block.language == "sh"}

# Who runs what stands within a sentence, and by which words.
RUN_BY = {
    "docker build --file edge/Dockerfile --tag pogo-edge .": (
        "compose.yaml",
        "build: { context: ., dockerfile: edge/Dockerfile }",
    ),
    "docker compose --profile '*' down --volumes": (
        "tests/stack/stack.py",
        '"--profile", "*", "down", "--volumes"',
    ),
    "docker compose logs": ("tests/stack/stack.py", 'compose("logs", "--no-color"'),
    "docker compose stop": ("tests/stack/test_stack.py", 'compose("stop")'),
    "docker compose up --wait": ("tests/stack/stack.py", 'documented("docs/compose.md", "Try it"'),
    "docker compose up": ("tests/stack/test_operations.py", '("up", "--detach", "--wait"'),
    "docker compose up --wait --build": ("tests/stack/stack.py", 'compose("build", "--quiet"'),
    "nats-server --jetstream": ("tests/servers.py", '"-js"'),
    "php artisan pogo:ws-install": ("tests/laravel/test_install.py", 'artisan("pogo:ws-install"'),
    "php artisan pogo:ws-install --force": ("tests/laravel/test_install.py", '"--force"'),
    "php artisan route:cache": ("tests/laravel/test_deployment.py", 'artisan("route:cache")'),
    "pip install ./speedups": ("Makefile", "pip install --quiet ./speedups"),
}
# Names of things, rather than something to type.
NAMES = {"composer require", "php -S", "php worker", "ulimit -n"}

_PROGRAMS = (
    "apt-get|composer|curl|docker|make|nats|nats-server|npm|openssl|php|pip|pogo|promtool|python"
    "|redis-cli|systemctl|ulimit"
)
_INLINE = re.compile(rf"`((?:\.venv/bin/)?(?:{_PROGRAMS}) [^`]+)`(,? ?\(?not run by a test)?")
_CODE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def _typed() -> Iterator[tuple[str, str]]:
    """Yield each command within a sentence that tests have to know, and its page."""
    for page in (page for page in PAGES if page.name != "CHANGELOG.md"):
        text = " ".join(_CODE.sub("", page.read_text(encoding="utf-8")).split())
        for command, not_run in _INLINE.findall(text):
            if not not_run and command not in NAMES:
                yield command.removeprefix(".venv/bin/"), str(page.relative_to(ROOT))


TYPED = sorted(set(_typed()))


def _of(program: str) -> list[str]:
    shown = [command for command, _ in TYPED if command.startswith(f"{program} ")]
    lines = "\n".join(COMMANDS.values()).replace("\\\n", " ").splitlines()
    lines = [line.partition("  #")[0].removeprefix(".venv/bin/") for line in lines]
    return sorted({*shown, *(line.strip() for line in lines if line.startswith(f"{program} "))})


@pytest.mark.parametrize("block", COMMANDS, ids=lambda block: ":".join(map(str, block)))
def test_blocks(block: Block) -> None:
    """A test asks for the block, or CI types it, or else it says why not; and one of these."""
    text = COMMANDS[block]
    ways = [block in claims(), _is_run_by_ci(text), text.startswith(NOT_RUN)]

    assert 1 == sum(ways)


def test_what_tests_ask_for_is_there() -> None:
    """No test speaks of a block that the documents do not have any more."""
    assert {} == {block: path for block, path in claims().items() if block not in blocks()}
    assert len(claims()) > 15


@pytest.mark.parametrize(("command", "page"), TYPED)
def test_within_sentences(command: str, page: str) -> None:
    """A check below knows the program, or somebody runs the command."""
    if command.split(maxsplit=1)[0] in {"make", "openssl", "pogo", "python"}:
        return
    assert command in RUN_BY, page
    path, words = RUN_BY[command]

    assert words in (ROOT / path).read_text(encoding="utf-8")


def test_nothing_else_is_said_to_be_run() -> None:
    """All commands that the table has are in the documents."""
    assert RUN_BY.keys() <= {command for command, _ in TYPED}


@pytest.mark.parametrize("command", _of("make"))
def test_make(command: str) -> None:
    """Each target exists."""
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    words = [word for word in shlex.split(command)[1:] if "=" not in word]

    assert words
    assert set(words) <= set(targets)


@pytest.mark.parametrize("command", _of("pogo"))
def test_pogo(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command exists, with all its flags."""
    monkeypatch.setattr(sys, "argv", [*shlex.split(command), "--help"])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with pytest.raises(SystemExit) as caught:
        main()

    assert 0 == caught.value.code, capsys.readouterr().err


@pytest.mark.parametrize("command", _of("python"))
def test_python(command: str) -> None:
    """Each module exists, and knows the flags."""
    program, dash, module, *words = shlex.split(command)
    known = _help(module)

    assert ("python", "-m") == (program, dash)
    assert [] == [word for word in words if word.startswith("-") and word not in known]


def test_openssl() -> None:
    """What it makes is a key of 32 bytes, as Laravel and encrypted channels have them."""
    command = "openssl rand -base64 32"
    made = subprocess.run(command.split(), check=True, capture_output=True).stdout

    assert 32 == len(base64.b64decode(made))
    assert {command} == {typed for typed, _ in TYPED if typed.startswith("openssl ")}


@functools.cache
def _help(module: str) -> str:
    command = [sys.executable, "-m", module, "--help"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def _is_run_by_ci(text: str) -> bool:
    steps = re.findall(r"^\s*(?:step|.*\) step) (make \S+)", _ci(), re.MULTILINE)
    return all(line.partition("#")[0].strip() in steps for line in text.splitlines())


def _ci() -> str:
    return Path(ROOT / ".ci" / "run").read_text()
