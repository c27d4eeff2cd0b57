"""A session with Redis that runs scripts."""

import hashlib
from collections.abc import Sequence
from typing import Any

from redis.exceptions import NoScriptError, ReadOnlyError

from pogo.bus.connection import CONFIRM_TIMEOUT
from pogo.bus.interface import BusRefusedError, BusUnavailableError
from pogo.bus.redis_connection import RedisSession
from pogo.bus.redis_link import command


class Script:
    """A script, and the name that Redis gives it."""

    def __init__(self, text: str) -> None:
        self.text = text.encode()
        # Redis names scripts so; it protects nothing.
        self.sha = hashlib.sha1(self.text, usedforsecurity=False).hexdigest().encode()


class ScriptSession(RedisSession):
    """A session whose server has been given scripts, and is the master."""

    async def _load(self, scripts: Sequence[Script], *, first: Sequence[bytes] = ()) -> list[Any]:
        """Give the server scripts, behind other commands; returns the replies to those.

        Raises:
            BusUnavailableError: The server did not take all of it.
        """
        loading = [command(b"SCRIPT", b"LOAD", script.text) for script in scripts]
        replies = await self._replies([*first, *loading], CONFIRM_TIMEOUT)
        for reply in replies:
            if isinstance(reply, Exception):
                raise BusUnavailableError(str(reply))
        return replies[: len(first)]

    async def _run_script(self, script: Script, within: float, *arguments: bytes) -> Any:
        """Run a script.

        Raises:
            BusUnavailableError: There was no reply in time, or the connection was lost.
            BusRefusedError: The server refused.
        """
        (reply,) = await self._replies([command(b"EVALSHA", script.sha, b"0", *arguments)], within)
        if isinstance(reply, Exception):
            raise BusRefusedError(str(reply))
        return reply

    def _failed(self, error: Exception) -> None:
        """Give the connection up where only another one can do better."""
        if isinstance(error, NoScriptError):
            self.lose("the server has forgotten our scripts")
        elif isinstance(error, ReadOnlyError):
            self.lose("the server is not the master any more")
        else:
            super()._failed(error)
