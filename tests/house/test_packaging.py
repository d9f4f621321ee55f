"""What is shipped, and what it is built from."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

LOCKED = re.compile(r"^([a-z0-9][a-z0-9.-]*)(?:\[[a-z,]+\])?==\S+", re.MULTILINE)
LOCKS = sorted(path.name for path in (Path(__file__).parents[2] / "requirements").glob("*.txt"))


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory) -> list[str]:
    """The names of the files in a fresh wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=root,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built).namelist()


def test_a_wheel_holds_the_package_and_nothing_else(wheel):
    """Only `fairlead/` and its metadata; nothing that runs at interpreter start."""
    assert {name.split("/")[0].split("-")[0] for name in wheel} == {"fairlead"}
    assert [name for name in wheel if name.endswith((".pth", ".pyc", ".db", ".env"))] == []


def test_a_wheel_holds_every_file_of_the_package(wheel, root: Path):
    """Data files go with the code."""
    package = root / "src"
    expected = {
        path.relative_to(package).as_posix()
        for path in (package / "fairlead").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert expected <= set(wheel)
    assert "fairlead/py.typed" in wheel


def test_a_wheel_carries_licence_and_notice(wheel):
    """Both are in the metadata."""
    assert {"LICENSE", "NOTICE"} <= {name.rsplit("/", 1)[-1] for name in wheel if "dist-info" in name}


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_is_locked_by_hash(name: str, root: Path):
    """Each entry has a version and at least one hash, and no host is named."""
    text = (root / "requirements" / name).read_text(encoding="utf-8")
    entries = [entry for entry in re.split(r"\n(?=[a-z0-9])", text) if LOCKED.match(entry)]
    assert entries
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text
    assert "index-url" not in text


def test_the_lock_covers_what_is_declared(root: Path):
    """Every dependency of the package and of the gateway extra is locked, and the development lock agrees."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = project["dependencies"] + project["optional-dependencies"]["gateway"]
    names = {re.split(r"[><=;\[ ]", entry)[0].lower() for entry in declared}
    runtime = (root / "requirements" / "runtime.txt").read_text(encoding="utf-8")
    development = (root / "requirements" / "dev.txt").read_text(encoding="utf-8")
    assert names - set(LOCKED.findall(runtime)) == set()
    assert {match[0] for match in LOCKED.finditer(runtime)} - {
        match[0] for match in LOCKED.finditer(development)
    } == set()


def test_the_library_has_few_dependencies(root: Path):
    """At most twelve; everything else is an extra."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert len(project["dependencies"]) <= 12
