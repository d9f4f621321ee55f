"""The provider that every HTTP vendor is: a dialect, a vendor's facts and a transport."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

from fairlead.call import Attempt, Call, Candidate, Request, Sealed, Secret
from fairlead.core.estimate import estimate_prompt, estimate_tokens, prompt_tokens
from fairlead.dialects.codec import Dialect, Scanner
from fairlead.errors import (
    ConfigError,
    FairleadError,
    Forbidden,
    InvalidRequest,
    Unauthenticated,
    UpstreamAuth,
    UpstreamProtocol,
)
from fairlead.pipeline import Reply
from fairlead.ports import Clock
from fairlead.providers.facts import Vendor
from fairlead.providers.relay import RelayStream
from fairlead.providers.scrub import request_id, scrub
from fairlead.providers.transport import Incoming, Transport
from fairlead.types import Usage

_MAX_ANSWER_BYTES = 64 * 1024 * 1024
_MAX_ERROR_BYTES = 1024 * 1024
_READ_ON_S = 60.0
"""How long an answer is waited for that nobody else waits for and that is billed all the same."""
_LONG_PROMPT_BYTES = 16 * 1024
_GRACE_S = 2.0
"""How long closing waits for such answers."""


class HttpProvider:
    """Implements the `Provider` port over one transport.

    Args:
        name: as under `[providers]`.
        base_path: the path of the base URL, without a trailing slash.
        host: the `Host` header.
        credentials: by credential name; empty for a keyless vendor.
        keep_streams: whether what was streamed is wanted for the record.
    """

    def __init__(
        self,
        *,
        name: str,
        dialect: Dialect,
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
        self._dialect = dialect
        self._vendor = vendor
        self._transport = transport
        self._secrets = tuple(credentials.values())
        self._clock = clock
        self._running: set[asyncio.Task[None]] = set()
        self._head = (
            f"POST {base_path}{dialect.upstream_path} HTTP/1.1\r\n"
            f"host: {host}\r\ncontent-type: application/json\r\naccept-encoding: identity\r\nuser-agent: fairlead\r\n"
        ).encode()
        self._heads = {name: Sealed(self._head + self._auth(secret)) for name, secret in credentials.items()}

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
        body = self._dialect.request.join(call.request, attempt.candidate.model, ask_usage=self._vendor.stream_usage)
        head = self._request_head(call.request, attempt.candidate)
        incoming = await self._transport.send(head, body, attempt.candidate.timeouts.connect_s)
        attempt.upstream_status = incoming.status
        if attempt.candidate.pacing is not None:
            attempt.upstream_headers = incoming.headers
        attempt.upstream_id = request_id(incoming.headers, self._vendor.request_id_header, self._sent(call.request))
        try:
            if incoming.status != 200:
                await self._refused(call.request, incoming)
            if call.request.stream and "json" not in incoming.headers.get("content-type", ""):
                return await self._stream(call.request, attempt, incoming)
            return await self._whole(call.request, attempt, incoming)
        except FairleadError as error:
            incoming.abort()
            self._scrub(call.request, error)
            raise
        except BaseException:
            incoming.abort()
            raise

    async def _refused(self, request: Request, incoming: Incoming) -> NoReturn:
        body = await incoming.read(_MAX_ERROR_BYTES)
        error = self._dialect.errors.decode(incoming.status, incoming.headers, body)
        if isinstance(error, UpstreamAuth) and request.credential is not None:
            kind = Forbidden if incoming.status == 403 else Unauthenticated
            raise kind(f"provider {self._name!r} refused your key; this gateway only forwards it")
        raise error

    async def _whole(self, request: Request, attempt: Attempt, incoming: Incoming) -> Reply:
        body = await incoming.read(_MAX_ANSWER_BYTES)
        usage = self._dialect.reply.usage(body)
        attempt.first_token_ns = self._clock.monotonic_ns()
        if usage is None:
            attempt.usage = self._estimated(request, estimate_tokens(body))
            attempt.usage_source = "estimated"
        else:
            attempt.usage = usage
            attempt.usage_source = "final"
        if request.stream:
            raise UpstreamProtocol(f"provider {self._name!r} answered a streamed call with a whole body")
        return Reply(200, body, self._reply_headers(incoming, "application/json"))

    async def _stream(self, request: Request, attempt: Attempt, incoming: Incoming) -> Reply:
        stream = RelayStream(
            attempt,
            incoming,
            self._dialect.stream.scanner(forward_usage=request.include_usage),
            self._clock,
            keep=self._keep_streams,
            account=partial(self._account, request, attempt),
            scrub=partial(self._scrub, request),
            spawn=self._spawn,
        )
        await stream.peek()
        self._let_go(request)
        return Reply(200, stream, self._reply_headers(incoming, "text/event-stream"))

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

    def _account(self, request: Request, attempt: Attempt, scanner: Scanner, raw: bytes, size_bytes: int) -> None:
        """Final usage, else the running maximum, else an estimate from as much as was kept (FAULTS S11)."""
        if scanner.usage is not None:
            attempt.usage = scanner.usage
            attempt.usage_source = "final" if scanner.complete else "cumulative"
        else:
            written = estimate_tokens(self._dialect.stream.text(raw)) * max(size_bytes, 1) // max(len(raw), 1)
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
            return prompt_tokens(request.chat or self._dialect.request.decode(request.fields))
        except InvalidRequest:  # a relay passes on what it cannot read; its size is known all the same
            return estimate_prompt(request.input_bytes)

    def _request_head(self, request: Request, candidate: Candidate) -> bytes:
        if request.credential is not None:
            head: bytes = Sealed(self._head + self._auth(request.credential))
        else:
            head = self._heads.get(candidate.credential, self._head)
        if request.headers:
            lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
            head = Sealed(head + lines.encode("latin-1"))
        return head

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

    def _scrub(self, request: Request, error: FairleadError) -> None:
        """Take the credentials out of what the provider said (FAULTS X6)."""
        scrub(error, self._sent(request))

    def _sent(self, request: Request) -> tuple[Secret, ...]:
        """The credentials that may have gone to the provider."""
        return self._secrets if request.credential is None else (request.credential,)


def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
