from __future__ import annotations

import json
import signal
import subprocess

from processes import CLEAN_ENVIRONMENT, FAIRLEAD


def test_ctrl_c_in_an_answer_is_130_and_the_call_is_recorded(folder):
    """No traceback; the record says that the caller left."""
    (folder / "fairlead.toml").write_text(
        '[gateway]\nauth = "open"\n[providers.sim]\nvendor = "sim"\ntokens_per_s = 5\n'
        '[models.m]\ntargets = ["sim/sim-small"]\n'
    )
    chat = subprocess.Popen(
        [FAIRLEAD, "chat", "hello"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=CLEAN_ENVIRONMENT
    )
    assert chat.stdout.read(4) == b"This"
    chat.send_signal(signal.SIGINT)
    _, stderr = chat.communicate(timeout=10)
    assert (chat.returncode, stderr) == (130, b"")
    listed = subprocess.run(
        [FAIRLEAD, "logs", "--json"], cwd=folder, capture_output=True, check=True, timeout=10, env=CLEAN_ENVIRONMENT
    )
    assert json.loads(listed.stdout)["outcome"] == "cancelled"


def test_tail_shows_calls_until_it_is_stopped(folder):
    """A call of another process appears after it ended."""
    tail = subprocess.Popen(
        [FAIRLEAD, "logs", "tail", "--json"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=CLEAN_ENVIRONMENT,
    )
    subprocess.run(
        [FAIRLEAD, "chat", "hello"], cwd=folder, capture_output=True, check=True, timeout=10, env=CLEAN_ENVIRONMENT
    )
    assert json.loads(tail.stdout.readline())["outcome"] == "ok"
    tail.send_signal(signal.SIGINT)
    _, stderr = tail.communicate(timeout=10)
    assert (tail.returncode, stderr) == (130, b"")
