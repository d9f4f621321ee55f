"""Canaries are found wherever they come out, in the forms in which secrets travel."""

from __future__ import annotations

import base64
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.call import Secret
from fairlead.errors import InternalError
from fairlead.testing import Canary, Finding, SeededRng


def make_canary(**rest: object) -> Canary:
    return Canary(SeededRng(1), **rest)  # type: ignore[arg-type]


def test_secrets_are_unique_and_named() -> None:
    """Each secret carries its label and differs from all others."""
    canary = make_canary()
    made = {canary.make("key"), canary.make("key"), canary.make("db")}
    assert len(made) == 3
    assert all(secret.startswith(("canary-key-", "canary-db-")) for secret in made)


def test_every_secret_of_a_label_is_looked_for() -> None:
    """A second secret under the same label does not replace the first."""
    canary = make_canary()
    first, _ = canary.make("key"), canary.make("key")
    canary.watch("body", first)
    assert canary.findings() == [Finding(label="key", sink="body", form="plain")]


@given(st.binary(max_size=9), st.binary(max_size=9), st.booleans())
def test_base64_is_found_at_every_alignment(before: bytes, after: bytes, urlsafe: bool) -> None:
    """Whatever stands around it, a secret inside base64 text is found, in both alphabets."""
    canary = make_canary()
    secret = canary.plant("odd", "s3cret?>~\x7f/odd")
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    canary.watch("body", encode(before + secret.encode() + after))
    assert canary.findings() == [Finding(label="odd", sink="body", form="base64")]


def test_url_encoded_secrets_are_found() -> None:
    """A secret with characters that URLs escape is found escaped."""
    canary = make_canary()
    secret = canary.plant("dsn", "postgresql://u:p w@host/db")
    canary.watch("url", f"/login?next={quote(secret, safe='')}")
    assert canary.findings() == [Finding(label="dsn", sink="url", form="url")]


def test_bytes_text_headers_and_functions_are_searched() -> None:
    """Each kind of capture is found by its own name; a function is asked when the search happens."""
    canary = make_canary()
    secret, late = canary.make("key"), []
    canary.watch("bytes", b"\xff" + secret.encode())
    canary.watch("text", f"\udc80{secret}")
    canary.watch("headers", {"x-echo": secret})
    canary.watch("function", lambda: "".join(late))
    canary.watch("clean", "nothing here")
    late.append(secret)
    assert [finding.sink for finding in canary.findings()] == ["bytes", "text", "headers", "function"]


def test_files_below_a_folder_are_searched_sqlite_too(tmp_path: Path) -> None:
    """Text files, nested ones and SQLite databases are read as bytes, when the search happens."""
    canary = make_canary()
    secret = canary.make("key")
    canary.watch("store", tmp_path)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "spool").write_bytes(b"\0" + secret.encode())
    (tmp_path / "clean.txt").write_text("nothing")
    connection = sqlite3.connect(tmp_path / "fairlead.db")
    connection.execute("create table t (v text)")
    connection.execute("insert into t values (?)", (secret,))
    connection.commit()
    connection.close()
    assert [finding.sink for finding in canary.findings()] == ["store: deep/spool", "store: fairlead.db"]


def test_a_path_that_never_existed_proves_nothing(tmp_path: Path) -> None:
    """A missing file is an error, not a clean result."""
    canary = make_canary()
    canary.make("key")
    canary.watch("log", tmp_path / "missing.log")
    with pytest.raises(FileNotFoundError):
        canary.assert_absent()


def test_logs_are_searched_with_arguments_extras_and_exceptions() -> None:
    """A secret in a message, an argument, an extra field or a logged exception is found at the logger's name."""
    canary = make_canary()
    secret, log = canary.make("key"), logging.getLogger("app.x")
    level = logging.getLogger().level
    with canary.logs():
        log.debug("calling with %s", secret)
        logging.getLogger("app.extra").info("hello", extra={"authorization": secret})
        logging.getLogger("app.exc").warning("failed", exc_info=caught(fail, secret))
    log.error(secret)
    sinks = [finding.sink for finding in canary.findings()]
    assert sinks[:2] == ["log app.x", "log app.extra"]
    assert any(sink.startswith("log app.exc: str of KeyError") for sink in sinks)
    assert logging.getLogger().level == level


def fail(secret: str) -> None:
    """Raise with the secret in the text."""
    raise KeyError(secret)


def crash(secret: str) -> None:
    """Raise with the secret in a local variable alone."""
    key = secret
    raise LookupError(len(key))


def wrap(secret: str) -> None:
    """Raise with the secret in the cause alone."""
    raise ExceptionGroup("outer", [ValueError("clean")]) from caught(fail, secret)


def caught(function: Callable[[str], None], secret: str) -> Exception:
    """What the function raises."""
    with pytest.raises(Exception) as info:
        function(secret)
    return info.value


def test_exceptions_are_searched_through_their_causes() -> None:
    """The text of a cause counts as the exception's own."""
    canary = make_canary()
    canary.watch("answer", caught(wrap, canary.make("key")))
    found = canary.findings()
    assert Finding(label="key", sink="answer: str of KeyError", form="plain") in found
    assert Finding(label="key", sink="answer: str of ExceptionGroup", form="plain") not in found


def test_locals_count_in_the_frames_of_the_packages_named() -> None:
    """A local variable is found where its module belongs to the product, and not in the test that planted it."""
    ours, others = make_canary(packages=(__name__,)), make_canary(packages=("elsewhere",))
    secret = ours.plant("key", others.make("key"))
    error = caught(crash, secret)
    ours.watch("crash", error)
    others.watch("crash", error)
    assert any("local 'key'" in finding.sink for finding in ours.findings())
    assert others.findings() == []


def test_what_fairlead_keeps_to_itself_is_not_found() -> None:
    """A `Secret` and an error's `detail` do not show, so nothing is reported."""
    canary = make_canary()
    secret = canary.make("key")
    canary.watch("repr", repr(Secret(secret)))
    canary.watch("error", InternalError("it broke", detail=secret))
    canary.assert_absent()


def test_assert_absent_says_what_came_out_where() -> None:
    """The failure names label, form and sink, and never shows the secret."""
    canary = make_canary()
    secret = canary.make("key")
    canary.watch("body", secret)
    with pytest.raises(AssertionError) as caught:
        canary.assert_absent()
    assert str(caught.value) == "secrets came out:\nkey (plain) in body"
    assert secret not in str(caught.value)


def test_a_search_without_secrets_or_sinks_is_refused() -> None:
    """Finding nothing where nothing was planted or watched proves nothing."""
    canary = make_canary()
    canary.watch("body", "x")
    with pytest.raises(AssertionError, match="no secret"):
        canary.assert_absent()
    other = make_canary()
    other.make("key")
    with pytest.raises(AssertionError, match="no sink"):
        other.assert_absent()


def test_a_short_secret_is_refused() -> None:
    """A secret that could turn up by chance cannot be planted."""
    with pytest.raises(ValueError, match="too short"):
        make_canary().plant("pin", "1234")
