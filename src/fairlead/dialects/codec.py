"""What a dialect is: four modules, each with both directions, used by the gateway, the providers and the simulator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from fairlead.call import Request
from fairlead.errors import FairleadError
from fairlead.types import Chat, ChatEvent, ChatReply, DialectName, Usage


class RequestCodec(Protocol):
    """`request.py` of a dialect."""

    def read(self, body: bytes) -> Request:
        """Read the top level of a body into relay form; values stay raw.

        Raises:
            InvalidRequest: not JSON, not an object, duplicate keys, too deep, or a known field of the wrong type.
        """
        ...

    def join(
        self, request: Request, model: str, *, ask_usage: bool, defaults: Mapping[str, msgspec.Raw] | None = None
    ) -> bytes:
        """The body for a provider of the same dialect: the caller's fields with the model replaced.

        Args:
            ask_usage: ask for a usage chunk at the end of a stream, also where the caller did not.
            defaults: parameters applied where the caller sent none.
        """
        ...

    def decode(self, fields: Mapping[str, msgspec.Raw]) -> Chat:
        """The neutral form.

        Raises:
            InvalidRequest: names the field at fault.
        """
        ...

    def encode(self, chat: Chat) -> bytes:
        """A body in this dialect; a field that is `None` is absent, unless the dialect demands it.

        Raises:
            InvalidRequest: names what this dialect has no form for.
        """
        ...


class ReplyCodec(Protocol):
    """`reply.py` of a dialect."""

    def usage(self, body: bytes) -> Usage | None:
        """The usage of a whole answer, without decoding its content.

        Raises:
            UpstreamProtocol: not a JSON object.
            FairleadError: the body is an error in a 200; it is raised as that error.
        """
        ...

    def decode(self, body: bytes) -> ChatReply:
        """The neutral form.

        Raises:
            UpstreamProtocol: it is not an answer of this dialect.
        """
        ...

    def encode(self, reply: ChatReply) -> bytes:
        """A body in this dialect.

        Raises:
            UpstreamProtocol: the answer holds what this dialect has no form for.
        """
        ...


class Scanner(Protocol):
    """Follows one raw stream without decoding what it does not need."""

    usage: Usage | None
    """The last usage seen, running totals already replaced."""
    content: bool
    """Whether any content has been seen."""
    complete: bool
    """Whether the dialect's own terminator has been seen."""
    error: FairleadError | None
    """An in-band error, mapped."""
    progressed: bool
    """Whether the last `feed` saw anything but comments, pings and empty events: what moves the clock of content
    (FAULTS S5)."""

    def flows(self, chunk: bytes) -> bool:
        """Whether a chunk goes to the caller as it is, holds content, and need not be fed."""
        ...

    def feed(self, chunk: bytes) -> bytes:
        """Take raw bytes, give back what may go to the caller: whole events only, and without a usage event that
        the caller did not ask for.  May be empty.

        Raises:
            UpstreamProtocol: a line or an event over the cap.
        """
        ...


class EventDecoder(Protocol):
    """Turns a raw stream into neutral events."""

    def feed(self, chunk: bytes) -> list[ChatEvent]:
        """The events completed by these bytes.

        Raises:
            UpstreamProtocol: an event that is not of this dialect.
            FairleadError: an in-band error, mapped.
        """
        ...

    complete: bool
    """Whether the terminator has been seen."""


class EventEncoder(Protocol):
    """Turns neutral events into a raw stream."""

    def encode(self, event: ChatEvent) -> bytes: ...

    def end(self) -> bytes:
        """The terminator of a good stream."""
        ...


class StreamCodec(Protocol):
    """`stream.py` of a dialect."""

    def scanner(self, *, forward_usage: bool) -> Scanner: ...

    def decoder(self) -> EventDecoder: ...

    def encoder(self, *, include_usage: bool) -> EventEncoder: ...

    def text(self, raw: bytes) -> str:
        """All that the model wrote in a raw stream, whole or torn: text, reasoning, refusals and tool arguments.
        For an estimate of what an abandoned stream cost; never raises."""
        ...


class ErrorCodec(Protocol):
    """`errors.py` of a dialect."""

    def decode(self, status: int, headers: Mapping[str, str], body: bytes) -> FairleadError:
        """A provider's error answer as one of ours; total: whatever comes in, something fitting comes out."""
        ...

    def encode(self, error: FairleadError) -> bytes:
        """The body of an error answer."""
        ...

    def encode_event(self, error: FairleadError) -> bytes:
        """The in-band error that ends a stream instead of its terminator."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """A wire format by name, and its four modules."""

    name: DialectName
    path: str
    """Where callers post it on the gateway."""
    upstream_path: str
    """Where providers take it, below their base URL."""
    allowed_headers: frozenset[str]
    """Vendor headers that pass from the caller to the provider."""
    request: RequestCodec
    reply: ReplyCodec
    stream: StreamCodec
    errors: ErrorCodec

    def models_body(self, names: Sequence[str]) -> bytes:
        """The list of models in this dialect's form."""
        return msgspec.json.encode({"object": "list", "data": [_model(name) for name in names]})

    def model_body(self, name: str) -> bytes:
        """One model of that list."""
        return msgspec.json.encode(_model(name))


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "fairlead"}
