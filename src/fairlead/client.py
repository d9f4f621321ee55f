"""The library: the gateway's pipeline in process, or a gateway elsewhere, behind one typed client."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec

from fairlead._calls import (
    Completion,
    Embeddings,
    Messages,
    Options,
    Piece,
    Texts,
    chat_fields,
    complete,
    embed,
    of_this_version,
    open_call,
)
from fairlead._extract import Extracted, ExtractStream, Wish, extract, open_extraction
from fairlead._reading import Reading, read
from fairlead._wishes import NO_FALLBACK, AskingNobody, UpTo, check_fallback, held_to, held_to_shown, settled
from fairlead.call import Call, Held, Priority, Secret
from fairlead.dialects.embeddings import OPENAI_EMBEDDINGS
from fairlead.dialects.openai_chat import OPENAI_CHAT
from fairlead.errors import InvalidRequest
from fairlead.validation.targets.target import Target, Targets

if TYPE_CHECKING:
    from fairlead.config.build import Foundation, Runtime
    from fairlead.config.schema import Config, Validation

T = TypeVar("T")


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
        self._targets = Targets()

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
        if parameters.get("stream"):
            raise InvalidRequest("`complete` gives whole answers; `stream` gives them in pieces")
        runtime = self._runtime()
        options = Options.of(timeout_s=timeout_s, tags=tags, session=session, priority=priority)
        call = open_call(runtime, OPENAI_CHAT, chat_fields(messages, model, parameters), options)
        self._show_key(call)
        return await complete(runtime, call)

    async def extract(
        self,
        kind: type[T] | Mapping[str, Any],
        messages: Messages,
        *,
        model: str,
        context: Any = None,
        fallback: Any = NO_FALLBACK,
        up_to: UpTo | None = None,
        reasks: int | None = None,
        max_reask_tokens: int | None = None,
        max_reask_usd: float | None = None,
        escalate: str | None = None,
        locale: str | None = None,
        min_confidence: float | None = None,
        repair_cut: bool | None = None,
        timeout_s: float | None = None,
        tags: Sequence[str] = (),
        session: str | None = None,
        priority: Priority = "interactive",
        **parameters: Any,
    ) -> Extracted[T]:
        """A value of a type out of `messages`: found, repaired, moved towards the schema, asked for again.

        Args:
            kind: a pydantic model, TypedDict, dataclass, Enum, `list[...]` or anything else that pydantic reads; or a
                JSON Schema, whose value is plain data.
            context: what validators find as `info.context`; its `locale` is that of the call, if that has no own.
            fallback: the value where no answer fits or nobody can answer, or a function that makes one; called with the
                error if it takes an argument, and awaited if it has to be.  What it raises is raised as it is.
            up_to: the last rung that may be used; else as configured, or `reask`.
            reasks: the most re-asks; else as configured, or 2.
            max_reask_tokens: the most tokens of all re-asks.
            max_reask_usd: the most that all re-asks may cost.
            escalate: the model to ask where re-asking fails.
            locale: how dates and numbers with two readings are read, such as `en-US`.
            min_confidence: how sure the least certain edit must be, from 0 to 1.
            repair_cut: whether an answer that its length cut is closed as well as it can be.
            parameters: as of `complete`.

        Raises:
            InvalidRequest: an option that cannot be meant; nothing has been sent.
            OutputInvalid: no answer fits, and there is no fallback; its `errors` name the fields.
            FairleadError: one of its kinds, see `fairlead.errors`.
        """
        held = held_to(
            context=context,
            up_to=up_to,
            locale=locale,
            min_confidence=min_confidence,
            repair_cut=repair_cut,
            reasks=reasks,
            max_reask_tokens=max_reask_tokens,
            max_reask_usd=max_reask_usd,
            escalate=escalate,
        )
        options = Options.of(timeout_s=timeout_s, tags=tags, session=session, priority=priority)
        runtime, wish = self._wish(kind, model, held, context, fallback)
        call = open_extraction(runtime, wish, messages, model, parameters, options)
        self._show_key(call)
        return await extract(runtime, call, wish)

    def stream_extract(
        self,
        kind: type[T] | Mapping[str, Any],
        messages: Messages,
        *,
        model: str,
        context: Any = None,
        fallback: Any = NO_FALLBACK,
        up_to: AskingNobody | None = None,
        locale: str | None = None,
        min_confidence: float | None = None,
        repair_cut: bool | None = None,
        timeout_s: float | None = None,
        tags: Sequence[str] = (),
        session: str | None = None,
        priority: Priority = "interactive",
        **parameters: Any,
    ) -> ExtractStream[T]:
        """The value while it is written: what is known of it so far, each time more, and at last the value itself.

        What has been shown cannot be asked for again: an answer that does not fit is repaired, or it is the fallback.

        Args: as of `extract`, but what asks again; `up_to` is `coerce` at most.
        """
        held = held_to_shown(
            context=context, up_to=up_to, locale=locale, min_confidence=min_confidence, repair_cut=repair_cut
        )
        options = Options.of(timeout_s=timeout_s, tags=tags, session=session, priority=priority)
        runtime, wish = self._wish(kind, model, held, context, fallback)
        call = open_extraction(runtime, wish, messages, model, parameters, options, stream=True)
        self._show_key(call)
        return ExtractStream(runtime, call, wish)

    def _wish(
        self, kind: type[T] | Mapping[str, Any], model: str, held: Held, context: Any, fallback: Any
    ) -> tuple[Runtime, Wish[T]]:
        check_fallback(fallback)
        runtime = self._runtime()
        target: Target[T] = self._targets.of(kind)
        judged = msgspec.structs.replace(
            settled(held, model, self._validation(model), runtime), judge=partial(target.judge, context=context)
        )
        return runtime, Wish(target=target, held=judged, fallback=fallback)

    def _validation(self, model: str) -> Validation | None:
        """What the configuration says of a model's answers."""
        if self._foundation is None or not isinstance(model, str):
            return None
        models = self._foundation.config.models
        found = models.get(model, models.get("*"))
        return None if found is None else found.validation

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
        options = Options.of(timeout_s=timeout_s, tags=tags, session=session, priority=priority)
        # Packed, a number takes five bytes instead of a dozen.
        fields = {"model": model, "input": texts, "encoding_format": "base64", **of_this_version(parameters)}
        call = open_call(runtime, OPENAI_EMBEDDINGS, fields, options)
        self._show_key(call)
        return await embed(runtime, call)

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
        options = Options.of(timeout_s=timeout_s, tags=tags, session=session, priority=priority)
        call = open_call(runtime, OPENAI_CHAT, chat_fields(messages, model, parameters) | {"stream": True}, options)
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
                with suppress(InvalidRequest):  # another task reads it, and has a moment to come to its end
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
                runtime = build.build(self._foundation, auth="open" if self._key is None else "keys", extracts=True)
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


class Stream(Reading[Piece]):
    """Pieces of one answer; iterate it once."""

    def __init__(self, runtime: Runtime, call: Call) -> None:
        super().__init__(runtime, call, read(runtime, call, Piece.of))
