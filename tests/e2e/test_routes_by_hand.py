"""`fairlead routes` against a gateway of several workers: how soon an operator's word counts everywhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import openai
import pytest

CONFIG = """
[gateway]
auth = "open"
workers = 2
[providers.sim]
vendor = "sim"
[models.m]
targets = ["sim/sim-small"]
"""
HELLO: Any = [{"role": "user", "content": "Say hello"}]


def statuses(gateway: Any, connections: int = 16) -> set[int]:
    """What calls on so many new connections are answered, which the workers share out between them."""
    found = set()
    for _ in range(connections):
        with openai.OpenAI(base_url=gateway.base_url, api_key="any", max_retries=0) as client:
            answer = client.chat.completions.with_raw_response
            try:
                found.add(answer.create(model="m", messages=HELLO).status_code)
            except openai.APIStatusError as error:
                found.add(error.status_code)
    return found


@pytest.mark.timeout(60)
@pytest.mark.slow
def test_an_operators_word_counts_on_all_workers_within_a_second(gateway: Callable[..., Any]) -> None:
    """Disabled means that no worker uses the target any more, reset that all do; both stand in the audit log."""
    ours = gateway(CONFIG)
    assert statuses(ours) == {200}

    ours.cli("routes", "disable", "sim/sim-small", "--for", "1h")
    time.sleep(1)
    assert statuses(ours) == {503}

    ours.cli("routes", "reset")
    time.sleep(1)
    assert statuses(ours) == {200}
    assert [row["action"] for row in ours.cli("routes", "history")] == ["routes reset", "routes disable"]
