"""A stream that is there already."""

from __future__ import annotations

from collections.abc import Callable


class Once:
    """A stream of one chunk, see `fairlead.pipeline.Stream`."""

    def __init__(self, body: bytes, now_ns: int) -> None:
        self.progressed_ns = now_ns
        self.outlet: Callable[[bytes], bool] | None = None
        self._body = body
        self._left: bytes | None = body
        self._error: BaseException | None = None

    def __aiter__(self) -> Once:
        return self

    async def __anext__(self) -> bytes:
        if self._error is not None:
            raise self._error
        left, self._left = self._left, None
        if left is None:
            raise StopAsyncIteration
        return left

    def abort(self, error: BaseException) -> None:
        self._error = error

    def close(self) -> None:
        self._left = None

    def raw(self) -> bytes:
        return self._body
