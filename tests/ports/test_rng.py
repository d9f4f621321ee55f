from __future__ import annotations

import pytest

from fairlead.ports import Rng


def test_numbers_lie_in_the_unit_interval_and_fill_it(rng: Rng) -> None:
    """From 0 on, below 1, and in every tenth of it."""
    numbers = [rng.random() for _ in range(2_000)]
    assert all(0 <= number < 1 for number in numbers)
    assert {int(number * 10) for number in numbers} == set(range(10))


@pytest.mark.parametrize("size", [0, 1, 10, 32])
def test_a_token_has_the_size_asked_for(rng: Rng, size: int) -> None:
    """In bytes."""
    token = rng.token(size)
    assert isinstance(token, bytes)
    assert len(token) == size


def test_tokens_do_not_repeat(rng: Rng) -> None:
    """Ids made of them are unique in practice."""
    assert len({rng.token(10) for _ in range(1_000)}) == 1_000


def test_tokens_use_every_byte(rng: Rng) -> None:
    """They are bytes, not text."""
    assert len(set(rng.token(10_000))) == 256
