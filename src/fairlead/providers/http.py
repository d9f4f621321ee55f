"""The provider that every HTTP vendor is: the dialects it speaks, a vendor's facts and a transport."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn
from urllib.parse import quote

import msgspec

from fairlead.call import Attempt, Call, Candidate, Request, Sealed, Secret
from fairlead.core.estimate import estimate_prompt, estimate_tokens, prompt_tokens
from fairlead.dialects import DIALECTS
from fairlead.dialects.codec import DROPPED, Dialect, Scanner
from fairlead.errors import (
    ConfigError,
    FairleadError,
    Forbidden,
    InvalidRequest,
    Unauthenticated,
    Untranslatable,
    UpstreamAuth,
    UpstreamProtocol,
)
from fairlead.pipeline import Chunks, Reply
from fairlead.ports import Clock
from fairlead.providers.facts import Vendor
from fairlead.providers.naming import name_provider
from fairlead.providers.relay import RelayStream
from fairlead.providers.scrub import request_id, scrub
from fairlead.providers.shaping import shaped_request
from fairlead.providers.translate import Translation
from fairlead.providers.transport import Incoming, Transport
from fairlead.types import DialectName, Usage

_MAX_ANSWER_BYTES = 64 * 1024 * 1024
_MAX_ERROR_BYTES = 1024 * 1024
_READ_ON_S = 60.0
"""How long an answer is waited for that nobody else waits for and that is billed all the same."""
_LONG_PROMPT_BYTES = 16 * 1024
_HEADS_KEPT = 1_000
LEFT_OUT = "x-fairlead-left-out"
"""On an answer that was translated: what of the request has no meaning to the provider, and was not sent."""
_PATHS_TOLD = 20
_GRACE_S = 2.0
"""How long closing waits for such answers."""


class HttpProvider:
    """Implements the `Provider` port over one transport.

    Args:
        name: as under `[providers]`.
        speaks: its dialects; a call in another one is translated into the first of that kind.
        base_path: the path of the base URL, without a trailing slash.
        host: the `Host` header.
        credentials: by credential name; empty for a keyless vendor.
        keep_streams: whether what was streamed is wanted for the record.
    """

    def __init__(
        self,
        *,
        name: str,
        speaks: Sequence[Dialect],
        vendor: Vendor,
        transport: Transport,
        host: str,
        base_path: str,
        credentials: Mapping[str, Secret],
        clock: Clock,
        keep_streams: bool = True,
    ) -> None:
        self._name = name
        self._keep_streams = keep_streams
        self._speaks = tuple(speaks)
        self._ways: dict[DialectName, _Way] = {}
        self._vendor = vendor
        self._dropped = frozenset(DROPPED[quirk] for quirk in vendor.quirks if quirk in DROPPED)
        self._transport = transport
        self._secrets = tuple(credentials.values())
        self._clock = clock
        self._running: set[asyncio.Task[None]] = set()
        self._base_path = base_path
        self._common = (
            f" HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\naccept-encoding: identity\r\n"
            "user-agent: fairlead\r\n"
        )
        self._auths = {name: self._auth(secret) for name, secret in credentials.items()}
        self._heads: dict[tuple[str, str], bytes] = {}
        """What was put together for a path and a credential."""

    async def send(self, call: Call) -> Reply:
        attempt = call.attempt
        if not attempt.candidate.bills_after_disconnect:
            return await self._answer(call, attempt)
        # This provider finishes, and bills, what nobody waits for any more: so neither do we cut it short.
        answering = asyncio.get_running_loop().create_task(self._answer(call, attempt), name="billed-attempt")
        try:
            return await asyncio.shield(answering)
        except asyncio.CancelledError:
            attempt.await_usage()
            self._spawn(self._read_on(call, attempt, answering))
            raise

    async def aclose(self) -> None:
        """Give what still runs beside its call a moment, book the rest by an estimate, and close all connections."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_S):
                while self._running:  # one that ends may begin another
                    await asyncio.wait(self._running)
        while late := tuple(self._running):
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._transport.aclose()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"{self._name}-aftermath")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _answer(self, call: Call, attempt: Attempt) -> Reply:
        request, candidate = call.request, attempt.candidate
        way = self._ways.get(request.dialect) or self._find_way(request.dialect)
        left_out: tuple[str, ...] = ()
        if request.resource is not None:
            body = b""
        elif way.translation is not None:
            body, left_out = way.translation.body(request, attempt)
        else:
            taken = request if request.wanted is None else shaped_request(request, attempt, way.spoken)
            if not self._dropped.isdisjoint(taken.fields):
                taken = self._without_dropped(taken)
            body = way.spoken.request.join(taken, candidate.model, ask_usage=self._vendor.stream_usage)
        if request.operation == "count" and (way.translation is not None or way.spoken.count_path is None):
            return self._counted(request, way.caller, left_out)
        head = self._request_head(request, candidate, way)
        incoming = await self._transport.send(head, body, candidate.timeouts.connect_s)
        attempt.upstream_status = incoming.status
        if candidate.pacing is not None:
            attempt.upstream_headers = incoming.headers
        attempt.upstream_id = request_id(incoming.headers, self._vendor.request_id_header, self._sent(request))
        try:
            if incoming.status != 200:
                await self._refused(request, incoming, way.spoken)
            if request.stream and "json" not in incoming.headers.get("content-type", ""):
                reply = await self._stream(request, attempt, incoming, way)
            else:
                reply = await self._whole(request, attempt, incoming, way)
        except FairleadError as error:
            incoming.abort()
            self._finish(request, error)
            raise
        except BaseException:
            incoming.abort()
            raise
        if left_out:
            reply.headers[LEFT_OUT] = _listed(left_out)
        return reply

    def _without_dropped(self, request: Request) -> Request:
        fields = {name: value for name, value in request.fields.items() if name not in self._dropped}
        return msgspec.structs.replace(request, fields=fields)

    def _find_way(self, name: DialectName) -> _Way:
        """Through the caller's own dialect where the provider has it, else through the first of its kind.

        Raises:
            Untranslatable: there is none of that kind.
        """
        same = next((each for each in self._speaks if each.name == name), None)
        if same is not None:
            way = _Way(same, same, None, self._vendor.below)
        else:
            caller = DIALECTS[name]
            spoken = next((each for each in self._speaks if each.kind == caller.kind), None)
            if spoken is None:
                raise Untranslatable(f"provider {self._name!r} has no {caller.kind}")
            translation = Translation(caller, spoken, self._vendor.quirks)
            way = _Way(caller, spoken, translation, self._vendor.below)
        self._ways[name] = way
        return way

    def _counted(self, request: Request, caller: Dialect, left_out: tuple[str, ...]) -> Reply:
        """The answer to a count of tokens that the provider cannot give: our own, which says that it is a guess."""
        assert caller.count is not None  # noqa: S101 - whoever asks for a count has a form for it
        body = msgspec.json.encode(caller.count(self._prompt_tokens(request)))
        headers = {"content-type": "application/json", "x-fairlead-count": "estimated"}
        if left_out:
            headers[LEFT_OUT] = _listed(left_out)
        return Reply(200, body, headers)

    async def _refused(self, request: Request, incoming: Incoming, spoken: Dialect) -> NoReturn:
        body = await incoming.read(_MAX_ERROR_BYTES)
        error = spoken.errors.decode(incoming.status, incoming.headers, body)
        if isinstance(error, UpstreamAuth) and request.credential is not None:
            kind = Forbidden if incoming.status == 403 else Unauthenticated
            raise kind(f"provider {self._name!r} refused your key; this gateway only forwards it")
        raise error

    async def _whole(self, request: Request, attempt: Attempt, incoming: Incoming, way: _Way) -> Reply:
        body = await incoming.read(_MAX_ANSWER_BYTES)
        attempt.first_token_ns = self._clock.monotonic_ns()
        if request.operation != "answer":
            return Reply(200, body, self._reply_headers(incoming, "application/json"))
        usage = way.spoken.reply.usage(body)
        if usage is None:
            written = estimate_tokens(body) if way.spoken.kind == "chat" else 0
            attempt.usage = self._estimated(request, written)
            attempt.usage_source = "estimated"
        else:
            attempt.usage = usage
            attempt.usage_source = "final"
        if request.stream:
            raise UpstreamProtocol(f"provider {self._name!r} answered a streamed call with a whole body")
        self._note_kept(request, attempt, way, body)
        if way.translation is not None:
            body = way.translation.reply(body, request, attempt, self._clock.now_ns())
        return Reply(200, body, self._reply_headers(incoming, "application/json"))

    async def _stream(self, request: Request, attempt: Attempt, incoming: Incoming, way: _Way) -> Reply:
        translation = way.translation
        stream = RelayStream(
            attempt,
            incoming,
            # A translation needs all events; what the caller asked for is its encoder's business.
            way.spoken.streams.scanner(forward_usage=request.include_usage or translation is not None),
            self._clock,
            keep=self._keep_streams and translation is None,
            account=partial(self._account, request, attempt, way.spoken),
            finish=partial(self._finish, request),
            spawn=self._spawn,
            terminated=way.spoken.terminated,
        )
        self._note_kept(request, attempt, way, await stream.peek())
        self._let_go(request)
        source: Chunks = stream
        if translation is not None:
            source = translation.stream(stream, request, attempt, self._clock.now_ns(), keep=self._keep_streams)
        return Reply(200, source, self._reply_headers(incoming, "text/event-stream"))

    def _note_kept(self, request: Request, attempt: Attempt, way: _Way, raw: bytes) -> None:
        """Note under which id the provider keeps the answer, where its caller can ask for it by that."""
        find = way.spoken.kept_id
        if find is not None and request.is_kept and way.translation is None and self._vendor.keeps_answers:
            attempt.kept_as = find(raw)

    async def _read_on(self, call: Call, attempt: Attempt, answering: asyncio.Task[Reply]) -> None:
        """Wait for an answer that nobody else waits for, for its usage alone."""
        timer = self._clock.timer(_READ_ON_S, partial(_cancel, answering))
        try:
            with suppress(FairleadError):
                reply = await answering
                if not isinstance(reply.source, bytes):
                    reply.source.close()
        except asyncio.CancelledError:
            # It never ended, and is billed: the prompt at least was read.
            attempt.usage = self._estimated(call.request, 0)
            attempt.usage_source = "estimated"
            raise
        finally:
            timer.cancel()
            attempt.usage_known()

    def _account(
        self, request: Request, attempt: Attempt, spoken: Dialect, scanner: Scanner, raw: bytes, size_bytes: int
    ) -> None:
        """Final usage, else the running maximum, else an estimate from as much as was kept (FAULTS S11)."""
        if scanner.usage is not None:
            attempt.usage = scanner.usage
            attempt.usage_source = "final" if scanner.complete else "cumulative"
        else:
            written = estimate_tokens(spoken.streams.text(raw)) * max(size_bytes, 1) // max(len(raw), 1)
            if scanner.prompt is not None:
                attempt.usage = msgspec.structs.replace(scanner.prompt, output_tokens=written)
            else:
                attempt.usage = self._estimated(request, written)
            attempt.usage_source = "estimated"

    def _let_go(self, request: Request) -> None:
        """A long prompt is not kept for as long as its stream runs; only an estimate of its tokens is."""
        if request.input_bytes > _LONG_PROMPT_BYTES and request.chat is None:
            request.prompt_tokens = self._prompt_tokens(request)
            request.fields = {}

    def _estimated(self, request: Request, output_tokens: int) -> Usage:
        prompt = self._prompt_tokens(request)
        return Usage(input_tokens=prompt, output_tokens=output_tokens, service_tier=request.service_tier)

    def _prompt_tokens(self, request: Request) -> int:
        if request.prompt_tokens is not None:
            return request.prompt_tokens
        try:
            return prompt_tokens(request.chat or DIALECTS[request.dialect].request.decode(request.fields))
        except InvalidRequest:  # a relay passes on what it cannot read; its size is known all the same
            return estimate_prompt(request.input_bytes)

    def _request_head(self, request: Request, candidate: Candidate, way: _Way) -> bytes:
        path, method = way.path(request, candidate.model), "POST"
        if request.resource is not None:
            path, method = request.resource.path, request.resource.method
        if request.credential is not None:
            head: bytes = Sealed(self._head(path, method) + self._auth(request.credential))
        elif request.resource is not None:
            head = Sealed(self._head(path, method) + self._auths.get(candidate.credential, b""))
        else:
            found = self._heads.get((path, candidate.credential))
            if found is None:
                if len(self._heads) >= _HEADS_KEPT:
                    self._heads.clear()
                found = Sealed(self._head(path) + self._auths.get(candidate.credential, b""))
                self._heads[path, candidate.credential] = found
            head = found
        told = request.headers if way.translation is None else {}
        for name, value in self._vendor.headers.items():
            if name not in told:
                head = Sealed(head + f"{name}: {value}\r\n".encode("latin-1"))
        if told:
            lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
            head = Sealed(head + lines.encode("latin-1"))
        return head

    def _head(self, path: str, method: str = "POST") -> bytes:
        return f"{method} {self._base_path}{path}{self._common}".encode()

    def _auth(self, secret: Secret) -> bytes:
        if not secret.reveal().isascii() or not secret.reveal().isprintable():
            raise ConfigError(f"the credential for provider {self._name!r} holds characters that no header can carry")
        return f"{self._vendor.auth_header}: {self._vendor.auth_prefix}{secret.reveal()}\r\n".encode("ascii")

    def _reply_headers(self, incoming: Incoming, content_type: str) -> dict[str, str]:
        headers = {"content-type": content_type}
        for name in self._vendor.reply_headers:
            value = incoming.headers.get(name)
            if value is not None:
                headers[name] = value
        return headers

    def _finish(self, request: Request, error: FairleadError) -> None:
        """Say which provider it was, and take the credentials out of what it said (FAULTS X6)."""
        if request.credential is None or not isinstance(error, UpstreamAuth):  # else it is the caller's own
            name_provider(error, self._name)
        scrub(error, self._sent(request))

    def _sent(self, request: Request) -> tuple[Secret, ...]:
        """The credentials that may have gone to the provider."""
        return self._secrets if request.credential is None else (request.credential,)


class _Way:
    """From one dialect of callers to the provider.

    Args:
        below: where the provider has a dialect, if not right below its base URL.
    """

    __slots__ = ("_below", "_in_path", "caller", "spoken", "translation")

    def __init__(
        self, caller: Dialect, spoken: Dialect, translation: Translation | None, below: Mapping[DialectName, str]
    ) -> None:
        self.caller = caller
        self.spoken = spoken
        self.translation = translation
        """`None`: it is a relay."""
        self._below = below.get(spoken.name, "")
        self._in_path = "{model}" in spoken.upstream_path

    def path(self, request: Request, model: str) -> str:
        """Where the request goes, below the base URL.

        Raises:
            InvalidRequest: a model whose name would lead out of its place, were it decoded on the way.
        """
        spoken = self.spoken
        path = spoken.upstream_path
        if request.operation == "count":
            path = spoken.count_path or path
        elif request.stream:
            path = spoken.stream_path or path
        path = self._below + path
        if not self._in_path:
            return path
        if ".." in model and ".." in model.replace("\\", "/").split("/"):
            raise InvalidRequest(f"no model {model!r}: a name must not hold `..` as a part of its own", param="model")
        return path.replace("{model}", quote(model, safe=""))


def _listed(paths: tuple[str, ...]) -> str:
    """Paths as a header can carry them; a caller may have made them up."""
    shown = ", ".join(quote(path, safe="[]._") for path in paths[:_PATHS_TOLD])
    return shown if len(paths) <= _PATHS_TOLD else f"{shown}, ..."


def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
