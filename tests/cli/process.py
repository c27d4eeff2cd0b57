"""The `pogo` command, or what a user types, as a process in an environment of its own."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

# Generous: it bounds a test that hangs, on a machine that is busy.
TIMEOUT = 20.0


class Pogo:
    """One run of `pogo ARGS` with `directory` as its working directory and home.

    Standard output and standard error are read as they come, line by line.
    """

    _own_session = False

    patience = TIMEOUT
    """Seconds that it may take until something happens."""

    def __init__(
        self,
        directory: Path,
        *args: str,
        env: Mapping[str, str] | None = None,
        stdout: int = asyncio.subprocess.PIPE,
    ) -> None:
        self._directory = directory
        self._args = args
        self._stdout = stdout
        # Nothing of the developer's own settings or run file may leak in.
        self._env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "HOME": str(directory),
            "XDG_RUNTIME_DIR": str(directory),
            **(env or {}),
        }
        self.out: list[str] = []
        self.err: list[str] = []
        self._news = asyncio.Condition()

    async def __aenter__(self) -> Self:
        self.process = await asyncio.create_subprocess_exec(
            *self._command(),
            cwd=self._directory,
            env=self._env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=self._stdout,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=self._own_session,
        )
        streams = [(self.process.stdout, self.out), (self.process.stderr, self.err)]
        self._readers = asyncio.gather(
            *(self._read(stream, lines) for stream, lines in streams if stream is not None)
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.returncode is None:
            self._kill()
        await self.process.wait()
        await self._readers

    def _command(self) -> Sequence[str]:
        return (sys.executable, "-m", "pogo.cli", *self._args)

    def _kill(self) -> None:
        self.process.kill()

    async def exit_code(self) -> int:
        """Wait until it ends by itself."""
        async with asyncio.timeout(self.patience):
            await self._readers
            return await self.process.wait()

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop, and return its exit code."""
        self.process.send_signal(number)
        return await self.exit_code()

    async def logged(self, event: str, count: int = 1) -> dict[str, Any]:
        """Wait for so many JSON log lines with this event; returns the last of them."""
        await self._until(lambda: len(self.log(event)) >= count)
        return self.log(event)[count - 1]

    def log(self, event: str) -> list[dict[str, Any]]:
        """Return the JSON log lines with this event, so far."""
        lines = [json.loads(line) for line in self.err if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    async def printed(self, count: int) -> list[str]:
        """Wait for so many lines on standard output."""
        await self._until(lambda: len(self.out) >= count)
        return self.out

    async def told(self, text: str) -> None:
        """Wait for a text on standard error."""
        await self._until(lambda: any(text in line for line in self.err))

    async def _until(self, condition: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(self.patience), self._news:
                await self._news.wait_for(lambda: condition() or self._readers.done())
        except TimeoutError:
            raise AssertionError("\n".join(["it never came", *self.out, *self.err])) from None
        assert condition(), "\n".join(["it ended before", *self.out, *self.err])

    async def _read(self, stream: asyncio.StreamReader, lines: list[str]) -> None:
        async for line in stream:
            lines.append(line.decode().rstrip("\n"))
            async with self._news:
                self._news.notify_all()


class Typed(Pogo):
    """What a user types into a shell, where `pogo` is on the path and `.venv` in the directory.

    Ctrl-C reaches all that runs in it, and so does its end.
    """

    _own_session = True

    def __init__(self, directory: Path, text: str, *, env: Mapping[str, str] | None = None) -> None:
        bin_folder = Path(sys.executable).parent
        path = os.pathsep.join([str(bin_folder), os.environ["PATH"]])
        super().__init__(directory, text, env={"PATH": path, **(env or {})})
        environment = directory / ".venv"
        if not environment.exists():
            environment.symlink_to(bin_folder.parent)

    def _command(self) -> Sequence[str]:
        return ("bash", "-e", "-c", *self._args)

    def _kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)

    def interrupt(self) -> None:
        """Type Ctrl-C."""
        os.killpg(self.process.pid, signal.SIGINT)


async def run_typed(
    directory: Path, text: str, *, env: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Type commands that end by themselves; returns the exit code and what they wrote."""
    async with Typed(directory, text, env=env) as typed:
        code = await typed.exit_code()
    return code, "\n".join(typed.out), "\n".join(typed.err)


async def run_pogo(
    directory: Path, *args: str, env: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Run a command that ends by itself; returns its exit code and what it wrote."""
    async with Pogo(directory, *args, env=env) as pogo:
        code = await pogo.exit_code()
    return code, "\n".join(pogo.out), "\n".join(pogo.err)
