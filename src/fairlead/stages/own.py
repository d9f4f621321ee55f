"""own: an answer that a provider keeps belongs to the tenant that it was made for, and is gone on from where it lies."""

from __future__ import annotations

import logging

from fairlead.call import Call, Candidate, Outcome
from fairlead.errors import Cancelled, NotFound, StateUnavailable
from fairlead.expiry import within
from fairlead.pipeline import Next, Reply
from fairlead.ports import Clock, Kept, Owners

_FIND_S = 1.0
_REMEMBER_S = 1.0
_SHOWN_CHARS = 200
_log = logging.getLogger("fairlead")


class Own:
    """Lets a call go on from an answer of its own tenant's only, and sends it to the credential that keeps it.

    Where the caller's own credential is forwarded the provider itself tells whose an answer is.  An answer whose owner
    cannot be noted is handed up all the same: it is paid for, and only cannot be gone on from.
    """

    def __init__(self, owners: Owners, clock: Clock) -> None:
        self._owners = owners
        self._clock = clock

    async def __call__(self, call: Call, following: Next) -> Reply:
        request = call.request
        if request.credential is not None:
            return await following(call)
        if request.goes_on_from is not None:
            call.candidates = await self._narrowed(call, *request.goes_on_from)
        reply = await following(call)
        if call.attempts and call.attempt.kept_as is not None:
            try:
                await self._remember(call, call.attempt.kept_as)
            except BaseException:
                reply.end(Outcome("cancelled", Cancelled.http_status, Cancelled("the caller left")))
                raise
        return reply

    async def _narrowed(self, call: Call, param: str, answer_id: str) -> tuple[Candidate, ...]:
        shown = answer_id[:_SHOWN_CHARS]
        kept = await within(self._clock, _FIND_S, _late, self._owners.find(call.principal.tenant, answer_id))
        if kept is None:
            raise NotFound(
                f"no stored answer {shown!r} of yours; send the conversation in `input`, or an id that an answer of "
                "this gateway had",
                param=param,
            )
        there = tuple(each for each in call.candidates if _keeps(each, kept))
        if not there:
            raise NotFound(
                f"the stored answer {shown!r} lies where model {call.request.model!r} does not lead; ask for the model "
                "that gave it, or send the conversation in `input`",
                param=param,
            )
        return there

    async def _remember(self, call: Call, answer_id: str) -> None:
        candidate = call.attempt.candidate
        kept = Kept(
            provider=candidate.provider,
            credential=candidate.credential,
            model=candidate.model,
            at_ns=call.started_at_ns,
        )
        noting = self._owners.remember(call.principal.tenant, answer_id, kept)
        try:
            await within(self._clock, _REMEMBER_S, _late, noting)
        except StateUnavailable:
            _log.warning("call %s: whose its stored answer is could not be noted", call.id)


def _keeps(candidate: Candidate, kept: Kept) -> bool:
    return (candidate.provider, candidate.credential) == (kept.provider, kept.credential)


def _late() -> StateUnavailable:
    return StateUnavailable("whose the stored answer is could not be looked up in time; try again")
