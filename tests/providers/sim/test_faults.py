"""Faults of the simulator, from a file to a plan."""

from __future__ import annotations

import pytest

from fairlead.errors import ConfigError
from fairlead.providers.sim.faults import Fault, FaultPlan, load


def test_faults_are_read_from_toml():
    """One table each, in order."""
    text = '[[faults]]\nkind = "rate_limit"\nretry_after = "3"\n[[faults]]\nkind = "cut"\nrate = 0.5\ntimes = 2'
    assert load(text) == (Fault(kind="rate_limit", retry_after="3"), Fault(kind="cut", rate=0.5, times=2))


@pytest.mark.parametrize(
    "text", ["[[faults]]\nkind = 'none'", "[[faults]]\nkind = 'cut'\nrat = 1", "x = 1", "[[", "[[faults]]\nrate = 1"]
)
def test_a_mistake_in_the_file_is_an_error(text):
    """Unknown keys and kinds do not pass silently."""
    with pytest.raises(ConfigError):
        load(text)


def test_no_faults_are_no_faults():
    """An empty file is fine."""
    assert load("") == ()


def test_a_plan_strikes_the_matching_calls_so_often():
    """By model and by number of times, then the next fault's turn comes."""
    plan = FaultPlan([Fault(kind="cut", match_model="a", times=1), Fault(kind="stall", match_model="a")], seed=0)
    chosen = [plan.choose(number, model) for number, model in enumerate(["b", "a", "a"])]
    assert [fault and fault.kind for fault in chosen] == [None, "cut", "stall"]


def test_a_rate_strikes_its_share_and_the_same_calls_each_time():
    """The seed decides which."""

    def struck(seed):
        plan = FaultPlan([Fault(kind="cut", rate=0.3)], seed)
        return [number for number in range(1_000) if plan.choose(number, "m")]

    assert struck(1) == struck(1) != struck(2)
    assert 250 < len(struck(1)) < 350


@pytest.mark.parametrize(
    ("fault", "on", "off"),
    [
        (Fault(kind="cut", from_s=10), (10, 99), (0, 9.9)),
        (Fault(kind="cut", until_s=10), (0, 9.9), (10, 99)),
        (Fault(kind="cut", from_s=5, every_s=20, for_s=8), (5, 12.9, 25, 32.9), (0, 13, 24.9, 33)),
    ],
)
def test_a_fault_comes_and_goes(fault, on, off):
    """By the time since the start."""
    plan = FaultPlan([fault], seed=0)
    assert all(plan.choose(1, "m", at_s=at_s) for at_s in on)
    assert not any(plan.choose(1, "m", at_s=at_s) for at_s in off)


def test_a_fault_may_be_of_one_key():
    """As a revoked one is."""
    plan = FaultPlan([Fault(kind="unauthorized", match_key="sk-1")], seed=0)
    assert [bool(plan.choose(1, "m", key=key)) for key in ("sk-1", "sk-2", None)] == [True, False, False]
