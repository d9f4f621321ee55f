from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.cli.terminal import CleanStream, clean, one_line

HOSTILE = st.text(alphabet=st.sampled_from("ab\n\t\x1b[]0;31mHJ\x07\\\x9b\x00\r\u202e\u2066é🙂"), max_size=60)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("a\x1b]0;title\x07b", "ab"),
        ("a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "alink"),
        ("a\x1b]52;c;cGF5\x07b", "ab"),
        ("over\rwrite\x08", "overwrite"),
        ("a\x9b31mb", "a31mb"),
        ("safe\u202etxt.exe", "safetxt.exe"),
        ("two\n\tlines 🙂\u200d", "two\n\tlines 🙂\u200d"),
    ],
)
def test_nothing_that_steers_a_terminal_is_left(text, shown):
    """Colours, titles, links, the clipboard, overwriting and reversed text are taken out; words stay."""
    assert clean(text) == shown


@given(HOSTILE)
def test_a_cleaned_text_has_no_control_characters(text):
    """Whatever comes in, only line feeds and tabs come out."""
    assert not [char for char in clean(text) if (ord(char) < 32 and char not in "\n\t") or 127 <= ord(char) < 160]


@given(st.lists(HOSTILE, max_size=8))
def test_pieces_are_as_clean_as_the_whole(pieces):
    """A sequence that is cut in two does not slip through, and what is shown is the whole or its beginning."""
    stream = CleanStream()
    shown = "".join([*(stream.feed(piece) for piece in pieces), stream.end()])
    assert clean(shown) == shown
    assert "\x1b" not in shown


@given(st.lists(st.text(alphabet="abc \n🙂", max_size=10), max_size=8))
def test_plain_pieces_pass_at_once(pieces):
    """Nothing is held back without reason."""
    stream = CleanStream()
    assert [stream.feed(piece) for piece in pieces] == pieces


def test_an_unfinished_sequence_hides_nothing():
    """What follows an opened title that is never closed is shown in the end."""
    stream = CleanStream()
    assert [stream.feed("a\x1b]0;"), stream.feed("secret words"), stream.end()] == ["a", "", "]0;secret words"]


def test_one_line_is_one_line():
    """Line feeds cannot forge a second record."""
    assert one_line("a\nb\r\n c\x1b[2J") == "a b c"
