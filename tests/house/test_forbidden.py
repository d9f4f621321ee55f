"""What no source file contains."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

MODULES = {"pickle", "marshal", "shelve", "yaml", "subprocess", "multiprocessing", "ctypes", "code", "pty"}
CALLS = {"eval", "exec", "compile", "__import__", "breakpoint"}
ATTRIBUTES = {
    "os.system", "os.popen", "os.execv", "os.execve", "os.execvp", "os.fork", "os.posix_spawn", "os.spawnv",
    "asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell", "asyncio.get_event_loop",
    "time.sleep", "tempfile.mktemp",
}  # fmt: skip
EXCEPTIONS = {
    ("config/secrets.py", "subprocess"): "the `cmd:` secret reference",
    ("gateway/supervisor.py", "asyncio.create_subprocess_exec"): "workers and keeper are child processes",
}
"""File and name to the reason, each reviewed."""
MARKS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def uses(tree: ast.Module) -> Iterator[str]:
    """The forbidden things that a module imports, calls or names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from {alias.name.split(".")[0] for alias in node.names} & MODULES
        elif isinstance(node, ast.ImportFrom):
            yield from {(node.module or "").split(".")[0]} & MODULES
            yield from {f"{node.module}.{alias.name}" for alias in node.names} & ATTRIBUTES
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield from {node.func.id} & CALLS
        elif isinstance(node, ast.Attribute):
            yield from {ast.unparse(node)} & ATTRIBUTES


def test_nothing_runs_data_as_code(sources):
    """No eval, pickle, YAML or shell; no child process but for the two places that were reviewed."""
    found = {(source.name, use) for source in sources for use in uses(source.tree)}
    assert found - EXCEPTIONS.keys() == set()


@pytest.mark.parametrize(
    "text",
    ["eval('1')", "import pickle", "from yaml import load", "import os\nos.system('x')", "from os import system"],
)
def test_the_check_sees_what_it_forbids(text: str):
    """The rule above can fail."""
    assert list(uses(ast.parse(text)))


def test_nothing_is_left_for_later():
    """What is open is an issue and not a comment."""
    root = Path(__file__).resolve().parents[2]
    files = [
        path
        for folder in ("src", "scripts", "docs")
        for path in (root / folder).rglob("*")
        if path.suffix in (".py", ".md", ".sh")
    ]
    assert [str(path.relative_to(root)) for path in files if MARKS.search(path.read_text(encoding="utf-8"))] == []


def test_no_exception_is_swallowed(sources):
    """A handler for everything does something, and never stands without a name."""
    silent = [
        f"{source.name}:{node.lineno}"
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (ast.unparse(node.type) in ("Exception", "BaseException") and _is_empty(node.body)))
    ]
    assert silent == []


def _is_empty(body: list[ast.stmt]) -> bool:
    return all(isinstance(each, ast.Pass) or ast.unparse(each) == "..." for each in body)


def test_no_clock_is_read_behind_the_port(sources):
    """Time comes through `Clock`, randomness through `Rng`; only their adapters and the ids of files know the system's."""
    names = {"time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "random.random", "datetime.now"}
    found = {
        source.name
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in names
    }
    allowed = {"stores/system.py"}
    assert {name for name in found if not name.startswith(("testing/", "cli/"))} - allowed == set()
