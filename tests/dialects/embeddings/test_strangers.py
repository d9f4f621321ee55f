"""Whatever strangers send, embeddings are read or refused."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest

from fairlead.dialects import DIALECTS
from fairlead.errors import FairleadError, InvalidRequest
from fairlead.types import Embed, EmbedReply, Usage

FORMS = [each for each in DIALECTS.values() if each.kind == "embeddings"]
EACH = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
MUTATIONS = 400
WORDS = (
    b"null",
    b"[]",
    b"{}",
    b"1e999",
    b"-1",
    b'"',
    b"\\ud800",
    b"\xff",
    b"true",
    b"[[",
    b',"index":0',
    b"NaN",
    b"1.5",
)
REQUEST = Embed(model="m", inputs=("a", "é"), dimensions=4, encoding="base64", task="search_query")
ANSWER = EmbedReply(model="m", vectors=((0.5, 1.0), (2.0, 0.0)), usage=Usage(input_tokens=3), encoding="base64")


def mutated(data: bytes, dice: random.Random) -> bytes:
    """The input with one span replaced by a word, or by nothing."""
    start = dice.randrange(len(data))
    return data[:start] + dice.choice((*WORDS, b"")) + data[start + dice.choice((0, 1, 2, 8)) :]


@EACH
def test_a_request_is_read_or_refused_as_the_callers_mistake(form):
    """No other error comes out."""
    dice, good = random.Random(form.name), form.request.encode(REQUEST)  # noqa: S311
    for _ in range(MUTATIONS):
        body = mutated(mutated(good, dice), dice)
        with suppress(InvalidRequest):
            read = form.request.read(body, "/v1beta/models/m:batchEmbedContents")
            assert read.max_output_tokens == 0
            assert form.request.decode(read.fields).inputs
            form.request.join(read, "n", ask_usage=False)


@EACH
def test_an_answer_is_read_or_refused_as_the_providers_mistake(form):
    """What is read has one length, and can be written again."""
    dice, good = random.Random(form.name), form.reply.encode(ANSWER)  # noqa: S311
    for _ in range(MUTATIONS):
        body = mutated(mutated(good, dice), dice)
        with suppress(FairleadError):
            form.reply.usage(body)
            whole = form.reply.decode(body)
            assert len(set(map(len, whole.vectors))) <= 1
            assert form.reply.decode(form.reply.encode(whole)).vectors == whole.vectors
