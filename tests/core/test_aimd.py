from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.aimd import Aimd

S = 1_000_000_000
START = 1_000 * S


def taking(a_second: int, seconds: int = 10) -> Aimd:
    """One whose provider took so many requests a second up to START."""
    aimd = Aimd()
    for number in range(a_second * seconds):
        aimd.send(START - seconds * S + number * S // a_second, held_back=False)
    return aimd


def sent(aimd: Aimd, from_ns: int, seconds: int, *, held_back: bool) -> int:
    """How many go out, each as soon as it may."""
    now_ns, count = from_ns, 0
    while now_ns < from_ns + seconds * S:
        wait_ns = aimd.wait_ns(now_ns)
        if wait_ns:
            now_ns += wait_ns
            continue
        aimd.send(now_ns, held_back=held_back)
        count += 1
    return count


def test_before_the_first_refusal_there_is_no_pace() -> None:
    """Nothing waits for what nobody asked for."""
    aimd = taking(5)
    assert (aimd.a_second, aimd.wait_ns(START)) == (None, 0)


def test_a_refusal_sets_the_pace_a_tenth_below_what_was_taken() -> None:
    """Of ten a second nine are left."""
    aimd = taking(10)
    aimd.refused(START)
    assert aimd.a_second == pytest.approx(9, rel=0.02)


def test_refusals_within_a_second_count_once() -> None:
    """A hundred calls that were on their way say no more than one."""
    aimd = taking(10)
    for number in range(100):
        aimd.refused(START + number * S // 200)
    assert aimd.a_second == pytest.approx(9, rel=0.02)
    aimd.refused(START + S)
    assert aimd.a_second < 8.5


def test_a_provider_that_takes_nothing_is_asked_now_and_then() -> None:
    """The pace never falls to nothing, and a single answer counts as one in ten seconds."""
    aimd = Aimd()
    for number in range(200):
        aimd.send(START + 2 * number * S, held_back=True)
        aimd.refused(START + 2 * number * S)
    assert aimd.a_second == pytest.approx(0.05)
    one = Aimd()
    for _ in range(2):
        one.send(START, held_back=False)
    one.refused(START)
    assert one.a_second == pytest.approx(0.09)


def test_the_pace_holds_and_a_seconds_worth_comes_at_once() -> None:
    """In ten seconds at 9 a second there go about a hundred: the pace, and one second's worth of burst."""
    aimd = taking(10)
    aimd.refused(START)
    assert 90 <= sent(aimd, START, 10, held_back=False) <= 101


def test_calls_that_are_under_way_count_as_taken() -> None:
    """Where answers take half a minute, a refusal in the first second does not mean that nothing is taken."""
    aimd = Aimd()
    for number in range(20):
        aimd.send(START + number * S // 10, held_back=False)
    for _ in range(5):
        aimd.refused(START + 2 * S)
    assert aimd.a_second is not None
    assert 8 < aimd.a_second < 9


def test_the_pace_grows_only_while_it_holds_something_back() -> None:
    """A third of a percent a second; without anybody waiting it stays."""
    aimd = taking(10)
    aimd.refused(START)
    sent(aimd, START, 300, held_back=False)
    assert aimd.a_second == pytest.approx(9, rel=0.02)
    sent(aimd, START + 300 * S, 60, held_back=True)
    assert aimd.a_second == pytest.approx(11, rel=0.05)


def test_the_pace_does_not_grow_while_something_else_holds_calls_back() -> None:
    """One that was never tried says nothing, and would mean nothing to the next refusal."""
    aimd = taking(10)
    aimd.refused(START)
    for number in range(300):
        aimd.send(START + number * S, held_back=True)
    assert aimd.a_second == pytest.approx(9, rel=0.02)


def test_an_outage_that_refused_everything_is_made_up_for_within_minutes() -> None:
    """From one call in twenty seconds back to ten a second."""
    aimd, now_ns = taking(10), START
    for _ in range(200):
        now_ns += max(aimd.wait_ns(now_ns), S)
        aimd.send(now_ns, held_back=True)
        aimd.refused(now_ns)
    assert aimd.a_second == pytest.approx(0.05)
    sent(aimd, now_ns, 330, held_back=True)
    assert aimd.a_second is not None
    assert aimd.a_second > 10


def test_idle_time_is_not_saved_up() -> None:
    """After an hour of nothing there is one second's worth, and growth of one second."""
    aimd = taking(10)
    aimd.refused(START)
    before = aimd.a_second
    aimd.send(START + 3_600 * S, held_back=True)
    assert aimd.a_second == pytest.approx(before, rel=0.01)
    assert sent(aimd, START + 3_600 * S, 1, held_back=False) <= 19


@given(st.lists(st.tuples(st.sampled_from(["send", "held", "refused"]), st.integers(0, 20 * S)), max_size=100))
def test_it_never_blocks_for_good(events: list[tuple[str, int]]) -> None:
    """Whatever happens, the pace is at least one in twenty seconds, and who waits as told may go."""
    aimd, now_ns = Aimd(), START
    for event, gap_ns in events:
        now_ns += gap_ns
        if event == "refused":
            aimd.refused(now_ns)
        else:
            now_ns += aimd.wait_ns(now_ns)
            aimd.send(now_ns, held_back=event == "held")
        assert aimd.a_second is None or aimd.a_second >= 0.05
        assert aimd.wait_ns(now_ns + aimd.wait_ns(now_ns)) == 0
        assert aimd.wait_ns(now_ns) <= 20 * S
