"""The front door, raw: bytes to a gateway's data port and back, with nothing of Fairlead's own in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

Begin = Callable[..., Awaitable[Any]]
CHAT = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "hi"}]
BODY = {"model": "m", "messages": MESSAGES}
OPEN = '[gateway]\nauth = "open"\n[models.m]\ntargets = ["sim/sim-small"]\n'
KEYS = OPEN.replace("open", "keys")
UPSTREAM = """
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
[models."*"]
targets = ["up/*"]
"""
ENVIRON = {"UPSTREAM_KEY": "sk-upstream"}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool = True
    """Whether it ended as its framing says."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def ask(
    gateway: Any, method: str, target: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """One request on a connection of its own, read to the end."""
    async with connection(gateway) as (reader, writer):
        writer.write(request(method, target, body, {"connection": "close"} | dict(headers or {})))
        raw = await reader.read()
    return parsed(raw, has_body=method != "HEAD")


async def chat(gateway: Any, key: str | None = None, headers: Mapping[str, str] | None = None, **fields: Any) -> Answer:
    """One chat call; `fields` are added to the body."""
    sent = dict(headers or {})
    if key is not None:
        sent["authorization"] = f"Bearer {key}"
    return await ask(gateway, "POST", CHAT, BODY | fields, sent)


@asynccontextmanager
async def connection(gateway: Any) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the data port, reset at the end as by a caller who leaves."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.server.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def until(reached: Callable[[], object], within_s: float = 10.0) -> None:
    """Wait until `reached()` is true, but no longer than that."""
    loop = asyncio.get_running_loop()
    ends_s = loop.time() + within_s
    while not reached():
        assert loop.time() < ends_s, f"not reached within {within_s} s"
        await asyncio.sleep(0.002)


async def recorded(gateway: Any, count: int = 1) -> list[Any]:
    """The records, newest first, as soon as there are so many."""
    while len(records := await gateway.records()) < count:  # noqa: ASYNC110 - the store is asked, it does not tell
        await asyncio.sleep(0.01)
    assert len(records) == count
    return list(records)


def request(method: str, target: str, body: Any = None, headers: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a request; a body that is not bytes becomes JSON."""
    raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"host": "127.0.0.1", "content-type": "application/json", "content-length": str(len(raw))}
    lines = [f"{name}: {value}" for name, value in (fields | dict(headers or {})).items()]
    return "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode("latin-1") + raw


def parsed(raw: bytes, *, has_body: bool = True) -> Answer:
    """One answer from its bytes; a chunked body is joined."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    found = chunks(body) if headers.get("transfer-encoding") == "chunked" and has_body else [body, b""]
    return Answer(
        status=int(first.split()[1]), headers=headers, body=b"".join(found), whole=not has_body or found[-1:] == [b""]
    )


def chunks(body: bytes) -> list[bytes]:
    """The chunks of a chunked body; the last is empty, but where it was broken off."""
    found: list[bytes] = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        found.append(rest[:length])
        body = rest[length + 2 :]
    return found


def text_of(stream: bytes) -> str:
    """What the model wrote in an event stream, read as a client reads it."""
    lines = stream.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n\n")
    datas = [
        "\n".join(line[5:].removeprefix(" ") for line in event.split("\n") if line.startswith("data:"))
        for event in lines
    ]
    bodies = [json.loads(data) for data in datas if data and data != "[DONE]"]
    choices = [choice for body in bodies for choice in body.get("choices", ())]
    return "".join(choice["delta"].get("content") or "" for choice in choices)
