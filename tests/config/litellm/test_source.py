"""What is read of a YAML file, and what of one that is none."""

from __future__ import annotations

import sys

import pytest

from fairlead.config.litellm.source import MOST_VALUES, read
from fairlead.errors import ConfigError

SECRET = "sk-very-secret"
LAUGHS = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
)
MERGED = "\n".join(
    ["b0: &b0 {k: v}"] + [f"b{n}: &b{n}\n  <<: [{', '.join([f'*b{n - 1}'] * 10)}]" for n in range(1, 12)]
)


def test_values_are_plain():
    """Words as keys, numbers as numbers, all that TOML does not know as text."""
    tree = read("a: [1, 2.5, true, null, x]\n2: {d: 2024-01-02, e: !!binary aGk=}\n", "c.yaml")
    assert tree == {"a": [1, 2.5, True, None, "x"], "2": {"d": "2024-01-02", "e": "b'hi'"}}


def test_without_a_reader_of_yaml_the_way_to_get_one_is_told(monkeypatch):
    """From the repository's folder, as the rest of the installation."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ConfigError, match=r"pip install '\.\[gateway,migrate\]'"):
        read("a: 1\n", "c.yaml")


def test_anchors_and_merges_are_followed():
    """Real files share parameters by them."""
    tree = read("base: &b {rpm: 5, tpm: 6}\nmine:\n  <<: *b\n  rpm: 7\nagain: *b\n", "c.yaml")
    assert tree["mine"] == {"rpm": 7, "tpm": 6}
    assert tree["again"] == {"rpm": 5, "tpm": 6}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("# nothing\n---\n", "is empty"),
        ("- a\n- b\n", "is no mapping"),
        ("just words", "is no mapping"),
        ("a: [1, 2\nb: 3\n", ":2: this is not YAML"),
        ("a: b: c\n", ":1: this is not YAML"),
        ("a:\n\t- b\n", "this is not YAML"),
        ("a: *gone\n", "undefined alias"),
        ("a: 1\n---\nb: 2\n", "this is not YAML"),
        ("a: \x07\n", "this is not YAML"),
        ("a: !!python/object/apply:os.system [id]\n", "could not determine a constructor"),
        ("a: !mine 3\n", "could not determine a constructor"),
        ("? [x]\n: 1\n", "unhashable"),
        ("a: 1\nb: 2\na: 3\n", ":3: a key stands twice"),
        ("a: 2024-13-77\n", "into quotes"),
        ("a: " + "9" * 5_000, "into quotes"),
        ("a: &a [*a]\n", "inside what it stands for"),
        ("a: &a\n  b: {c: *a}\n", "inside what it stands for"),
        (LAUGHS, f"more than {MOST_VALUES:,} values"),
        (MERGED, f"more than {MOST_VALUES:,} values"),
        ("[" * 700, "nested too deeply"),
        ("a: " + "x" * (1 << 20), "is longer than"),
    ],
    ids=lambda value: value[:20],
)
def test_what_cannot_be_read_is_refused_by_name(text, says):
    """With the line where there is one; an alias that would grow without end costs nothing."""
    with pytest.raises(ConfigError) as refused:
        read(text, "c.yaml")
    assert refused.value.message.startswith("c.yaml:")
    assert says in refused.value.message


@pytest.mark.parametrize("text", [f"k: {SECRET}\nk: {SECRET}\n", f"a: [{SECRET}\nb: 1\n", f"a: {SECRET}: x\n"])
def test_a_refusal_shows_no_value(text):
    """It may be a secret."""
    with pytest.raises(ConfigError) as refused:
        read(text, "c.yaml")
    assert SECRET not in refused.value.message
