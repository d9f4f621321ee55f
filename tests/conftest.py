"""What all tests share."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import hypothesis
import pytest
from blockbuster import blockbuster_ctx

# How long an example takes, or the first one that needs a table of all characters, says how busy the machine is.
hypothesis.settings.register_profile("house", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("house")

pytest_plugins = ["fairlead.testing.plugin", "in_process", "processes", "loads", "redis_server"]

MEANT = {
    # A record is on disk before the answer leaves: one write a tick is what that promise costs.
    "stores/spool.py": {"flush", "close", "depth_bytes"},
    # At start nothing is served yet that could be held up.
    "stores/sqlite.py": {"migrate"},
    "config/build.py": {"lay_foundation", "build"},
    "config/load.py": {"load"},
    "config/kept.py": {"kept_secret"},
    # Making a client looks up the working folder; the first call reads its configuration.
    "client.py": {"__init__", "_runtime"},
    # The client without `await` waits by design, beside a running loop too.
    "sync.py": {"run", "close", "__next__"},
    # Tables of the package, read when something is built.
    "providers/facts.py": {"load"},
    "providers/prices.py": {"load"},
}
"""Source file to the functions in which blocking is meant, with everything that they call."""
NOT_ASKED = [
    "fairlead.testing",
    # A command that runs alone in its process holds nobody up; what it calls elsewhere in the package is looked at.
    "fairlead.cli",
    # Made for threads, and called by tests directly; a call from elsewhere in the package is looked at.
    "fairlead.stores.segments",
]
"""Modules that may block by themselves."""


def pytest_collection_finish() -> None:
    """Thousands of tests are half a million objects: a look at all of them would take longer than a store may."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def blocking() -> Iterator[None]:
    """A call of the package that blocks the running event loop fails the test."""
    with blockbuster_ctx("fairlead", excluded_modules=NOT_ASKED) as found:
        for function in found.functions.values():
            for file, names in MEANT.items():
                function.can_block_in(f"fairlead/{file}", names)
        yield
