"""One call that is held to a schema: asked, judged, asked again, until its answer fits or every remedy is used up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from fairlead.call import FALLBACK_VALUE, STATIC, Attempt, Call, Candidate, Outcome, Request
from fairlead.core.jsontop import top_level
from fairlead.dialects.codec import Dialect
from fairlead.dialects.once import Once
from fairlead.errors import DeadlineExceeded, FairleadError, OutputInvalid, UpstreamError, UpstreamProtocol
from fairlead.pipeline import Chunks, Next, Reply
from fairlead.types import Chat, ChatEvent, ChatReply
from fairlead.validation.allowance import MESSAGE_TOKENS, NotAllowed, output_limit, prompt_bound
from fairlead.validation.answers import Output, called_as_text, calls_as_text, gathered, rewritten, rewritten_events
from fairlead.validation.expected import Expected
from fairlead.validation.judged import Judged, judged, judged_outputs
from fairlead.validation.reask import SIZES, asked_again, complaint
from fairlead.validation.rules import Ladder
from fairlead.validation.shaping.modes import tool_name
from fairlead.validation.watched import MOST_BYTES, Watched
from fairlead.verdict import RUNGS, Edit, FieldError, Rung, Validated

_CAME: Final = 200
"""The status of an answer that came and does not fit."""

Static = Callable[[Call, str], Reply | None]
"""A reply that no provider gave, in the caller's dialect."""
Expand = Callable[[str], tuple[Candidate, ...]]
"""The candidates behind a name of `[models]`."""


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """What holding a call needs from outside of it."""

    mark: Callable[[], str]
    """Makes a word that no output can foresee."""
    now_ns: Callable[[], int]
    """Monotonic."""
    stronger: Expand
    """Who is asked when asking again has failed."""
    fixed: Static
    """Makes an answer of a text of the operator's."""


class Holding:
    """The way of one call up the ladder.

    Args:
        chat: its request in neutral form.
        expected: what its answer has to fit.
    """

    def __init__(
        self,
        tools: Tools,
        call: Call,
        following: Next,
        ladder: Ladder,
        dialect: Dialect,
        chat: Chat,
        expected: Expected,
    ) -> None:
        self._tools = tools
        self._call = call
        self._following = following
        self._ladder = ladder
        self._dialect = dialect
        self._chat = chat
        self._expected = expected
        self._asked = call.request
        self._candidates = call.candidates
        self._refused = Judged()
        """What was found out about the last output that does not fit."""
        self._unanswered: FairleadError | None = None
        """Why nobody answered, or not to the end, when it was asked last."""

    async def run(self) -> Reply:
        """An answer that fits, or a stream that is held to it.

        Raises:
            OutputInvalid: there is none.
            FairleadError: nobody answered.
        """
        reply = await self._fitting("parse")
        self._call.answered_first = len(self._call.attempts)
        if reply is None and self._may("reask"):
            reply = await self._again()
        if reply is None and self._may("escalate"):
            reply = await self._escalated()
        if reply is None and self._ladder.allows("fallback"):
            reply = self._fallback()
        if reply is None:
            raise self._exhausted()
        return reply

    def _may(self, rung: Rung) -> bool:
        """Whether a model may be asked once more: not where there was none to ask."""
        return self._ladder.allows(rung) and STATIC not in self._call.degraded

    # --- asking ---

    async def _again(self) -> Reply | None:
        for _ in range(self._ladder.attempts):
            try:
                request = self._next_request()
            except NotAllowed as error:
                self._add(str(error), "limit")
                return None
            reply = await self._tried(request, "reask")
            if reply is not None or self._unanswered is not None:
                return reply
        return None

    async def _escalated(self) -> Reply | None:
        name = self._ladder.escalate
        stronger = () if name is None else tuple(filter(self._may_take, self._tools.stronger(name)))
        if not stronger:
            return None
        try:
            bound = prompt_bound(self._call, self._asked, stronger)
            limit = output_limit(self._call, self._ladder, self._asked, stronger, bound)
        except NotAllowed as error:
            self._add(str(error), "limit")
            return None
        self._call.candidates = stronger
        try:
            return await self._tried(self._with("", limit), "escalate")
        finally:
            self._call.candidates = self._candidates

    def _may_take(self, candidate: Candidate) -> bool:
        """Whether a call may go there: what a provider keeps lies with it, and a caller's key is for one provider."""
        before = self._candidates[0]
        if self._asked.goes_on_from is not None:
            return (candidate.provider, candidate.credential) == (before.provider, before.credential)
        return self._asked.credential is None or candidate.provider == before.provider

    async def _tried(self, request: Request, rung: Rung) -> Reply | None:
        """Ask once more; whoever cannot answer now does not keep the next rung from its turn."""
        self._call.request, self._unanswered = request, None
        try:
            return await self._fitting(rung)
        except DeadlineExceeded:
            raise
        except FairleadError as error:
            self._add(f"asking again failed: {error.message}", error.code)
            self._unanswered = error
            return None
        finally:
            self._call.request = self._asked

    async def _fitting(self, rung: Rung) -> Reply | None:
        """Ask below; the reply if it fits, and nothing if it does not, which is then ended."""
        reply = await self._following(self._call)
        try:
            if isinstance(reply.source, bytes):
                return self._whole(reply, reply.source, rung)
            source = _chunks(reply)
            if self._passes(self._call.attempt):
                reply.source = Watched(source, self._dialect, lambda events: self._over(events, rung))
                return reply
            return await self._held_back(reply, source, rung)
        except BaseException as error:
            ours = error if isinstance(error, FairleadError) else None
            reply.end(Outcome("cancelled") if ours is None else Outcome("error", ours.status, ours))
            raise

    def _passes(self, attempt: Attempt) -> bool:
        """Whether a stream goes out as it comes: only where it is text as the caller wants it."""
        if self._is_shown:
            return True
        if self._ladder.stream is not None:
            return self._ladder.stream == "final" and attempt.structured != "tool"
        return attempt.enforced and not self._expected.offered

    @property
    def _is_shown(self) -> bool:
        return self._call.held is not None and self._call.held.is_shown

    # --- judging ---

    def _whole(self, reply: Reply, body: bytes, rung: Rung) -> Reply | None:
        answer = self._dialect.reply.decode(body)
        tool = self._standing_tool(self._call.attempt)
        if tool is not None:
            answer = called_as_text(answer, tool)
        verdict = self._judged(answer)
        if self._is_refused(reply, verdict):
            return None
        if verdict.texts or tool is not None:
            reply.source = self._dialect.reply.encode(rewritten(answer, verdict.texts, verdict.calls))
        self._accept(verdict, rung)
        return reply

    async def _held_back(self, reply: Reply, source: Chunks, rung: Rung) -> Reply | None:
        """Read a stream to its end before anything of it goes out; one that breaks off can be asked for again."""
        decoder = self._dialect.streams.decoder()
        chunks: list[bytes] = []
        events: list[ChatEvent] = []
        size_bytes = 0
        try:
            async for chunk in source:
                chunks.append(chunk)
                events += decoder.feed(chunk)
                size_bytes += len(chunk)
                if size_bytes > MOST_BYTES:
                    raise UpstreamProtocol("the answer is too large to be held to a schema")
        except UpstreamError as error:
            if rung == "parse" and self._may("reask"):
                reply.end(Outcome("error", error.status, error))
                self._unanswered = error
                self._note_failed()
                return None
            raise
        source.close()
        tool = self._standing_tool(self._call.attempt)
        if tool is not None:
            events = calls_as_text(events, tool)
        verdict = self._judged(gathered(events))
        if self._is_refused(reply, verdict):
            return None
        body = b"".join(chunks)
        if verdict.texts or tool is not None:
            encoder = self._dialect.streams.encoder(include_usage=self._asked.include_usage)
            written = rewritten_events(events, verdict.texts, verdict.calls)
            body = b"".join(map(encoder.encode, written)) + encoder.end()
        reply.source = Once(body, self._tools.now_ns())
        self._accept(verdict, rung)
        return reply

    def _over(self, events: Sequence[ChatEvent], rung: Rung) -> None:
        """The end of a stream that went out as it came: what it said can be refused, and not be changed any more.

        Raises:
            OutputInvalid: it does not fit; nor does what would fit after an edit, unless only the caller's library
                has seen it.
        """
        tool = self._standing_tool(self._call.attempt)
        verdict = self._judged(gathered(events if tool is None else calls_as_text(events, tool)))
        if self._passes_on(verdict):
            self._note_refusal(verdict)
            return
        if verdict.texts and not verdict.errors and not self._is_shown and not verdict.fits_as_written:
            verdict = Judged(rung=verdict.rung, errors=tuple(map(_too_late, verdict.edits)), output=verdict.output)
        if verdict.errors:
            self._refused = verdict
            raise self._exhausted()
        self._accept(verdict, rung)

    def _judged(self, answer: ChatReply) -> Judged:
        return judged(answer, self._expected, self._ladder, self._judge)

    @property
    def _judge(self) -> Any:
        return None if self._call.held is None else self._call.held.judge

    def _standing_tool(self, attempt: Attempt) -> str | None:
        """The tool that stands for the answer, which the caller knows nothing of."""
        wanted = self._call.request.wanted
        is_called = wanted is not None and attempt.structured == "tool" and STATIC not in self._call.degraded
        return tool_name(wanted) if is_called and wanted is not None else None

    # --- the end of an attempt ---

    def _is_refused(self, reply: Reply, verdict: Judged) -> bool:
        """Whether it is not given; then it is ended: its provider did what it was asked to, and is paid."""
        if not verdict.errors:
            return False
        if self._passes_on(verdict):
            self._note_refusal(verdict)
            return False
        self._refused = verdict
        reply.end(Outcome("ok", _CAME, OutputInvalid.of(self._expected.name, verdict.errors)))
        self._note_failed()
        return True

    def _passes_on(self, verdict: Judged) -> bool:
        """Whether a refusal goes to the caller: not to one who wants a value, or has one for this."""
        return verdict.is_refusal and self._judge is None and self._ladder.fallback is None

    def _note_refusal(self, verdict: Judged) -> None:
        self._refused = verdict
        self._note_failed()

    def _add(self, message: str, kind: str) -> None:
        errors = (*self._refused.errors, FieldError(path="", message=message, kind=kind))
        self._refused = msgspec.structs.replace(self._refused, errors=errors)

    def _accept(self, verdict: Judged, rung: Rung) -> None:
        if verdict.errors:
            return  # a refusal, which is noted
        self._call.value = verdict.value
        highest = max(rung, verdict.rung, key=RUNGS.index)
        self._call.validated = self._validated(fits=True, rung=highest, edits=verdict.edits)

    def _fallback(self) -> Reply | None:
        """The operator's value, where it fits what this caller asks for."""
        fallback, shape = self._ladder.fallback, self._expected.shape
        if fallback is None or shape is None:
            return None
        text = fallback.decode()
        verdict = judged_outputs([Output(place=(0, None), text=text, shape=shape)], self._ladder, self._judge)
        if verdict.errors:
            return None
        reply = self._tools.fixed(self._call, text)
        if reply is not None:
            self._call.degraded.append(FALLBACK_VALUE)
            self._call.value = verdict.value
            self._call.validated = self._validated(fits=True, rung="fallback", edits=verdict.edits)
        return reply

    def _exhausted(self) -> FairleadError:
        """The error for the caller."""
        self._note_failed()
        if self._unanswered is not None and not self._refused.output:
            return self._unanswered  # there never was an answer
        return OutputInvalid.of(self._expected.name, self._refused.errors, tries=len(self._call.reasks))

    def _note_failed(self) -> None:
        refused = self._refused
        self._call.validated = self._validated(fits=False, rung=refused.rung, edits=refused.edits)

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

    # --- the next request ---

    def _next_request(self) -> Request:
        """The request for a re-ask, as much of the output in it as there is room for.

        Raises:
            NotAllowed: none may be sent.
        """
        refused, candidates, mark = self._refused, self._candidates, self._tools.mark()
        bound = prompt_bound(self._call, self._asked, candidates) + MESSAGE_TOKENS
        if not refused.errors:  # it broke off: the same again
            return self._with("", output_limit(self._call, self._ladder, self._asked, candidates, bound))
        why = NotAllowed("asking again is not possible")
        for size_bytes in SIZES:
            text = complaint(refused.output, refused.errors, mark, size_bytes, refused.tool)
            try:
                limit = output_limit(self._call, self._ladder, self._asked, candidates, bound + len(text.encode()))
            except NotAllowed as error:
                why = error
                continue
            return self._with(text, limit)
        raise why

    def _with(self, text: str, limit: int | None) -> Request:
        """The caller's request in the caller's dialect, with a message more and less room for the answer."""
        asked = self._asked
        if not text and limit is None:
            return asked
        chat = asked_again(self._chat, text, limit)
        kept = {name: asked.fields[name] for name in ("model", "stream") if name in asked.fields}
        return msgspec.structs.replace(
            asked,
            fields=kept | top_level(self._dialect.request.encode(chat)),
            chat=chat,
            input_bytes=asked.input_bytes + len(text.encode()) + MESSAGE_TOKENS,
            max_output_tokens=asked.max_output_tokens if limit is None else limit,
            prompt_tokens=None,
        )


def _too_late(edit: Edit) -> FieldError:
    return FieldError(path=edit.path, message=f"fits only after an edit ({edit.kind}), and the stream has gone out")


def _chunks(reply: Reply) -> Chunks:
    source: Any = reply.source
    chunks: Chunks = source
    return chunks
