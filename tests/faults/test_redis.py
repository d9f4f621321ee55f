"""Gateways that share limits and budgets on a Redis server, and what happens to it (FAULTS D1-D4, L1, L6, L10, L11, L13, L14)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fairlead.errors import BudgetExceeded, RateLimited, StateUnavailable
from fairlead.ports import Claim, Clock, Hold, Timer
from fairlead.stores.redis_state import RedisState, dialer
from fairlead.stores.system import SystemClock
from fairlead.types import Budget, Rate
from faults import front
from processes import Process
from redis_server import RedisServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

CLOCK = SystemClock()
CONFIG = """
[gateway]
auth = "keys"
[providers.slow]
vendor = "sim"
latency_s = 1.5
[models.m]
targets = ["sim/sim-small"]
price = {{ input = 0, output = 1.0 }}
[models.slow]
targets = ["slow/sim-small"]
price = {{ input = 0, output = 1.0 }}
[store]
url = "sqlite:///{folder}/shared.db"
spool = "fairlead.spool"
[state]
url = "{url}"
"""
ENVIRONMENT = {"FAIRLEAD_SECRET": "the same for all gateways, 0123456789abcdef"}
WORST = {"max_tokens": 1_000}
"""A call that could cost a thousandth of a dollar."""

Serve = Callable[[str], Process]


@pytest.fixture
def serve(gateway: Callable[..., Process], tmp_path: Path) -> Serve:
    """Start a gateway on the store of all, and on the server given."""

    def begin(url: str) -> Process:
        return gateway(CONFIG.format(folder=tmp_path, url=url), env=ENVIRONMENT)

    return begin


def front_door(process: Process) -> Any:
    return SimpleNamespace(server=SimpleNamespace(port=process.port))


async def chat(process: Process, key: str, **fields: Any) -> front.Answer:
    return await front.chat(front_door(process), key, **fields)


def key_of(process: Process, *options: str) -> str:
    key: str = process.cli("keys", "create", "--name", f"k{time.monotonic_ns()}", *options)["key"]
    return key


async def until(ask: Callable[[], Awaitable[bool]], seconds: float) -> float:
    """Ask until it is so, but no longer than that; how long it took."""
    began = time.monotonic()
    while not await ask():
        assert time.monotonic() - began < seconds, f"it did not come true within {seconds} s"
        await asyncio.sleep(0.05)
    return time.monotonic() - began


async def told(process: Process, feature: str, mode: str) -> bool:
    metrics = await asyncio.to_thread(process.metrics)
    return any(
        name.startswith("fairlead_degraded{") and f'feature="{feature}"' in name and f'mode="{mode}"' in name
        for name in metrics
    )


async def is_answered(process: Process, key: str) -> bool:
    return (await chat(process, key, **WORST)).status == 200


class Load:
    """Calls at an even pace, and how long each took."""

    def __init__(self, process: Process, key: str, each_s: float = 0.02) -> None:
        self.seen: list[tuple[float, float, int]] = []
        self._process, self._key, self._each_s = process, key, each_s

    async def run(self, seconds: float) -> None:
        calls = []
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            calls.append(asyncio.create_task(self._one()))
            await asyncio.sleep(self._each_s)
        await asyncio.gather(*calls)

    async def _one(self) -> None:
        began = time.monotonic()
        answer = await chat(self._process, self._key)
        self.seen.append((began, time.monotonic() - began, answer.status))

    def p99(self, since: float = 0.0, until: float = float("inf")) -> float:
        took = sorted(took for began, took, _ in self.seen if since <= began < until)
        return took[int(len(took) * 0.99)]


async def test_d1_a_server_that_refuses(serve: Serve, redis_server: RedisServer) -> None:
    """Limits go by the local share, hard budgets fail closed, the metric says so, and all is well within 5 s again."""
    redis_server.kill()
    process = await asyncio.to_thread(serve, redis_server.url)
    limited = await asyncio.to_thread(key_of, process, "--rpm", "5")
    paid = await asyncio.to_thread(key_of, process, "--budget", "1usd")

    answers = [await chat(process, limited) for _ in range(8)]
    closed = await chat(process, paid, **WORST)

    assert [answer.status for answer in answers] == [200] * 5 + [429] * 3
    assert (closed.status, closed.json["error"]["code"]) == (503, "state_unavailable")
    await until(lambda: told(process, "limits", "local"), 5.0)
    assert await told(process, "budgets", "closed")

    await asyncio.to_thread(redis_server.start)
    took = await until(lambda: is_answered(process, paid), 5.0)
    print(f"budgets were open {took:.2f} s after the server was back")
    await until(lambda: _is_not_told(process, "budgets", "closed"), 5.0)


async def _is_not_told(process: Process, feature: str, mode: str) -> bool:
    return not await told(process, feature, mode)


async def test_d2_a_server_that_stands_still_for_20_s(serve: Serve, redis_server: RedisServer) -> None:
    """The first calls take up to 100 ms longer, all others none; the gateway stays alive, and recovers by itself."""
    process = await asyncio.to_thread(serve, redis_server.url)
    key = await asyncio.to_thread(key_of, process, "--rpm", "100000")
    paid = await asyncio.to_thread(key_of, process, "--budget", "1usd")
    load = Load(process, key)
    await load.run(3.0)
    base_s = load.p99()

    redis_server.freeze()
    frozen = time.monotonic()
    try:
        running = asyncio.create_task(load.run(20.0))
        await asyncio.sleep(2.0)
        assert (await asyncio.to_thread(process.get, "/health/live"))["status"] == "live"
        assert (await chat(process, paid, **WORST)).status == 503
        await running
    finally:
        redis_server.thaw()

    first_s, later_s = load.p99(frozen, frozen + 1.0), load.p99(frozen + 1.0)
    print(f"p99 {base_s * 1e3:.1f} ms before, {first_s * 1e3:.1f} ms in the first second, {later_s * 1e3:.1f} ms then")
    assert {status for _, _, status in load.seen} == {200}
    assert first_s <= base_s + 0.1
    assert later_s <= base_s + 0.03
    took = await until(lambda: is_answered(process, paid), 5.0)
    print(f"budgets were open {took:.2f} s after the server went on")


async def test_d3_a_server_that_dies_and_comes_back_empty(serve: Serve, redis_server: RedisServer) -> None:
    """No call fails for it but those under a budget; what was spent before still counts."""
    process = await asyncio.to_thread(serve, redis_server.url)
    key = await asyncio.to_thread(key_of, process, "--rpm", "100000")
    paid = await asyncio.to_thread(key_of, process, "--budget", "0.01usd")
    spent_nanousd = await _spend(process, paid)
    load = Load(process, key)
    running = asyncio.create_task(load.run(4.0))
    await asyncio.sleep(1.0)

    await asyncio.to_thread(redis_server.kill)
    assert (await chat(process, paid, **WORST)).status == 503
    await asyncio.to_thread(redis_server.start)
    await running

    assert {status for _, _, status in load.seen} == {200}
    await until(lambda: _is_not_closed(process, paid), 5.0)
    left = await _admitted(process, paid)
    assert spent_nanousd + left <= 10_000_000
    assert left >= 10_000_000 - spent_nanousd - 1_000_000


async def test_d3_a_flushed_server_and_scripts_that_are_gone(serve: Serve, redis_server: RedisServer) -> None:
    """`SCRIPT FLUSH` is not noticed; after `FLUSHALL` budgets are put together again from the records."""
    processes = [await asyncio.to_thread(serve, redis_server.url) for _ in range(2)]
    paid = await asyncio.to_thread(key_of, processes[0], "--budget", "0.01usd")
    spent_nanousd = await _spend(processes[0], paid) + await _spend(processes[1], paid)

    redis_server.command("SCRIPT", "FLUSH")
    assert (await chat(processes[0], paid, max_tokens=1)).status == 200
    redis_server.command("FLUSHALL")
    redis_server.command("SCRIPT", "FLUSH")

    for process in processes:
        await until(lambda process=process: _is_not_closed(process, paid), 5.0)  # type: ignore[misc]
    left = sum([await _admitted(process, paid) for process in processes])
    assert spent_nanousd + left <= 10_000_000
    assert left >= 10_000_000 - spent_nanousd - 1_100_000


async def _spend(process: Process, key: str) -> int:
    """Make three calls; their costs."""
    for _ in range(3):
        assert (await chat(process, key, **WORST)).status == 200
    return await _booked(process, 3)


async def _booked(process: Process, calls: int) -> int:
    """What the newest calls have cost, as soon as all are written down."""
    while True:
        rows = await asyncio.to_thread(process.cli, "logs", "--limit", str(calls))
        rows = rows if isinstance(rows, list) else [rows]
        if len(rows) == calls and all(row["outcome"] == "ok" for row in rows):
            return sum(round(float(row["cost_usd"]) * 10**9) for row in rows)
        await asyncio.sleep(0.1)


async def _is_not_closed(process: Process, key: str) -> bool:
    return (await chat(process, key, max_tokens=1)).status != 503


async def _admitted(process: Process, key: str) -> int:
    """Call until the budget says no; what that has cost."""
    spent = 0
    for _ in range(200):
        answer = await chat(process, key, **WORST)
        if answer.status == 429:
            return spent
        assert answer.status == 200
        spent += answer.json["usage"]["completion_tokens"] * 1_000
    raise AssertionError("the budget has no end")


async def test_l1_a_hundred_calls_on_a_budget_for_ten_over_three_gateways(
    serve: Serve, redis_server: RedisServer
) -> None:
    """At most ten are admitted, and ten where all are under way together; the rest are told that the budget is exceeded."""
    processes = [await asyncio.to_thread(serve, redis_server.url) for _ in range(3)]
    key = await asyncio.to_thread(key_of, processes[0], "--budget", "0.01usd")
    for process in processes:
        await until(lambda process=process: _is_not_closed(process, key + "x"), 5.0)  # type: ignore[misc]

    answers = await asyncio.gather(*(chat(processes[n % 3], key, model="slow", **WORST) for n in range(100)))

    statuses = [answer.status for answer in answers]
    refused = [answer.json["error"]["code"] for answer in answers if answer.status == 429]
    print({status: statuses.count(status) for status in set(statuses)})
    assert statuses.count(200) == 10
    assert statuses.count(200) + statuses.count(429) + statuses.count(503) == 100
    assert set(refused) == {"budget_exceeded"}


async def test_l14_waiting_as_told_succeeds_at_another_gateway(serve: Serve, redis_server: RedisServer) -> None:
    """`Retry-After` of one gateway holds at the other, and the headers of both say the same."""
    processes = [await asyncio.to_thread(serve, redis_server.url) for _ in range(2)]
    key = await asyncio.to_thread(key_of, processes[0], "--rpm", "30")
    answers = [await chat(processes[n % 2], key) for n in range(31)]
    refused = answers[30]
    if refused.status == 200:  # the pace let one more in meanwhile
        refused = await chat(processes[1], key)

    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers[:3]] == ["29", "28", "27"]
    assert refused.status == 429
    await asyncio.sleep(float(refused.headers["retry-after"]))
    assert (await chat(processes[1], key)).status == 200


# --- at the adapter, with the server for itself ---

Join = Callable[..., RedisState]


@pytest.fixture
async def join(redis_server: RedisServer) -> AsyncIterator[Join]:
    """Take part in the state of the server."""
    joined: list[RedisState] = []

    def begin(**rest: Any) -> RedisState:
        async def spent(scope: str, since_ns: int) -> int:
            return 0

        async def booked(call_id: str, attempt: int, reserved_nanousd: int) -> int | None:
            return None

        given = {"clock": CLOCK, "store": "s", "seed_spent": spent, "booked": booked} | rest
        clock = given.pop("clock")
        joined.append(RedisState(dialer(given.pop("url", redis_server.url)), clock, **given))
        return joined[-1]

    yield begin
    for each in joined:
        await each.aclose()


def hold(call_id: str, amount: int, limit: int = 100) -> Hold:
    budget = Budget(scope="key:a", limit_nanousd=limit, window="total")
    return Hold(call_id=call_id, attempt=1, budgets=(budget,), amount_nanousd=amount, at_ns=CLOCK.now_ns())


async def takes(state: RedisState, asked: Hold) -> bool:
    try:
        await state.ledger.reserve(asked)
    except BudgetExceeded:
        return False
    return True


async def takes_at_last(state: RedisState, asked: Hold) -> bool:
    try:
        return await takes(state, asked)
    except StateUnavailable:
        return False


async def passes(state: RedisState, *claims: Claim) -> bool:
    try:
        await state.limits.acquire(list(claims))
    except RateLimited:
        return False
    return True


def requests(limit: int, scope: str = "key:a") -> Claim:
    return Claim(rate=Rate(scope=scope, kind="requests", limit=limit))


async def test_l6_a_settlement_whose_answer_was_lost_is_charged_once(redis_server: RedisServer, join: Join) -> None:
    """It is sent again when the server goes on, which then has both."""
    state = join()
    await state.ledger.reserve(hold("a", 100))
    redis_server.freeze()
    state.ledger.settle("a", 1, 30)
    await asyncio.sleep(0.5)
    redis_server.thaw()

    await until(lambda: takes_at_last(state, hold("b", 70)), 5.0)
    assert not await takes(state, hold("c", 1))


async def test_l10_a_server_clock_that_is_set_makes_no_burst_and_locks_nobody_out(join: Join) -> None:
    """An hour forward or back: never more than the limit at once, and nobody waits longer than a minute."""
    clock_us = [CLOCK.now_ns() // 1_000]
    state = join(moment=lambda: str(clock_us[0]))

    for step_s in (3_600, -7_200, 3_600, -1):
        assert sum([await passes(state, requests(10)) for _ in range(20)]) <= 10
        clock_us[0] += step_s * 1_000_000
        assert sum([await passes(state, requests(10)) for _ in range(20)]) <= 10
        clock_us[0] += 60_000_000
        assert sum([await passes(state, requests(10)) for _ in range(20)]) == 10


class Skewed:
    """A machine whose clock goes wrong."""

    def __init__(self, seconds: float) -> None:
        self._off_ns = round(seconds * 1e9)

    def now_ns(self) -> int:
        return CLOCK.now_ns() + self._off_ns

    def monotonic_ns(self) -> int:
        return CLOCK.monotonic_ns() + self._off_ns

    async def sleep(self, seconds: float) -> None:
        await CLOCK.sleep(seconds)

    def timer(self, seconds: float, callback: Callable[[], None]) -> Timer:
        return CLOCK.timer(seconds, callback)


async def test_l11_machines_whose_clocks_differ_count_as_one(join: Join) -> None:
    """Five seconds before and behind: the limit and the budget of all together are exact."""
    clocks: list[Clock] = [Skewed(-5.0), CLOCK, Skewed(5.0)]
    states = [join(clock=clock) for clock in clocks]
    began = time.monotonic()

    asked = [requests(30), Claim(rate=Rate(scope="key:a", kind="concurrency", limit=50))]
    passed = await asyncio.gather(*(passes(states[n % 3], *asked) for n in range(120)))
    taken = await asyncio.gather(*(takes(states[n % 3], hold(f"c{n}", 10)) for n in range(60)))

    leaked = int((time.monotonic() - began) / 2) + 1
    assert 30 <= sum(passed) <= 30 + leaked
    assert sum(taken) == 10


async def test_l13_one_scope_that_refuses_takes_nothing_at_the_others(join: Join) -> None:
    """Key, team and model from two processes: what the model refuses is there for others of key and team."""
    states = [join(), join()]
    assert await passes(states[0], requests(1, "model:m"))
    for n in range(40):
        assert not await passes(states[n % 2], requests(20, "key:a"), requests(20, "team:t"), requests(1, "model:m"))

    passed = [await passes(states[n % 2], requests(20, "key:a"), requests(20, "team:t")) for n in range(20)]
    assert all(passed)


async def test_l13_one_budget_that_refuses_takes_nothing_of_the_others(join: Join) -> None:
    """Nor does it leave a reservation behind."""
    states = [join(), join()]
    wide = Budget(scope="key:a", limit_nanousd=100, window="total")
    narrow = Budget(scope="team:t", limit_nanousd=5, window="day")
    for n in range(20):
        asked = Hold(call_id=f"c{n}", attempt=1, budgets=(wide, narrow), amount_nanousd=6, at_ns=CLOCK.now_ns())
        assert not await takes(states[n % 2], asked)

    assert await takes(states[0], hold("a", 100))


async def test_d4_a_server_that_is_full_or_a_replica_or_lets_nobody_in(redis_server: RedisServer, join: Join) -> None:
    """Limits go by the share, budgets fail closed; each is over when the server is well again."""
    state = join()
    assert await takes(state, hold("a", 1))
    troubles = (
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    )
    for number, (trouble, remedy) in enumerate(troubles):
        redis_server.command(*trouble)
        with pytest.raises(StateUnavailable):
            await state.ledger.reserve(hold(f"b{number}", 1))
        assert await passes(state, requests(10))
        await asyncio.sleep(0.5)
        assert state.degraded["limits"] == "local"
        redis_server.command(*remedy)
        await until(lambda number=number: takes_at_last(state, hold(f"c{number}", 1)), 5.0)  # type: ignore[misc]


async def test_d4_in_a_cluster_the_node_that_has_the_keys_is_found(
    redis_servers: Callable[..., RedisServer], join: Join
) -> None:
    """`MOVED` is followed, for a call that met it too; all keys of a call lie on one node."""
    nodes = [redis_servers("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf") for _ in range(2)]
    nodes[1].command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
    nodes[0].command("CLUSTER", "MEET", "127.0.0.1", str(nodes[1].port))

    async def knows() -> bool:
        return nodes[0].command("SET", "{fairlead}:x", "1").startswith(b"-MOVED")

    await until(knows, 20.0)
    state = join(url=nodes[0].url)

    await until(lambda: takes_at_last(state, hold("a", 60)), 5.0)
    assert not await takes(state, hold("b", 41))
    assert await passes(state, requests(10), requests(10, "team:t"))
    assert state.degraded == {}
