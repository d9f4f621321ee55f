"""What is wrong in a configuration, and how its place is written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from fairlead.config.lines import KeyPath

_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend."""

    path: KeyPath
    message: str
    """What is wrong and the remedy; never a value that may be a secret."""


def written(path: KeyPath) -> str:
    """A path as TOML writes it: `models."gpt-4o".targets[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if _BARE.fullmatch(part) else '"' + part.encode("unicode_escape").decode() + '"'
            text += f".{name}" if text else name
    return text


def suggestion(name: str, known: Iterable[str]) -> str:
    """The near miss, or the list of what there is."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean `{near[0]}`?"
    return f"known are {', '.join(f'`{each}`' for each in names)}" if names else "there is none"
