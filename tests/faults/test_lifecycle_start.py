"""Rows P7 to P9 of the fault list: starts that are refused in one line, and starts that work all the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from processes import CLEAN_ENVIRONMENT, FAIRLEAD, Process

OPEN = '[gateway]\nauth = "open"\n[models.m]\ntargets = ["sim/sim-small"]\n'
KEYS = OPEN.replace("open", "keys")
PUBLIC = '[gateway]\nhost = "0.0.0.0"\nauth = "{auth}"\n[store]\ncontent = "off"\n'
SECRET_FILE = '[providers.o]\nvendor = "openai"\napi_key = "file:key"\n'
FREE = ("serve", "--port", "0", "--admin-port", "0")


def refused(folder: Path, config: str, env: Mapping[str, str] | None = None, *command: str) -> str:
    """The one line with which it does not start."""
    (folder / "fairlead.toml").write_text(config)
    done = subprocess.run(
        [*command, FAIRLEAD, *FREE],
        cwd=folder, capture_output=True, text=True, timeout=30, check=False, env={**CLEAN_ENVIRONMENT, **(env or {})},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("fairlead: ")
    return line


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("variable", ["FAIRLEAD_SECRET", "FAIRLEAD_ADMIN_KEY"])
def test_p7_an_empty_secret_is_refused(variable: str, tmp_path: Path) -> None:
    """Empty is not the same as not set, where one is made."""
    line = refused(tmp_path, KEYS, {variable: " "})
    assert f"`{variable}` is set but empty" in line


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["secret", "admin.key"])
def test_p7_a_secret_that_others_can_read_is_refused(name: str, tmp_path: Path) -> None:
    """Those that Fairlead made for itself, should somebody have opened them up."""
    folder = tmp_path / "fairlead.spool"
    folder.mkdir()
    (folder / name).write_text("x" * 64)
    (folder / name).chmod(0o644)

    line = refused(tmp_path, KEYS)

    assert f"{name}' can be read by others; `chmod 600` it" in line


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_p7_a_provider_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """It names the file and the remedy."""
    (tmp_path / "key").write_text("sk-1")
    (tmp_path / "key").chmod(0o644)

    line = refused(tmp_path, SECRET_FILE)

    assert "can be read by everybody on this machine; run `chmod o-rwx" in line
    assert "sk-1" not in line


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_p7_an_open_gateway_for_everybody_is_refused(tmp_path: Path) -> None:
    """Open mode is for one machine alone."""
    assert "on loopback addresses only" in refused(tmp_path, PUBLIC.format(auth="open"))


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_p7_the_control_port_has_a_key_of_its_own_without_being_asked(start: Callable[..., Process]) -> None:
    """On all addresses too: one is made, differs everywhere, and nothing is answered without it."""
    made = set()
    for _ in range(2):
        ours = start(*FREE, config=PUBLIC.format(auth="keys"))
        url = f"http://127.0.0.1:{ours.ready['admin_port']}/metrics"
        done = subprocess.run(
            [sys.executable, "-c", f"import urllib.request as u; u.urlopen({url!r}, timeout=5)"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "HTTP Error 401" in done.stderr
        assert ours.metrics()
        made.add(ours.admin_key)
    assert {len(each) for each in made} == {64}
    assert len(made) == 2


WITHOUT_NETWORK = """
import fcntl, os, socket, struct, sys
with socket.socket() as sock:  # loopback is a network too, and starts switched off
    fcntl.ioctl(sock, 0x8914, struct.pack("16sh", b"lo", 0x41))
os.execv(sys.argv[1], sys.argv[1:])
"""
CALL = """
import json, subprocess, sys, urllib.request
child = subprocess.Popen([sys.argv[1], "serve", "--port", "0", "--admin-port", "0", "--json"], stdout=subprocess.PIPE)
port = json.loads(child.stdout.readline())["data_port"]
body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
asked = urllib.request.Request(
    f"http://127.0.0.1:{port}/v1/chat/completions", body, {"content-type": "application/json"}
)
print(urllib.request.urlopen(asked, timeout=10).status)
child.terminate()
print(child.wait(20))
"""


def _may_have_a_network_of_its_own() -> bool:
    tool = shutil.which("unshare")
    return tool is not None and not subprocess.run([tool, "-n", "true"], capture_output=True, check=False).returncode


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.skipif(not _may_have_a_network_of_its_own(), reason="network namespaces need a right that we lack")
def test_p8_without_a_network_it_starts_and_serves(tmp_path: Path) -> None:
    """Nothing is fetched at its start, nor at its end."""
    (tmp_path / "fairlead.toml").write_text(OPEN + '[providers.o]\nvendor = "openai"\napi_key = "env:KEY"\n')
    done = subprocess.run(
        ["unshare", "-n", sys.executable, "-c", WITHOUT_NETWORK, sys.executable, "-c", CALL, FAIRLEAD],
        cwd=tmp_path, capture_output=True, text=True, timeout=40, check=False, env={**CLEAN_ENVIRONMENT, "KEY": "sk-1"},
    )  # fmt: skip

    assert done.stdout.split() == ["200", "0"], done.stderr


@pytest.mark.timeout(60)
def test_p8_importing_and_building_open_no_socket(tmp_path: Path) -> None:
    """A library that is imported and configured has asked nobody."""
    program = (
        "import sys\n"
        "def audit(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.gethostbyname', 'socket.bind'):\n"
        "        print(event, arguments)\n"
        "sys.addaudithook(audit)\n"
        "import fairlead\n"
        "with fairlead.SyncClient.from_file('fairlead.toml') as llm:\n"
        "    assert llm.complete('hi', model='m').text\n"
    )
    (tmp_path / "fairlead.toml").write_text(OPEN + '[providers.o]\nvendor = "openai"\napi_key = "env:KEY"\n')
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path, capture_output=True, text=True, timeout=40, check=False, env={**CLEAN_ENVIRONMENT, "KEY": "sk-1"},
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_p9_few_descriptors_are_told_and_enough(tmp_path: Path) -> None:
    """It says how many calls fit and how to have more, and serves."""
    program = tmp_path / "few"
    program.write_text(f"#!/bin/sh\nulimit -n 256\nexec {FAIRLEAD} serve --port 0 --admin-port 0 --json\n")
    program.chmod(0o700)
    (tmp_path / "fairlead.toml").write_text(OPEN)
    child = subprocess.Popen(
        [str(program)],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=CLEAN_ENVIRONMENT,
    )  # fmt: skip
    assert child.stdout is not None
    ready = child.stdout.readline()
    child.terminate()
    _, told = child.communicate(timeout=20)

    assert '"ready"' in ready
    assert "may open 256 files here" in told
    assert "`ulimit -n`" in told
    assert child.returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_p9_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """It names the folder and what chooses another; a file system that is read-only is told the same way."""
    (tmp_path / "closed").write_text("a file, where a folder should be")
    line = refused(tmp_path, OPEN + '[store]\nurl = "sqlite:///closed/f.db"\n')
    assert "closed" in line

    # Nobody's rights end at a folder's mode for root, but do at a file system without inodes to write.
    line = refused(tmp_path, OPEN + '[store]\nurl = "sqlite:////proc/f.db"\n')
    assert "/proc/f.spool" in line
    assert "`[store] spool`" in line


READ_ONLY = "mount -t tmpfs none {folder} && cp {file} {folder} && mount -o remount,ro {folder} && cd {folder} && exec {program}"


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="mounting needs a right that we lack")
def test_p9_a_read_only_file_system_is_one_line(tmp_path: Path) -> None:
    """And with the store elsewhere it works."""
    folder, data = tmp_path / "read-only", tmp_path / "data"
    folder.mkdir()
    data.mkdir()
    file = tmp_path / "fairlead.toml"

    def run(config: str, program: str) -> subprocess.CompletedProcess[str]:
        file.write_text(config)
        script = READ_ONLY.format(folder=folder, file=file, program=program)
        return subprocess.run(
            ["unshare", "-m", "sh", "-c", script],
            capture_output=True, text=True, timeout=40, check=False, env=CLEAN_ENVIRONMENT,
        )  # fmt: skip

    done = run(OPEN, f"{FAIRLEAD} {' '.join(FREE)}")
    if "mount:" in done.stderr:
        pytest.skip("mounting needs a right that we lack")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("fairlead: ")
    assert "Read-only file system" in line

    (tmp_path / "call.py").write_text(CALL)
    kept = f'[store]\nurl = "sqlite:///{data}/f.db"\n'
    done = run(OPEN + kept, f"{sys.executable} {tmp_path / 'call.py'} {FAIRLEAD}")
    assert done.stdout.split() == ["200", "0"], done.stderr
