"""What each client raises when a stream breaks off, against the table in `docs/explanation/streams-that-break.md`."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/explanation/streams-that-break.md"
TABLE = re.compile(r"<!-- told by the clients.*?-->\n\n(.*?)\n\n<!-- end -->", re.DOTALL)
PYTHON = {
    "`openai`": "openai",
    "`anthropic`": "anthropic",
    "`langchain-openai`": "langchain",
    "`instructor`": "instructor",
    "`pydantic-ai`": "pydantic-ai",
    "`litellm`": "litellm",
}
"""Client, as the page names it, to the script that uses it."""
NODE = {"`openai` from npm": ("openai", "openai"), "`@anthropic-ai/sdk`": ("anthropic", "@anthropic-ai/sdk")}
"""Client to its script and its package."""
AI = {
    "`ai` with `@ai-sdk/openai`": ("OpenAI", "@ai-sdk/openai"),
    "`ai` with `@ai-sdk/anthropic`": ("Anthropic", "@ai-sdk/anthropic"),
    "`ai` with `@ai-sdk/openai-compatible`": ("OpenAI", "@ai-sdk/openai-compatible"),
}
"""Client to its dialect and its package."""
Row = tuple[str, str, str, str, str]


def written() -> list[Row]:
    """The rows of the page."""
    found = TABLE.search(PAGE.read_text(encoding="utf-8"))
    assert found is not None
    lines = found[1].splitlines()[2:]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]  # type: ignore[misc]


ROWS = written()


def told(clients: Any, client: str) -> list[Row]:
    """The rows that a client tells, as they are to be written."""
    if client in AI:
        dialect, package = AI[client]
        version = f"{_of_npm('ai')}, {_of_npm(package)}"
        broken = {dialect: clients.node("ai")[package]["broken"]}
    elif client in NODE:
        script, package = NODE[client]
        version = _of_npm(package)
        broken = clients.node(script)["broken"]
    else:
        script = clients.python(PYTHON[client])
        version, broken = script["version"], script["broken"]
    return [
        (client, version, dialect, way, _raised(ends)) for dialect, ways in broken.items() for way, ends in ways.items()
    ]


def _raised(ends: dict[str, Any]) -> str:
    return " or ".join(dict.fromkeys(f"`{end['raised']}`" for end in ends.values()))


def _of_npm(package: str) -> str:
    path = Path(__file__).parent / "node/node_modules" / package / "package.json"
    return str(json.loads(path.read_text(encoding="utf-8"))["version"])


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} {row[3]}")
def test_a_client_raises_what_the_page_says(clients: Any, row: Row) -> None:
    """Whether the provider closes or says so, in the version that the page names."""
    assert row in told(clients, row[0])


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("client", dict.fromkeys(row[0] for row in ROWS))
def test_the_page_has_every_way_to_read(clients: Any, client: str) -> None:
    """What a client's script tries stands in the table, and nothing ends as if it were whole."""
    rows = told(clients, client)

    assert rows == [row for row in ROWS if row[0] == client]
    assert [row for row in rows if "None" in row[4]] == []


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("script", [script for script, _ in NODE.values()])
def test_a_loop_that_waits_may_not_notice(clients: Any, script: str) -> None:
    """The `stream` helpers from npm lose an error that comes while nobody asks them for a piece."""
    assert clients.node(script)["unnoticed"] == {
        model: {"text": "This is a si", "raised": None} for model in ("cut", "told")
    }


def test_the_page_has_every_client() -> None:
    """Those that the tests of this folder use."""
    assert {row[0] for row in ROWS} == {*PYTHON, *NODE, *AI}


@pytest.mark.slow
@pytest.mark.parametrize("model", ["cut", "told"])
def test_curl_exits_with_an_error(clients: Any, model: str) -> None:
    """It prints what came, and says that the transfer is not whole."""
    body = json.dumps({"model": model, "stream": True, "messages": [{"role": "user", "content": "hi"}]})

    done = subprocess.run(
        ["curl", "-sSN", "-H", "Content-Type: application/json", "-H", f"x-api-key: {clients.key}", "-d", body,
         f"{clients.gateway.base_url}/chat/completions"],
        capture_output=True, text=True, timeout=10, check=False,
    )  # fmt: skip

    assert done.returncode == 18
    assert '"code":"stream_truncated"' in done.stdout.rstrip().splitlines()[-1]
