"""Which answer a fake upstream gives to which request, and what it remembers of them."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fairlead.testing.answers import Answer
from fairlead.testing.openai_chat import USAGE, openai_reply, openai_stream


@dataclass(slots=True, kw_only=True)
class Received:
    """One request as it arrived, and what became of its answer.  Times are the clock's monotonic nanoseconds."""

    method: str
    path: str
    """The request target, query included."""
    headers: Mapping[str, str]
    """Lower-case names; repeated fields joined by `, `."""
    body: bytes
    at_ns: int
    connection: int = 1
    """Which connection it came on, counted from 1."""
    sent_bytes: int = 0
    """Body bytes written so far."""
    answered_ns: int | None = None
    """When the scripted answer was through, whatever its ending was."""
    closed_early_ns: int | None = None
    """When the client left before that."""

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


Reaction = Answer | Callable[[Received], Answer]
"""An answer, or a function that makes one for a request."""


def speak_openai(request: Received) -> Answer:
    """A good answer of an OpenAI chat server: streamed if asked, with a usage event if asked."""
    asked = json.loads(request.body) if request.body else {}
    model = asked.get("model", "gpt-4o-mini")
    if not asked.get("stream"):
        return openai_reply("Hello, world.", model=model)
    include_usage = (asked.get("stream_options") or {}).get("include_usage", False)
    return openai_stream(["Hello", ", ", "world", "."], USAGE if include_usage else None, model=model)


class Script:
    """Answers in order, then one for all the rest; remembers every request."""

    def __init__(self, reactions: Reaction | Iterable[Reaction] | None, default: Reaction) -> None:
        if reactions is None:
            reactions = ()
        elif isinstance(reactions, Answer) or callable(reactions):
            reactions = (reactions,)
        self._left = deque(reactions)
        self._default = default
        self._waiting: set[asyncio.Future[None]] = set()
        self.requests: list[Received] = []

    def then(self, *reactions: Reaction) -> None:
        """Queue further answers."""
        self._left.extend(reactions)

    def answer(self, request: Received) -> Answer:
        """Remember a request and give its answer."""
        self.requests.append(request)
        self.changed()
        reaction = self._left.popleft() if self._left else self._default
        return reaction if isinstance(reaction, Answer) else reaction(request)

    def changed(self) -> None:
        """Wake whoever waits in `until`."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def until(self, reached: Callable[[], object]) -> None:
        """Wait until `reached()` is true."""
        while not reached():
            future = asyncio.get_running_loop().create_future()
            self._waiting.add(future)
            try:
                await future
            finally:
                self._waiting.discard(future)


def parse_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    """Method, target and headers of a request head, names in lower case.

    Raises:
        ValueError: not a request head.
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers: dict[str, str] = {}
    for line in filter(None, lines):
        name, colon, value = line.partition(":")
        if not colon:
            msg = f"not a header line: {line!r}"
            raise ValueError(msg)
        name = name.strip().lower()
        headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
    return method, target, headers
