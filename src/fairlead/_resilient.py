"""Retries, backoff and a circuit breaker around any function that calls a provider.

The arithmetic is `core.backoff` and `core.breaker`; what an exception means is `_sdk_errors`.  Here is the order of things:
enter the breaker, try, tell the breaker, and decide whether and when to try again.

The module is private so that `fairlead.resilient` can only ever be the function: a submodule of that name would take its
place in the package as soon as somebody imports it.
"""

from __future__ import annotations

import functools
import inspect
import math
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from fairlead._sdk_errors import Verdict, judge
from fairlead.core.backoff import RetryBudget, full_jitter_s
from fairlead.core.breaker import Breaker, Policy
from fairlead.errors import CircuitOpen
from fairlead.stores.system import SystemClock, SystemRng

if TYPE_CHECKING:
    from fairlead.ports import Clock, Rng

P = ParamSpec("P")
R = TypeVar("R")

_NS = 1_000_000_000
_NOTE = "fairlead: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """What `on_retry` is told before each wait."""

    function: str
    tries: int
    """How many there were so far."""
    wait_s: float
    error: Exception


@overload
def resilient(function: Callable[P, R], /) -> Callable[P, R]: ...


@overload
def resilient(
    max_retries: int = 5,
    base_delay: float = 1,
    max_delay: float = 60,
    *,
    deadline_s: float | None = None,
    breaker: Policy | bool | None = True,
    budget: bool = True,
    clock: Clock | None = None,
    rng: Rng | None = None,
    sleep: Callable[[float], object] | None = None,
    on_retry: Callable[[Retry], object] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def resilient(
    max_retries: Any = 5,
    base_delay: float = 1,
    max_delay: float = 60,
    *,
    deadline_s: float | None = None,
    breaker: Policy | bool | None = True,
    budget: bool = True,
    clock: Clock | None = None,
    rng: Rng | None = None,
    sleep: Callable[[float], object] | None = None,
    on_retry: Callable[[Retry], object] | None = None,
) -> Any:
    """Protect a function that calls a provider, whichever SDK it uses: `@resilient` or `@resilient(max_retries=3)`.

    Tried again are lost connections, timeouts and the statuses 408, 409, 425, 429 and 5xx; never another 4xx, and not an
    exhausted quota.  A provider's `Retry-After` and `x-should-retry` are obeyed.  When nothing helps, the SDK's own
    exception comes out, with a note that says how many tries there were and why there is no further one.

    Each decorated function has a breaker and a retry budget of its own, shared by all its calls in all threads.

    Args:
        max_retries: how many tries in all, the first one included.
        base_delay: bound of the first wait in seconds; it doubles with each try.
        max_delay: no wait is longer, a provider's wish included.
        deadline_s: no try begins later than this after the call; a running one is not cut off.
        breaker: when to stop calling for a while; `None` or `False` for never.
        budget: keep retries at a fifth of the calls, and a few; `False` for no such bound.
        clock: time, for tests.
        rng: randomness, for tests.
        sleep: how a function without `async` waits, for tests; with `async` it is the clock's.
        on_retry: called before each wait, to log or count it.

    Raises:
        TypeError: what is decorated is a generator, a class, or no function at all.
        ValueError: a value out of its range.
    """
    plain = not isinstance(max_retries, int)
    plan = _Plan(
        max_tries=5 if plain else max_retries,
        base_s=base_delay,
        max_s=max_delay,
        deadline_s=deadline_s,
    )
    policy = breaker if isinstance(breaker, Policy) else Policy() if breaker else None

    def protect(function: Callable[..., Any]) -> Callable[..., Any]:
        name = _name_of(function)
        guard = _Guard(
            name=name,
            plan=plan,
            breaker=None if policy is None else Breaker(policy),
            budget=RetryBudget() if budget else None,
            clock=SystemClock() if clock is None else clock,
            rng=SystemRng() if rng is None else rng,
            on_retry=on_retry,
        )
        if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
            return _asynchronous(function, guard)
        return _synchronous(function, guard, _sleep if sleep is None else sleep)

    return protect(max_retries) if plain else protect


def _sleep(seconds: float) -> None:
    threading.Event().wait(seconds)


def _name_of(function: object) -> str:
    if isinstance(function, type | staticmethod | classmethod) or not callable(function):
        raise TypeError(
            f"`resilient` protects a function, not {function!r}; put it below @classmethod and @staticmethod"
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"`resilient` cannot protect the generator {function!r}: what was yielded cannot be taken back;"
            " protect the function that opens the stream, or one that collects it"
        )
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def _synchronous(function: Callable[..., Any], guard: _Guard, sleep: Callable[[float], object]) -> Callable[..., Any]:
    @functools.wraps(function)
    def protected(*args: Any, **kwargs: Any) -> Any:
        call = guard.begin()
        while True:
            try:
                result = function(*args, **kwargs)
            except Exception as error:
                wait_s = guard.failed(call, error)
                if wait_s is None:
                    raise
            except BaseException:
                guard.left(call)
                raise
            else:
                if inspect.iscoroutine(result):
                    # A plain function that returns a coroutine, as the methods of asynchronous SDK clients are.
                    return _drive(guard, call, lambda: function(*args, **kwargs), result)
                guard.succeeded(call)
                return result
            sleep(wait_s)
            guard.enter(call)

    return protected


def _asynchronous(function: Callable[..., Any], guard: _Guard) -> Callable[..., Any]:
    @functools.wraps(function)
    async def protected(*args: Any, **kwargs: Any) -> Any:
        return await _drive(guard, guard.begin(), lambda: function(*args, **kwargs))

    return protected


async def _drive(
    guard: _Guard, call: _Call, start: Callable[[], Awaitable[Any]], first: Awaitable[Any] | None = None
) -> Any:
    while True:
        try:
            result = await (start() if first is None else first)
        except Exception as error:
            wait_s = guard.failed(call, error)
            if wait_s is None:
                raise
        except BaseException:
            guard.left(call)
            raise
        else:
            guard.succeeded(call)
            return result
        first = None
        await guard.clock.sleep(wait_s)
        guard.enter(call)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    max_tries: int
    base_s: float
    max_s: float
    deadline_s: float | None

    def __post_init__(self) -> None:
        if self.max_tries < 1:
            raise ValueError(f"`max_retries` counts all tries, so it is 1 or more, not {self.max_tries}")
        if not (0 <= self.base_s < math.inf and 0 <= self.max_s < math.inf):
            raise ValueError(f"delays are 0 or more seconds, not {self.base_s} and {self.max_s}")
        if self.deadline_s is not None and not self.deadline_s > 0:
            raise ValueError(f"`deadline_s` is more than 0, not {self.deadline_s}")


class _Call:
    """One call of a protected function, over all its tries."""

    __slots__ = ("begun_ns", "entered_ns", "error", "place", "tries")

    def __init__(self, begun_ns: int) -> None:
        self.begun_ns = begun_ns
        self.entered_ns = begun_ns
        self.tries = 0
        self.place = 0
        self.error: Exception | None = None


class _Guard:
    """What all calls of a protected function share."""

    def __init__(
        self,
        *,
        name: str,
        plan: _Plan,
        breaker: Breaker | None,
        budget: RetryBudget | None,
        clock: Clock,
        rng: Rng,
        on_retry: Callable[[Retry], object] | None,
    ) -> None:
        self.clock = clock
        self._name = name
        self._plan = plan
        self._breaker = breaker
        self._budget = budget
        self._rng = rng
        self._on_retry = on_retry
        self._lock = threading.Lock()

    def begin(self) -> _Call:
        """Enter for the first try.

        Raises:
            CircuitOpen: no place.
        """
        call = _Call(self.clock.monotonic_ns())
        self.enter(call)
        return call

    def enter(self, call: _Call) -> None:
        """Take a place for the next try; without one, the last try was the last.

        Raises:
            CircuitOpen: no place for the first try.
        """
        now_ns = self.clock.monotonic_ns()
        if self._breaker is not None:
            with self._lock:
                call.place = self._breaker.enter(now_ns)
                blocked_ns = 0 if call.place else self._breaker.blocked_ns(now_ns)
            if not call.place:
                self._refuse(call, now_ns, blocked_ns / _NS)
        call.tries += 1
        call.entered_ns = now_ns
        call.error = None

    def succeeded(self, call: _Call) -> None:
        """The try gave a result."""
        now_ns = self.clock.monotonic_ns()
        with self._lock:
            self._pay(call, now_ns)
            if self._breaker is not None:
                self._breaker.record(
                    call.place, now_ns, ok=True, took_s=(now_ns - call.entered_ns) / _NS, random=self._rng.random()
                )

    def left(self, call: _Call) -> None:
        """The try was cancelled."""
        if self._breaker is not None:
            with self._lock:
                self._breaker.leave(call.place)

    def failed(self, call: _Call, error: Exception) -> float | None:
        """How long to wait before the next try; `None` if there is none, then the error has a note that says why."""
        if isinstance(error, CircuitOpen):
            self.left(call)  # of another protected function below: it has tried enough
            return None
        now_ns = self.clock.monotonic_ns()
        verdict = judge(error, self.clock.now_ns() / _NS)
        with self._lock:
            self._pay(call, now_ns)
            self._tell(call, now_ns, verdict)
        wait_s = self._wait_s(call, verdict)
        why = self._why_not(call, verdict, wait_s, now_ns)
        if why is None:
            call.error = error
            if self._on_retry is not None:
                self._on_retry(Retry(function=self._name, tries=call.tries, wait_s=wait_s, error=error))
            return wait_s
        if call.tries > 1 or verdict.retry or verdict.kind == "quota":
            _note(error, call, now_ns, why)
        return None

    def _tell(self, call: _Call, now_ns: int, verdict: Verdict) -> None:
        if self._breaker is None:
            return
        if verdict.kind == "provider":
            self._breaker.record(call.place, now_ns, ok=False, hint_s=verdict.wait_s, random=self._rng.random())
        else:
            self._breaker.leave(call.place)

    def _pay(self, call: _Call, now_ns: int) -> None:
        if self._budget is not None and call.tries == 1:
            self._budget.deposit(now_ns)

    def _wait_s(self, call: _Call, verdict: Verdict) -> float:
        plan = self._plan
        jitter_s = full_jitter_s(call.tries, base_s=plan.base_s, max_s=plan.max_s, random=self._rng.random())
        # Never earlier than asked for, and not all at the same moment.
        return min(plan.max_s, jitter_s + (verdict.wait_s or 0.0))

    def _why_not(self, call: _Call, verdict: Verdict, wait_s: float, now_ns: int) -> str | None:
        """Why there is no further try; `None` if there is one, and then it is paid for."""
        plan = self._plan
        if verdict.kind == "quota":
            return "the account has no quota left"
        if not verdict.retry:
            return "another try cannot help"
        if call.tries >= plan.max_tries:
            return "these are all of `max_retries`"
        due_ns = now_ns + int(max(wait_s, verdict.wait_s or 0.0) * _NS)
        if plan.deadline_s is not None and due_ns > call.begun_ns + plan.deadline_s * _NS:
            return "the next would begin after `deadline_s`"
        return self._unpaid(now_ns, wait_s)

    def _unpaid(self, now_ns: int, wait_s: float) -> str | None:
        with self._lock:
            if self._breaker is not None and self._breaker.blocked_ns(now_ns + int(wait_s * _NS)):
                return "the circuit is open"
            if self._budget is not None and not self._budget.take(now_ns):
                return "the retry budget is empty"
        return None

    def _refuse(self, call: _Call, now_ns: int, blocked_s: float) -> None:
        if call.error is not None:
            _note(call.error, call, now_ns, "the circuit is open")
            raise call.error
        raise CircuitOpen(
            f"{self._name!r} has failed too often lately and was not called; it is tried again in {blocked_s:.1f} s.",
            retry_after_s=blocked_s,
        )


def _note(error: Exception, call: _Call, now_ns: int, why: str) -> None:
    tries = "1 try" if call.tries == 1 else f"{call.tries} tries"
    note = f"{_NOTE}{tries} in {(now_ns - call.begun_ns) / _NS:.1f} s; {why}"
    # An exception object may be raised again and again; only what was said last holds.
    error.__notes__ = [*(each for each in getattr(error, "__notes__", ()) if not each.startswith(_NOTE)), note]
