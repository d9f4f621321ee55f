"""The state of many machines: exact together, none the worse for one that dies, and put together again when it is lost."""

from __future__ import annotations

import asyncio
import inspect
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis.exceptions
from fakeredis import FakeServer
from fakeredis.aioredis import FakeAsyncRedisConnection
from redis.asyncio import ConnectionPool

from fairlead.errors import BudgetExceeded, ConfigError, RateLimited, StateUnavailable
from fairlead.ports import Claim, Hold
from fairlead.stores import redis_state_faults as faults
from fairlead.stores.redis_state import RedisState, dialer
from fairlead.stores.redis_state_link import DEADLINE_S, Wire
from fairlead.stores.redis_state_scripts import BORN, TAG
from fairlead.stores.system import SystemClock
from fairlead.testing import VirtualClock
from fairlead.types import Budget, Rate
from redis_clients import EPOCH_US, SlowClock

Join = Callable[..., RedisState]


@pytest.fixture
def time() -> VirtualClock:
    return VirtualClock(autojump=False)


class Server:
    """A server in this process, and how often it was written to."""

    def __init__(self) -> None:
        self._pool: Any = ConnectionPool(
            connection_class=FakeAsyncRedisConnection, server=FakeServer(), driver_info=None
        )
        self.sent: list[bytes] = []
        self.is_up = True

    def dial(self) -> Wire:
        connection = self._pool.make_connection()
        send, connect = connection.send_packed_command, connection.connect

        async def connected() -> None:
            if not self.is_up:
                raise redis.exceptions.ConnectionError
            await connect()

        async def counted(command: Any, *, check_health: bool = True) -> None:
            if not self.is_up:
                raise redis.exceptions.ConnectionError
            if isinstance(command, bytes):
                self.sent.append(command)
            await send(command, check_health=check_health)

        connection.connect, connection.send_packed_command = connected, counted
        wire: Wire = connection
        return wire

    async def command(self, *words: str) -> Any:
        connection = self._pool.make_connection()
        await connection.connect()
        await connection.send_command(*words)
        answer = await connection.read_response()
        await connection.disconnect()
        return answer


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def join(server: Server, time: VirtualClock) -> AsyncIterator[Join]:
    """Take part; `spent` and `booked` are what the store says of every scope and call."""
    joined: list[RedisState] = []

    def begin(*, store: str = "here", spent: int = 0, booked: int | None = None, **rest: Any) -> RedisState:
        async def seed(scope: str, since_ns: int) -> int:
            return spent

        async def ask(call_id: str, attempt: int, reserved_nanousd: int) -> int | None:
            return booked

        given = {"dial": server.dial, "clock": SlowClock(time), "seed_spent": seed, "booked": ask, "store": store}
        given["moment"] = lambda: str(EPOCH_US + time.monotonic_ns() // 1_000)
        joined.append(RedisState(**(given | rest)))
        return joined[-1]

    yield begin
    for state in joined:
        await state.aclose()


def running(limit: int) -> Claim:
    return Claim(rate=Rate(scope="key:a", kind="concurrency", limit=limit))


def requests(limit: int, scope: str = "key:a") -> Claim:
    return Claim(rate=Rate(scope=scope, kind="requests", limit=limit))


def hold(call_id: str, amount: int, limit: int = 100, lease_s: float = 600.0) -> Hold:
    budget = Budget(scope="key:a", limit_nanousd=limit, window="total")
    return Hold(call_id=call_id, attempt=1, budgets=(budget,), amount_nanousd=amount, at_ns=10**18, lease_s=lease_s)


async def takes(state: RedisState, asked: Hold) -> bool:
    try:
        await state.ledger.reserve(asked)
    except BudgetExceeded:
        return False
    return True


async def passes(state: RedisState, *claims: Claim) -> bool:
    try:
        await state.limits.acquire(list(claims))
    except RateLimited:
        return False
    return True


async def die(state: RedisState) -> None:
    """End as by kill -9: nothing is said to the server."""
    (place,) = state._places.values()
    place.link._task.cancel()
    await asyncio.wait({place.link._task})


async def until(ask: Callable[[], Any], seconds: float = 5.0) -> None:
    ends = asyncio.get_running_loop().time() + seconds
    while not await ask():
        assert asyncio.get_running_loop().time() < ends, "it did not come true in time"
        await asyncio.sleep(0.02)


# --- what errors mean ---

ERRORS = [
    kind
    for _, kind in inspect.getmembers(redis.exceptions, inspect.isclass)
    if issubclass(kind, Exception) and kind.__module__ == "redis.exceptions"
]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_d4_every_error_of_redis_py_has_a_meaning_of_its_own(kind: type[Exception]) -> None:
    """None falls to its base class by chance."""
    assert kind.__name__ in faults.FAULTS


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (redis.exceptions.MovedError("1 127.0.0.1:7000"), faults.ELSEWHERE),
        (redis.exceptions.AskError("1 127.0.0.1:7000"), faults.NOT_READY),
        (redis.exceptions.ReadOnlyError("You can't write against a read only replica."), faults.ELSEWHERE),
        (redis.exceptions.OutOfMemoryError("command not allowed"), faults.FULL),
        (redis.exceptions.BusyLoadingError("Redis is loading the dataset in memory"), faults.NOT_READY),
        (redis.exceptions.NoScriptError("No matching script."), faults.UNSCRIPTED),
        (redis.exceptions.TimeoutError("Timeout reading"), faults.SLOW),
        (redis.exceptions.ConnectionError("Connection reset"), faults.UNREACHABLE),
        (redis.exceptions.AuthenticationError("invalid username-password pair"), faults.DENIED),
        (redis.exceptions.ResponseError("MISCONF Redis is configured to save RDB snapshots"), faults.FULL),
        (redis.exceptions.ResponseError("BUSY Redis is busy running a script"), faults.NOT_READY),
        (redis.exceptions.ResponseError("user_script:1: attempt to index nil"), faults.REJECTED),
        (TimeoutError(), faults.SLOW),
        (ConnectionResetError(), faults.UNREACHABLE),
        (ssl.SSLError(1, "handshake"), faults.UNREACHABLE),
        (EOFError(), faults.UNREACHABLE),
        (ValueError(), faults.REJECTED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_d4_errors_are_classified(error: Exception, fault: faults.Fault) -> None:
    """By class, and by the first word of what redis-py has no class for."""
    assert faults.classify(error) is fault


def test_what_is_no_address_is_refused_with_an_example() -> None:
    """Before anything is connected."""
    with pytest.raises(ConfigError, match="redis://HOST:6379/0"):
        dialer("http://localhost")


@pytest.mark.parametrize("scheme", ["redis", "valkey", "rediss", "valkeys"])
def test_both_servers_have_the_same_addresses(scheme: str) -> None:
    """`valkey:` is `redis:`, and an `s` is TLS."""
    wire = dialer(f"{scheme}://127.0.0.1:7000/3")()
    assert (wire.host, wire.port) == ("127.0.0.1", 7000)
    assert ("SSL" in type(wire).__name__) == (scheme in {"rediss", "valkeys"})


# --- counting together ---


async def test_processes_count_together(join: Join) -> None:
    """Requests, calls at one time and money."""
    first, second = join(), join()
    answers = [await passes(state, requests(10), running(6)) for state in (first, second) * 5]
    assert sum(answers) == 6
    assert await takes(first, hold("a", 60))
    assert not await takes(second, hold("b", 41))
    first.ledger.settle("a", 1, 10)
    await until(lambda: takes(second, hold("c", 90)))


async def test_a_turn_of_the_loop_is_one_round_trip(join: Join, server: Server) -> None:
    """Fifty calls that ask at once are asked about together, and a call waits for the server twice."""
    state = join()
    await state.limits.acquire([requests(1_000)])
    await asyncio.gather(*(state.limits.acquire([requests(1_000)]) for _ in range(50)))
    assert await takes(state, hold("warm", 1))
    server.sent.clear()
    await asyncio.gather(*(state.limits.acquire([requests(1_000), running(100)]) for _ in range(50)))
    assert len(server.sent) == 1
    claims = [requests(1_000), running(100)]
    await state.limits.acquire(claims)
    await state.ledger.reserve(hold("a", 1))
    assert len(server.sent) == 3
    state.ledger.settle("a", 1, 1)
    state.limits.release(claims, None)
    await asyncio.sleep(0.05)
    assert len(server.sent) == 4


async def test_all_keys_are_on_one_node_and_go_away_by_themselves(join: Join, server: Server) -> None:
    """They share a hash tag, and each has an end."""
    state = join()
    for n in range(3):
        await state.limits.acquire([requests(10, f"user:{n}"), running(5)])
    assert await takes(state, hold("a", 10))
    assert await takes(state, hold("b", 10))
    state.ledger.settle("b", 1, 5)
    await asyncio.sleep(0.05)
    keys = await server.command("KEYS", "*")
    assert len(keys) >= 8
    for key in keys:
        assert key.startswith(TAG.encode())
        assert await server.command("PTTL", key.decode()) > 0, key


async def test_money_is_exact_beyond_what_a_double_holds(join: Join) -> None:
    """A budget of more than 2^53 nano-dollars has room for exactly one more."""
    state = join(spent=2**60)
    assert not await takes(state, hold("a", 3, limit=2**60 + 2))
    assert await takes(state, hold("b", 2, limit=2**60 + 2))
    assert not await takes(state, hold("c", 1, limit=2**60 + 2))


async def test_what_each_store_knows_adds_up_and_counts_once(join: Join) -> None:
    """Two gateways on one store read it once; one with a store of its own comes on top."""
    states = [join(spent=30), join(spent=30), join(spent=50, store="there")]
    assert not await takes(states[0], hold("a", 71))
    assert not await takes(states[1], hold("b", 71))
    assert not await takes(states[2], hold("c", 21))
    assert await takes(states[1], hold("d", 20))


async def test_a_caller_that_leaves_while_it_is_decided_takes_nothing(join: Join) -> None:
    """Whether the answer came before or after it left."""
    state = join()
    for turns in range(100):
        claims = [running(2)]
        asking = asyncio.ensure_future(state.limits.acquire(claims))
        for _ in range(turns % 12):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait({asking})
        if not asking.cancelled():
            state.limits.release(claims, None)
    await asyncio.sleep(0.05)
    assert [await passes(state, running(2)) for _ in range(3)] == [True, True, False]


# --- who dies, and who leaves ---


async def test_calls_of_a_dead_process_come_back_after_its_lease(join: Join, time: VirtualClock) -> None:
    """And not before; who tells of itself keeps its own for as long as it likes."""
    dead, alive = join(), join()
    assert await passes(dead, running(2))
    assert await passes(alive, running(2))
    await die(dead)

    await time.advance(29)
    assert not await passes(alive, running(2))
    await time.advance(2)
    assert await passes(alive, running(2))
    await time.advance(3_600)
    assert not await passes(alive, running(2))


async def test_l5_what_a_dead_process_held_is_charged_as_the_store_says(join: Join, time: VirtualClock) -> None:
    """Of 60 held 25 had been spent; nobody can spend the 60 a second time before that is known."""
    dead, alive = join(), join(booked=25)
    assert await takes(dead, hold("a", 60))
    await die(dead)
    assert not await takes(alive, hold("b", 75))
    await time.advance(31)
    await until(lambda: takes(alive, hold("c", 75)))
    assert not await takes(alive, hold("d", 1))


async def test_l5_what_nobody_can_tell_of_is_charged_in_full_when_its_lease_ends(
    join: Join, time: VirtualClock
) -> None:
    """Once."""
    dead, alive = join(), join(booked=None)
    assert await takes(dead, hold("a", 60, lease_s=100.0))
    await die(dead)
    for _ in range(5):
        await time.advance(31)
        assert not await takes(alive, hold("b", 41))
    assert await takes(alive, hold("c", 40))


async def test_who_leaves_gives_back_its_calls_at_once(join: Join) -> None:
    """And what it has settled is written down."""
    leaving, staying = join(), join()
    assert await passes(leaving, running(1))
    assert await takes(leaving, hold("a", 100))
    leaving.ledger.settle("a", 1, 40)
    await leaving.aclose()
    await leaving.aclose()
    assert await passes(staying, running(1))
    assert not await takes(staying, hold("b", 61))
    assert await takes(staying, hold("c", 60))


# --- what is lost, and found again ---


async def test_d3_after_flushall_budgets_come_from_the_records_and_from_who_holds_what(
    join: Join, server: Server
) -> None:
    """What was spent, what is reserved and the calls under way: all are counted again."""
    state = join(spent=30)
    assert await takes(state, hold("a", 50))
    assert await passes(state, running(1))
    await server.command("FLUSHALL")

    assert not await takes(state, hold("b", 21))
    assert await takes(state, hold("c", 20))
    assert not await passes(state, running(1))
    state.ledger.settle("a", 1, 40)
    await until(lambda: takes(state, hold("d", 10)))


async def test_d3_after_flushall_nobody_spends_before_all_have_told_what_they_hold(
    join: Join, server: Server, time: VirtualClock
) -> None:
    """With several processes budgets are closed for three seconds, in which each tells of itself."""
    first, second = join(), join()
    assert await takes(first, hold("a", 60))
    assert await takes(second, hold("b", 10))
    await time.advance(1)
    assert await passes(first, requests(10))  # and with it the first has heard of the second
    await server.command("FLUSHALL")

    with pytest.raises(StateUnavailable, match="put together again"):
        await first.ledger.reserve(hold("c", 1))
    await time.advance(1)
    assert await passes(second, requests(10))
    await asyncio.sleep(0.1)
    await time.advance(3)
    assert not await takes(first, hold("d", 31))
    assert await takes(second, hold("e", 30))


async def test_d3_scripts_that_are_gone_are_sent_again(join: Join, server: Server) -> None:
    """Nobody notices."""
    state = join()
    assert await passes(state, requests(10))
    await server.command("SCRIPT", "FLUSH")
    assert await passes(state, requests(10))
    assert await takes(state, hold("a", 1))
    assert not any(b"SCRIPT" in sent and b"LOAD" in sent for sent in server.sent)
    assert state.degraded == {}


async def test_another_state_has_another_name(join: Join, server: Server) -> None:
    """By which a process knows that what it knew is lost."""
    state = join()
    assert await passes(state, requests(10))
    before = await server.command("HGET", BORN, "id")
    await server.command("FLUSHALL")
    assert await takes(state, hold("a", 1))
    assert await server.command("HGET", BORN, "id") != before


# --- a server that does not answer ---


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """The address of one that takes connections and says nothing."""
    writers: list[asyncio.StreamWriter] = []

    async def listen(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    listening = await asyncio.start_server(listen, "127.0.0.1", 0)
    yield f"redis://127.0.0.1:{listening.sockets[0].getsockname()[1]}/0"
    listening.close()
    for writer in writers:
        writer.transport.abort()


async def test_d2_nobody_waits_for_a_silent_server_longer_than_the_deadline(join: Join, silent: str) -> None:
    """The first callers wait 50 ms, all later ones not at all; limits are local, budgets closed."""
    state = join(dial=dialer(silent), clock=SystemClock(), moment=str)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await passes(state, requests(1))
    assert DEADLINE_S * 0.9 < loop.time() - began < DEADLINE_S + 0.1
    began = loop.time()
    assert not await passes(state, requests(1))
    with pytest.raises(StateUnavailable):
        await state.ledger.reserve(hold("a", 1))
    assert loop.time() - began < DEADLINE_S
    assert state.degraded == {"limits": "local", "budgets": "closed"}


async def test_d1_a_refused_connection_opens_the_breaker_at_once(join: Join, unused_port: int) -> None:
    """And calls under way end in peace."""
    state = join(dial=dialer(f"redis://127.0.0.1:{unused_port}/0"), clock=SystemClock(), moment=str)
    claims = [requests(2), running(1)]
    await state.limits.acquire(claims)
    with pytest.raises(RateLimited):
        await state.limits.acquire([running(1)])
    state.limits.release(claims, None)
    assert await passes(state, running(1))
    assert state.degraded["budgets"] == "closed"
    state.ledger.settle("nobody", 1, 5)


async def test_d1_a_server_that_goes_away_is_told_of_once(
    join: Join, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection breaks first, and then there is no other: why stands in the log, and when it is over."""
    caplog.set_level("INFO")
    state = join(clock=SystemClock())

    async def is_open() -> bool:
        try:
            return await takes(state, hold("a", 1))
        except StateUnavailable:
            return False

    await until(is_open)
    server.is_up = False
    assert not await is_open()
    await asyncio.sleep(0.3)
    assert not await is_open()
    server.is_up = True
    await until(is_open)
    assert [each.levelname for each in caplog.records] == ["WARNING", "INFO"]


@pytest.fixture
async def unused_port() -> int:
    listening = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port: int = listening.sockets[0].getsockname()[1]
    listening.close()
    await listening.wait_closed()
    return port


async def test_each_process_has_its_share_while_nobody_can_be_asked(
    join: Join, server: Server, time: VirtualClock
) -> None:
    """The limit and the burst divided by the processes there were."""
    first, second = join(), join()
    assert await passes(first, requests(10))
    assert await passes(second, requests(10))
    await time.advance(1)
    assert await passes(first, requests(10))
    (place,) = first._places.values()
    assert place.processes == 2
    place.link.failing = True

    (standing,) = await first.limits.acquire([requests(10)])
    assert (standing.limit, standing.remaining) == (5, 4)
    burst = Rate(scope="key:b", kind="tokens", limit=100, burst=10)
    (standing,) = await first.limits.acquire([Claim(rate=burst, amount=2)])
    assert (standing.limit, standing.remaining) == (50, 3)
    place.link.failing = False
