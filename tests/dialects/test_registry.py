"""Dialects by name."""

from __future__ import annotations

import pytest

from fairlead.dialects import DIALECTS, dialect


def test_a_dialect_is_found_by_its_name():
    """Each name leads to the dialect that bears it."""
    assert all(dialect(name).name == name for name in DIALECTS)


def test_an_unknown_name_is_an_error_that_lists_the_known():
    """The message helps."""
    with pytest.raises(KeyError, match="openai_chat"):
        dialect("klingon")


def test_the_registry_cannot_be_changed():
    """Nothing registers itself at run time."""
    with pytest.raises(TypeError):
        DIALECTS["x"] = dialect("openai_chat")
