"""One simulated provider: keys, models, limits, faults and the bill, in every dialect."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from fairlead.core.estimate import estimate_tokens, prompt_text, prompt_tokens
from fairlead.dialects import DIALECTS
from fairlead.dialects.codec import Dialect
from fairlead.errors import FairleadError, InvalidRequest, ModelNotFound, NotFound, RateLimited, Unauthenticated
from fairlead.ports import Clock
from fairlead.providers.sim.allowance import Allowance
from fairlead.providers.sim.bill import PRICES, Bill
from fairlead.providers.sim.caller import JSON, SAYS_SO, Caller
from fairlead.providers.sim.draws import Draws
from fairlead.providers.sim.embedding import EMBEDDING_MODELS, check, embedded
from fairlead.providers.sim.engine import answer
from fairlead.providers.sim.faults import Fault, FaultPlan
from fairlead.providers.sim.manners import Manners, manners_of
from fairlead.providers.sim.play import played, refused
from fairlead.providers.sim.routes import Routes, asked_model
from fairlead.providers.sim.script import Charge, End, Script, whole
from fairlead.providers.sim.settings import SimSettings
from fairlead.types import Chat, ChatReply, Embed, EmbedReply, Usage

_JSON = {**JSON, **SAYS_SO}
_CACHED_TOKENS = 1_024
_CACHED_BYTES = 4 * _CACHED_TOKENS
_REMEMBERED = 10_000
"""How many prompt beginnings the simulated prompt cache holds."""
_BATCH_TIERS = (msgspec.Raw(b'"batch"'), msgspec.Raw(b'"flex"'))
_BEARER = "bearer "
_KEY_HEADERS = ("x-api-key", "x-goog-api-key")


class Simulator:
    """Answers like a provider of any dialect and never passes for a model.

    Every answer carries `x-fairlead-simulated: true`, and every text begins with saying so.  Failed calls are not billed;
    one that broke off is billed for the text that was sent.

    Args:
        clock: for limits, and for faults that come and go; without one it is always the moment of the start.
        dialects: those that it speaks; all of them by default.
    """

    def __init__(
        self,
        settings: SimSettings | None = None,
        clock: Clock | None = None,
        *,
        dialects: Iterable[Dialect] = DIALECTS.values(),
    ) -> None:
        self._clock = clock
        self._began_ns = 0 if clock is None else clock.monotonic_ns()
        self._allowances: dict[tuple[str, str], Allowance] = {}
        self.settings = SimSettings() if settings is None else settings
        self.bill = Bill()
        self._faults = FaultPlan(self.settings.faults, self.settings.seed)
        self._routes = Routes(dialects)
        self._calls = 0
        self._prompts: dict[bytes, None] = {}

    def respond(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Script:
        """The answer to a request, not yet sent; lower-case header names."""
        if path in {"/sim/bill", "/health"}:
            return self._about_itself(f"{method} {path}")
        found = self._routes.post(path) if method == "POST" else None
        if found is not None:
            self._calls += 1
        dialect = self._routes.caller(path, headers) if found is None else found[0]
        caller = self._caller(dialect, headers)
        key = self.settings.api_key
        if key is not None and caller.key != key:
            return caller.refusal(Unauthenticated("Incorrect API key provided."))
        if found is not None:
            return self._called(caller, found[1], body)
        model = asked_model(path) if method == "GET" else None
        if model is None:
            return caller.refusal(NotFound(f"Unknown request URL: {method} {path}."))
        return self._models(caller, model)

    def _about_itself(self, route: str) -> Script:
        if route == "GET /health":
            return whole(200, b'{"status":"ok"}', _JSON)
        if route == "DELETE /sim/bill":
            self.bill.clear()
        return whole(200, self.bill.encode(), _JSON)

    def _caller(self, dialect: Dialect, headers: Mapping[str, str]) -> Caller:
        bearer = headers.get("authorization", "")
        key = bearer[len(_BEARER) :] if bearer.lower().startswith(_BEARER) else ""
        return Caller(
            dialect=dialect,
            manners=manners_of(dialect.name),
            request_id=f"req_{self._name}",
            key=next((headers[name] for name in _KEY_HEADERS if not key and name in headers), key),
        )

    @property
    def _name(self) -> str:
        """Of the call at hand, in ids."""
        return f"sim{self.settings.seed}-{self._calls}"

    def _models(self, caller: Caller, model: str) -> Script:
        if model and model not in PRICES:
            return caller.refusal(_no_model(model))
        dialect = caller.dialect
        told = dialect.model(model) if model else dialect.models(list(PRICES))
        return whole(200, msgspec.json.encode(told), {**caller.headers, **JSON})

    def _called(self, caller: Caller, path: str, body: bytes) -> Script:
        try:
            request = caller.dialect.request.read(body, path)
            asked = caller.dialect.request.decode(request.fields)
            is_count = request.operation == "count"
            _demand(asked, request.fields, caller.manners, is_count=is_count)
            if isinstance(asked, Embed):
                check(asked)
        except InvalidRequest as error:
            return caller.refusal(error)
        if request.goes_on_from is not None:
            return caller.refusal(_not_kept(*request.goes_on_from))
        if isinstance(asked, Chat):
            asked = msgspec.structs.replace(asked, stream=request.stream, include_usage=request.include_usage)
        fault = self._fault(asked.model, caller.key)
        script = None if fault is None else refused(fault, caller, is_stream=request.stream)
        if script is not None:
            script.pause_s = self.settings.latency_s
            return script
        if asked.model not in _models_for(asked) and not self.settings.any_model:
            return caller.refusal(_no_model(asked.model, asked))
        if is_count and caller.dialect.count is not None:
            counted = msgspec.json.encode(caller.dialect.count(prompt_tokens(asked)))
            return whole(200, counted, {**caller.headers, **JSON}, pause_s=self.settings.latency_s)
        return self._answered(caller, asked, fault)

    def _answered(self, caller: Caller, asked: Chat | Embed, fault: Fault | None) -> Script:
        settings = self.settings
        name = asked.model if asked.model in _models_for(asked) else f"sim:{asked.model}"
        call_id = f"{caller.manners.id_prefix}{self._name}"
        reply: ChatReply | EmbedReply
        if isinstance(asked, Embed):
            reply = embedded(asked, model=name, seed=settings.seed)
        else:
            prompt = self._prompt(asked, caller.manners)
            reply = answer(asked, caller.manners, call_id=call_id, model=name, seed=settings.seed, prompt=prompt)
        usage = reply.usage or Usage()
        refusal, standing = self._take(caller, asked, usage)
        if refusal is not None:
            return caller.refusal(refusal, standing, pause_s=settings.latency_s)
        charge = self._charge(call_id, name, asked, usage, counts_first=caller.manners.counts_first)
        return played(caller, asked, reply, headers=standing, settings=settings, fault=fault, charge=charge)

    @property
    def _now_s(self) -> float:
        """Since the start."""
        return 0.0 if self._clock is None else (self._clock.monotonic_ns() - self._began_ns) / 1e9

    def _take(self, caller: Caller, asked: Chat | Embed, usage: Usage) -> tuple[FairleadError | None, dict[str, str]]:
        """Charge an answer to the limits, or refuse it; and the headers about them."""
        if self.settings.limits is None:
            return None, {}
        allowance = self._allowances.get((caller.key, asked.model))
        if allowance is None:
            allowance = self._allowances[caller.key, asked.model] = Allowance(self.settings.limits, self._now_s)
        written = usage.all_output_tokens
        limit = asked.max_output_tokens if isinstance(asked, Chat) else None
        most = written if limit is None else limit
        wait_s = allowance.take(self._now_s, prompt=usage.all_input_tokens, output=written, most=most)
        at_s = 0.0 if self._clock is None else self._clock.now_ns() / 1e9
        headers = allowance.headers(wait_s, at_s, caller.manners.standing)
        if wait_s <= 0:
            return None, headers
        requests = allowance.standing().meters.get("requests")
        kind = "requests" if requests is not None and requests.remaining < 1 else "tokens"
        return RateLimited(f"Rate limit reached for {kind}.", kind=kind, retry_after_s=wait_s), headers

    def _fault(self, model: str, key: str) -> Fault | None:
        settings = self.settings
        if settings.error_rate and Draws(settings.seed, "error", self._calls).chance(settings.error_rate):
            return Fault(kind="status")
        return self._faults.choose(self._calls, model, key=key, at_s=self._now_s)

    def _prompt(self, chat: Chat, manners: Manners) -> Usage:
        """The input, and what of it the prompt cache had: of a prompt that was seen before its first 1,024 tokens."""
        whole_tokens = prompt_tokens(chat)
        text = prompt_text(chat)
        is_cached = not manners.caches_on_request or _marks_a_point(chat)
        if len(text) < _CACHED_BYTES or not is_cached:
            return Usage(input_tokens=whole_tokens)
        rest = whole_tokens - _CACHED_TOKENS
        digest = hashlib.blake2b(text[:_CACHED_BYTES], digest_size=16).digest()
        if digest in self._prompts:
            return Usage(input_tokens=rest, cache_read_tokens=_CACHED_TOKENS)
        if len(self._prompts) >= _REMEMBERED:
            del self._prompts[next(iter(self._prompts))]
        self._prompts[digest] = None
        if manners.caches_on_request:
            return Usage(input_tokens=rest, cache_write_5m_tokens=_CACHED_TOKENS)
        return Usage(input_tokens=whole_tokens)

    def _charge(self, call_id: str, model: str, asked: Chat | Embed, usage: Usage, *, counts_first: bool) -> Charge:
        is_batch = asked.extra.get("service_tier") in _BATCH_TIERS

        def charge(sent: str, how: End | Literal["left"]) -> None:
            billed = usage
            is_whole = how == "whole" or (how == "left" and self.settings.bills_after_disconnect)
            if not is_whole:
                if not sent:
                    return  # it failed before it said anything
                prompt = usage if counts_first else Usage(input_tokens=prompt_tokens(asked))
                billed = msgspec.structs.replace(prompt, output_tokens=estimate_tokens(sent), reasoning_tokens=0)
            self.bill.charge(call_id, model, billed, _OUTCOMES[how], is_batch=is_batch)

        return charge


_OUTCOMES: Mapping[str, Literal["ok", "cut", "disconnected"]] = {
    "whole": "ok",
    "broken": "cut",
    "silent": "cut",
    "left": "disconnected",
}


def _demand(asked: Chat | Embed, fields: Mapping[str, msgspec.Raw], manners: Manners, *, is_count: bool) -> None:
    """Refuse what no provider takes."""
    if isinstance(asked, Chat) and not asked.messages:
        raise InvalidRequest(f"`{manners.messages}` must not be empty.", param=manners.messages)
    for name in () if is_count else manners.required:
        if name not in fields:
            raise InvalidRequest(f"`{name}` is required.", param=name)


def _marks_a_point(chat: Chat) -> bool:
    """Whether the request says up to where its prompt is to be cached."""
    kept = [chat, *chat.tools, *chat.messages, *(part for message in chat.messages for part in message.parts)]
    return any(getattr(each, "cache", None) is not None for each in kept)


def _models_for(asked: Chat | Embed) -> tuple[str, ...]:
    is_embed = isinstance(asked, Embed)
    return tuple(name for name in PRICES if (name in EMBEDDING_MODELS) == is_embed)


def _not_kept(param: str, name: str) -> InvalidRequest:
    return InvalidRequest(f"Nothing with id {name[:200]!r} was found; the simulator keeps no answers.", param=param)


def _no_model(name: str, asked: Chat | Embed | None = None) -> ModelNotFound:
    """Says which models do what was asked; without that, which there are."""
    fit = PRICES if asked is None else _models_for(asked)
    there = ", ".join(f"`{each}`" for each in fit)
    if asked is None or name not in PRICES:
        return ModelNotFound(f"The model `{name}` does not exist; the simulator has {there}.")
    lack = "makes no embeddings" if isinstance(asked, Embed) else "answers no chats"
    return ModelNotFound(f"`{name}` {lack}; {there} {'does' if len(fit) == 1 else 'do'}.")
