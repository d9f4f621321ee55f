"""Server-sent events by the grammar of the WHATWG standard, at every cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.sse import (
    MAX_EVENT_BYTES,
    MAX_LINE_BYTES,
    EventSplitter,
    SseError,
    SseEvent,
    SseParser,
    encode,
    split_events,
)


def parsed(*chunks: bytes) -> list[tuple[bytes, bytes]]:
    parser = SseParser()
    return [(event.event, event.data) for chunk in chunks for event in parser.feed(chunk)]


GRAMMAR = {
    "one event": (b"data: a\n\n", [(b"", b"a")]),
    "two events": (b"data: a\n\ndata: b\n\n", [(b"", b"a"), (b"", b"b")]),
    "named": (b"event: e\ndata: a\n\n", [(b"e", b"a")]),
    "name after data": (b"data: a\nevent: e\n\n", [(b"e", b"a")]),
    "name is for one event": (b"event: e\ndata: a\n\ndata: b\n\n", [(b"e", b"a"), (b"", b"b")]),
    "name without data": (b"event: e\n\ndata: b\n\n", [(b"", b"b")]),
    "CRLF": (b"event: e\r\ndata: a\r\ndata: b\r\n\r\n", [(b"e", b"a\nb")]),
    "CR": (b"event: e\rdata: a\rdata: b\r\r", [(b"e", b"a\nb")]),
    "mixed ends": (b"data: a\rdata: b\r\ndata: c\n\r\ndata: d\r\n\n", [(b"", b"a\nb\nc"), (b"", b"d")]),
    "three LF": (b"data: a\n\n\ndata: b\n\n", [(b"", b"a"), (b"", b"b")]),
    "no space": (b"data:a\n\n", [(b"", b"a")]),
    "two spaces": (b"data:  a\n\n", [(b"", b" a")]),
    "colon in data": (b"data: a: b\n\n", [(b"", b"a: b")]),
    "empty data": (b"data\n\ndata:\n\ndata\ndata\n\n", [(b"", b""), (b"", b""), (b"", b"\n")]),
    "comments": (b": ping\n\n:x\ndata: a\n: y\n\n", [(b"", b"a")]),
    "id and retry": (b"id: 1\nretry: 5\ndata: a\n\nid\n\n", [(b"", b"a")]),
    "unknown field": (b"foo: bar\ndata: a\ndatax: b\n\n", [(b"", b"a")]),
    "BOM": (b"\xef\xbb\xbfdata: a\n\n", [(b"", b"a")]),
    "BOM alone counts once": (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [(b"", b"b")]),
    "half a BOM": (b"\xef\xbbdata: a\n\ndata: b\n\n", [(b"", b"b")]),
    "unfinished": (b"data: a\n\ndata: b\n", [(b"", b"a")]),
    "UTF-8": ("data: héllo \N{GRINNING FACE}\n\n".encode(), [(b"", "héllo \N{GRINNING FACE}".encode())]),
    "not UTF-8": (b"data: \xff\x00\n\n", [(b"", b"\xff\x00")]),
    "nothing": (b"", []),
}


@pytest.mark.parametrize(("stream", "events"), GRAMMAR.values(), ids=GRAMMAR.keys())
def test_the_grammar(stream, events):
    """Whole, byte by byte, and cut in two at every place, a stream means the same."""
    assert parsed(stream) == events
    assert parsed(*(stream[i : i + 1] for i in range(len(stream)))) == events
    for cut in range(len(stream) + 1):
        assert parsed(stream[:cut], stream[cut:]) == events


pieces = st.sampled_from(
    [b"\n", b"\r", b"\r\n", b"\n\n", b"data: a", b"data:", b"data", b"event: e", b":", b"x", b"\xef\xbb\xbf", b" ", b"data: b\n\n"]
)  # fmt: skip
streams = st.lists(pieces, max_size=25).map(b"".join)


def model(stream: bytes) -> list[tuple[bytes, bytes]]:
    """The standard's algorithm, told line by line."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    events, data, name = [], [], b""
    for line in text.split(b"\n")[:-1]:
        if not line:
            if data:
                events.append((name, b"\n".join(data)))
            data, name = [], b""
            continue
        field, _, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    return events


@given(streams, st.lists(st.integers(0, 200), max_size=6))
def test_any_stream_at_any_cuts(stream, cuts):
    """The parser agrees with the standard's algorithm however the bytes arrive."""
    at = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]

    assert parsed(*(stream[a:b] for a, b in itertools.pairwise(at))) == model(stream)


@given(streams, st.integers(0, 200))
def test_splitting_keeps_every_byte(stream, cut):
    """Raw events and rest are the stream, and the cuts do not change them."""
    cut = min(cut, len(stream))
    whole, rest = split_events(stream)
    first, between = split_events(stream[:cut])
    second, last = split_events(between + stream[cut:])

    assert b"".join(whole) + rest == stream
    assert (first + second, last) == (whole, rest)


@given(st.lists(st.binary(max_size=20).map(encode), max_size=5))
def test_splitting_finds_each_event(events):
    """Encoded events come apart again one by one."""
    assert split_events(b"".join(events)) == (events, b"")


@pytest.mark.parametrize(
    ("stream", "events", "rest"),
    [
        (b"data: a\n\ndata: b\n\nda", [b"data: a\n\n", b"data: b\n\n"], b"da"),
        (b"data: a\r\n\r\ndata: b\r\n", [b"data: a\r\n\r\n"], b"data: b\r\n"),
        (b"data: a\r\rx", [b"data: a\r\r"], b"x"),
        (b"data: a\r\n\r", [], b"data: a\r\n\r"),
        (b"data: a\r\n", [], b"data: a\r\n"),
        (b"", [], b""),
    ],
)
def test_splitting(stream, events, rest):
    """An event ends with its blank line; a CR at the very end may still become a CRLF."""
    assert split_events(stream) == (events, rest)


@given(st.binary(), st.none() | st.binary(max_size=10))
def test_what_is_encoded_is_parsed_again(data, name):
    """Line ends become LF; everything else comes back byte for byte."""
    try:
        raw = encode(data, name)
    except ValueError:
        assert b"\n" in name or b"\r" in name
        return
    expected = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    assert SseParser().feed(raw) == [SseEvent(name or b"", expected)]


def test_encoding_is_the_usual_form():
    """One line of data is one field."""
    assert encode(b'{"a":1}') == b'data: {"a":1}\n\n'
    assert encode(b"a\nb", b"e") == b"event: e\ndata: a\ndata: b\n\n"


@pytest.mark.parametrize("piece", [b"x" * 1000, b"x" * 65536])
def test_an_endless_line_is_cut(piece):
    """A line that never ends is refused at its cap, with little more in memory."""
    parser = SseParser()
    for _ in range(MAX_LINE_BYTES // len(piece)):
        parser.feed(piece)

    with pytest.raises(SseError, match="line"):
        parser.feed(piece)


@pytest.mark.parametrize("end", [b"\n", b"\n\n", b"\r\n\r\n"])
def test_a_long_line_is_refused_when_it_ends(end):
    """The cap holds for lines that come whole, in both readings."""
    stream = b"data: " + b"x" * MAX_LINE_BYTES + end
    with pytest.raises(SseError, match="line"):
        SseParser().feed(stream)
    with pytest.raises(SseError, match="line"):
        split_events(stream)


def test_an_endless_event_is_cut():
    """Lines without a blank one are refused at the event's cap."""
    line = b"data: " + b"x" * 500_000 + b"\n"
    parser = SseParser()
    for _ in range(MAX_EVENT_BYTES // len(line)):
        parser.feed(line)
    with pytest.raises(SseError, match="event"):
        parser.feed(line)
    with pytest.raises(SseError, match="event"):
        split_events(line * (MAX_EVENT_BYTES // len(line) + 2))


def test_large_events_under_the_caps_pass():
    """Caps are for lines and events, not for how much comes at once."""
    event = b"data: " + b"x" * (MAX_LINE_BYTES - 6) + b"\n\n"

    assert len(SseParser().feed(event * 6)) == 6
    assert len(split_events(event * 6)[0]) == 6


@given(streams, st.lists(st.integers(0, 200), max_size=6))
def test_a_splitter_finds_the_same_events_at_any_cuts(stream, cuts):
    """What it gives out and holds is what splitting the whole at once gives."""
    at = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    splitter = EventSplitter()

    events = [event for a, b in itertools.pairwise(at) for event in splitter.feed(stream[a:b])]

    assert (events, bytes(splitter.held)) == split_events(stream)


@pytest.mark.parametrize("piece", [b"x" * 1000, b"x" * 65536])
@pytest.mark.parametrize("before", [b"data: a\n\n", b"data: a\r\n", b"data: a\n\ndata: "])
def test_a_splitter_cuts_an_endless_line(before, piece):
    """At its cap, wherever in the stream it begins."""
    splitter = EventSplitter()
    splitter.feed(before)
    for _ in range((MAX_LINE_BYTES - 10) // len(piece)):
        assert splitter.feed(piece) == []

    with pytest.raises(SseError, match="line"):
        splitter.feed(piece + piece)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_splitter_cuts_an_endless_event(end):
    """At its cap, after a look at each byte and not at all of them with each piece."""
    splitter = EventSplitter()
    line = b"data: " + b"x" * 100 + end
    for _ in range(MAX_EVENT_BYTES // len(line)):
        assert splitter.feed(line) == []

    with pytest.raises(SseError, match="event"):
        splitter.feed(line)


def test_a_splitter_sees_a_long_line_between_others():
    """Also where it ends within the piece that completes it, or completes its event."""
    long = b"data: " + b"x" * MAX_LINE_BYTES
    for rest in (b"\ndata: a", b"\n\n", b"\ndata: a\n\n"):
        splitter = EventSplitter()
        splitter.feed(b"data: a\n")
        with pytest.raises(SseError, match="line"):
            splitter.feed(long + rest)
