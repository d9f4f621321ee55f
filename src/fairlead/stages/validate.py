"""validate: holds answers to their schema, by a ladder from reading them to asking again, a stronger model and a fixed value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from fairlead.call import FALLBACK_VALUE, STATIC, Attempt, Call, Candidate, Outcome, Request, Wanted
from fairlead.core.jsontop import top_level
from fairlead.dialects import DIALECTS, Dialect
from fairlead.dialects.once import Once
from fairlead.errors import DeadlineExceeded, FairleadError, InvalidRequest, OutputInvalid
from fairlead.pipeline import Chunks, Next, Reply
from fairlead.ports import Clock, Rng
from fairlead.types import Chat, ChatEvent
from fairlead.validation.answers import (
    Output,
    called_as_text,
    calls_as_text,
    gathered,
    outputs,
    rewritten,
    rewritten_events,
)
from fairlead.validation.expected import Expected, expected
from fairlead.validation.judged import Judged, judged
from fairlead.validation.ladder.shape import Shapes
from fairlead.validation.reask import SIZES, asked_again, complaint
from fairlead.validation.rules import Ladder, merged
from fairlead.validation.shaping.modes import tool_name
from fairlead.validation.watched import Watched
from fairlead.verdict import RUNGS, Edit, FieldError, Rung, Validated

_INVALID: Final = 200
"""The status of an answer that came and does not fit."""
_MARK_BYTES: Final = 8
_ROLE_TOKENS: Final = 16
"""What a further message may take beside its text."""

Static = Callable[[Call, str], Reply | None]
"""A reply that no provider gave, in the caller's dialect."""
Expand = Callable[[str], tuple[Candidate, ...]]
"""The candidates behind a name of `[models]`."""


class Validate:
    """Judges what comes back, asks again below itself, and answers with what fits or not at all.

    Args:
        ladders: by alias; the others' answers pass as they are, unless the caller holds them to something.
        expand: finds a model to escalate to.
        static: makes an answer of a fixed value.
    """

    def __init__(
        self, clock: Clock, rng: Rng, ladders: Mapping[str, Ladder], expand: Expand, static: Static | None = None
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._ladders = ladders
        self._expand = expand
        self._static = static
        self._shapes = Shapes()

    async def __call__(self, call: Call, following: Next) -> Reply:
        ladder = self._ladder(call)
        if ladder is None or call.request.operation != "answer":
            return await following(call)
        dialect = DIALECTS[call.dialect_in]
        if dialect.schema_fields.isdisjoint(call.request.fields):
            return await following(call)
        chat = self._chat(call.request, dialect)
        held_to = None if chat is None else expected(chat, self._shapes)
        if chat is None or held_to is None:
            return await following(call)
        if held_to.schema is not None:
            call.request.wanted = Wanted(name=held_to.name, schema=held_to.schema)
        if call.held is not None and call.held.is_judged_above:
            return await following(call)
        return await _Climb(self, call, following, ladder, dialect, chat, held_to).run()

    def _ladder(self, call: Call) -> Ladder | None:
        ladder, held = self._ladders.get(call.alias), call.held
        if held is None:
            return ladder
        if held.up_to == "off":
            return None
        return merged(Ladder() if ladder is None else ladder, held)

    def _chat(self, request: Request, dialect: Dialect) -> Chat | None:
        """The request in neutral form; one that is not well formed is the provider's to refuse."""
        if not isinstance(request.chat, Chat):
            try:
                request.chat = dialect.request.decode(request.fields)
            except InvalidRequest:
                return None
        return request.chat if isinstance(request.chat, Chat) else None

    # --- what a climb needs of it ---

    def mark(self) -> str:
        """A word that no output can foresee."""
        return f"data-{self._rng.token(_MARK_BYTES).hex()}"

    def stronger(self, name: str) -> tuple[Candidate, ...]:
        """Who is asked when asking again has failed."""
        return self._expand(name)

    def fixed(self, call: Call, text: str) -> Reply | None:
        """An answer of the operator's."""
        return None if self._static is None else self._static(call, text)

    def now_ns(self) -> int:
        """Monotonic."""
        return self._clock.monotonic_ns()


class _Climb:
    """One call on its way up."""

    def __init__(
        self,
        stage: Validate,
        call: Call,
        following: Next,
        ladder: Ladder,
        dialect: Dialect,
        chat: Chat,
        held_to: Expected,
    ) -> None:
        self._stage = stage
        self._call = call
        self._following = following
        self._ladder = ladder
        self._dialect = dialect
        self._chat = chat
        self._expected = held_to
        self._asked = call.request
        self._tool = "" if call.request.wanted is None else tool_name(call.request.wanted)
        """What stands for the answer where a tool does."""
        self._is_unanswered = False
        """Whether nobody answered when it was asked again."""
        self._refused = Judged()
        """What was found out about the last output that does not fit."""

    async def run(self) -> Reply:
        """An answer that fits, or a stream that is held to it.

        Raises:
            OutputInvalid: there is none.
            FairleadError: nobody answered the first time.
        """
        reply = await self._fitting(self._asked)
        self._call.answered_first = len(self._call.attempts)
        if reply is None and self._ladder.allows("reask") and STATIC not in self._call.degraded:
            reply = await self._again()
        if reply is None and self._ladder.allows("escalate") and STATIC not in self._call.degraded:
            reply = await self._escalated()
        if reply is None and self._ladder.allows("fallback"):
            reply = self._fallback()
        if reply is None:
            raise self._exhausted()
        return reply

    # --- asking ---

    async def _again(self) -> Reply | None:
        for _ in range(self._ladder.attempts):
            request = self._next_request()
            if request is None:
                return None
            reply = await self._tried(request, "reask")
            if reply is not None or self._is_unanswered:
                return reply
        return None

    async def _escalated(self) -> Reply | None:
        name = self._ladder.escalate
        stronger = () if name is None else self._stage.stronger(name)
        if not stronger or not self._may_ask(_prompt_bound(self._call, self._asked)):
            return None
        self._call.candidates = stronger
        return await self._tried(self._asked, "escalate")

    async def _tried(self, request: Request, rung: Rung) -> Reply | None:
        """Ask once more; whoever cannot answer now does not keep the next rung from its turn."""
        self._call.request = request
        try:
            return await self._fitting(request, rung)
        except DeadlineExceeded:
            self._exhausted()
            raise
        except FairleadError as error:
            told = FieldError(path="", message=f"asking again failed: {error.message}", kind=error.code)
            self._refused = msgspec.structs.replace(self._refused, errors=(*self._refused.errors, told))
            self._is_unanswered = True
            return None
        finally:
            self._call.request = self._asked

    async def _fitting(self, request: Request, rung: Rung = "parse") -> Reply | None:
        """Ask below; the reply if it fits, and nothing if it does not, which is then ended."""
        reply = await self._following(self._call)
        try:
            if isinstance(reply.source, bytes):
                return self._whole(reply, reply.source, rung)
            if self._passes(self._call.attempt):
                reply.source = Watched(_chunks(reply), self._dialect, lambda events: self._judge_passed(events, rung))
                return reply
            return await self._buffered(reply, _chunks(reply), request, rung)
        except BaseException as error:
            ours = error if isinstance(error, FairleadError) else None
            reply.end(
                Outcome("cancelled" if ours is None else "error", _INVALID if ours is None else ours.status, ours)
            )
            raise

    def _passes(self, attempt: Attempt) -> bool:
        """Whether a stream goes out as it comes: only where it is text as the caller wants it."""
        if (attempt.structured or attempt.candidate.structured) != "native":
            return self._ladder.stream == "final" and attempt.structured != "tool"
        return self._ladder.stream != "buffer"

    # --- judging ---

    def _whole(self, reply: Reply, body: bytes, rung: Rung) -> Reply | None:
        answer = self._dialect.reply.decode(body)
        is_called = self._is_called(self._call.attempt)
        if is_called:
            answer = called_as_text(answer, self._tool)
        verdict = self._judged(outputs(answer, self._expected))
        if verdict.errors:
            self._refuse(reply, verdict)
            return None
        if verdict.texts or is_called:
            reply.source = self._dialect.reply.encode(rewritten(answer, verdict.texts))
        self._accept(verdict, rung)
        return reply

    async def _buffered(self, reply: Reply, source: Chunks, request: Request, rung: Rung) -> Reply | None:
        """Read a stream to its end before anything of it goes out."""
        decoder = self._dialect.streams.decoder()
        chunks: list[bytes] = []
        events: list[ChatEvent] = []
        async for chunk in source:
            chunks.append(chunk)
            events += decoder.feed(chunk)
        source.close()
        is_called = self._is_called(self._call.attempt)
        if is_called:
            events = calls_as_text(events, self._tool)
        verdict = self._judged(outputs(gathered(events), self._expected))
        if verdict.errors:
            self._refuse(reply, verdict)
            return None
        body = b"".join(chunks)
        if verdict.texts or is_called:
            encoder = self._dialect.streams.encoder(include_usage=request.include_usage)
            body = b"".join(map(encoder.encode, rewritten_events(events, verdict.texts))) + encoder.end()
        reply.source = Once(body, self._stage.now_ns())
        self._accept(verdict, rung)
        return reply

    def _judge_passed(self, events: Sequence[ChatEvent], rung: Rung) -> None:
        """The end of a stream that went out as it came: what it said can be refused, and not be changed any more.

        Raises:
            OutputInvalid: it does not fit as it is.
        """
        verdict = self._judged(outputs(gathered(events), self._expected))
        if verdict.texts and not verdict.errors:
            changed = tuple(
                FieldError(
                    path=edit.path, message=f"fits only after an edit ({edit.kind}), and the stream has gone out"
                )
                for edit in verdict.edits
            )
            verdict = Judged(rung=verdict.rung, errors=changed, output=verdict.output)
        if verdict.errors:
            self._refused = verdict
            raise self._exhausted()
        self._accept(verdict, rung)

    def _judged(self, found: Sequence[Output]) -> Judged:
        return judged(found, self._ladder, None if self._call.held is None else self._call.held.judge)

    def _is_called(self, attempt: Attempt) -> bool:
        """Whether the answer comes as a call of a tool that the caller knows nothing of."""
        return attempt.structured == "tool" and STATIC not in self._call.degraded

    # --- the end of an attempt ---

    def _refuse(self, reply: Reply, verdict: Judged) -> None:
        """The answer came, and does not fit: its provider did what it was asked to, and is paid."""
        self._refused = verdict
        reply.end(Outcome("ok", _INVALID, OutputInvalid.of(self._expected.name, verdict.errors)))

    def _accept(self, verdict: Judged, rung: Rung) -> None:
        self._call.value = verdict.value
        self._call.validated = self._validated(
            fits=True, rung=max(rung, verdict.rung, key=RUNGS.index), edits=verdict.edits
        )

    def _fallback(self) -> Reply | None:
        """The operator's value, where it fits what this caller asks for."""
        fallback, shape = self._ladder.fallback, self._expected.shape
        if fallback is None or shape is None:
            return None
        verdict = self._judged([Output(place=(0, None), text=fallback.decode(), shape=shape)])
        if verdict.errors:
            return None
        reply = self._stage.fixed(self._call, fallback.decode())
        if reply is not None:
            self._call.degraded.append(FALLBACK_VALUE)
            self._call.value = verdict.value
            self._call.validated = self._validated(fits=True, rung="fallback", edits=verdict.edits)
        return reply

    def _exhausted(self) -> OutputInvalid:
        refused = self._refused
        self._call.validated = self._validated(fits=False, rung=refused.rung, edits=refused.edits)
        return OutputInvalid.of(self._expected.name, refused.errors, tries=len(self._call.reasks))

    def _validated(self, *, fits: bool, rung: Rung, edits: tuple[Edit, ...]) -> Validated:
        name = self._expected.name
        return Validated(
            schema=name,
            label=name if name in self._ladder.schemas else "other",
            rung=rung,
            fits=fits,
            edits=edits,
            errors=self._refused.errors,
            reasks=len(self._call.reasks),
            output=self._refused.output.encode("utf-8", "replace") or None,
            lost=self._call.attempt.lost,
        )

    # --- what a re-ask may take ---

    def _next_request(self) -> Request | None:
        """The request for a re-ask, as much of the output in it as the window has room for; `None`: none may be sent."""
        refused, mark = self._refused, self._stage.mark()
        windows = [each.window for each in self._call.candidates if each.window is not None]
        room = (self._asked.max_output_tokens or _output_tokens(self._call)) + _ROLE_TOKENS
        before = _prompt_bound(self._call, self._asked)
        for size_bytes in SIZES:
            added = len(complaint(refused.output, refused.errors, mark, size_bytes).encode())
            if windows and before + added + room > min(windows):
                continue
            if not self._may_ask(before + added):
                return None
            return self._with(asked_again(self._chat, refused.output, refused.errors, mark, size_bytes), added)
        return None

    def _with(self, chat: Chat, added_bytes: int) -> Request:
        """The caller's request with other messages, in the caller's dialect."""
        asked = self._asked
        kept = {name: asked.fields[name] for name in ("model", "stream") if name in asked.fields}
        return msgspec.structs.replace(
            asked,
            fields=kept | top_level(self._dialect.request.encode(chat)),
            chat=chat,
            input_bytes=asked.input_bytes + added_bytes + _ROLE_TOKENS,
            prompt_tokens=None,
        )

    def _may_ask(self, prompt_tokens: int) -> bool:
        """Whether one more attempt, as large as the last one, stays within what all re-asks may take."""
        ladder, again = self._ladder, self._call.reasks
        if ladder.max_tokens is not None:
            used = sum(map(_tokens, again))
            if used + prompt_tokens + _output_tokens(self._call) > ladder.max_tokens:
                return False
        if ladder.max_nanousd is not None:
            spent = sum(attempt.cost_nanousd or 0 for attempt in again)
            if spent + (self._call.attempts[-1].cost_nanousd or 0) > ladder.max_nanousd:
                return False
        return True


def _chunks(reply: Reply) -> Chunks:
    source: Any = reply.source
    chunks: Chunks = source
    return chunks


def _tokens(attempt: Attempt) -> int:
    usage = attempt.usage
    return 0 if usage is None else usage.all_input_tokens + usage.all_output_tokens


def _prompt_bound(call: Call, request: Request) -> int:
    """Tokens of the request at most: as the first attempt counted them, else no more than its bytes."""
    usage = call.attempts[0].usage if call.attempts else None
    if usage is not None and call.attempts[0].usage_source == "final":
        return usage.all_input_tokens
    images = request.images * max((each.image_tokens for each in call.candidates), default=0)
    return request.input_bytes + images


def _output_tokens(call: Call) -> int:
    """What the last answer took to write."""
    usage = call.attempts[-1].usage if call.attempts else None
    return 0 if usage is None else usage.all_output_tokens
