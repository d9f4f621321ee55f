"""What is written down about a call: the one source of logs, usage, budgets and metrics.

A worker appends an `Admitted` when the first attempt starts, an `Ended` when the call is over, and now and then its
`Gauges`.  Integers are nano-USD, tokens and nanoseconds; times of day are wall-clock nanoseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from fairlead.call import OutcomeKind
from fairlead.types import DialectName, ErrorClass, Identity, Usage, UsageSource
from fairlead.verdict import Validated

SCHEMA_VERSION = 1


class AttemptRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt; times are offsets from the call's start."""

    number: int
    """Its place among the attempts of the call, from 1."""
    provider: str
    """The provider's name in the configuration."""
    credential: str
    """The label of the credential that was used, never the credential: `default`, or `1`, `2`, ..."""
    model: str
    """The provider's own name of the model."""
    label: str = "other"
    """The model as metrics name it: `other` where neither the configuration nor the price table knows it."""
    started_ns: int
    """When it started."""
    waited_ns: int = 0
    """How long it then waited in line for its provider's limits, before it was sent."""
    first_token_ns: int | None = None
    """When its first content came; `None` where none did."""
    ended_ns: int | None = None
    """When it was over; `None` where the process died before."""
    status: int | None = None
    """The HTTP status of the provider's answer; `None` where no answer came."""
    upstream_id: str | None = None
    """The provider's id of the request, to name in a question to its support."""
    error_class: ErrorClass | None = None
    """The class of what went wrong; `None`: nothing did."""
    error_code: str | None = None
    """The code of what went wrong."""
    usage: Usage | None = None
    """What it consumed; `None` where nobody said."""
    usage_source: UsageSource = "none"
    """Where `usage` came from: the provider's last word, its running maximum, our estimate, or nothing."""
    reserved_nanousd: int | None = None
    """Its worst case, which was held against budgets while it ran; `None` where none could be told."""
    cost_nanousd: int | None = None
    """What it cost; `None` where that is not known, as for an unpriced model."""


class Admitted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="admitted"):
    """The first attempt is about to start.  Without an `Ended` later, the process died on the way."""

    call_id: str
    """The id that the caller reads in `x-fairlead-call-id`; ids of later calls sort later."""
    started_at_ns: int
    """When the call arrived."""
    dialect: DialectName
    """The wire format that the caller speaks."""
    alias: str
    """The entry under `[models]` that it was resolved to; `*` for what is relayed by name."""
    model: str
    """The name that the caller asked for."""
    stream: bool
    """Whether the caller asked for a stream."""
    identity: Identity
    """Whom the call belongs to."""
    provider: str
    """Where the first attempt goes."""
    upstream_model: str
    """The provider's own name of the model."""
    label: str = "other"
    """The model as metrics name it."""
    reserved_nanousd: int | None = None
    """What was reserved for the first attempt: what the call counts for in budgets if its process dies."""
    parent_id: str | None = None
    """The call that this one was made for, where it is one of Fairlead's own."""
    request: bytes | None = None
    """The body, a hash of it, or nothing, as `[store] content` says."""


class Ended(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="ended"):
    """A call is over, however it ended.  Complete but for the request where an `Admitted` went before."""

    call_id: str
    """As in `Admitted`."""
    started_at_ns: int
    """As in `Admitted`."""
    duration_ns: int
    """From the call's arrival to its end."""
    first_token_ns: int | None = None
    """From the call's arrival to its first content; `None` where none came."""
    dialect: DialectName
    """As in `Admitted`."""
    alias: str
    """As in `Admitted`; empty where the call was refused before it was resolved."""
    model: str
    """As in `Admitted`."""
    stream: bool
    """As in `Admitted`."""
    identity: Identity
    """As in `Admitted`."""
    status: int
    """The HTTP status of the answer."""
    outcome: OutcomeKind
    """How it ended: `ok`, `error`, `cancelled` by the caller, `truncated` after content had gone out, or `crashed`."""
    error_class: ErrorClass | None = None
    """The class of the error that the caller saw; `None`: none."""
    error_code: str | None = None
    """Its code, as in the body of the error answer."""
    error_message: str | None = None
    """Its message, as the caller read it."""
    attempts: tuple[AttemptRecord, ...] = ()
    """Every attempt, in order; empty where the call was refused before the first."""
    usage: Usage | None = None
    """The sum over attempts; `None` where none of them is known."""
    usage_source: UsageSource = "none"
    """Where `usage` came from; of several attempts the least certain."""
    cost_nanousd: int | None = None
    """The sum over attempts; `None` if any of them is unpriced."""
    parent_id: str | None = None
    """As in `Admitted`."""
    tags: tuple[str, ...] = ()
    """What the caller sent in `x-fairlead-tags`."""
    session: str | None = None
    """What the caller sent in `x-fairlead-session`."""
    degraded: tuple[str, ...] = ()
    """The features that did not run as configured for this call."""
    validated: Validated | None = None
    """How its answer was held to its schema; `None`: it was not."""
    request: bytes | None = None
    """As in `Admitted`, for a call without one."""
    response: bytes | None = None
    """What went to the caller, as `[store] content` says; of a stream its raw events."""


USED_STATES = frozenset({"closed", "half_open", "forced"})
"""The states of a target in which it is asked."""


class TargetGauges(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one worker sees one (provider, credential, model)."""

    state: str = "closed"
    """Of its breaker, or why it is not used: `closed`, `circuit_open`, `open` when the time for which it is left alone is
    over and no call has come to try it, `half_open`, `cooling`, `credential`, `quota`, `disabled`; `forced` where an operator says that it is to be used whatever happens."""
    in_flight: int = 0
    """Attempts under way."""
    waiting: int = 0
    """Attempts that wait for its limits."""


class Gauges(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="gauges"):
    """How things stand in one worker; the newest one counts."""

    worker: str
    """Which worker."""
    at_ns: int
    """When it was so."""
    reserved_nanousd: int = 0
    """Open reservations."""
    in_flight: int = 0
    """Calls under way."""
    connections: int = 0
    """Open connections of callers."""
    dropped_records: int = 0
    """Records that could not be spooled since the worker started."""
    config_reload_failed: bool = False
    """Whether the configuration could not be read again when it was last tried."""
    degraded: dict[str, str] = msgspec.field(default_factory=dict)
    """Feature to the mode it runs in, for those that do not run as configured."""
    targets: dict[str, TargetGauges] = msgspec.field(default_factory=dict)
    """Configured targets, `provider/model` with `#credential` where there are several."""


Record = Admitted | Ended | Gauges

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[Record])
_ONE_BY_ONE = msgspec.msgpack.Decoder(list[msgspec.Raw])
_ONE = msgspec.msgpack.Decoder(Record)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def encode_records(records: Sequence[Record]) -> bytes:
    """Records as one msgpack array: what a worker wrote down in one go.

    Raises:
        UnicodeEncodeError: a text holds a lone surrogate.
    """
    return _ENCODER.encode(records)


def decode_records(payload: bytes) -> tuple[list[Record], int]:
    """The records that this version knows, in their order, and how many it does not; never raises."""
    try:
        return _DECODER.decode(payload), 0
    except _UNREADABLE:
        pass
    try:
        raws = _ONE_BY_ONE.decode(payload)
    except _UNREADABLE:
        return [], 1
    known = list(_known(raws))
    return known, len(raws) - len(known)


def _known(raws: Iterable[msgspec.Raw]) -> Iterable[Record]:
    for raw in raws:
        try:
            yield _ONE.decode(raw)
        except _UNREADABLE:
            continue
