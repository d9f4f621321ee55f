"""Says which provider an error is about: a dialect, which words it, knows none by name."""

from __future__ import annotations

import re
from typing import Final

from fairlead.errors import FairleadError, UpstreamAuth, UpstreamRejected

_WHOSE: Final = re.compile(r"^The provider's (\w+)")
_WHO: Final = re.compile(r"^The provider\b")


def name_provider(error: FairleadError, name: str) -> None:
    """Put the provider's name into the message; what it says of a request in its own words stays as it is."""
    if isinstance(error, UpstreamRejected) or _WHO.match(error.message) is None:
        return
    if isinstance(error, UpstreamAuth):
        error.message = (
            f"provider {name!r} refused the credential that this gateway uses; "
            f"whoever runs it has to look at `[providers.{name}]`"
        )
    else:
        # By functions, as a name may hold what a template would read as a reference.
        whose = _WHOSE.sub(lambda found: f"The {found[1]} of provider {name!r}", error.message)
        error.message = _WHO.sub(lambda _: f"Provider {name!r}", whose)
    error.args = (error.message,)
