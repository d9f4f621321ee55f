"""A stage of somebody else's and the time that calls may take."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fairlead.call import Call
from fairlead.config.build import build, lay_foundation
from fairlead.config.load import load_text
from fairlead.dialects import OPENAI_CHAT
from fairlead.errors import DeadlineExceeded
from fairlead.pipeline import Next, Reply
from fairlead.testing import VirtualClock
from virtual import virtual

CONFIG = """
[gateway]
auth = "open"
[models.slow]
targets = ["sim/sim-small"]
timeouts = { total = 1800 }
"""


async def hanging(call: Call, following: Next) -> Reply:
    await asyncio.get_running_loop().create_future()
    raise AssertionError


@virtual
async def test_a_stage_is_cut_no_earlier_than_the_longest_call_that_is_configured(
    clock: VirtualClock, tmp_path: Path
) -> None:
    """Where the caller sets no deadline: a model that may think for half an hour may do so behind such a stage, too."""
    foundation = lay_foundation(load_text(CONFIG), root=tmp_path, environ={}, name="test", clock=clock)
    runtime = build(foundation, auth="open", stages={"screen": hanging})
    body = b'{"model":"slow","messages":[{"role":"user","content":"Hello"}]}'
    began_ns = clock.monotonic_ns()
    with pytest.raises(DeadlineExceeded, match="'screen'"):
        await runtime.pipeline(runtime.new_call(OPENAI_CHAT.request.read(body), body=body))
    assert (clock.monotonic_ns() - began_ns) / 1e9 == pytest.approx(1_810)
    await runtime.aclose()
    await foundation.aclose()
