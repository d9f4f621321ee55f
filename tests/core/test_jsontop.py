"""The top level of a JSON object."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.jsontop import MAX_DEPTH, DuplicateKey, MalformedObject, TooDeep, join, top_level

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=6), VALUES, max_size=6)
STYLES = st.sampled_from([{}, {"separators": (",", ":")}, {"indent": 1}, {"ensure_ascii": False}])


@given(OBJECTS, STYLES)
def test_joined_again_an_object_is_the_same(value, style):
    """Whatever its spacing and escapes, an object survives the split and the join."""
    fields = top_level(json.dumps(value, **style).encode())
    assert json.loads(join(fields)) == value
    assert list(fields) == list(value)


@given(OBJECTS.filter(bool), VALUES, STYLES, st.data())
def test_a_key_that_stands_twice_is_refused(value, other, style, data):
    """A duplicate is seen in every spacing, also when both values are equal."""
    key = data.draw(st.sampled_from(list(value)))
    body = json.dumps(value, **style)
    twice = data.draw(st.sampled_from([other, value[key]]))
    again = f",{json.dumps(key)}:{json.dumps(twice)}}}"
    with pytest.raises(DuplicateKey):
        top_level((body[:-1] + again).encode())


def test_a_key_written_with_escapes_is_the_same_key():
    """An escape does not hide a duplicate."""
    with pytest.raises(DuplicateKey):
        top_level(b'{"model":"a","mod\\u0065l":"b"}')


def test_an_escaped_key_in_the_place_of_another_is_a_duplicate():
    """With spaces too, where the body is walked."""
    with pytest.raises(DuplicateKey):
        top_level(b'{ "a":1, "\\u0061":1, "b":2}')


def test_a_value_that_begins_like_the_other_is_still_a_duplicate():
    """The walk compares whole values, not beginnings."""
    with pytest.raises(DuplicateKey):
        top_level(b'{ "a":12,"a":1}')


@pytest.mark.parametrize(
    "body", [b'{"a": 1, "a": 1}', b'{"a":1,"a": 11}', b'{"a": 1, "b": 2, "a": 1}', b'{"a":  1,"a":1}']
)
def test_a_key_that_stands_twice_is_refused_in_the_usual_spacing(body):
    """As Python writes it, and as long as it would be without the second."""
    with pytest.raises(DuplicateKey):
        top_level(body)


def test_values_keep_their_exact_bytes():
    """Numbers and spaces inside a value are not rewritten."""
    fields = top_level(b'{ "a" : 1.00 , "b":[ 1,  2 ]}')
    assert {name: bytes(raw) for name, raw in fields.items()} == {"a": b"1.00", "b": b"[ 1,  2 ]"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"1",
        b"{",
        b'{"a":1}x',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":"\xff"}',
        b'{"\xff":1}',
        b'\xef\xbb\xbf{"a":1}',
        '{"a":1}'.encode("utf-16"),
        b'{"a":01}',
        b"{'a':1}",
        b'{"a":1,}',
        b'{"a":"\x00"}',
        json.dumps({str(number): 1 for number in range(1_001)}).encode(),
    ],
)
def test_what_is_no_json_object_is_refused(body):
    """The error is a ValueError that says what is wrong."""
    with pytest.raises(MalformedObject, match=r"JSON|UTF-8|byte order"):
        top_level(body)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize(("depth", "is_refused"), [(MAX_DEPTH, False), (MAX_DEPTH + 1, True), (200_000, True)])
def test_depth_is_capped(opening, depth, is_refused):
    """64 levels are read, 65 are not, and 200,000 do not exhaust the stack."""
    closing = b"]" if opening == b"[" else b"}"
    body = b'{"x":' + opening * (depth - 1) + b"1" + closing * (depth - 1) + b"}"
    if is_refused:
        with pytest.raises(TooDeep):
            top_level(body)
    else:
        assert list(top_level(body)) == ["x"]


@pytest.mark.parametrize("text", ["[" * 200, '"[' * 100, "\\" * 99 + '"' + "{" * 99])
def test_brackets_inside_strings_are_no_depth(text):
    """Code in a prompt is not nesting."""
    assert top_level(json.dumps({"a": text}).encode())["a"] == msgspec.Raw(json.dumps(text).encode())


@pytest.mark.parametrize(("depth", "is_refused"), [(MAX_DEPTH, False), (MAX_DEPTH + 1, True)])
def test_depth_is_capped_in_a_long_body_too(depth, is_refused):
    """Its brackets are looked for in another way."""
    body = b'{"prose": "%b", "a": %b}' % (b"x" * 10_000, b"[" * (depth - 1) + b"]" * (depth - 1))
    if is_refused:
        with pytest.raises(TooDeep):
            top_level(body)
    else:
        assert list(top_level(body)) == ["prose", "a"]


@given(st.binary(max_size=64) | st.text(alphabet='{}[]",:\\ a1', max_size=40).map(str.encode))
def test_no_bytes_make_it_fail_otherwise(body):
    """Any input is an object or a MalformedObject, and an object is one for the standard library too."""
    try:
        fields = top_level(body)
    except MalformedObject:
        return
    assert list(json.loads(body)) == list(fields)
