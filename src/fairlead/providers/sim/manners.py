"""What the providers of each dialect do in their own way, beside the bodies that the dialect's codec writes.

A dialect that has no row here is spoken all the same, in the usual way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from fairlead.dialects.codec import EventEncoder
from fairlead.dialects.openai_chat import stream as openai_stream
from fairlead.providers.sim import refusals
from fairlead.providers.sim.pieces import openai_logprobs
from fairlead.providers.sim.refusals import Refuse
from fairlead.providers.sim.standing import Form, anthropic_headers, no_headers, openai_headers
from fairlead.types import Chat, DialectName, FinishReason

FINGERPRINT = "fp_fairlead_sim"


def _nothing(_: Any) -> dict[str, Any]:
    return {}


def _never(_: Chat) -> bool:
    return False


def _unless_omitted(chat: Chat) -> bool:
    return chat.thinking is None or chat.thinking.display != "omitted"


def _where_asked(chat: Chat) -> bool:
    return chat.thinking is not None and chat.thinking.display is not None and _unless_omitted(chat)


def _where_summarized(chat: Chat) -> bool:
    return b'"summary"' in bytes(chat.extra.get("reasoning", b""))


class Manners(msgspec.Struct, frozen=True, kw_only=True):
    """How a provider of one dialect behaves; by default as most do."""

    id_prefix: str = ""
    """How the ids of its answers begin."""
    call_prefix: str = "call_"
    """How the ids of tool calls begin."""
    request_id_header: str = "x-request-id"
    messages: str = "messages"
    """The field that holds what was said."""
    required: tuple[str, ...] = ()
    """Fields without which a request is refused, beside those that every reader demands."""
    shows_reasoning: Callable[[Chat], bool] = _unless_omitted
    """Whether an answer holds the reasoning, or only counts it."""
    signs_reasoning: bool = False
    """Whether it proves that the reasoning is its own, also where that is not shown."""
    whole_calls: bool = False
    """Whether calls have decoded arguments, so that one that does not fit into the limit is left out and not cut."""
    refusal_reason: FinishReason = "stop"
    """Why an answer ended in which the model refuses."""
    caches_on_request: bool = False
    """Whether the prompt is cached only where the request marks a point, and the first time counted as written."""
    counts_first: bool = False
    """Whether a stream begins with the count of its prompt, so that one that breaks off is billed for just that."""
    begins_with: bytes = b""
    """What a stream sends after its first event, such as a ping."""
    refuse: Refuse | None = None
    """`None`: as the dialect's codec does."""
    frame: Callable[[bytes], bytes] | None = None
    """An error body as an event of a stream; `None`: as the dialect's codec writes it."""
    standing: Form = openai_headers
    """The headers about limits."""
    logprobs: Callable[[str, int], msgspec.Raw] | None = None
    """Log probabilities of a text with so many alternatives; `None`: it has none."""
    stopped: Callable[[str], dict[str, Any]] = _nothing
    """What else an answer says that a stop sequence ended."""
    served: Callable[[Chat], dict[str, Any]] = _nothing
    """What else an answer says about who served it."""
    encoder: Callable[[Chat], EventEncoder] | None = None
    """Its streams, where they say more than the codec's own."""


def _openai_served(chat: Chat) -> dict[str, Any]:
    tier = chat.extra.get("service_tier")
    return {"system_fingerprint": FINGERPRINT} | ({} if tier is None else {"service_tier": tier})


def _openai_encoder(chat: Chat) -> EventEncoder:
    return openai_stream.encoder(include_usage=chat.include_usage, extra=_openai_served(chat))


def _anthropic_stopped(mark: str) -> dict[str, Any]:
    return {"stop_reason": "stop_sequence", "stop_sequence": mark}


def _data(body: bytes) -> bytes:
    return b"data: " + body + b"\n\n"


def _error_event(body: bytes) -> bytes:
    return b"event: error\n" + _data(body)


MANNERS: Mapping[DialectName, Manners] = {
    "openai_chat": Manners(
        id_prefix="chatcmpl-",
        shows_reasoning=_never,
        refuse=refusals.openai,
        frame=_data,
        logprobs=openai_logprobs,
        served=_openai_served,
        encoder=_openai_encoder,
    ),
    "openai_responses": Manners(
        id_prefix="resp_", messages="input", shows_reasoning=_where_summarized, refuse=refusals.openai
    ),
    "openai_embeddings": Manners(refuse=refusals.openai),
    "anthropic": Manners(
        id_prefix="msg_",
        call_prefix="toolu_",
        request_id_header="request-id",
        required=("max_tokens",),
        signs_reasoning=True,
        whole_calls=True,
        refusal_reason="content_filter",
        caches_on_request=True,
        counts_first=True,
        begins_with=b'event: ping\ndata: {"type": "ping"}\n\n',
        refuse=refusals.anthropic,
        frame=_error_event,
        standing=anthropic_headers,
        stopped=_anthropic_stopped,
    ),
    "gemini": Manners(
        messages="contents",
        shows_reasoning=_where_asked,
        whole_calls=True,
        refusal_reason="content_filter",
        refuse=refusals.google,
        frame=_data,
        standing=no_headers,
    ),
    "gemini_embeddings": Manners(refuse=refusals.google, standing=no_headers),
}
"""By dialect."""


def manners_of(name: DialectName) -> Manners:
    """Those of a dialect."""
    return MANNERS.get(name, Manners())
