"""Lines of keys in TOML text."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.config.lines import KeyPath, key_lines, line_of

DOCUMENT = '''\
# a comment with [brackets] and = signs
[gateway]          # trailing
host = "a#b = c"
tls = { cert = "x", key.file = "y" }

[providers."my \\"own\\" one"]
text = """
[not a table]
key = 1"""""
after = 1
[models.a]
targets = [
  # first
  "x/y", # second next
  { target = "x/z", weight = 1 },
]
price.input = 1.0
[[rows]]
n = 1
[rows.sub]
m = 1
[[rows]]
'literal' = 2
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("gateway",), 2),
        (("gateway", "host"), 3),
        (("gateway", "tls", "key"), 4),
        (("gateway", "tls", "key", "file"), 4),
        (("providers", 'my "own" one'), 6),
        (("providers", 'my "own" one', "text"), 7),
        (("providers", 'my "own" one', "after"), 10),
        (("models", "a", "targets"), 12),
        (("models", "a", "targets", 0), 14),
        (("models", "a", "targets", 1, "weight"), 15),
        (("models", "a", "price", "input"), 17),
        (("rows", 0, "n"), 19),
        (("rows", 0, "sub", "m"), 21),
        (("rows", 1), 22),
        (("rows", 1, "literal"), 23),
    ],
)
def test_each_key_has_the_line_it_stands_on(path: KeyPath, line: int):
    """Headers, dotted and quoted keys, inline tables, arrays of tables and multi-line values are followed."""
    assert key_lines(DOCUMENT)[path] == line


def test_windows_line_ends_count_once():
    """CRLF ends one line."""
    assert key_lines("a = 1\r\n\r\nb = 2\r\n")[("b",)] == 3


def test_a_missing_key_has_the_line_of_its_table():
    """What is not there is reported where it would be."""
    assert line_of(key_lines("\n[a.b]\nx = 1\n"), ("a", "b", "y")) == 2


def test_nothing_around_it_means_the_first_line():
    """An empty document still has a place to point at."""
    assert line_of(key_lines(""), ("gateway",)) == 1


def _quoted(text: str) -> str:
    return '"' + "".join(f"\\U{ord(char):08x}" for char in text if not 0xD800 <= ord(char) < 0xE000) + '"'


keys = st.one_of(st.sampled_from(["a", "b-c", "1"]), st.text(max_size=4))
scalars = st.one_of(
    st.integers(-5, 5).map(str),
    st.booleans().map(lambda value: "true" if value else "false"),
    st.text(max_size=6).map(_quoted),
    st.text(alphabet="ab\n\"#=[]{}, '\\", max_size=8).map(
        lambda text: '"""' + text.replace("\\", "\\\\").replace('"', '\\"') + '"""'
    ),
    st.text(alphabet='ab"\\#=[]{},', max_size=6).map(lambda text: f"'{text}'"),
    st.just("1979-05-27 07:32:00"),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[\n" + ",  # a ] comment\n".join(items) + "\n]"),
        st.dictionaries(keys, inner, max_size=3).map(
            lambda table: "{ " + ", ".join(f"{_quoted(key)} = {value}" for key, value in table.items()) + " }"
        ),
    ),
    max_leaves=6,
)
tables = st.dictionaries(keys, st.dictionaries(keys, values, max_size=3), max_size=4)


def _paths(value: Any, path: KeyPath = ()) -> set[KeyPath]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found: set[KeyPath] = {path} if path else set()
    for key, child in children:
        found |= _paths(child, (*path, key))
    return found


@given(tables)
def test_every_key_of_any_document_has_a_line(document: dict[str, dict[str, str]]):
    """The scanner sees exactly the keys that the parser sees, and each one of `[table]` and `key =` on its own line."""
    text, expected = "", {}
    for table, pairs in document.items():
        expected[(table,)] = text.count("\n") + 1
        text += f"[{_quoted(table)}] # table\n"
        for key, value in pairs.items():
            expected[(table, key)] = text.count("\n") + 1
            text += f"{_quoted(key)} = {value}\n"
    try:
        parsed = tomllib.loads(text)
    except tomllib.TOMLDecodeError:  # keys that differ only in surrogates became equal
        return
    lines = key_lines(text)
    assert set(lines) == _paths(parsed)
    assert {path: lines[path] for path in expected} == expected
