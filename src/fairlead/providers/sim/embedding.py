"""What the simulated embedding models answer: unit vectors that depend on model, input and seed alone."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Mapping

import msgspec

from fairlead.core.estimate import prompt_tokens
from fairlead.dialects.embeddings import OPENAI_EMBEDDINGS
from fairlead.errors import InvalidRequest
from fairlead.providers.sim.faults import Fault
from fairlead.providers.sim.script import Charge, End, Script, Step
from fairlead.providers.sim.settings import SimSettings
from fairlead.types import Embed, EmbedReply, Usage

EMBEDDING_MODELS = frozenset({"sim-embed"})
"""The models that do this and nothing else."""
DEFAULT_DIMENSIONS = 256
"""The length of a vector where the request does not say it."""
MOST_DIMENSIONS = 4_096

_JSON = {"content-type": "application/json"}
_DIGITS = 8
_ENDS: Mapping[str, End] = {"cut": "broken", "stall": "silent"}


def read(body: bytes) -> Embed:
    """A request for embeddings.

    Raises:
        InvalidRequest: it cannot be read, an input is empty, or vectors of such a length are not made.
    """
    embed: Embed = OPENAI_EMBEDDINGS.request.decode(OPENAI_EMBEDDINGS.request.read(body).fields)
    if not all(embed.inputs):
        raise InvalidRequest("`input` must not hold an empty text.", param="input")
    if embed.dimensions is not None and embed.dimensions > MOST_DIMENSIONS:
        raise InvalidRequest(f"`dimensions` must be at most {MOST_DIMENSIONS}.", param="dimensions")
    return embed


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


def played(
    reply: EmbedReply, headers: Mapping[str, str], settings: SimSettings, fault: Fault | None, charge: Charge
) -> Script:
    """The script of an answer, cut, delayed or silenced where a fault says so."""
    kind = None if fault is None else fault.kind
    slow_s = fault.delay_s if fault is not None and kind in {"slow", "slow_start"} else 0.0
    body = OPENAI_EMBEDDINGS.reply.encode(reply)
    end = _ENDS.get(kind or "", "whole")
    steps = [Step(body if end == "whole" else body[: len(body) // 2])]
    return Script(200, {**headers, **_JSON}, steps, end=end, pause_s=settings.latency_s + slow_s, charge=charge)


def _vector(key: tuple[int, str, str | tuple[int, ...]], size: int) -> tuple[float, ...]:
    """A shorter one is the beginning of a longer one, made a unit vector again."""
    digest = hashlib.shake_128(msgspec.json.encode(key)).digest(4 * size)
    numbers = struct.unpack(f">{size}i", digest)
    length = math.sqrt(math.fsum(number * number for number in numbers)) or 1.0
    return tuple(round(number / length, _DIGITS) for number in numbers)
