"""Where requests go, where secrets do not, and what a model's words can do (FAULTS X)."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import subprocess
import zlib
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import psutil
import pytest

from fairlead.config.build_keeper import build_keeper
from fairlead.keeper.app import create_app
from fairlead.testing import Answer, Canary, FakeUpstream, SeededRng, answers, openai_reply, openai_stream
from faults.front import BODY, CHAT, ENVIRON, MESSAGES, UPSTREAM, Begin, ask, chat, connection, request
from processes import CLEAN_ENVIRONMENT, FAIRLEAD

DESTINATIONS = (
    "api_base", "api_key", "api_type", "api_version", "azure_endpoint", "base_url", "custom_host", "custom_llm_provider",
    "extra_body", "extra_headers", "extra_query", "headers", "proxies", "proxy",
)  # fmt: skip
HEADERS = (
    "x-base-url", "x-api-base", "x-portkey-custom-host", "x-portkey-config", "api-key", "x-upstream", "x-forwarded-host",
    "x-forwarded-proto", "forwarded", "x-original-url", "x-rewrite-url", "x-host", "proxy-authorization", "cookie",
    "x-fairlead-base-url", "x-fairlead-provider", "x-litellm-api-base", "helicone-target-url", "traceparent",
)  # fmt: skip


async def test_x1_no_field_of_a_body_names_a_destination(begin: Begin) -> None:
    """At the top of a body such a field is a 400; deeper down it is the provider's business; nothing is ever sent there."""
    async with FakeUpstream() as evil, FakeUpstream() as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)
        for name, value in product(DESTINATIONS, (evil.base_url, {"base_url": evil.base_url}, None)):
            answer = await ask(gateway, "POST", CHAT, BODY | {name: value})
            assert (answer.status, answer.json["error"]["param"]) == (400, name)
        assert upstream.requests == []
        nested = dict.fromkeys(DESTINATIONS, evil.base_url)
        for fields in (
            {"metadata": nested},
            {"messages": [{**MESSAGES[0], **nested}]},
            {"tools": [{"type": "function", "function": {"name": "f", **nested}}]},
            {"stream_options": nested},
            {"user": evil.base_url},
            {"model": evil.base_url},
            {"model": f"{evil.base_url}#m"},
            {"model": "evil/../../x"},
            {"x_url": evil.base_url, "endpoint": evil.origin, "url": evil.origin, "target": nested},
        ):
            assert (await ask(gateway, "POST", CHAT, BODY | fields)).status == 200, fields

    assert evil.connections == 0
    assert {received.path for received in upstream.requests} == {"/v1/chat/completions"}
    assert {received.headers["authorization"] for received in upstream.requests} == {"Bearer sk-upstream"}


async def test_x1_no_header_names_a_destination(begin: Begin) -> None:
    """Headers of other gateways and of proxies are not obeyed, and not passed on either."""
    async with FakeUpstream() as evil, FakeUpstream() as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)
        for name in HEADERS:
            assert (await chat(gateway, headers={name: evil.base_url})).status == 200, name
        assert (await chat(gateway, headers={"host": f"127.0.0.1:{evil.port}"})).status == 200

    assert evil.connections == 0
    assert len(upstream.requests) == len(HEADERS) + 1
    for received in upstream.requests:
        assert set(received.headers) == {
            "host", "content-type", "content-length", "accept-encoding", "user-agent", "authorization"
        }  # fmt: skip
        assert received.headers["host"] == f"127.0.0.1:{upstream.port}"


async def test_x1_no_request_target_names_a_destination(begin: Begin) -> None:
    """An absolute target, as to a proxy, is refused, and CONNECT is too."""
    async with FakeUpstream() as evil, FakeUpstream() as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)
        for method, target in (("POST", f"{evil.origin}{CHAT}"), ("CONNECT", f"127.0.0.1:{evil.port}"), ("GET", "*")):
            async with connection(gateway) as (reader, writer):
                writer.write(request(method, target, BODY))
                assert b" 400 " in await reader.readline()

    assert (evil.connections, upstream.connections) == (0, 0)


async def test_x3_nothing_that_content_points_to_is_fetched(begin: Begin) -> None:
    """URLs of images, files, tools and hooks pass through as they are; the gateway opens none of them."""
    async with FakeUpstream() as evil, FakeUpstream() as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)
        url = f"{evil.origin}/picture.png"
        fields: dict[str, Any] = {
            "messages": [
                {"role": "user", "content": [
                    {"type": "image_url", "image_url": {"url": url}},
                    {"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest/meta-data"}},
                    {"type": "file", "file": {"file_url": url}},
                    {"type": "text", "text": f"![x]({url})"},
                ]},
            ],
            "tools": [{"type": "mcp", "server_url": evil.origin, "server_label": "x"}],
            "webhook": url,
            "metadata": {"callback_url": url},
        }  # fmt: skip

        assert (await chat(gateway, **fields)).status == 200
        assert (await chat(gateway, **fields, stream=True)).status == 200

    assert evil.connections == 0
    assert [{**received.json, "stream": None}["messages"] for received in upstream.requests] == [fields["messages"]] * 2
    assert all(received.json["tools"] == fields["tools"] for received in upstream.requests)


SECRET = "sk-proj/Ab+cd_0123456789=canary"


def saying(message: str, **fields: str) -> dict[str, Any]:
    """An error object of a provider."""
    return {"error": {"message": message, "type": "invalid_request_error", "code": None, **fields}}


def echoing() -> dict[str, Answer]:
    """Errors of every kind whose text echoes the key that they were sent."""
    error = saying(f"Incorrect API key: {SECRET}. Bearer {SECRET}")
    event = b"data: " + json.dumps(error).encode() + b"\n\n"
    escaped = json.dumps(error).replace("/", "\\/").encode()
    begun = openai_stream(["a"]).pieces[:2]
    return {
        **{f"status {status}": answers.json(error, status) for status in (400, 401, 403, 404, 409, 422, 429, 500, 503)},
        "escaped": answers.status(400, {"content-type": "application/json"}, escaped),
        "text": answers.status(502, {"content-type": "text/plain"}, SECRET.encode()),
        "page": answers.html(500, f"<p>{SECRET}</p>"),
        "error in a 200": answers.json(error),
        "event": answers.sse([error]),
        "event after content": answers.sse([*begun, event], done=False),
        "event cut in pieces": answers.sse([*begun, event], done=False).slice(7),
        "code and type": answers.json({"error": {"message": "no", "type": SECRET, "code": SECRET}}, 400),
        "header": answers.json(
            saying("no"), 429, headers={"retry-after": SECRET, "x-ratelimit-reset-requests": SECRET}
        ),
    }


@pytest.mark.timeout(60)
async def test_x6_a_key_that_a_provider_echoes_reaches_nobody(begin: Begin) -> None:
    """Neither the caller's answer nor the record holds it, whatever the error and however it came."""
    canary = Canary(SeededRng(1))
    canary.plant("provider", SECRET)
    async with FakeUpstream() as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), {"UPSTREAM_KEY": SECRET})
        for name, answer in echoing().items():
            for stream in (False, True):
                upstream.then(answer)
                got = await chat(gateway, stream=stream)
                canary.watch(f"body of {name}, stream {stream}", got.body)
                canary.watch(f"headers of {name}, stream {stream}", repr(got.headers))
        canary.watch("records", repr(await gateway.records()))
        canary.watch("store and spool", gateway.foundation.root)

    canary.assert_absent()


@pytest.mark.parametrize(
    "answer",
    [
        answers.json(saying("no", param=SECRET), 400),
        answers.json(saying("x" * 280 + SECRET), 400),
        answers.json(saying("no"), 400, headers={"x-request-id": SECRET}),
        answers.json(saying(f"no {SECRET}"), 500),
    ],
    ids=["param", "cut off inside the key", "request id", "log"],
)
async def test_x6_no_part_of_an_error_carries_a_key(begin: Begin, answer: Answer) -> None:
    """The field at fault, a message that was cut, the provider's request id and our own log are scrubbed too."""
    canary = Canary(SeededRng(1))
    canary.plant("provider", SECRET[:16])
    async with FakeUpstream([answer]) as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), {"UPSTREAM_KEY": SECRET})
        with canary.logs():
            canary.watch("body", (await chat(gateway)).body)
        canary.watch("records", repr(await gateway.records()))

    canary.assert_absent()


def coded(body: bytes, coding: str, **headers: str) -> Answer:
    """A 200 with a content coding that nobody asked for."""
    encode = {"gzip": gzip.compress, "deflate": zlib.compress}[coding]
    return answers.status(
        200, {"content-type": "application/json", "content-encoding": coding, **headers}, encode(body)
    )


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_compressed_answer_is_undone(begin: Begin, coding: str) -> None:
    """A provider that compresses although it was asked not to: the caller reads plain JSON, and usage is counted."""
    body = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]}
    body |= {"id": "x", "object": "chat.completion", "usage": {"prompt_tokens": 7, "completion_tokens": 3}}
    async with FakeUpstream([coded(json.dumps(body).encode(), coding)]) as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)
        answer = await chat(gateway)
        (record,) = await gateway.records()

    assert (answer.status, answer.json["choices"], "content-encoding" in answer.headers) == (
        200,
        body["choices"],
        False,
    )
    assert record["usage"]["input_tokens"] == 7


async def test_a_compressed_bomb_is_a_protocol_error(begin: Begin) -> None:
    """What decodes to more than the cap is cut off there, and the gateway serves the next call."""
    bomb = coded(b'{"choices": "' + bytes(80 * 1024 * 1024), "gzip")
    async with FakeUpstream([bomb]) as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)
        answer = await chat(gateway)
        after = await chat(gateway)

    assert (answer.status, answer.json["error"]["code"]) == (502, "upstream_protocol_error")
    assert after.status == 200


async def test_x5_what_a_caller_sends_as_a_secret_is_echoed_nowhere(begin: Begin) -> None:
    """A key in a query, in another header or in a wrong place is in no answer, record or log."""
    canary = Canary(SeededRng(2))
    async with FakeUpstream() as upstream:
        gateway = await begin(UPSTREAM.format(auth="keys", base_url=upstream.base_url), ENVIRON)
        key = await gateway.key("k1")
        secret = canary.make("callers")
        with canary.logs():
            for target, headers in (
                (f"{CHAT}?api_key={secret}&key={secret}", {"authorization": f"Bearer {key}"}),
                (f"/v1/models?key={secret}", {"authorization": f"Bearer {secret}"}),
                (f"/v1/nothing?key={secret}", {}),
                (CHAT, {"authorization": f"Basic {secret}"}),
                (CHAT, {"authorization": f"Bearer {key}", "x-api-key": secret}),
                (
                    CHAT,
                    {"authorization": f"Bearer {key}", "cookie": secret, "x-goog-api-key": secret, "api-key": secret},
                ),
                (CHAT, {"authorization": f"Bearer fl-k1.{secret}"}),
                (CHAT, {"x-api-key": f"fl-{secret}.x"}),
            ):
                method = "POST" if target.startswith(CHAT) else "GET"
                got = await ask(gateway, method, target, BODY if method == "POST" else None, headers)
                canary.watch(f"answer to {method} {target[:20]}", got.body + repr(got.headers).encode())
        canary.watch("records", repr(await gateway.records()))
        canary.watch("store and spool", gateway.foundation.root)
        canary.watch("upstream", repr([(received.path, received.headers) for received in upstream.requests]))

    canary.assert_absent()


PROCESS = """
[gateway]
auth = "keys"
[providers.up]
dialect = "openai"
base_url = "http://127.0.0.1:9/v1"
api_key = "env:UPSTREAM_KEY"
allow_private = true
[models.m]
targets = ["up/gpt-4o-mini"]
[models.s]
targets = ["sim/sim-small"]
"""


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_x4_no_secret_is_in_what_processes_and_commands_show(gateway: Callable[..., Any]) -> None:
    """Command lines, logs, metrics, the control plane, `check`, `models`, `logs`, the store: no key, root or admin secret."""
    canary = Canary(SeededRng(3))
    secrets = {name: canary.make(name.lower()) for name in (
        "UPSTREAM_KEY", "FAIRLEAD_SECRET", "FAIRLEAD_ADMIN_KEY", "FAIRLEAD_METRICS_TOKEN"
    )}  # fmt: skip
    ours = gateway(PROCESS, env=secrets)
    made = ours.cli("keys", "create", "--name", "web")
    canary.plant("virtual", made["key"].partition(".")[2])
    for model in ("m", "s", "none"):
        body = json.dumps({**BODY, "model": model}).encode()
        canary.watch(f"answer for {model}", posted(ours, body, made["key"]))
    for target in ("/metrics", "/api/usage", "/api/calls", "/openapi.json", "/health/live", "/nothing"):
        canary.watch(f"control plane {target}", got(ours, target, secrets["FAIRLEAD_ADMIN_KEY"]))
        canary.watch(f"control plane {target}, no key", got(ours, target, "wrong" * 8))
    for command in (("check",), ("logs", "--json"), ("keys", "list"), ("models", "--json")):
        canary.watch(" ".join(command), shown(ours, secrets, *command))
    for process in (psutil.Process(ours.child.pid), *psutil.Process(ours.child.pid).children(recursive=True)):
        canary.watch(f"command line of {process.pid}", " ".join(process.cmdline()))
    ours.stop()
    canary.watch("log", ours.log)
    canary.watch("store and spool", ours.folder)

    canary.assert_absent()


def posted(ours: Any, body: bytes, key: str) -> str:
    """The whole answer to a chat call, headers and all."""
    return curl("-D", "-", "-H", f"authorization: Bearer {key}", "-d", "@-", f"{ours.origin}{CHAT}", given=body)


def got(ours: Any, target: str, key: str) -> str:
    """The whole answer of the control plane."""
    return curl("-D", "-", "-H", f"authorization: Bearer {key}", f"http://127.0.0.1:{ours.ready['admin_port']}{target}")


def curl(*arguments: str, given: bytes = b"") -> str:
    command = ["curl", "-s", "-m", "10", "-H", "content-type: application/json", *arguments]
    return subprocess.run(command, input=given, capture_output=True, check=True).stdout.decode()


def shown(ours: Any, secrets: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [FAIRLEAD, *arguments], cwd=ours.folder, capture_output=True, text=True, check=False,
        env={**CLEAN_ENVIRONMENT, **secrets},
    )  # fmt: skip
    return done.stdout + done.stderr


def test_x5_no_command_takes_a_secret_as_an_argument() -> None:
    """What stands on a command line is in `ps` and in the shell's history."""
    import typer.main

    from fairlead.cli.entry import app

    def options(command: Any, path: str) -> list[str]:
        if hasattr(command, "list_commands"):
            context = command.make_context(path, ["--help"], resilient_parsing=True)
            names = command.list_commands(context)
            return [found for name in names for found in options(command.get_command(context, name), f"{path} {name}")]
        return [f"{path} {flag}" for each in command.params if each.param_type_name == "option" for flag in each.opts]

    every = options(typer.main.get_command(app), "fairlead")
    assert len(every) > 30
    named = [flag for flag in every if re.search(r"secret|token(?!s)|password|credential|api-?key|-key$", flag)]
    assert [flag for flag in named if not flag.endswith("-env")] == []


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)> ![x](http://evil.example/?q=1) \x1b[31mred\x1b]0;title\x07 \x9b2J \u202e"


@pytest.mark.timeout(60)
async def test_x12_a_models_words_are_kept_and_never_rendered(begin: Begin) -> None:
    """Markup, scripts and terminal codes reach the caller and the store unchanged, and are answered as JSON alone."""
    async with FakeUpstream(default=openai_reply(HOSTILE)) as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)
        whole = await chat(gateway)
        upstream.then(openai_stream([HOSTILE]))
        streamed = await chat(gateway, stream=True)
        records = await gateway.records()
        own = await ask(gateway, "GET", f"/v1/fairlead/calls/{whole.headers['x-fairlead-call-id']}")

    assert whole.json["choices"][0]["message"]["content"] == HOSTILE
    assert whole.headers["content-type"] == "application/json"
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert own.headers["content-type"] == "application/json"
    assert all(json.dumps(HOSTILE)[1:20] in json.dumps(record["response"]) for record in records)


@pytest.mark.timeout(60)
async def test_x12_the_terminal_obeys_no_model(begin: Begin, tmp_path: Path) -> None:
    """`fairlead logs show` prints a model's words without their control codes."""
    async with FakeUpstream(default=openai_reply(HOSTILE)) as upstream:
        text = UPSTREAM.format(auth="open", base_url=upstream.base_url)
        gateway = await begin(text, ENVIRON)
        await chat(gateway, headers={"x-fairlead-tags": "a", "x-fairlead-session": "s\x9b2J"})
        (record,) = await gateway.records()
    root = gateway.foundation.root
    (root / "fairlead.toml").write_text(text)

    done = subprocess.run(  # noqa: ASYNC221
        [FAIRLEAD, "logs", "show", record["call_id"]], cwd=root, capture_output=True, check=True,
        env={**CLEAN_ENVIRONMENT, **ENVIRON, "NO_COLOR": "1"},
    )  # fmt: skip

    shown_text = done.stdout.decode()
    assert "<script>alert(1)</script>" in shown_text
    assert not set("\x1b\x07\x9b\u202e").intersection(shown_text)


@pytest.mark.parametrize("names", [300, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(180)])])
async def test_x15_made_up_names_make_no_labels(begin: Begin, names: int) -> None:
    """Models, users, tags and sessions that callers thought up add nothing to `/metrics`, however many they are."""
    config = '[gateway]\nauth = "keys"\n[models.m]\ntargets = ["sim/sim-small"]\n[models."*"]\ntargets = ["sim/*"]\n'
    gateway = await begin(config)
    key = await gateway.key("k1")
    async with connection(gateway) as (reader, writer):
        for number in range(names):
            name = f"made-up-{number}"
            headers = {f"x-fairlead-{what}": name for what in ("tags", "session", "user")}
            body = {"model": name if number % 2 else f"none/{name}", "messages": MESSAGES, "user": name}
            writer.write(request("POST", CHAT, body, headers | {"authorization": f"Bearer {key}"}))
            await answered(reader)
    assert len(await gateway.records()) == min(names, 1_000)

    text = await metrics(gateway.foundation.root, config)

    assert "fairlead_calls_total" in text
    assert "made-up" not in text
    assert len(text.splitlines()) < 500


async def answered(reader: Any) -> None:
    """Read one answer with a length from a connection that goes on."""
    head = await reader.readuntil(b"\r\n\r\n")
    match = re.search(rb"content-length: (\d+)", head)
    assert match is not None
    await reader.readexactly(int(match[1]))


async def metrics(root: Path, config: str) -> str:
    """What the keeper of this store would show."""
    from fairlead.config.load import load_text

    environ = {"FAIRLEAD_ADMIN_KEY": "a" * 32}
    parts = await asyncio.to_thread(build_keeper, load_text(config), root, environ)
    try:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "http_version": "1.1", "method": "GET", "path": "/metrics", "raw_path": b"/metrics",
            "query_string": b"", "headers": [(b"authorization", b"Bearer " + b"a" * 32)], "scheme": "http",
            "server": ("127.0.0.1", 8401), "client": ("127.0.0.1", 1), "root_path": "",
        }  # fmt: skip
        await create_app(parts)(scope, receive, send)
        return b"".join(message.get("body", b"") for message in sent).decode()
    finally:
        await parts.aclose()
