"""Why a worker could not be started."""

from pogo.cli.errors import CommandError


class WorkerError(CommandError):
    """A worker ended before it was ready, or did not get ready in time.

    Args:
        reason: What happened, for people.
        exit_code: The worker's own, where it had one.
    """

    def __init__(self, reason: str, exit_code: int = CommandError.exit_code) -> None:
        super().__init__(reason)
        self.exit_code = exit_code
