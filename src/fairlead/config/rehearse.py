"""What a configuration names outside of itself, tried as a start would: secrets, TLS files, proxies, files of faults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from fairlead.config.build_egress import egress
from fairlead.config.lines import KeyPath
from fairlead.config.problem import Problem
from fairlead.config.schema import Config, Provider
from fairlead.config.secrets import file_path, resolve, secret_path
from fairlead.errors import ConfigError, mapped
from fairlead.providers.facts import Facts
from fairlead.providers.sim import faults
from fairlead.wire import server_context


def unusable(config: Config, known: Facts, root: Path, environ: Mapping[str, str]) -> list[Problem]:
    """Everything of that kind which is missing or cannot be used; no secret is in a message."""
    found = list(_gateway(config, root))
    for name, entry in config.providers.items():
        credentials = list(_credentials(name, entry, root, environ))
        # The way out may use secrets of its own, and is told apart from them.
        found += [*credentials, *_way(name, entry, known, root, environ), *_faults(name, entry, root)]
    return found


def _gateway(config: Config, root: Path) -> Iterator[Problem]:
    tls = config.gateway.tls
    if tls is None:
        return
    try:
        server_context(str(file_path(tls.cert, root)), str(secret_path(tls.key, root)))
    except ConfigError as error:
        yield Problem(("gateway", "tls"), f"`gateway.tls`: {error.message}")


def _credentials(name: str, entry: Provider, root: Path, environ: Mapping[str, str]) -> Iterator[Problem]:
    for label, ref in entry.secret_refs.items():
        key: KeyPath = ("api_key",) if entry.api_key is not None else ("credentials", int(label) - 1)
        try:
            resolve(ref, environ, root)
        except ConfigError as error:
            yield Problem(("providers", name, *key), f"`providers.{name}`: {error.message}")


def _way(name: str, entry: Provider, known: Facts, root: Path, environ: Mapping[str, str]) -> Iterator[Problem]:
    vendor = known.of(entry.vendor, entry.dialect_name)
    assert vendor is not None  # noqa: S101 - a rule has seen to it
    base_url = entry.base_url or vendor.base_url
    try:
        egress(entry, base_url=base_url, private=bool(entry.allow_private) or vendor.local, root=root, environ=environ)
    except ConfigError as error:
        setting = "proxy_auth" if entry.tls is None else "tls"
        yield Problem(("providers", name, setting), f"`providers.{name}`: {error.message}")


def _faults(name: str, entry: Provider, root: Path) -> Iterator[Problem]:
    if entry.faults is None:
        return
    try:
        with mapped({OSError: ConfigError, UnicodeDecodeError: ConfigError}, f"{entry.faults!r} cannot be read"):
            faults.load((root / entry.faults).read_text("utf-8"))
    except ConfigError as error:
        yield Problem(("providers", name, "faults"), f"`providers.{name}.faults`: {error.message}")
