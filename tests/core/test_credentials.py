from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.credentials import HASHING_LABEL, SIGNING_LABEL, derive, digest, format_key, parse_key, verify

WORD = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-"
ids = st.text(WORD, min_size=1, max_size=64)
secrets = st.text(WORD, min_size=16, max_size=128)
KEY = derive("root", HASHING_LABEL)
SECRET = "s" * 43


@given(st.binary(min_size=1, max_size=64).filter(bytes.strip), st.text(max_size=30))
def test_derivation_is_hkdf(root: bytes, label: str) -> None:
    """Keys are those of RFC 5869."""
    known = HKDF(algorithm=SHA256(), length=32, salt=b"fairlead/1", info=label.encode()).derive(root)
    assert derive(root, label) == known


def test_labels_give_unrelated_keys() -> None:
    """One root, two purposes, two keys."""
    assert derive("root", HASHING_LABEL) != derive("root", SIGNING_LABEL)


@pytest.mark.parametrize("root", ["", b"", "  \n"])
def test_empty_root_is_refused(root: str | bytes) -> None:
    """An empty root secret would hash with a key that anybody can derive."""
    with pytest.raises(ValueError, match="FAIRLEAD_SECRET"):
        derive(root, HASHING_LABEL)


@pytest.mark.parametrize(("key", "secret"), [(b"", SECRET), (KEY, "")])
def test_nothing_empty_is_hashed(key: bytes, secret: str) -> None:
    """Neither an empty key nor an empty secret has a digest."""
    with pytest.raises(ValueError, match="empty"):
        digest(key, secret)


@given(ids, secrets)
def test_key_round_trip(key_id: str, secret: str) -> None:
    """A formatted key parses into its parts."""
    assert parse_key(format_key(key_id, secret)) == (key_id, secret)


@given(st.text(max_size=300) | st.text(WORD + ".", max_size=80).map(lambda rest: "fl-" + rest))
def test_parsing_anything(text: str) -> None:
    """Whatever parses is exactly what formats to it."""
    parsed = parse_key(text)
    assert parsed is None or format_key(*parsed) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fl-",
        "fl-abc",
        "fl-abc.",
        "fl-.0123456789abcdef",
        "fl-abc.short",
        "FL-abc.0123456789abcdef",
        "sk-abc.0123456789abcdef",
        "fl-abc.0123456789abcdef\n",
        "fl-abc.0123456789abcdef.x",
        "fl-\u0430bc.0123456789abcdef",
        "fl-abc.\uff100123456789abcdef",
        "fl-" + "a" * 65 + ".0123456789abcdef",
        "fl-abc." + "a" * 129,
        "fl-abc.0123456789abcdef" + "\0",
    ],
)
def test_lookalikes_do_not_parse(text: str) -> None:
    """Prefixes, other alphabets, control characters and lengths over the bounds are no keys."""
    assert parse_key(text) is None


@pytest.mark.parametrize(("key_id", "secret"), [("", SECRET), ("a.b", SECRET), ("a", "short"), ("a", "x" * 129)])
def test_format_refuses_what_would_not_parse(key_id: str, secret: str) -> None:
    """No key is made that would not be accepted."""
    with pytest.raises(ValueError, match="made of"):
        format_key(key_id, secret)


def test_the_right_secret_verifies() -> None:
    """The secret behind the digest is accepted, another is not."""
    stored = ("1", digest(KEY, SECRET))
    assert verify({"1": KEY}, SECRET, stored)
    assert not verify({"1": KEY}, SECRET + "x", stored)


def test_no_key_never_verifies() -> None:
    """Without a stored key nothing is accepted, not even what hashes to zeros."""
    assert not verify({"1": KEY}, SECRET, None)


def test_rotation_keeps_old_keys() -> None:
    """While two roots are known, keys of both verify; of a root that is gone, none."""
    old, new = derive("old", HASHING_LABEL), derive("new", HASHING_LABEL)
    stored = ("1", digest(old, SECRET))
    assert verify({"2": new, "1": old}, SECRET, stored)
    assert not verify({"2": new}, SECRET, stored)
    assert not verify({"2": old}, SECRET, stored)


def test_verification_needs_a_hashing_key() -> None:
    """Without any root secret there is no answer at all."""
    with pytest.raises(ValueError, match="FAIRLEAD_SECRET"):
        verify({}, SECRET, None)
