from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.frame import HEADER_BYTES, MAGIC, MAX_PAYLOAD_BYTES, decode, encode

payloads = st.lists(
    st.binary(max_size=60) | st.just(MAGIC * 20) | st.builds(encode, st.binary(max_size=20)), max_size=8
)


@given(payloads)
def test_round_trip(records: list[bytes]) -> None:
    """What was framed comes back, in order, with nothing left over."""
    buffer = b"".join(map(encode, records))
    decoded = decode(buffer)
    assert decoded.payloads == records
    assert (decoded.consumed, decoded.torn, decoded.skipped_bytes) == (len(buffer), False, 0)


@given(payloads, st.data())
def test_truncation_yields_a_prefix(records: list[bytes], data: st.DataObject) -> None:
    """A buffer cut anywhere holds a prefix of the records, and reading on from `consumed` finds the rest."""
    buffer = b"".join(map(encode, records))
    cut = data.draw(st.integers(0, len(buffer)))
    head = decode(buffer[:cut])
    assert head.payloads == records[: len(head.payloads)]
    assert head.torn == (head.consumed < cut)
    assert head.skipped_bytes == 0
    assert head.payloads + decode(buffer[head.consumed :]).payloads == records


@given(payloads, st.data())
def test_each_end_is_where_reading_goes_on(records: list[bytes], data: st.DataObject) -> None:
    """Decoding from behind the n-th record gives all but the first n."""
    buffer = b"".join(map(encode, records))
    for number, end in enumerate(decode(buffer).ends, start=1):
        assert decode(buffer[end:]).payloads == records[number:]


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=3, max_size=3), st.data())
def test_damaged_payload_costs_one_record(records: list[bytes], data: st.DataObject) -> None:
    """A flipped bit in a payload loses that record alone."""
    first, second, third = map(encode, records)
    position = data.draw(st.integers(HEADER_BYTES, len(second) - 1))
    damaged = bytearray(second)
    damaged[position] ^= 1 << data.draw(st.integers(0, 7))
    decoded = decode(first + bytes(damaged) + third)
    assert decoded.payloads == [records[0], records[2]]
    assert decoded.skipped_bytes == len(second)
    assert not decoded.torn


@given(st.lists(st.binary(max_size=40).filter(lambda b: MAGIC not in b), min_size=3, max_size=3), st.data())
def test_damaged_header_is_skipped_to_the_next(records: list[bytes], data: st.DataObject) -> None:
    """A flipped bit in a header loses that record alone."""
    first, second, third = map(encode, records)
    damaged = bytearray(second)
    damaged[data.draw(st.integers(0, HEADER_BYTES - 1))] ^= 1 << data.draw(st.integers(0, 7))
    decoded = decode(first + bytes(damaged) + third)
    assert decoded.payloads == [records[0], records[2]]
    assert decoded.consumed == len(first + second + third)


@given(st.binary(max_size=400))
def test_noise_never_raises(noise: bytes) -> None:
    """Any bytes can be decoded, and what is consumed stays within them."""
    decoded = decode(noise)
    assert 0 <= decoded.consumed <= len(noise)


def test_a_frame_inside_a_torn_payload_is_not_a_record() -> None:
    """A caller who puts a frame into a request cannot forge a record, however the file is cut."""
    buffer = encode(b"{" + encode(b"forged") + b"}" * 50)
    for cut in range(len(buffer)):
        assert decode(buffer[:cut]).payloads == []


def test_a_frame_inside_a_damaged_payload_is_not_a_record() -> None:
    """Nor where the bytes around it are damaged."""
    buffer = bytearray(encode(b"{" + encode(b"forged") + b"}"))
    buffer[HEADER_BYTES] ^= 1
    assert decode(bytes(buffer) + encode(b"next")).payloads == [b"next"]


def test_largest_payload_is_bounded() -> None:
    """The length of a frame is bounded, so that damage cannot announce a huge one."""
    assert MAX_PAYLOAD_BYTES < 2**32
