"""fetch: what a provider keeps is asked for where it lies, for the tenant whose it is.

It stands in place of all that chooses a target: there is one place, or there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from fairlead.call import Attempt, Call, Candidate, Outcome
from fairlead.errors import FairleadError, NotFound, StateUnavailable
from fairlead.expiry import within
from fairlead.pipeline import Next, Reply
from fairlead.ports import Clock, Kept, Owners

_FIND_S = 1.0
_SHOWN_CHARS = 200


class Fetch:
    """Looks up where an answer lies, and has the provider asked for it there.

    Args:
        places: the credentials of each provider that keeps answers.  Where the caller's own credential is forwarded
            nothing is looked up: the first of these providers tells itself whose an answer is.
    """

    def __init__(self, owners: Owners, clock: Clock, places: Mapping[str, tuple[str, ...]]) -> None:
        self._owners = owners
        self._clock = clock
        self._places = places

    async def __call__(self, call: Call, following: Next) -> Reply:
        param, answer_id = call.request.goes_on_from or ("", "")
        kept = await self._where(call, answer_id)
        if kept is None or kept.credential not in self._places.get(kept.provider, ()):
            raise NotFound(f"no stored answer {answer_id[:_SHOWN_CHARS]!r} of yours", param=param)
        call.request.model = kept.model
        candidate = Candidate(provider=kept.provider, model=kept.model, credential=kept.credential)
        attempt = call.open_attempt(candidate, self._clock.monotonic_ns())
        attempt.cost_nanousd = 0
        try:
            reply = await following(call)
        except BaseException as error:
            attempt.close(self._clock.monotonic_ns(), error if isinstance(error, FairleadError) else None)
            raise
        reply.on_end.append(partial(self._close, attempt))
        return reply

    async def _where(self, call: Call, answer_id: str) -> Kept | None:
        if call.request.credential is not None:
            first = next(iter(self._places.items()), None)
            return None if first is None else Kept(provider=first[0], credential=first[1][0], model="", at_ns=0)
        return await within(self._clock, _FIND_S, _late, self._owners.find(call.principal.tenant, answer_id))

    def _close(self, attempt: Attempt, outcome: Outcome) -> None:
        attempt.close(self._clock.monotonic_ns(), outcome.error)


def _late() -> StateUnavailable:
    return StateUnavailable("whose the stored answer is could not be looked up in time; try again")
