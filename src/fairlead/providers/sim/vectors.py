"""Embeddings without a model: the same text has the same vector, and no two texts are closer than chance makes them."""

from __future__ import annotations

import math

from fairlead.core.estimate import prompt_tokens
from fairlead.providers.sim.draws import Draws
from fairlead.types import Embed, EmbedReply, Usage

_DIMENSIONS = 256
_MOST_DIMENSIONS = 4_096
_STEPS = 2_000_001
"""As many values as a coordinate can have before the vector is brought to length 1."""


def embedded(embed: Embed, *, model: str, seed: int) -> EmbedReply:
    """One vector of length 1 for each input; another seed, other vectors."""
    count = min(embed.dimensions or _DIMENSIONS, _MOST_DIMENSIONS)
    return EmbedReply(
        model=model,
        vectors=tuple(_vector((seed, model, each), count) for each in embed.inputs),
        encoding=embed.encoding,
        usage=Usage(input_tokens=prompt_tokens(embed)),
    )


def _vector(key: tuple[object, ...], count: int) -> tuple[float, ...]:
    draws = Draws("embedding", *key)
    raw = [draws.below(_STEPS) / (_STEPS // 2) - 1 for _ in range(count)]
    length = math.sqrt(sum(value * value for value in raw)) or 1.0
    return tuple(value / length for value in raw)
