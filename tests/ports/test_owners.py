"""The contract of whoever knows whose the answers are that providers keep."""

from __future__ import annotations

import msgspec

from fairlead.ports import Kept, Owners

KEPT = Kept(provider="openai", credential="2", model="gpt-x", at_ns=5)
HOSTILE = "x'; DROP TABLE answers; -- %_\\ \" \u0000 \u202e"


async def test_what_was_noted_is_found(owners: Owners) -> None:
    """Whole, and nothing else is."""
    await owners.remember("team:a", "resp_1", KEPT)
    assert await owners.find("team:a", "resp_1") == KEPT
    assert await owners.find("team:a", "resp_2") is None


async def test_nobody_finds_what_is_anothers(owners: Owners) -> None:
    """Also where both have one of the same id."""
    other = msgspec.structs.replace(KEPT, provider="local")
    await owners.remember("team:a", "resp_1", KEPT)
    assert await owners.find("team:b", "resp_1") is None
    await owners.remember("team:b", "resp_1", other)
    assert await owners.find("team:a", "resp_1") == KEPT
    assert await owners.find("team:b", "resp_1") == other


async def test_the_last_word_counts(owners: Owners) -> None:
    """An answer lies in one place."""
    moved = msgspec.structs.replace(KEPT, credential="3")
    await owners.remember("team:a", "resp_1", KEPT)
    await owners.remember("team:a", "resp_1", moved)
    assert await owners.find("team:a", "resp_1") == moved


async def test_any_text_is_an_id(owners: Owners) -> None:
    """However hostile: callers make them up."""
    assert await owners.find("team:a", HOSTILE) is None
    await owners.remember(HOSTILE, HOSTILE, KEPT)
    assert await owners.find(HOSTILE, HOSTILE) == KEPT
