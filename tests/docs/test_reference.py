"""Generated pages are what the code says."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GENERATOR = ROOT / "scripts" / "generate_docs.py"
IMPORTED_AS = {"splintr-rs": "splintr", "pyjwt": "jwt", "pyyaml": "yaml"}


def test_generated_pages_are_fresh():
    """`make docs` would change nothing."""
    done = subprocess.run(
        [sys.executable, str(GENERATOR), "--check"], check=False, capture_output=True, text=True, timeout=20
    )
    assert done.stdout == ""
    assert done.returncode == 0, done.stderr


def test_every_setting_says_what_it_does():
    """No row of the configuration's tables has an empty cell."""
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
    rows = [row for row in page.split("\n") if row.startswith("| `")]
    assert len(rows) > 50
    assert [row for row in rows if "|  |" in row] == []


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """The top-level modules that the package imports anywhere."""
    found: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add((node.module or "").split(".")[0])
    return found


def test_the_page_on_dependencies_tells_the_truth(imported):
    """Each declared dependency has a row, and is marked `not yet` exactly where nothing imports it."""
    page = (ROOT / "docs" / "explanation" / "dependencies.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z0-9-]+)` \| ([^|]*) \|", page, re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    declared = project["dependencies"] + extras["gateway"] + extras["redis"] + extras["fields"] + extras["migrate"]
    assert set(rows) == {re.split(r"[><=;\[ ]", entry)[0].lower() for entry in declared}
    for name, job in rows.items():
        used = IMPORTED_AS.get(name, name.replace("-", "_")) in imported
        assert used != ("not yet" in job), name
