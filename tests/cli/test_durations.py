from __future__ import annotations

import pytest
import typer

from fairlead.cli.durations import duration_ns, written


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("24h", 86_400), ("7d", 604_800), ("2w", 1_209_600), (" 1h ", 3_600)],
)
def test_spans(text, seconds):
    """A number and a unit."""
    assert duration_ns(text) == seconds * 1_000_000_000


@pytest.mark.parametrize("text", ["", "1", "h", "-1h", "0h", "1.5h", "1y", "1h30m", "\u0661h", "9999999s"])
def test_anything_else_is_refused_with_an_example(text):
    """The message shows how to write it."""
    with pytest.raises(typer.BadParameter, match="24h"):
        duration_ns(text)


def test_times_are_written_in_utc():
    """To the second, with a Z; unknown stays unknown."""
    assert written(1_767_225_600_999_999_999) == "2026-01-01T00:00:00Z"
    assert written(None) is None
