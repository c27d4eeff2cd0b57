"""The tree keeps its shape: who may import whom, and what each package must have.

Each rule takes the root of a tree and returns what breaks it, one sentence each. The tree has to
keep every rule, and every rule has to find a fault planted in a copy of the tree.
"""

import ast
import re
import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("authsvc", "broker", "cli", "client", "core", "edge", "proto")

_SHARED = {
    "bus",
    "cluster",
    "pusher",
    "records",
    "registry",
    "rpc",
    "serving",
    "settings",
    "telemetry",
    "tls",
    "webhooks",
}
# What of `pogo` each package may import, beside itself: a service no other service, and the core
# nothing that is not below it.
ALLOWED: dict[str, set[str]] = {
    "authsvc": _SHARED,
    "broker": _SHARED,
    "bus": {"tls"},
    "cli": _SHARED | {"authsvc", "broker", "client", "edge"},
    "client": {"rpc"},
    "cluster": {"bus", "registry", "rpc", "telemetry"},
    "edge": _SHARED,
    "pusher": set(),
    "records": {"bus"},
    "registry": {"bus"},
    "rpc": set(),
    "serving": {"tls"},
    "settings": {"pusher"},
    "telemetry": set(),
    "tls": set(),
    "webhooks": {"bus", "pusher", "settings", "telemetry"},
}
# All that the protocol may import from elsewhere: nothing here does I/O, tells the time or makes
# random numbers.
PURE = {
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "hashlib",
    "hmac",
    "ipaddress",
    "itertools",
    "json",
    "math",
    "msgspec",
    "re",
    "typing",
    "urllib.parse",
}


def _packages(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield each package's name below `pogo` and its folder, wherever its root is."""
    for folder in FOLDERS:
        for path in sorted((root / folder / "pogo").iterdir()):
            if path.is_dir() and path.name != "__pycache__":
                yield path.name, path


def _modules(package: Path) -> Iterator[tuple[Path, ast.Module]]:
    """Yield the modules written by hand."""
    for path in sorted(package.rglob("*.py")):
        if "_pb2" not in path.name:
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def _imports(path: Path, module: ast.Module) -> Iterator[str]:
    """Yield the full dotted names that a module imports, at its top or inside a function."""
    parts = path.with_suffix("").parts
    here = parts[len(parts) - parts[::-1].index("pogo") - 1 :]
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [node.module] if node.module else []
            prefix = ".".join([*(here[: -node.level] if node.level else ()), *base])
            yield from (f"{prefix}.{name.name}" for name in node.names)


def namespace(root: Path) -> list[str]:
    """`pogo` has no `__init__.py` in any root: one would hide all other roots."""
    found = (root / folder / "pogo" / "__init__.py" for folder in FOLDERS)
    return [f"{path} makes pogo a plain package" for path in found if path.exists()]


def imports(root: Path) -> list[str]:
    """A package imports of `pogo` only what `ALLOWED` says."""
    return [
        f"{path} imports {name}"
        for package, folder in _packages(root)
        for path, module in _modules(folder)
        for name in _imports(path, module)
        if name.split(".")[0] == "pogo"
        and name.split(".")[1] not in ALLOWED.get(package, set()) | {package}
    ]


def purity(root: Path) -> list[str]:
    """`pogo.pusher` imports nothing that does I/O, tells the time or makes random numbers."""
    pure = tuple(f"{name}." for name in PURE | {"pogo.pusher"})
    return [
        f"{path} imports {name}"
        for path, module in _modules(root / "core" / "pogo" / "pusher")
        for name in _imports(path, module)
        if not f"{name}.".startswith(pure)
    ]


def typed(root: Path) -> list[str]:
    """Every package says that it has types."""
    folders = (folder / "v1" if name == "rpc" else folder for name, folder in _packages(root))
    return [f"{folder} has no py.typed" for folder in folders if not (folder / "py.typed").exists()]


def documented(root: Path) -> list[str]:
    """Every module says what it is for."""
    return [
        f"{path} has no docstring"
        for _, folder in _packages(root)
        for path, module in _modules(folder)
        if not ast.get_docstring(module)
    ]


def front_doors(root: Path) -> list[str]:
    """A package's `__init__.py` names all that it imports in a sorted `__all__`, and no more."""
    return [
        f"{path} has an __all__ that is not the sorted list of what it imports"
        for _, folder in _packages(root)
        for path, module in _modules(folder)
        if path.name == "__init__.py" and _exported(module) != _sorted(_bound(module))
    ]


def _exported(module: ast.Module) -> list[str]:
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def _bound(module: ast.Module) -> Iterator[str]:
    """Yield the public names that a front door binds, whether imported or made there."""
    for node in module.body:
        if isinstance(node, ast.ImportFrom):
            yield from (name.asname or name.name for name in node.names)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name


def _sorted(names: Iterator[str]) -> list[str]:
    """Sort as the linter does: constants, classes, functions."""
    public = (name for name in names if not name.startswith("_"))
    return sorted(public, key=lambda name: (not name.isupper(), name.islower(), name))


def versions(root: Path) -> list[str]:
    """The newest release of the changelog is the version of the package."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.findall(r"^## \[(\d[^]]*)]", changelog, re.MULTILINE)
    if releases[:1] == [project["version"]]:
        return []
    return [f"pyproject.toml says {project['version']}, CHANGELOG.md {releases[:1]}"]


RULES = (namespace, imports, purity, typed, documented, front_doors, versions)
# Each rule, a file, and what is written there to break the rule; `None` removes the file.
FAULTS = (
    (namespace, "edge/pogo/__init__.py", ""),
    (imports, "edge/pogo/edge/fault.py", "from pogo.broker import server"),
    (imports, "edge/pogo/edge/fault.py", "def lazy():\n    import pogo.broker"),
    (imports, "edge/pogo/edge/fault.py", "from pogo import cli"),
    (imports, "edge/pogo/edge/fault.py", "from ..broker import server"),
    (imports, "client/pogo/client/fault.py", "import pogo.settings"),
    (imports, "core/pogo/bus/fault.py", "import pogo.registry"),
    (imports, "core/pogo/unknown/fault.py", "import pogo.bus"),
    (purity, "core/pogo/pusher/fault.py", "import asyncio"),
    (purity, "core/pogo/pusher/fault.py", "from os import environ"),
    (purity, "core/pogo/pusher/fault.py", "import urllib.request"),
    (purity, "core/pogo/pusher/fault.py", "def now():\n    import time"),
    (typed, "broker/pogo/broker/py.typed", None),
    (typed, "proto/pogo/rpc/v1/py.typed", None),
    (documented, "cli/pogo/cli/fault.py", "VALUE = 1"),
    (front_doors, "core/pogo/bus/__init__.py", "from pogo.bus.interface import Bus"),
    (front_doors, "core/pogo/bus/__init__.py", "__all__ = ['Bus']"),
    (
        front_doors,
        "core/pogo/bus/__init__.py",
        "from pogo.bus.interface import Bus, BusError\n__all__ = ['BusError', 'Bus']",
    ),
    (versions, "CHANGELOG.md", "## [Unreleased]\n\n## [9.9.9] - 2026-01-01"),
)


@pytest.fixture(name="copy")
def _copy(tmp_path: Path) -> Path:
    """Return a copy of the tree, to plant a fault in."""
    for folder in FOLDERS:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignore)
    for file in ("pyproject.toml", "CHANGELOG.md"):
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


@pytest.mark.parametrize("rule", RULES)
def test_tree_keeps_rule(rule: Callable[[Path], list[str]]) -> None:
    """The tree breaks no rule."""
    assert [] == rule(ROOT)


@pytest.mark.parametrize(("rule", "file", "text"), FAULTS)
def test_rule_finds_fault(
    copy: Path, rule: Callable[[Path], list[str]], file: str, text: str | None
) -> None:
    """A planted fault is found, alone, and by the file's name."""
    before = rule(copy)
    path = copy / file
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    if text is not None:
        path.write_text(text, encoding="utf-8")

    found = [sentence for sentence in rule(copy) if sentence not in before]

    assert 1 == len(found)
    assert path.name in found[0]


def test_every_rule_has_a_fault() -> None:
    """No rule goes untried."""
    assert set(RULES) == {rule for rule, _, _ in FAULTS}
