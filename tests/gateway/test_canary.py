"""Secrets show up nowhere, whatever goes wrong (FAULTS X4, X6)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import openai
import pytest

from fairlead.testing import Answer, Canary, FakeUpstream, SeededRng, answers, openai_reply, openai_stream

CONFIG = """
[gateway]
auth = "{auth}"
[providers.up]
dialect = "openai"
base_url = "{base_url}"
api_key = "env:UPSTREAM_KEY"
allow_private = true
[models.m]
targets = ["up/gpt-4o-mini"]
price = {{ input = 1.0, output = 2.0 }}
timeouts = {{ first_token = 0.2, idle = 0.2, total = 0.4 }}
"""


def echoing(secret: str) -> dict[str, Answer]:
    """Answers of a provider, several of which echo the credential that they were sent."""
    says = {
        "error": {"message": f"Incorrect API key provided: {secret}", "type": "invalid_request_error", "code": None}
    }
    stream = openai_stream(["one", "two", "three"])
    return {
        "good": openai_reply("hello"),
        "good stream": stream,
        "401": answers.json(says, 401),
        "400": answers.json(says, 400),
        "429": answers.json(says, 429),
        "500": answers.json(says, 500),
        "error in a 200": answers.json(says),
        "error event": answers.sse([says]),
        "html": answers.html(200, f"<p>{secret}</p>"),
        "not http": answers.raw(f"garbage {secret}\r\n\r\n".encode()),
        "reset": answers.refuse(),
        "silence": answers.blackhole(),
        "late": openai_reply("late").latency(2.0),
        "cut": stream.limit_data(stream.offset(2)),
        "stalled": stream.stall(stream.offset(2)),
    }


async def call(client: openai.AsyncOpenAI, *, stream: bool) -> Any:
    """One call, read to its end; the answer, or the exception."""
    messages: Any = [{"role": "user", "content": "hi"}]
    try:
        if not stream:
            return await client.chat.completions.with_raw_response.create(model="m", messages=messages)
        async with await client.chat.completions.create(model="m", messages=messages, stream=True) as pieces:
            return [piece.model_dump_json() async for piece in pieces]
    except openai.APIError as error:
        return error


def put_out(result: Any) -> Any:
    """What a caller can see of a result."""
    if isinstance(result, openai.APIStatusError):
        return repr((str(result), result.response.headers, result.response.text))
    if isinstance(result, openai.APIError):
        return repr((str(result), result.body))
    if isinstance(result, list):
        return "".join(result)
    return repr((result.headers, result.text))


@pytest.mark.parametrize(
    "auth", ["keys", *(pytest.param(each, marks=pytest.mark.slow) for each in ("passthrough", "open"))]
)
@pytest.mark.timeout(60)
async def test_no_secret_comes_out_on_any_path(
    auth: str, begin: Callable[..., Awaitable[Any]], capfd: pytest.CaptureFixture[str]
) -> None:
    """Provider key, caller's key, admin key and root secret are in no answer, log, record, metric, file or exception."""
    canary = Canary(SeededRng(7))
    upstream_key, root = canary.make("provider"), canary.make("root")
    async with FakeUpstream() as upstream:
        text = CONFIG.format(auth=auth, base_url=upstream.base_url)
        gateway = await begin(text, {"UPSTREAM_KEY": upstream_key, "FAIRLEAD_SECRET": root})
        if auth == "keys":
            key = canary.plant("virtual", (await gateway.key("k1")).partition(".")[2])
            key = f"fl-k1.{key}"
        else:
            key = canary.make("callers")
        results = []
        with canary.logs():
            for name, answer in echoing(key if auth == "passthrough" else upstream_key).items():
                for stream in (False, True):
                    upstream.then(answer)
                    results.append((name, await call(gateway.sdk(key), stream=stream)))
            await raise_inside(canary, gateway, upstream)
            results.append(("wrong key", await call(gateway.sdk(canary.make("wrong")), stream=False)))
        await gateway.records()
        for name, result in results:
            canary.watch(f"answer to {name}", put_out(result))
        canary.watch("store and spool", gateway.foundation.root)
        canary.watch("repr", repr((gateway.foundation, gateway.runtime, gateway.foundation.credentials)))
        out = capfd.readouterr()
        canary.watch("stdout and stderr", out.out + out.err)
        canary.assert_absent()


async def raise_inside(canary: Canary, gateway: Any, upstream: FakeUpstream) -> None:
    """Watch the exceptions that pass through the pipeline, with the local variables of their frames."""
    from fairlead.call import Secret
    from fairlead.dialects.openai_chat import OPENAI_CHAT

    for answer in (answers.refuse(), answers.status(500), answers.raw(b"junk\r\n\r\n")):
        upstream.then(answer)
        body = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
        call = gateway.runtime.new_call(OPENAI_CHAT.request.read(body), body=body, credential=Secret("fl-none.none"))
        try:
            await asyncio.wait_for(gateway.runtime.pipeline(call), 5)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is searched
            canary.watch(f"exception {type(error).__name__}", error)
