"""What people and programs read."""

from collections import Counter
from collections.abc import Mapping

import msgspec
import typer

from pogo.cli.doctor.findings import Finding, Result

_COLOURS = {
    Result.OK: typer.colors.GREEN,
    Result.WARNING: typer.colors.YELLOW,
    Result.WRONG: typer.colors.RED,
    Result.SKIPPED: typer.colors.BRIGHT_BLACK,
}


def as_text(findings: Mapping[str, Finding]) -> str:
    """Write a line for each check, below it what to do, and how many ended how.

    The colours are for terminals; whoever prints takes them out elsewhere.
    """
    width = max(map(len, findings))
    results = max(map(len, Result))
    lines: list[str] = []
    for name, finding in findings.items():
        result = typer.style(finding.result.ljust(results), fg=_COLOURS[finding.result], bold=True)
        lines.append(f"{result}  {name.ljust(width)}  {_printable(finding.text)}")
        if finding.advice:
            indent = " " * (results + width + 4)
            lines.append(f"{indent}→ {_printable(finding.advice)}")
    counts = Counter(finding.result for finding in findings.values())
    told = ", ".join(f"{counts[result]} {result}" for result in Result if counts[result])
    return "\n".join([*lines, "", told])


def as_json(findings: Mapping[str, Finding]) -> str:
    """Write one object: the worst result, and all checks in their order."""
    is_wrong = any(finding.result is Result.WRONG for finding in findings.values())
    content = {
        "result": Result.WRONG if is_wrong else Result.OK,
        "checks": [
            {
                "name": name,
                "result": finding.result,
                "text": finding.text,
                "advice": finding.advice,
            }
            for name, finding in findings.items()
        ],
    }
    return msgspec.json.format(msgspec.json.encode(content).decode(), indent=2)


def _printable(text: str) -> str:
    """Keep what a server says from steering the terminal, and on one line."""
    return "".join(char if char.isprintable() else " " for char in text).strip()
