"""Name look-ups: kept, shared, checked at every use."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.errors import UpstreamUnreachable
from fairlead.wire.origin import Origin
from fairlead.wire.resolver import Resolver

ORIGIN = Origin.of("https://api.example.com/v1")


class Names:
    """A resolver with a script, and a clock that stands still."""

    def __init__(self, *found: list[str] | Exception) -> None:
        self.found = list(found)
        self.asked = 0
        self.now_s = 1_000.0
        self.go = asyncio.Event()
        self.go.set()

    async def lookup(self, host: str, port: int) -> list[str]:
        assert (host, port) == ("api.example.com", 443)
        self.asked += 1
        await self.go.wait()
        answer = self.found.pop(0) if len(self.found) > 1 else self.found[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def resolver(self, allow_private=False) -> Resolver:
        return Resolver(ORIGIN, allow_private, lookup=self.lookup, now=lambda: self.now_s)


async def test_an_answer_is_kept_for_thirty_seconds():
    """Within them nobody is asked; afterwards the new answer counts."""
    names = Names(["8.8.8.8"], ["8.8.4.4"])
    resolver = names.resolver()
    assert await resolver.addresses() == ["8.8.8.8"]
    names.now_s += 29.9
    assert await resolver.addresses() == ["8.8.8.8"]
    assert names.asked == 1
    names.now_s += 0.2
    assert await resolver.addresses() == ["8.8.4.4"]
    assert names.asked == 2


async def test_a_failure_is_kept_for_a_second():
    """A broken resolver is not asked by each call, and is forgiven soon."""
    names = Names(OSError("no such name"), ["8.8.8.8"])
    resolver = names.resolver()
    for _ in range(3):
        with pytest.raises(UpstreamUnreachable, match="cannot be resolved"):
            await resolver.addresses()
    assert names.asked == 1
    names.now_s += 1.1
    assert await resolver.addresses() == ["8.8.8.8"]


async def test_there_is_one_look_up_at_a_time():
    """However many ask, the system is asked once; those who leave do not end it for the others."""
    names = Names(["8.8.8.8"])
    names.go.clear()
    resolver = names.resolver()
    asking = [asyncio.create_task(resolver.addresses()) for _ in range(20)]
    await asyncio.sleep(0)
    for task in asking[:10]:
        task.cancel()
    await asyncio.sleep(0)
    names.go.set()

    assert await asyncio.gather(*asking[10:]) == [["8.8.8.8"]] * 10
    assert all(task.cancelled() for task in asking[:10])
    assert names.asked == 1


async def test_what_is_kept_is_checked_at_every_use():
    """Inner addresses are left out, and where no other is there, nothing is connected to."""
    mixed = Names(["10.0.0.1", "8.8.8.8", "8.8.8.8", "169.254.169.254"])
    assert await mixed.resolver().addresses() == ["8.8.8.8"]
    assert await mixed.resolver(allow_private=True).addresses() == ["10.0.0.1", "8.8.8.8"]

    rebound = Names(["8.8.8.8"], ["127.0.0.1"])
    resolver = rebound.resolver()
    await resolver.addresses()
    rebound.now_s += 31
    for _ in range(2):
        with pytest.raises(UpstreamUnreachable, match="no public address"):
            await resolver.addresses()


async def test_what_could_not_be_reached_is_looked_up_again():
    """After `forget` the next use asks."""
    names = Names(["8.8.8.8"], ["8.8.4.4"])
    resolver = names.resolver()
    await resolver.addresses()
    resolver.forget()
    assert await resolver.addresses() == ["8.8.4.4"]


async def test_closing_ends_a_look_up():
    """Who waits for it is told that the pool is closed."""
    names = Names(["8.8.8.8"])
    names.go.clear()
    resolver = names.resolver()
    asking = asyncio.create_task(resolver.addresses())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    resolver.close()

    with pytest.raises(UpstreamUnreachable, match="are closed"):
        await asking
