"""The Fairlead that a run goes through: one pipeline over all vendors, a virtual key with a hard budget, and tapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairlead.call import Secret
from fairlead.config.build import Foundation, Runtime, build, lay_foundation
from fairlead.config.schema import Clocks, Config, Model, Price, Provider, Store
from fairlead.core.credentials import digest, format_key
from fairlead.ports import ScopeLimits, StoredKey
from fairlead.providers.http import HttpProvider
from live.subjects import Subject
from live.tape import Tape

NO_SUCH_MODEL = "fairlead-no-such-model"
_TIMEOUTS = Clocks(connect=10.0, first_token=60.0, idle=30.0, total=120.0)


@dataclass(slots=True, kw_only=True)
class House:
    """What a run goes through."""

    foundation: Foundation
    runtime: Runtime
    key: Secret
    """The virtual key, whose budget is the cap of the run."""
    tapes: Mapping[str, Tape]
    """By vendor."""

    async def aclose(self) -> None:
        """Close connections and stores."""
        await self.runtime.aclose()
        await self.foundation.aclose()


def alias(subject: Subject, use: str) -> str:
    """The name under `[models]` of what is asked: `chat`, `embeddings`, or `none`, which does not exist."""
    return f"{subject.name}-{use}"


async def open_house(subjects: Sequence[Subject], environ: Mapping[str, str], root: Path, cap_nanousd: int) -> House:
    """Build all of it in a folder.

    Raises:
        ConfigError: a key or a file that cannot be used.
    """
    foundation = lay_foundation(_configuration(subjects), root=root, environ=environ, name="live")
    secret = foundation.rng.token(24).hex()
    limits = ScopeLimits(budget_nanousd=cap_nanousd, budget_window="total")
    hashed = digest(foundation.hashing_keys["1"], secret)
    await foundation.store.keys.save(StoredKey(id="live", digest=hashed, name="live", limits=limits))
    await foundation.keys.refresh()
    runtime = build(foundation, auth="keys")
    tapes = {name: _taped(provider) for name, provider in runtime.providers.items()}
    return House(foundation=foundation, runtime=runtime, key=Secret(format_key("live", secret)), tapes=tapes)


def _configuration(subjects: Sequence[Subject]) -> Config:
    models: dict[str, Model] = {}
    for subject in subjects:
        uses = {"chat": subject.models.chat, "embeddings": subject.models.embeddings}
        for use, model in uses.items():
            if model is not None:
                models[alias(subject, use)] = Model(targets=(f"{subject.name}/{model}",), timeouts=_TIMEOUTS)
        # A hard budget wants a price of everything, and what does not exist costs nothing.
        models[alias(subject, "none")] = Model(
            targets=(f"{subject.name}/{NO_SUCH_MODEL}",), timeouts=_TIMEOUTS, price=Price(input=0, output=0)
        )
    providers = {subject.name: _entry(subject) for subject in subjects}
    return Config(providers=providers, models=models, store=Store(url="sqlite:///live.db", content="off"))


def _entry(subject: Subject) -> Provider:
    api_key = None if subject.vendor.env is None else f"env:{subject.vendor.env}"
    private = subject.base_url is not None
    return Provider(vendor=subject.name, api_key=api_key, base_url=subject.base_url, allow_private=private)


def _taped(provider: object) -> Tape:
    """Put a tape over the transport of a provider, which is otherwise as any gateway has it."""
    assert isinstance(provider, HttpProvider)  # noqa: S101 - all that a configuration names are
    tape = provider._transport = Tape(provider._transport)  # noqa: SLF001 - no user of Fairlead needs a door here
    return tape
