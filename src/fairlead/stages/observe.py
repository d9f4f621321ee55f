"""observe: opens and closes the one record of a call.  Outermost, so that it sees rejected and cancelled calls too."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from typing import Literal

import msgspec

from fairlead.call import Attempt, Call, Outcome, total_usage
from fairlead.core.clip import CONTENT_BYTES, clip
from fairlead.errors import Cancelled, FairleadError, InternalError, OutputInvalid, Overloaded
from fairlead.pipeline import Next, Reply, Source
from fairlead.ports import Clock, Sink
from fairlead.record import Admitted, AttemptRecord, Ended
from fairlead.validation.places import told_names, told_place
from fairlead.verdict import FieldError, Validated, recorded

Content = Literal["full", "hash", "off"]

_log = logging.getLogger("fairlead")


class Observe:
    """Writes an `Admitted` before the first attempt starts and an `Ended` when the call is over.

    Args:
        content: what to keep of request and answer: all, a SHA-256, or nothing.
    """

    def __init__(self, sink: Sink, clock: Clock, content: Content) -> None:
        self._sink = sink
        self._clock = clock
        self._content = content

    async def __call__(self, call: Call, following: Next) -> Reply:
        call.on_admitted = self._admitted
        try:
            reply = await following(call)
        except FairleadError as error:
            _log.debug("call %s: %s (%s)", call.id, error.code, error.detail)
            self._over(call, Outcome("error", error.status, error))
            raise
        except asyncio.CancelledError:
            self._over(call, _cut(call))
            raise
        except Exception as error:
            _log.exception("call %s failed inside Fairlead", call.id)
            ours = InternalError("something went wrong inside Fairlead; its log has the call's id and the reason")
            self._over(call, Outcome("error", ours.status, ours))
            raise ours from error
        # The lowest hook runs last: by then every stage has settled what the record is to show.
        reply.on_end.insert(0, lambda outcome: self._over(call, outcome, reply.source))
        return reply

    def _admitted(self, call: Call) -> None:
        """Afterwards nobody needs the body any more: a stream may be open for minutes."""
        attempt = call.attempt
        candidate = attempt.candidate
        self._sink(
            Admitted(
                call_id=call.id,
                started_at_ns=call.started_at_ns,
                dialect=call.dialect_in,
                alias=call.alias,
                model=call.request.model,
                stream=call.request.stream,
                identity=call.principal.identity,
                provider=candidate.provider,
                upstream_model=candidate.model,
                label=candidate.label,
                reserved_nanousd=attempt.reserved_nanousd,
                parent_id=call.parent_id,
                request=self._kept(call.body),
            )
        )
        call.body = b""

    def _over(self, call: Call, outcome: Outcome, source: Source | None = None) -> None:
        """Write the record as soon as every attempt's usage is known; how long the call took is known now."""
        duration_ns = self._clock.monotonic_ns() - call.started_ns
        if call.is_known:
            self._ended(call, outcome, duration_ns, source)
        else:
            call.when_known(lambda: self._ended(call, outcome, duration_ns, source))

    def _ended(self, call: Call, outcome: Outcome, duration_ns: int, source: Source | None) -> None:
        error = outcome.error
        request, attempts = call.request, call.attempts
        usage, usage_source = total_usage(attempts)
        self._sink(
            Ended(
                call_id=call.id,
                started_at_ns=call.started_at_ns,
                duration_ns=duration_ns,
                first_token_ns=_first_token(call),
                dialect=call.dialect_in,
                alias=call.alias,
                model=request.model,
                stream=request.stream,
                identity=call.principal.identity,
                status=outcome.status,
                outcome=outcome.kind,
                error_class=None if error is None else error.error_class,
                error_code=None if error is None else error.code,
                error_message=None if error is None else self._words(error),
                attempts=tuple([_attempt_record(attempt, call.started_ns) for attempt in attempts]),
                usage=usage,
                usage_source=usage_source,
                cost_nanousd=call.cost_nanousd,
                parent_id=call.parent_id,
                tags=call.tags,
                session=call.session,
                degraded=tuple(call.degraded),
                validated=self._told(call),
                request=None if call.fate.admitted else self._kept(call.body),
                response=self._answer(source),
            )
        )

    def _answer(self, source: Source | None) -> bytes | None:
        if source is None or self._content == "off":
            return None
        return self._kept(source if isinstance(source, bytes) else source.raw())

    def _words(self, error: FairleadError) -> str:
        """The error's message, as much of it as may be stored: one about an answer's fields quotes what the model wrote."""
        if isinstance(error, OutputInvalid) and self._content != "full":
            return "the answer does not fit its schema"
        return error.message

    def _told(self, call: Call) -> Validated | None:
        """As much of the verdict as may be stored: edits and errors quote what the model wrote, also in their paths."""
        validated = call.report
        if validated is None:
            return None
        output = None if validated.output is None else self._kept(validated.output)
        told = msgspec.structs.replace(recorded(validated), output=output)
        names = told_names(call.request) if told.edits or told.errors else ()
        places = [told_place(error.path, names) for error in told.errors]
        if self._content == "full":
            errors = [_placed(error, place) for error, place in zip(told.errors, places, strict=True)]
            return msgspec.structs.replace(told, errors=tuple(errors))
        bare = [
            FieldError(path=place, message="", kind=each.kind) for each, place in zip(told.errors, places, strict=True)
        ]
        edits = [
            msgspec.structs.replace(edit, path=told_place(edit.path, names), before=None, after=None)
            for edit in told.edits
        ]
        return msgspec.structs.replace(told, edits=tuple(edits), errors=tuple(bare))

    def _kept(self, content: bytes) -> bytes | None:
        if self._content == "full":
            return content if len(content) <= CONTENT_BYTES else clip(content, CONTENT_BYTES)
        if self._content == "hash":
            return b"sha256:" + hashlib.sha256(content).hexdigest().encode()
        return None


def _placed(error: FieldError, place: str) -> FieldError:
    return error if place == error.path else msgspec.structs.replace(error, field=place)


def _cut(call: Call) -> Outcome:
    """A call that was cancelled: its caller left, or this process ends."""
    if call.fate.abandoned:
        return Outcome("cancelled", Cancelled.http_status, Cancelled("the caller left"))
    return Outcome("error", Overloaded.http_status, Overloaded("this gateway is shutting down"))


def _attempt_record(attempt: Attempt, origin_ns: int) -> AttemptRecord:
    error, candidate = attempt.error, attempt.candidate
    return AttemptRecord(
        number=attempt.number,
        provider=candidate.provider,
        credential=candidate.credential,
        model=candidate.model,
        label=candidate.label,
        started_ns=attempt.started_ns - origin_ns,
        waited_ns=0 if candidate.pacing is None or attempt.sent_ns is None else attempt.sent_ns - attempt.started_ns,
        first_token_ns=None if attempt.first_token_ns is None else attempt.first_token_ns - origin_ns,
        ended_ns=None if attempt.ended_ns is None else attempt.ended_ns - origin_ns,
        status=attempt.upstream_status,
        upstream_id=attempt.upstream_id,
        error_class=None if error is None else error.error_class,
        error_code=None if error is None else error.code,
        usage=attempt.usage,
        usage_source=attempt.usage_source,
        reserved_nanousd=attempt.reserved_nanousd,
        cost_nanousd=attempt.cost_nanousd,
    )


def _first_token(call: Call) -> int | None:
    for attempt in call.attempts:
        if attempt.first_token_ns is not None:
            return attempt.first_token_ns - call.started_ns
    return None
