"""Answers whose outermost brackets are not those that were asked for: left off, or those of the schema itself."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

from fairlead.core.jsonx import Candidate, bare, whole
from fairlead.validation.ladder.node import Node
from fairlead.validation.ladder.wrappers import Layer
from fairlead.verdict import Edit

BRACED: Final = 0.8
"""The confidence of braces that were left off."""

_NAME_FIRST = re.compile(r'"[^"\\\n]{1,200}"\s*:')
_OF_SCHEMAS: Final = frozenset(
    {"$defs", "$id", "$schema", "additionalProperties", "description", "properties", "required", "title", "type"}
)
_SCHEMA_WORDS: Final = frozenset({"$ref", "allOf", "anyOf", "const", "enum", "oneOf", "properties", "type"})


def unbraced(text: str) -> Candidate | None:
    """The object of which only the names and values stand in the text, and nothing else does."""
    body = bare(text).rstrip(",")
    if not _NAME_FIRST.match(body):
        return None
    try:
        value = whole(f"{{{body}}}")
    except ValueError:
        return None
    edit = Edit(rung="repair", kind="braces", confidence=BRACED)
    return Candidate(value=value, edits=(edit,), left_open=("",), between="")


def echoed(value: Any, names: Collection[str]) -> Layer | None:
    """The values that stand where a schema that was written again has its properties."""
    if not isinstance(value, dict) or value.get("type") != "object" or "properties" in names:
        return None
    held = value.get("properties")
    if not isinstance(held, dict) or not value.keys() <= _OF_SCHEMAS:
        return None
    if any(isinstance(each, dict) and _SCHEMA_WORDS & each.keys() for each in held.values()):
        return None
    return Layer(kind="schema_echo", value=held)


def only_list(node: Node) -> str | None:
    """The one property of an object that takes a list; `None` where there is none, or more than one."""
    if not node.is_object or node.branches:
        return None
    found = [name for name in node.names if _takes_lists(node.child(name))]
    return found[0] if len(found) == 1 else None


def _takes_lists(node: Node) -> bool:
    if node.branches:
        return any(not branch.branches and _takes_lists(branch) for branch in node.branches)
    return node.kinds is None or "array" in node.kinds
