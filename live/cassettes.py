"""The folder that cassettes are kept in: one file for each vendor, dialect and feature."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from live.mask import Leaked, Masker
from live.run import Result
from live.tape import Taped


class Cassettes:
    """Writes what went over the wire, masked; the newest of a kind replaces the one before."""

    def __init__(self, folder: Path, masker: Masker) -> None:
        self.folder = folder
        self.written = 0
        self.refused: list[str] = []
        """Why others were not written."""
        self._masker = masker

    def write(self, result: Result, taped: Sequence[Taped]) -> None:
        """Keep the exchanges of one feature, unless a trace of a credential would be in it."""
        title = {"vendor": result.vendor, "dialect": result.dialect, "feature": result.feature, "result": result.status}
        try:
            text = self._masker.cassette(title, taped)
        except Leaked as error:
            self.refused.append(str(error))
            return
        path = self.folder / result.vendor / result.dialect / f"{result.feature}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        self.written += 1
