"""What a configuration names outside of itself is tried before anything is changed."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from fairlead.config.load import load_text
from fairlead.config.rehearse import unusable
from fairlead.providers import facts

OPENAI = '[providers.o]\nvendor = "openai"\n'


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        (OPENAI + 'api_key = "env:NOT_THERE"\n', ("providers", "o", "api_key"), "NOT_THERE"),
        (
            OPENAI + 'credentials = ["env:THERE", "env:NOT_THERE"]\n',
            ("providers", "o", "credentials", 1),
            "NOT_THERE",
        ),
        (
            OPENAI + 'api_key = "env:THERE"\ntls = { ca = "file:no.pem" }\n',
            ("providers", "o", "tls"),
            "no.pem",
        ),
        (
            OPENAI + 'api_key = "env:THERE"\nproxy = "http://proxy:3128"\nproxy_auth = "env:NOT_THERE"\n',
            ("providers", "o", "proxy_auth"),
            "NOT_THERE",
        ),
        ('[providers.s]\nvendor = "sim"\nfaults = "no.toml"\n', ("providers", "s", "faults"), "no.toml"),
        ('[gateway]\ntls = { cert = "file:no.pem", key = "file:no.pem" }\n', ("gateway", "tls"), "no.pem"),
    ],
)
def test_what_is_missing_is_named_at_its_place(text: str, path: object, message: str, tmp_path: Path) -> None:
    """The setting, and what it points at."""
    (problem,) = unusable(load_text(text), facts.load(), tmp_path, {"THERE": "sk-1"})

    assert problem.path == path
    assert message in problem.message


def test_what_is_there_is_no_problem(tmp_path: Path) -> None:
    """A secret in the environment, and a file of faults beside the configuration."""
    (tmp_path / "faults.toml").write_text('[[faults]]\nkind = "reset"\n')
    text = OPENAI + 'api_key = "env:THERE"\n[providers.s]\nvendor = "sim"\nfaults = "faults.toml"\n'

    assert unusable(load_text(text), facts.load(), tmp_path, {"THERE": "sk-1"}) == []


def test_a_certificate_may_be_readable_by_everybody(tmp_path: Path) -> None:
    """As at a start; its key may not."""
    issued = trustme.CA().issue_cert("127.0.0.1")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(str(cert))
    issued.private_key_pem.write_to_path(str(key))
    cert.chmod(0o644)
    key.chmod(0o600)
    config = load_text('[gateway]\ntls = { cert = "file:cert.pem", key = "file:key.pem" }\n')

    assert unusable(config, facts.load(), tmp_path, {}) == []
    key.chmod(0o644)
    (problem,) = unusable(config, facts.load(), tmp_path, {})
    assert "can be read by everybody" in problem.message
