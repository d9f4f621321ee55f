"""Fixtures for pytest: put `pytest_plugins = ["fairlead.testing.plugin"]` into the top `conftest.py`.

Needs pytest and pytest-asyncio, which Fairlead itself does not install.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from fairlead.testing.canary import Canary
from fairlead.testing.clock import SeededRng, VirtualClock
from fairlead.testing.upstream import FakeUpstream


@pytest.fixture
def virtual_clock() -> VirtualClock:
    """A clock that jumps to the next timer whenever the test's loop is idle."""
    return VirtualClock()


@pytest_asyncio.fixture
async def fake_upstream() -> AsyncIterator[FakeUpstream]:
    """A provider on a free port that speaks OpenAI chat; script it with `fake_upstream.then(...)`."""
    async with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
def canary(request: pytest.FixtureRequest) -> Iterator[Canary]:
    """Secrets that must not come out: every log record is watched, and the test fails at its end if one holds any."""
    planted = Canary(SeededRng(request.node.nodeid))
    with planted.logs():
        yield planted
    if planted.labels:
        planted.assert_absent()
