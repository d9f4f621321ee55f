"""The composition root: the order of the stages, and how a new one gets in."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.call import OK, Call
from fairlead.config.build import ORDER, assemble, build, lay_foundation
from fairlead.config.load import load_text
from fairlead.dialects.openai_chat import OPENAI_CHAT
from fairlead.pipeline import Next, Reply

CONFIG = '[gateway]\nauth = "open"\n[models.m]\ntargets = ["sim/sim-small"]\n'
BODY = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'


LATER = ("screen", "fit", "cache", "validate", "retry", "pace")


@pytest.mark.parametrize("name", LATER)
async def test_a_stage_can_be_inserted_at_any_place_without_another_file_changing(name: str, tmp_path: Path) -> None:
    """A stage handed to `build` under a name of the order runs at its place, on the real pipeline."""
    seen: list[tuple[str, int, bool]] = []

    async def mine(call: Call, following: Next) -> Reply:
        seen.append((call.alias, len(call.attempts), bool(call.candidates)))
        reply = await following(call)
        reply.headers["x-inserted"] = name
        return reply

    foundation = lay_foundation(load_text(CONFIG), root=tmp_path, environ={}, name="test")
    runtime = build(foundation, auth="open", stages={name: mine})
    try:
        reply = await runtime.pipeline(runtime.new_call(OPENAI_CHAT.request.read(BODY), body=BODY))
        reply.end(OK)
    finally:
        await runtime.aclose()
        await foundation.aclose()

    below_resolve = ORDER.index(name) > ORDER.index("resolve")
    below_route = ORDER.index(name) > ORDER.index("route")
    assert reply.headers["x-inserted"] == name
    assert seen == [("m" if below_resolve else "", int(below_route), below_resolve)]


def test_a_stage_without_a_place_is_refused() -> None:
    """A name that is not in the order is a mistake of the programmer, told at once."""

    async def last(call: Call) -> Reply:
        return Reply(200, b"")

    with pytest.raises(ValueError, match="no place in the order"):
        assemble({"surprise": lambda call, following: following(call)}, last)


TWO_NAMES = """
[gateway]
auth = "open"
[models.careful]
targets = ["sim/sim-small"]
breaker = { consecutive = 2 }
[models.plain]
targets = ["sim/sim-small", "sim/sim-large"]
[models."*"]
targets = ["sim/*"]
"""


async def test_a_target_has_one_breaker_whatever_name_it_is_called_by(tmp_path: Path) -> None:
    """A second model with the same target, and a name under `"*"`, share it instead of taking it away."""
    foundation = lay_foundation(load_text(TWO_NAMES), root=tmp_path, environ={}, name="test")
    try:
        catalogue = foundation.catalogue
        (careful,) = catalogue.aliases["careful"]
        small, large = catalogue.aliases["plain"]
        (wild,) = catalogue.expand("sim-small")
        assert careful.lane is small.lane is wild.lane
        assert careful.lane.policy is not None
        assert careful.lane.policy.consecutive == 2
        assert large.lane.policy is None
    finally:
        await foundation.aclose()
