"""What a provider allows us, as configured."""

from __future__ import annotations

import msgspec


class Pacing(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one (provider, credential, model); `None` is unknown or unlimited."""

    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None
    learn: bool = False
    """Whether headers and refusals correct it."""
    max_wait_s: float = 60.0
    """The longest that a call waits in line."""
    counts_maximum: bool = False
    """Whether the provider counts what an answer may become, and not what it became."""
