"""A stage of somebody else's cannot take more with it than its own call (FAULTS P11)."""

from __future__ import annotations

import logging
from functools import partial
from typing import Final

from fairlead.call import Call, Outcome
from fairlead.errors import DeadlineExceeded, FairleadError, InternalError
from fairlead.expiry import Expiry
from fairlead.pipeline import Next, Reply, Stage
from fairlead.ports import Clock

_NS: Final = 1_000_000_000

_log = logging.getLogger("fairlead")


def guarded(name: str, stage: Stage, clock: Clock, most_s: float) -> Stage:
    """The stage, with a deadline and with an end for every reply that it was given and does not hand on.

    What it raises besides Fairlead's own errors, and what it returns instead of a reply, is an `InternalError` that
    names it.

    Args:
        most_s: how long it may take with all that follows it, where the call has no deadline of its own.
    """

    async def run(call: Call, following: Next) -> Reply:
        given: list[Reply] = []

        async def watched(call: Call) -> Reply:
            given.append(await following(call))
            return given[-1]

        returned: Reply | None = None
        try:
            with Expiry(clock, _left_s(call, clock, most_s), partial(_late, name)):
                returned = await stage(call, watched)
            if not isinstance(returned, Reply):
                kind, returned = type(returned).__name__, None
                raise TypeError(f"a stage returns a `Reply`, and not a {kind!r}")  # noqa: TRY301 - told as all others
        except FairleadError:
            raise
        except Exception as error:
            _log.exception("call %s failed inside Fairlead, in stage %r", call.id, name)
            raise _broken(name) from error
        finally:
            for reply in given:
                if returned is None:  # it may have wrapped what it was given, so only then nobody else ends it
                    failed = _broken(name)
                    reply.end(Outcome("error", failed.status, failed))
        return returned

    return run


def _left_s(call: Call, clock: Clock, most_s: float) -> float:
    if call.deadline_ns is None:
        return most_s
    return (call.deadline_ns - clock.monotonic_ns()) / _NS


def _late(name: str) -> DeadlineExceeded:
    return DeadlineExceeded(f"the call did not end within the time that it may take; stage {name!r} held it")


def _broken(name: str) -> InternalError:
    return InternalError(f"stage {name!r} failed inside Fairlead; its log has the call's id and the reason")
