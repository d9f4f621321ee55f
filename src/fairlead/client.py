"""The library: the gateway's pipeline in process, or a gateway elsewhere, behind one typed client."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import msgspec

from fairlead.call import PRIORITIES, STATIC, Call, Outcome, Priority, Secret
from fairlead.core.money import NANO, parse_usd
from fairlead.dialects.codec import Dialect
from fairlead.dialects.embeddings import OPENAI_EMBEDDINGS
from fairlead.dialects.openai_chat import OPENAI_CHAT
from fairlead.errors import Cancelled, FairleadError, InternalError, InvalidRequest, NotYetAvailable
from fairlead.pipeline import Chunks, Reply
from fairlead.types import ChatEvent, ChatReply, EmbedReply, TextDelta, ToolCall, Usage, UsageSource

if TYPE_CHECKING:
    from fairlead.config.build import Foundation, Runtime
    from fairlead.config.schema import Config

Messages = str | Sequence[Mapping[str, Any]]
"""One user message as a string, or messages in OpenAI's form."""
Texts = str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]]
"""What to embed: a text, several, or either as token numbers of the model's own."""

_LEFT = Outcome("cancelled", Cancelled.http_status, Cancelled("the caller left"))
_LATER = frozenset({"profile", "prompt", "validate", "cache"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Account:
    """What every whole answer tells about its call."""

    raw: bytes
    """The provider's own bytes."""
    call_id: str
    model: str
    """`provider/model` that answered; `static` for a reply of the configuration's."""
    degraded: tuple[str, ...]
    """How the answer is less than what was asked for: `fallback`, `static`."""
    attempts: int
    usage: Usage | None
    usage_source: UsageSource
    cost_nanousd: int | None
    """`None`: not known, as for an unpriced model."""

    @property
    def cost_usd(self) -> Decimal | None:
        """The exact cost in dollars."""
        return None if self.cost_nanousd is None else Decimal(self.cost_nanousd) / NANO


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion(_Account):
    """A whole answer."""

    text: str
    """All text of the first choice."""
    tool_calls: tuple[ToolCall, ...]
    finish_reason: str | None
    reply: ChatReply
    """Every choice in neutral form."""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings(_Account):
    """Vectors in the order of their texts."""

    vectors: tuple[tuple[float, ...], ...]
    """One for each text, all of the same length."""
    reply: EmbedReply
    """The answer in neutral form."""

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One event of a stream; `text` is empty for events that are not visible text of the first choice."""

    text: str
    event: ChatEvent

    def __str__(self) -> str:
        return self.text


class Client:
    """Calls models; one client serves any number of tasks, threads and event loops, and survives a fork.

    Args:
        gateway: the address of a running gateway; without it the pipeline runs in this process.
        key: the key for that gateway; in this process, the virtual key whose limits and budgets apply, and without one
            none do.  A key that is changed or revoked counts so here within a minute.
        config: instead of the `fairlead.toml` of the working folder or, without one, the environment's provider keys.

    Raises:
        ConfigError: at the first call, for a configuration that cannot be used.
    """

    def __init__(
        self,
        *,
        gateway: str | None = None,
        key: str | None = None,
        config: Config | None = None,
        root: Path | None = None,
    ) -> None:
        self._gateway = gateway
        self._key = None if key is None else Secret(key)
        self._config = config
        self._root = Path() if root is None else root
        self._lock = threading.Lock()
        self._pid = 0
        self._foundation: Foundation | None = None
        self._runtimes: dict[asyncio.AbstractEventLoop, Runtime] = {}
        self._closed = False

    @classmethod
    def from_file(cls, path: str | Path, *, key: str | None = None) -> Self:
        """A client of the pipeline that a configuration file describes.

        Raises:
            ConfigError: the file cannot be used; names file and line.
        """
        from fairlead.config.load import load  # noqa: PLC0415 - only the embedded pipeline needs it

        where = Path(path)
        return cls(config=load(where), root=where.resolve().parent, key=key)

    async def complete(
        self,
        messages: Messages,
        *,
        model: str,
        timeout_s: float | None = None,
        tags: Sequence[str] = (),
        session: str | None = None,
        priority: Priority = "interactive",
        **parameters: Any,
    ) -> Completion:
        """The whole answer to `messages`.

        Args:
            timeout_s: for the call with all its attempts.
            priority: who goes first where calls wait for a provider's limits.
            parameters: of the chat request, in OpenAI's names: `temperature`, `max_tokens`, `tools`, ...

        Raises:
            FairleadError: one of its kinds, see `fairlead.errors`.
        """
        runtime = self._runtime()
        options = _Options(timeout_s=timeout_s, tags=tuple(tags), session=session, priority=priority)
        call = _open(runtime, OPENAI_CHAT, _chat(messages, model, parameters), options)
        self._show_key(call)
        return await _complete(runtime, call)

    async def embed(
        self,
        texts: Texts,
        *,
        model: str,
        timeout_s: float | None = None,
        tags: Sequence[str] = (),
        session: str | None = None,
        priority: Priority = "interactive",
        **parameters: Any,
    ) -> Embeddings:
        """The vectors of `texts`.

        Args:
            timeout_s: for the call with all its attempts.
            priority: who goes first where calls wait for a provider's limits.
            parameters: of the request, in OpenAI's names, such as `dimensions`; and `input_type`, what they are for.

        Raises:
            FairleadError: one of its kinds, see `fairlead.errors`.
        """
        runtime = self._runtime()
        options = _Options(timeout_s=timeout_s, tags=tuple(tags), session=session, priority=priority)
        # Packed, a number takes five bytes instead of a dozen.
        fields = {"model": model, "input": texts, "encoding_format": "base64", **_now(parameters)}
        call = _open(runtime, OPENAI_EMBEDDINGS, fields, options)
        self._show_key(call)
        return await _embed(runtime, call)

    def stream(
        self,
        messages: Messages,
        *,
        model: str,
        timeout_s: float | None = None,
        tags: Sequence[str] = (),
        session: str | None = None,
        priority: Priority = "interactive",
        **parameters: Any,
    ) -> Stream:
        """The answer in pieces, as they arrive; takes what `complete` takes.

        Leaving the loop early closes the call: use `async with`, or let the iteration end.
        """
        runtime = self._runtime()
        options = _Options(timeout_s=timeout_s, tags=tuple(tags), session=session, priority=priority)
        call = _open(runtime, OPENAI_CHAT, _chat(messages, model, parameters) | {"stream": True}, options)
        self._show_key(call)
        return Stream(runtime, call)

    async def aclose(self) -> None:
        """Close the connections of the running loop and write out all records; calling it twice is harmless."""
        if self._closed:
            return
        self._closed = True
        runtime = self._runtimes.pop(asyncio.get_running_loop(), None)
        if runtime is not None:
            for stream in tuple(runtime.streams):
                await stream.aclose()
            await runtime.aclose()
        if self._foundation is not None and self._pid == os.getpid():
            await self._foundation.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _runtime(self) -> Runtime:
        """The pipeline of the running loop, built when it is first needed there."""
        if self._closed:
            raise InvalidRequest("this client is closed; make another one")
        loop = asyncio.get_running_loop()
        runtime = self._runtimes.get(loop)
        if runtime is not None and self._pid == os.getpid():
            return runtime
        from fairlead.config import build  # noqa: PLC0415 - the import costs more than `import fairlead` may

        with self._lock:
            if self._pid != os.getpid():
                # After a fork the parent's connections, locks and files are not ours to use.
                self._pid = os.getpid()
                self._foundation = None
                self._runtimes = {}
            if self._gateway is not None:
                runtime = build.build_remote(self._gateway, self._key)
            else:
                if self._foundation is None:
                    self._foundation = build.lay_foundation(
                        self._settings(), root=self._root, environ=os.environ, name=f"library-{self._pid}"
                    )
                runtime = build.build(self._foundation, auth="open" if self._key is None else "keys")
            self._runtimes = {each: kept for each, kept in self._runtimes.items() if not each.is_closed()}
            self._runtimes[loop] = runtime
        return runtime

    def _show_key(self, call: Call) -> None:
        """In this process a call carries the key itself; to a gateway the provider does."""
        if self._gateway is None:
            call.credential = self._key

    def _settings(self) -> Config:
        from fairlead.config import env, load  # noqa: PLC0415

        if self._config is not None:
            return self._config
        path = env.find(self._root)
        return env.from_environment(os.environ) if path is None else load.load(path)


class Stream:
    """Pieces of one answer; iterate it once."""

    def __init__(self, runtime: Runtime, call: Call) -> None:
        self._runtime = runtime
        self._pieces = _pieces(runtime, call)
        runtime.streams.add(self)
        self.call = call
        """Its `attempts`, `cost_nanousd` and usage are complete once the stream is."""

    def __aiter__(self) -> AsyncIterator[Piece]:
        return self._pieces

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Leave early: the call ends as cancelled, and is charged as the provider charges it."""
        await self._pieces.aclose()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """What a caller says of a call apart from its body."""

    timeout_s: float | None
    tags: tuple[str, ...]
    session: str | None
    priority: Priority


def _chat(messages: Messages, model: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    turns = [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)
    return {"model": model, "messages": turns, **_now(parameters)}


def _now(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters, if this version has them all."""
    later = _LATER & parameters.keys()
    if later:
        raise NotYetAvailable(f"`{min(later)}=` is not yet in this version; leave it out")
    return parameters


def _open(runtime: Runtime, dialect: Dialect, fields: Mapping[str, Any], options: _Options) -> Call:
    """Encode once what the caller gave, so that later changes to it change nothing (FAULTS M3)."""
    try:
        body = msgspec.json.encode(fields)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"the request cannot be written as JSON: {error}") from error
    call = runtime.new_call(dialect.request.read(body), body=body)
    if options.priority not in PRIORITIES:
        raise InvalidRequest("`priority=` is `interactive`, `batch` or `background`")
    call.tags = options.tags
    call.session = options.session
    call.priority = PRIORITIES[options.priority]
    if options.timeout_s is not None:
        call.deadline_ns = call.started_ns + int(options.timeout_s * 1e9)
    if runtime.is_remote:
        call.request.headers = _told_to_gateway(options)
    return call


def _told_to_gateway(options: _Options) -> dict[str, str]:
    """What a gateway elsewhere is told in headers.

    Raises:
        InvalidRequest: a tag or session that no header can carry.
    """
    told = {
        "x-fairlead-tags": ",".join(options.tags) or None,
        "x-fairlead-session": options.session,
        "x-fairlead-timeout": None if options.timeout_s is None else f"{options.timeout_s:g}",
        "x-fairlead-priority": None if options.priority == "interactive" else options.priority,
    }
    headers = {name: value for name, value in told.items() if value is not None}
    if not all(value.isascii() and value.isprintable() for value in headers.values()):
        raise InvalidRequest("`tags` and `session` may hold printable ASCII characters only")
    return headers


async def _apart(runtime: Runtime, call: Call) -> Reply:
    """Run the pipeline in a task of its own, so that a cancelled caller leaves at once and the call still ends properly."""
    task = asyncio.get_running_loop().create_task(runtime.pipeline(call), name=f"call-{call.id}")
    runtime.owned.add(task)
    task.add_done_callback(runtime.owned.discard)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        call.fate.abandoned = True
        task.add_done_callback(_end_late)
        task.cancel()
        raise


def _end_late(task: asyncio.Task[Reply]) -> None:
    """A reply came in the very moment when its caller left."""
    if not task.cancelled() and task.exception() is None:
        task.result().end(_LEFT)


async def _complete(runtime: Runtime, call: Call) -> Completion:
    answer, account = await _whole(runtime, call, OPENAI_CHAT)
    first = answer.choices[0] if answer.choices else None
    return Completion(
        text="" if first is None else first.message.text,
        tool_calls=() if first is None else first.message.tool_calls,
        finish_reason=None if first is None else first.finish_reason,
        reply=answer,
        **account,
    )


async def _embed(runtime: Runtime, call: Call) -> Embeddings:
    answer, account = await _whole(runtime, call, OPENAI_EMBEDDINGS)
    return Embeddings(vectors=answer.vectors, reply=answer, **account)


async def _whole(runtime: Runtime, call: Call, dialect: Dialect) -> tuple[Any, dict[str, Any]]:
    """A whole answer in neutral form, and the fields of its `_Account`."""
    reply = await _apart(runtime, call)
    body = reply.source
    try:
        if not isinstance(body, bytes):
            raise InternalError("a whole answer was asked for and a stream came back")
        answer = dialect.reply.decode(body)
    except FairleadError as error:
        reply.end(Outcome("error", error.status, error))
        raise
    reply.end(Outcome("ok", reply.status))
    runtime.flush()  # whoever has the answer finds its record, whatever becomes of this process
    attempt = None if STATIC in call.degraded else call.attempt
    told = reply.headers.get("x-fairlead-degraded")
    return answer, {
        "raw": body,
        "call_id": reply.headers.get("x-fairlead-call-id", call.id),
        "model": reply.headers.get("x-fairlead-model", call.answered_by),
        "degraded": tuple(call.degraded if told is None else told.split(", ")),
        "attempts": int(reply.headers.get("x-fairlead-attempts", len(call.attempts))),
        "usage": None if attempt is None else attempt.usage,
        "usage_source": "none" if attempt is None else attempt.usage_source,
        "cost_nanousd": _cost(call, reply),
    }


def _cost(call: Call, reply: Reply) -> int | None:
    """Our own count, or what a gateway elsewhere says."""
    told = reply.headers.get("x-fairlead-cost-usd")
    return call.cost_nanousd if told is None else parse_usd(told)


async def _pieces(runtime: Runtime, call: Call) -> AsyncGenerator[Piece, None]:
    # An iteration that is dropped is closed by the loop a little later; a closing client waits for that.
    under_way = asyncio.get_running_loop().create_future()
    runtime.owned.add(under_way)
    try:
        reply = await _apart(runtime, call)
        outcome = _LEFT
        decoder = OPENAI_CHAT.streams.decoder()
        runtime.flush()
        try:
            async for chunk in cast("Chunks", reply.source):
                call.fate.committed = True
                for event in decoder.feed(chunk):
                    visible = isinstance(event, TextDelta) and event.choice == 0
                    yield Piece(text=event.text if isinstance(event, TextDelta) and visible else "", event=event)
            outcome = Outcome("ok", reply.status)
        except FairleadError as error:
            outcome = Outcome("truncated", reply.status, error)
            raise
        finally:
            call.fate.abandoned = outcome is _LEFT
            reply.end(outcome)
            runtime.flush()
    finally:
        runtime.owned.discard(under_way)
        under_way.cancel()
