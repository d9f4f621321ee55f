"""What is written down about a call: the one source of logs, usage, budgets and metrics.

A worker appends an `Admitted` when the first attempt starts, an `Ended` when the call is over, and now and then its
`Gauges`.  Integers are nano-USD, tokens and nanoseconds; times of day are wall-clock nanoseconds since the epoch.
"""

from __future__ import annotations

import msgspec

from fairlead.call import OutcomeKind
from fairlead.types import DialectName, ErrorClass, Usage, UsageSource

SCHEMA_VERSION = 1


class AttemptRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt; times are offsets from the call's start."""

    number: int
    provider: str
    credential: str
    model: str
    label: str = "other"
    started_ns: int
    first_token_ns: int | None = None
    ended_ns: int | None = None
    status: int | None = None
    upstream_id: str | None = None
    error_class: ErrorClass | None = None
    error_code: str | None = None
    usage: Usage | None = None
    usage_source: UsageSource = "none"
    reserved_nanousd: int | None = None
    cost_nanousd: int | None = None


class Identity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whom the call belongs to."""

    tenant: str
    key_id: str | None = None
    key_name: str | None = None
    user: str | None = None
    team: str | None = None


class Admitted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="admitted"):
    """The first attempt is about to start.  Without an `Ended` later, the process died on the way."""

    call_id: str
    started_at_ns: int
    dialect: DialectName
    alias: str
    model: str
    stream: bool
    identity: Identity
    provider: str
    upstream_model: str
    label: str = "other"
    parent_id: str | None = None
    request: bytes | None = None
    """The body, a hash of it, or nothing, as `[store] content` says."""


class Ended(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="ended"):
    """A call is over, however it ended.  Complete but for the request where an `Admitted` went before."""

    call_id: str
    started_at_ns: int
    duration_ns: int
    first_token_ns: int | None = None
    dialect: DialectName
    alias: str
    model: str
    stream: bool
    identity: Identity
    status: int
    outcome: OutcomeKind
    error_class: ErrorClass | None = None
    error_code: str | None = None
    error_message: str | None = None
    attempts: tuple[AttemptRecord, ...] = ()
    usage: Usage | None = None
    usage_source: UsageSource = "none"
    cost_nanousd: int | None = None
    """The sum over attempts; `None` if any of them is unpriced."""
    parent_id: str | None = None
    tags: tuple[str, ...] = ()
    session: str | None = None
    degraded: tuple[str, ...] = ()
    request: bytes | None = None
    response: bytes | None = None


class Gauges(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="gauges"):
    """How things stand in one worker; the newest one counts."""

    worker: str
    at_ns: int
    reserved_nanousd: int = 0
    in_flight: int = 0
    connections: int = 0
    dropped_records: int = 0
    degraded: dict[str, str] = msgspec.field(default_factory=dict)
    """Feature to the mode it runs in, for those that do not run as configured."""


Record = Admitted | Ended | Gauges
