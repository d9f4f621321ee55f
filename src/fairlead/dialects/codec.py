"""What a dialect is: four modules, each with both directions, used by the gateway, the providers and the simulator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec

from fairlead.call import Request
from fairlead.errors import FairleadError, InvalidRequest
from fairlead.types import ChatEvent, DialectName, Usage

QUIRKS = frozenset({"max_tokens", "no_developer", "no_stream_options"})
"""Differences that vendors of one dialect have, as `vendors.toml` names them: `max_tokens`, only the older name of the
limit is known; `no_developer`, that role is `system`; `no_stream_options`, they are refused, and usage comes unasked."""
DROPPED = {"no_stream_options": "stream_options"}
"""What a quirk takes out of a body that is relayed: it asks for what the vendor does anyway, and is an error there."""


class RequestCodec(Protocol):
    """`request.py` of a dialect."""

    def read(self, body: bytes, path: str = "") -> Request:
        """Read the top level of a body into relay form; values stay raw.

        Args:
            path: where it was posted.  What a dialect says there instead of in the body, such as the model, stands in
                `fields` as if it had stood in the body.

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

    def decode(self, fields: Mapping[str, msgspec.Raw]) -> Any:
        """The neutral form: a `Chat`, or an `Embed` where the dialect is one of embeddings.

        Raises:
            InvalidRequest: names the field at fault.
        """
        ...

    def encode(self, chat: Any, quirks: frozenset[str] = frozenset()) -> bytes:
        """A body in this dialect; a field that is `None` is absent, unless the dialect demands it.

        Args:
            quirks: where a vendor's own form of the dialect differs, see `QUIRKS`.

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

    def decode(self, body: bytes) -> Any:
        """The neutral form: a `ChatReply`, or an `EmbedReply` where the dialect is one of embeddings.

        Raises:
            UpstreamProtocol: it is not an answer of this dialect.
        """
        ...

    def encode(self, reply: Any) -> bytes:
        """A body in this dialect.

        Raises:
            UpstreamProtocol: the answer holds what this dialect has no form for.
        """
        ...


class Scanner(Protocol):
    """Follows one raw stream without decoding what it does not need."""

    @property
    def prompt(self) -> Usage | None:
        """The input alone, where the stream's beginning already counts it: exact, whatever becomes of the rest."""
        ...

    usage: Usage | None
    """The last usage seen, running totals already replaced."""
    content: bool
    """Whether any content has been seen."""
    complete: bool
    """Whether the dialect's own terminator has been seen, or, without one, nothing is missing so far."""
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
    """Whether the terminator has been seen, or, in a dialect without one, nothing is missing so far."""
    error: FairleadError | None
    """What the next `feed` will raise, or what the stream ended with."""


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


def openai_model(name: str) -> dict[str, Any]:
    """A model as OpenAI lists it."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "fairlead"}


def openai_models(names: Sequence[str]) -> dict[str, Any]:
    """The list of models as OpenAI has it."""
    return {"object": "list", "data": [openai_model(name) for name in names]}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Dialect:
    """A wire format by name, and its four modules."""

    name: DialectName
    kind: Literal["chat", "embeddings"] = "chat"
    """What it is about: a call goes to another dialect of the same kind only."""
    paths: tuple[str, ...]
    """Where callers post it on the gateway; one that ends in `/` takes all that stands below it."""
    upstream_path: str
    """Where providers take it, below their base URL; `{model}` is the model, percent-encoded."""
    stream_path: str | None = None
    """Where they take it streamed, if that is elsewhere."""
    count_path: str | None = None
    """Where they count tokens without answering; `None`: nowhere."""
    terminated: bool = True
    """Whether a stream says that it is over; else it is over with its body, and `complete` says whether it may be."""
    allowed_headers: frozenset[str]
    """Vendor headers that pass from the caller to the provider of the same dialect."""
    schema_fields: frozenset[str] = frozenset()
    """Fields of a request in which it may say what its answer has to fit."""
    has_json: bool = True
    """Whether a request can ask for any JSON object, without a schema."""
    request: RequestCodec
    reply: ReplyCodec
    errors: ErrorCodec
    stream: StreamCodec | None = None
    """`None` where nothing is streamed."""
    leaves_out: Mapping[str, str] = field(default_factory=dict)
    """Fields of a `Chat`, of its messages and tools that it has no form for and that only tune an answer, and why: left out
    of a request that is translated into it, and named to the caller.  What would change the answer is refused by its
    encoder."""
    asks: Mapping[str, msgspec.Raw] = field(default_factory=dict)
    """What a request that is translated into it says beside: nobody has asked for what it does by default."""
    sign: str | None = None
    """A header that only its SDKs send."""
    request_id: str = "x-request-id"
    """The header in which its SDKs look for the id of an answer."""
    count: Callable[[int], dict[str, Any]] | None = None
    """The answer to a count of tokens."""
    kept_path: str | None = None
    """Where callers ask for what is kept, by its id; it ends in `/`."""
    kept: Callable[[str, str, str], Request] | None = None
    """The request for it, out of a method, of what stands below that path, and of the query.

    Raises:
        NotFound: nothing can be there.
        MethodNotAllowed: not in this way.
        InvalidRequest: a query that cannot be passed on.
    """
    kept_id: Callable[[bytes], str | None] | None = None
    """The id under which its providers keep an answer, out of a whole body or the beginning of a stream; `None`: they
    keep none."""
    model: Callable[[str], dict[str, Any]] = openai_model
    """One model of the list of models."""
    models: Callable[[Sequence[str]], dict[str, Any]] = openai_models
    """The list of models."""

    def __repr__(self) -> str:
        return f"Dialect({self.name!r})"

    @property
    def streams(self) -> StreamCodec:
        """Its streams.

        Raises:
            InvalidRequest: it has none.
        """
        if self.stream is None:
            raise InvalidRequest(f"`stream` has no meaning for {self.kind}", param="stream")
        return self.stream
