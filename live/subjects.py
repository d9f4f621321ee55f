"""Whom to ask: the vendors whose keys are set, and the model of each."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from fairlead.providers.facts import Vendor

_TABLE = Path(__file__).with_name("models.toml")


class Models(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of `models.toml`."""

    chat: str
    embeddings: str | None = None
    """`None`: the vendor has none, or none that Fairlead speaks."""
    lacks: frozenset[str] = frozenset()
    """Features that are not offered."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A vendor to ask."""

    name: str
    """As in `vendors.toml`, and under `[providers]`."""
    vendor: Vendor
    models: Models
    base_url: str | None = None
    """Instead of the vendor's own."""


def load() -> dict[str, Models]:
    """The table of models, by vendor."""
    return msgspec.convert(tomllib.loads(_TABLE.read_text(encoding="utf-8")), dict[str, Models])


def present(
    vendors: Mapping[str, Vendor], models: Mapping[str, Models], environ: Mapping[str, str], wanted: Sequence[str] = ()
) -> list[Subject]:
    """The vendors whose key is set and of which a model is known, in the order of the vendors' table.

    Args:
        wanted: only these; all where it is empty.

    Raises:
        ValueError: one is wanted that cannot be asked; says why.
    """
    for name in wanted:
        if name not in vendors or name not in models:
            known = ", ".join(sorted(vendors.keys() & models.keys()))
            raise ValueError(f"no vendor {name!r} to ask; there are {known}")
        if not _key(vendors[name], environ):
            raise ValueError(f"the key of {name!r} is not set; set `{vendors[name].env}`")
    return [
        Subject(name=name, vendor=vendor, models=models[name])
        for name, vendor in vendors.items()
        if name in models and (not wanted or name in wanted) and _key(vendor, environ)
    ]


def variables(vendors: Mapping[str, Vendor], models: Mapping[str, Models]) -> list[str]:
    """The environment variables in which keys are looked for."""
    return [vendor.env for name, vendor in vendors.items() if name in models and vendor.env is not None]


def _key(vendor: Vendor, environ: Mapping[str, str]) -> str | None:
    return None if vendor.env is None else environ.get(vendor.env) or None
