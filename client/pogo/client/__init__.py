"""Publishing to Pogo from Python.

from pogo.client import Client

client = Client()
client.publish("news", "headline", {"title": "Hello"})
"""

from pogo.client.aio import AsyncClient
from pogo.client.errors import ConfigurationError, Outcome, PublishError
from pogo.client.requests import Event
from pogo.client.runfile import (
    RunFile,
    read_run_file,
    remove_run_file,
    run_file_path,
    write_run_file,
)
from pogo.client.sync import Client
from pogo.rpc.v1.status import StatusCode

__all__ = [
    "AsyncClient",
    "Client",
    "ConfigurationError",
    "Event",
    "Outcome",
    "PublishError",
    "RunFile",
    "StatusCode",
    "read_run_file",
    "remove_run_file",
    "run_file_path",
    "write_run_file",
]
