"""own: whose an answer is that a provider keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from fairlead.call import OK, Call, Candidate, Secret
from fairlead.core.lane import Lane
from fairlead.dialects.openai_responses import OPENAI_RESPONSES
from fairlead.errors import Cancelled, NotFound, StateUnavailable
from fairlead.pipeline import Reply
from fairlead.ports import Kept
from fairlead.stages.own import Own
from fairlead.testing import FakeOwners, LoopClock, virtual_run
from fairlead.types import Principal

ANN = Principal(user="ann")
BOB = Principal(user="bob")


def candidate(credential: str = "1", provider: str = "openai") -> Candidate:
    return Candidate(provider=provider, model="gpt-x", credential=credential, lane=Lane())


class House:
    """The stage, and a provider behind it that keeps its answers."""

    def __init__(self, *, owners: FakeOwners | None = None) -> None:
        self.owners = FakeOwners() if owners is None else owners
        self.stage = Own(self.owners, LoopClock())
        self.candidates = (candidate("1"), candidate("2"), candidate("1", "local"))
        self.asked: list[tuple[str, str]] = []
        self.ended: list[Any] = []
        self.kept_as: str | None = "resp_1"
        self.answers_with = 1
        """Which of the candidates of a new conversation answers."""

    async def ask(self, who: Principal = ANN, credential: Secret | None = None, **fields: Any) -> Reply:
        body = msgspec.json.encode({"model": "m", "input": "hi", **fields})
        request = OPENAI_RESPONSES.request.read(body)
        request.credential = credential
        call = Call("id", request.dialect, request, started_ns=0, started_at_ns=7, principal=who)
        call.candidates = self.candidates
        return await self.stage(call, self._answer)

    async def _answer(self, call: Call) -> Reply:
        chosen = call.candidates[min(self.answers_with, len(call.candidates) - 1)]
        self.asked += [(each.provider, each.credential) for each in call.candidates]
        call.open_attempt(chosen, 0)
        call.attempt.kept_as = self.kept_as
        reply = Reply(200, b"{}")
        reply.on_end.append(self.ended.append)
        return reply


async def test_an_answer_is_gone_on_from_where_it_lies() -> None:
    """Of all candidates only the credential is asked that made it."""
    house = House()
    await house.ask()
    assert house.owners.kept == {
        ("user:ann", "resp_1"): Kept(provider="openai", credential="2", model="gpt-x", at_ns=7)
    }
    house.asked.clear()
    await house.ask(previous_response_id="resp_1")
    assert house.asked == [("openai", "2")]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"previous_response_id": "x" * 5_000}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
    ],
)
async def test_what_is_not_the_callers_own_is_not_there(fields: Mapping[str, Any], param: str) -> None:
    """Whether another has it or nobody: the error is the same, and nobody is asked."""
    house = House()
    await house.ask(BOB)
    house.asked.clear()
    with pytest.raises(NotFound) as caught:
        await house.ask(ANN, **fields)
    assert (caught.value.param, caught.value.status) == (param, 404)
    assert len(caught.value.message) < 500
    assert house.asked == []


async def test_an_id_counts_with_all_its_characters() -> None:
    """One that only begins like an id of one's own is another."""
    house = House()
    house.kept_as = "r" * 201
    await house.ask(ANN)
    await house.ask(ANN, previous_response_id=house.kept_as)
    with pytest.raises(NotFound):
        await house.ask(ANN, previous_response_id=house.kept_as + "x")


async def test_one_team_goes_on_together() -> None:
    """The wall stands between tenants, not between their keys."""
    house = House()
    await house.ask(Principal(key_id="k1", team="rd"))
    await house.ask(Principal(key_id="k2", team="rd"), previous_response_id="resp_1")
    with pytest.raises(NotFound):
        await house.ask(Principal(key_id="k1"), previous_response_id="resp_1")


async def test_an_answer_whose_credential_is_gone_is_not_there() -> None:
    """The model leads elsewhere by now."""
    house = House()
    await house.ask()
    house.candidates = (candidate("3"),)
    with pytest.raises(NotFound, match="does not lead") as caught:
        await house.ask(previous_response_id="resp_1")
    assert caught.value.param == "previous_response_id"


async def test_what_no_provider_keeps_is_not_noted() -> None:
    """An answer without an id, or of a call that wants it to be forgotten."""
    house = House()
    house.kept_as = None
    await house.ask()
    assert house.owners.kept == {}


async def test_with_the_callers_own_credential_the_provider_itself_tells() -> None:
    """Nothing is looked up and nothing noted."""
    house = House()
    await house.ask(credential=Secret("sk-theirs"), previous_response_id="resp_9")
    assert len(house.asked) == 3
    assert house.owners.kept == {}


async def test_a_store_that_is_down_lets_nobody_go_on() -> None:
    """It cannot be known whose the answer is; a new conversation is answered all the same."""
    house = House()
    await house.ask()
    house.owners.down = True
    house.asked.clear()
    with pytest.raises(StateUnavailable):
        await house.ask(previous_response_id="resp_1")
    assert house.asked == []
    house.kept_as = "resp_2"
    reply = await house.ask()
    assert reply.status == 200
    assert list(house.owners.kept) == [("user:ann", "resp_1")]


async def test_a_reply_without_an_attempt_is_handed_up() -> None:
    """Such as the operator's own text."""
    house = House()

    async def static(call: Call) -> Reply:
        return Reply(200, b"busy")

    request = OPENAI_RESPONSES.request.read(b'{"model":"m","input":"x"}')
    reply = await house.stage(Call("id", request.dialect, request, started_ns=0, started_at_ns=0), static)
    assert reply.source == b"busy"


class Stuck(FakeOwners):
    """Never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()

    async def remember(self, tenant: str, answer_id: str, kept: Kept) -> None:
        self.begun.set()
        await asyncio.get_running_loop().create_future()

    async def find(self, tenant: str, answer_id: str) -> Kept | None:
        await asyncio.get_running_loop().create_future()
        return None


def test_nobody_waits_long_for_the_store() -> None:
    """A look-up fails in time; an answer is handed up without a note."""

    async def run() -> None:
        house = House(owners=Stuck())
        with pytest.raises(StateUnavailable):
            await house.ask(previous_response_id="resp_1")
        reply = await house.ask()
        reply.end(OK)

    virtual_run(run())


async def test_a_caller_who_leaves_meanwhile_leaves_nothing_open() -> None:
    """The reply that was there already is ended."""
    stuck = Stuck()
    house = House(owners=stuck)
    task = asyncio.get_running_loop().create_task(house.ask())
    await stuck.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (outcome,) = house.ended
    assert (outcome.kind, type(outcome.error)) == ("cancelled", Cancelled)
