"""From a method and a path to what is asked for, by the paths of every dialect; below any base, such as `/v1`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from fairlead.dialects.codec import Dialect

_SHARED = "/v1/models"
"""Where clients of all dialects ask for models."""
_MODELS = re.compile(r"/models(?:/([^/:]+))?$")


class Routes:
    """Finds the dialect that a path belongs to.

    Args:
        dialects: the first of them is spoken to callers of whom nothing tells which one they speak.
    """

    def __init__(self, dialects: Iterable[Dialect]) -> None:
        self._dialects = tuple(dialects)
        pairs = [(template, each) for each in self._dialects for template in _templates(each)]
        # The longest first: one dialect's path may end like another one's.
        pairs.sort(key=lambda pair: -len(pair[0]))
        self._posts = [(_pattern(template), each) for template, each in pairs]

    def post(self, path: str) -> tuple[Dialect, str] | None:
        """The dialect that takes this path, and the path as its reader knows it."""
        for pattern, found in self._posts:
            match = pattern.search(path)
            if match is not None:
                return found, _base(found, match[0]) + match[0]
        return None

    def caller(self, path: str, headers: Mapping[str, str]) -> Dialect:
        """The dialect of a caller: by its path, else by the headers that only its SDKs send, else by what it has below
        such a path."""
        found = self.post(path)
        if found is not None:
            return found[0]
        signed = next((each for each in self._dialects if each.sign is not None and each.sign in headers), None)
        if signed is not None or path.startswith(_SHARED):
            return signed or self._dialects[0]
        above = (each for each in self._dialects if any(f"{path}/".startswith(known) for known in _open(each)))
        return next(above, self._dialects[0])


def asked_model(path: str) -> str | None:
    """The model that a path asks about, nothing for the list of all; `None`: it is another path."""
    match = _MODELS.search(path)
    return None if match is None else unquote(match[1] or "")


def _templates(dialect: Dialect) -> Iterable[str]:
    """Its paths below a base; what a template says after `?` belongs to the query."""
    paths = (dialect.upstream_path, dialect.stream_path, dialect.count_path)
    return {path.partition("?")[0] for path in paths if path is not None}


def _open(dialect: Dialect) -> Iterable[str]:
    """The paths of which it takes all that stands below them."""
    return [known for known in dialect.paths if known.endswith("/")]


def _pattern(template: str) -> re.Pattern[str]:
    before, model, after = template.partition("{model}")
    return re.compile(re.escape(before) + ("[^/]+" if model else "") + re.escape(after) + "$")


def _base(dialect: Dialect, tail: str) -> str:
    """What stands before the tail of a path on the gateway."""
    first = "/" + tail.split("/")[1]
    found = (known.partition(first)[0] for known in dialect.paths if first in known)
    return next(found, "")
