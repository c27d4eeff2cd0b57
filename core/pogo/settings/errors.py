"""What is wrong with the settings."""

from collections.abc import Sequence


class SettingsError(Exception):
    """The settings cannot be used.

    `problems` has a line for each thing wrong, with its source and full path; none of them
    quotes a secret.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)
