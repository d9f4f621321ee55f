"""A place in the pool is never lost, wherever its holder is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl

import pytest
import trustme
from tests.wire.conftest import pooling, until

from fairlead.wire import Origin, Proxy, head

HEAD = head("POST", "/v1/x", {"host": "localhost"})
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
PLACES = 10


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@contextlib.asynccontextmanager
async def moody(rng, server_ssl):
    """An upstream that answers at once, late, in two pieces, not at all, or hangs up."""
    tasks = set()

    async def serve(reader, writer):
        tasks.add(asyncio.current_task())
        try:
            while True:
                raw = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(int(raw.split(b"content-length: ")[1].split(b"\r\n")[0]))
                mood = 0 if body == b"last" else rng.randrange(6)
                if mood == 1:
                    return
                if mood == 2:
                    await reader.read()
                if mood == 3:
                    await asyncio.sleep(0.002)
                writer.write(OK)
                if mood == 4:
                    await asyncio.sleep(0.001)
                writer.write(b"done")
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.transport.abort()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_ssl)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def proxied(wanted):
    """A proxy that opens tunnels, where one is wanted."""
    tasks = set()

    async def serve(reader, writer):
        tasks.add(asyncio.current_task())
        far_writer = None
        try:
            target = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", int(target.rpartition(":")[2]))
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            ways = [asyncio.create_task(copy(reader, far_writer)), asyncio.create_task(copy(far_reader, writer))]
            tasks.update(ways)
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            for each in (writer, far_writer):
                if each is not None:
                    each.transport.abort()

    if not wanted:
        yield None
        return
    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield Proxy(origin=Origin.of(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"))
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def copy(reader, writer):
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)


@pytest.mark.parametrize("way", ["http", "https", "tunnel"])
@pytest.mark.parametrize("seed", [1, 2])
async def test_a_thousand_cancellations_leak_no_place(authority, way, seed):
    """Look-up, wait, connect, handshake, send and read end anywhere; all places are free and the next call is served."""
    rng = random.Random(seed)  # noqa: S311 - a test that can be repeated
    server_ssl = client_ssl = None
    scheme = "http" if way == "http" else "https"
    if scheme == "https":
        server_ssl = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(server_ssl)
        client_ssl = ssl.create_default_context()
        authority.configure_trust(client_ssl)

    async def one(pool):
        incoming = await pool.send(HEAD, b"{}", 5.0)
        try:
            return await incoming.read(100)
        finally:
            incoming.abort()

    async def cancelled_somewhere(pool):
        task = asyncio.create_task(one(pool))
        if rng.random() < 0.5:
            for _ in range(rng.randrange(30)):
                await asyncio.sleep(0)
        else:
            await asyncio.sleep(rng.random() * 0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert pool.in_use <= PLACES

    async with (
        moody(rng, server_ssl) as port,
        proxied(way == "tunnel") as proxy,
        pooling(f"{scheme}://localhost:{port}", client_ssl=client_ssl, max_connections=PLACES, proxy=proxy) as pool,
    ):
        for _ in range(1_000 // 40):
            await asyncio.gather(*(cancelled_somewhere(pool) for _ in range(40)))
        await until(lambda: pool.in_use == 0)

        async with asyncio.timeout(1):
            answers = await asyncio.gather(*(ask_last(pool) for _ in range(PLACES)))
        assert answers == [b"done"] * PLACES
        assert pool.in_use == 0


async def ask_last(pool):
    incoming = await pool.send(HEAD, b"last", 1.0)
    return await incoming.read(100)
