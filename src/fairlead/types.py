"""The nouns that every layer shares: usage, identity, limits and the neutral form of a chat.

Nothing here knows a wire format, a store or a clock.  `None` always means *unknown*, `0` a known zero.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Literal

import msgspec

DialectName = Literal[
    "openai_chat",
    "openai_responses",
    "anthropic",
    "gemini",
    "openai_embeddings",
    "gemini_embeddings",
    "cohere_embeddings",
    "voyage_embeddings",
]
"""A wire format that callers and providers speak; `fairlead.dialects` has them by name."""

Operation = Literal["answer", "count", "kept"]
"""What a call asks for: an answer, how many tokens its input has, or what a provider keeps; only the first costs."""

ErrorClass = Literal[
    "network",
    "timeout",
    "rate_limit",
    "provider",
    "validation",
    "budget",
    "screen",
    "caller",
    "cancelled",
    "internal",
]
"""What kind of thing went wrong; the label of the error metrics."""

UsageSource = Literal["final", "cumulative", "estimated", "none"]
"""Where a usage came from: the provider's last word, its running maximum, our estimate, or nothing was used."""

FinishReason = str
"""Why a choice ended: `stop`, `length`, `tool_calls`, `content_filter`, or what a provider invents next."""

Window = Literal["minute", "hour", "day", "week", "month", "total"]
"""The calendar window (UTC) over which a budget counts; `week` starts on Monday."""

ScopeKind = Literal["key", "user", "team", "model"]
"""What a budget or a limit is put on."""


class Usage(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What an attempt consumed, in *disjoint* buckets: their sum is the whole, nothing is counted twice."""

    input_tokens: int = 0
    """Text input that no cache served."""
    cache_read_tokens: int = 0
    """Input that the provider's cache served."""
    cache_write_5m_tokens: int = 0
    """Input written to the provider's cache for 5 minutes, or for as long as it keeps it anyway."""
    cache_write_1h_tokens: int = 0
    """Input written to the provider's cache for an hour."""
    output_tokens: int = 0
    """Visible text output, without reasoning."""
    reasoning_tokens: int = 0
    """Output that the model thought and did not say."""
    audio_input_tokens: int = 0
    """Audio input."""
    audio_output_tokens: int = 0
    """Audio output."""
    image_input_tokens: int = 0
    """Image input."""
    image_output_tokens: int = 0
    """Image output."""
    tool_requests: int = 0
    """Server-side tools billed a request, such as web searches."""
    service_tier: str | None = None
    """The tier that it was served in (`batch`, `flex`, `priority`) where the provider says so; not a bucket."""

    @property
    def all_input_tokens(self) -> int:
        """Everything on the input side: what long-context price tiers look at."""
        return (
            self.input_tokens
            + self.cache_read_tokens
            + self.cache_write_5m_tokens
            + self.cache_write_1h_tokens
            + self.audio_input_tokens
            + self.image_input_tokens
        )

    @property
    def all_output_tokens(self) -> int:
        """Everything on the output side, reasoning included."""
        return self.output_tokens + self.reasoning_tokens + self.audio_output_tokens + self.image_output_tokens

    def __add__(self, other: Usage) -> Usage:
        """The bucket-wise sum."""
        return self._with(other, operator.add)

    def maximum(self, other: Usage) -> Usage:
        """The bucket-wise maximum: what a stream of running totals amounts to."""
        return self._with(other, max)

    def _with(self, other: Usage, both: Callable[[int, int], int]) -> Usage:
        counts = {name: both(getattr(self, name), getattr(other, name)) for name in BUCKETS}
        return Usage(**counts, service_tier=other.service_tier or self.service_tier)


BUCKETS = tuple(name for name in Usage.__struct_fields__ if name != "service_tier")
"""The names of the disjoint buckets."""


class Budget(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """At most `limit_nanousd` in each `window` for one scope."""

    scope: str
    """`kind:name`, such as `key:4f2a`, `team:search`, `model:gpt-4o`."""
    limit_nanousd: int
    window: Window


class Rate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A limit: of our callers, or of a provider on us."""

    scope: str
    kind: Literal["requests", "tokens", "concurrency"]
    limit: int
    """A minute, for requests and tokens; at one time, for concurrency."""
    burst: int | None = None
    """How many of a minute's may come at once; `None`: all of them."""


class Identity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whom the call belongs to."""

    tenant: str
    """Whose records they are: `team:NAME`, `user:NAME` or `key:ID`, the first that the key has."""
    key_id: str | None = None
    """The id of the virtual key; `None` without one."""
    key_name: str | None = None
    """What the key was called at the time."""
    user: str | None = None
    """The user whom the key belongs to."""
    team: str | None = None
    """The team that the key belongs to."""


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who is calling, and what they may do.  Comes from the credential alone, never from the body."""

    key_id: str | None = None
    """`None` in open mode, in passthrough mode and in the library."""
    key_name: str | None = None
    user: str | None = None
    team: str | None = None
    models: frozenset[str] | None = None
    """The aliases this principal may call; `None` allows all."""
    budgets: tuple[Budget, ...] = ()
    rates: tuple[Rate, ...] = ()
    trusts_user_header: bool = False
    """Whether `x-fairlead-user` on a call with this key is believed."""

    identity: Identity = Identity(tenant="local")
    """How records name this principal; follows from the others."""

    def __post_init__(self) -> None:
        identity = Identity(
            tenant=_tenant(self), key_id=self.key_id, key_name=self.key_name, user=self.user, team=self.team
        )
        msgspec.structs.force_setattr(self, "identity", identity)

    @property
    def tenant(self) -> str:
        """Team, else user, else key: the wall that cached answers and stored objects never cross."""
        return self.identity.tenant


def _tenant(who: Principal) -> str:
    if who.team is not None:
        return f"team:{who.team}"
    if who.user is not None:
        return f"user:{who.user}"
    if who.key_id is not None:
        return f"key:{who.key_id}"
    return "local"


# --- the neutral form of a chat: what a codec decodes to when both ends speak different dialects ---------------

Role = Literal["system", "developer", "user", "assistant", "tool"]


class CachePoint(msgspec.Struct, frozen=True, kw_only=True):
    """The provider may cache all that stands before here, and this: a wish about cost, never about the answer."""

    ttl: str | None = None
    """For how long, such as `5m` or `1h`; `None`: as long as the provider has it."""


class TextPart(msgspec.Struct, frozen=True, kw_only=True, tag="text"):
    """Plain text."""

    text: str
    cache: CachePoint | None = None
    extra: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict)
    """Fields of the source dialect that have no neutral form, such as citations; kept for the way back."""


class ImagePart(msgspec.Struct, frozen=True, kw_only=True, tag="image"):
    """An image by URL, as a `data:` URL or by id.  Fairlead never fetches it."""

    url: str
    """Empty where there is a `file_id`."""
    detail: str | None = None
    file_id: str | None = None
    cache: CachePoint | None = None
    extra: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict)


class AudioPart(msgspec.Struct, frozen=True, kw_only=True, tag="audio"):
    """Base64 audio."""

    data: str
    format: str


class FilePart(msgspec.Struct, frozen=True, kw_only=True, tag="file"):
    """A file or document: by id, inline as a `data:` URL, by URL, or as plain text."""

    file_id: str | None = None
    file_data: str | None = None
    filename: str | None = None
    url: str | None = None
    text: str | None = None
    cache: CachePoint | None = None
    extra: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict)


class RefusalPart(msgspec.Struct, frozen=True, kw_only=True, tag="refusal"):
    """The model's own words for why it will not answer."""

    text: str


class ReasoningPart(msgspec.Struct, frozen=True, kw_only=True, tag="reasoning"):
    """What the model thought before it spoke; providers that sign it want it back as it was."""

    text: str = ""
    signature: str | None = None
    """The provider's proof that the text is its own."""
    encrypted: str | None = None
    """Reasoning that only the provider can read; at most a summary of it stands in the text."""
    extra: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict)


class OpaquePart(msgspec.Struct, frozen=True, kw_only=True, tag="opaque"):
    """Something of one dialect that no other can express, such as the result of a tool that the provider runs."""

    dialect: DialectName
    kind: str
    """What that dialect calls it."""
    raw: msgspec.Raw


Part = TextPart | ImagePart | AudioPart | FilePart | RefusalPart | ReasoningPart | OpaquePart


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """The model asks for a function to be called."""

    id: str
    name: str
    arguments: str
    """JSON text exactly as the model wrote it; it may be invalid."""
    at: int | None = None
    """How many of the message's parts stand before it; `None`: all of them."""
    cache: CachePoint | None = None
    extra: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict)


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One turn."""

    role: Role
    parts: tuple[Part, ...] = ()
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    """On a `tool` message: the call that it answers."""
    is_error: bool | None = None
    """On a `tool` message: whether the tool failed."""
    same_turn: bool = False
    """Whether it stood in one turn with the message before it, in a dialect whose turns hold several such."""
    cache: CachePoint | None = None
    """On a `tool` message: behind the whole of it."""
    extra: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict)
    """Fields of the source dialect that have no neutral form; kept for the way back."""

    @property
    def text(self) -> str:
        """All text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def is_refusal(self) -> bool:
        """Whether the model says that it will not answer."""
        return any(isinstance(part, RefusalPart) for part in self.parts)


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A function that the model may call."""

    name: str
    description: str | None = None
    parameters: msgspec.Raw | None = None
    """JSON Schema of the arguments, as sent."""
    strict: bool | None = None
    hosted: str | None = None
    """What the dialect at hand calls a tool that the provider itself runs; `None` is a function."""
    cache: CachePoint | None = None
    extra: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict)


class ToolChoice(msgspec.Struct, frozen=True, kw_only=True):
    """`auto`, `none`, `required`, or `function` with a name."""

    mode: Literal["auto", "none", "required", "function"]
    name: str | None = None


class ResponseFormat(msgspec.Struct, frozen=True, kw_only=True):
    """`text`, `json_object`, or `json_schema` with the schema's name and body."""

    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    """What the answer is for; a dialect without a place for it leaves it out."""
    schema: msgspec.Raw | None = None
    strict: bool | None = None


class Thinking(msgspec.Struct, frozen=True, kw_only=True):
    """Whether and how much the model may think before it answers."""

    mode: str
    """`enabled`, `disabled`, `adaptive`, or what a provider adds."""
    budget_tokens: int | None = None
    display: str | None = None
    """How much of it is shown, such as `summarized` or `omitted`."""


class Chat(msgspec.Struct, frozen=True, kw_only=True):
    """A chat request in neutral form.  A field that the caller did not send is `None` and is not sent on."""

    model: str
    messages: tuple[Message, ...]
    stream: bool = False
    include_usage: bool = False
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_output_tokens: int | None = None
    n: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    reasoning_effort: str | None = None
    thinking: Thinking | None = None
    cache: CachePoint | None = None
    """Behind the whole prompt."""
    user: str | None = None
    spelt: frozenset[str] = frozenset()
    """The names that the caller used for fields that have several in the source dialect; kept for the way back."""
    binding: frozenset[str] = frozenset()
    """Paths in `extra` without which it would be another request: one that has any stays in its dialect."""
    extra: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict)


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One of the `n` answers."""

    index: int
    message: Message
    finish_reason: FinishReason | None = None
    logprobs: msgspec.Raw | None = None


class ChatReply(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer in neutral form."""

    id: str
    model: str
    created: int
    choices: tuple[Choice, ...]
    usage: Usage | None = None
    extra: dict[str, Any] = msgspec.field(default_factory=dict)


class Started(msgspec.Struct, frozen=True, kw_only=True, tag="started"):
    """The first event of a stream."""

    id: str
    model: str
    created: int
    usage: Usage | None = None
    """What the provider already counts of the prompt; a report follows."""
    extra: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict)


class TextDelta(msgspec.Struct, frozen=True, kw_only=True, tag="text_delta"):
    """A piece of visible text of one choice."""

    text: str
    """Empty where a part only begins."""
    choice: int = 0
    logprobs: msgspec.Raw | None = None
    part: int | None = None
    """Which part of the answer it belongs to, where the provider counts them."""


class ReasoningDelta(msgspec.Struct, frozen=True, kw_only=True, tag="reasoning_delta"):
    """A piece of visible reasoning of one choice, its signature, or a whole part that only the provider can read."""

    text: str
    choice: int = 0
    part: int | None = None
    signature: str | None = None
    encrypted: str | None = None


class RefusalDelta(msgspec.Struct, frozen=True, kw_only=True, tag="refusal_delta"):
    """A piece of a refusal of one choice."""

    text: str
    choice: int = 0


class ToolCallDelta(msgspec.Struct, frozen=True, kw_only=True, tag="tool_call_delta"):
    """A piece of one tool call; `id` and `name` come once, `arguments` in pieces."""

    index: int
    choice: int = 0
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    extra: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict)
    """With the first piece: as in `ToolCall`."""


class OpaqueDelta(msgspec.Struct, frozen=True, kw_only=True, tag="opaque_delta"):
    """An event of one dialect that no other can express; only that dialect's encoder writes it."""

    dialect: DialectName
    kind: str
    """What that dialect calls it."""
    raw: msgspec.Raw
    choice: int = 0


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag="finished"):
    """One choice has ended."""

    reason: FinishReason
    choice: int = 0
    extra: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict)
    """What else the source dialect says about the end; kept for the way back."""


class UsageReport(msgspec.Struct, frozen=True, kw_only=True, tag="usage"):
    """The provider's count; with running totals there are several, each replacing the one before."""

    usage: Usage


ChatEvent = Started | TextDelta | ReasoningDelta | RefusalDelta | ToolCallDelta | OpaqueDelta | Finished | UsageReport


# --- the neutral form of embeddings ----------------------------------------------------------------------------


EMBED_TASKS = frozenset(
    {
        "search_query",
        "search_document",
        "classification",
        "clustering",
        "similarity",
        "question_answering",
        "fact_verification",
        "code_search",
    }
)
"""What embeddings may be for.  `search_document` is for texts that are to be found, the queries that find them have four
words of their own, and in the other three all texts are alike."""


class Embed(msgspec.Struct, frozen=True, kw_only=True):
    """A request for embeddings.  A field that the caller did not send is `None` and is not sent on."""

    model: str
    inputs: tuple[str | tuple[int, ...], ...]
    """Texts, or texts as token numbers of the model's own vocabulary."""
    dimensions: int | None = None
    encoding: Literal["float", "base64"] | None = None
    """How the caller wants the numbers: as JSON, or as base64 of little-endian 32-bit floats."""
    task: str | None = None
    """What they are for: one of `EMBED_TASKS`, or a word that no table here has."""
    user: str | None = None
    extra: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict)


class EmbedReply(msgspec.Struct, frozen=True, kw_only=True):
    """Embeddings in the order of their inputs."""

    model: str
    """Empty where the provider does not say it."""
    vectors: tuple[tuple[float, ...], ...]
    """One for each input, all of the same length."""
    encoding: Literal["float", "base64"] | None = None
    """How the caller wants them."""
    usage: Usage | None = None
    extra: dict[str, Any] = msgspec.field(default_factory=dict)
