"""What no source file contains."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

MODULES = {
    # data that runs as code when it is loaded
    "pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "jsonpickle", "marshal", "shelve", "dbm", "yaml", "ruamel",
    "plistlib", "copyreg", "xml", "lxml", "xmlrpc", "tarfile", "zipimport",
    # code from text
    "code", "codeop", "imp", "pty", "runpy", "ctypes", "cffi", "_ctypes",
    # other processes
    "subprocess", "multiprocessing", "pexpect", "sh", "commands", "popen2",
}  # fmt: skip
CALLS = {"eval", "exec", "compile", "__import__", "breakpoint", "input"}
ATTRIBUTES = {
    "os.system", "os.popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.posix_spawnp", "os.startfile",
    *(f"os.{kind}{form}" for kind in ("exec", "spawn") for form in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")),
    "asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell", "asyncio.get_event_loop",
    "builtins.eval", "builtins.exec", "builtins.compile", "importlib.import_module", "importlib.util.spec_from_file_location",
    "concurrent.futures.ProcessPoolExecutor", "jinja2.Environment", "jinja2.Template", "jinja2.nativetypes",
    "time.sleep", "tempfile.mktemp", "ssl._create_unverified_context", "ssl._create_default_https_context",
}  # fmt: skip
EXCEPTIONS = {
    (
        "__init__.py",
        "importlib.import_module",
    ): "public names are imported when they are first used, from a table there",
    ("config/secrets.py", "subprocess"): "the `cmd:` secret reference",
    (
        "config/litellm/source.py",
        "yaml",
    ): "reads another gateway's file by `SafeLoader`, which makes plain values alone",
    ("gateway/supervisor.py", "asyncio.create_subprocess_exec"): "workers and keeper are child processes",
    ("gateway/crew.py", "asyncio.create_subprocess_exec"): "workers and keeper are child processes",
}
"""File and name to the reason, each reviewed."""
WAIVED = {
    "S101": "says to the type checker what holds",
    "S104": "an address that is compared, not listened on",
    "S105": "a name that only sounds like a secret",
    "S311": "jitter, never secrets",
    "S603": "the `cmd:` secret reference",
}
"""Security rules of the linter that a line may waive; those on SQL, pickle, YAML, XML, hashes and shells are not among
them."""
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


def test_x13_nothing_runs_data_as_code(sources):
    """X13: no eval, pickle, YAML or shell; no child process but for the places that were reviewed."""
    found = {(source.name, use) for source in sources for use in uses(source.tree)}
    assert found - EXCEPTIONS.keys() == set()


def test_x13_no_line_waives_a_security_rule_that_matters(sources):
    """X13: `noqa` reaches no further than the waivers listed here, and the package waives none as a whole."""
    waived = {
        rule
        for source in sources
        for line in re.findall(r"noqa: ([A-Z0-9, ]+)", source.text)
        for rule in line.split(", ")
    }
    assert {rule for rule in map(str.strip, waived) if re.fullmatch(r"S\d+", rule)} - WAIVED.keys() == set()
    options = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())["tool"]["ruff"][
        "lint"
    ]
    assert "ALL" in options["select"]
    ignored = [
        *options["ignore"],
        *(rule for path, rules in options["per-file-ignores"].items() if path.startswith("src") for rule in rules),
    ]
    assert [rule for rule in ignored if re.fullmatch(r"S\d*", rule)] == []


def test_x13_templates_are_sandboxed_and_stay_with_the_prompts(sources):
    """X13: jinja2 is imported under `prompts/` alone, and only its sandbox."""
    found = {
        (source.name, name)
        for source in sources
        for node in ast.walk(source.tree)
        for name in _imported(node)
        if name.split(".")[0] == "jinja2"
    }
    outside = {(file, name) for file, name in found if not file.startswith("prompts/")}
    plain = {name for _, name in found} - {"jinja2.sandbox.ImmutableSandboxedEnvironment", "jinja2.StrictUndefined"}
    assert (outside, {name for name in plain if not name.startswith(("jinja2.meta", "jinja2.exceptions"))}) == (
        set(),
        set(),
    )


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


@pytest.mark.parametrize(
    "text",
    [
        "eval('1')",
        "import pickle",
        "from yaml import load",
        "import os\nos.system('x')",
        "from os import system",
        "import xml.etree",
        "os.execvpe",
        "from importlib import import_module",
        "import ctypes.util",
    ],
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
