"""The `pogo` command: the services, and tools to try and check them."""

from pogo.cli.commands import main

__all__ = ["main"]
