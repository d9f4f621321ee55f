"""The corpus in the tree: a file for each target, an input a line, in base64."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).with_name("corpus")
CRASHERS = Path(__file__).with_name("crashers")


def read(name: str) -> list[bytes]:
    """What is kept of a target; none where nothing is."""
    path = FOLDER / f"{name}.txt"
    return [b64decode(line) for line in path.read_text().splitlines()] if path.exists() else []


def write(name: str, entries: Iterable[bytes]) -> None:
    """Keep these entries instead."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.txt").write_text("".join(f"{b64encode(entry).decode()}\n" for entry in entries))


def crashers(name: str) -> list[Path]:
    """Inputs that once broke a promise of this target."""
    folder = CRASHERS / name
    return sorted(folder.iterdir()) if folder.is_dir() else []
