"""A call whose caller and provider speak different dialects: its request, its answer and its stream, translated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from fairlead.call import Attempt, Request
from fairlead.core.clip import CONTENT_BYTES, clip
from fairlead.dialects.codec import Dialect
from fairlead.dialects.crossing import event_across, reply_across, request_across
from fairlead.errors import InvalidRequest, StreamTruncated, Untranslatable, UpstreamError, UpstreamProtocol
from fairlead.providers.shaping import shaped_chat
from fairlead.types import Chat, ChatEvent, Embed, EmbedReply, Started
from fairlead.validation.answers import CallsAsText, called_as_text
from fairlead.validation.shaping.modes import tool_name

if TYPE_CHECKING:
    from fairlead.providers.relay import RelayStream

_NS = 1_000_000_000


@contextmanager
def _breaking_off() -> Iterator[None]:
    """Whatever cannot be translated breaks the stream: a piece of the answer would be missing."""
    try:
        yield
    except StreamTruncated:
        raise
    except UpstreamError as error:
        raise StreamTruncated(f"the stream broke off: {error.message}") from error


class Translation:
    """Between one pair of dialects of the same kind.

    Args:
        quirks: of the provider's form of its dialect.
    """

    __slots__ = ("_caller", "_provider", "_quirks")

    def __init__(self, caller: Dialect, provider: Dialect, quirks: frozenset[str]) -> None:
        self._caller = caller
        self._provider = provider
        self._quirks = quirks

    def body(self, request: Request, attempt: Attempt) -> tuple[bytes, tuple[str, ...]]:
        """The request for the provider, and the paths of what it leaves out: what only the caller's dialect means, and
        what the model does not take.

        Raises:
            InvalidRequest: the request is not well formed.
            Untranslatable: the provider's dialect has no form for something in it.
        """
        asked, candidate = self._asked(request), attempt.candidate
        if request.wanted is not None:
            asked = shaped_chat(asked, request, attempt, self._provider, enforce=True)
        refused = candidate.refuses | self._provider.leaves_out.keys()
        told: dict[str, Any] = {"model": candidate.model, "extra": self._provider.asks}
        if request.stream:
            told["include_usage"] = True
        try:
            crossed, left_out = request_across(asked, refused, candidate.one_of)
            return self._provider.request.encode(msgspec.structs.replace(crossed, **told), self._quirks), left_out
        except InvalidRequest as error:
            raise Untranslatable(
                f"{error.message} {candidate.target!r} speaks {self._provider.name!r}.", param=error.param
            ) from None

    def reply(self, body: bytes, request: Request, attempt: Attempt, now_ns: int) -> bytes:
        """The answer for the caller.

        Raises:
            UpstreamProtocol: it is not one of the provider's dialect.
        """
        reply = reply_across(self._provider.reply.decode(body))
        if isinstance(reply, EmbedReply):
            reply = self._embedded(reply, request, attempt)
        else:
            told = {"model": reply.model or attempt.candidate.model, "created": reply.created or now_ns // _NS}
            reply = msgspec.structs.replace(reply, **told)
            tool = _standing_tool(request, attempt)
            reply = reply if tool is None else called_as_text(reply, tool)
        return self._caller.reply.encode(reply)

    def _asked(self, request: Request) -> Chat | Embed:
        asked = request.chat or self._caller.request.decode(request.fields)
        if isinstance(asked, Embed):
            request.chat = asked  # its answer is written as it says, and checked against it
        return asked

    def _embedded(self, reply: EmbedReply, request: Request, attempt: Attempt) -> EmbedReply:
        """Vectors as the caller wants them, with the model and the usage that the provider may not have told."""
        asked = self._asked(request)
        if isinstance(asked, Embed) and len(reply.vectors) != len(asked.inputs):
            raise UpstreamProtocol(f"The provider gave {len(reply.vectors)} embeddings for {len(asked.inputs)} inputs.")
        return msgspec.structs.replace(
            reply,
            model=reply.model or attempt.candidate.model,
            encoding=asked.encoding if isinstance(asked, Embed) else None,
            usage=attempt.usage if reply.usage is None else reply.usage,
        )

    def stream(
        self, relay: RelayStream, request: Request, attempt: Attempt, now_ns: int, *, keep: bool
    ) -> TranslatedStream:
        """The stream for the caller."""
        tool = _standing_tool(request, attempt)
        return TranslatedStream(
            relay,
            self._provider,
            self._caller,
            include_usage=request.include_usage,
            untold=Started(id="", model=attempt.candidate.model, created=now_ns // _NS),
            keep=keep,
            as_text=None if tool is None else CallsAsText(tool).of,
        )


def _standing_tool(request: Request, attempt: Attempt) -> str | None:
    """The tool whose arguments are the answer.  They become its text here already: where they are no JSON yet, many
    dialects have no form for them."""
    return tool_name(request.wanted) if request.wanted is not None and attempt.structured == "tool" else None


class TranslatedStream:
    """A stream in the caller's dialect out of one in the provider's, see `fairlead.pipeline.Chunks`.

    Args:
        relay: the provider's own, its first content already seen; it knows about usage, errors and the end.
        untold: what the answer's model and time are, where the provider does not say it.
        keep: whether `raw` is wanted afterwards.
        as_text: makes text of the tool that stands for the answer, where there is one.
    """

    __slots__ = (
        "_as_text",
        "_decoder",
        "_encoder",
        "_ended",
        "_failure",
        "_kept",
        "_kept_most",
        "_outlet",
        "_ready",
        "_relay",
        "_seen_bytes",
        "_skip",
        "_untold",
    )

    def __init__(
        self,
        relay: RelayStream,
        provider: Dialect,
        caller: Dialect,
        *,
        include_usage: bool,
        untold: Started,
        keep: bool,
        as_text: Callable[[ChatEvent], ChatEvent] | None = None,
    ) -> None:
        self._relay = relay
        self._decoder = provider.streams.decoder()
        self._encoder = caller.streams.encoder(include_usage=include_usage)
        self._untold = untold
        self._as_text = as_text
        self._outlet: Callable[[bytes], bool] | None = None
        self._ready = b""
        """Translated already, and not taken when it was offered."""
        self._skip = 0
        """How many of the provider's bytes that was; they come once more."""
        self._failure: UpstreamError | None = None
        self._ended = False
        self._kept = bytearray()
        self._kept_most = CONTENT_BYTES if keep else 0
        self._seen_bytes = 0

    @property
    def progressed_ns(self) -> int:
        """See `Stream`."""
        return self._relay.progressed_ns

    @property
    def outlet(self) -> Callable[[bytes], bool] | None:
        """See `Chunks`."""
        return self._outlet

    @outlet.setter
    def outlet(self, outlet: Callable[[bytes], bool] | None) -> None:
        self._outlet = outlet
        self._relay.outlet = None if outlet is None else self._offer

    def __aiter__(self) -> TranslatedStream:
        return self

    async def __anext__(self) -> bytes:
        while not self._ended:
            try:
                chunk = await self._relay.__anext__()
            except StopAsyncIteration:
                self._ended = True
                last = self._taken() + self._end()
                if last:
                    return self._keep(last)
                break
            if self._failure is not None:
                raise self._failure
            translated = self._taken() + self._translated(chunk[self._skip :])
            self._skip = 0
            if translated:
                return self._keep(translated)
        raise StopAsyncIteration

    def abort(self, error: BaseException) -> None:
        """See `Stream`."""
        self._relay.abort(error)

    def close(self) -> None:
        """See `Stream`."""
        self._outlet = None
        self._relay.close()

    def raw(self) -> bytes:
        """What has gone to the caller, in the caller's dialect."""
        return clip(bytes(self._kept), self._kept_most, self._seen_bytes)

    def _offer(self, chunk: bytes) -> bool:
        """Let a chunk past the reader; one that is not taken is not translated a second time."""
        if self._ready or self._skip or self._outlet is None:
            return False
        try:
            translated = self._translated(chunk)
        except UpstreamError as error:
            self._failure = error  # the reader is told
            return False
        if translated and not self._outlet(translated):
            self._ready, self._skip = translated, len(chunk)
            return False
        if translated:
            self._keep(translated)
        return True

    def _taken(self) -> bytes:
        ready, self._ready = self._ready, b""
        return ready

    def _translated(self, chunk: bytes) -> bytes:
        """The caller's form of the events in these bytes.

        Raises:
            StreamTruncated: they are none of the provider's dialect.
        """
        with _breaking_off():
            return b"".join([self._encoder.encode(self._across(event)) for event in self._decoder.feed(chunk)])

    def _end(self) -> bytes:
        """How the caller's dialect ends a good stream.

        Raises:
            StreamTruncated: it is none: something that was sent could not be read, or has no form for the caller.
        """
        with _breaking_off():
            if self._decoder.error is not None:
                raise self._decoder.error
            if not self._decoder.complete:
                raise StreamTruncated("the stream broke off: its end could not be read")
            return self._encoder.end()

    def _across(self, event: ChatEvent) -> ChatEvent:
        if isinstance(event, Started):
            told = {"model": event.model or self._untold.model, "created": event.created or self._untold.created}
            event = msgspec.structs.replace(event, **told)
        if self._as_text is not None:
            event = self._as_text(event)
        return event_across(event)

    def _keep(self, chunk: bytes) -> bytes:
        room = self._kept_most - self._seen_bytes
        if room > 0:
            self._kept += chunk[:room]
        self._seen_bytes += len(chunk)
        return chunk
