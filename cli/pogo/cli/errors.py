"""Why a command ends otherwise than well, and with which exit code.

CommandError          exit code 1: it failed while running
└── UsageError        exit code 2: what was asked for, or the configuration, cannot work
"""


class CommandError(Exception):
    """The command failed; the message is what the user reads."""

    exit_code = 1


class UsageError(CommandError):
    """The user must ask for something else or change the configuration."""

    exit_code = 2
