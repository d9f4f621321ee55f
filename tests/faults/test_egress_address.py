"""Which addresses a call may leave for, whatever a base URL or the resolver says (FAULTS X2)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from typing import Any

import pytest

from fairlead.errors import ConfigError
from fairlead.testing import FakeUpstream, answers
from faults.front import ENVIRON, Answer, Begin, ask, chat

CONFIG = """
[gateway]
auth = "open"
[providers.up]
dialect = "openai"
base_url = "{url}"
api_key = "env:UPSTREAM_KEY"
allow_private = {private}
{more}
[models.m]
targets = ["up/gpt-4o-mini"]
"""


async def called(
    begin: Begin, url: str, private: str = "false", environ: Mapping[str, str] | None = None, more: str = ""
) -> tuple[Any, Answer]:
    """A gateway whose provider has this base URL, and its answer to a call."""
    gateway = await begin(CONFIG.format(url=url, private=private, more=more), {**ENVIRON, **(environ or {})})
    return gateway, await chat(gateway)


def error_of(answer: Answer) -> tuple[int, str, bool]:
    error = answer.json["error"]
    return answer.status, error["code"], "no public address" in error["message"]


REFUSED = (502, "upstream_unreachable", True)

METADATA = (
    "169.254.169.254", "[::ffff:169.254.169.254]", "0xa9fea9fe", "2852039166", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]",
    "168.63.129.16", "169.254.170.2", "169.254.170.23", "100.100.100.200", "192.0.0.192", "[fd00:ec2::254]",
)  # fmt: skip
PRIVATE = (
    "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1",
    "2130706433", "127.0.0.1.", "0.0.0.1", "0", "[::]", "localhost", "localhost.", "LOCALHOST", "10.0.0.1", "172.16.0.1",
    "192.168.1.1", "100.64.0.1", "169.254.1.1", "224.0.0.1", "255.255.255.255", "[fe80::1]", "[fc00::1]",
    "[64:ff9b::7f00:1]", "[64:ff9b::10.0.0.1]", "[64:ff9b:1::1]", "[2002:7f00:1::]", "[2002:a00:1::1]", "[2001::1]",
)  # fmt: skip


@pytest.mark.parametrize("host", METADATA + PRIVATE)
async def test_x2_no_notation_of_an_inner_address_is_called(begin: Begin, host: str) -> None:
    """Private, loopback, link-local and metadata addresses are refused at connect in every notation."""
    async with FakeUpstream() as inside:
        _, answer = await called(begin, f"https://{host}:{inside.port}/v1")

    assert inside.connections == 0
    # The system may refuse to read a notation; an address that it can read is refused by us.
    status, code, _ = error_of(answer)
    assert (status, code) == REFUSED[:2]
    assert any(words in answer.json["error"]["message"] for words in ("no public address", "cannot be resolved"))


@pytest.mark.parametrize("host", METADATA)
@pytest.mark.parametrize("private", ["true", '["0.0.0.0/0", "::/0"]'])
async def test_x2_metadata_services_are_refused_though_private_is_allowed(
    begin: Begin, host: str, private: str
) -> None:
    """`allow_private` opens private networks, and never what hands out credentials."""
    _, answer = await called(begin, f"http://{host}/v1", private)

    assert answer.status == 502
    message = answer.json["error"]["message"]
    assert "no public address" in message or "cannot be resolved" in message


@pytest.mark.parametrize("private", ["true", '["127.0.0.0/8"]', '["10.0.0.0/8", "127.0.0.1/32"]'])
async def test_x2_allow_private_opens_the_networks_that_it_names(begin: Begin, private: str) -> None:
    """An operator's own server is called, by its address."""
    async with FakeUpstream() as upstream:
        _, answer = await called(begin, upstream.base_url, private)

    assert answer.status == 200
    assert len(upstream.requests) == 1


async def test_x2_allow_private_opens_no_other_network(begin: Begin) -> None:
    """A list is a list: the loopback is not in `10.0.0.0/8`."""
    async with FakeUpstream() as inside:
        _, answer = await called(begin, inside.base_url, '["10.0.0.0/8"]')

    assert error_of(answer) == REFUSED
    assert inside.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com@127.0.0.1/v1",
        "https://user:password@api.example.com/v1",
        "https://127.0.0.1\\\\@api.example.com/v1",
        "https://127。0。0。1/v1",
        "https://①②⑦.⓪.⓪.①/v1",
        "https://\uff11\uff12\uff17.0.0.1/v1",
        "https://exa mple.com/v1",
        "https://[::1/v1",
        "https://[v1.x]/v1",
        "https://example.com:99999/v1",
        "https://example.com:x/v1",
        "https:///v1",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "unix:///run/docker.sock",
        "http://api.example.com/v1",
        "https://api.example.com/v1?x=1",
        "https://api.example.com/v1#f",
    ],
)
async def test_x2_a_base_url_that_can_be_read_in_two_ways_is_refused_at_start(begin: Begin, url: str) -> None:
    """Credentials, backslashes, digits and dots outside ASCII, other schemes and plain HTTP do not get as far as a call."""
    with pytest.raises(ConfigError):
        await begin(CONFIG.format(url=url, private="false", more=""), ENVIRON)


def resolving(*answers_: list[str]) -> list[str]:
    """Let the system's resolver answer one after the other for names under `.example`; returns the names asked for."""
    asked: list[str] = []
    loop = asyncio.get_running_loop()
    system, left = loop.getaddrinfo, list(answers_)

    async def getaddrinfo(host: Any, port: Any, **rest: Any) -> Any:
        if not host.endswith(".example"):
            return await system(host, port, **rest)
        asked.append(host)
        found = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign]
    return asked


async def test_x2_a_name_that_is_rebound_to_an_inner_address_is_refused(begin: Begin) -> None:
    """What counts is the address at connect: neither the second answer of the resolver nor a private one among public ones
    is connected to."""
    async with FakeUpstream() as inside:
        asked = resolving(["127.0.0.1"], ["169.254.169.254", "10.0.0.1", "127.0.0.1"])
        gateway, answer = await called(begin, f"https://rebind.example:{inside.port}/v1")
        again = await chat(gateway)

    assert error_of(answer) == error_of(again) == REFUSED
    assert asked == ["rebind.example"]  # and the answer is kept for a while
    assert inside.connections == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_x2_no_redirect_is_followed(begin: Begin, status: int) -> None:
    """A redirect is a provider's fault, and neither the key nor the prompt goes where it points."""
    async with FakeUpstream() as evil:
        answer = answers.status(status, {"location": f"{evil.origin}/v1/chat/completions"}, b"")
        async with FakeUpstream([answer]) as upstream:
            _, got = await called(begin, upstream.base_url, "true")

    assert (got.status, got.json["error"]["code"]) == (502, "upstream_protocol_error")
    assert (evil.connections, len(upstream.requests)) == (0, 1)


@pytest.mark.parametrize("host", [*METADATA, *PRIVATE, "metadata.google.internal", "metadata.google.internal."])
async def test_x2_a_proxy_is_not_asked_for_an_inner_address(begin: Begin, host: str) -> None:
    """What a proxy would resolve is checked for addresses in every notation before it is asked."""
    async with FakeUpstream() as proxy:
        _, answer = await called(begin, f"https://{host}/v1", more=f'proxy = "{proxy.origin}"')

    assert error_of(answer) == REFUSED
    assert proxy.connections == 0


async def test_x2_the_refusal_of_an_address_shows_it_to_the_log_alone(begin: Begin) -> None:
    """A caller learns nothing of the addresses of the inner network."""
    resolving(["10.11.12.13"])
    gateway, answer = await called(begin, "https://inner.example/v1")

    assert b"10.11.12.13" not in answer.body
    assert b"10.11.12.13" not in (await ask(gateway, "GET", "/v1/models")).body
