from __future__ import annotations

import json
import signal
import subprocess
from contextlib import contextmanager

import pytest

from processes import CLEAN_ENVIRONMENT, FAIRLEAD


@pytest.mark.slow
def test_ctrl_c_in_an_answer_is_130_and_the_call_is_recorded(folder, sim):
    """No traceback; the record says that the caller left."""
    slow = sim("--tokens-per-s", "5")
    (folder / "fairlead.toml").write_text(
        f"""
[gateway]
auth = "open"
[providers.up]
dialect = "openai"
base_url = "{slow.base_url}"
allow_private = true
[models.m]
targets = ["up/sim-small"]
"""
    )
    with _started(folder, "chat", "hello") as chat:
        assert chat.stdout.read(4) == b"This"
        assert _interrupted(chat) == (130, b"")
    listed = subprocess.run(
        [FAIRLEAD, "logs", "--json"], cwd=folder, capture_output=True, check=True, timeout=10, env=CLEAN_ENVIRONMENT
    )
    assert json.loads(listed.stdout)["outcome"] == "cancelled"


def test_tail_shows_calls_until_it_is_stopped(folder):
    """A call of another process appears after it ended."""
    with _started(folder, "logs", "tail", "--json") as tail:
        with _started(folder, "chat", "hello") as chat:
            chat.communicate(timeout=10)
        assert json.loads(tail.stdout.readline())["outcome"] == "ok"
        assert _interrupted(tail) == (130, b"")


@contextmanager
def _started(folder, *arguments):
    """A running command, ended for sure."""
    # A shell lets what it starts in the background ignore Ctrl-C, and that would be inherited.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        [FAIRLEAD, *arguments],
        cwd=folder,
        bufsize=0,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=CLEAN_ENVIRONMENT,
    ) as child:
        signal.signal(signal.SIGINT, before)
        try:
            yield child
        finally:
            if child.poll() is None:
                child.kill()


def _interrupted(child):
    """Exit code and standard error after Ctrl-C."""
    child.send_signal(signal.SIGINT)
    _, stderr = child.communicate(timeout=10)
    return child.returncode, stderr
