"""YAML as plain values: no objects, no cycles, no key twice, and nothing that grows beyond bounds when aliases are followed."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Final

from fairlead.errors import ConfigError

LARGEST_CHARACTERS: Final = 1 << 20
MOST_VALUES: Final = 100_000
"""How many values a file may have, those counted again that an alias repeats."""
_MERGE: Final = "tag:yaml.org,2002:merge"


def read(text: str, name: str) -> dict[str, Any]:
    """The mapping in a YAML document; `name` is what messages call it, and none shows a value of it.

    Raises:
        ConfigError: it cannot be read, or is no mapping.
    """
    if find_spec("yaml") is None:
        raise ConfigError(
            "reading YAML takes PyYAML; in the repository's folder run `pip install '.[gateway,migrate]'`"
        )
    if len(text) > LARGEST_CHARACTERS:
        raise ConfigError(f"{name}: is longer than {LARGEST_CHARACTERS:,} characters; is it the right file?")
    try:
        tree = _plain(_values(text, name))
    except RecursionError:
        raise ConfigError(f"{name}: is nested too deeply; is it the right file?") from None
    if tree is None:
        raise ConfigError(f"{name}: is empty; name the `config.yaml` of a LiteLLM proxy")
    if not isinstance(tree, dict):
        raise ConfigError(f"{name}: is no mapping; name the `config.yaml` of a LiteLLM proxy")
    return tree


def _values(text: str, name: str) -> Any:
    import yaml  # noqa: PLC0415 - an extra

    loader = None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _Bounds(lambda found, why: ConfigError(f"{name}:{found.start_mark.line + 1}: {why}")).check(node)
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f"{mark.line + 1}:"
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
        raise ConfigError(f"{name}:{line} this is not YAML that can be read: {reason}") from None
    except (ValueError, OverflowError):
        raise ConfigError(f"{name}: a date or a number in it is none; put it into quotes") from None
    finally:
        if loader is not None:
            loader.dispose()


class _Bounds:
    """Sees to it that a tree of nodes stays small when its aliases are followed, without following them.

    Args:
        refusal: the error for a node and a reason.
    """

    def __init__(self, refusal: Callable[[Any, str], ConfigError]) -> None:
        self._refusal = refusal
        self._sizes: dict[int, int] = {}
        self._open: set[int] = set()

    def check(self, node: Any) -> int:
        """How many values there are from here on.

        Raises:
            ConfigError: too many, an alias inside what it stands for, or a key twice.
        """
        known = self._sizes.get(id(node))
        if known is not None:
            return known
        if id(node) in self._open:
            raise self._refusal(node, "an alias stands inside what it stands for")
        self._open.add(id(node))
        size = 1 + sum(self.check(each) for each in self._below(node))
        if size > MOST_VALUES:
            raise self._refusal(node, f"its aliases make more than {MOST_VALUES:,} values of it")
        self._open.discard(id(node))
        self._sizes[id(node)] = size
        return size

    def _below(self, node: Any) -> list[Any]:
        if isinstance(node.value, str):
            return []
        if node.id == "sequence":
            return list(node.value)
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            word = (key.tag, key.value) if isinstance(key.value, str) else None
            if word is not None and word in seen and key.tag != _MERGE:
                raise self._refusal(key, "a key stands twice in one mapping; keep one")
            seen |= {word} if word is not None else set()
        return [each for pair in node.value for each in pair]


def _plain(value: Any) -> Any:
    """Mappings with words as keys, lists, and scalars as TOML and JSON know them; all else as text."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
