"""The provider that every HTTP vendor is: a dialect, a vendor's facts and a transport."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn, cast

from fairlead.call import Attempt, Call, Sealed, Secret
from fairlead.core.estimate import estimate_prompt, estimate_tokens, prompt_tokens
from fairlead.dialects.codec import Dialect, Scanner
from fairlead.errors import FairleadError, InvalidRequest, UpstreamProtocol
from fairlead.pipeline import Chunks, Reply
from fairlead.ports import Clock
from fairlead.providers.facts import Vendor
from fairlead.providers.relay import RelayStream
from fairlead.providers.transport import Incoming, Transport
from fairlead.types import Usage

_MAX_ANSWER_BYTES = 64 * 1024 * 1024
_MAX_ERROR_BYTES = 1024 * 1024
_READ_ON_S = 60.0
"""How long an abandoned call that is billed anyway is waited for."""


class HttpProvider:
    """Implements the `Provider` port over one transport.

    Args:
        name: as under `[providers]`.
        base_path: the path of the base URL, without a trailing slash.
        host: the `Host` header.
        credentials: by credential name; empty for a keyless vendor.
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
    ) -> None:
        self._name = name
        self._dialect = dialect
        self._vendor = vendor
        self._transport = transport
        self._secrets = tuple(credentials.values())
        self._clock = clock
        self._head = (
            f"POST {base_path}{dialect.upstream_path} HTTP/1.1\r\n"
            f"host: {host}\r\ncontent-type: application/json\r\naccept-encoding: identity\r\nuser-agent: fairlead\r\n"
        ).encode()
        self._heads = {name: Sealed(self._head + self._auth(secret)) for name, secret in credentials.items()}

    async def send(self, call: Call) -> Reply:
        if not call.attempt.candidate.bills_after_disconnect:
            return await self._answer(call)
        # This provider finishes, and bills, what nobody waits for any more: so neither do we cut it short.
        answering = asyncio.get_running_loop().create_task(self._answer(call), name="billed-attempt")
        try:
            return await asyncio.shield(answering)
        except asyncio.CancelledError:
            if call.abandoned:
                if not await self._read_on(answering):
                    self._book_unknown(call)
            else:
                answering.cancel()
            raise

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def _answer(self, call: Call) -> Reply:
        attempt = call.attempt
        body = self._dialect.request.join(call.request, attempt.candidate.model, ask_usage=self._vendor.stream_usage)
        head = self._request_head(call)
        incoming = await self._transport.send(head, body, attempt.candidate.timeouts.connect_s)
        attempt.upstream_status = incoming.status
        attempt.upstream_id = incoming.headers.get(self._vendor.request_id_header)
        try:
            if incoming.status != 200:
                await self._refused(incoming)
            if call.request.stream and "json" not in incoming.headers.get("content-type", ""):
                return await self._stream(call, attempt, incoming)
            return await self._whole(call, attempt, incoming)
        except FairleadError as error:
            incoming.abort()
            self._scrub(call, error)
            raise
        except BaseException:
            incoming.abort()
            raise

    async def _refused(self, incoming: Incoming) -> NoReturn:
        body = await incoming.read(_MAX_ERROR_BYTES)
        raise self._dialect.errors.decode(incoming.status, incoming.headers, body)

    async def _whole(self, call: Call, attempt: Attempt, incoming: Incoming) -> Reply:
        body = await incoming.read(_MAX_ANSWER_BYTES)
        usage = self._dialect.reply.usage(body)
        if call.request.stream:
            raise UpstreamProtocol(f"provider {self._name!r} answered a streamed call with a whole body")
        attempt.first_token_ns = self._clock.monotonic_ns()
        if usage is None:
            attempt.usage = self._estimated(call, estimate_tokens(body))
            attempt.usage_source = "estimated"
        else:
            attempt.usage = usage
            attempt.usage_source = "final"
        call.answer = lambda: body
        return Reply(200, body, self._reply_headers(incoming, "application/json"))

    async def _stream(self, call: Call, attempt: Attempt, incoming: Incoming) -> Reply:
        def account(attempt: Attempt, scanner: Scanner, raw: bytes) -> None:
            self._account(call, attempt, scanner, raw)

        scanner = self._dialect.stream.scanner(forward_usage=call.request.include_usage)
        scrub = partial(self._scrub, call)
        stream = RelayStream(call, attempt, incoming, scanner, self._clock, account, scrub)
        await stream.peek()
        call.answer = stream.raw
        return Reply(200, stream, self._reply_headers(incoming, "text/event-stream"))

    async def _read_on(self, answering: asyncio.Task[Reply]) -> bool:
        """Wait for an abandoned answer, for its usage alone; a second cancellation ends the wait.

        Says whether it is known how the attempt ended.
        """
        timer = self._clock.timer(_READ_ON_S, partial(_cancel, answering))
        try:
            with suppress(FairleadError):
                reply = await answering
                if not isinstance(reply.source, bytes):
                    await cast("Chunks", reply.source).aclose()
        except asyncio.CancelledError:
            return False
        finally:
            timer.cancel()
        return True

    def _book_unknown(self, call: Call) -> None:
        """An abandoned attempt that is billed, and whose usage never came: the prompt at least was read."""
        attempt = call.attempt
        if attempt.usage is None:
            attempt.usage = self._estimated(call, 0)
            attempt.usage_source = "estimated"

    def _account(self, call: Call, attempt: Attempt, scanner: Scanner, raw: bytes) -> None:
        """Final usage, else the running maximum, else an estimate (FAULTS S11)."""
        if scanner.usage is not None:
            attempt.usage = scanner.usage
            attempt.usage_source = "final" if scanner.complete else "cumulative"
        else:
            written = estimate_tokens(self._dialect.stream.text(raw))
            attempt.usage = self._estimated(call, written)
            attempt.usage_source = "estimated"

    def _prompt_tokens(self, call: Call) -> int:
        request = call.request
        try:
            chat = request.chat or self._dialect.request.decode(request.fields)
        except InvalidRequest:  # a relay passes on what it cannot read; its size is known all the same
            return estimate_prompt(request.input_bytes)
        return prompt_tokens(chat)

    def _estimated(self, call: Call, output_tokens: int) -> Usage:
        return Usage(
            input_tokens=self._prompt_tokens(call),
            output_tokens=output_tokens,
            service_tier=call.request.service_tier,
        )

    def _request_head(self, call: Call) -> bytes:
        request = call.request
        if request.credential is not None:
            head: bytes = Sealed(self._head + self._auth(request.credential))
        else:
            head = self._heads.get(call.attempt.candidate.credential, self._head)
        if request.headers:
            head = Sealed(head + "".join(f"{name}: {value}\r\n" for name, value in request.headers.items()).encode())
        return head

    def _auth(self, secret: Secret) -> bytes:
        return f"{self._vendor.auth_header}: {self._vendor.auth_prefix}{secret.reveal()}\r\n".encode("latin-1")

    def _reply_headers(self, incoming: Incoming, content_type: str) -> dict[str, str]:
        headers = {"content-type": content_type}
        for name in self._vendor.reply_headers:
            value = incoming.headers.get(name)
            if value is not None:
                headers[name] = value
        return headers

    def _scrub(self, call: Call, error: FairleadError) -> None:
        """Take our own keys out of what the provider said (FAULTS X6)."""
        own = call.request.credential
        for secret in self._secrets if own is None else (own,):
            error.message = error.message.replace(secret.reveal(), "***")
        error.args = (error.message,)


def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
