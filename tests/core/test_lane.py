from __future__ import annotations

import gc

import pytest

from fairlead.core.breaker import Policy
from fairlead.core.lane import PATIENCE_NS, Block, Lane, Lanes

S = 1_000_000_000
POLICY = Policy(consecutive=1, open_s=10, probes=1)


def opened(policy: Policy = POLICY) -> Lane:
    """A lane whose breaker opened at 0."""
    lane = Lane("p/m", policy)
    assert lane.breaker is not None
    lane.breaker.record(lane.breaker.enter(0), 0, ok=False)
    return lane


def test_a_new_lane_may_be_used() -> None:
    """Nothing is known of it, so nothing speaks against it."""
    lane = Lane()
    assert lane.blocked(0) is None
    assert (lane.cooling_ns(0), lane.output_tokens, lane.speed_s(stream=True).value) == (0, None, None)


def test_a_short_wait_blocks_nobody_and_a_long_one_does() -> None:
    """A provider that wants to be left alone for five seconds is waited for; for longer another is asked (U4)."""
    lane = Lane()
    lane.set_aside("cooling", 0, PATIENCE_NS / S)
    assert lane.blocked(0) is None
    assert lane.cooling_ns(S) == 4 * S
    lane.set_aside("cooling", 0, 8)
    assert lane.blocked(0) == Block("cooling", 8 * S)
    assert lane.blocked(3 * S) is None
    assert lane.cooling_ns(9 * S) == 0


@pytest.mark.parametrize("reason", ["credential", "quota"])
def test_a_refused_credential_blocks_for_the_whole_time(reason: str) -> None:
    """What waiting a little does not mend is not waited for."""
    lane = Lane()
    lane.set_aside(reason, 0, 60)  # type: ignore[arg-type]
    assert lane.blocked(59 * S) == Block(reason, S)  # type: ignore[arg-type]
    assert lane.blocked(60 * S) is None


def test_the_longer_of_two_waits_counts() -> None:
    """With its own reason."""
    lane = Lane()
    lane.set_aside("quota", 0, 60)
    lane.set_aside("cooling", 0, 30)
    assert lane.blocked(0) == Block("quota", 60 * S)


def test_an_open_breaker_blocks_until_its_probes() -> None:
    """For as long as it says."""
    lane = opened()
    assert lane.blocked(S) == Block("circuit_open", 9 * S)
    assert lane.blocked(10 * S) is None


def test_an_operators_word_goes_before_all_of_it() -> None:
    """Disabled is disabled though all is well, forced is used though nothing is."""
    lane = Lane()
    lane.override = "disable"
    assert lane.blocked(0) == Block("disabled", 60 * S)
    broken = opened()
    broken.set_aside("quota", 0, 60)
    broken.override = "force"
    assert broken.blocked(0) is None


def test_its_speed_is_kept_for_streams_and_whole_answers_apart() -> None:
    """The first token of a stream comes much sooner than a whole answer."""
    lane = Lane()
    lane.speed_s(stream=True).add(1.0)
    lane.speed_s(stream=False).add(9.0)
    assert (lane.first_token_s.mean, lane.whole_s.mean) == (1.0, 9.0)


def test_the_length_of_answers_is_averaged() -> None:
    """The first one as it is, each further one by a twentieth."""
    lane = Lane()
    lane.answered(100)
    assert lane.output_tokens == 100
    lane.answered(300)
    assert lane.output_tokens == pytest.approx(110)


def test_the_same_policy_keeps_what_the_breaker_has_counted() -> None:
    """Another one begins anew, and none takes the breaker away."""
    lane = opened()
    lane.watch(Policy(consecutive=1, open_s=10, probes=1))
    assert lane.blocked(0) is not None
    lane.watch(Policy(consecutive=2))
    assert lane.blocked(0) is None
    lane.watch(None)
    assert lane.breaker is None


def test_a_lane_is_made_once() -> None:
    """And is named after its target, with the credential where there are several."""
    lanes = Lanes()
    first, second = lanes.of("p", "default", "m"), lanes.of("p", "2", "m", policy=POLICY)
    assert lanes.of("p", "default", "m") is first
    assert [lane.name for lane in lanes.all()] == ["p/m", "p/m#2"]
    assert (first.breaker, second.policy) == (None, POLICY)


def test_lanes_in_use_are_never_forgotten_and_of_the_others_the_newest_are_kept() -> None:
    """However many names callers make up, a configured model's lane is there for an operator's word."""
    lanes = Lanes(most=3)
    configured = lanes.of("p", "default", "mine")
    for number in range(100):
        lanes.of("p", "default", f"made-up-{number}")
    gc.collect()
    assert [lane.name for lane in lanes.all()] == ["p/mine", "p/made-up-97", "p/made-up-98", "p/made-up-99"]
    lanes.overrule({"p/mine": "disable"})
    assert configured.override == "disable"


def test_an_operators_word_is_for_a_credential_a_model_or_a_provider() -> None:
    """The narrowest counts; it holds for lanes that are made later, and until it is taken back."""
    lanes = Lanes()
    one, two, other = lanes.of("p", "1", "m"), lanes.of("p", "2", "m"), lanes.of("p", "1", "n")
    lanes.overrule({"p/m#1": "force", "p/m": "disable", "q": "disable"})
    assert [lane.override for lane in (one, two, other)] == ["force", "disable", None]
    assert lanes.of("q", "default", "x").override == "disable"
    lanes.overrule({})
    assert [lane.override for lane in lanes.all()] == [None] * 4


def test_its_state_is_one_word() -> None:
    """For operators: what keeps it from being used, else what its breaker says."""
    lane = Lane("p/m", POLICY)
    assert (Lane().state(0), lane.state(0)) == ("closed", "closed")
    lane.set_aside("cooling", 0, 2)
    assert lane.state(0) == "closed", "so short a wait is waited for"
    lane.set_aside("cooling", 0, 6)
    assert lane.state(0) == "cooling"
    lane.set_aside("quota", 0, 60)
    assert lane.state(0) == "quota"
    broken = opened()
    assert [broken.state(at_ns) for at_ns in (0, 10 * S)] == ["circuit_open", "half_open"]
    broken.override = "force"
    assert broken.state(0) == "forced"
    broken.override = "disable"
    assert broken.state(0) == "disabled"


def test_a_lane_that_is_there_keeps_its_policy() -> None:
    """A configuration that is read is not yet one that is used."""
    lanes = Lanes()
    lane = lanes.of("p", "default", "m", policy=POLICY)
    assert lanes.of("p", "default", "m", policy=None) is lane
    assert lane.policy == POLICY


def test_another_provider_of_the_same_name_begins_anew() -> None:
    """Neither its breaker nor what set it aside is held against it."""
    lane = opened()
    lane.set_aside("credential", 0, 60)
    lane.renew()
    assert (lane.blocked(0), lane.state(0)) == (None, "closed")
