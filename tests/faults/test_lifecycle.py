"""Rows P of the fault list, on real processes: reloads, restarts and workers that die."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from loads import Load, Program, settled, until
from processes import CLEAN_ENVIRONMENT, FAIRLEAD, Process

CONFIG = """
[gateway]
auth = "open"
workers = {workers}
drain_s = 20
[providers.sim]
vendor = "sim"
base_url = "http://127.0.0.1:{port}/v1"
[models.chat]
targets = ["sim/sim-small"]
[models.other]
targets = ["sim/sim-small"]
"""
Serve = Callable[..., Process]


def workers_of(gateway: Process) -> list[psutil.Process]:
    """The workers that run."""
    found = psutil.Process(gateway.child.pid).children()
    return [each for each in found if "fairlead.gateway.worker" in each.cmdline()]


def goes_on(calls: Program, more: int = 60) -> None:
    """Wait until so many further calls were answered."""
    wanted = calls.ask("status")["answered"] + more
    until(lambda: calls.ask("status")["answered"] >= wanted, 20, "more answers")


def says(gateway: Process, text: str, times: int = 1) -> None:
    """Wait until the gateway has said it so often."""
    until(lambda: gateway.log.read_text().count(text) >= times, 20, f"{text!r} in the log")


@pytest.fixture
def served(serve: Serve, sim: Callable[..., Process], load: Load) -> Callable[..., tuple[Process, Program]]:
    """A gateway on a simulator, and a caller who goes on."""

    def begin(workers: int = 1) -> tuple[Process, Program]:
        provider = sim("--latency", "0.02", "--any-model")
        ours = serve(CONFIG.format(workers=workers, port=provider.port))
        calls = load("calls", "--port", ours.port, "--lanes", 8, "--rate", 60, "--streamed", 0.3, "--model", "chat")
        goes_on(calls)
        return ours, calls

    return begin


Served = Callable[..., tuple[Process, Program]]


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_p2_a_killed_worker_costs_only_the_calls_that_it_had(served: Served) -> None:
    """The others go on, it is started again, and its records are taken in: nothing stays open."""
    ours, calls = served(workers=3)
    victim = workers_of(ours)[0]
    victim.kill()
    until(lambda: len(workers_of(ours)) == 3 and not victim.is_running(), 20, "a new worker")
    goes_on(calls)
    ended = calls.ask("stop")
    assert sum(ended["failed"].values()) <= 8  # one connection a lane, at most
    assert {row["outcome"] for row in settled(ours).values()} <= {"ok", "crashed", "cancelled"}


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("added", "named"),
    [
        ("\n[gateway]\nport = 1\n", "fairlead.toml"),  # a table that stands twice is not TOML
        ("\nzzz = 1\n", "`models.other.zzz` is not a setting"),
        ('\n[providers.second]\nvendor = "openai"\napi_key = "env:NOT_THERE"\n', "NOT_THERE"),
    ],
    ids=["not TOML", "unknown key", "missing secret"],
)
def test_p3_a_bad_file_changes_nothing(served: Served, added: str, named: str) -> None:
    """Calls go on, the log names the file and line, the gauge says so, `check` fails; a good file ends it."""
    ours, calls = served()
    file = ours.folder / "fairlead.toml"
    good = file.read_text()
    file.write_text(good + added)
    says(ours, "the configuration stays as it was")
    assert named in ours.log.read_text()
    assert "fairlead.toml:" in ours.log.read_text()
    until(lambda: max(_failed_gauges(ours), default=0) == 1, 10, "the gauge")
    assert _check(ours.folder) != 0
    goes_on(calls)

    file.write_text(good)
    says(ours, "the configuration was read again")
    until(lambda: max(_failed_gauges(ours), default=1) == 0, 10, "the gauge")
    assert calls.ask("stop")["failed"] == {}


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_p4_p5_a_reload_lets_calls_end_and_new_ones_see_it(served: Served) -> None:
    """Under load no call fails; a model that is gone is a 404 within a second or so."""
    ours, calls = served(workers=2)
    file = ours.folder / "fairlead.toml"
    file.write_text(file.read_text().replace("[models.other]", "[models.another]"))
    says(ours, "the configuration was read again")
    until(lambda: {"another", "chat"} == _models(ours), 5, "the new models")
    goes_on(calls)
    assert calls.ask("stop")["failed"] == {}


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_p6_a_hundred_hangups_are_a_few_reloads(served: Served) -> None:
    """They are coalesced, and calls go on."""
    ours, calls = served()
    for _ in range(100):
        ours.child.send_signal(signal.SIGHUP)
    says(ours, "the configuration was read again")
    goes_on(calls)
    assert ours.log.read_text().count("the configuration was read again") <= 20
    assert calls.ask("stop")["failed"] == {}


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_a_restart_under_load_fails_no_call(served: Served) -> None:
    """SIGUSR2 brings up fresh processes; callers on kept connections are told to come anew and never meet a closed one."""
    ours, calls = served(workers=2)
    for number in (1, 2):
        before = {each.pid for each in workers_of(ours)}
        ours.child.send_signal(signal.SIGUSR2)
        says(ours, "fresh workers serve", number)
        until(lambda: not before & {each.pid for each in workers_of(ours)}, 30, "only fresh workers")  # noqa: B023
        goes_on(calls)
    assert calls.ask("stop")["failed"] == {}


def test_p9_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    """It names the port and what to do, without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [FAIRLEAD, "serve", "--port", str(port), "--admin-port", "0"],
            cwd=tmp_path, capture_output=True, text=True, timeout=20, check=False, env=CLEAN_ENVIRONMENT,
        )  # fmt: skip
    assert done.returncode != 0
    assert str(port) in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "environment",
    [{"TZ": "No/Where"}, {"LC_ALL": "xx_YY.UTF-8"}, {"PYTHONOPTIMIZE": "2"}, {"PYTHONHASHSEED": "1", "LANG": "C"}],
    ids="-".join,
)
def test_p9_odd_environments_change_nothing(
    environment: dict[str, str], start: Callable[..., Process], sim: Callable[..., Process]
) -> None:
    """A time zone or locale that does not exist, and Python without assertions."""
    provider = sim()
    ours = start(
        "serve", "--port", "0", "--admin-port", "0",
        config=CONFIG.format(workers=1, port=provider.port), env=environment,
    )  # fmt: skip
    assert _models(ours) == {"chat", "other"}
    assert ours.stop() == 0


def _models(gateway: Process) -> set[str]:
    return {each["id"] for each in gateway.get("/v1/models")["data"]}


def _failed_gauges(gateway: Process) -> list[float]:
    return [value for name, value in gateway.metrics().items() if name.startswith("fairlead_config_reload_failed")]


def _check(folder: Path) -> int:
    command = [FAIRLEAD, "check"]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False, env=CLEAN_ENVIRONMENT).returncode
