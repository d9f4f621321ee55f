"""The way to the server: scripts called in batches on one connection, with a deadline and a breaker.

What is asked within one turn of the loop, or while a batch is under way, goes out together with the next one.  An answer
that is not there in time is given up with its connection, since nobody could say whose the next answer would be.  After
a few failures in a row nothing is asked any more, and all are refused at once; meanwhile the link tries by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from hiredis import pack_command
from redis.exceptions import MovedError, NoScriptError, RedisError, ResponseError

from fairlead.errors import StateUnavailable
from fairlead.ports import Clock
from fairlead.stores.redis_state_faults import ELSEWHERE, SLOW, UNREACHABLE, Fault, classify
from fairlead.stores.redis_state_patience import Patience
from fairlead.stores.redis_state_scripts import Script

DEADLINE_S: Final = 0.05
"""How long an answer may take before its caller does without."""
FAILURES: Final = 3
"""So many in a row, and nothing is asked until a try succeeds; of a connection that cannot be made, one is enough."""
BEAT_EVERY_S: Final = 1.0
_CONNECT_S: Final = 1.0
_AT_ONCE: Final = 200
_POSTS_KEPT: Final = 100_000
"""More settlements than these are dropped while the server is away; the reservations of those lapse."""
_PAUSE_S: Final = 0.01
_FAILING_PAUSE_S: Final = 0.1
_FAILING_PAUSE_MAX_S: Final = 1.0
_CLOSING_S: Final = 2.0
_NS: Final = 1_000_000_000
_TROUBLE: Final = (RedisError, OSError, EOFError, TimeoutError)

_log = logging.getLogger(__name__)


class Wire(Protocol):
    """What a link needs of redis-py's `Connection`."""

    host: str
    port: int

    async def connect(self) -> None: ...

    async def send_packed_command(self, command: Any, check_health: bool = ...) -> None: ...  # noqa: FBT001 - theirs

    async def read_response(self) -> Any: ...

    async def disconnect(self, nowait: bool = ...) -> None: ...  # noqa: FBT001 - theirs


class Order:
    """One call of a script, and who waits for it; nobody, if `future` is `None`.

    Args:
        args: without the moment, which goes first.
        done: told of an answer when it comes, whether or not anybody waits.
        dropped: told where nobody knows whether the call was made.
        repeats: it may be made twice, and is until one was answered.
    """

    __slots__ = ("args", "asked_ns", "done", "dropped", "future", "keys", "moves", "repeats", "reply", "script")

    def __init__(
        self,
        script: Script,
        keys: Sequence[str],
        args: Sequence[str | int],
        *,
        done: Callable[[Any], None] | None = None,
        dropped: Callable[[], None] | None = None,
        repeats: bool = False,
    ) -> None:
        self.script = script
        self.keys = keys
        self.args = args
        self.done = done
        self.dropped = dropped
        self.repeats = repeats
        self.future: asyncio.Future[Any] | None = None
        self.asked_ns = 0
        self.moves = 0
        self.reply: Any = None


class RedisLink:
    """Calls scripts from one event loop.

    Args:
        dial: makes a connection that is not yet open.
        moment: what stands for the server's clock; empty for that clock itself.
        beats: what is called first on every connection, and then every second.
    """

    def __init__(
        self, dial: Callable[[], Wire], clock: Clock, *, moment: Callable[[], str], beats: Callable[[], Sequence[Order]]
    ) -> None:
        self._dial = dial
        self._clock = clock
        self._moment = moment
        self._beats = beats
        self._beat_due_ns = 0
        self._queue: deque[Order] = deque()
        self._wake = asyncio.Event()
        self._random = random.Random()  # noqa: S311 - spreads tries
        self._failures = 0
        self._told_failing = False
        self._moved: tuple[str, int] | None = None
        self._told: set[str] = set()
        """Scripts that the server has been sent on this connection."""
        self._closing = False
        self.failing = False
        """The server was of no use when last tried: what is asked is refused at once, until a try succeeds."""
        self.loop = asyncio.get_running_loop()
        self._task = self.loop.create_task(self._run(), name="fairlead-redis")

    async def ask(self, order: Order, *, late: Callable[[Any], None] | None = None) -> Any:
        """The answer of a script.

        Args:
            late: told of an answer that came when nobody waited any more.

        Raises:
            StateUnavailable: there was no answer in time.
        """
        if self.failing or self._closing:
            raise unavailable()
        future: asyncio.Future[Any] = self.loop.create_future()
        order.future = future
        order.asked_ns = self._clock.monotonic_ns()
        self._queue.append(order)
        self._wake.set()
        try:
            return await future
        except asyncio.CancelledError:
            if late is not None:
                if order.reply is not None:
                    late(order.reply)
                else:
                    order.done = _both(order.done, late)
            raise

    def post(self, order: Order) -> None:
        """Call a script soon; returns at once and raises nothing."""
        try:
            here = asyncio.get_running_loop() is self.loop
        except RuntimeError:
            here = False
        if here:
            self._enqueue(order)
            return
        try:
            self.loop.call_soon_threadsafe(self._enqueue, order)
        except RuntimeError:  # the loop is closed
            _drop(order)

    async def aclose(self, last: Callable[[], Sequence[Order]]) -> None:
        """Call what is queued and `last`, within a bound, then hang up; harmless the second time."""
        if not self._closing:
            self._closing = True
            for order in last():
                self._enqueue(order)
            self._wake.set()
        try:
            await asyncio.wait({self._task}, timeout=_CLOSING_S)
        finally:
            self._task.cancel()
        await asyncio.wait({self._task}, timeout=_CLOSING_S)

    # --- what happens on the task ---

    def _enqueue(self, order: Order) -> None:
        if (self.failing and not order.repeats) or len(self._queue) >= _POSTS_KEPT or self._task.done():
            _drop(order)
            return
        self._queue.append(order)
        self._wake.set()

    async def _run(self) -> None:
        pause_s = _FAILING_PAUSE_S
        try:
            while True:
                try:
                    await self._serve()
                except _TROUBLE as error:
                    self._failed(classify(error), error)
                else:
                    return
                if self._closing and self.failing:
                    return
                if self.failing:
                    await self._clock.sleep(pause_s * self._random.uniform(0.5, 1.0))
                    pause_s = min(2 * pause_s, _FAILING_PAUSE_MAX_S)
                else:
                    pause_s = _FAILING_PAUSE_S
                    await self._clock.sleep(_PAUSE_S)
        finally:
            self.failing = True
            self._refuse()
            while self._queue:
                _drop(self._queue.popleft())

    async def _serve(self) -> None:
        """Work on one connection; returns when closing, raises when it is of no use any more."""
        connection = self._dial()
        if self._moved is not None:
            connection.host, connection.port = self._moved
        self._told.clear()
        try:
            await self._open(connection)
            await self._perform(connection, list(self._beats()))
            self._fine()
            while not (self._closing and not self._queue):
                await self._work_or_beat()
                await self._perform(connection, self._collect())
                self._fine()
        finally:
            with contextlib.suppress(*_TROUBLE):
                await connection.disconnect(nowait=True)

    async def _open(self, connection: Wire) -> None:
        watch = self._clock.timer(DEADLINE_S, self._open_breaker)
        try:
            with Patience(self._clock, _CONNECT_S):
                await connection.connect()
        except _TROUBLE:
            self._moved = None
            self._open_breaker()
            raise
        finally:
            watch.cancel()

    def _open_breaker(self) -> None:
        self.failing = True
        self._refuse()

    def _fine(self) -> None:
        if self._told_failing:
            _log.info("the server of `[state] url` is in use again")
        self._told_failing = False
        self._failures = 0
        self.failing = False

    def _failed(self, fault: Fault, error: BaseException) -> None:
        self._failures += 1
        if self._failures >= FAILURES:
            self._open_breaker()
        elif fault is SLOW:
            self._refuse()  # who asked behind it has waited for as long
        if self.failing and not self._told_failing:
            self._told_failing = True
            _log.warning(
                "the server of `[state] url` %s (%s); each process goes by its own share of the limits, and calls under "
                "a budget are refused, until it does",
                fault.name,
                error,
            )

    async def _work_or_beat(self) -> None:
        left_ns = self._beat_due_ns - self._clock.monotonic_ns()
        if not self._queue and left_ns > 0 and not self._closing:
            timer = self._clock.timer(left_ns / _NS, self._wake.set)
            try:
                await self._wake.wait()
            finally:
                timer.cancel()
        self._wake.clear()

    def _collect(self) -> list[Order]:
        """What goes out next: without what nobody waits for any more, or has waited for too long."""
        now_ns = self._clock.monotonic_ns()
        batch: list[Order] = []
        if now_ns >= self._beat_due_ns:
            batch += self._beats()
        while self._queue and len(batch) < _AT_ONCE:
            order = self._queue.popleft()
            if order.future is None:
                batch.append(order)
            elif not order.future.done():
                if now_ns - order.asked_ns > DEADLINE_S * _NS + _NS // 20:
                    order.future.set_exception(unavailable())
                else:
                    batch.append(order)
        return batch

    async def _perform(self, connection: Wire, batch: list[Order]) -> None:
        if not batch:
            return
        if self._clock.monotonic_ns() >= self._beat_due_ns:
            self._beat_due_ns = self._clock.monotonic_ns() + round(BEAT_EVERY_S * _NS)
        try:
            with Patience(self._clock, DEADLINE_S):
                replies = await self._exchange(connection, batch)
        except _TROUBLE as error:
            self._beat_due_ns = 0
            self._undone(batch, classify(error))
            raise
        except BaseException:
            self._undone(batch, UNREACHABLE, again=False)
            raise
        self._deliver(batch, replies)

    async def _exchange(self, connection: Wire, batch: list[Order]) -> list[Any]:
        """Call all of a batch at once; a script that the server does not know goes out with its text.

        So does its first call on a connection, which keeps the order of calls.
        """
        moment = self._moment()
        replies = await _call(connection, [self._command(order, moment) for order in batch])
        unknown = [index for index, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:
            self._told.clear()
            again = [self._command(batch[index], moment) for index in unknown]
            for index, reply in zip(unknown, await _call(connection, again), strict=True):
                replies[index] = reply
        return replies

    def _command(self, order: Order, moment: str) -> tuple[Any, ...]:
        script, rest = order.script, (len(order.keys), *order.keys, moment, *order.args)
        if script.sha in self._told:
            return ("EVALSHA", script.sha, *rest)
        self._told.add(script.sha)
        return ("EVAL", script.text, *rest)

    def _deliver(self, batch: list[Order], replies: list[Any]) -> None:
        """Tell who waits; raises what makes the connection, or the server, of no use."""
        trouble: ResponseError | None = None
        for order, reply in zip(batch, replies, strict=True):
            if not isinstance(reply, ResponseError):
                _answer(order, reply)
                continue
            fault = classify(reply)
            if fault.lasts:
                trouble = reply
                self._undone([order], fault)
            else:
                _log.error("the server of `[state] url` %s: %s", fault.name, reply)
                _refuse(order, str(reply))
                _drop(order)
        if isinstance(trouble, MovedError):
            self._moved = trouble.node_addr
        if trouble is not None:
            raise trouble

    def _undone(self, batch: list[Order], fault: Fault, *, again: bool = True) -> None:
        """Put back what may be called again, and give up the rest."""
        kept: list[Order] = []
        for order in batch:
            asks = order.future is not None and not order.future.done()
            if again and order.repeats and order.future is None:
                kept.append(order)
            elif again and asks and not order.moves and fault in (ELSEWHERE, UNREACHABLE):
                order.moves += 1
                _drop(order)  # it may have been called all the same
                kept.append(order)
            else:
                _refuse(order, fault.name)
                _drop(order)
        self._queue.extendleft(reversed(kept))

    def _refuse(self) -> None:
        """Nobody waits any longer."""
        kept = [order for order in self._queue if order.future is None]
        for order in self._queue:
            _refuse(order)
        self._queue = deque(kept)


def unavailable(detail: str | None = None) -> StateUnavailable:
    """What a caller is told."""
    return StateUnavailable("the shared limits and budgets cannot be checked right now; try again", detail=detail)


async def _call(connection: Wire, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    await connection.send_packed_command(b"".join(map(pack_command, commands)), check_health=False)
    replies: list[Any] = []
    for _ in commands:
        try:
            replies.append(await connection.read_response())
        except ResponseError as error:
            replies.append(error)
    return replies


def _answer(order: Order, reply: Any) -> None:
    order.reply = reply
    if order.done is not None:
        order.done(reply)
    if order.future is not None and not order.future.done():
        order.future.set_result(reply)


def _refuse(order: Order, detail: str | None = None) -> None:
    if order.future is not None and not order.future.done():
        order.future.set_exception(unavailable(detail))


def _drop(order: Order) -> None:
    if order.dropped is not None:
        order.dropped()


def _both(first: Callable[[Any], None] | None, second: Callable[[Any], None]) -> Callable[[Any], None]:
    def told(reply: Any) -> None:
        if first is not None:
            first(reply)
        second(reply)

    return told
