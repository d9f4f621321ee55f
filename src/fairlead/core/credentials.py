"""Virtual keys: how they look, how they are hashed, and how one is checked in constant time.

Only HMACs stand at rest.  A key's secret is 32 random bytes, so a fast keyed hash is enough: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

HASHING_LABEL: Final = "key-hashing"
"""The label of the key under which secrets of virtual keys are hashed."""
SIGNING_LABEL: Final = "signing"

_PREFIX: Final = "fl-"
_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
_SECRET: Final = re.compile(r"[0-9A-Za-z_-]{16,128}")
_MAX_KEY_CHARS: Final = len(_PREFIX) + 64 + 1 + 128
_SALT: Final = b"fairlead/1"
_NOTHING: Final = bytes(32)


def derive(root: str | bytes, label: str) -> bytes:
    """A 32-byte key for one purpose: HKDF-SHA256 (RFC 5869) of the root secret, one block, `label` as info.

    Raises:
        ValueError: the root secret is empty.
    """
    material = root.encode() if isinstance(root, str) else root
    if not material.strip():
        msg = "the root secret is empty; set `FAIRLEAD_SECRET` to a long random value"
        raise ValueError(msg)
    extracted = hmac.digest(_SALT, material, "sha256")
    return hmac.digest(extracted, label.encode() + b"\x01", "sha256")


def digest(hashing_key: bytes, secret: str) -> bytes:
    """What is stored of a key's secret: its HMAC-SHA256.

    Raises:
        ValueError: the hashing key or the secret is empty.
    """
    if not hashing_key or not secret:
        msg = "neither the hashing key nor the secret of a key may be empty"
        raise ValueError(msg)
    return hmac.digest(hashing_key, secret.encode(), hashlib.sha256)


def format_key(key_id: str, secret: str) -> str:
    """The whole key, as its owner sends it.

    Raises:
        ValueError: `key_id` or `secret` has other characters or another length than `parse_key` accepts.
    """
    if _ID.fullmatch(key_id) is None or _SECRET.fullmatch(secret) is None:
        msg = "a key is made of `A-Z a-z 0-9 _ -`: an id of at most 64 characters, a secret of 16 to 128"
        raise ValueError(msg)
    return f"{_PREFIX}{key_id}.{secret}"


def parse_key(text: str) -> tuple[str, str] | None:
    """Id and secret of `fl-<id>.<secret>`, or `None` for anything else; bounded work on any input."""
    if len(text) > _MAX_KEY_CHARS or not text.startswith(_PREFIX):
        return None
    key_id, dot, secret = text[len(_PREFIX) :].partition(".")
    if not dot or _ID.fullmatch(key_id) is None or _SECRET.fullmatch(secret) is None:
        return None
    return key_id, secret


def verify(hashing_keys: Mapping[str, bytes], secret: str, stored: tuple[str, bytes] | None) -> bool:
    """Whether `secret` is the one behind `stored`, in the same time whether a key was found or not.

    Args:
        hashing_keys: root secret id to the hashing key derived from it; more than one while a rotation is under way.
        stored: the found key's `hash_id` and digest, `None` where there is no such key: a comparison takes place
            all the same, and fails.

    Raises:
        ValueError: there is no hashing key at all, or the secret is empty.
    """
    if not hashing_keys:
        msg = "no hashing key; set `FAIRLEAD_SECRET`"
        raise ValueError(msg)
    hash_id, expected = ("", _NOTHING) if stored is None else stored
    known = hash_id in hashing_keys
    hashing_key = hashing_keys[hash_id] if known else next(iter(hashing_keys.values()))
    same = hmac.compare_digest(digest(hashing_key, secret), expected)
    return same and known
