"""Fairlead: call language models from real applications, right about money and exact under failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairlead._calls import Completion as Completion
    from fairlead._calls import Embeddings as Embeddings
    from fairlead._calls import Piece as Piece
    from fairlead._extract import Extracted as Extracted
    from fairlead._resilient import Retry as Retry
    from fairlead._resilient import resilient as resilient
    from fairlead.client import Client as Client
    from fairlead.errors import CircuitOpen as CircuitOpen
    from fairlead.errors import FairleadError as FairleadError
    from fairlead.errors import OutputInvalid as OutputInvalid
    from fairlead.sync import SyncClient as SyncClient

__all__ = [
    "CircuitOpen",
    "Client",
    "Completion",
    "Embeddings",
    "Extracted",
    "FairleadError",
    "OutputInvalid",
    "Piece",
    "Retry",
    "SyncClient",
    "resilient",
]
__version__ = "0.1.0"

_HOMES = {
    "CircuitOpen": "fairlead.errors",
    "Client": "fairlead.client",
    "Completion": "fairlead._calls",
    "Embeddings": "fairlead._calls",
    "Extracted": "fairlead._extract",
    "FairleadError": "fairlead.errors",
    "OutputInvalid": "fairlead.errors",
    "Piece": "fairlead._calls",
    "Retry": "fairlead._resilient",
    "SyncClient": "fairlead.sync",
    "resilient": "fairlead._resilient",
}


def __dir__() -> list[str]:
    """Everything that is there, public names that were not used yet included."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> object:
    """Load a public name when it is first used, so that `import fairlead` stays light."""
    home = _HOMES.get(name)
    if home is None:
        msg = f"module 'fairlead' has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
