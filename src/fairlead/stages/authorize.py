"""authorize: from a credential to a principal, before any work is done for it."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from hashlib import blake2b

from fairlead.call import Call, Secret
from fairlead.core.credentials import parse_key, verify
from fairlead.errors import StateUnavailable, Unauthenticated
from fairlead.expiry import within
from fairlead.pipeline import Next, Reply
from fairlead.ports import Clock, KeyStore, Rng, StoredKey
from fairlead.types import Principal

Identify = Callable[[Secret | None], Awaitable[Principal]]
"""Who holds this credential.  Raises `Unauthenticated`, or `StateUnavailable` where the key store cannot say."""

_NOBODY = "-"
"""No key has this id; looking for it costs what looking for any costs."""
_DECOYS = 256
_FIND_S = 0.25
_VERIFIED_KEPT = 10_000
"""Credentials remembered as good; then all are forgotten, and checked again as they come."""


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

    A credential that was found good is remembered by its whole digest, never by a part of it, and only together with
    the very entry of the key store that it was checked against: once that is another, it is checked again.

    Args:
        hashing_keys: by the id of the root secret that they are derived from.
    """

    def __init__(self, keys: KeyStore, hashing_keys: Mapping[str, bytes], clock: Clock, rng: Rng) -> None:
        self._keys = keys
        self._hashing_keys = hashing_keys
        self._clock = clock
        self._pepper = rng.token(32)
        self._nobody = StoredKey(id=_NOBODY, digest=bytes(32), name="", hash_id=next(iter(hashing_keys)))
        self._decoys = [_NOBODY]
        """Ids of keys that a secret is compared with where there is no such key: real ones, looked up as any other, as the
        memory of one that is always used would be warmer, and a refusal faster by that."""
        self._verified: dict[bytes, tuple[str, tuple[StoredKey, Principal]]] = {}

    async def __call__(self, credential: Secret | None) -> Principal:
        principal = await self._holder(credential)
        if principal is None:
            raise Unauthenticated(
                "no valid key; send one made by `fairlead keys create` as `Authorization: Bearer KEY`"
            )
        return principal

    async def _holder(self, credential: Secret | None) -> Principal | None:
        """A wait and a comparison on every path; no secret stays in the frame that raises."""
        token = self._token(credential)
        known = self._verified.get(token)
        if known is not None:
            key_id, entry = known
            if await within(self._clock, _FIND_S, _late, self._keys.find(key_id)) is entry:
                return self._live(*entry)
            del self._verified[token]
        return await self._checked(credential, token)

    async def _checked(self, credential: Secret | None, token: bytes) -> Principal | None:
        key_id, secret = (None if credential is None else parse_key(credential.reveal())) or (_NOBODY, _NOBODY)
        found = await within(self._clock, _FIND_S, _late, self._keys.find(key_id))
        # Two are looked up on both paths, and one of them is there, so that the time does not tell which (FAULTS A2).
        absent = key_id + _NOBODY
        decoy = self._decoys[hash(absent) % len(self._decoys)]
        other = await within(self._clock, _FIND_S, _late, self._keys.find(decoy if found is None else absent))
        entry = other if found is None else found
        key = self._nobody if entry is None else entry[0]
        good = verify(self._hashing_keys, secret, (key.hash_id, key.digest))
        if len(self._decoys) < _DECOYS and found is not None:
            self._decoys.append(key_id)
        if not good or found is None:
            return None
        if len(self._verified) >= _VERIFIED_KEPT:
            self._verified.clear()
        self._verified[token] = (key_id, found)
        return self._live(*found)

    def _token(self, credential: Secret | None) -> bytes:
        text = "" if credential is None else credential.reveal()
        return blake2b(text.encode(), key=self._pepper, digest_size=32).digest()

    def _live(self, key: StoredKey, principal: Principal) -> Principal | None:
        if key.revoked_at_ns is not None:
            return None
        if key.expires_at_ns is not None and self._clock.now_ns() >= key.expires_at_ns:
            return None
        return principal


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
