"""The data port seen from outside: paths, methods, credentials, open mode, passthrough."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from http.client import HTTPConnection
from typing import Any

import anyio.to_thread
import openai
import pytest

from fairlead.testing import FakeUpstream, openai_error, openai_reply, openai_stream

OPEN = '[gateway]\nauth = "open"\n[models.m]\ntargets = ["sim/sim-small"]\n'
UPSTREAM = """
[gateway]
auth = "passthrough"
[providers.up]
dialect = "openai"
base_url = "{base_url}"
allow_private = true
[models."*"]
targets = ["up/*"]
"""
BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
Begin = Callable[..., Awaitable[Any]]


async def ask(
    gateway: Any, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Status, headers and JSON body of one plain request."""

    def blocking() -> tuple[int, dict[str, str], dict[str, Any]]:
        connection = HTTPConnection("127.0.0.1", gateway.server.port, timeout=5)
        try:
            sent = {"content-type": "application/json"} | {
                name.replace("_", "-"): value for name, value in headers.items()
            }
            raw = body if isinstance(body, str | bytes | None) else json.dumps(body)
            connection.request(method, path, raw, sent)
            answer = connection.getresponse()
            return (
                answer.status,
                {name.lower(): value for name, value in answer.headers.items()},
                json.loads(answer.read()),
            )
        finally:
            connection.close()

    return await anyio.to_thread.run_sync(blocking)


async def test_health_needs_no_key_and_says_when_it_drains(begin: Begin) -> None:
    """Liveness and readiness are open; readiness is false while draining."""
    gateway = await begin(OPEN.replace("open", "keys"))

    assert (await ask(gateway, "GET", "/health/live"))[0] == 200
    assert (await ask(gateway, "GET", "/health/ready"))[0] == 200
    gateway.app.ready = False
    assert (await ask(gateway, "GET", "/health/ready"))[0] == 503


@pytest.mark.parametrize(
    "path", ["/", "/v1/chat", "//v1/chat/completions", "/v1/chat/completions/", "/V1/chat/completions",
             "/v1/chat%2fcompletions", "/v1/chat/completions;x", "/v1/../v1/chat/completions", "/metrics", "/api/usage"],
)  # fmt: skip
async def test_a_path_that_is_not_exactly_ours_is_unknown(begin: Begin, path: str) -> None:
    """Only exact paths reach a handler (H5), and nothing of the control plane is on the data port (A10)."""
    gateway = await begin(OPEN)

    status, _, body = await ask(gateway, "POST", path, BODY)

    assert status == 404
    assert body["error"]["code"] == "not_found"


async def test_a_known_path_with_another_method_is_refused(begin: Begin) -> None:
    """GET on the chat path, POST on the list of models and OPTIONS are 405."""
    gateway = await begin(OPEN)

    for method, path in (("GET", "/v1/chat/completions"), ("POST", "/v1/models"), ("OPTIONS", "/v1/models")):
        status, _, body = await ask(gateway, method, path)
        assert (status, body["error"]["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"model":"m","model":"m","messages":[]}', '{"messages":[]}',
                                  '{"model":1,"messages":[]}', '{"model":"m","messages":[],"n":1e309}',
                                  '{"model":"m","messages":[],"api_base":"http://x"}', "[" * 100_000])  # fmt: skip
async def test_a_malformed_body_is_a_clear_400(begin: Begin, body: str) -> None:
    """What is not a chat request is refused in OpenAI's form, without a retry (H8, L15, X1)."""
    gateway = await begin(OPEN)

    status, headers, answer = await ask(gateway, "POST", "/v1/chat/completions", body)

    assert (status, answer["error"]["type"]) == (400, "invalid_request_error")
    assert headers["x-should-retry"] == "false"


async def test_open_mode_answers_no_foreign_host(begin: Begin) -> None:
    """A web page whose name was rebound to this machine is refused, and so is a form post."""
    gateway = await begin(OPEN)

    assert (await ask(gateway, "POST", "/v1/chat/completions", BODY, host="evil.example"))[0] == 403
    assert (await ask(gateway, "GET", "/v1/models", host="evil.example:8400"))[0] == 403
    assert (await ask(gateway, "POST", "/v1/chat/completions", json.dumps(BODY), content_type="text/plain"))[0] == 400
    for host in ("localhost", "LOCALHOST:8400", "127.0.0.1:1", "[::1]", "[::1]:8400"):
        assert (await ask(gateway, "POST", "/v1/chat/completions", BODY, host=host))[0] == 200


async def test_credentials_are_taken_in_two_forms_and_never_in_two_at_once(begin: Begin) -> None:
    """`Authorization: Bearer` in any case, or `x-api-key`; two that differ are refused (H7)."""
    gateway = await begin(OPEN.replace("open", "keys"))
    key = await gateway.key("k1")

    async def status(**headers: str) -> int:
        return (await ask(gateway, "POST", "/v1/chat/completions", BODY, **headers))[0]

    assert await status(authorization=f"Bearer {key}") == 200
    assert await status(authorization=f"bearer  {key} ") == 200
    assert await status(x_api_key=key) == 200
    assert await status(authorization=f"Bearer {key}", x_api_key=key) == 200
    assert await status(authorization=f"Bearer {key}", x_api_key="other") == 400
    assert await status(authorization=f"Basic {key}") == 400
    assert await status(authorization="Bearer " + "x" * 10_000) == 401
    assert await status() == 401


async def test_credentials_are_taken_in_googles_forms_too(begin: Begin) -> None:
    """`x-goog-api-key`, or `?key=`; several have to agree, whatever they are (H7)."""
    gateway = await begin(OPEN.replace("open", "keys"))
    key = await gateway.key("k1")

    async def status(query: str = "", **headers: str) -> int:
        return (await ask(gateway, "POST", f"/v1/chat/completions{query}", BODY, **headers))[0]

    assert await status(x_goog_api_key=key) == 200
    assert await status(f"?key={key}") == 200
    assert await status(f"?alt=sse&key={key.replace('-', '%2D')}") == 200
    assert await status(f"?key={key}", x_goog_api_key=key, x_api_key=key, authorization=f"Bearer {key}") == 200
    assert await status(f"?key={key}", x_goog_api_key="other") == 400
    assert await status(f"?key={key}&key=other") == 400
    assert await status(f"?key={key}", authorization="Bearer other") == 400
    assert await status("?key=other") == 401
    assert await status(f"?monkey={key}") == 401
    assert await status("?" + "a=1&" * 99 + f"key={key}") == 400


async def test_models_are_listed_in_the_callers_form(begin: Begin) -> None:
    """By the path, and where dialects share one by the header that only an SDK of theirs sends."""
    gateway = await begin(OPEN + '[models."a/b"]\ntargets = ["sim/sim-small"]\n')

    async def listed(path: str, **headers: str) -> dict[str, Any]:
        return (await ask(gateway, "GET", path, **headers))[2]

    assert (await listed("/v1/models"))["data"][-1]["id"] == "a/b"
    assert (await listed("/v1beta/models"))["models"][-1]["name"] == "models/a/b"
    assert (await listed("/v1/models", x_goog_api_client="genai"))["models"][-1]["name"] == "models/a/b"
    for path in ("/v1beta/models/a/b", "/v1beta/models/a%2Fb"):
        assert (await listed(path))["name"] == "models/a/b"
    assert (await listed("/v1/models/a%2Fb"))["id"] == "a/b"
    assert (await listed("/v1beta/models/x"))["error"]["status"] == "NOT_FOUND"
    assert (await listed("/v1beta/tunedModels"))["error"]["code"] == "not_found"


ANY = OPEN + '[models."*"]\ntargets = ["sim/*"]\n'


async def test_a_name_that_is_not_listed_may_be_taken_all_the_same(begin: Begin) -> None:
    """`"*"` is no name of a model; the refusal says what it does, where there is one."""
    said = [
        (await ask(await begin(text), "GET", "/v1/models/sim-small"))[2]["error"]["message"] for text in (OPEN, ANY)
    ]
    assert ['`"*"` takes any other name' in each for each in said] == [False, True]
    assert [row["id"] for row in (await ask(await begin(ANY), "GET", "/v1/models"))[2]["data"]] == ["m"]


async def test_a_key_for_names_that_any_is_taken_for_sees_them(begin: Begin) -> None:
    """It may call them, and no other."""
    gateway = await begin(ANY.replace("open", "keys"))
    key = await gateway.key("k1", models=frozenset({"m", "sim-small"}))

    rows = (await ask(gateway, "GET", "/v1/models", x_api_key=key))[2]["data"]
    assert [row["id"] for row in rows] == ["m", "sim-small"]
    assert (await ask(gateway, "GET", "/v1/models/sim-small", x_api_key=key))[0] == 200
    refused = (await ask(gateway, "GET", "/v1/models/sim-large", x_api_key=key))[2]["error"]["message"]
    assert refused.endswith("lists those that this key may call")


@pytest.mark.parametrize("path", ["/v1beta/models/m:embedContent", "/v1/models/m", "/v1beta/models/m"])
async def test_an_operation_that_is_not_there_is_named_in_googles_form(begin: Begin, path: str) -> None:
    """With those that are."""
    gateway = await begin(OPEN)

    status, _, body = await ask(gateway, "POST", path, {"contents": []})

    assert (status, body["error"]["status"]) == (404, "NOT_FOUND")
    assert "`generateContent`" in body["error"]["message"]


@pytest.mark.parametrize("operation", ["generateContent", "streamGenerateContent", "countTokens"])
async def test_googles_operations_take_post_alone(begin: Begin, operation: str) -> None:
    """Where GET would ask for a model of such a name."""
    gateway = await begin(OPEN)

    status, headers, body = await ask(gateway, "GET", f"/v1beta/models/m:{operation}")

    assert (status, headers["allow"], body["error"]["code"]) == (405, "POST", 405)


async def test_a_list_of_models_has_no_slash_at_its_end(begin: Begin) -> None:
    """It is left off, says the 404 in the caller's form."""
    gateway = await begin(OPEN)

    status, _, body = await ask(gateway, "GET", "/v1/models/")
    assert (status, body["error"]["code"]) == (404, "not_found")
    assert "leave off the slash" in body["error"]["message"]
    status, _, body = await ask(gateway, "GET", "/v1beta/models/")
    assert (status, body["error"]["status"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("path", "remedy"),
    [
        ("/models/m", "ends in `/v1`"),
        ("/responses/resp_1", "ends in `/v1`"),
        ("/v1/v1/messages", "must not end in `/v1`"),
        ("/v1/embeddings/", "leave off the slash"),
        ("/healthz", "`/health/live`"),
    ],
)
async def test_an_unknown_path_is_told_with_its_remedy(begin: Begin, path: str, remedy: str) -> None:
    """By what this gateway serves."""
    gateway = await begin(OPEN)

    assert remedy in (await ask(gateway, "GET", path))[2]["error"]["message"]


async def test_all_bad_keys_get_one_answer(begin: Begin) -> None:
    """Wrong, unknown, revoked and expired keys cannot be told apart (A1)."""
    gateway = await begin(OPEN.replace("open", "keys"))
    good = await gateway.key("good")
    bad = [
        "nonsense",
        good[:-3] + "abc",
        good.replace("good", "nobody"),
        await gateway.key("revoked", revoked_at_ns=1),
        await gateway.key("expired", expires_at_ns=1),
    ]

    answers = [await ask(gateway, "POST", "/v1/chat/completions", BODY, authorization=f"Bearer {key}") for key in bad]

    assert {(status, json.dumps(body)) for status, _, body in answers} == {(401, json.dumps(answers[0][2]))}


async def test_a_timeout_header_must_be_sensible(begin: Begin) -> None:
    """`x-fairlead-timeout` is a number of seconds; anything else is the caller's error."""
    gateway = await begin(OPEN)

    for value in ("0", "-1", "nan", "inf", "soon", "1e9"):
        status, _, _ = await ask(gateway, "POST", "/v1/chat/completions", BODY, x_fairlead_timeout=value)
        assert status == 400, value
    assert (await ask(gateway, "POST", "/v1/chat/completions", BODY, x_fairlead_timeout="2.5"))[0] == 200


async def test_tags_and_session_stand_on_the_record(begin: Begin) -> None:
    """`x-fairlead-tags` and `-session` are kept, and identity never comes from them (A9)."""
    gateway = await begin(OPEN)

    headers = {"x_fairlead_tags": "checkout, eu", "x_fairlead_session": "s1", "x_fairlead_user": "root"}
    await ask(gateway, "POST", "/v1/chat/completions", BODY | {"user": "admin"}, **headers)

    (record,) = await gateway.records()
    assert (record["tags"], record["session"], record["user"]) == (["checkout", "eu"], "s1", None)


@pytest.mark.parametrize("stream", [False, True])
async def test_passthrough_forwards_the_callers_key_and_changes_nothing_else(begin: Begin, stream: bool) -> None:
    """The provider gets the caller's own key, model and fields; Fairlead's own credentials stay out."""
    async with FakeUpstream(default=lambda _: openai_stream(["a"]) if stream else openai_reply("a")) as upstream:
        gateway = await begin(UPSTREAM.format(base_url=upstream.base_url))
        body = {**BODY, "model": "gpt-new", "stream": stream, "temperature": 0.25, "x_vendor": {"deep": [1, None]}}

        sdk = gateway.sdk("sk-callers-own", organization="org-1")
        options = {name: value for name, value in body.items() if name != "x_vendor"}
        answer = await sdk.chat.completions.create(**options, extra_body={"x_vendor": body["x_vendor"]})
        if stream:
            await answer.close()

    (received,) = upstream.requests
    assert received.headers["authorization"] == "Bearer sk-callers-own"
    assert received.headers["openai-organization"] == "org-1"
    sent = dict(received.json)
    asked = sent.pop("stream_options", None)
    assert asked == ({"include_usage": True} if stream else None), "asked for our own accounting (S13)"
    assert {name: value for name, value in sent.items() if value is not False} == {
        name: value for name, value in body.items() if value is not False
    }
    assert not [name for name in received.headers if name.startswith(("x-fairlead", "cookie", "x-stainless"))]


async def test_passthrough_keeps_tenants_apart(begin: Begin) -> None:
    """Two provider keys are two tenants, known by a digest that says nothing about the key."""
    async with FakeUpstream() as upstream:
        gateway = await begin(UPSTREAM.format(base_url=upstream.base_url))
        for key in ("sk-one", "sk-two", "sk-one"):
            await gateway.sdk(key).chat.completions.create(model="m", messages=BODY["messages"])

    tenants = [record["tenant"] for record in await gateway.records()]
    assert len(set(tenants)) == 2
    assert tenants[0] == tenants[2]
    assert not any("sk-" in str(tenant) for tenant in tenants)


async def test_passthrough_without_a_key_is_told_what_to_send(begin: Begin) -> None:
    """A missing provider key is a 401 with the remedy, and nothing goes upstream."""
    async with FakeUpstream() as upstream:
        gateway = await begin(UPSTREAM.format(base_url=upstream.base_url))
        status, _, body = await ask(gateway, "POST", "/v1/chat/completions", BODY)

    assert status == 401
    assert "provider key" in body["error"]["message"]
    assert upstream.requests == []


@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_name_that_no_header_can_carry(begin: Begin, stream: bool) -> None:
    """What `"*"` relays may have any name: it is escaped in our header, and permits, money and records are as always."""
    text = """
    [gateway]
    auth = "keys"
    [providers.up]
    dialect = "openai"
    base_url = "{base_url}"
    allow_private = true
    [models."*"]
    targets = ["up/*"]
    price = {{ input = 1.0, output = 1.0 }}
    """
    async with FakeUpstream() as upstream:
        gateway = await begin(text.format(base_url=upstream.base_url))
        sdk = gateway.sdk(await gateway.key("k1", concurrency=1))
        for _ in range(3):
            raw = await sdk.chat.completions.with_raw_response.create(
                model="\u6a21\u578b", messages=BODY["messages"], stream=stream
            )
            answer = raw.parse()
            if stream:
                assert [chunk async for chunk in answer]
            assert raw.headers["x-fairlead-model"] == "up/%E6%A8%A1%E5%9E%8B"

    assert [record["outcome"] for record in await gateway.records()] == ["ok"] * 3
    assert gateway.foundation.ledger.reserved_nanousd() == 0


async def test_a_refused_key_of_the_callers_own_is_a_401(begin: Begin) -> None:
    """In passthrough the provider's 401 and 403 are about the caller's key, and the SDK raises them as such."""
    async with FakeUpstream() as upstream:
        gateway = await begin(UPSTREAM.format(base_url=upstream.base_url))
        for status, kind in ((401, openai.AuthenticationError), (403, openai.PermissionDeniedError)):
            upstream.then(openai_error(status, "Incorrect API key provided: sk-mine"))
            with pytest.raises(kind) as caught:
                await gateway.sdk("sk-mine").chat.completions.create(model="m", messages=BODY["messages"])
            assert "sk-mine" not in str(caught.value)


async def test_limits_stand_on_every_answer(begin: Begin) -> None:
    """A caller with a rate sees how much of it is left."""
    gateway = await begin(OPEN.replace("open", "keys"))
    key = await gateway.key("k1", rpm=10)

    _, headers, _ = await ask(gateway, "POST", "/v1/chat/completions", BODY, authorization=f"Bearer {key}")

    assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]) == ("10", "9")


async def test_head_and_allow(begin: Begin) -> None:
    """A probe may use HEAD, and a 405 says which method is taken."""
    gateway = await begin(OPEN)

    def probe() -> tuple[int, str | None]:
        connection = HTTPConnection("127.0.0.1", gateway.server.port, timeout=5)
        connection.request("HEAD", "/health/live")
        head = connection.getresponse()
        head.read()
        connection.request("GET", "/v1/chat/completions")
        refused = connection.getresponse()
        refused.read()
        connection.close()
        return head.status, refused.headers["allow"]

    assert await anyio.to_thread.run_sync(probe) == (200, "POST")
