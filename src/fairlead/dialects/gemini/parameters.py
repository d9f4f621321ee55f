"""The parameters of a request for content, to and from the neutral form.

Nearly all of them stand in `generationConfig`.  What this dialect cannot say is decided here.  Refused, for the answer
would not be what was asked for: one call of a tool at a time.  Left out, for they only tune or tell: the user, the name
and strictness of a schema.  Of a budget for thinking and an effort the budget counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from fairlead.dialects.fields import MOST_TOKENS, BadField, integer, plain, value_of
from fairlead.dialects.gemini.objects import Fields, kept, opened, packed, rest
from fairlead.dialects.gemini.schema import json_schema
from fairlead.dialects.gemini.thinking import decode_thinking, encode_thinking
from fairlead.dialects.gemini.tools import decode_choice, decode_tools, encode_choice, encode_tools
from fairlead.types import Chat, ResponseFormat

MOST_CANDIDATES = 128
"""The most answers that are read, as in OpenAI's dialect."""

_CONFIG = "generationConfig"
_NUMBERS = {
    "temperature": "temperature",
    "topP": "top_p",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
}
_READ = ("model", "stream", "contents", "systemInstruction", "tools", "toolConfig", _CONFIG)
_CONFIG_READ = (
    *_NUMBERS,
    "topK",
    "candidateCount",
    "maxOutputTokens",
    "stopSequences",
    "seed",
    "responseLogprobs",
    "logprobs",
    "thinkingConfig",
)
_JSON, _TEXT = "application/json", "text/plain"


def decode_parameters(fields: Fields) -> dict[str, Any]:
    """Everything of a `Chat` but its model, messages and `stream`, as keyword arguments.

    What has no neutral form stays raw in `extra`.

    Raises:
        BadField: a known field of the wrong type.
    """
    extra = rest(fields, *_READ)
    config = opened(fields[_CONFIG], _CONFIG) if _CONFIG in fields else {}
    left = rest(config, *_CONFIG_READ)
    form = _response_format(config, left)
    thinking, effort = decode_thinking(config.get("thinkingConfig"), left)
    if left:
        extra[_CONFIG] = packed(left)
    choice = decode_choice(fields.get("toolConfig"), extra)
    dotted = under_config(config)
    return {
        **{neutral: plain(dotted, f"{_CONFIG}.{name}", float) for name, neutral in _NUMBERS.items()},
        "top_k": _whole(dotted, "topK"),
        "n": integer(dotted, f"{_CONFIG}.candidateCount", 1, MOST_CANDIDATES),
        "max_output_tokens": integer(dotted, f"{_CONFIG}.maxOutputTokens", 0, MOST_TOKENS),
        "stop": _stop(dotted),
        "seed": _whole(dotted, "seed"),
        "logprobs": plain(dotted, f"{_CONFIG}.responseLogprobs", bool),
        "top_logprobs": _whole(dotted, "logprobs"),
        "tools": decode_tools(fields.get("tools")),
        "tool_choice": choice,
        "response_format": form,
        "thinking": thinking,
        "reasoning_effort": effort,
        "binding": frozenset(_bound(extra, left)),
        "extra": extra,
    }


def _bound(extra: Fields, config: Fields) -> Iterator[str]:
    """The paths of what makes it another request: a prompt that Google keeps, a form of the answer or a choice among
    functions without a neutral form, and answers that are no text."""
    if "cachedContent" in extra:
        yield "cachedContent"
    if "functionCallingConfig" in kept(extra, "toolConfig"):
        yield "toolConfig.functionCallingConfig"
    for name in ("responseMimeType", "responseSchema", "responseJsonSchema"):
        if name in config:
            yield f"{_CONFIG}.{name}"
    if value_of(config, "responseModalities") not in (None, [], ["TEXT"]):
        yield f"{_CONFIG}.responseModalities"


def encode_parameters(chat: Chat) -> dict[str, Any]:
    """The fields for these parameters; what is `None` is absent.

    Raises:
        InvalidRequest: one that this dialect cannot say, see above.
    """
    body: dict[str, Any] = {name: raw for name, raw in chat.extra.items() if name != "toolConfig"}
    if chat.tools:
        body["tools"] = encode_tools(chat.tools)
    told = {
        **{name: getattr(chat, neutral) for name, neutral in _NUMBERS.items()},
        "topK": chat.top_k,
        "candidateCount": chat.n,
        "maxOutputTokens": chat.max_output_tokens,
        "stopSequences": chat.stop or None,
        "seed": chat.seed,
        "responseLogprobs": chat.logprobs,
        "logprobs": chat.top_logprobs,
    }
    config = {
        **{name: value for name, value in told.items() if value is not None},
        **_encode_format(chat.response_format),
        **encode_thinking(chat),
        **kept(chat.extra, _CONFIG),
    }
    return body | encode_choice(chat) | ({_CONFIG: config} if config else {})


def under_config(config: Fields) -> Fields:
    """These fields by their whole path, as errors name them."""
    return {f"{_CONFIG}.{name}": raw for name, raw in config.items()}


def _whole(dotted: Mapping[str, msgspec.Raw], name: str) -> int | None:
    """An integer; Google's own client writes some of them as `40.0`."""
    value = plain(dotted, f"{_CONFIG}.{name}", float)
    if value is None:
        return None
    if not value.is_integer():
        raise BadField(f"{_CONFIG}.{name}", "must be an integer")
    return int(value)


def _stop(dotted: Mapping[str, msgspec.Raw]) -> tuple[str, ...]:
    value = value_of(dotted, f"{_CONFIG}.stopSequences")
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(stop, str) for stop in value):
        raise BadField(f"{_CONFIG}.stopSequences", "must be an array of strings")
    return tuple(value)


def _response_format(config: Fields, left: Fields) -> ResponseFormat | None:
    """The form of the answer; what is understood of it is taken out of what is left."""
    kind = value_of(config, "responseMimeType")
    if not isinstance(kind, str) or kind not in {_JSON, _TEXT}:
        return None
    del left["responseMimeType"]
    if kind == _TEXT:
        return ResponseFormat(type="text")
    if "responseJsonSchema" in config:
        return ResponseFormat(type="json_schema", schema=left.pop("responseJsonSchema"))
    if "responseSchema" in config:
        schema = json_schema(left.pop("responseSchema"), f"{_CONFIG}.responseSchema")
        return ResponseFormat(type="json_schema", schema=schema)
    return ResponseFormat(type="json_object")


def _encode_format(form: ResponseFormat | None) -> dict[str, Any]:
    if form is None:
        return {}
    if form.type == "text":
        return {"responseMimeType": _TEXT}
    schema = {} if form.schema is None else {"responseJsonSchema": form.schema}
    return {"responseMimeType": _JSON, **schema}
