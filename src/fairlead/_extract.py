"""Typed values out of models: the request for one, and what becomes of the answer."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from fairlead._calls import Account, Options, account_of, chat_fields, open_call, whole
from fairlead._reading import Reading, read
from fairlead._wishes import NO_FALLBACK, check_parameters, is_asked, takes_error
from fairlead.call import STATIC, Call, Held
from fairlead.dialects.openai_chat import OPENAI_CHAT
from fairlead.errors import DeadlineExceeded, FairleadError, InvalidRequest, OutputInvalid, UpstreamError
from fairlead.types import ChatEvent, TextDelta
from fairlead.validation.answers import CallsAsText
from fairlead.validation.shaping.modes import tool_name
from fairlead.validation.targets.partials import Partials
from fairlead.validation.targets.target import Target
from fairlead.verdict import Validated

if TYPE_CHECKING:
    from fairlead._calls import Messages
    from fairlead.config.build import Runtime

T = TypeVar("T")


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
    fallback: Any = NO_FALLBACK


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
        InvalidRequest: a parameter that says again what the answer is to be, or one that is no parameter.
    """
    check_parameters(parameters.keys(), is_stream=stream)
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
    if is_asked(value):
        # What it raises is its owner's, and goes to its owner as it is.
        value = value(error) if takes_error(value) else value()
        if inspect.isawaitable(value):
            value = await value
    return Extracted(value=value, report=call.report, is_fallback=True, **account_of(call))


class ExtractStream(Reading[Any], Generic[T]):
    """A value that is still being written: iterate once over what is known of it so far.

    The last thing that it gives is the value itself, checked; `result` then has it with its account.
    """

    def __init__(self, runtime: Runtime, call: Call, wish: Wish[T]) -> None:
        super().__init__(runtime, call, self._run(runtime, call, wish))
        self._result: Extracted[T] | None = None

    @property
    def result(self) -> Extracted[T]:
        """The whole value.

        Raises:
            InvalidRequest: the stream has not ended yet.
        """
        if self._result is None:
            raise InvalidRequest("the value is not complete; iterate to the end first")
        return self._result

    async def _run(self, runtime: Runtime, call: Call, wish: Wish[T]) -> AsyncGenerator[Any, None]:
        try:
            # Whoever closes this generator closes no other one by it.
            async with aclosing(read(runtime, call, _Known(call, wish).of)) as values:
                async for value in values:
                    yield value
        except (OutputInvalid, UpstreamError, DeadlineExceeded) as error:
            self._result = await _instead(call, wish, error)
        else:
            self._result = Extracted(value=call.value, report=call.report, **account_of(call))
        yield self._result.value


class _Known(Generic[T]):
    """What is known of a value after each event of the answer that it is written in."""

    def __init__(self, call: Call, wish: Wish[T]) -> None:
        self._call = call
        self._partials = Partials(wish.target)
        self._as_text: CallsAsText | None = None

    def of(self, event: ChatEvent) -> Any | None:
        """What is known now; `None` where that is nothing, or nothing new."""
        wanted, is_static = self._call.request.wanted, STATIC in self._call.degraded
        if wanted is not None and not is_static and self._call.attempt.structured == "tool":
            self._as_text = self._as_text or CallsAsText(tool_name(wanted))
            event = self._as_text.of(event)
        if isinstance(event, TextDelta) and event.choice == 0 and event.text:
            return self._partials.feed(event.text)
        return None


def _decoded(schema: bytes) -> Any:
    import msgspec  # noqa: PLC0415 - for one line

    return msgspec.json.decode(schema)
