"""What a cassette holds of what was taped, and what it does not."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from live.mask import WINDOW, Leaked, Masker
from live.tape import Taped

from fairlead.testing import Canary

TITLE = {"vendor": "openai", "dialect": "openai_chat", "feature": "plain", "result": "passed"}


def taped(head: str = "", body: bytes = b"{}", answer: bytes = b"{}", **headers: str) -> Taped:
    """An exchange."""
    lines = f"POST /v1/chat/completions HTTP/1.1\r\ncontent-type: application/json\r\n{head}"
    return Taped(head=lines.encode(), body=body, status=200, headers=headers, answer=bytearray(answer))


def test_no_credential_survives(canary: Canary) -> None:
    """Wherever it stands, in whatever form, and however little of it: no trace is in the cassette."""
    secret = canary.make("key")
    odd = canary.plant("odd", 'p"a/ss\\word+with=signs&9f3c')
    everywhere = [
        secret, odd, json.dumps(odd), quote(odd, safe=""), quote(secret), secret[:14], secret[-WINDOW:],
        *(base64.b64encode(pad + each.encode()).decode() for each in (secret, odd) for pad in (b"", b"u", b"u:")),
    ]  # fmt: skip
    text = json.dumps({"said": everywhere, "whole": f"<{secret}{odd}{secret}>"}).encode()
    exchange = taped(
        f"authorization: Bearer {secret}\r\nx-api-key: {odd}\r\ncookie: s={secret}\r\nanthropic-beta: {secret}\r\n",
        body=text, answer=b"data: " + text + b"\n\n" + "\n".join(everywhere).encode(),
        **{"set-cookie": secret, "content-type": f"text/{secret}"},
    )  # fmt: skip

    cassette = Masker([secret, odd]).cassette(TITLE, [exchange])

    canary.watch("cassette", cassette)
    canary.assert_absent()
    for each in (secret, odd):
        assert not [at for at in range(len(each) - WINDOW + 1) if each[at : at + WINDOW] in cassette]


def test_a_credential_in_the_path_is_masked() -> None:
    """Some vendors take it in the query."""
    exchange = Taped(head=b"POST /v1beta/models/m:generateContent?key=qwertyuiop99 HTTP/1.1\r\n", body=b"{}")

    cassette = json.loads(Masker(["qwertyuiop99"]).cassette(TITLE, [exchange]))

    [row] = cassette["exchanges"]
    assert row["request"]["path"] == "/v1beta/models/m:generateContent?key=***"
    assert row["answer"] is None


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-********************abcd. You can find it",
        "Rate limit reached for model in organization org-AbCdEf123456 on tokens",
        "in organization `org_01hxyzabc` service tier `on_demand`",
        "Project `proj_abc123DEF` does not have access",
        "request ID req_011CSHoEeqs5C35K2UUqR7Fy in your message",
        "consumer 'projects/48151623' has been suspended",
        "Your team 3f2a7c1e-9d1b-4c52-8f4a-2b1c9d7e6a55 has no credits",
        "contact jane.doe@example.org about it",
        "API key AIzaSyD-abcdefgh123 is not valid",
        '{"organization": "Acme Incorporated"}',
        '{"x_groq": {"id": "req_01jbd6g2qdfw2adyrt2az8hz4w"}}',
        '{"user_id": "user_2abcDEFghi", "request_id": "abc"}',
        r'{"raw": "{\"organization_id\": \"acme\"}"}',
    ],
)
def test_what_tells_of_an_account_is_masked(text: str) -> None:
    """Organisations, projects, teams, people, requests, and keys of which only the ends are shown."""
    telling = (
        "abcd", "AbCdEf123456", "01hxyzabc", "abc123DEF", "011CSHo", "48151623", "3f2a7c1e", "jane", "AIza", "Acme",
        "01jbd6g2", "2abcDEF", "acme",
    )  # fmt: skip

    masked = Masker([]).text(text)

    assert "***" in masked
    assert [each for each in telling if each in masked] == []


def test_only_headers_of_a_list_stay() -> None:
    """Limits of an account, names of organisations and ids of requests stand in headers."""
    exchange = taped(
        "openai-organization: acme\r\nanthropic-version: 2023-06-01\r\n",
        **{"x-request-id": "abc", "openai-organization": "acme", "x-ratelimit-limit-tokens": "9", "retry-after": "1"},
    )

    [row] = json.loads(Masker([]).cassette(TITLE, [exchange]))["exchanges"]

    assert row["request"]["headers"] == {"content-type": "application/json", "anthropic-version": "2023-06-01"}
    assert row["answer"]["headers"] == {"retry-after": "1"}


def test_the_rest_stays_as_it_was() -> None:
    """Bodies without anything to hide are kept to the letter, with the ids by which answers are told apart."""
    answer = 'data: {"id":"chatcmpl-AbC123def456","choices":[{"delta":{"content":"hé"}}]}\n\ndata: [DONE]\n\n'
    sent = (
        '{"messages":[{"role":"user","content":"key points of the project, please"}],"tool_call_id":"call_Oslo12345"}'
    )
    exchange = taped(body=sent.encode(), answer=answer.encode())

    cassette = json.loads(Masker(["sk-proj-0123456789"]).cassette(TITLE, [exchange]))

    [row] = cassette.pop("exchanges")
    assert cassette == TITLE
    assert (row["request"]["body"], row["answer"]["body"]) == (sent, answer)


def test_a_trace_that_is_left_keeps_the_cassette_from_being_made() -> None:
    """Where masking itself falls short, here in the title, nothing comes out."""
    with pytest.raises(Leaked, match="nothing was written"):
        Masker(["qwertyuiop99"]).cassette({"vendor": "qwertyuiop99"}, [])
