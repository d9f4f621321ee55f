"""Typed values out of models: the request for one, and what becomes of the answer."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar, cast

from fairlead._calls import LEFT, Account, Options, account_of, apart, chat_fields, open_call, whole
from fairlead.call import Call, Held, Outcome
from fairlead.dialects.openai_chat import OPENAI_CHAT
from fairlead.errors import DeadlineExceeded, FairleadError, InvalidRequest, OutputInvalid, UpstreamError
from fairlead.pipeline import Chunks
from fairlead.types import ChatEvent, Finished, TextDelta, ToolCallDelta
from fairlead.validation.ladder.climb import climb
from fairlead.validation.ladder.shape import Shapes
from fairlead.validation.targets.partials import Partials
from fairlead.validation.targets.target import Target
from fairlead.verdict import FieldError, Validated, Verdict

if TYPE_CHECKING:
    from fairlead._calls import Messages
    from fairlead.config.build import Runtime

T = TypeVar("T")

NO_FALLBACK: Final = object()
"""Stands for a fallback that is not given: `None` is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted(Account, Generic[T]):
    """A value that fits, and how it came to."""

    value: T
    report: Validated | None
    """How far up the ladder it took, and every edit; `None` where the answer is a fallback that nobody asked a model
    for."""
    is_fallback: bool = False
    """Whether it is the value given for when there is none."""

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish(Generic[T]):
    """What is to be extracted, and how much may be done for it."""

    target: Target[T]
    held: Held
    context: Any = None
    fallback: Any = NO_FALLBACK

    def judge(self, value: Any) -> tuple[Any, tuple[FieldError, ...]]:
        """The value as the target has it, or what is wrong with it."""
        return self.target.judge(value, self.context)


def open_extraction(
    runtime: Runtime,
    wish: Wish[T],
    messages: Messages,
    model: str,
    parameters: Mapping[str, Any],
    options: Options,
    *,
    stream: bool = False,
) -> Call:
    """The call that asks for it.

    Raises:
        InvalidRequest: a parameter that says again what the answer is to be.
    """
    taken = parameters.keys() & {"response_format", "stream", "n"}
    if taken:
        raise InvalidRequest(f"`{min(taken)}=` has no place in an extraction: the type says what the answer is to be")
    form: dict[str, Any] = {"name": wish.target.name, "schema": _decoded(wish.target.schema)}
    if not runtime.is_remote:
        form["strict"] = True  # of a gateway elsewhere nobody here knows what its models take
    fields = chat_fields(messages, model, parameters) | ({"stream": True} if stream else {})
    call = open_call(
        runtime, OPENAI_CHAT, {**fields, "response_format": {"type": "json_schema", "json_schema": form}}, options
    )
    call.held = wish.held
    return call


async def extract(runtime: Runtime, call: Call, wish: Wish[T]) -> Extracted[T]:
    """The value, or the fallback where there is none.

    Raises:
        OutputInvalid: no answer fits, and there is no fallback.
        FairleadError: one of its kinds, see `fairlead.errors`.
    """
    try:
        answer, account = await whole(runtime, call, OPENAI_CHAT)
    except (OutputInvalid, UpstreamError, DeadlineExceeded) as error:
        return await _instead(call, wish, error)
    del answer
    return Extracted(value=call.value, report=call.report, **account)


async def _instead(call: Call, wish: Wish[T], error: FairleadError) -> Extracted[T]:
    if wish.fallback is NO_FALLBACK:
        raise error
    value = wish.fallback
    if callable(value):
        value = value(error) if _takes_error(value) else value()
        if inspect.isawaitable(value):
            value = await value
    return Extracted(value=value, report=call.report, is_fallback=True, **account_of(call))


def _takes_error(fallback: Any) -> bool:
    """Whether it wants to know what went wrong."""
    try:
        inspect.signature(fallback).bind(None)
    except TypeError:
        return False
    except ValueError:
        return True
    return True


class ExtractStream(Generic[T]):
    """A value that is still being written: iterate once over what is known of it so far.

    The last thing that it gives is the value itself, checked; `result` then has it with its account.
    """

    def __init__(self, runtime: Runtime, call: Call, wish: Wish[T]) -> None:
        self._values = self._run(runtime, call, wish)
        self._result: Extracted[T] | None = None
        runtime.streams.add(self)
        self.call = call

    @property
    def result(self) -> Extracted[T]:
        """The whole value.

        Raises:
            InvalidRequest: the stream has not ended yet.
        """
        if self._result is None:
            raise InvalidRequest("the value is not complete; iterate to the end first")
        return self._result

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._values

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Leave early: the call ends as cancelled, and is charged as the provider charges it."""
        await self._values.aclose()

    async def _run(self, runtime: Runtime, call: Call, wish: Wish[T]) -> AsyncGenerator[Any, None]:
        try:
            async for value in _following(runtime, call, wish):
                yield value
        except (OutputInvalid, UpstreamError, DeadlineExceeded) as error:
            self._result = await _instead(call, wish, error)
        else:
            self._result = Extracted(value=call.value, report=call.report, **account_of(call))
        yield self._result.value


async def _following(runtime: Runtime, call: Call, wish: Wish[T]) -> AsyncGenerator[Any, None]:
    """What is known so far, whenever that is more than before; `call.value` and `call.validated` are set at the end."""
    reply = await apart(runtime, call)
    outcome, decoder, partials = LEFT, OPENAI_CHAT.streams.decoder(), Partials(wish.target)
    text: list[str] = []
    is_cut = False
    runtime.flush()
    try:
        async for chunk in cast("Chunks", reply.source):
            call.fate.committed = True
            for event in decoder.feed(chunk):
                is_cut = is_cut or (isinstance(event, Finished) and event.reason == "length")
                piece = _written(event)
                text.append(piece)
                value = partials.feed(piece) if piece else None
                if value is not None:
                    yield value
        call.value = _complete(call, wish, "".join(text), is_cut=is_cut)
        outcome = Outcome("ok", reply.status)
    except FairleadError as error:
        outcome = Outcome("truncated", reply.status, error)
        raise
    finally:
        call.fate.abandoned = outcome is LEFT
        reply.end(outcome)
        runtime.flush()


def _written(event: ChatEvent) -> str:
    """What the model wrote of the first answer; where it calls the tool that stands for it, the arguments."""
    if isinstance(event, TextDelta) and event.choice == 0:
        return event.text
    return event.arguments if isinstance(event, ToolCallDelta) and event.choice == 0 else ""


def _complete(call: Call, wish: Wish[T], text: str, *, is_cut: bool) -> Any:
    """The value of a whole text.

    Raises:
        OutputInvalid: it does not fit, or is not what the target takes.
    """
    verdict = climb(
        text,
        Shapes().of(wish.target.schema),
        cut=is_cut,
        closes_cut=bool(wish.held.is_cut_repaired),
        locale=wish.held.locale,
    )
    value, errors = (None, verdict.errors) if verdict.errors else wish.judge(verdict.value)
    call.validated = _report(wish, verdict, errors, text)
    if errors:
        raise OutputInvalid.of(wish.target.name, errors)
    return value


def _report(wish: Wish[T], verdict: Verdict, errors: tuple[FieldError, ...], text: str) -> Validated:
    return Validated(
        schema=wish.target.name,
        rung=verdict.rung,
        fits=not errors,
        edits=verdict.edits,
        errors=errors,
        output=text.encode("utf-8", "replace") if errors else None,
    )


def _decoded(schema: bytes) -> Any:
    import msgspec  # noqa: PLC0415 - for one line

    return msgspec.json.decode(schema)
