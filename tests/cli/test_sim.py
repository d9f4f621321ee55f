from __future__ import annotations

import json
import signal
import socket
import urllib.error
import urllib.request

import pytest

from processes import fetch


def _post(running, body, **headers):
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{running.base_url}/chat/completions",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json", **headers},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
        return json.loads(answer.read())


HELLO = {"model": "sim-small", "messages": [{"role": "user", "content": "hello"}]}


def test_it_answers_bills_and_stops(sim):
    """Over the real wire; SIGTERM ends it with exit code 0."""
    running = sim()
    assert _post(running, HELLO)["system_fingerprint"] == "fp_fairlead_sim"
    assert len(json.loads(fetch(f"{running.origin}/sim/bill"))["calls"]) == 1
    assert running.stop(signal.SIGTERM) == 0


def test_ctrl_c_stops_it_too(sim):
    """Without a traceback."""
    running = sim("--any-model")
    assert _post(running, {**HELLO, "model": "whatever"})["model"] == "sim:whatever"
    running.stop(signal.SIGINT)
    assert running.log.read_text() == ""


def test_faults_strike(sim):
    """As the file says."""
    running = sim(faults='[[faults]]\nkind = "quota"\ntimes = 1\n')
    with pytest.raises(urllib.error.HTTPError) as refused:
        _post(running, HELLO)
    with refused.value as answer:
        assert (answer.code, json.loads(answer.read())["error"]["code"]) == (429, "insufficient_quota")
    assert _post(running, HELLO)["object"] == "chat.completion"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--faults", "absent.toml"], "absent.toml: no such file"),
        (["--api-key-env", "NO_SUCH_KEY"], "`NO_SUCH_KEY` is not set"),
    ],
)
def test_what_it_cannot_use_is_one_line(run, arguments, reason):
    """And it does not start."""
    assert reason in run("sim", "--port", "0", *arguments, code=1).stderr


def test_a_bad_faults_file_is_told(run, folder):
    """With what is wrong in it."""
    (folder / "faults.toml").write_text('[[faults]]\nkind = "earthquake"\n')
    assert "earthquake" in run("sim", "--port", "0", "--faults", "faults.toml", code=1).stderr


def test_a_port_in_use_is_one_line(run):
    """It names the address and the option."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        stderr = run("sim", "--port", str(port), code=1).stderr
    assert stderr == f"fairlead: cannot listen on 127.0.0.1:{port}: Address already in use; set another --port\n"


def test_limits_are_kept_on_the_wire(sim):
    """As the file says, with true headers; another key has its own."""
    running = sim(faults="[limits]\nrpm = 1\nbucket_s = 60\n")
    assert _post(running, HELLO)["object"] == "chat.completion"
    with pytest.raises(urllib.error.HTTPError) as refused:
        _post(running, HELLO)
    with refused.value as answer:
        assert (answer.code, answer.headers["x-ratelimit-limit-requests"]) == (429, "1")
        assert 50 < int(answer.headers["retry-after"]) <= 60
    assert _post(running, HELLO, authorization="Bearer another")["object"] == "chat.completion"
