"""What an error of the server or of the way to it means, and what is done about it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Final

import msgspec


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of trouble."""

    name: str
    """What the operator is told."""
    lasts: bool = True
    """Whether whoever asks next will meet it too: it counts for the breaker."""
    reconnect: bool = False
    """Whether another connection may do better."""


UNREACHABLE: Final = Fault(name="cannot be reached", reconnect=True)
SLOW: Final = Fault(name="does not answer in time", reconnect=True)
GARBLED: Final = Fault(name="answers with something else than its protocol", reconnect=True)
NOT_READY: Final = Fault(name="is not ready to answer")
ELSEWHERE: Final = Fault(name="is not the one to write to", reconnect=True)
FULL: Final = Fault(name="takes no more data")
DENIED: Final = Fault(name="does not let Fairlead in", reconnect=True)
UNSCRIPTED: Final = Fault(name="does not know the script", lasts=False)
REJECTED: Final = Fault(name="rejects the command", lasts=False)

FAULTS: Final[Mapping[str, Fault]] = {
    "ConnectionError": UNREACHABLE,
    "MaxConnectionsError": UNREACHABLE,
    "TimeoutError": SLOW,
    "InvalidResponse": GARBLED,
    "BusyLoadingError": NOT_READY,
    "MasterDownError": NOT_READY,
    "ClusterDownError": NOT_READY,
    "ClusterError": NOT_READY,
    "TryAgainError": NOT_READY,
    "AskError": NOT_READY,
    "MovedError": ELSEWHERE,
    "ReadOnlyError": ELSEWHERE,
    "SlotNotCoveredError": NOT_READY,
    "RedisClusterException": REJECTED,
    "OutOfMemoryError": FULL,
    "AuthenticationError": DENIED,
    "AuthenticationWrongNumberOfArgsError": DENIED,
    "AuthorizationError": DENIED,
    "ExternalAuthProviderError": DENIED,
    "NoPermissionError": DENIED,
    "NoScriptError": UNSCRIPTED,
    "ResponseError": REJECTED,
    "DataError": REJECTED,
    "ModuleError": REJECTED,
    "NoSuchFieldsetError": REJECTED,
    "ExecAbortError": REJECTED,
    "WatchError": REJECTED,
    "PubSubError": REJECTED,
    "LockError": REJECTED,
    "LockNotOwnedError": REJECTED,
    "ChildDeadlockedError": REJECTED,
    "ClusterCrossSlotError": REJECTED,
    "CrossSlotTransactionError": REJECTED,
    "InvalidPipelineStack": REJECTED,
    "IncorrectPolicyType": REJECTED,
    "RedisError": REJECTED,
}
"""By the names of redis-py's classes: which of them exist depends on its version."""
_WORDS: Final[Mapping[str, Fault]] = {
    "MISCONF": FULL,
    "NOREPLICAS": FULL,
    "BUSY": NOT_READY,
    "UNBLOCKED": NOT_READY,
    "NOTBUSY": NOT_READY,
    "LOADING": NOT_READY,
    "OOM": FULL,
    "READONLY": ELSEWHERE,
    "NOAUTH": DENIED,
    "NOPERM": DENIED,
}
"""By the first word of answers that redis-py has no class for."""


def classify(error: BaseException) -> Fault:
    """The kind of an error, whatever raised it."""
    found = _by_class(error)
    if found is REJECTED:
        return _WORDS.get(str(error).partition(" ")[0], REJECTED)
    return found


def _by_class(error: BaseException) -> Fault:
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return SLOW
    if isinstance(error, (OSError, EOFError, ssl.SSLError)):
        return UNREACHABLE
    for kind in type(error).__mro__:
        found = FAULTS.get(kind.__name__)
        if found is not None:
            return found
    return REJECTED
