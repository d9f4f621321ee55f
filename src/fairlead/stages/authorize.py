"""authorize: from a credential to a principal, before any work is done for it."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping

from fairlead.call import Call, Secret
from fairlead.core.credentials import parse_key, verify
from fairlead.errors import StateUnavailable, Unauthenticated
from fairlead.expiry import within
from fairlead.pipeline import Next, Reply
from fairlead.ports import Clock, KeyStore
from fairlead.types import Principal

Identify = Callable[[Secret | None], Awaitable[Principal]]
"""Who holds this credential.  Raises `Unauthenticated`, or `StateUnavailable` where the key store cannot say."""

_NOBODY = "-"
"""No key has this id; looking for it costs what looking for any costs."""
_FIND_S = 0.25


class Authorize:
    """Puts the principal on the call and takes the credential off it."""

    def __init__(self, identify: Identify, *, forward: bool = False) -> None:
        self._identify = identify
        self._forward = forward

    async def __call__(self, call: Call, following: Next) -> Reply:
        call.principal = await self._identify(call.credential)
        if self._forward:
            call.request.credential = call.credential
        call.credential = None
        return await following(call)


class VirtualKeys:
    """Knows the holders of Fairlead's own keys.  Unknown, wrong, revoked and expired keys get one answer.

    Args:
        hashing_keys: by the id of the root secret that they are derived from.
    """

    def __init__(self, keys: KeyStore, hashing_keys: Mapping[str, bytes], clock: Clock) -> None:
        self._keys = keys
        self._hashing_keys = hashing_keys
        self._clock = clock

    async def __call__(self, credential: Secret | None) -> Principal:
        principal = await self._holder(credential)
        if principal is None:
            raise Unauthenticated(
                "no valid key; send one made by `fairlead keys create` as `Authorization: Bearer KEY`"
            )
        return principal

    async def _holder(self, credential: Secret | None) -> Principal | None:
        """A wait and a comparison on every path; no secret stays in the frame that raises."""
        key_id, secret = (None if credential is None else parse_key(credential.reveal())) or (_NOBODY, _NOBODY)
        found = await within(self._clock, _FIND_S, _late, self._keys.find(key_id))
        good = verify(self._hashing_keys, secret, None if found is None else (found[0].hash_id, found[0].digest))
        if found is not None and good:
            key, principal = found
            live = key.expires_at_ns is None or self._clock.now_ns() < key.expires_at_ns
            if live and key.revoked_at_ns is None:
                return principal
        return None


def _late() -> StateUnavailable:
    return StateUnavailable("the key could not be checked in time; try again")


class ProviderKeys:
    """Passthrough: whoever holds a provider key of their own; its keyed digest keeps tenants apart."""

    def __init__(self, hashing_key: bytes) -> None:
        self._hashing_key = hashing_key

    async def __call__(self, credential: Secret | None) -> Principal:
        if credential is None or not credential.reveal().isascii() or not credential.reveal().isprintable():
            raise Unauthenticated("this gateway forwards your own provider key; send it as `Authorization: Bearer KEY`")
        digest = hmac.digest(self._hashing_key, credential.reveal().encode(), "sha256")
        return Principal(key_id=f"pt-{digest.hex()[:24]}")


async def anybody(_: Secret | None) -> Principal:
    """Open mode and the library: no questions asked."""
    return Principal()
