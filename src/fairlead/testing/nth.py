"""The nth-failure loop: run a flow once for every call it makes to a port, each time with that one call failing.

SQLite's anomaly tests work this way: not the failures that somebody thought of, but the first, the second, ... the last.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from fairlead.errors import StateUnavailable, UpstreamUnreachable

Mode = Literal["clean", "exception", "timeout", "cancel"]

Ports = Mapping[str, Any]
"""Ports by name; the names show in reports, such as `ledger` in `ledger.reserve`."""

FAILURES: tuple[Mode, ...] = ("exception", "timeout", "cancel")
_NEVER_FAIL = frozenset({"aclose", "sleep"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NthRun:
    """One run of the flow and how it came out."""

    k: int
    """Which port call failed, counted from 1; 0 in the clean run."""
    call: str
    """`port.method`; empty in the clean run."""
    mode: Mode
    result: Any = None
    error: BaseException | None = None
    hung: bool = False
    """The flow was still waiting when its patience ran out: a port call without a deadline."""
    ports: Ports = field(repr=False)
    """The ports of this run, without their proxies, to be asked about what they hold now."""
    calls: tuple[str, ...] = field(repr=False)
    """Every asynchronous port call of this run, in order."""

    def __str__(self) -> str:
        return self.mode if self.mode == "clean" else f"call {self.k}, {self.call}: {self.mode}"


class _Plan:
    """Which call of a run fails, and how."""

    def __init__(self, k: int, mode: Mode, error: Callable[[str], Exception | None]) -> None:
        self.k = k
        self.mode = mode
        self.error = error
        self.calls: list[str] = []
        self.flow: asyncio.Task[Any] | None = None

    async def enter(self, call: str) -> None:
        """Count a call, and fail it if it is the one."""
        self.calls.append(call)
        if len(self.calls) != self.k:
            return
        if self.mode == "exception" and (error := self.error(call)) is not None:
            raise error
        if self.mode == "timeout":
            await asyncio.get_running_loop().create_future()
        if self.mode == "cancel" and self.flow is not None:
            self.flow.cancel()
            await asyncio.sleep(0)


class CountingPort:
    """Stands in for a port: counts its calls, and lets the asynchronous ones fail as planned.

    Synchronous methods promise to raise nothing (`settle`, `release`), so they are counted in `sync_calls` and done.
    """

    def __init__(self, name: str, port: object, enter: Callable[[str], Awaitable[None]]) -> None:
        self._name = name
        self._port = port
        self._enter = enter
        self.sync_calls: Counter[str] = Counter()

    def __getattr__(self, method: str) -> Any:
        value = getattr(self._port, method)
        if inspect.iscoroutinefunction(value):
            return self._asynchronous(method, value)
        return self._synchronous(method, value) if callable(value) else value

    def _asynchronous(self, method: str, function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._enter(f"{self._name}.{method}")
            return await function(*args, **kwargs)

        return call

    def _synchronous(self, method: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.sync_calls[method] += 1
            return function(*args, **kwargs)

        return call


def port_error(call: str) -> Exception | None:
    """What a port may raise: `send` an `UpstreamUnreachable`, `aclose` and `sleep` nothing, others `StateUnavailable`."""
    method = call.rpartition(".")[2]
    if method in _NEVER_FAIL:
        return None
    kind = UpstreamUnreachable if method == "send" else StateUnavailable
    return kind(f"{call} failed on purpose")


async def nth(
    flow: Callable[[Ports], Awaitable[Any]],
    ports: Callable[[], Ports],
    *,
    error: Callable[[str], Exception | None] = port_error,
    check: Callable[[NthRun], Awaitable[None] | None] | None = None,
    patience_s: float = 5.0,
) -> Sequence[NthRun]:
    """Run `flow` clean, then once for each of its asynchronous port calls and each failure.

    `exception`: the call raises.  `timeout`: it hangs until it is cancelled.  `cancel`: the whole flow is cancelled
    while it is inside the call.

    Args:
        flow: takes the ports, wrapped, and does one piece of work.
        ports: makes fresh ports for every run.
        error: what a call may raise; `None` if its contract allows nothing, then only `cancel` is tried on it.
        check: looks at each run, raises if an invariant is broken; the report says in which run.
        patience_s: how long a flow may hang, in the loop's time; take `virtual_run` for long deadlines.

    Raises:
        AssertionError: the flow hangs by itself, does not make the same calls each time, or ignores cancellation.
    """
    first = await _run(flow, ports(), _Plan(0, "clean", error), patience_s)
    if first.hung:
        msg = f"the flow hangs although nothing fails; its calls were {first.calls}"
        raise AssertionError(msg)
    if first.error is not None:
        raise first.error
    await _checked(check, first)
    runs = [first]
    for k, call in enumerate(first.calls, 1):
        for mode in FAILURES if error(call) is not None else ("cancel",):
            run = await _run(flow, ports(), _Plan(k, mode, error), patience_s)
            if run.calls[:k] != first.calls[:k]:
                msg = f"the flow is not repeatable: {run.calls[:k]} where the clean run made {first.calls[:k]}"
                raise AssertionError(msg)
            await _checked(check, run)
            runs.append(run)
    return runs


async def _checked(check: Callable[[NthRun], Awaitable[None] | None] | None, run: NthRun) -> None:
    if check is None:
        return
    try:
        waiting = check(run)
        if waiting is not None:
            await waiting
    except BaseException as error:
        error.add_note(f"in the run with {run}")
        raise


async def _run(flow: Callable[[Ports], Awaitable[Any]], ports: Ports, plan: _Plan, patience_s: float) -> NthRun:
    wrapped = {name: CountingPort(name, port, plan.enter) for name, port in ports.items()}

    async def body() -> Any:
        return await flow(wrapped)

    task = plan.flow = asyncio.get_running_loop().create_task(body(), name="nth-flow")
    try:
        await asyncio.wait({task}, timeout=patience_s)
        hung = not task.done()
        if hung:
            task.cancel()
            await asyncio.wait({task}, timeout=patience_s)
    finally:
        task.cancel()
    if not task.done():
        msg = f"the flow ignores cancellation at call {plan.k} ({plan.mode})"
        raise AssertionError(msg)
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    return NthRun(
        k=plan.k,
        call=plan.calls[plan.k - 1] if 0 < plan.k <= len(plan.calls) else "",
        mode=plan.mode,
        result=None if error is not None else task.result(),
        error=error,
        hung=hung,
        ports=ports,
        calls=tuple(plan.calls),
    )
