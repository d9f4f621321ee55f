"""The library without `await`: the same client on a loop of its own, in one background thread."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from fairlead._calls import Completion, Embeddings, Messages, Piece, Texts
from fairlead._extract import Extracted, ExtractStream
from fairlead._wishes import NO_FALLBACK, AskingNobody, UpTo
from fairlead.call import Priority
from fairlead.client import Client, Stream

if TYPE_CHECKING:
    from fairlead.config.schema import Config

T = TypeVar("T")
_END: Final = object()


class SyncClient:
    """`Client` for code without an event loop; works in threads, in notebooks, and beside a running loop too.

    Args: as of `Client`.
    """

    def __init__(
        self,
        *,
        gateway: str | None = None,
        key: str | None = None,
        config: Config | None = None,
        root: Path | None = None,
    ) -> None:
        self._client = Client(gateway=gateway, key=key, config=config, root=root)
        self._portal = _Portal()

    @classmethod
    def from_file(cls, path: str | Path, *, key: str | None = None) -> Self:
        """A client of the pipeline that a configuration file describes.

        Raises:
            ConfigError: the file cannot be used; names file and line.
        """
        made = cls()
        made._client = Client.from_file(path, key=key)
        return made

    def complete(
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
        """The whole answer; see `Client.complete`."""
        return self._portal.run(
            self._client.complete(
                messages,
                model=model,
                timeout_s=timeout_s,
                tags=tags,
                session=session,
                priority=priority,
                **parameters,
            )
        )

    def extract(
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
        """A value of a type out of `messages`; see `Client.extract`."""
        return self._portal.run(
            self._client.extract(
                kind,
                messages,
                model=model,
                context=context,
                fallback=fallback,
                up_to=up_to,
                reasks=reasks,
                max_reask_tokens=max_reask_tokens,
                max_reask_usd=max_reask_usd,
                escalate=escalate,
                locale=locale,
                min_confidence=min_confidence,
                repair_cut=repair_cut,
                timeout_s=timeout_s,
                tags=tags,
                session=session,
                priority=priority,
                **parameters,
            )
        )

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
    ) -> Iterator[Any]:
        """What is known of the value so far, each time more, and at last the value; see `Client.stream_extract`."""

        async def start() -> ExtractStream[T]:
            return self._client.stream_extract(
                kind,
                messages,
                model=model,
                context=context,
                fallback=fallback,
                up_to=up_to,
                locale=locale,
                min_confidence=min_confidence,
                repair_cut=repair_cut,
                timeout_s=timeout_s,
                tags=tags,
                session=session,
                priority=priority,
                **parameters,
            )

        return self._out(self._portal.run(start()))

    def embed(
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
        """The vectors of `texts`; see `Client.embed`."""
        return self._portal.run(
            self._client.embed(
                texts,
                model=model,
                timeout_s=timeout_s,
                tags=tags,
                session=session,
                priority=priority,
                **parameters,
            )
        )

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
    ) -> Iterator[Piece]:
        """The answer in pieces; see `Client.stream`.  Closing the iterator leaves the call."""

        async def start() -> Stream:
            return self._client.stream(
                messages,
                model=model,
                timeout_s=timeout_s,
                tags=tags,
                session=session,
                priority=priority,
                **parameters,
            )

        return self._out(self._portal.run(start()))

    def _out(self, stream: Stream | ExtractStream[Any]) -> Iterator[Any]:
        """What a stream gives, here; it is left where the iteration is."""
        pieces = aiter(stream)

        async def following() -> Any:
            return await anext(pieces, _END)

        try:
            while (piece := self._portal.run(following())) is not _END:
                yield piece
        finally:
            self._portal.run(stream.aclose())

    def close(self) -> None:
        """Close connections, write out all records and end the thread; calling it twice is harmless."""
        if self._portal.alive:
            self._portal.run(self._client.aclose())
            self._portal.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Portal:
    """Runs coroutines on a loop in a daemon thread, started when it is first needed and again after a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        return self._loop is not None and self._pid == os.getpid()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` there and wait for it; a keyboard interrupt here cancels it there."""
        future = asyncio.run_coroutine_threadsafe(work, self._started())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        self._loop = None

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._pid != os.getpid():
                self._pid = os.getpid()
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="fairlead-sync", daemon=True)
                self._thread.start()
            return self._loop
