"""Processes of a run: started in a folder of their own, ended by id, never left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from bench import clocks

ROOT = Path(__file__).resolve().parents[1]
_START_S = 120.0
_STOP_S = 15.0


class CannotStart(Exception):
    """A process did not start; the text says why."""


class Running:
    """A started process; its errors go to a file.

    Args:
        quiet: nobody reads what it prints.

    Raises:
        CannotStart: there is no such command.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None, *, quiet: bool = False
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.log = folder / "stderr.log"
        # No provider's key of the person who measures may reach a subject.
        clean = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
        clean["PYTHONPATH"] = str(ROOT)
        try:
            with self.log.open("wb") as errors:
                self.child = subprocess.Popen(
                    command, cwd=folder, env=clean | dict(environment or {}),
                    stdin=subprocess.DEVNULL, stdout=errors if quiet else subprocess.PIPE, stderr=errors,
                )  # fmt: skip
        except OSError as error:
            raise CannotStart(f"{command[0]}: {error.strerror}") from error

    @property
    def pid(self) -> int:
        return self.child.pid

    def family(self) -> tuple[int, ...]:
        """Its process and all below it."""
        return (self.pid, *clocks.descendants(self.pid))

    def first_line(self) -> Any:
        """The JSON of its first line.

        Raises:
            CannotStart: it ended without one; it is stopped by then.
        """
        assert self.child.stdout is not None  # noqa: S101
        line = self.child.stdout.readline()
        if not line:
            self._give_up("it ended before it was ready")
        return msgspec.json.decode(line)

    def until_it_answers(self, url: str) -> None:
        """Wait until a GET has any answer.

        Raises:
            CannotStart: it ended, or does not answer in time; it is stopped by then.
        """
        until = time.monotonic() + _START_S
        while time.monotonic() < until:
            if self.child.poll() is not None:
                self._give_up("it ended")
            try:
                with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - loopback
                    return
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.1)
        self._give_up(f"no answer from {url} within {_START_S:.0f} s")

    def stop(self) -> None:
        """End it, by force if it takes too long."""
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        if self.child.stdout is not None:
            self.child.stdout.close()

    def _give_up(self, why: str) -> NoReturn:
        self.stop()
        said = self.log.read_text(errors="replace").replace(f"{self.folder}/", "").strip()[-400:]
        raise CannotStart(f"{why}: {said}" if said else why)


def module(name: str, *arguments: str) -> list[str]:
    """The command line of a module of this bench."""
    return [sys.executable, "-m", name, *arguments]
