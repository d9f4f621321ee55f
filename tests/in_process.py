"""A gateway in this process: the real app, server, stores and wire, on loopback and free ports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import openai
import pytest

from fairlead.config.build import Foundation, Runtime, build, lay_foundation
from fairlead.config.load import load_text
from fairlead.core.credentials import digest, format_key
from fairlead.dialects import DIALECTS
from fairlead.gateway.app import App
from fairlead.ports import ScopeLimits, StoredKey
from fairlead.wire import Server

_LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})
SECRET = "s" * 43


@dataclass
class Gateway:
    """What a test needs of a running gateway."""

    foundation: Foundation
    runtime: Runtime
    app: App
    server: Server
    clients: list[openai.AsyncOpenAI] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    def sdk(self, key: str = "any", **rest: object) -> openai.AsyncOpenAI:
        """The official SDK, pointed here by its base URL alone."""
        client = openai.AsyncOpenAI(base_url=self.base_url, api_key=key, **{"max_retries": 0, **rest})  # type: ignore[arg-type]
        self.clients.append(client)
        return client

    async def key(self, key_id: str, **fields: object) -> str:
        """Make a virtual key and return it whole."""
        hashing_key = self.foundation.hashing_keys["1"]
        limits = {name: fields.pop(name) for name in tuple(fields) if name in ScopeLimits.__struct_fields__}
        stored = StoredKey(
            id=key_id, digest=digest(hashing_key, SECRET), name=key_id, limits=ScopeLimits(**limits), **fields  # type: ignore[arg-type]
        )  # fmt: skip
        await self.foundation.store.keys.save(stored)
        await self.foundation.keys.refresh()
        return format_key(key_id, SECRET)

    async def records(self) -> list[Mapping[str, object]]:
        """All calls in the store, newest first."""
        from fairlead.ports import LogQuery

        self.foundation.spool.flush()
        await self.foundation.ingester.run_once()
        return list(await self.foundation.store.logs.calls(LogQuery(limit=1_000)))


Begin = Callable[..., Awaitable[Gateway]]


@pytest.fixture
async def begin(tmp_path: Path) -> AsyncIterator[Begin]:
    """Start gateways from the text of a configuration."""
    running: list[Gateway] = []

    async def started(text: str, environ: Mapping[str, str] | None = None) -> Gateway:
        config = load_text(text)
        root = tmp_path / str(len(running))
        root.mkdir()
        foundation = lay_foundation(config, root=root, environ=environ or {}, name="test")
        runtime = build(foundation, auth=config.gateway.auth)
        hosts = _LOCAL if config.gateway.auth == "open" else None
        app = App(runtime, foundation.store.logs, tuple(DIALECTS.values()), hosts)
        server = Server(app, before_writes=foundation.spool.flush)
        await server.start("127.0.0.1", 0)
        running.append(Gateway(foundation, runtime, app, server))
        return running[-1]

    yield started
    for gateway in running:
        for client in gateway.clients:
            await client.close()
        await gateway.server.drain(1.0)
        await gateway.runtime.aclose()
        await gateway.foundation.aclose()
