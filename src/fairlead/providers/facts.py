"""Facts about vendors and model families, read from the tables beside this file."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any, Literal

import msgspec

from fairlead.call import Mode, Subset
from fairlead.dialects import DIALECTS
from fairlead.types import DialectName

_ALL = ["*"]
"""As `speaks`: every dialect of this version."""
Modality = Literal["text", "image", "audio", "file"]
"""What a model reads."""

_MAX_PREFIXES = 2
"""Region and vendor."""


class Vendor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach a vendor, and how it behaves."""

    speaks: tuple[DialectName, ...]
    """The dialects that it takes; a call in any other one of their kind is translated into the first of that kind."""
    auth_header: str
    auth_prefix: str
    stream_usage: bool
    """Whether it sends a usage chunk at the end of a stream when asked to."""
    bills_after_disconnect: bool
    request_id_header: str
    reply_headers: tuple[str, ...]
    """Headers of an answer that go on to the caller."""
    headers: dict[str, str] = {}
    """What it wants to be told with every request, unless the caller says it."""
    quirks: frozenset[str] = frozenset()
    """How its form of the dialect differs, see `fairlead.dialects.codec.QUIRKS`."""
    base_url: str | None = None
    below: dict[DialectName, str] = {}
    """Where it has a dialect, if not right below its base URL."""
    env: str | None = None
    """The environment variable in which its users keep their key."""
    prices: str | None = None
    """Its name in the price table."""
    counts_maximum: bool = False
    """Whether its token limit counts what an answer may become (`max_tokens`), and not what it became."""
    keyless: bool = False
    local: bool = False
    """Runs on the user's own machines: private addresses are where it lives."""
    keeps_answers: bool = True
    """Whether answers of a dialect that gives them ids can be gone on from, where it speaks such a one."""
    structured: Mode | Literal["model"] = "prompted"
    """How its models are asked for an answer that fits a schema; `model`: as the family of each says."""
    native: tuple[str, ...] = ()
    """Those that are asked natively all the same, by what their names begin with."""
    native_without: frozenset[str] = frozenset()
    """What a request must not have for that: `tools`, `stream`."""
    subset: Subset = "full"
    """What of JSON Schema it takes, see `fairlead.validation.shaping.subset`."""
    enforces: bool = True
    """Whether those that are asked natively are held to the schema."""
    unenforced: bool = False
    """Whether it takes any schema that it is not asked to hold a model to (`strict: false`)."""
    asks_json: bool | None = None
    """Whether all of its models take the response format `json_object`, where the family of each says how it is asked for
    a schema those that are asked natively; `None`: nobody knows."""

    @property
    def is_keeper(self) -> bool:
        """Whether any answer can be asked for later by its id."""
        return self.keeps_answers and any(DIALECTS[each].kept_id is not None for each in self.speaks)


class Family(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of a model family."""

    max_output_tokens: int
    image_tokens: int
    window: int | None = None
    """Tokens of its context; only where all of the family have the same."""
    refuses: tuple[str, ...] = ()
    """Parameters that it does not take, such as `temperature`; where a call is translated they are left out."""
    one_of: tuple[str, ...] = ()
    """Parameters of which it takes one at a time; where a call is translated the first that is there stays."""
    input: tuple[Modality, ...] | None = None
    """What it reads; `None` where nobody knows."""
    structured: Mode = "prompted"
    """How it is asked for an answer that fits a schema at the vendor that made it."""
    native_without: frozenset[str] = frozenset()
    """What a request must not have for the native way: `tools`, `stream`."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Both tables."""

    vendors: dict[str, Vendor]
    stand_ins: dict[str, Vendor]
    """By dialect: a server of which nothing but that and its base URL is known."""
    narrowed: dict[tuple[str, DialectName], Vendor]
    """By vendor and one of its dialects: the vendor as if it spoke no other, its embeddings apart."""
    families: dict[str, Family]
    default_family: Family

    def of(self, vendor: str | None, dialect: DialectName | None) -> Vendor | None:
        """The vendor, as if it spoke no other dialect where one is named, else what is usual with the dialect; `None`: no
        such vendor, or it does not speak that."""
        if vendor is None:
            return self.stand_ins[dialect or "openai_chat"]
        return self.vendors.get(vendor) if dialect is None else self.narrowed.get((vendor, dialect))

    def family(self, model: str) -> Family:
        """The facts of the longest family name that `model` starts with, else the stated defaults.

        Case does not matter, nor what stands around the name of the model itself: `openai/gpt-5`,
        `models/gemini-2.5-pro`, `ft:gpt-4o-mini:org::id`, `us.anthropic.claude-sonnet-4-5`.
        """
        name = _plain(model)
        # Amazon puts region and vendor before a name, each with a dot; most names have a dot of their own further on.
        for _ in range(_MAX_PREFIXES + 1):
            fitting = max((family for family in self.families if name.startswith(family)), key=len, default=None)
            if fitting is not None:
                return self.families[fitting]
            name = name.partition(".")[2]
        return self.default_family

    def mode(self, vendor: Vendor, model: str) -> Mode:
        """How a vendor's model is asked for an answer that fits a schema."""
        if vendor.native and _plain(model).startswith(vendor.native):
            return "native"
        return self.family(model).structured if vendor.structured == "model" else vendor.structured

    def asks_json(self, vendor: Vendor, model: str) -> bool | None:
        """Whether a vendor's model takes the response format `json_object`; `None`: nobody knows."""
        if vendor.asks_json and vendor.structured == "model" and self.mode(vendor, model) != "native":
            return None
        return vendor.asks_json


def _plain(model: str) -> str:
    """A model's name without the case and the place that it is written with."""
    return model.lower().rpartition("/")[2].removeprefix("ft:")


def load() -> Facts:
    """Read both tables from the package."""
    folder = files("fairlead.providers")
    return parse(*((folder / name).read_text(encoding="utf-8") for name in ("vendors.toml", "models.toml")))


def parse(vendors_toml: str, models_toml: str) -> Facts:
    """The facts in the text of both tables.

    Raises:
        ValueError: something in them is not what a table may say.
    """
    rows: dict[str, Any] = tomllib.loads(vendors_toml)
    models: dict[str, Any] = tomllib.loads(models_toml)
    by_dialect = rows.pop("dialects")
    family_defaults, kinds = models["default"], models["kinds"]
    vendors = {name: _vendor(row, by_dialect) for name, row in rows.items()}
    return Facts(
        vendors=vendors,
        narrowed={
            (name, spoken): _vendor({**rows[name], "speaks": _narrowed(vendors[name].speaks, spoken)}, by_dialect)
            for name in rows
            for spoken in vendors[name].speaks
        },
        stand_ins={name: _vendor(row, by_dialect) for name, row in by_dialect.items()},
        families={name: _family(family_defaults, kinds, row) for name, row in models["families"].items()},
        default_family=msgspec.convert(family_defaults, Family),
    )


def _vendor(row: dict[str, Any], by_dialect: dict[str, Any]) -> Vendor:
    """Whatever a row does not say is as usual with the dialect that it speaks first, else with OpenAI's."""
    speaks = row.get("speaks", by_dialect["openai_chat"]["speaks"])
    if speaks == _ALL:
        speaks = list(DIALECTS)
    usual = by_dialect["openai_chat"] | by_dialect.get(speaks[0], {})
    return msgspec.convert(usual | row | {"speaks": speaks}, Vendor)


def _narrowed(speaks: tuple[DialectName, ...], spoken: DialectName) -> list[DialectName]:
    """One dialect, and the embeddings of whoever made it."""
    maker = spoken.partition("_")[0]
    return [spoken, *(each for each in speaks if each == f"{maker}_embeddings" and each != spoken)]


def _family(defaults: dict[str, Any], kinds: dict[str, Any], row: dict[str, Any]) -> Family:
    """Whatever a row does not say is as with its kind."""
    own = {name: value for name, value in row.items() if name != "like"}
    return msgspec.convert(defaults | (kinds[row["like"]] if "like" in row else {}) | own, Family)
