"""The data port: from an HTTP exchange to a call, and from a reply back to bytes.  No policy lives here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import parse_qsl, quote, unquote

import msgspec

from fairlead.call import OK, PRIORITIES, Call, Held, Outcome, Request, Secret
from fairlead.config.build import Runtime
from fairlead.core.money import format_usd
from fairlead.dialects.codec import Dialect
from fairlead.errors import (
    Cancelled,
    FairleadError,
    Forbidden,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    RateLimited,
)
from fairlead.gateway.helicone import apply_helicone
from fairlead.gateway.unknown import unknown
from fairlead.pipeline import Chunks, Next, Reply
from fairlead.ports import LogQuery, LogStore
from fairlead.verdict import RUNGS, Rung, Validated
from fairlead.wire import Exchange, HeaderBlock

_PRIVATE = HeaderBlock([("cache-control", "no-store, private"), ("vary", "Authorization")])
"""On every answer: no cache between us and the caller may keep it (FAULTS C10)."""
_JSON = [("content-type", "application/json")]
_CALLS = "/v1/fairlead/calls/"
_MODELS = "/v1/models"
_KEY_HEADERS = ("x-api-key", "x-goog-api-key")
_MAX_TAGS = 16
_MAX_QUERY = 64
_log = logging.getLogger("fairlead")

Endpoint = Callable[[Exchange], Awaitable[None]]


class App:
    """Answers the exchanges of one worker.

    Args:
        runtime: the pipeline and what it stands on.
        logs: where a caller's own calls are looked up.
        dialects: those that callers may speak; each is served at its path.
        local_hosts: in open mode, the `Host` names that may be used, so that no web page can reach it; else `None`.
    """

    def __init__(
        self, runtime: Runtime, logs: LogStore, dialects: Sequence[Dialect], local_hosts: frozenset[str] | None
    ) -> None:
        self._runtime = runtime
        self.earlier: list[Runtime] = []
        """Pipelines on which calls are ending."""
        self._local_hosts = local_hosts
        self._logs = logs
        self._fallback = dialects[0]
        self._signs = tuple((each.sign, each) for each in dialects if each.paths and each.sign is not None)
        paths = {path: dialect for dialect in dialects for path in dialect.paths}
        self._posts = {path: dialect for path, dialect in paths.items() if not path.endswith("/")}
        self._below = tuple((path, dialect) for path, dialect in paths.items() if path.endswith("/"))
        self._operations = _operations(dialect for _, dialect in self._below)
        self._kept = tuple((each.kept_path, each) for each in dialects if each.kept_path is not None)
        self._gets: Mapping[str, Endpoint] = {
            "/health/live": self._live,
            "/health/ready": self._ready,
            **dict.fromkeys((_MODELS, *(above.rstrip("/") for above, _ in self._below)), self._models),
        }
        self._listings = (f"{_MODELS}/", *(above for above, _ in self._below))
        self.ready = True
        """Readiness: false while draining."""
        self.sheds = False
        """Whether memory is short: a call is let in only where no other is under way."""

    @property
    def in_flight(self) -> int:
        """Chat calls under way."""
        return self._runtime.in_flight + sum(runtime.in_flight for runtime in self.earlier)

    def swap(self, runtime: Runtime, local_hosts: frozenset[str] | None) -> None:
        """Let new calls use another pipeline; those under way end on the one that they began on."""
        self.earlier = [each for each in (*self.earlier, self._runtime) if each.in_flight]
        self._runtime = runtime
        self._local_hosts = local_hosts

    async def __call__(self, exchange: Exchange) -> None:
        """Answer one exchange; whatever fails becomes an answer in the caller's dialect."""
        try:
            await self._dispatch(exchange)
        except FairleadError as error:
            self._refuse(exchange, self._spoken(exchange), error)

    async def _dispatch(self, exchange: Exchange) -> None:
        path = exchange.path
        if self._local_hosts is not None and not path.startswith("/health/"):
            self._check_local(exchange)
        dialect = self._posts.get(path) or self._at(exchange.method, path)
        if dialect is not None:
            _require(exchange, "POST")
            await self._let_in(self._chat(exchange, dialect))
            return
        for above, keeper in self._kept:
            if path.startswith(above):
                await self._let_in(self._ask(exchange, keeper, path.removeprefix(above)))
                return
        endpoint = self._gets.get(path)
        if endpoint is None and path.startswith((_CALLS, *self._listings)):
            endpoint = self._own_call if path.startswith(_CALLS) else self._model
        if endpoint is None:
            raise unknown(path, self._is_served)
        _require(exchange, "GET", "HEAD")
        await endpoint(exchange)

    async def _let_in(self, work: Coroutine[Any, Any, None]) -> None:
        """Let a call in, where there is room, and count it while it is under way."""
        runtime = self._runtime
        if self.sheds and self.in_flight:
            work.close()
            raise _short_of_memory()
        runtime.in_flight += 1
        try:
            await work
        finally:
            runtime.in_flight -= 1

    def _at(self, method: str, path: str) -> Dialect | None:
        """The dialect whose operations stand in paths like this one; about what else is there one asks with GET."""
        if method != "POST" and not path.endswith(self._operations):
            return None
        return self._above(path)

    def _above(self, path: str) -> Dialect | None:
        return next((dialect for above, dialect in self._below if path.startswith(above)), None)

    def _is_served(self, path: str) -> bool:
        kept = (above for above, _ in self._kept)
        return path in self._posts or path in self._gets or path.startswith((_CALLS, *self._listings, *kept))

    def _spoken(self, exchange: Exchange) -> Dialect:
        """The dialect of this caller, also where the path does not say it: by the headers that only its SDKs send."""
        path = exchange.path
        found = self._posts.get(path) or self._at(exchange.method, path)
        if found is None:
            found = next((each for above, each in self._kept if path.startswith(above)), None)
        if found is None:
            found = next((each for sign, each in self._signs if sign in exchange.headers), None)
        if found is None and not path.startswith(_MODELS):  # which clients of all dialects ask
            found = self._above(f"{path}/")
        return found or self._fallback

    def _check_local(self, exchange: Exchange) -> None:
        host = exchange.headers.get("host", "").lower()
        name = host if host.endswith("]") else host.rsplit(":", 1)[0]
        if name not in (self._local_hosts or ()):
            raise Forbidden('open mode answers on localhost, 127.0.0.1 and [::1] only; set `[gateway] auth = "keys"`')
        if exchange.method == "POST":
            kind = exchange.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                raise InvalidRequest("send `Content-Type: application/json`")

    async def _chat(self, exchange: Exchange, dialect: Dialect) -> None:
        request = dialect.request.read(exchange.body, exchange.path)
        await self._run(exchange, dialect, request, self._runtime.pipeline)

    async def _ask(self, exchange: Exchange, dialect: Dialect, below: str) -> None:
        """What a provider keeps, by its id."""
        pipeline = self._runtime.kept
        if pipeline is None or dialect.kept is None:
            raise NotFound("no provider of this gateway keeps answers")
        await self._run(exchange, dialect, dialect.kept(exchange.method, below, exchange.query), pipeline)

    async def _run(self, exchange: Exchange, dialect: Dialect, request: Request, pipeline: Next) -> None:
        runtime = self._runtime
        vendors_own = dialect.allowed_headers.intersection(exchange.headers)
        if vendors_own:
            request.headers = {name: exchange.headers[name] for name in vendors_own}
        call = runtime.new_call(request, body=exchange.body, credential=_credential(exchange))
        _apply_headers(call, exchange.headers)
        if "x-fairlead-validate" in exchange.headers:
            call.held = _held(exchange.headers["x-fairlead-validate"], runtime)
        if runtime.helicone_headers:
            apply_helicone(call, exchange.headers, _MAX_TAGS)

        def left() -> None:
            call.fate.abandoned = True

        exchange.on_disconnect = left
        try:
            reply = await pipeline(call)
        except FairleadError as error:
            self._refuse(exchange, dialect, error, call)
        except asyncio.CancelledError:
            if not exchange.disconnected:
                self._refuse(exchange, dialect, _shutting_down(), call)
            raise
        else:
            if isinstance(reply.source, bytes):
                self._answer(exchange, dialect, call, reply, reply.source)
            else:
                await self._relay(exchange, dialect, call, reply)

    def _answer(self, exchange: Exchange, dialect: Dialect, call: Call, reply: Reply, body: bytes) -> None:
        """Settle and record, then answer: the server writes records out before answers, see `before_writes`."""
        reply.end(OK if reply.status == OK.status else Outcome("ok", reply.status))
        exchange.respond(reply.status, reply.headers, body, _PRIVATE, _own_lines(dialect, call, reply, whole=True))

    async def _relay(self, exchange: Exchange, dialect: Dialect, call: Call, reply: Reply) -> None:
        outcome = Outcome("cancelled", Cancelled.http_status, Cancelled("the caller left"))
        last = b""
        try:
            exchange.body = b""  # a stream may be open for minutes
            exchange.start(reply.status, reply.headers, _PRIVATE, _own_lines(dialect, call, reply, whole=False))
            source = cast("Chunks", reply.source)
            source.outlet = exchange.offer
            async for chunk in source:
                exchange.write(chunk)
                call.fate.committed = True
                if exchange.congested:
                    await exchange.drain()
            outcome = Outcome("ok", reply.status)
        except FairleadError as error:
            outcome = Outcome("truncated", reply.status, error)
            last = dialect.errors.encode_event(error)
        except asyncio.CancelledError:
            if not exchange.disconnected:
                outcome = Outcome("truncated", reply.status, _shutting_down())
                last = dialect.errors.encode_event(_shutting_down())
            raise
        except Exception:  # noqa: BLE001 - a fault of ours ends the stream visibly, whatever it is
            _log.exception("call %s failed inside Fairlead", call.id)
            ours = InternalError("something went wrong inside Fairlead")
            outcome = Outcome("truncated", reply.status, ours)
            last = dialect.errors.encode_event(ours)
        finally:
            reply.end(outcome)
            if exchange.started:
                exchange.write(last)
                # Some clients pass an error event over: an end that the framing does not have is seen by all.
                (exchange.break_off if last else exchange.end)()

    async def _live(self, exchange: Exchange) -> None:
        exchange.respond(200, _JSON, b'{"status":"live"}', _PRIVATE)

    async def _ready(self, exchange: Exchange) -> None:
        if self.ready:
            exchange.respond(200, _JSON, b'{"status":"ready"}', _PRIVATE)
        else:
            exchange.respond(503, _JSON, b'{"status":"draining"}', _PRIVATE)

    async def _visible(self, exchange: Exchange) -> tuple[list[str], bool]:
        """The models that this caller may name, and whether it may name any other too."""
        runtime = self._runtime
        allowed = (await runtime.identify(_credential(exchange))).models
        if allowed is None:
            return list(runtime.aliases), runtime.takes_any
        names = [name for name in runtime.aliases if name in allowed]
        return names + (sorted(allowed.difference(names)) if runtime.takes_any else []), False

    async def _models(self, exchange: Exchange) -> None:
        names, _ = await self._visible(exchange)
        exchange.respond(200, _JSON, msgspec.json.encode(self._spoken(exchange).models(names)), _PRIVATE)

    async def _model(self, exchange: Exchange) -> None:
        above = next(each for each in self._listings if exchange.path.startswith(each))
        name = unquote(exchange.path.removeprefix(above))
        if not name:
            raise NotFound(f"no model without a name; leave off the slash to list all: `GET {above[:-1]}`")
        names, any_other = await self._visible(exchange)
        if name not in names:
            raise NotFound(f"no model {name[:200]!r}; {_listing(above[:-1], any_other=any_other)}")
        exchange.respond(200, _JSON, msgspec.json.encode(self._spoken(exchange).model(name)), _PRIVATE)

    async def _own_call(self, exchange: Exchange) -> None:
        principal = await self._runtime.identify(_credential(exchange))
        call_id = exchange.path.removeprefix(_CALLS)
        rows = await self._logs.calls(LogQuery(call_id=call_id[:64], limit=1))
        own = [row for row in rows if row.get("tenant") == principal.tenant]
        if not own:
            raise NotFound("no such call of yours; a call can be read about a second after it ended")
        shown = {name: value for name, value in own[0].items() if name not in {"request", "response", "refused"}}
        exchange.respond(200, _JSON, msgspec.json.encode(shown), _PRIVATE)

    def _refuse(self, exchange: Exchange, dialect: Dialect, error: FairleadError, call: Call | None = None) -> None:
        headers = [*_JSON, ("x-should-retry", "true" if error.retryable else "false")]
        if error.retry_after_s is not None:
            headers.append(("retry-after", str(max(0, -int(-error.retry_after_s // 1)))))
            headers.append(("retry-after-ms", str(max(0, -int(-error.retry_after_s * 1000 // 1)))))
        if isinstance(error, RateLimited):
            headers.append((f"x-ratelimit-limit-{error.kind}", str(error.limit)))
            headers.append((f"x-ratelimit-remaining-{error.kind}", str(error.remaining)))
        if isinstance(error, MethodNotAllowed):
            headers.append(("allow", error.param or ""))
        if call is not None:
            if call.validated is not None:
                headers.append(("x-fairlead-validation", _told_rung(call.validated)))
            headers.append(("x-fairlead-call-id", call.id))
            headers.append((dialect.request_id, call.id))
            headers.append(("x-fairlead-attempts", str(len(call.attempts))))
        exchange.respond(error.status, headers, dialect.errors.encode(error), _PRIVATE)


def _listing(path: str, *, any_other: bool) -> str:
    if any_other:
        return f'`GET {path}` lists those of the configuration, whose `"*"` takes any other name, unlisted'
    return f"`GET {path}` lists those that this key may call"


def _told(name: str) -> str:
    """Provider and model as a header can carry them; under `"*"` the model is the caller's free text."""
    return name if name.isascii() and name.isprintable() else quote(name, safe="/:@")


def _shutting_down() -> Overloaded:
    return Overloaded("this gateway is shutting down; try again")


def _short_of_memory() -> Overloaded:
    return Overloaded("this gateway is short of memory; try again", retry_after_s=1.0)


def _operations(dialects: Iterable[Dialect]) -> tuple[str, ...]:
    """What stands behind the model, such as `:count`, in paths that hold it."""
    templates = (path for each in dialects for path in (each.upstream_path, each.stream_path, each.count_path))
    ends = (path.partition("?")[0].partition("{model}")[2] for path in templates if path is not None)
    return tuple({end for end in ends if end})


def _require(exchange: Exchange, *methods: str) -> None:
    if exchange.method not in methods:
        raise MethodNotAllowed(f"{exchange.path[:200]!r} takes {methods[0]}", param=methods[0])


def _credential(exchange: Exchange) -> Secret | None:
    """`Authorization: Bearer`, `x-api-key`, `x-goog-api-key` or `?key=`; several only where they agree (FAULTS H7).

    No name in here is bound to the plain text: a traceback may show what they hold.
    """
    keys = [Secret(exchange.headers[name]) for name in _KEY_HEADERS if name in exchange.headers]
    if "key=" in exchange.query:
        keys += _query_keys(exchange)
    if "authorization" in exchange.headers:
        key = _bearer(exchange.headers["authorization"])
        if key is None:
            raise InvalidRequest("send the key as `Authorization: Bearer KEY`")
        keys.append(key)
    if any(key != keys[0] for key in keys):
        raise InvalidRequest(
            "`Authorization`, `x-api-key`, `x-goog-api-key` and `?key=` hold different keys; send one of them"
        )
    return keys[0] if keys else None


def _query_keys(exchange: Exchange) -> list[Secret]:
    try:
        return [Secret(value) for name, value in parse_qsl(exchange.query, max_num_fields=_MAX_QUERY) if name == "key"]
    except ValueError:
        raise InvalidRequest(f"the query holds more than {_MAX_QUERY} fields; send the key as a header") from None


def _bearer(value: str) -> Secret | None:
    scheme = value[:7]
    return Secret(value[7:].strip()) if scheme == "Bearer " or scheme.lower() == "bearer " else None


def _apply_headers(call: Call, headers: Mapping[str, str]) -> None:
    """The `x-fairlead-*` request headers of this version."""
    timeout = headers.get("x-fairlead-timeout")
    if timeout is not None:
        try:
            seconds = float(timeout)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds <= 86_400:
            raise InvalidRequest("`x-fairlead-timeout` is a number of seconds above 0 and at most 86400")
        call.deadline_ns = call.started_ns + int(seconds * 1e9)
    tags = headers.get("x-fairlead-tags")
    if tags:
        call.tags = tuple(tag.strip()[:64] for tag in tags.split(",") if tag.strip())[:_MAX_TAGS]
    priority = headers.get("x-fairlead-priority")
    if priority is not None:
        if priority not in PRIORITIES:
            raise InvalidRequest("`x-fairlead-priority` is `interactive`, `batch` or `background`")
        call.priority = PRIORITIES[priority]
    session = headers.get("x-fairlead-session")
    if session:
        call.session = session[:128]


def _told_rung(validated: Validated) -> str:
    """The rung, and what it took: `coerce; edits=2`, `reask; edits=0; reasks=1`, `failed; reasks=2`."""
    told = f"{validated.rung}; edits={len(validated.edits)}" if validated.fits else "failed"
    return f"{told}; reasks={validated.reasks}" if validated.reasks else told


def _held(up_to: str, runtime: Runtime) -> Held:
    """How far the caller lets its answer be brought towards its schema."""
    if up_to not in ("off", *RUNGS):
        raise InvalidRequest(f"`x-fairlead-validate` is `off` or the last rung to use: {', '.join(RUNGS)}")
    if not runtime.validates:
        raise InvalidRequest("`x-fairlead-validate`: no model of this gateway has `validation` in the configuration")
    return Held(up_to=cast("Rung", up_to), is_bounded=True)


def _own_lines(dialect: Dialect, call: Call, reply: Reply, *, whole: bool) -> bytes:
    """Our own headers as HTTP writes them: constants, numbers, and a name that `_told` has made fit."""
    lines = f"x-fairlead-call-id: {call.id}\r\nx-fairlead-model: {_told(call.answered_by)}\r\n"
    if dialect.request_id not in reply.headers:
        lines += f"{dialect.request_id}: {call.id}\r\n"
    if call.degraded:
        lines += f"x-fairlead-degraded: {', '.join(call.degraded)}\r\n"
    if whole:
        if call.validated is not None:
            lines += f"x-fairlead-validation: {_told_rung(call.validated)}\r\n"
        lines += f"x-fairlead-attempts: {len(call.attempts)}\r\n"
        cost = call.cost_nanousd
        if cost is not None:
            lines += f"x-fairlead-cost-usd: {format_usd(cost)}\r\n"
    return reply.lines + lines.encode("ascii")
