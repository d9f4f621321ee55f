"""Supervisor, worker and keeper: how they end, and what happens when one of them dies."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest
import trustme

from processes import CLEAN_ENVIRONMENT, FAIRLEAD

HELLO: Any = [{"role": "user", "content": "Say hello"}]
CONFIG = """
[gateway]
auth = "open"
drain_s = 20
[providers.slow]
vendor = "sim"
tokens_per_s = 40
[models.m]
targets = ["sim/sim-small"]
[models.slow]
targets = ["slow/sim-small"]
"""
Begin = Callable[..., Any]


def sdk(gateway: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=gateway.base_url, api_key="any", max_retries=0)


def children(gateway: Any) -> dict[str, psutil.Process]:
    """The processes of a gateway by what they run."""
    found = psutil.Process(gateway.child.pid).children()
    return {"keeper" if "fairlead.keeper.main" in each.cmdline() else "worker": each for each in found}


def until(true: Callable[[], Any], seconds: float = 15.0) -> Any:
    """Ask again and again until the answer is true."""
    ends = time.monotonic() + seconds
    while not (answer := _quietly(true)):
        assert time.monotonic() < ends, "it did not come true in time"
        time.sleep(0.05)
    return answer


def _quietly(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except (OSError, openai.APIConnectionError, psutil.NoSuchProcess, KeyError):
        return None


def logged(gateway: Any) -> list[dict[str, Any]]:
    """The calls in the store, newest first."""
    rows = gateway.cli("logs", "--since", "1h")
    return [rows] if isinstance(rows, dict) else rows


@pytest.fixture
def streaming(gateway: Begin) -> Iterator[tuple[Any, Iterator[Any]]]:
    """A gateway with a slow stream under way."""
    ours = gateway(CONFIG)
    with sdk(ours) as client, client.chat.completions.create(model="slow", messages=HELLO, stream=True) as stream:
        pieces = iter(stream)
        next(pieces)
        yield ours, pieces


@pytest.mark.timeout(60)
def test_sigterm_lets_open_streams_finish_and_loses_no_record(streaming: tuple[Any, Iterator[Any]]) -> None:
    """After SIGTERM a stream comes to its own end, its record is stored, and the exit code is 0 (P1, D10)."""
    ours, pieces = streaming

    ours.child.send_signal(signal.SIGTERM)
    rest = list(pieces)

    assert rest[-1].choices[0].finish_reason == "stop"
    assert ours.child.wait(20) == 0
    (record,) = logged(ours)
    assert (record["outcome"], record["usage_source"]) == ("ok", "final")


@pytest.mark.timeout(60)
@pytest.mark.slow
def test_a_second_sigterm_cuts_what_is_open(streaming: tuple[Any, Iterator[Any]]) -> None:
    """The second signal ends open streams at once with an in-band error, and the call is recorded as truncated."""
    ours, pieces = streaming

    ours.child.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    ours.child.send_signal(signal.SIGTERM)
    with pytest.raises(openai.APIError, match="shutting down"):
        list(pieces)

    assert ours.child.wait(20) == 0
    (record,) = logged(ours)
    assert (record["outcome"], record["error_code"]) == ("truncated", "overloaded")


@pytest.mark.timeout(60)
def test_a_killed_worker_is_replaced_and_its_calls_are_accounted_for(streaming: tuple[Any, Iterator[Any]]) -> None:
    """Kill -9 of the worker: a new one serves, and what was under way is recorded as crashed (P2)."""
    ours, pieces = streaming

    children(ours)["worker"].kill()
    with pytest.raises(openai.APIConnectionError):
        list(pieces)

    with sdk(ours) as client:
        until(lambda: client.chat.completions.create(model="m", messages=HELLO))
    outcomes = until(lambda: len(rows := logged(ours)) == 2 and [row["outcome"] for row in rows])
    assert outcomes == ["ok", "crashed"]


@pytest.mark.timeout(60)
@pytest.mark.slow
def test_a_killed_keeper_is_replaced_and_counts_on(gateway: Begin) -> None:
    """Kill -9 of the keeper: calls go on meanwhile, and the new keeper's counters miss none of them."""
    ours = gateway(CONFIG)
    calls = 'fairlead_calls_total{alias="m",dialect="openai_chat",outcome="ok"}'
    with sdk(ours) as client:
        client.chat.completions.create(model="m", messages=HELLO)
        until(lambda: ours.metrics()[calls] == 1)
        children(ours)["keeper"].kill()
        for _ in range(3):
            client.chat.completions.create(model="m", messages=HELLO)

    until(lambda: ours.metrics()[calls] == 4)


@pytest.mark.timeout(60)
@pytest.mark.slow
def test_children_die_with_the_supervisor(gateway: Begin) -> None:
    """Kill -9 of the supervisor: worker and keeper end by themselves, and the port is free again."""
    ours = gateway(CONFIG)
    orphans = list(children(ours).values())

    os.kill(ours.child.pid, signal.SIGKILL)

    _, alive = psutil.wait_procs(orphans, timeout=15)
    assert alive == []


@pytest.mark.timeout(60)
@pytest.mark.slow
def test_a_second_gateway_on_the_same_port_is_refused_in_one_line(gateway: Begin, start: Begin) -> None:
    """The port is held although workers share it, and the error names the setting."""
    ours = gateway(CONFIG)

    with pytest.raises(
        AssertionError, match=rf"cannot listen on 127.0.0.1:{ours.port}: .*`\[gateway\] port`"
    ) as caught:
        start("serve", "--port", str(ours.port), "--admin-port", "0", config=CONFIG)

    assert "Traceback" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_the_keeper_survives_a_spool_that_cannot_be_read(gateway: Begin) -> None:
    """It says so once, takes in what waited as soon as it can, and was never restarted."""
    ours = gateway(CONFIG)
    keeper = children(ours)["keeper"].pid
    lock = ours.folder / "fairlead.spool" / "ingest.lock"
    calls = 'fairlead_calls_total{alias="m",dialect="openai_chat",outcome="ok"}'

    lock.unlink()
    lock.mkdir()
    until(lambda: "records wait in the spool" in ours.log.read_text())
    with sdk(ours) as client:
        client.chat.completions.create(model="m", messages=HELLO)
    time.sleep(1)
    lock.rmdir()

    until(lambda: ours.metrics()[calls] == 1)
    assert children(ours)["keeper"].pid == keeper
    until(lambda: "records are stored again" in ours.log.read_text())
    said = [line for line in ours.log.read_text().splitlines() if line.startswith("fairlead[keeper]: ")]
    assert [line.partition(": ")[2][:17] for line in said] == ["records wait in t", "records are store"]


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_worker_that_hangs_is_killed_after_the_second_signal(gateway: Begin) -> None:
    """Five seconds after it, whatever `drain_s` says."""
    ours = gateway(CONFIG)
    worker = children(ours)["worker"]
    worker.suspend()

    ours.child.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    ours.child.send_signal(signal.SIGTERM)

    assert ours.child.wait(10) == 0
    assert not worker.is_running()
    assert "worker-1 does not end; killing it" in ours.log.read_text()


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("config", "told"),
    [
        ('[store]\nurl = "sqlite:///file/f.db"\nspool = "spool"\n', "the store '.*file/f.db' cannot be used"),
        pytest.param(
            '[gateway.tls]\ncert = "file:file"\nkey = "file:file"\n',
            "cannot load the TLS files",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            '[gateway.tls]\ncert = "file:none"\nkey = "file:file"\n',
            "`file:none` cannot be read",
            marks=pytest.mark.slow,
        ),
        ('[store]\nspool = "file/spool"\n', "Not a directory"),
    ],
)
def test_a_start_that_must_fail_ends_serve_in_one_line(config: str, told: str, tmp_path: Path) -> None:
    """Exit code 1, no traceback, and no second try."""
    (tmp_path / "file").touch(mode=0o600)
    (tmp_path / "fairlead.toml").write_text(config)
    done = subprocess.run(
        [FAIRLEAD, "serve", "--port", "0", "--admin-port", "0"],
        cwd=tmp_path, capture_output=True, check=False, text=True, timeout=30, env=CLEAN_ENVIRONMENT,
    )  # fmt: skip

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert re.match(f"fairlead: .*{told}", line)


@pytest.mark.timeout(60)
@pytest.mark.slow
def test_with_tls_the_control_port_speaks_it_too(gateway: Begin, tmp_path: Path) -> None:
    """With the certificate of the data port."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    (tmp_path / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    for file in ("key.pem", "cert.pem"):
        (tmp_path / file).chmod(0o600)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    ours = gateway(f'{CONFIG}\n[gateway.tls]\ncert = "file:{tmp_path}/cert.pem"\nkey = "file:{tmp_path}/key.pem"\n')

    for port in (ours.port, ours.ready["admin_port"]):
        url = f"https://127.0.0.1:{port}/health/live"
        with urllib.request.urlopen(url, context=trusting, timeout=10) as answer:
            assert answer.read() == b'{"status":"live"}'


@pytest.mark.timeout(60)
@pytest.mark.slow
def test_keys_that_cannot_be_checked_show_in_the_metrics(gateway: Begin) -> None:
    """`fairlead_degraded` of the worker says it, and calls go on."""
    ours = gateway(CONFIG)
    connection = sqlite3.connect(ours.folder / "fairlead.db", timeout=10)
    connection.execute("ALTER TABLE generation RENAME TO hidden")
    connection.close()

    until(
        lambda: [name for name in ours.metrics() if name.startswith('fairlead_degraded{feature="keys",mode="cached"')]
    )


@pytest.mark.timeout(60)
@pytest.mark.slow
def test_a_second_gateway_on_the_same_store_is_refused(gateway: Begin) -> None:
    """Two gateways on one store would each keep the budgets for themselves, so the second does not start."""
    ours = gateway(CONFIG)

    with pytest.raises(subprocess.CalledProcessError) as caught:
        ours.cli("serve", "--port", "0", "--admin-port", "0")

    assert caught.value.returncode == 1
    assert "another gateway serves from" in caught.value.stderr
