"""One simulated provider: routes, keys, models, faults and the bill."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Literal

import msgspec

from fairlead.core.estimate import estimate_tokens, prompt_text, prompt_tokens
from fairlead.dialects.openai_chat import request as request_codec
from fairlead.dialects.openai_chat.errors import error_body
from fairlead.errors import InvalidRequest
from fairlead.ports import Clock
from fairlead.providers.sim import embedding
from fairlead.providers.sim.allowance import Allowance
from fairlead.providers.sim.bill import PRICES, Bill
from fairlead.providers.sim.draws import Draws
from fairlead.providers.sim.engine import answer
from fairlead.providers.sim.faults import Fault, FaultPlan
from fairlead.providers.sim.play import played, refused
from fairlead.providers.sim.script import Charge, End, Script, whole
from fairlead.providers.sim.settings import SimSettings
from fairlead.types import Chat, ChatReply, Usage

_SAYS_SO = {"x-fairlead-simulated": "true"}
_JSON = {"content-type": "application/json", **_SAYS_SO}
_CACHED_TOKENS = 1_024
_CACHED_BYTES = 4 * _CACHED_TOKENS
_REMEMBERED = 10_000
"""How many prompt beginnings the simulated prompt cache holds."""
_BATCH_TIERS = (msgspec.Raw(b'"batch"'), msgspec.Raw(b'"flex"'))


class Simulator:
    """Answers like an OpenAI-compatible provider and never passes for a model.

    Every answer carries `x-fairlead-simulated: true` and its own `system_fingerprint`, and every text begins with
    saying so.  Failed calls are not billed; one that broke off is billed for the text that was sent.

    Args:
        clock: for limits, and for faults that come and go; without one it is always the moment of the start.
    """

    def __init__(self, settings: SimSettings | None = None, clock: Clock | None = None) -> None:
        self._clock = clock
        self._began_ns = 0 if clock is None else clock.monotonic_ns()
        self._allowances: dict[tuple[str, str], Allowance] = {}
        self.settings = SimSettings() if settings is None else settings
        self.bill = Bill()
        self._faults = FaultPlan(self.settings.faults, self.settings.seed)
        self._calls = 0
        self._prompts: dict[bytes, None] = {}

    def respond(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Script:  # noqa: PLR0911 - a table of routes
        """The answer to a request, not yet sent; lower-case header names."""
        route = f"{method} {path.removeprefix('/v1')}"
        if route == "GET /health":
            return whole(200, b'{"status":"ok"}', _JSON)
        if route == "GET /sim/bill":
            return whole(200, self.bill.encode(), _JSON)
        if route == "DELETE /sim/bill":
            self.bill.clear()
            return whole(200, self.bill.encode(), _JSON)
        if not self._is_let_in(headers):
            return _refusal(401, "Incorrect API key provided.", "invalid_api_key")
        if route == "GET /models":
            return whole(200, _models(), _JSON)
        if route == "POST /chat/completions":
            return self._complete(body, headers.get("authorization", "").removeprefix("Bearer "))
        if route == "POST /embeddings":
            return self._embed(body, headers.get("authorization", "").removeprefix("Bearer "))
        return _refusal(404, f"Unknown request URL: {method} {path}.", "unknown_url")

    def _is_let_in(self, headers: Mapping[str, str]) -> bool:
        key = self.settings.api_key
        return key is None or headers.get("authorization") == f"Bearer {key}"

    def _complete(self, body: bytes, key: str) -> Script:
        self._calls += 1
        number = self._calls
        try:
            chat = request_codec.decode(request_codec.read(body).fields)
        except InvalidRequest as error:
            return _refusal(400, error.message, "invalid_value", param=error.param)
        if not chat.messages:
            return _refusal(400, "`messages` must not be empty.", "empty_array", param="messages")
        headers = {**_SAYS_SO, "x-request-id": f"req_sim{self.settings.seed}-{number}"}
        fault = self._fault(number, chat.model, key)
        script = None if fault is None else refused(fault, headers, is_stream=chat.stream)
        if script is not None:
            script.pause_s = self.settings.latency_s
            return script
        return self._answered(chat, number, key, headers, fault)

    def _answered(self, chat: Chat, number: int, key: str, headers: Mapping[str, str], fault: Fault | None) -> Script:
        settings = self.settings
        known = PRICES.keys() - embedding.EMBEDDING_MODELS
        if chat.model not in known and not settings.any_model:
            return _no_model(chat.model, known)
        name = chat.model if chat.model in known else f"sim:{chat.model}"
        call_id = f"chatcmpl-sim{settings.seed}-{number}"
        cached = self._cached_tokens(chat)
        reply = answer(chat, call_id=call_id, model=name, seed=settings.seed, cached_tokens=cached)
        wait_s, standing = self._take(chat.model, key, reply.usage or Usage(), chat.max_output_tokens)
        if wait_s > 0:
            return _limited({**headers, **standing}, settings.latency_s)
        return played(chat, reply, {**headers, **standing}, settings, fault, self._charge(chat, reply))

    def _embed(self, body: bytes, key: str) -> Script:
        self._calls += 1
        number, settings = self._calls, self.settings
        try:
            embed = embedding.read(body)
        except InvalidRequest as error:
            return _refusal(400, error.message, "invalid_value", param=error.param)
        headers = {**_SAYS_SO, "x-request-id": f"req_sim{settings.seed}-{number}"}
        fault = self._fault(number, embed.model, key)
        script = None if fault is None else refused(fault, headers, is_stream=False)
        if script is not None:
            script.pause_s = settings.latency_s
            return script
        known = embedding.EMBEDDING_MODELS
        if embed.model not in known and not settings.any_model:
            return _no_model(embed.model, known)
        name = embed.model if embed.model in known else f"sim:{embed.model}"
        reply = embedding.embedded(embed, model=name, seed=settings.seed)
        usage = reply.usage or Usage()
        wait_s, standing = self._take(embed.model, key, usage, 0)
        if wait_s > 0:
            return _limited({**headers, **standing}, settings.latency_s)
        charge = self._charge_whole(f"embd-sim{settings.seed}-{number}", name, usage)
        return embedding.played(reply, {**headers, **standing}, settings, fault, charge)

    def _charge_whole(self, call_id: str, model: str, usage: Usage) -> Charge:
        """Charge what is given in one piece: all of it, or nothing."""

        def charge(_: str, how: End | Literal["left"]) -> None:
            if how == "whole" or (how == "left" and self.settings.bills_after_disconnect):
                self.bill.charge(call_id, model, usage, _OUTCOMES[how])

        return charge

    @property
    def _now_s(self) -> float:
        """Since the start."""
        return 0.0 if self._clock is None else (self._clock.monotonic_ns() - self._began_ns) / 1e9

    def _take(self, model: str, key: str, usage: Usage, most: int | None) -> tuple[float, dict[str, str]]:
        """Charge an answer to the limits, or say how long they need; and the headers about them."""
        if self.settings.limits is None:
            return 0.0, {}
        allowance = self._allowances.get((key, model))
        if allowance is None:
            allowance = self._allowances[key, model] = Allowance(self.settings.limits, self._now_s)
        written = usage.all_output_tokens
        prompt = usage.all_input_tokens
        wait_s = allowance.take(self._now_s, prompt=prompt, output=written, most=written if most is None else most)
        return wait_s, allowance.headers(wait_s)

    def _fault(self, number: int, model: str, key: str) -> Fault | None:
        settings = self.settings
        if settings.error_rate and Draws(settings.seed, "error", number).chance(settings.error_rate):
            return Fault(kind="status")
        return self._faults.choose(number, model, key=key, at_s=self._now_s)

    def _cached_tokens(self, chat: Chat) -> int:
        """The prompt cache: a prompt whose first 1,024 tokens were seen before reads those from it."""
        prompt = prompt_text(chat)
        if len(prompt) < _CACHED_BYTES:
            return 0
        digest = hashlib.blake2b(prompt[:_CACHED_BYTES], digest_size=16).digest()
        if digest in self._prompts:
            return _CACHED_TOKENS
        if len(self._prompts) >= _REMEMBERED:
            del self._prompts[next(iter(self._prompts))]
        self._prompts[digest] = None
        return 0

    def _charge(self, chat: Chat, reply: ChatReply) -> Charge:
        is_batch = chat.extra.get("service_tier") in _BATCH_TIERS

        def charge(sent: str, how: End | Literal["left"]) -> None:
            usage = reply.usage or Usage()
            is_whole = how == "whole" or (how == "left" and self.settings.bills_after_disconnect)
            if not is_whole:
                if not sent:
                    return  # it failed before it said anything
                usage = Usage(input_tokens=prompt_tokens(chat), output_tokens=estimate_tokens(sent))
            outcome = _OUTCOMES[how]
            self.bill.charge(reply.id, reply.model, usage, outcome, is_batch=is_batch)

        return charge


_OUTCOMES: Mapping[str, Literal["ok", "cut", "disconnected"]] = {
    "whole": "ok",
    "broken": "cut",
    "silent": "cut",
    "left": "disconnected",
}


def _refusal(status: int, message: str, code: str, *, param: str | None = None) -> Script:
    return whole(status, error_body(message, kind="invalid_request_error", code=code, param=param), _JSON)


def _limited(headers: Mapping[str, str], latency_s: float) -> Script:
    refusal = error_body("Rate limit reached.", kind="tokens", code="rate_limit_exceeded")
    return whole(429, refusal, {**headers, **_JSON}, pause_s=latency_s)


def _no_model(model: str, known: Collection[str]) -> Script:
    message = f"The model `{model}` does not exist; the simulator has {', '.join(sorted(known))}."
    return _refusal(404, message, "model_not_found", param="model")


def _models() -> bytes:
    rows = [{"id": name, "object": "model", "created": 0, "owned_by": "fairlead-simulator"} for name in PRICES]
    return msgspec.json.encode({"object": "list", "data": rows})
