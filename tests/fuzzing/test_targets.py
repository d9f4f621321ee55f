"""What fuzzing has found stays found: seeds, corpus and crashers of every target, replayed."""

from __future__ import annotations

import random

import pytest
from fuzz import corpus
from fuzz.targets import NAMES, load

MUTATIONS = 300


@pytest.mark.parametrize("name", NAMES)
def test_the_corpus_breaks_no_promise(name):
    """Every input that a run kept, because it reached something new, still passes."""
    target = load(name)
    for data in (*target.SEEDS, *corpus.read(name)):
        target.check(data)


@pytest.mark.parametrize(
    "path",
    [path for name in NAMES for path in corpus.crashers(name)],
    ids=lambda path: f"{path.parent.name}-{path.name}",
)
def test_what_once_broke_a_promise_does_not_any_more(path):
    """A crasher is the regression test of its fix."""
    load(path.parent.name).check(path.read_bytes())


@pytest.mark.parametrize("name", NAMES)
def test_small_changes_to_what_is_known_break_no_promise(name):
    """A few mutations on every run, with a fixed seed, so that a target cannot rot."""
    target, rng = load(name), random.Random(20_261_123)  # noqa: S311
    known = [*target.SEEDS, *corpus.read(name)]
    for _ in range(MUTATIONS):
        target.check(mutated(rng.choice(known), target.WORDS, rng))


def mutated(data: bytes, words: tuple[bytes, ...], rng: random.Random) -> bytes:
    """The input with one span replaced by a word, by a piece of itself, or by a random byte."""
    start = rng.randrange(len(data) + 1)
    end = min(len(data), start + rng.choice((0, 1, 1, 2, 8)))
    piece = data[rng.randrange(len(data) + 1) :][:8]
    return data[:start] + rng.choice((rng.choice(words), piece, rng.randbytes(1), b"")) + data[end:]
