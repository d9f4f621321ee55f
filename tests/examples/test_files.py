"""What the examples have beside their programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.config.load import load

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
BOOKINGS = [EXAMPLES / "booking", EXAMPLES / "booking-ts"]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/*.toml")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_configurations_load(path: Path) -> None:
    """The simulator's and that of real models."""
    assert load(path).models


def test_both_bookings_read_the_same_messages() -> None:
    """What guests wrote does not depend on the language."""
    first, second = ((folder / "messages.txt").read_text() for folder in BOOKINGS)
    assert first == second
