"""What a prompt can ask of the simulator."""

from __future__ import annotations

import pytest

from fairlead.providers.sim.wishes import Wishes, wishes
from fairlead.types import Chat, Message, TextPart


def of(text, role="user"):
    return wishes(Chat(model="m", messages=(Message(role=role, parts=(TextPart(text=text),)),)))


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("hello", Wishes()),
        ("sim:refuse", Wishes(refuses=True)),
        ("please sim:think, and sim:call", Wishes(thinks=True, calls=1)),
        ("sim:call=3.", Wishes(calls=3)),
        ("sim:call=999", Wishes(calls=16)),
        ("sim:call=0", Wishes()),
        ("sim:other sim:refused nosim:refuse", Wishes()),
    ],
)
def test_wishes_stand_anywhere_in_a_text(text, wish):
    """As whole words."""
    assert of(text) == wish


def test_only_a_user_wishes():
    """The result of a tool may say what it wants."""
    assert of("sim:refuse", role="tool") == Wishes()
