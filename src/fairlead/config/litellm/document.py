"""A configuration as the text of a TOML file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPED: Final = re.compile("[\x7f\ud800-\udfff]")
HEADING: Final = "# Translated from the configuration of a LiteLLM proxy.  `fairlead check` says what it switches on.\n"


def document(config: Mapping[str, Mapping[str, Any]]) -> str:
    """`[gateway]`, then a table for each provider and each model."""
    parts = [HEADING, _table(("gateway",), config["gateway"])]
    for section in ("providers", "models"):
        parts += [_table((section, name), row) for name, row in config[section].items()]
    return "\n".join(parts)


def _table(path: tuple[str, ...], row: Mapping[str, Any]) -> str:
    return f"[{'.'.join(map(_key, path))}]\n" + "".join(
        f"{_key(key)} = {_value(value)}\n" for key, value in row.items()
    )


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return _list(list(map(_value, value)))
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _list(items: list[str]) -> str:
    line = f"[{', '.join(items)}]"
    return line if len(line) <= 100 else "[\n" + "".join(_lines(items)) + "]"


def _lines(items: list[str]) -> Iterator[str]:
    yield from (f"  {item},\n" for item in items)


def _text(text: str) -> str:
    """JSON escapes what TOML must have escaped, but for DEL; lone surrogates have no form."""
    return _ESCAPED.sub(
        lambda found: "\\u007F" if found[0] == "\x7f" else "\\uFFFD", json.dumps(text, ensure_ascii=False)
    )
