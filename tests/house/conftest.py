"""The package's own source, parsed once a session."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "fairlead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file."""

    path: Path
    name: str
    """Below the package, such as `core/gcra.py`."""
    module: str
    text: str
    tree: ast.Module


def _read(path: Path) -> Source:
    text = path.read_text(encoding="utf-8")
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return Source(
        path=path,
        name=path.relative_to(PACKAGE).as_posix(),
        module=".".join(parts[:-1] if parts[-1] == "__init__" else parts),
        text=text,
        tree=ast.parse(text, str(path)),
    )


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's folder."""
    return ROOT


@pytest.fixture(scope="session")
def sources() -> list[Source]:
    """Every source file of the package."""
    return [_read(path) for path in sorted(PACKAGE.rglob("*.py"))]
