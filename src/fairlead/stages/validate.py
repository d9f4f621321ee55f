"""validate: holds answers to their schema, from reading them to asking again, a stronger model and a fixed value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fairlead.call import Call, Request, Wanted
from fairlead.dialects import DIALECTS, Dialect
from fairlead.errors import Forbidden, InvalidRequest
from fairlead.pipeline import Next, Reply
from fairlead.ports import Clock, Rng
from fairlead.types import Chat
from fairlead.validation.expected import expected
from fairlead.validation.holding import Expand, Holding, Static, Tools
from fairlead.validation.ladder.shape import Shapes
from fairlead.validation.rules import Ladder, bounded, merged

_MARK_BYTES: Final = 8


class Validate:
    """Judges what comes back, asks again below itself, and answers with what fits or not at all.

    Args:
        ladders: by alias; the others' answers pass as they are, unless the library holds them to something.
        expand: finds a model to escalate to.
        static: makes an answer of a fixed value; without one there is none.
    """

    def __init__(
        self, clock: Clock, rng: Rng, ladders: Mapping[str, Ladder], expand: Expand, static: Static | None = None
    ) -> None:
        self._rng = rng
        self._ladders = ladders
        self._shapes = Shapes()
        self._tools = Tools(
            mark=self._mark, now_ns=clock.monotonic_ns, stronger=expand, fixed=_nothing if static is None else static
        )

    async def __call__(self, call: Call, following: Next) -> Reply:
        ladder = self._ladder(call)
        if ladder is None or call.request.operation != "answer":
            return await following(call)
        dialect = DIALECTS[call.dialect_in]
        if dialect.schema_fields.isdisjoint(call.request.fields):
            return await following(call)
        chat = _chat(call.request, dialect)
        held_to = None if chat is None else expected(chat, self._shapes)
        if chat is None or held_to is None:
            return await following(call)
        if held_to.schema is not None:
            call.request.wanted = Wanted(name=held_to.name, schema=held_to.schema)
        return await Holding(self._tools, call, following, ladder, dialect, chat, held_to).run()

    def _ladder(self, call: Call) -> Ladder | None:
        ladder, held = self._ladders.get(call.alias), call.held
        if held is None:
            return ladder
        if held.up_to == "off":
            return None
        allowed = call.principal.models
        if held.escalate is not None and allowed is not None and held.escalate not in allowed:
            raise Forbidden(f"this key may not call model {held.escalate!r}; ask for another to escalate to")
        if not held.is_bounded:
            return merged(Ladder() if ladder is None else ladder, held)
        if ladder is None:
            raise InvalidRequest(f"`x-fairlead-validate`: model {call.request.model!r} has no `validation`")
        return bounded(ladder, held)

    def _mark(self) -> str:
        return f"data-{self._rng.token(_MARK_BYTES).hex()}"


def _chat(request: Request, dialect: Dialect) -> Chat | None:
    """The request in neutral form; one that is not well formed is the provider's to refuse."""
    if not isinstance(request.chat, Chat):
        try:
            request.chat = dialect.request.decode(request.fields)
        except InvalidRequest:
            return None
    return request.chat if isinstance(request.chat, Chat) else None


def _nothing(_: Call, __: str) -> Reply | None:
    return None
