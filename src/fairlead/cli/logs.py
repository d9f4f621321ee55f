"""`fairlead logs`: the record of every call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from fairlead.cli.durations import duration_ns
from fairlead.cli.settings import ConfigOption, JsonOption, find_settings, ingester, is_store_made, opened_store
from fairlead.cli.terminal import clean, console, emit, one_line
from fairlead.errors import NotFound, NotYetAvailable

if TYPE_CHECKING:
    from fairlead.cli.settings import Settings
    from fairlead.ports import LogQuery, LogStore

Row = Mapping[str, object]

_POLL_S: Final = 0.5
_PAGE: Final = 500
_SETTLED_NS: Final = 5_000_000_000
"""After this long no worker's spool brings an earlier call any more."""


def logs(
    action: Annotated[
        str | None, typer.Argument(metavar="[tail|show|search|erase]", help="Follow, show one, search, or erase.")
    ] = None,
    what: Annotated[
        str | None, typer.Argument(metavar="[ID|TEXT]", help="For show: the call's id.  For search: the text.")
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="SPAN", help="How far back, such as 1h; absent: all.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=100_000, help="At most so many, the newest.")] = 50,
    user: Annotated[str | None, typer.Option(metavar="U", help="For erase: whose records.")] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """List the newest calls, follow them (tail), show one with its contents, or search requests and answers."""
    span_ns = None if since is None else duration_ns(since)
    _check(action, what, user)
    if action == "erase":
        raise NotYetAvailable("`logs erase` is not yet in this version")
    settings = find_settings(config)
    if action != "tail" and not is_store_made(settings):
        if action == "show":
            raise NotFound(f"no call {what!r}")
        return
    from fairlead.ports import LogQuery
    from fairlead.stores.system import SystemClock

    since_ns = None if span_ns is None else SystemClock().now_ns() - span_ns
    if action == "tail":
        query = LogQuery(since_ns=since_ns, limit=limit if since_ns is not None else min(limit, 10))
        asyncio.run(_tail(settings, query, emit if json else _print_line))
    elif action == "show":
        _show(asyncio.run(_read(settings, LogQuery(call_id=what, limit=1))), what, json=json)
    else:
        found = asyncio.run(_read(settings, LogQuery(since_ns=since_ns, search=what, limit=limit)))
        for row in found if json else reversed(found):
            (emit if json else _print_line)(row)


def _check(action: str | None, what: str | None, user: str | None) -> None:
    if action not in (None, "tail", "show", "search", "erase"):
        raise typer.BadParameter(f"{action!r} is not one of tail, show, search, erase")
    if (action in ("show", "search")) != (what is not None):
        raise typer.BadParameter("`show` takes a call's id and `search` a text; the others take neither")
    if (action == "erase") != (user is not None):
        raise typer.BadParameter("`erase` and --user go together")


async def _read(settings: Settings, query: LogQuery) -> list[Row]:
    async with opened_store(settings) as store:
        await ingester(settings, store).run_once()
        return list(await store.logs.calls(query))


async def _tail(settings: Settings, query: LogQuery, show: Callable[[Row], None]) -> None:
    """The last few, then each call once it has ended; goes on until it is interrupted."""
    from fairlead.stores.system import SystemClock

    clock = SystemClock()
    async with opened_store(settings) as store:
        moves = ingester(settings, store)
        await moves.run_once()
        follower = Follower(store.logs)
        newest = list(await store.logs.calls(query))
        for row in follower.begin(newest):
            show(row)
        while True:
            await clock.sleep(_POLL_S)
            await moves.run_once()
            for row in await follower.following(clock.now_ns()):
                show(row)


class Follower:
    """Each call once, after it ended, also when an earlier one is still open or comes late from another worker."""

    def __init__(self, logs: LogStore) -> None:
        self._logs = logs
        self._cursor: str | None = None
        self._told: set[str] = set()

    def begin(self, newest: list[Row]) -> list[Row]:
        """Take what stands there already, newest first; returns it oldest first."""
        rows = list(reversed(newest))
        self._told = {str(row["call_id"]) for row in rows if row["outcome"] != "open"}
        return [row for row in rows if row["outcome"] != "open"]

    async def following(self, now_ns: int) -> list[Row]:
        """What ended since the last question, oldest first."""
        from fairlead.ports import LogQuery

        fresh: list[Row] = []
        after_id, is_settled = self._cursor, True
        while True:
            page = await self._logs.calls(LogQuery(after_id=after_id, limit=_PAGE))
            for row in page if after_id is not None else reversed(page):
                call_id = str(row["call_id"])
                has_ended = row["outcome"] != "open"
                if has_ended and call_id not in self._told:
                    self._told.add(call_id)
                    fresh.append(row)
                is_settled = is_settled and has_ended and now_ns - _int(row["started_at_ns"]) > _SETTLED_NS
                if is_settled:
                    self._told.discard(self._cursor or "")
                    self._cursor = call_id
                after_id = call_id
            if len(page) < _PAGE:
                return fresh
