"""Facts about vendors and model families, read from the tables beside this file."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

import msgspec

from fairlead.types import DialectName


class Vendor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach a vendor, and how it behaves."""

    dialect: DialectName
    auth_header: str
    auth_prefix: str
    stream_usage: bool
    """Whether it sends a usage chunk at the end of a stream when asked to."""
    bills_after_disconnect: bool
    request_id_header: str
    reply_headers: tuple[str, ...]
    """Headers of an answer that go on to the caller."""
    base_url: str | None = None
    env: str | None = None
    """The environment variable in which its users keep their key."""
    prices: str | None = None
    """Its name in the price table."""
    keyless: bool = False
    local: bool = False
    """Runs on the user's own machines: private addresses are where it lives."""


class Family(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of a model family."""

    max_output_tokens: int
    image_tokens: int


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Both tables."""

    vendors: dict[str, Vendor]
    """`default` stands for a server that is only known by its base URL."""
    families: dict[str, Family]
    default_family: Family

    def family(self, model: str) -> Family:
        """The facts of the longest family name that `model` starts with, else the stated defaults."""
        fitting = [name for name in self.families if model.startswith(name)]
        return self.families[max(fitting, key=len)] if fitting else self.default_family


def load() -> Facts:
    """Read both tables from the package."""
    vendors = _table("vendors.toml")
    models = _table("models.toml")
    vendor_defaults = vendors["default"]
    family_defaults = models["default"]
    return Facts(
        vendors={name: msgspec.convert(vendor_defaults | row, Vendor) for name, row in vendors.items()},
        families={name: msgspec.convert(family_defaults | row, Family) for name, row in models["families"].items()},
        default_family=msgspec.convert(family_defaults, Family),
    )


def _table(name: str) -> dict[str, dict[str, Any]]:
    return tomllib.loads((files("fairlead.providers") / name).read_text(encoding="utf-8"))
