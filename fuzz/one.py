"""Run one target under libFuzzer: `python -m fuzz.one TARGET CRASHES COMMAND [libFuzzer options] CORPUS_FOLDER...`.

A broken promise does not end the run: the first input that breaks it in a new place is kept in the folder CRASHES, with
what was said beside it, and later ones where they are smaller.  Only a hang or a lack of memory ends it early.

COMMAND is what libFuzzer starts when it merges: a script that does as this process does.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import atheris  # type: ignore[import-untyped]


def main() -> None:
    """Instrument what is judged and the oracles, and hand over to libFuzzer, which does not return."""
    name, crashes, command, *options = sys.argv[1:]
    with atheris.instrument_imports(include=["fairlead", "fuzz.http1", "fuzz.targets"]):
        from fuzz.targets import load  # noqa: PLC0415 - imported under instrumentation

        check = load(name).check
    atheris.Setup([command, *options], _Kept(check, Path(crashes)))
    atheris.Fuzz()


class _Kept:
    """Calls a check, and keeps what it fails on."""

    def __init__(self, check: Callable[[bytes], None], folder: Path) -> None:
        self._check = check
        self._folder = folder

    def __call__(self, data: bytes) -> None:
        try:
            self._check(data)
        except Exception as error:  # noqa: BLE001 - whatever a target raises is a finding
            self._keep(data, error)

    def _keep(self, data: bytes, error: Exception) -> None:
        path = self._folder / _place(error)
        if not path.exists() or len(data) < path.stat().st_size:
            path.write_bytes(data)
            path.with_suffix(".txt").write_text("".join(traceback.format_exception(error)[-12:]))


def _place(error: Exception) -> str:
    """The lines that the error came through, as a file name: one finding is kept once."""
    frames = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[1:]]
    return "crash-" + hashlib.sha256("\n".join((type(error).__name__, *frames)).encode()).hexdigest()[:16]


if __name__ == "__main__":
    main()
