"""What is known of one (provider, credential, model): whether to use it now, how busy it is, how fast it was.

Plain state, shared by the stages that look at it (route) and those that learn (pace).  Its breaker counts the provider's
faults.  Apart from that it can be *set aside* for a while for a reason that no breaker is about: the provider asked to
be left alone, refused the credential, or the account is empty.  An operator's word goes before all of it.
"""

from __future__ import annotations

from collections import deque
from typing import Literal
from weakref import WeakValueDictionary

import msgspec

from fairlead.core.breaker import Breaker, Policy
from fairlead.core.quantile import RecentQuantile

Reason = Literal["circuit_open", "cooling", "credential", "quota", "disabled"]
Override = Literal["disable", "force"]

PASSING: frozenset[Reason] = frozenset({"circuit_open", "cooling"})
"""The reasons that pass with time; for the others somebody has to do something, so a caller need not wait."""

PATIENCE_NS = 5_000_000_000
"""A provider that wants to be left alone for no longer than this is waited for (FAULTS U4)."""
_NS = 1_000_000_000
_AVERAGED = 0.05
"""The weight of the newest answer in the average of output tokens."""


class Block(msgspec.Struct, frozen=True, gc=False):
    """Why a lane is not to be used, and for how long."""

    reason: Reason
    wait_ns: int


class Lane:
    """See the module.

    Args:
        name: `provider/model`, with `#credential` where there are several.
        policy: of its breaker; `None` for none.
    """

    __slots__ = (
        "__weakref__",
        "_aside_reason",
        "_aside_until_ns",
        "breaker",
        "first_token_s",
        "in_flight",
        "name",
        "output_tokens",
        "override",
        "policy",
        "whole_s",
    )

    def __init__(self, name: str = "", policy: Policy | None = None) -> None:
        self.name = name
        self.policy = policy
        self.breaker = None if policy is None else Breaker(policy)
        self.in_flight = 0
        """Attempts under way in this process."""
        self.first_token_s = RecentQuantile()
        """Of streams."""
        self.whole_s = RecentQuantile()
        """How long whole answers took."""
        self.output_tokens: float | None = None
        """The average of an answer; `None` before the first."""
        self.override: Override | None = None
        """What an operator said."""
        self._aside_until_ns = 0
        self._aside_reason: Reason = "cooling"

    @property
    def provider(self) -> str:
        """The name under `[providers]`."""
        return self.name.partition("/")[0]

    def speed_s(self, *, stream: bool) -> RecentQuantile:
        """How long it takes until a caller has something."""
        return self.first_token_s if stream else self.whole_s

    def watch(self, policy: Policy | None) -> None:
        """Follow another policy from now on; what the breaker has counted is kept where the policy is the same."""
        if policy != self.policy:
            self.policy = policy
            self.breaker = None if policy is None else Breaker(policy)

    def renew(self) -> None:
        """The provider is another now: what was held against it no longer counts."""
        self._aside_until_ns = 0
        self.breaker = None if self.policy is None else Breaker(self.policy)

    def set_aside(self, reason: Reason, now_ns: int, seconds: float) -> None:
        """Leave it alone for a while; the longer of two waits counts."""
        until_ns = now_ns + round(seconds * _NS)
        if until_ns > self._aside_until_ns:
            self._aside_until_ns, self._aside_reason = until_ns, reason

    def cooling_ns(self, now_ns: int) -> int:
        """How long the provider still wants to be left alone, or what else set it aside lasts, unless an operator says
        that it is to be used."""
        return 0 if self.override == "force" else max(0, self._aside_until_ns - now_ns)

    def blocked(self, now_ns: int) -> Block | None:
        """Why it should not be used now, if it should not."""
        if self.override is not None:
            return Block("disabled", 60 * _NS) if self.override == "disable" else None
        if self._aside_until_ns > now_ns:
            wait_ns = self._aside_until_ns - now_ns
            if self._aside_reason != "cooling" or wait_ns > PATIENCE_NS:
                return Block(self._aside_reason, wait_ns)
        if self.breaker is not None:
            wait_ns = self.breaker.blocked_ns(now_ns)
            if wait_ns:
                return Block("circuit_open", wait_ns)
        return None

    def state(self, now_ns: int) -> str:
        """In a word, for operators."""
        if self.override == "force":
            return "forced"
        block = self.blocked(now_ns)
        if block is not None:
            return block.reason
        state = "closed" if self.breaker is None else self.breaker.state
        return "half_open" if state == "open" else state  # its time is over: the next call finds out

    def answered(self, output_tokens: int) -> None:
        """Take the length of an answer into the average."""
        before = self.output_tokens
        self.output_tokens = output_tokens if before is None else before + _AVERAGED * (output_tokens - before)


class Lanes:
    """All lanes of a process, each made when it is first asked for.

    A lane is kept while somebody holds it, as the candidate of a configured model does; and the newest `most` are.
    """

    def __init__(self, most: int = 4_096) -> None:
        self._lanes: WeakValueDictionary[tuple[str, str, str], Lane] = WeakValueDictionary()
        self._newest: deque[Lane] = deque(maxlen=most)
        self._overrides: dict[str, Override] = {}

    def of(self, provider: str, credential: str, model: str, *, policy: Policy | None = None) -> Lane:
        """The lane; where it is made, under this policy."""
        lane = self._lanes.get((provider, credential, model))
        if lane is None:
            name = f"{provider}/{model}" if credential == "default" else f"{provider}/{model}#{credential}"
            lane = self._lanes[provider, credential, model] = Lane(name, policy)
            lane.override = self._override(lane)
            self._newest.append(lane)
        return lane

    def all(self) -> tuple[Lane, ...]:
        """Every lane there is, in the order in which they were made."""
        references = self._lanes.valuerefs()  # a copy, so that another thread may make lanes meanwhile
        return tuple(lane for reference in references if (lane := reference()) is not None)

    def overrule(self, overrides: dict[str, Override]) -> None:
        """What operators say, by target: `provider`, `provider/model` or `provider/model#credential`."""
        self._overrides = dict(overrides)
        for lane in self.all():
            lane.override = self._override(lane)

    def _override(self, lane: Lane) -> Override | None:
        plain = lane.name.partition("#")[0]
        for target in (lane.name, plain, lane.provider):
            if target in self._overrides:
                return self._overrides[target]
        return None
