"""The blocks of code in the documents, and which of them tests run.

    COMMANDS = documented("docs/tls.md", "Try it", "sh")       # the first block below that heading
    OTHERS = documented("docs/tls.md", "Try it", "sh", 1)      # the second one

Every block of commands is shown to a test in this way, which then runs it, or says in its first
line why no test does: `# Not run by a test: it takes half an hour`. tests/test_docs.py sees to
that, and reads the calls as they stand in the source: their arguments have to be literals.
"""

import ast
import functools
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "php").glob("*.md")])
NOT_RUN = "# Not run by a test: "

_FENCE = re.compile(r"^```(\w*)$")
_HEADING = re.compile(r"^#+ (.+)$")


class Block(NamedTuple):
    """Where a block of code stands: the `number`-th of its language below a heading."""

    page: str
    heading: str
    language: str
    number: int


@functools.cache
def blocks() -> dict[Block, str]:
    """Read all blocks that name their language, with their text."""
    return {block: text for page in PAGES for block, text in _blocks_of(page)}


def documented(page: str, heading: str, language: str, number: int = 0) -> str:
    """Return the text of a block, which the caller runs.

    Raises:
        KeyError: There is no such block.
    """
    return blocks()[Block(page, heading, language, number)]


def exchange(text: str, exchanges: dict[str, str]) -> str:
    """Put a test's own ports and paths in place of those that a page shows.

    Raises:
        ValueError: The text does not have one of them.
    """
    for word, tried in exchanges.items():
        if word not in text:
            raise ValueError(f"there is no {word!r} in: {text}")
        text = text.replace(word, tried)
    return text


@functools.cache
def claims() -> dict[Block, Path]:
    """Find the blocks that tests ask for, and in which file."""
    return {
        block: path
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if "node_modules" not in path.parts and "documented(" in (text := path.read_text("utf-8"))
        for block in _claims_of(text)
    }


def _blocks_of(page: Path) -> Iterator[tuple[Block, str]]:
    name, heading, language = str(page.relative_to(ROOT)), "", None
    lines: list[str] = []
    counts: Counter[tuple[str, str]] = Counter()
    for line in page.read_text(encoding="utf-8").splitlines():
        if fence := _FENCE.match(line):
            if language:
                number = counts[heading, language]
                counts[heading, language] += 1
                yield Block(name, heading, language, number), "\n".join(lines) + "\n"
            language, lines = (fence[1], []) if language is None else (None, [])
        elif language is not None:
            lines.append(line)
        elif found := _HEADING.match(line):
            heading = found[1]


def _claims_of(source: str) -> Iterator[Block]:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id="documented"), args=arguments):
                page, heading, language, *number = map(ast.literal_eval, arguments)
                yield Block(page, heading, language, *(number or [0]))
