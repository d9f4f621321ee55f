"""JSON as providers send it: strict first, forgiving where only the text is torn."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from fairlead.errors import UpstreamProtocol

_DECODER = msgspec.json.Decoder()
_SNIPPET_CHARS = 200


def loads(data: bytes) -> Any:
    """The value; lone surrogates and broken UTF-8 become U+FFFD, as a browser would show them.

    Raises:
        UpstreamProtocol: not JSON, or nested beyond reason.
    """
    try:
        return _DECODER.decode(data)
    except (ValueError, RecursionError) as error:
        try:
            return _DECODER.decode(mended(data))
        except (ValueError, RecursionError):
            raise UpstreamProtocol("The provider's answer is not JSON.", detail=f"{error}: {snippet(data)}") from None


def load_object(data: bytes) -> dict[str, Any]:
    """The same, for an object.

    Raises:
        UpstreamProtocol: anything else.
    """
    value = loads(data)
    if not isinstance(value, dict):
        raise UpstreamProtocol("The provider's answer is not a JSON object.", detail=snippet(data))
    return value


def mended(data: bytes) -> bytes:
    """JSON with its text made whole: U+FFFD for lone surrogates and broken UTF-8, raw control characters escaped.

    Raises:
        ValueError, RecursionError: not JSON all the same.
    """
    value = json.loads(data.decode("utf-8", "replace"), strict=False)
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def snippet(data: bytes) -> str:
    """The first 200 characters of a provider's answer, on one line, for our own log; what looks like a key is masked."""
    text = data[: _SNIPPET_CHARS * 4].decode("utf-8", "replace")
    words = (_masked(word) for word in printable(text).split())
    return " ".join(words)[:_SNIPPET_CHARS]


def printable(text: str) -> str:
    """Control characters, line breaks included, become spaces."""
    return "".join(char if char.isprintable() else " " for char in text)


def _masked(word: str) -> str:
    # A key is a long run of letters and digits both: prose and markup hardly ever look like that.
    longest = max("".join(c if c.isalnum() or c in "-_" else " " for c in word).split(), key=len, default="")
    is_secret = len(longest) >= 16 and any(c.isdigit() for c in longest) and any(c.isalpha() for c in longest)
    return word.replace(longest, "***") if is_secret else word
