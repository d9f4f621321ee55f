"""`fairlead logs`: the record of every call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args

import typer

from fairlead.cli.durations import duration_ns
from fairlead.cli.settings import ConfigOption, JsonOption, find_settings, ingester, is_store_made, opened_store
from fairlead.cli.terminal import clean, console, emit, one_line, room
from fairlead.cli.verdicts import details, is_refused, verdict
from fairlead.errors import NotFound, NotYetAvailable
from fairlead.types import ErrorClass

if TYPE_CHECKING:
    from fairlead.cli.settings import Settings
    from fairlead.ports import LogQuery, LogStore

Row = Mapping[str, object]

CLASSES: Final[tuple[ErrorClass, ...]] = get_args(ErrorClass)
_POLL_S: Final = 0.5
_TOLD_APART: Final = frozenset(
    {
        "attempts",
        "request",
        "response",
        "refused",
        "validated",
        "usage_source",
        "started_at_ns",
        "cost_nanousd",
        "reserved_nanousd",
    }
)
_MOST: Final = 10_000
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
    failed: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS",
            help=f"Only calls that failed so: {', '.join(CLASSES)}.  For validation also those whose answer was refused "
            "first and mended later, and each with its verdict beside the refused output.",
        ),
    ] = None,
    user: Annotated[str | None, typer.Option(metavar="U", help="For erase: whose records.")] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """List the newest calls, follow them, show one or search them."""
    span_ns = None if since is None else duration_ns(since)
    _check(action, what, user)
    failure = _class(action, failed)
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
        shown = limit if since_ns is not None else min(limit, 10)
        query = LogQuery(since_ns=since_ns, failed=failure, limit=shown)
        asyncio.run(_tail(settings, query, emit if json else _printer(failure)))
    elif action == "show":
        _show(asyncio.run(_read(settings, LogQuery(call_id=what, limit=1))), what, json=json)
    else:
        found = asyncio.run(_read(settings, LogQuery(since_ns=since_ns, search=what, failed=failure, limit=limit)))
        show = emit if json else _printer(failure)
        for row in found if json else reversed(found):
            show(row)


def _check(action: str | None, what: str | None, user: str | None) -> None:
    if action not in (None, "tail", "show", "search", "erase"):
        raise typer.BadParameter(f"{action!r} is not one of tail, show, search, erase")
    if (action in ("show", "search")) != (what is not None):
        raise typer.BadParameter("`show` takes a call's id and `search` a text; the others take neither")
    if (action == "erase") != (user is not None):
        raise typer.BadParameter("`erase` and --user go together")


def _class(action: str | None, failed: str | None) -> ErrorClass | None:
    if failed is None:
        return None
    if action not in (None, "tail", "search"):
        raise typer.BadParameter("--failed goes with a list, `tail` and `search`")
    for known in CLASSES:
        if failed == known:
            return known
    raise typer.BadParameter(f"--failed is one of {', '.join(CLASSES)}, not {failed!r}")


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
        for row in await follower.start(query, clock.now_ns()):
            show(row)
        while True:
            await clock.sleep(_POLL_S)
            await moves.run_once()
            for row in await follower.following(clock.now_ns()):
                if has_failed(row, query.failed):
                    show(row)


class Follower:
    """Tells of each call once, after it ended; one that was open for long or comes late from another worker too."""

    def __init__(self, logs: LogStore) -> None:
        self._logs = logs
        self._horizon_ns = 0
        self._told: set[object] = set()

    async def start(self, query: LogQuery, now_ns: int) -> list[Row]:
        """The calls to begin with, oldest first; calls that are open, which have not failed yet, are watched all the same."""
        import msgspec

        matching = [] if query.failed is None else await self._logs.calls(query)
        begun = self.begin(await self._logs.calls(msgspec.structs.replace(query, failed=None)), now_ns)
        rows = {row["call_id"]: row for row in (*reversed(matching), *begun)}
        return [row for row in rows.values() if has_failed(row, query.failed)]

    def begin(self, newest: Sequence[Row], now_ns: int) -> list[Row]:
        """Take what stands there already, newest first; returns what has ended, oldest first."""
        return self._take(newest, now_ns)

    async def following(self, now_ns: int) -> list[Row]:
        """What ended since the last question, oldest first."""
        from fairlead.ports import LogQuery

        return self._take(await self._logs.calls(LogQuery(since_ns=self._horizon_ns, limit=_MOST)), now_ns)

    def _take(self, newest: Sequence[Row], now_ns: int) -> list[Row]:
        ended = [row for row in reversed(newest) if row["outcome"] != "open"]
        fresh = [row for row in ended if row["call_id"] not in self._told]
        still_open = [_int(row["started_at_ns"]) for row in newest if row["outcome"] == "open"]
        self._horizon_ns = max(self._horizon_ns, min([now_ns - _SETTLED_NS, *still_open]))
        self._told = {row["call_id"] for row in ended if _int(row["started_at_ns"]) >= self._horizon_ns}
        return fresh


def has_failed(row: Row, failed: ErrorClass | None) -> bool:
    """Whether a call is one of those that `--failed` asks for."""
    if failed is None or row["error_class"] == failed:
        return True
    return failed == "validation" and is_refused(row)


def line(row: Row) -> str:
    """One call on one line: when, which, how it ended, tokens, cost, duration, id."""
    duration_ns = row["duration_ns"]
    cost = row["cost_usd"]
    usage = row["usage"]
    # Before the first attempt a call is refused for nothing; what a crashed one did is not known.
    is_unsent = not row.get("attempts") and row["outcome"] != "crashed"
    parts = [
        str(row["started_at"]),
        f"{row['outcome']:<9}",
        f"{row['status'] or '-':>3}",
        one_line(str(row["alias"] if row["alias"] not in ("", "*") else row["model"])),
        "-" if is_unsent else _tokens(usage if isinstance(usage, Mapping) else None),
        "-" if is_unsent else "cost unknown" if cost is None else f"{cost} USD",
        "" if duration_ns is None else f"{_int(duration_ns) / 1e9:.2f} s",
        one_line(str(row["key_name"] or "")),
        str(row["call_id"]),
        one_line(str(row["error_message"] or "")),
    ]
    return "  ".join(part for part in parts if part)


def _tokens(usage: Mapping[str, Any] | None) -> str:
    import msgspec

    from fairlead.types import Usage

    if usage is None:
        return "tokens unknown"
    whole = msgspec.convert(usage, Usage)
    return f"{whole.all_input_tokens}+{whole.all_output_tokens} tokens"


def _print_line(row: Row) -> None:
    typer.echo(line(row))


def _printer(failed: ErrorClass | None) -> Callable[[Row], None]:
    """What prints a call for people; where they ask for refused outputs, with the verdict."""
    return _print_verdict if failed == "validation" else _print_line


def _print_verdict(row: Row) -> None:
    _print_line(row)
    if row.get("validated") is None:
        return
    out = console()
    with out.capture() as told:
        out.print(verdict(row, room()), soft_wrap=False)
    typer.echo("\n".join(each.rstrip() for each in told.get().splitlines()))


def _show(found: Sequence[Row], call_id: str | None, *, json: bool) -> None:
    if not found:
        raise NotFound(f"no call {call_id!r}; `fairlead logs` lists them")
    row = found[0]
    if json:
        emit(row)
        return
    from rich.text import Text

    out = console()
    for name, value in row.items():
        if name not in _TOLD_APART and value not in (None, [], ""):
            out.print(Text.assemble((f"{name.removesuffix('_ns'):<16}", "cyan"), _written(_timed(name, value))))
    for attempt in _rows(row["attempts"]):
        told = {name.removesuffix("_ns"): _timed(name, attempt[name]) for name in attempt if name not in _TOLD_APART}
        out.print(Text.assemble((f"{'attempt':<16}", "cyan"), _written(told)))
    validated = row["validated"]
    for name, text in details(validated) if isinstance(validated, Mapping) else ():
        out.print(Text.assemble((f"{name:<16}", "cyan"), text))
    for name, content in (("request", row["request"]), ("response", _readable(row)), ("refused", row["refused"])):
        if content is not None:
            out.print(Text.assemble((f"\n{name}\n", "bold cyan"), clean(str(content))))


def _readable(row: Row) -> object:
    """The response; of a stream what the model wrote, joined.  A hash, or what holds no text, stays as it is."""
    from fairlead.dialects import dialect

    raw = row["response"]
    if not row["stream"] or not isinstance(raw, str):
        return raw
    return dialect(str(row["dialect"])).streams.text(raw.encode()) or raw


def _timed(name: str, value: object) -> object:
    """A span of nanoseconds in seconds; anything else as it is."""
    return f"{value / 1e9:.3f} s" if name.endswith("_ns") and isinstance(value, int) else value


def _written(value: object) -> str:
    """A value on one line; of a table only what is there and not zero."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_written(part)}" for name, part in value.items() if part not in (None, 0))
    return one_line(str(value))


def _rows(value: object) -> list[Row]:
    return list(value) if isinstance(value, list) else []


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0
