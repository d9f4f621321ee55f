"""Fields of a request's body, read one at a time; what every dialect checks in the same way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

DESTINATIONS = frozenset(
    {
        "api_base",
        "api_key",
        "api_type",
        "api_version",
        "azure_endpoint",
        "base_url",
        "custom_host",
        "custom_llm_provider",
        "extra_body",
        "extra_headers",
        "extra_query",
        "headers",
        "proxies",
        "proxy",
    }
)
"""Fields that gateways and SDKs read as a destination or a credential; no provider documents them."""

MOST_TOKENS = 10_000_000
"""The largest limit of output that is read."""

_MODEL_CHARS = 256
_MOST_NUMBER = 10**300
"""From about there on a whole number is none that a float can be."""
_DECODER = msgspec.json.Decoder()
_NAMES = {float: "a number", int: "an integer", bool: "true or false", str: "a string"}


class BadField(ValueError):
    """A field has not the form that its dialect documents.

    Args:
        param: its path, such as `messages[0].content`.
    """

    def __init__(self, param: str, reason: str) -> None:
        super().__init__(f"`{param}` {reason}")
        self.param = param


def value_of(fields: Mapping[str, msgspec.Raw], name: str) -> Any:
    """The decoded value; `None` where it is absent or null.

    Raises:
        BadField: it cannot be decoded, as with a lone surrogate.
    """
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        return _DECODER.decode(raw)
    except (ValueError, RecursionError) as error:
        raise BadField(name, f"cannot be read: {error}") from None


def plain(fields: Mapping[str, msgspec.Raw], name: str, kind: type) -> Any:
    """A value of one plain type, or `None`; an integer is a number, too.

    Raises:
        BadField: anything else, a number that is not finite among it.
    """
    value = value_of(fields, name)
    if value is None:
        return None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < _MOST_NUMBER else math.inf
    if type(value) is not kind or (isinstance(value, float) and not math.isfinite(value)):
        raise BadField(name, f"must be {_NAMES[kind]}")
    return value


def string(fields: Mapping[str, msgspec.Raw], name: str) -> str | None:
    """A string, or `None` where it is absent or null."""
    value = value_of(fields, name)
    if value is None or isinstance(value, str):
        return value
    raise BadField(name, "must be a string")


def boolean(fields: Mapping[str, msgspec.Raw], name: str) -> bool:
    """Whether it is true; absent and null are not."""
    value = value_of(fields, name)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise BadField(name, "must be true or false")


def integer(fields: Mapping[str, msgspec.Raw], name: str, least: int, most: int) -> int | None:
    """An integer in these bounds, or `None` where it is absent or null."""
    value = value_of(fields, name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise BadField(name, f"must be an integer from {least} to {most}")
    return value


def model_name(fields: Mapping[str, msgspec.Raw]) -> str:
    """The name of a model: printable, and not without end."""
    model = value_of(fields, "model")
    if not isinstance(model, str) or not 0 < len(model) <= _MODEL_CHARS:
        raise BadField("model", f"must be a string of 1 to {_MODEL_CHARS} characters")
    if not model.isprintable():
        raise BadField("model", "must not contain control characters")
    return model


def array(fields: Mapping[str, msgspec.Raw], name: str) -> msgspec.Raw:
    """An array as it stands in the body, its elements unread."""
    raw = fields.get(name)
    if raw is None or memoryview(raw)[0] != 0x5B:
        raise BadField(name, "must be an array")
    return raw
