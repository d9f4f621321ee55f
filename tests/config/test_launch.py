"""How a child runs, from its order to its exit code."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from fairlead.config.launch import Launch
from fairlead.config.load import load_text

ORDER = Launch(config=load_text(""), root=".", name="worker-1", port=0)
PROGRAM = """
import logging, sys
from fairlead.config.launch import run
from fairlead.errors import ConfigError
async def serve(launch):
    log = logging.getLogger("fairlead")
    {}
sys.exit(run(serve))
"""


def child(body: str) -> subprocess.CompletedProcess[str]:
    """A child whose `serve` does this."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(body)],
        input=msgspec.json.encode(ORDER).decode() + "\n", capture_output=True, check=False, timeout=15, text=True,
    )  # fmt: skip


def test_a_log_record_is_one_line_under_the_childs_name() -> None:
    """Whatever stands in its message; what is below INFO is not shown."""
    done = child(r"""log.info("first\nand %s", "more\r\nof it"); log.debug("hidden")""")
    assert (done.returncode, done.stderr) == (0, "fairlead[worker-1]: first and more of it\n")


def test_an_exception_that_is_logged_shows_its_traceback() -> None:
    """Below the line of its message."""
    done = child("""log.error("a stage failed", exc_info=ValueError("inner"))""")
    assert done.stderr.splitlines() == ["fairlead[worker-1]: a stage failed", "ValueError: inner"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("""raise ConfigError("no such model", detail="line 3")""", "no such model (line 3)"),
        ("""open("/nowhere/at/all")""", "/nowhere/at/all: No such file or directory"),
    ],
)
def test_what_is_understood_is_told_in_one_line_and_leaves_no_traceback(error: str, told: str) -> None:
    """The supervisor says it."""
    done = child(error)
    assert (done.returncode, done.stderr) == (1, "")
    assert msgspec.json.decode(done.stdout) == {"error": told}


def test_a_fault_of_ours_leaves_its_traceback() -> None:
    """And the exit code says so."""
    done = child("""raise RuntimeError("inner")""")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "RuntimeError: inner" in done.stderr
    assert "traceback stands above" in done.stdout
