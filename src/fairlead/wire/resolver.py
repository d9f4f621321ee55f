"""Names to addresses: one look-up at a time, kept for a short while, checked whenever they are used (FAULTS X2)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from fairlead.errors import UpstreamUnreachable
from fairlead.wire.origin import AllowPrivate, Origin, permitted

Lookup = Callable[[str, int], Awaitable[list[str]]]
"""Host and port to numeric addresses, in the resolver's order; raises `OSError` or `UnicodeError`."""

_KEPT_S = 30.0
_FAILURE_KEPT_S = 1.0


class Resolver:
    """The addresses of one origin, so that what is kept is bounded by itself.

    Args:
        lookup: by default the operating system's resolver.
        now: seconds of a steady clock; by default the loop's.
    """

    def __init__(
        self,
        origin: Origin,
        allow_private: AllowPrivate,
        *,
        lookup: Lookup | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._origin = origin
        self._allow_private = allow_private
        self._lookup = lookup or _system_lookup
        self._now = now
        self._found: list[str] | Exception = []
        self._good_until: float | None = None
        self._looking: asyncio.Task[None] | None = None

    async def addresses(self) -> list[str]:
        """The addresses that may be connected to, in the resolver's order.

        Checked is what will be connected to, so a name that changes its address between two look-ups gains nothing.

        Raises:
            UpstreamUnreachable: the name is unknown, or every address is refused.
        """
        if self._good_until is None or self._time() >= self._good_until:
            if self._looking is None:
                self._looking = asyncio.get_running_loop().create_task(self._look(), name="dns-lookup")
            looking = self._looking
            await asyncio.wait((looking,))  # so one who no longer waits does not end it for the others
            if looking.cancelled():
                raise UpstreamUnreachable(f"the connections to {self._where} are closed")
            looking.result()
        found = self._found
        if isinstance(found, Exception):
            raise UpstreamUnreachable(
                f"the name of the provider's host {self._where} cannot be resolved; check its base URL and DNS",
                detail=f"{type(found).__name__}: {found}",
            ) from found
        return permitted(found, self._where, self._allow_private)

    def forget(self) -> None:
        """Look the name up again next time: nothing could be reached at the addresses that are known."""
        self._good_until = None

    def close(self) -> None:
        """Stop looking; whoever waits gets `UpstreamUnreachable`."""
        if self._looking is not None:
            self._looking.cancel()

    async def _look(self) -> None:
        try:
            self._found = await self._lookup(self._origin.host, self._origin.port)
            kept_s = _KEPT_S
        except (OSError, UnicodeError) as error:
            self._found = error
            kept_s = _FAILURE_KEPT_S
        finally:
            self._looking = None
        self._good_until = self._time() + kept_s

    def _time(self) -> float:
        return asyncio.get_running_loop().time() if self._now is None else self._now()

    @property
    def _where(self) -> str:
        return f"{self._origin.host}:{self._origin.port}"


async def _system_lookup(host: str, port: int) -> list[str]:
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in infos]
