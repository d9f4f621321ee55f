"""Vectors in base64."""

from __future__ import annotations

import array
import base64
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.dialects.embeddings.vectors import pack, unpack

_FLOATS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=9)


@given(vector=_FLOATS)
def test_floats_of_32_bits_come_through_unchanged(vector):
    """As an array of them stands in memory, byte for byte."""
    floats = array.array("f", vector)
    if sys.byteorder == "big":
        floats.byteswap()

    packed = pack(vector)

    assert packed == base64.b64encode(floats.tobytes()).decode()
    assert list(unpack(packed)) == vector


@pytest.mark.parametrize("text", ["A", "AAAA", "not base64!", "AAA=", "AADAfw==", "AACAfw=="])
def test_what_holds_no_whole_floats_is_no_vector(text):
    """Neither other text nor a torn one, nor what is no number or has no end."""
    with pytest.raises(ValueError):
        unpack(text)


def test_a_number_beyond_32_bits_is_not_packed():
    """It would become infinite."""
    with pytest.raises(ValueError):
        pack([1e39])
