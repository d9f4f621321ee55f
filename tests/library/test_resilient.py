from __future__ import annotations

import asyncio
import functools
import inspect
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from google.genai import errors as genai

import fairlead
from fairlead import CircuitOpen, Retry, resilient
from fairlead.core.breaker import Policy
from fairlead.errors import FairleadError, UpstreamError
from fairlead.testing import SeededRng, VirtualClock, virtual_run

S = 1_000_000_000
URL = "https://api.example/v1"


@functools.cache
def _client() -> openai.OpenAI:
    return openai.OpenAI(api_key="none", base_url=URL)


def status(code: int, body: Any = None, **headers: str) -> openai.APIStatusError:
    """OpenAI's exception for a status."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = httpx2.Request("POST", URL)
    return _client()._make_status_error_from_response(
        httpx2.Response(code, headers=named, json=body or {}, request=request)
    )


class Always:
    """An `Rng` that always says the same."""

    def __init__(self, value: float) -> None:
        self.value = value

    def random(self) -> float:
        return self.value

    def token(self, size: int) -> bytes:
        return bytes(size)


class World:
    """Virtual time for functions with and without `async`, and a record of all waits."""

    def __init__(self, *, random: float = 0.5) -> None:
        self.clock = VirtualClock()
        self.rng = Always(random)
        self.waits: list[float] = []
        self.retries: list[Retry] = []

    def sleep(self, seconds: float) -> None:
        self.clock.jump(self.clock.monotonic_ns() + round(seconds * S))

    def noted(self, retry: Retry) -> None:
        self.waits.append(retry.wait_s)
        self.retries.append(retry)

    def protect(self, function: Callable[..., Any], *args: Any, **options: Any) -> Callable[..., Any]:
        seams = {"clock": self.clock, "rng": self.rng, "sleep": self.sleep, "on_retry": self.noted}
        return resilient(*args, **{**seams, **options})(function)


class Script:
    """A function that raises and returns what it was given, one after the other; the last for ever."""

    def __init__(self, *acts: Any) -> None:
        self.acts = list(acts)
        self.calls = 0

    def __call__(self) -> Any:
        act = self.acts[min(self.calls, len(self.acts) - 1)]
        self.calls += 1
        if isinstance(act, BaseException):
            raise act
        return act


def as_async(script: Script) -> Callable[[], Any]:
    """The same with `async`."""

    async def call() -> Any:
        return script()

    return call


def as_sdk_method(script: Script) -> Callable[[], Any]:
    """A plain function that returns a coroutine, as a decorated method of an SDK's client is."""
    return functools.wraps(as_async(script))(lambda: as_async(script)())  # noqa: PLW0108


SHAPES = {"sync": lambda script: script.__call__, "async": as_async, "returns a coroutine": as_sdk_method}


@pytest.fixture(params=list(SHAPES))
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Protect a script in one of its shapes, and call it to its end."""

    def runner(world: World, script: Script, *args: Any, times: int = 1, **options: Any) -> Any:
        protected = world.protect(SHAPES[request.param](script), *args, **options)
        outcomes: list[Any] = []

        def end(act: Callable[[], Any]) -> None:
            try:
                outcomes.append(act())
            except Exception as error:  # noqa: BLE001 - outcomes are compared by the tests
                outcomes.append(error)

        async def call() -> Any:
            return await protected()

        for _ in range(times):
            end(protected if request.param == "sync" else lambda: virtual_run(call(), world.clock))
        return outcomes[0] if times == 1 else outcomes

    return runner


def test_a_result_comes_out(run: Any) -> None:
    """What works is called once."""
    world, script = World(), Script("hello")
    assert run(world, script) == "hello"
    assert (script.calls, world.waits) == (1, [])
    assert run(world, script, breaker=None, budget=False) == "hello"


def test_failures_are_tried_again(run: Any) -> None:
    """Two failures, then the answer; the waits are jittered below bounds that double."""
    world, script = World(random=0.5), Script(status(503), openai.APITimeoutError(httpx2.Request("POST", URL)), "hello")
    assert run(world, script) == "hello"
    assert script.calls == 3
    assert world.waits == [0.5, 1.0]
    assert [retry.tries for retry in world.retries] == [1, 2]
    assert isinstance(world.retries[0].error, openai.InternalServerError)


def test_max_retries_counts_all_tries(run: Any) -> None:
    """With 5, the function is called 5 times, and the SDK's own exception comes out, with a note."""
    error = status(503)
    world, script = World(random=0.75), Script(error)
    assert run(world, script) is error
    assert script.calls == 5
    assert world.waits == [0.75, 1.5, 3.0, 6.0]
    assert error.__notes__ == ["fairlead: 5 tries in 11.2 s; these are all of `max_retries`"]
    assert error.__cause__ is None
    assert error.__context__ is None


def test_the_delay_has_a_bound(run: Any) -> None:
    """`base_delay` doubles up to `max_delay`."""
    world = World(random=0.5)
    run(world, Script(status(503)), 7, 2, 10, budget=False, breaker=None)
    assert world.waits == [1, 2, 4, 5, 5, 5]


@pytest.mark.parametrize("error", [status(400), status(401), status(404), status(422), ValueError("x")])
def test_u8_other_errors_come_out_at_once(run: Any, error: Exception) -> None:
    """U8: nothing else is tried again, and nothing is added to it."""
    world, script = World(), Script(error)
    assert run(world, script) is error
    assert script.calls == 1
    assert not hasattr(error, "__notes__")


def test_u6_an_exhausted_quota_comes_out_at_once(run: Any) -> None:
    """U6: with a note that says why, as its status is that of a rate limit."""
    error = status(429, {"error": {"code": "insufficient_quota"}})
    assert run(World(), script := Script(error)) is error
    assert script.calls == 1
    assert error.__notes__ == ["fairlead: 1 try in 0.0 s; the account has no quota left"]


def test_u4_a_hint_is_waited_for(run: Any) -> None:
    """U4: never earlier than the provider asks, and a little jitter later."""
    world = World(random=0.5)
    assert run(world, Script(status(429, retry_after="7"), "hello")) == "hello"
    assert world.waits == [7.5]


def test_u5_geminis_hint_is_waited_for(run: Any) -> None:
    """U5: `retryDelay` of the body."""
    body = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "52s"}]}}
    world = World(random=0.5)
    assert run(world, Script(genai.ClientError(429, body), "hello")) == "hello"
    assert world.waits == [52.5]


def test_a_hint_is_cut_to_the_longest_wait(run: Any) -> None:
    """Nobody waits a day because a header says so."""
    world = World()
    assert run(world, Script(status(429, retry_after="86400"), "hello")) == "hello"
    assert world.waits == [60]


def test_a_hint_beyond_the_deadline_fails_at_once(run: Any) -> None:
    """Waiting less than was asked for would only fail later."""
    error = status(429, retry_after="86400")
    world, script = World(), Script(error, "hello")
    assert run(world, script, deadline_s=3_600) is error
    assert (script.calls, world.waits) == (1, [])
    assert error.__notes__ == ["fairlead: 1 try in 0.0 s; the next would begin after `deadline_s`"]


def test_no_try_begins_after_the_deadline(run: Any) -> None:
    """The waits so far count."""
    error = status(503)
    world = World(random=0.5)
    assert run(world, Script(error), deadline_s=3.4) is error
    assert world.waits == [0.5, 1.0]
    assert "3 tries in 1.5 s" in error.__notes__[0]


def test_x_should_retry_false_is_obeyed(run: Any) -> None:
    """The provider knows best."""
    world, script = World(), Script(status(503, x_should_retry="false"), "hello")
    assert isinstance(run(world, script), openai.InternalServerError)
    assert script.calls == 1


def test_the_budget_keeps_retries_few(run: Any) -> None:
    """A hundred calls that fail at one moment are tried again about twenty times."""
    script = Script(status(503))
    outcomes = run(World(), script, base_delay=0, breaker=None, times=100)
    assert script.calls <= 1.2 * 100 + 3
    assert script.calls >= 120
    assert outcomes[-1].__notes__[0].endswith("in 0.0 s; the retry budget is empty")


def test_the_breaker_opens_and_closes_again(run: Any) -> None:
    """After failures in a row nothing is called; then one call finds out, and three good ones close it."""
    world = World()
    script = Script(*[status(503)] * 5, "well")
    outcomes = run(world, script, 1, times=6)
    assert [type(each) for each in outcomes] == [openai.InternalServerError] * 5 + [CircuitOpen]
    assert script.calls == 5
    refused = outcomes[-1]
    assert isinstance(refused, UpstreamError)
    assert (refused.code, refused.retryable, refused.retry_after_s) == ("circuit_open", True, 15.0)
    assert "tried again in 15.0 s" in str(refused)


def test_an_open_breaker_lets_probes_through(run: Any) -> None:
    """When its time is over, calls go again."""
    world = World()
    script = Script(*[status(503)] * 5, "well")

    def sometimes() -> Any:
        if script.calls == 5:
            world.sleep(15)
        return script()

    again = world.protect(sometimes, 1)
    for _ in range(5):
        with pytest.raises(openai.InternalServerError):
            again()
    with pytest.raises(CircuitOpen):
        again()
    world.sleep(15)
    assert [again() for _ in range(20)] == ["well"] * 20
    run(World(), Script("well"))


def test_an_opening_ends_the_retries(run: Any) -> None:
    """A call whose own failure opens it does not wait for what would be refused; its exception is the SDK's."""
    error = status(503)
    world, script = World(), Script(error)
    assert run(world, script, breaker=Policy(consecutive=2)) is error
    assert script.calls == 2
    assert error.__notes__ == ["fairlead: 2 tries in 0.5 s; the circuit is open"]


async def test_an_opening_during_a_wait_ends_the_retries() -> None:
    """Calls come back from their waits, find it opened by another, and raise the exceptions that they waited after."""
    clock = VirtualClock(autojump=False)
    calls = [0]

    async def provider() -> None:
        calls[0] += 1
        raise status(503)

    protected = World().protect(provider, clock=clock)
    tasks = [asyncio.create_task(protected()) for _ in range(5)]
    await clock.settle()
    assert [task.done() for task in tasks] == [False] * 3 + [True] * 2, "the fourth finds the budget empty"
    await clock.advance(1)
    ended = [raise_of(task.result) for task in tasks]
    assert all(isinstance(error, openai.InternalServerError) for error in ended)
    assert [error.__notes__[0].split("; ")[1] for error in ended] == [
        *["the circuit is open"] * 3,
        "the retry budget is empty",
        "the circuit is open",
    ]
    assert calls == [5]


def raise_of(act: Callable[[], Any]) -> Exception:
    """What `act` raises."""
    try:
        act()
    except Exception as error:  # noqa: BLE001 - compared by the test
        return error
    pytest.fail("nothing was raised")


def test_a_callers_mistakes_do_not_open_the_breaker(run: Any) -> None:
    """Nor do rate limits, or exceptions of the application."""
    world = World()
    for error in (status(400), status(401), status(429), ValueError("x")):
        outcomes = run(world, Script(error), 1, times=50)
        assert not any(isinstance(each, CircuitOpen) for each in outcomes)


@pytest.mark.parametrize("off", [None, False])
def test_without_a_breaker_everything_is_called(run: Any, off: Any) -> None:
    """`breaker=None` for jobs that rather wait."""
    script = Script(status(503))
    run(World(), script, 1, breaker=off, times=50)
    assert script.calls == 50


def test_slow_answers_can_open_the_breaker() -> None:
    """With `slow_s`, answers that take so long count as failures."""
    world = World()

    def slow() -> str:
        world.sleep(31)
        return "late"

    protected = world.protect(slow, breaker=Policy(slow_s=30))
    for _ in range(5):
        assert protected() == "late"
    with pytest.raises(CircuitOpen):
        protected()


def test_another_layer_below_is_not_retried() -> None:
    """When an inner protected function has an open circuit, the outer one does not wait for it."""
    world = World()
    inner = world.protect(Script(status(503)), 1)
    outer = world.protect(inner, 3)
    for _ in range(5):
        raise_of(inner)
    assert isinstance(raise_of(outer), CircuitOpen)
    assert world.waits == []


def test_the_last_note_holds() -> None:
    """An exception object that is raised again and again does not collect notes; other people's stay."""
    error = status(503)
    error.add_note("mine")
    again = World().protect(Script(error), 2)
    for _ in range(2):
        assert raise_of(again) is error
    assert len(error.__notes__) == 2
    assert error.__notes__[0] == "mine"


def test_u18_a_storm_is_kept_small() -> None:
    """U18: 200 calls a second on a dead provider for a minute: attempts stay within 1.2 of the calls and two floors for
    each 10 s, the breaker opens within 2 s, and the provider is used again within an open interval once it is well."""
    world = World()
    dead_until_ns = world.clock.monotonic_ns() + 60 * S
    attempts: list[int] = []

    async def provider() -> str:
        attempts.append(world.clock.monotonic_ns())
        await world.clock.sleep(0.05)
        if world.clock.monotonic_ns() < dead_until_ns:
            raise status(503)
        return "well"

    async def storm() -> list[Any]:
        protected = world.protect(provider, rng=SeededRng(1))
        async with asyncio.TaskGroup() as group:
            tasks = []
            for _ in range(200 * 160):
                tasks.append((world.clock.monotonic_ns(), group.create_task(one(protected))))
                await world.clock.sleep(0.005)
        return [(at_ns, task.result()) for at_ns, task in tasks]

    async def one(protected: Callable[[], Any]) -> Any:
        try:
            return await protected()
        except (openai.APIStatusError, FairleadError) as error:
            return type(error)

    began_ns = world.clock.monotonic_ns()
    outcomes = virtual_run(storm(), world.clock)
    during = [at_ns for at_ns in attempts if at_ns < dead_until_ns]
    assert len(during) <= 1.2 * 200 * 60 + 3
    assert len(during) <= 500, "the breaker keeps nearly all calls away"
    refused = [at_ns for at_ns, outcome in outcomes if outcome is CircuitOpen]
    assert refused[0] - began_ns <= 2 * S
    well = [at_ns for at_ns, outcome in outcomes if outcome == "well"]
    longest_s = 1.2 * 15 * 4  # the fourth opening in a row falls into the minute
    assert well[0] - dead_until_ns <= longest_s * S
    assert outcomes[-1][1] == "well"


async def test_cancellation_is_not_swallowed() -> None:
    """Neither in a try nor in a wait, and a probe that is cancelled leaves its place."""
    world = World()
    started = asyncio.Event()

    async def hang() -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(world.protect(hang)())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    clock = VirtualClock(autojump=False)
    waiting = asyncio.create_task(world.protect(as_async(Script(status(503))), clock=clock)())
    await clock.settle()
    assert clock.pending == 1
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert clock.pending == 0


async def test_cancelled_probes_make_room() -> None:
    """However many probes are cancelled, the next may go."""
    world = World()
    fail = True

    async def provider() -> str:
        if fail:
            raise status(503)
        await asyncio.Event().wait()
        return "never"

    protected = world.protect(provider, 1)
    for _ in range(5):
        with pytest.raises(openai.InternalServerError):
            await protected()
    fail = False
    world.clock.jump(world.clock.monotonic_ns() + 15 * S)
    for _ in range(10):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(protected(), 0.001)


def test_an_interrupt_is_not_swallowed() -> None:
    """Ctrl-C ends a function without `async` at once."""
    for stop in (KeyboardInterrupt, SystemExit, GeneratorExit):
        script = Script(stop())
        with pytest.raises(stop):
            World().protect(script)()
        with pytest.raises(stop):
            World().protect(script, breaker=None)()
        assert script.calls == 2


async def test_a_timeout_of_the_application_is_its_own() -> None:
    """`asyncio.timeout` around a protected function ends it; nothing is tried again."""
    calls = 0

    async def hang() -> None:
        nonlocal calls
        calls += 1
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await resilient(hang)()
    assert calls == 1


def test_threads_share_breaker_and_budget() -> None:
    """Many threads at once: no more tries than the budget allows, and every call ends."""
    world, lock, calls = World(), threading.Lock(), []

    def provider() -> None:
        with lock:
            calls.append(1)
        raise status(503)

    protected = world.protect(provider, base_delay=0, breaker=None, on_retry=None)
    ended: list[Exception] = []
    threads = [threading.Thread(target=lambda: ended.extend(raise_of(protected) for _ in range(20))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ended) == 320
    assert len(calls) <= 1.2 * 320 + 3


def test_real_time_is_the_default() -> None:
    """Without seams it sleeps for real: milliseconds here."""
    script = Script(ConnectionError("reset"), "hello")
    assert resilient(3, 0.001)(script)() == "hello"
    assert asyncio.run(resilient(3, 0.001)(as_async(Script(ConnectionError("reset"), "hello")))()) == "hello"


def test_it_can_be_used_bare() -> None:
    """`@resilient` is `@resilient()`; names, documentation and signature stay."""

    @resilient
    def ask(question: str, *, model: str = "small") -> str:
        """Ask."""
        return f"{model}: {question}"

    @resilient
    async def ask_later(question: str) -> str:
        return question

    assert ask("Hello", model="large") == "large: Hello"
    assert (ask.__name__, ask.__doc__) == ("ask", "Ask.")
    assert list(inspect.signature(ask).parameters) == ["question", "model"]
    assert inspect.iscoroutinefunction(ask_later)
    assert asyncio.run(ask_later("Hello")) == "Hello"


def test_methods_can_be_protected() -> None:
    """Below @staticmethod and @classmethod, too; all instances share one breaker."""

    class Asks:
        @resilient
        def one(self) -> Any:
            return self

        @staticmethod
        @resilient
        def two() -> int:
            return 2

        @classmethod
        @resilient(max_retries=2)
        def three(cls) -> Any:
            return cls

    asks = Asks()
    assert (asks.one(), asks.two(), asks.three()) == (asks, 2, Asks)


def test_methods_of_real_clients_can_be_protected() -> None:
    """A bound method of an asynchronous client, which is no coroutine function to look at, is awaited all the same."""

    class Flaky(httpx2.AsyncBaseTransport):
        calls = 0

        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            self.calls += 1
            if self.calls == 1:
                return httpx2.Response(503, request=request)
            return httpx2.Response(200, json={"id": "m", "object": "model", "created": 1, "owned_by": "x"})

    transport, world = Flaky(), World()

    async def ask() -> Any:
        async with openai.AsyncOpenAI(
            api_key="none", base_url=URL, max_retries=0, http_client=httpx2.AsyncClient(transport=transport)
        ) as client:
            return await world.protect(client.models.retrieve)("m")

    assert virtual_run(ask(), world.clock).id == "m"
    assert (transport.calls, world.waits) == (2, [0.5])


def test_objects_with_async_calls_can_be_protected() -> None:
    """An object is a function if it can be called."""

    class Asks:
        async def __call__(self) -> str:
            return "hello"

    protected = resilient(Asks())
    assert inspect.iscoroutinefunction(protected)
    assert asyncio.run(protected()) == "hello"


@pytest.mark.parametrize("options", [{"breaker": None}, {}])
def test_without_budget_and_breaker_only_the_tries_count(options: dict[str, Any]) -> None:
    """All seams can be turned off."""
    script = Script(status(503))
    raise_of(
        World().protect(script, 20, 0, budget=False, **{"breaker": Policy(consecutive=99, min_calls=99), **options})
    )
    assert script.calls == 20


def generator() -> Any:
    yield 1


async def stream() -> Any:
    yield 1


@pytest.mark.parametrize("bad", [generator, stream])
def test_generators_are_refused(bad: Any) -> None:
    """What was yielded cannot be taken back, so they cannot be tried again."""
    with pytest.raises(TypeError, match="cannot protect the generator"):
        resilient(bad)
    with pytest.raises(TypeError, match="cannot protect the generator"):
        resilient()(bad)


@pytest.mark.parametrize("bad", [int, staticmethod(generator), classmethod(generator), "ask", None, 1.5])
def test_only_functions_are_protected(bad: Any) -> None:
    """A class, a descriptor and anything that cannot be called are mistakes."""
    with pytest.raises(TypeError, match="protects a function"):
        resilient(bad)


@pytest.mark.parametrize(
    "bad",
    [
        {"max_retries": 0},
        {"base_delay": -1},
        {"base_delay": float("nan")},
        {"max_delay": float("inf")},
        {"deadline_s": 0},
    ],
)
def test_values_out_of_range_are_refused(bad: dict[str, Any]) -> None:
    """Where it is decorated, not when it is called."""
    with pytest.raises(ValueError, match=r"or more|more than"):
        resilient(**bad)


def test_what_on_retry_raises_comes_out() -> None:
    """A mistake in it is seen, and leaves nothing behind."""

    def broken(retry: Retry) -> None:
        raise LookupError(retry.function)

    protected = World().protect(Script(status(503)), on_retry=broken)
    with pytest.raises(LookupError, match="Script"):
        protected()


def test_circuit_open_can_be_pickled() -> None:
    """It crosses process borders as all errors do."""
    error = pickle.loads(pickle.dumps(CircuitOpen("not now", retry_after_s=3.0)))  # noqa: S301
    assert (type(error), error.retry_after_s) == (CircuitOpen, 3.0)


def test_other_sdks_are_told_by_name_alone() -> None:
    """Anthropic's overload, in a stream that had begun with 200, is tried again."""
    client = anthropic.Anthropic(api_key="none", base_url=URL)
    request = httpx2.Request("POST", URL)
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    error = client._make_status_error("overloaded", body=body, response=httpx2.Response(200, request=request))
    world = World()
    assert world.protect(Script(error, "hello"))() == "hello"
    assert len(world.waits) == 1


NAME = """
import sys
IMPORTS
from fairlead import resilient
import fairlead
assert resilient is fairlead.resilient
assert type(resilient).__name__ == "function", resilient
heavy = {"pydantic", "uvloop", "httptools", "jinja2", "sqlite3", "typer", "rich", "openai", "httpx", "anthropic"}
print(sorted(heavy & set(sys.modules)))
"""


@pytest.mark.parametrize(
    "imports",
    [
        "",
        "import fairlead",
        "import fairlead._resilient",
        "from fairlead import CircuitOpen",
        "try: import fairlead.resilient\nexcept ModuleNotFoundError: pass",
        "import importlib.util; assert importlib.util.find_spec('fairlead.resilient') is None",
    ],
)
def test_the_name_is_always_the_function(imports: str) -> None:
    """In whatever order things are imported, as there is no module of that name; and nothing heavy comes with it."""
    done = subprocess.run(
        [sys.executable, "-c", NAME.replace("IMPORTS", imports)],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_it_is_public() -> None:
    """It stands in the package's list of names."""
    assert {"CircuitOpen", "Retry", "resilient"} <= set(fairlead.__all__)
    assert fairlead.resilient is resilient
