"""Publishing to Pogo from Python."""

from pogo.client.runfile import (
    RunFile,
    read_run_file,
    remove_run_file,
    run_file_path,
    write_run_file,
)

__all__ = ["RunFile", "read_run_file", "remove_run_file", "run_file_path", "write_run_file"]
