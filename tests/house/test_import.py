"""What importing the package does: next to nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

WATCHED = """
import collections.abc, json, os, sys
opened, called, read = [], [], []

def audit(event, args):
    if event == "open" and isinstance(args[0], str):
        opened.append(args[0])
    elif event.startswith(("socket.", "subprocess.", "os.system", "urllib.", "http.", "os.exec", "os.fork", "os.posix_spawn")):
        called.append(event)

class Environ(collections.abc.MutableMapping):
    def __init__(self, inner): self.inner = inner
    def __getitem__(self, key):
        frame = sys._getframe(1)
        while frame is not None and frame.f_globals.get("__name__") in ("os", "collections.abc", "_collections_abc"):
            frame = frame.f_back
        module = "" if frame is None else frame.f_globals.get("__name__", "")
        if module.split(".")[0] == "fairlead":
            read.append([module, key])
        return self.inner[key]
    def __setitem__(self, key, value): self.inner[key] = value
    def __delitem__(self, key): del self.inner[key]
    def __iter__(self): return iter(self.inner)
    def __len__(self): return len(self.inner)
    def copy(self): return dict(self)

os.environ = Environ(os.environ)
sys.addaudithook(audit)
IMPORTS
print(json.dumps({"opened": opened, "called": called, "read": read, "path": [*sys.path, sys.prefix, sys.base_prefix]}))
"""


def watch(imports: str) -> dict[str, list[str]]:
    """What a new process does while it imports."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED.replace("IMPORTS", imports)],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def library() -> dict[str, list[str]]:
    """An import of all that the library needs."""
    return watch("import fairlead\nfor name in fairlead.__all__: getattr(fairlead, name)")


def test_no_network_and_no_process(library):
    """Nothing is connected, looked up or started."""
    assert library["called"] == []


def test_only_installed_files_are_opened(library):
    """No file is opened but modules and the data beside them; nothing of the system, nothing of the user."""
    installed = tuple(path for path in library["path"] if path)
    assert [path for path in library["opened"] if not path.startswith(installed)] == []


def test_the_environment_is_not_read(library):
    """Configuration is read when it is asked for."""
    assert library["read"] == []


def test_no_module_works_at_import():
    """The same holds for every module of the package, faces included, but for the pytest plugin."""
    seen = watch(
        "import importlib, pkgutil, fairlead\n"
        "for module in pkgutil.walk_packages(fairlead.__path__, 'fairlead.'):\n"
        "    if module.name != 'fairlead.testing.plugin': importlib.import_module(module.name)"
    )
    assert seen["called"] == []
    assert seen["read"] == []


def test_import_takes_at_most_150_ms():
    """`import fairlead` costs little more than a bare interpreter; best of several, as machines are busy."""
    bare = min(_seconds("pass") for _ in range(5))
    assert min(_seconds("import fairlead") for _ in range(5)) - bare <= 0.150


def _seconds(code: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)
    return time.perf_counter() - started
