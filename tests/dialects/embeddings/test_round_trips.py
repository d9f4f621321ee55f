"""Embeddings from OpenAI's form into every other one: what both can say arrives."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.dialects import DIALECTS
from fairlead.dialects.crossing import reply_across, request_across
from fairlead.dialects.embeddings import OPENAI_EMBEDDINGS
from fairlead.types import Embed, EmbedReply, Usage

FORMS = [each for each in DIALECTS.values() if each.kind == "embeddings"]
EACH = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
EXAMPLES = settings(max_examples=40)
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5).map(tuple)
EMBEDS = st.builds(
    Embed,
    model=st.just("m"),
    inputs=TEXTS,
    dimensions=st.none() | st.integers(1, 4_096),
    encoding=st.sampled_from([None, "float", "base64"]),
    task=st.sampled_from([None, "search_query", "search_document"]),
    user=st.none() | st.just("u"),
)
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
VECTORS = st.integers(1, 4).flatmap(
    lambda size: st.lists(st.tuples(*[FLOATS] * size), min_size=1, max_size=4).map(tuple)
)
USAGES = st.none() | st.builds(Usage, input_tokens=st.integers(0, 10**9))


@EACH
@EXAMPLES
@given(embed=EMBEDS)
def test_a_request_arrives(form, embed):
    """Its texts, their purpose and the length that is wanted."""
    crossed, left_out = request_across(embed, form.leaves_out.keys())

    told = form.request.read(form.request.encode(crossed), f"/v1beta{form.upstream_path.replace('{model}', 'm')}")

    there = form.request.decode(told.fields)
    assert (there.model, there.inputs, there.dimensions) == ("m", embed.inputs, embed.dimensions)
    assert there.task == (embed.task or ("search_document" if form.name == "cohere_embeddings" else None))
    assert there.user == (None if left_out else embed.user)
    assert left_out == (("user",) if embed.user and form.name != "openai_embeddings" else ())


@EXAMPLES
@given(embed=EMBEDS)
def test_a_reservation_covers_every_byte_of_text(embed):
    """However it is escaped."""
    told = OPENAI_EMBEDDINGS.request.read(OPENAI_EMBEDDINGS.request.encode(embed))

    assert told.input_bytes >= sum(len(str(text).encode()) for text in embed.inputs)


@EACH
@EXAMPLES
@given(vectors=VECTORS, usage=USAGES, encoding=st.sampled_from([None, "float", "base64"]))
def test_an_answer_arrives(form, vectors, usage, encoding):
    """Every number, in order, and the count."""
    told = form.reply.encode(EmbedReply(model="m", vectors=vectors, usage=usage, encoding=encoding))

    assert form.reply.usage(told) == usage
    here = OPENAI_EMBEDDINGS.reply.encode(
        msgspec.structs.replace(reply_across(form.reply.decode(told)), encoding=encoding)
    )
    again = OPENAI_EMBEDDINGS.reply.decode(here)
    assert (again.vectors, again.usage) == (vectors, usage)
