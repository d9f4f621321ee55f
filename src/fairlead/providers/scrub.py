"""Takes our own credentials out of what a provider says (FAULTS X6)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from fairlead.call import Secret
from fairlead.errors import FairleadError

_MASK = "***"
_SHORTEST_CUT = 4
"""How much of a credential at a text's end counts as one that was cut off there."""


def scrub(error: FairleadError, secrets: Iterable[Secret]) -> None:
    """Mask the credentials in everything that an error tells: to the caller, in a record and in our own log."""
    for secret in secrets:
        for form in _forms(secret):
            error.message = _without(error.message, form)
            error.detail = None if error.detail is None else _without(error.detail, form)
            error.param = None if error.param is None else _without(error.param, form)
    error.args = (error.message,)


def request_id(headers: Mapping[str, str], name: str, secrets: Iterable[Secret]) -> str | None:
    """The provider's name for the request, from a header; `None` where it is none, or echoes a credential."""
    value = headers.get(name)
    if value is not None:
        for secret in secrets:
            if secret.reveal() in value:
                return None
    return value


def _without(text: str, secret: str) -> str:
    """The text without a credential, nor the beginning of one at its end: error texts are clipped."""
    text = text.replace(secret, _MASK)
    for size in range(min(len(secret), len(text)), _SHORTEST_CUT - 1, -1):
        if text.endswith(secret[:size]):
            return text[:-size] + _MASK
    return text


def _forms(secret: Secret) -> set[str]:
    """The credential as it is, and as JSON writes it, with and without the escaped slash of some encoders."""
    plain = secret.reveal()
    quoted = json.dumps(plain)[1:-1]
    return {plain, quoted, quoted.replace("/", "\\/")} - {""}
