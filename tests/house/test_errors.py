"""Errors are documented, and lower layers' errors become ours."""

from __future__ import annotations

import ast
import importlib
import socket
import sqlite3
import ssl

import pytest

from fairlead import errors

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.FairleadError)]
FAMILIES = {"sqlite3": sqlite3, "ssl": ssl, "socket": socket}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_error_is_in_the_reference(kind, root):
    """Class and code stand in docs/reference/errors.md."""
    page = (root / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    assert f"| `{kind.__name__}` | `{kind.code}` |" in page


def test_each_error_is_in_the_tree_of_the_docstring():
    """The tree drawn in errors.py is the whole tree."""
    drawn = errors.__doc__ or ""
    assert [kind.__name__ for kind in KINDS if kind.__name__ not in drawn] == []


def _tables(source) -> list[dict[type[BaseException], type]]:
    """The maps of every `with mapped({...})` in a module."""
    found = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "mapped" and isinstance(node.args[0], ast.Dict):
            names = vars(importlib.import_module(source.module)) | vars(importlib.import_module("builtins"))
            found.append({_value(ast.unparse(key), names): _value(ast.unparse(value), names)
                          for key, value in zip(node.args[0].keys, node.args[0].values, strict=True) if key})  # fmt: skip
    return found


def _value(dotted: str, names: dict[str, object]):
    head, *rest = dotted.split(".")
    value = names[head]
    for part in rest:
        value = getattr(value, part)
    return value


@pytest.mark.parametrize("family", FAMILIES)
def test_a_map_that_names_a_family_covers_it(family: str, sources):
    """Where an adapter maps one of a library's errors it maps all of them."""
    module = FAMILIES[family]
    members = {
        kind
        for name, kind in vars(module).items()
        if not name.startswith("_")
        if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, Warning | ExceptionGroup)
        if kind.__module__ in (family, f"_{family}") or kind is OSError
    } - {getattr(sqlite3, "Warning", None)}
    for source in sources:
        for table in _tables(source):
            if members & table.keys():
                uncovered = {kind for kind in members if not issubclass(kind, tuple(table))}
                assert uncovered == set(), source.name


@pytest.mark.parametrize("kind", [sqlite3.OperationalError, sqlite3.DatabaseError, OSError])
def test_mapped_keeps_the_cause_and_hides_it(kind):
    """The lower error is the cause and the detail, and not in the message."""
    with pytest.raises(errors.StateUnavailable) as caught:  # noqa: SIM117 - the map is what is under test
        with errors.mapped({sqlite3.Error: errors.StateUnavailable, OSError: errors.StateUnavailable}, "no answer"):
            raise kind("canary")
    assert isinstance(caught.value.__cause__, kind)
    assert "canary" not in str(caught.value)
    assert "canary" in (caught.value.detail or "")
