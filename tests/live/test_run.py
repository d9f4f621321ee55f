"""The runner, against vendors of our own on loopback."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from live.caller import Caller
from live.features import FEATURES, Feature
from live.run import Planned, asked_in, plan
from live.wallet import Wallet

from fairlead.dialects import dialect
from fairlead.providers.sim.server import handler
from fairlead.providers.sim.settings import SimSettings
from fairlead.providers.sim.simulator import Simulator
from fairlead.stores.system import SystemClock
from fairlead.testing import FakeUpstream, answers
from fairlead.types import Chat
from fairlead.wire import Server
from live_vendor import able, saying, subject, trying


@pytest.mark.parametrize(("vendor", "spoken"), [("openai", "openai_chat"), ("anthropic", "anthropic")])
async def test_a_vendor_that_can_do_everything_passes(vendor: str, spoken: str, tmp_path: Path) -> None:
    """Each feature of its dialect passes, at a cost that is known."""
    async with FakeUpstream(default=able(spoken)) as upstream:
        tried = await trying([subject(vendor, upstream)], tmp_path)

    ours = [each for each in tried.results if each.dialect == spoken and each.status != "skipped"]
    assert {each.feature: each.why for each in ours if each.status != "passed"} == {}
    assert len(ours) >= 12
    assert all(each.calls > 0 for each in ours)
    assert tried.wallet.spent_nanousd == sum(each.cost_nanousd or 0 for each in ours) > 0


async def test_one_vendor_after_the_other(tmp_path: Path) -> None:
    """Several vendors are tried in one run, each with its own key."""
    async with FakeUpstream(default=able("openai_chat")) as first, FakeUpstream(default=able("anthropic")) as second:
        both = [subject("openai", first), subject("anthropic", second)]
        tried = await trying(both, tmp_path, "plain")

        assert first.requests[0].headers["authorization"] == "Bearer sk-proj-openai-0123456789abcdef"
        assert second.requests[0].headers["x-api-key"] == "sk-ant-api03-0123456789abcdef"

    assert tried.statuses == {"openai openai_chat plain": "passed", "anthropic anthropic plain": "passed"}


async def test_the_simulator_answers_and_obeys_nobody(tmp_path: Path) -> None:
    """What goes by form passes with it; what shows only in the words of a model fails, and says what they were."""
    clock = SystemClock()
    server = Server(handler(Simulator(SimSettings(any_model=True), clock), clock))
    await server.start("127.0.0.1", 0)
    upstream = FakeUpstream()
    upstream.port = server.port
    try:
        tried = await trying([subject("openai", upstream)], tmp_path, "plain", "usage", "limit", "image")
    finally:
        await server.drain(1.0)

    assert tried.statuses["openai openai_chat usage"] == tried.statuses["openai openai_chat limit"] == "passed"
    assert tried.statuses["openai openai_chat plain"] == tried.statuses["openai openai_chat image"] == "failed"
    assert "asked for pong" in tried.why("plain")


async def test_a_wrong_answer_fails_its_feature_alone(tmp_path: Path) -> None:
    """The features after it are tried all the same."""
    async with FakeUpstream([saying("ping")], default=able("openai_chat")) as upstream:
        tried = await trying([subject("openai", upstream)], tmp_path, "plain", "system")

    assert tried.why("plain") == "asked for pong, it says 'ping'"
    assert list(tried.statuses.values()) == ["failed", "passed"]


async def test_an_error_fails_with_its_code(tmp_path: Path) -> None:
    """A provider's error answer fails the feature, and is named."""
    async with FakeUpstream([answers.status(500)], default=able("openai_chat")) as upstream:
        tried = await trying([subject("openai", upstream)], tmp_path, "plain", "system")

    assert tried.why("plain").startswith("upstream_unavailable: ")
    assert list(tried.statuses.values()) == ["failed", "passed"]


async def test_an_answer_that_breaks_off_counts_as_its_worst_case(tmp_path: Path) -> None:
    """Nobody says what it cost, and the provider may bill it."""
    async with FakeUpstream([able_cut()], default=able("openai_chat")) as upstream:
        tried = await trying([subject("openai", upstream)], tmp_path, "plain")

    [result] = tried.results
    assert (result.status, result.cost_nanousd) == ("failed", None)
    assert tried.wallet.spent_nanousd > 0


async def test_a_provider_that_is_down_is_asked_once(tmp_path: Path) -> None:
    """The first feature fails, the others say why they were not tried, and the next vendor is."""
    async with FakeUpstream() as down, FakeUpstream(default=able("anthropic")) as up:
        both = [subject("openai", down), subject("anthropic", up)]
        await down.stop()
        tried = await trying(both, tmp_path, "plain", "system")

    assert list(tried.statuses.values()) == ["failed", "skipped", "passed", "passed"]
    assert tried.why("system").startswith("not tried, as 'plain' found: ")


async def test_a_key_that_is_refused_is_used_once(tmp_path: Path) -> None:
    """There is no use in asking on with it."""
    async with FakeUpstream(default=answers.status(401)) as upstream:
        tried = await trying([subject("openai", upstream)], tmp_path, "plain", "system")

        assert len(upstream.requests) == 1

    assert list(tried.statuses.values()) == ["failed", "skipped"]


async def test_what_does_not_fit_under_the_cap_is_not_sent(tmp_path: Path) -> None:
    """The worst case of a call is held against what is left of the cap before anything goes out."""
    async with FakeUpstream(default=able("openai_chat")) as upstream:
        tried = await trying([subject("openai", upstream)], tmp_path, "plain", "system", cap_nanousd=1_000)

        assert upstream.requests == []

    assert set(tried.statuses.values()) == {"capped"}
    assert "and 0.000001 USD are left" in tried.why("plain")


async def test_the_budget_of_the_key_holds_by_itself(tmp_path: Path) -> None:
    """Where the runner's own count is wrong, Fairlead's budget still refuses the call."""
    async with FakeUpstream(default=able("openai_chat")) as upstream:
        wrong = Wallet(1_000_000_000)
        tried = await trying([subject("openai", upstream)], tmp_path, "plain", cap_nanousd=1_000, wallet=wrong)

        assert upstream.requests == []

    assert set(tried.statuses.values()) == {"capped"}
    assert "budget" in tried.why("plain")


async def test_money_that_runs_out_on_the_way_stops_the_rest(tmp_path: Path) -> None:
    """What was tried before keeps its result."""
    async with FakeUpstream(default=able("openai_chat")) as upstream:
        tried = await trying([subject("openai", upstream)], tmp_path, "plain", "image", cap_nanousd=300_000)

    assert list(tried.statuses.values()) == ["passed", "capped"]


async def test_what_a_model_lacks_is_not_tried(tmp_path: Path) -> None:
    """A feature that the table takes out is skipped, and costs nothing."""
    async with FakeUpstream(default=able("openai_chat")) as upstream:
        tried = await trying([subject("openai", upstream, lacks=("image",))], tmp_path, "image")

        assert upstream.requests == []

    assert tried.why("image") == "the model does not offer it"


async def test_a_count_that_is_none_fails(tmp_path: Path) -> None:
    """A vendor that answers with something else is told of."""
    async with FakeUpstream(default=answers.json({"id": "answer-1"})) as upstream:
        tried = await trying([subject("anthropic", upstream)], tmp_path, "count")

    assert tried.why("count") == "upstream_protocol_error: a count of tokens holds no number"


async def test_what_a_dialect_cannot_say_is_not_tried(tmp_path: Path) -> None:
    """The feature is skipped, and the dialect's own words say why."""
    chosen = Feature(name="drawn", run=_several)
    async with FakeUpstream(default=able("anthropic")) as upstream:
        asked = subject("anthropic", upstream)
        planned = [Planned(subject=asked, spoken=dialect("anthropic"), feature=chosen)]
        tried = await trying([asked], tmp_path, planned=planned)

        assert upstream.requests == []

    assert tried.statuses == {"anthropic anthropic drawn": "skipped"}
    assert tried.why("drawn").startswith("`n` has no form")


async def _several(caller: Caller) -> None:
    """Several answers at once, which only some dialects have."""
    await caller.ask(Chat(model="", messages=(), n=2, max_output_tokens=1))


async def test_what_went_over_the_wire_is_handed_on(tmp_path: Path) -> None:
    """For each feature that was tried: all its requests, and all that came back."""
    async with FakeUpstream(default=able("openai_chat")) as upstream:
        tried = await trying([subject("openai", upstream)], tmp_path, "stream", "usage")

    (stream, [taped]), (usage, both) = tried.kept
    assert (stream.feature, usage.feature) == ("stream", "usage")
    assert taped.status == 200
    assert taped.answer.endswith(b"data: [DONE]\n\n")
    assert len(both) == 2


def test_a_vendor_is_asked_in_its_own_dialect() -> None:
    """Where callers cannot speak it, in one of the same kind that they can."""
    own = dialect("anthropic")

    assert asked_in(own) is own
    assert asked_in(replace(own, paths=())) is dialect("openai_chat")


def test_a_feature_that_does_not_exist_cannot_be_wanted() -> None:
    """The message lists those there are."""
    with pytest.raises(ValueError, match="no feature 'flying'; there are plain, stream, "):
        plan([], ["flying"])


def test_names_of_features_are_their_own() -> None:
    """No two features share a name, so that results and cassettes do not."""
    names = [feature.name for feature in FEATURES]

    assert sorted(set(names)) == sorted(names)


def able_cut() -> answers.Answer:
    """An answer of which only the beginning comes."""
    return saying("pong, pong, pong").limit_data(40)
