"""What a check is, and what it finds."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"
    SKIPPED = "skipped"


_SEVERITIES = (Result.WRONG, Result.WARNING, Result.OK, Result.SKIPPED)


@dataclass(frozen=True, slots=True)
class Finding:
    """What there is to say of one thing."""

    result: Result
    text: str
    """One sentence. It never holds a secret."""
    advice: str = ""
    """What to do, where anything is to be done."""

    @property
    def stands_in_the_way(self) -> bool:
        """Whether what needs this thing cannot be looked at."""
        return self.result in (Result.WRONG, Result.SKIPPED)


class FoundError(Exception):
    """Ends a check early, with what it has found."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.text)
        self.finding = finding


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at."""

    name: str
    look: Callable[[], Awaitable[Finding]]
    """Is given a few seconds. May raise a `FoundError`."""
    needs: str = ""
    """The name of a check that comes before; where that finds nothing to rely on, this is skipped.
    """
    patience: float = 0.0
    """Seconds that it may take beyond those that every check is given."""


def ok(text: str) -> Finding:
    """Say that something is right."""
    return Finding(Result.OK, text)


def warning(text: str, advice: str) -> Finding:
    """Say that something works, and should be known."""
    return Finding(Result.WARNING, text, advice)


def wrong(text: str, advice: str) -> Finding:
    """Say that something does not work."""
    return Finding(Result.WRONG, text, advice)


def skipped(text: str, advice: str = "") -> Finding:
    """Say why something was not looked at."""
    return Finding(Result.SKIPPED, text, advice)


def worst(findings: Sequence[Finding]) -> Finding:
    """Make one finding of at least one: as bad as the worst, with what is not right in all of them.

    Where all is right, it says all of it.
    """
    bad = [finding for finding in findings if finding.advice] or findings
    result = min((finding.result for finding in bad), key=_SEVERITIES.index)
    advice = "; ".join(dict.fromkeys(finding.advice for finding in bad if finding.advice))
    return Finding(result, "; ".join(dict.fromkeys(finding.text for finding in bad)), advice)
