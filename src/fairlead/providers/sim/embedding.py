"""What the simulated embedding models answer: unit vectors that depend on model, input and seed alone."""

from __future__ import annotations

import hashlib
import math
import struct

import msgspec

from fairlead.core.estimate import prompt_tokens
from fairlead.errors import InvalidRequest
from fairlead.types import Embed, EmbedReply, Usage

EMBEDDING_MODELS = frozenset({"sim-embed"})
"""The models that do this and nothing else."""
DEFAULT_DIMENSIONS = 256
"""The length of a vector where the request does not say it."""
MOST_DIMENSIONS = 4_096

_DIGITS = 8


def check(embed: Embed) -> None:
    """Whether it can be answered.

    Raises:
        InvalidRequest: an input is empty, or vectors of such a length are not made.
    """
    if not all(embed.inputs):
        raise InvalidRequest("`input` must not hold an empty text.", param="input")
    if embed.dimensions is not None and embed.dimensions > MOST_DIMENSIONS:
        raise InvalidRequest(f"`dimensions` must be at most {MOST_DIMENSIONS}.", param="dimensions")


def embedded(embed: Embed, *, model: str, seed: int) -> EmbedReply:
    """The whole answer; the same for the same model, inputs and seed.

    Args:
        model: the name that the answer carries.
    """
    size = DEFAULT_DIMENSIONS if embed.dimensions is None else embed.dimensions
    return EmbedReply(
        model=model,
        vectors=tuple(_vector((seed, model, each), size) for each in embed.inputs),
        encoding=embed.encoding,
        usage=Usage(input_tokens=prompt_tokens(embed)),
    )


def _vector(key: tuple[int, str, str | tuple[int, ...]], size: int) -> tuple[float, ...]:
    """A shorter one is the beginning of a longer one, made a unit vector again."""
    digest = hashlib.shake_128(msgspec.json.encode(key)).digest(4 * size)
    numbers = struct.unpack(f">{size}i", digest)
    length = math.sqrt(math.fsum(number * number for number in numbers)) or 1.0
    return tuple(round(number / length, _DIGITS) for number in numbers)
