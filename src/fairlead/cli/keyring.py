"""Making virtual keys: what may be asked for, ids and secrets, and the hashing key that the workers use too."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from fairlead.cli.settings import Settings
from fairlead.config.build import spool_folder
from fairlead.config.kept import kept_secret
from fairlead.core.credentials import HASHING_LABEL, derive, digest, format_key
from fairlead.core.money import parse_budget
from fairlead.errors import InvalidRequest
from fairlead.ports import KeyStore, ScopeLimits, StoredKey
from fairlead.stores.system import SystemClock, SystemRng

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@+-]{0,63}")
_ID_BYTES: Final = 8
_SECRET_BYTES: Final = 32
_HASH_ID: Final = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a key shall be; the fields are as people write them."""

    name: str
    budget: str | None = None
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None
    models: tuple[str, ...] | None = None
    user: str | None = None
    team: str | None = None

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            InvalidRequest: says what and why.
        """
        for kind, name in (("name", self.name), ("user", self.user), ("team", self.team)):
            if name is not None:
                check_name(kind, name)
        if self.models is not None and (not self.models or not all(self.models)):
            raise InvalidRequest("`models` is a list of names with nothing empty in it; leave it out to allow all")
        self.limits()

    def limits(self) -> ScopeLimits | None:
        """The limits among the fields; `None` where there are none.

        Raises:
            InvalidRequest: the budget is not of the form `10usd/day`.
        """
        return limits_of(self.budget, self.rpm, self.tpm, self.concurrency)


def limits_of(budget: str | None, rpm: int | None, tpm: int | None, concurrency: int | None) -> ScopeLimits | None:
    """Limits from their parts; `None` where all are absent.

    Raises:
        InvalidRequest: the budget is not of the form `10usd/day`.
    """
    if budget is None and rpm is None and tpm is None and concurrency is None:
        return None
    if budget is None:
        return ScopeLimits(rpm=rpm, tpm=tpm, concurrency=concurrency)
    try:
        amount_nanousd, window = parse_budget(budget)
    except ValueError as error:
        raise InvalidRequest(str(error)) from None
    return ScopeLimits(budget_nanousd=amount_nanousd, budget_window=window, rpm=rpm, tpm=tpm, concurrency=concurrency)


def check_name(kind: str, name: str) -> None:
    """Refuse names that would be trouble in logs, scopes and labels.

    Raises:
        InvalidRequest: says how names look.
    """
    if _NAME.fullmatch(name) is None or name != name.strip():
        raise InvalidRequest(
            f"{name!r} cannot be a {kind}: 1 to 64 letters, digits, spaces and `._@+-`, a letter or digit first"
        )


def live(keys: Iterable[StoredKey]) -> dict[str, StoredKey]:
    """The keys that were not revoked, by name; of several with one name the newest."""
    found: dict[str, StoredKey] = {}
    for key in keys:
        if key.revoked_at_ns is None:
            found.setdefault(key.name, key)
    return found


def hashing_key(settings: Settings) -> bytes:
    """The key under which the workers of this configuration hash secrets.

    Raises:
        ConfigError: the root secret cannot be read or made.
    """
    folder = spool_folder(settings.config, settings.root)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    root = kept_secret(folder / "secret", "FAIRLEAD_SECRET", os.environ, SystemRng())
    return derive(root.reveal(), HASHING_LABEL)


async def make(keys: KeyStore, hashing: bytes, wish: Wish, *, lifetime_ns: int | None = None) -> tuple[StoredKey, str]:
    """Store a new key; returns it and what its owner has to send."""
    now_ns = SystemClock().now_ns()
    key = StoredKey(
        id=SystemRng().token(_ID_BYTES).hex(),
        digest=b"",
        name=wish.name,
        user=wish.user,
        team=wish.team,
        models=None if wish.models is None else frozenset(wish.models),
        limits=wish.limits(),
        created_at_ns=now_ns,
        expires_at_ns=None if lifetime_ns is None else now_ns + lifetime_ns,
    )
    return await renew(keys, hashing, key)


async def renew(keys: KeyStore, hashing: bytes, key: StoredKey) -> tuple[StoredKey, str]:
    """Store the key with a new secret; returns it and what its owner has to send."""
    from msgspec.structs import replace

    secret = base64.urlsafe_b64encode(SystemRng().token(_SECRET_BYTES)).rstrip(b"=").decode()
    renewed = replace(key, digest=digest(hashing, secret), hash_id=_HASH_ID)
    await keys.save(renewed)
    return renewed, format_key(key.id, secret)
