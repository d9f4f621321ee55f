from __future__ import annotations

import asyncio
import os

import pytest

from fairlead.config.build import lay_foundation
from fairlead.config.env import from_environment
from fairlead.core.credentials import parse_key, verify


def _looked_up(folder, shown):
    """What a worker of this folder makes of a key: whether its secret fits, the stored key, and its principal."""

    async def look():
        config = from_environment({})
        foundation = lay_foundation(config, root=folder, environ=os.environ, name="worker")
        key_id, secret = parse_key(shown)
        found = await foundation.keys.find(key_id)
        await foundation.aclose()
        if found is None:
            return False, None, None
        stored, principal = found
        return verify(foundation.hashing_keys, secret, (stored.hash_id, stored.digest)), stored, principal

    return asyncio.run(look())


def test_a_new_key_is_one_that_workers_accept(answer, folder):
    """It is hashed under the same root, and its limits are those that were asked for."""
    made = answer(
        "keys", "create", "--name", "app", "--budget", "10usd/day", "--rpm", "60", "--tpm", "100000",
        "--concurrency", "4", "--models", "sim-small, sim-large", "--user", "ana", "--team", "search", "--expires", "30d",
    )  # fmt: skip
    fits, stored, principal = _looked_up(folder, made["key"])
    assert fits
    assert principal.tenant == "team:search"
    assert principal.models == {"sim-small", "sim-large"}
    assert [(each.limit_nanousd, each.window) for each in principal.budgets] == [(10_000_000_000, "day")]
    assert {rate.kind: rate.limit for rate in principal.rates} == {"requests": 60, "tokens": 100_000, "concurrency": 4}
    assert stored.expires_at_ns - stored.created_at_ns == 30 * 86_400 * 10**9


def test_the_root_secret_may_come_from_the_environment(answer, folder, monkeypatch):
    """`FAIRLEAD_SECRET` goes before the kept file, here as in the workers."""
    monkeypatch.setenv("FAIRLEAD_SECRET", "s" * 40)
    made = answer("keys", "create", "--name", "app")
    assert _looked_up(folder, made["key"])[0]
    assert not (folder / "fairlead.spool" / "secret").exists()


def test_a_key_is_shown_once(run, answer):
    """Neither the list nor the database holds it."""
    shown = answer("keys", "create", "--name", "app")["key"]
    secret = shown.partition(".")[2]
    assert secret not in run("keys", "list").output
    assert secret not in run("keys", "list", "--json").output
    assert [row["name"] for row in answer("keys", "list")] == ["app"]


def test_the_database_never_holds_a_secret(answer, folder):
    """Only its keyed hash stands at rest."""
    secret = answer("keys", "create", "--name", "app")["key"].partition(".")[2].encode()
    assert all(secret not in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_names_are_unique_among_live_keys(run, answer):
    """A revoked one frees its name."""
    key_id = answer("keys", "create", "--name", "app")["id"]
    assert "named 'app' already" in run("keys", "create", "--name", "app", code=1).stderr
    run("keys", "revoke", key_id)
    run("keys", "create", "--name", "app")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--name", "a\nb"],
        ["--name", ""],
        ["--name", "x" * 65],
        ["--name", "a", "--user", "user:x"],
        ["--name", "a", "--budget", "ten"],
        ["--name", "a", "--budget", "1usd/fortnight"],
        ["--name", "a", "--models", "a,,b"],
        ["--name", "a", "--rpm", "0"],
        ["--name", "a", "--expires", "soon"],
    ],
)
def test_what_cannot_be_is_refused(run, folder, arguments):
    """As wrong usage, before anything is written."""
    run("keys", "create", *arguments, code=2)
    assert list(folder.iterdir()) == []


def test_a_model_that_nobody_configured_is_noted(run, folder):
    """The key is made all the same; the configuration may follow."""
    (folder / "fairlead.toml").write_text('[models.a]\ntargets = ["sim/sim-small"]\n')
    assert "no model 'b' yet" in run("keys", "create", "--name", "k", "--models", "a,b").stderr


def test_revoking(answer, run):
    """It stands in the list as revoked, doing it twice changes nothing, and it cannot be rotated."""
    key_id = answer("keys", "create", "--name", "app")["id"]
    first = answer("keys", "revoke", key_id)
    assert first["status"] == "revoked"
    assert answer("keys", "revoke", key_id) == first
    assert "was revoked" in run("keys", "rotate", key_id, code=1).stderr


def test_revoking_by_name(run, answer):
    """A name is enough where one live key has it; a second time says that it was done before."""
    key_id = answer("keys", "create", "--name", "app")["id"]
    assert run("keys", "revoke", "app").stdout.startswith(f"Revoked {key_id} (app) at ")
    assert "already revoked" in run("keys", "revoke", "app").stdout
    newer = answer("keys", "create", "--name", "app")["id"]
    assert answer("keys", "revoke", "app")["id"] == newer


def test_standard_output_is_the_key_and_nothing_else(run):
    """So that a shell can take it; the rest is for people."""
    result = run("keys", "create", "--name", "app")
    assert parse_key(result.stdout.removesuffix("\n")) is not None
    assert result.stdout.count("\n") == 1
    assert "cannot be shown again" in result.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "without a fairlead.toml"),
        ('[gateway]\nauth = "open"\n', '`[gateway] auth` is "open"'),
        ('[gateway]\nauth = "keys"\n', None),
    ],
)
def test_a_key_that_nothing_checks_is_noted(run, folder, text, words):
    """Nobody takes an open gateway for a closed one."""
    if text is not None:
        (folder / "fairlead.toml").write_text(text)
    stderr = run("keys", "create", "--name", "app").stderr
    assert ("note:" in stderr) == (words is not None)
    assert words is None or words in stderr


def test_rotating_keeps_the_id_and_ends_the_old_secret(answer, folder):
    """Limits stay; only the secret is another."""
    old = answer("keys", "create", "--name", "app", "--rpm", "5")
    new = answer("keys", "rotate", old["id"])
    assert (new["id"], new["rpm"]) == (old["id"], 5)
    assert not _looked_up(folder, old["key"])[0]
    assert _looked_up(folder, new["key"])[0]


@pytest.mark.parametrize("action", ["revoke", "rotate"])
def test_an_unknown_id_is_a_failure(run, action):
    """It says how to find the ids."""
    assert "keys list" in run("keys", action, "nix", code=1).stderr


def test_listing_before_there_is_a_store_makes_none(run, folder):
    """Looking leaves no trace."""
    assert "no store" in run("keys", "list").stderr
    assert list(folder.iterdir()) == []
