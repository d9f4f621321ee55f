"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx

pytest_plugins = ["fairlead.testing.plugin", "in_process", "processes"]

DELIBERATE = (
    # A record is on disk before the answer leaves: one write a tick is what that promise costs.
    ("fairlead/stores/spool.py", {"flush", "close", "_check_room", "_writable"}),
    # At start and at the end of a process nothing is served that could be held up.
    ("fairlead/config/build.py", {"lay_foundation", "build"}),
    ("fairlead/config/load.py", {"load"}),
    # Tables of the package, read when something is built.
    ("fairlead/providers/facts.py", {"load"}),
    ("fairlead/providers/prices.py", {"load"}),
)
"""Source file to the functions in which blocking is meant, with everything that they call."""


@pytest.fixture(autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    """A blocking call of the package inside an event loop fails the test."""
    with blockbuster_ctx("fairlead", excluded_modules=["fairlead.testing"]) as blocking:
        for function in blocking.functions.values():
            for file, names in DELIBERATE:
                function.can_block_in(file, names)
        yield blocking
