"""fetch: what a provider keeps, asked for where it lies."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fairlead.call import OK, Call, Secret
from fairlead.dialects.openai_responses import OPENAI_RESPONSES
from fairlead.errors import NotFound, StateUnavailable, UpstreamUnavailable
from fairlead.pipeline import Reply
from fairlead.ports import Kept
from fairlead.stages.fetch import Fetch
from fairlead.testing import FakeOwners, LoopClock, virtual_run
from fairlead.types import Principal

ANN = Principal(user="ann")
KEPT = Kept(provider="openai", credential="2", model="gpt-x", at_ns=7)
PLACES = {"openai": ("1", "2"), "local": ("default",)}


class House:
    """The stage, and a provider behind it."""

    def __init__(self, owners: FakeOwners | None = None) -> None:
        self.owners = FakeOwners() if owners is None else owners
        self.stage = Fetch(self.owners, LoopClock(), PLACES)
        self.calls: list[Call] = []
        self.error: Exception | None = None

    async def ask(self, who: Principal = ANN, credential: Secret | None = None) -> Reply:
        assert OPENAI_RESPONSES.kept is not None
        request = OPENAI_RESPONSES.kept("GET", "resp_1", "")
        request.credential = credential
        self.calls.append(Call("id", request.dialect, request, started_ns=0, started_at_ns=7, principal=who))
        return await self.stage(self.calls[-1], self._answer)

    async def _answer(self, call: Call) -> Reply:
        if self.error is not None:
            raise self.error
        return Reply(200, b"{}")


async def test_an_answer_is_asked_for_where_it_lies() -> None:
    """One attempt, at the credential that keeps it; it costs nothing and is closed at its end."""
    house = House()
    await house.owners.remember("user:ann", "resp_1", KEPT)
    reply = await house.ask()
    (attempt,) = house.calls[0].attempts
    assert (attempt.candidate.target, attempt.candidate.credential) == ("openai/gpt-x", "2")
    assert (attempt.cost_nanousd, attempt.ended_ns) == (0, None)
    assert house.calls[0].request.model == "gpt-x"
    reply.end(OK)
    assert attempt.ended_ns is not None


async def test_a_providers_error_closes_the_attempt() -> None:
    """And is raised as it is."""
    house = House()
    await house.owners.remember("user:ann", "resp_1", KEPT)
    for error in (UpstreamUnavailable("busy"), ValueError("ours")):
        house.error = error
        with pytest.raises(type(error)):
            await house.ask()
        (attempt,) = house.calls[-1].attempts
        assert attempt.ended_ns is not None
        assert attempt.error is (error if isinstance(error, UpstreamUnavailable) else None)


@pytest.mark.parametrize(
    ("tenant", "kept"),
    [
        ("user:bob", KEPT),
        ("user:ann", Kept(provider="gone", credential="1", model="m", at_ns=7)),
        ("user:ann", Kept(provider="openai", credential="3", model="m", at_ns=7)),
    ],
)
async def test_what_is_anothers_or_gone_is_not_there(tenant: str, kept: Kept) -> None:
    """Nobody is asked."""
    house = House()
    await house.owners.remember(tenant, "resp_1", kept)
    with pytest.raises(NotFound) as caught:
        await house.ask()
    assert caught.value.param == "response_id"
    assert house.calls[0].attempts == []


async def test_with_the_callers_own_credential_the_first_provider_tells() -> None:
    """Nothing is looked up."""
    house = House()
    house.owners.down = True
    await house.ask(credential=Secret("sk-theirs"))
    assert house.calls[0].attempt.candidate.provider == "openai"
    none = Fetch(house.owners, LoopClock(), {})
    with pytest.raises(NotFound):
        await none(house.calls[0], house._answer)


class Stuck(FakeOwners):
    """Never answers."""

    async def find(self, tenant: str, answer_id: str) -> Any:
        await asyncio.get_running_loop().create_future()


def test_nobody_waits_long_for_the_store() -> None:
    """A look-up fails in time."""

    async def run() -> None:
        with pytest.raises(StateUnavailable):
            await House(Stuck()).ask()

    virtual_run(run())
