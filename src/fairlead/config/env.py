"""The configuration of somebody who has not written one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fairlead.config.rules import SIM, SIM_MODELS
from fairlead.config.schema import Config, Gateway, Model, Provider
from fairlead.providers import facts

FILE_NAME = "fairlead.toml"


def find(folder: Path) -> Path | None:
    """The configuration file of a folder; its parents are not searched."""
    path = folder / FILE_NAME
    return path if path.is_file() else None


def from_environment(environ: Mapping[str, str]) -> Config:
    """Providers from the variables in which their users keep their keys, open to this machine only.

    Any model name goes to the first provider, the simulator's own names to the simulator.  Without any key there are
    the simulator's models and no other.
    """
    providers = {
        name: Provider(vendor=name, api_key=f"env:{vendor.env}")
        for name, vendor in facts.load().vendors.items()
        if vendor.env is not None and vendor.base_url is not None and environ.get(vendor.env, "").strip()
    }
    first = next(iter(providers), None)
    relayed = {} if first is None else {"*": Model(targets=(f"{first}/*",))}
    return Config(
        gateway=Gateway(auth="open"),
        providers={**providers, SIM: Provider(vendor=SIM)},
        models={
            **{model: Model(targets=(f"{SIM}/{model}",)) for model in SIM_MODELS},
            **relayed,
        },
    )
