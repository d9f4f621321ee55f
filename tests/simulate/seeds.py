"""Whole systems drawn from a seed: callers, the real pipeline, providers, and a nemesis; the invariants hold in each.

    python -m tests.simulate.seeds 4711              one seed, with what happened
    python -m tests.simulate.seeds --seeds 100000    many, on all cores, with the result in bench/results

A simulation is 20 to 60 calls over two virtual minutes.  Everything in it is drawn from the seed: limits, budgets, prices,
strategies, clocks, how callers behave, and what goes wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import logging
import os
import platform
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Coroutine
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn
from tests.simulate.house import House, Wire, key_of
from tests.simulate.loop import SimClock, SimLoop, run

from fairlead.call import Call, Candidate, Retries, Timeouts
from fairlead.core.breaker import Policy
from fairlead.core.lane import Override
from fairlead.core.pacing import Pacing
from fairlead.dialects import static_reply
from fairlead.errors import FairleadError, Overloaded
from fairlead.providers.sim.allowance import Rates
from fairlead.providers.sim.faults import Fault
from fairlead.record import Ended
from fairlead.stages.route import Plan
from fairlead.testing import FakeTransport, assert_one_terminal_record
from fairlead.testing import faults as trouble
from fairlead.testing.faults import ProviderModel, Spread
from fairlead.types import Budget, Principal, Rate

_NS = 1_000_000_000
_LASTS_S = 120.0
_RESULTS = Path(__file__).resolve().parents[2] / "bench" / "results"
_PART = 50
"""Seeds that one process takes at a time."""
_SLACK_S = 0.05
"""How much later than its time a call may end: a request takes up to so long to leave."""


@dataclass
class Told:
    """What one simulation was, and what came of it."""

    seed: int
    calls: int = 0
    attempts: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    history: list[str] = field(default_factory=list)
    """One line a call, in the order in which they ended."""


class Broken(AssertionError):
    """An invariant does not hold; says how to see it again."""


def simulate(seed: int) -> Told:
    """Run one.

    Raises:
        Broken: an invariant does not hold.
    """
    clock = SimClock()
    world: list[World] = []

    async def main() -> Told:
        world.append(World(clock, seed))
        return await world[0].live()

    try:
        return run(main(), clock)
    except Exception as error:
        first: BaseException = error
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        what = str(first) if isinstance(first, AssertionError) else repr(first)
        again = f"see it again: python -m tests.simulate.seeds {seed}"
        raise Broken(f"seed {seed}: {what}\n{again}") from error


class World:
    """One system."""

    def __init__(self, clock: SimClock, seed: int) -> None:
        self.clock = clock
        self.rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self.told = Told(seed)
        self.began_ns = clock.ns
        self.calls: list[Call] = []
        self.under_way: set[asyncio.Task[str]] = set()
        self.shut = False
        rng = self.rng
        providers = ["p", "q", "r"][: rng.choice([1, 2, 2, 3])]
        self.credentials = {name: ["default"] if rng.random() < 0.6 else ["1", "2", "3"] for name in providers}
        self.transports: dict[str, Wire] = {}
        self.fakes: dict[str, FakeTransport] = {}
        for name in providers:
            faults = self._faults(name)
            self.told.faults.update(fault.kind for fault in faults)
            model = ProviderModel(
                clock,
                rates=self._rates(),
                faults=faults,
                seed=seed,
                first_s=Spread(rng.choice([0.2, 0.6, 2.0]), rng.choice([0.0, 0.5, 1.0])),
                writes=Spread(rng.choice([10.0, 40.0]), 0.7),
                tokens_a_second=rng.choice([20.0, 100.0]),
                misjudged=Spread(1.0, rng.choice([0.0, 0.2])),
            )
            self.fakes[name] = FakeTransport(default=model, clock=clock)
            self.transports[name] = Wire(self.fakes[name], clock, seed)
        self.plans: dict[str, Plan] = {}
        self.tenants = [self._tenant(name) for name in ["ann", "ben", "cem", "dan"][: rng.randint(1, 4)]]
        self.house = House(
            clock,
            self.transports,
            self._aliases,
            credentials=self.credentials,
            plans=self.plans,
            static=static_reply,
            weights={"team:ann": rng.choice([0.5, 1.0, 4.0])},
            seed=seed,
        )

    # --- what is drawn ---

    def _faults(self, provider: str) -> list[Fault]:
        rng = self.rng
        return [self._fault(provider) for _ in range(rng.choice([0, 0, 1, 1, 2, 3]))]

    def _fault(self, provider: str) -> Fault:  # noqa: PLR0911, PLR0912 - a table of faults
        rng = self.rng
        rate = rng.choice([0.05, 0.3, 0.7, 1.0])
        when: dict[str, Any] = {}
        if rng.random() < 0.7:
            when = {"from_s": rng.uniform(0, 90), "for_s": rng.uniform(1, 60)}
        key = key_of(provider, rng.choice(self.credentials[provider]))
        match rng.randrange(13):
            case 0:
                return trouble.outage(status=rng.choice([500, 502, 503, 504]), rate=rate, **when)
            case 1:
                return trouble.unreachable(rate=rate, **when)
            case 2:
                return trouble.hang(rate=min(rate, 0.7), **when)
            case 3:
                every_s = rng.uniform(4, 40)
                return trouble.flapping(every_s=every_s, for_s=every_s * rng.uniform(0.2, 0.8))
            case 4:
                return trouble.slow_start(rng.uniform(1, 40), rate=rate, **when)
            case 5:
                hint = rng.choice([None, "0", "1", "3", "20", "-1", "soon"])
                return trouble.storm(rate=rate, retry_after=hint, **when)
            case 6:
                return trouble.overloaded(rate=rate, **when)
            case 7:
                return trouble.cut_streams(rate, after_chunks=rng.randrange(5), **when)
            case 8:
                return trouble.stalled_streams(rate, after_chunks=rng.randrange(5), **when)
            case 9:
                return trouble.revoked(key, **when)
            case 10:
                return trouble.out_of_quota(key, **when)
            case _:
                kind = rng.choice(["html", "empty", "truncated_json", "error_event", "late_error_event", "slow"])
                return Fault(kind=kind, rate=rate, delay_s=rng.uniform(0.1, 10))

    def _rates(self) -> Rates | None:
        rng = self.rng
        if rng.random() < 0.4:
            return None
        return Rates(
            rpm=rng.choice([None, 10, 30, 100]),
            tpm=rng.choice([None, 1_000, 5_000]),
            bucket_s=rng.choice([2.0, 10.0, 60.0]),
            counts=rng.choice(["used", "maximum"]),
            headers=rng.random() < 0.7,
        )

    def _tenant(self, name: str) -> Principal:
        rng = self.rng
        budgets, rates = [], []
        if rng.random() < 0.5:
            window = rng.choice(["total", "day"])
            budgets.append(
                Budget(scope=f"team:{name}", limit_nanousd=rng.choice([2_000_000, 20_000_000, 10**9]), window=window)
            )
        if rng.random() < 0.3:
            rates.append(Rate(scope=f"team:{name}", kind="requests", limit=rng.choice([6, 60])))
        if rng.random() < 0.3:
            rates.append(Rate(scope=f"team:{name}", kind="concurrency", limit=rng.choice([2, 6])))
        if rng.random() < 0.3:
            rates.append(Rate(scope=f"team:{name}", kind="tokens", limit=rng.choice([1_000, 20_000])))
        return Principal(team=name, budgets=tuple(budgets), rates=tuple(rates))

    def _aliases(self, candidate: Any) -> dict[str, list[Candidate]]:
        rng = self.rng
        made: dict[str, list[Candidate]] = {}
        pacing = {name: self._pacing() for name in self.credentials}
        bills = {name: rng.random() < 0.2 for name in self.credentials}
        for alias in ("m", "n")[: rng.randint(1, 2)]:
            weighted = rng.random() < 0.2
            timeouts = Timeouts(
                first_token_s=rng.choice([3.0, 10.0]), idle_s=rng.choice([3.0, 10.0]), total_s=rng.choice([10.0, 40.0])
            )
            retries = None if rng.random() < 0.2 else Retries(attempts=rng.randint(1, 5), base_s=rng.choice([0.2, 1.0]))
            breaker = None if rng.random() < 0.2 else Policy(slow_s=rng.choice([None, 2.0]), probes=rng.randint(1, 3))
            made[alias] = [
                candidate(
                    provider,
                    rng.choice(["small", "big"]),
                    credential,
                    breaker=breaker,
                    timeouts=timeouts,
                    retries=retries,
                    pacing=pacing[provider],
                    weight=1.0 if weighted else None,
                    bills_after_disconnect=bills[provider],
                )
                for provider in rng.sample(sorted(self.credentials), rng.randint(1, len(self.credentials)))
                for credential in self.credentials[provider]
            ]
            self.plans[alias] = Plan(
                strategy=rng.choice(["order", "least-load", "latency"]),
                hedge_share=rng.choice([None, None, 0.1]),
                static=rng.choice([None, None, None, "Nobody is in."]),
            )
        return made

    def _pacing(self) -> Pacing | None:
        rng = self.rng
        if rng.random() < 0.25:
            return None
        return Pacing(
            rpm=rng.choice([None, 10, 30, 100]),
            tpm=rng.choice([None, 1_000, 5_000]),
            concurrency=rng.choice([None, None, 1, 3]),
            learn=rng.random() < 0.5,
            max_wait_s=rng.choice([2.0, 30.0]),
            counts_maximum=rng.random() < 0.3,
        )

    # --- what happens ---

    async def live(self) -> Told:
        """The two minutes, and what must hold after them."""
        self._warm_up()
        self.clock.step = self._step
        count = self.rng.randint(20, 60)
        crowd = self.rng.random() < 0.4
        acts = [asyncio.get_running_loop().create_task(act) for act in self._acts()]
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                at_s = self.rng.uniform(0, 20 if crowd else _LASTS_S - 20)
                group.create_task(self._caller(at_s, random.Random(self.rng.random())))  # noqa: S311
        for act in acts:
            act.cancel()
        await self.house.aclose()
        await asyncio.sleep(0)
        self.clock.step = None
        self._after()
        return self.told

    def _acts(self) -> list[Coroutine[Any, Any, None]]:
        """What operators and time servers do meanwhile."""
        rng = random.Random(f"acts {self.told.seed}")  # noqa: S311 - repeatable on purpose
        acts: list[Coroutine[Any, Any, None]] = []
        if rng.random() < 0.2:
            acts.append(self._overrule(rng.uniform(0, 90), rng.uniform(1, 30), rng.choice(["disable", "force"])))
        if rng.random() < 0.2:
            acts.append(self._set_wall_clock(rng.uniform(0, 90), rng.choice([-3_600, 3_600, -86_400, 86_400])))
        if rng.random() < 0.1:
            acts.append(self._shut_down(rng.uniform(1, 100)))
        return acts

    async def _overrule(self, at_s: float, for_s: float, how: Override) -> None:
        await self.clock.sleep(at_s)
        self.house.lanes.overrule({"p": how})
        await self.clock.sleep(for_s)
        self.house.lanes.overrule({})

    async def _set_wall_clock(self, at_s: float, by_s: int) -> None:
        await self.clock.sleep(at_s)
        self.clock.wall_ns += by_s * _NS

    async def _shut_down(self, at_s: float) -> None:
        """Cut what is under way; who comes later finds nobody."""
        await self.clock.sleep(at_s)
        self.shut = True
        for task in tuple(self.under_way):
            task.cancel()

    def _warm_up(self) -> None:
        """A hedge needs to know how fast answers usually are."""
        for alias, candidates in self.house.aliases.items():
            if self.plans[alias].hedge_share is not None:
                for candidate in candidates:
                    for stream in (False, True):
                        for _ in range(20):
                            candidate.lane.speed_s(stream=stream).add(0.8)

    async def _caller(self, at_s: float, rng: random.Random) -> None:
        await self.clock.sleep(at_s)
        if self.shut:
            return
        timeout_s = rng.choice([None, None, None, rng.uniform(0.1, 2), 5.0, 20.0])
        call = self.house.call(
            rng.choice(sorted(self.house.aliases)),
            b"x" * rng.choice([8, 200, 1_000, 6_000]),
            rng.choice([None, 5, 100, 400]),
            stream=rng.random() < 0.5,
            principal=rng.choice(self.tenants),
            priority=rng.randrange(3),
            timeout_s=timeout_s,
        )
        self.calls.append(call)
        task = asyncio.get_running_loop().create_task(self._see(call))
        self.under_way.add(task)
        leaves_s = rng.choice([None, None, None, rng.uniform(0, 1), rng.uniform(0, 20)])
        done, _ = await asyncio.wait({task}, timeout=leaves_s)
        if not done:
            call.fate.abandoned = True
            task.cancel()
            await asyncio.wait({task})
        self.under_way.discard(task)
        seen = _cut(call) if task.cancelled() else task.result()
        self._took(call)
        self.told.outcomes[seen] += 1
        at_s = (call.started_ns - self.began_ns) / _NS
        took_s = (self.clock.ns - call.started_ns) / _NS
        self.told.history.append(f"{at_s:8.3f} {call.alias} {took_s:7.3f} {len(call.attempts)} {seen}")

    async def _see(self, call: Call) -> str:
        """What the caller of this call saw: I2."""
        attempts: list[int] = []
        try:
            body = await self.house.ask(call, on_content=lambda: attempts.append(len(call.attempts)))
        except FairleadError as error:
            seen = error.code
        else:
            seen = "ok"
            if call.request.stream:
                assert body.endswith(b"data: [DONE]\n\n"), f"a stream ends with {body[-40:]!r}"
            else:
                assert json.loads(body)["choices"], "an answer without choices"
        assert not attempts or attempts[0] == len(call.attempts), "an attempt was made after content had gone out"
        return seen

    def _took(self, call: Call) -> None:
        most_s = max(candidate.timeouts.total_s for candidate in self.house.aliases[call.alias or "m"])
        if call.deadline_ns is not None:
            most_s = min(most_s, (call.deadline_ns - call.started_ns) / _NS)
        took_s = (self.clock.ns - call.started_ns) / _NS
        assert took_s <= most_s + _SLACK_S, f"a call took {took_s:.3f} s and had {most_s:.3f} s"

    # --- what must hold ---

    def _step(self) -> None:
        """At each moment: nothing is negative, no budget is overspent, no limit of concurrency is passed."""
        for lane in self.house.lanes.all():
            assert lane.in_flight >= 0, f"{lane.name} has {lane.in_flight} in flight"
            if lane.breaker is not None and lane.policy is not None:
                probes = len(lane.breaker._probes)
                assert probes <= lane.policy.probes, f"{lane.name} is probed by {probes} at a time"
        for account in self.house.ledger._accounts.values():
            assert account.held_nanousd >= 0, "less than nothing is reserved"
        for (scope, kind), cell in self.house.limits._cells.items():
            if kind == "concurrency" and cell.running:
                limit = self._concurrency(scope)
                assert 0 < cell.running <= limit, f"{cell.running} at one time at {scope}, of {limit}"

    def _concurrency(self, scope: str) -> int:
        for tenant in self.tenants:
            for rate in tenant.rates:
                if (rate.scope, rate.kind) == (scope, "concurrency"):
                    return rate.limit
        for candidates in self.house.aliases.values():
            for each in candidates:
                if f"target:{each.lane.name}" == scope and each.pacing is not None:
                    return each.pacing.concurrency or 0
        return 0

    def _after(self) -> None:
        self._records()
        self._money()
        self._baseline()

    def _records(self) -> None:
        """I1: one terminal record a call, that says what its caller saw."""
        assert_one_terminal_record(self.house.sink.records)
        ended = self.house.sink.ended
        assert sorted(each.call_id for each in ended) == sorted(call.id for call in self.calls)
        seen = Counter("left" if each.outcome == "cancelled" else each.error_code or "ok" for each in ended)
        assert seen == self.told.outcomes, f"records say {dict(seen)}, callers saw {dict(self.told.outcomes)}"
        self.told.calls = len(ended)
        self.told.attempts = sum(len(each.attempts) for each in ended)

    def _money(self) -> None:
        """I3: nothing is reserved, what is booked is what records say, and no budget is overspent."""
        assert self.house.ledger.reserved_nanousd() == 0, "something is reserved for ever"
        for tenant in self.tenants:
            spent = sum(_cost(each) for each in self.house.sink.ended if each.identity.team == tenant.team)
            for budget in tenant.budgets:
                accounts = self.house.ledger._accounts.items()
                booked = [account.spent_nanousd for (scope, *_), account in accounts if scope == budget.scope]
                assert sum(booked) == spent, f"{budget.scope} is booked {booked}, its records say {spent}"
                assert max(booked, default=0) <= budget.limit_nanousd, f"{budget.scope} spent {booked}"

    def _baseline(self) -> None:
        """I5: permits, places, lines, timers, tasks and connections are back."""
        house = self.house
        assert house.pace.waiting() == {}
        assert {lane.name: lane.in_flight for lane in house.lanes.all() if lane.in_flight} == {}
        assert {lane.name for lane in house.lanes.all() if lane.breaker is not None and lane.breaker._probes} == set()
        assert house.limits._open == {}, "claims are held by nobody"
        assert {key: cell.running for key, cell in house.limits._cells.items() if cell.running} == {}
        open_requests = [
            request
            for fake in self.fakes.values()
            for request in fake.requests
            if request.answered_ns is None and request.closed_early_ns is None
        ]
        assert open_requests == [], f"{len(open_requests)} requests are open upstream"
        assert [wire.in_flight for wire in self.transports.values() if wire.in_flight] == []
        assert asyncio.all_tasks() == {asyncio.current_task()}
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        assert loop.timers == 0, f"{loop.timers} timers are set"


def _cost(record: Ended) -> int:
    return record.cost_nanousd or 0


def _cut(call: Call) -> str:
    """How a call that was cancelled ends: its caller left, or the process ends before there is an answer."""
    return "left" if call.fate.abandoned or call.committed else Overloaded.code


# --- many ---


def _batch(seeds: tuple[int, int]) -> tuple[Counter[str], Counter[str], list[str], list[str]]:
    """A stretch of seeds: sums, outcomes, faults, and what is broken."""
    logging.getLogger("fairlead").setLevel(logging.CRITICAL)
    sums: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    broken: list[str] = []
    faults: list[str] = []
    for seed in range(*seeds):
        try:
            told = simulate(seed)
        except Broken as error:
            broken.append(str(error))
            continue
        sums.update(simulations=1, calls=told.calls, attempts=told.attempts)
        outcomes += told.outcomes
        faults += told.faults
    return sums, outcomes, faults, broken


def soak(first: int, count: int, jobs: int) -> dict[str, Any]:
    """Run `count` seeds from `first` on, beside each other, with a progress bar."""
    began_s = time.monotonic()
    sums: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    broken: list[str] = []
    parts = [(seed, min(seed + _PART, first + count)) for seed in range(first, first + count, _PART)]
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as bar, ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        task = bar.add_task("seeds", total=count)
        for done in as_completed([pool.submit(_batch, part) for part in parts]):
            more, ended, struck, failed = done.result()
            sums += more
            outcomes += ended
            faults.update(struck)
            broken += failed
            bar.advance(task, more["simulations"] + len(failed))
            for text in failed:
                bar.console.print(text, markup=False)
    return {
        "taken_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "seeds": {"first": first, "count": count},
        "seconds": round(time.monotonic() - began_s, 1),
        **sums,
        "outcomes": dict(outcomes.most_common()),
        "faults": dict(faults.most_common()),
        "broken": sorted(broken),
    }


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seed", nargs="?", type=int, help="run this one, and say what happened")
    parser.add_argument("--seeds", type=int, default=1_000, metavar="N", help="how many")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the first of them")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes beside each other"
    )
    asked = parser.parse_args()
    if asked.seed is not None:
        try:
            told = simulate(asked.seed)
        except Broken as error:
            traceback.print_exception(error.__cause__)
            sys.exit(str(error))
        print("\n".join(sorted(told.history)))
        print(f"{told.calls} calls, {told.attempts} attempts, faults {dict(told.faults)}, {dict(told.outcomes)}")
        return
    result = soak(asked.first, asked.seeds, asked.jobs)
    path = _RESULTS / f"simulate-{dt.datetime.now(dt.UTC):%Y-%m-%d}.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"{result['simulations']} simulations hold, {len(result['broken'])} are broken; {path}")
    sys.exit(1 if result["broken"] else 0)


if __name__ == "__main__":
    main()
