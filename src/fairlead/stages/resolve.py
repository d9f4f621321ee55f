"""resolve: from the name that the caller used to the candidates that can answer, and whether this caller may."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches

from fairlead.call import Call, Candidate
from fairlead.errors import Forbidden, ModelNotFound
from fairlead.pipeline import Next, Reply

Expand = Callable[[str], tuple[Candidate, ...]]
"""The candidates of `"*"` for a model name that no alias has."""


class Resolve:
    """Looks the model up among the aliases, then among what `"*"` relays.

    Args:
        aliases: the `[models]` tables but `"*"`, with their candidates.
        expand: what `"*"` makes of any other name; `None` where there is no `"*"`.
    """

    def __init__(self, aliases: Mapping[str, tuple[Candidate, ...]], expand: Expand | None) -> None:
        self._aliases = aliases
        self._expand = expand

    async def __call__(self, call: Call, following: Next) -> Reply:
        name = call.request.model
        candidates = self._aliases.get(name)
        if candidates is not None:
            call.alias = name
        elif self._expand is not None:
            call.alias = "*"
            candidates = self._expand(name)
        allowed = call.principal.models
        if allowed is not None and name not in allowed:
            raise Forbidden(f"this key may not call model {name!r}; ask for one of {_listed(allowed)}", param="model")
        if not candidates:
            raise ModelNotFound(self._unknown(name), param="model")
        call.candidates = candidates
        return await following(call)

    def _unknown(self, name: str) -> str:
        near = get_close_matches(name[:128], self._aliases, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"this gateway has {_listed(self._aliases)}"
        return f"no model {name!r}; {hint}"


def _listed(names: Sequence[str] | frozenset[str] | Mapping[str, object]) -> str:
    shown = sorted(names)[:10]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return ", ".join(repr(name) for name in shown) + more if shown else "no models configured"
