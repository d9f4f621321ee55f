"""A caller that goes on whatever happens, and knows afterwards whose answers it has had whole.

    python bench/load/calls.py --port 8400 --lanes 16 --rate 200

Commands on standard input, an answer in JSON each:

- `status`: how many calls were answered, how many failed and how.
- `keys K1 K2 ...`: call with these keys from now on, chosen at random.
- `stop`: end the calls under way, say all, and leave.

A lane is one connection that is kept; a call that fails costs its lane the connection and a short pause.
An answer is whole when its HTTP framing says so; that of a stream has its `[DONE]` besides.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import sys
import time
from collections import Counter
from typing import Any

import uvloop

_PAUSE_S = 0.02
_PATIENCE_S = 30.0


class Broken(Exception):
    """The connection ended, or the answer is not what was asked for."""


class Caller:
    """What all lanes share: the settings, and what came back."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.keys: list[str] = ["any"]
        self.answered: list[tuple[str, str, bool]] = []
        """Call id, the provider's id, whether it was streamed; of every whole answer."""
        self.count = 0
        self.failed: Counter[str] = Counter()
        self.slowest_s = 0.0
        self.stopping = False
        self.dice = random.Random(options.seed)  # noqa: S311 - repeatable on purpose

    def status(self) -> dict[str, Any]:
        """How far it is."""
        return {"answered": self.count, "failed": dict(self.failed), "slowest_s": round(self.slowest_s, 3)}

    def request(self) -> tuple[bytes, bool]:
        """The next call, and whether it is a stream."""
        options, dice = self.options, self.dice
        is_stream = dice.random() < options.streamed
        model = options.model.replace("N", str(dice.randrange(options.names)))
        body: dict[str, Any] = {
            "model": model,
            "messages": [{"role": "user", "content": "word " * dice.randint(1, 60)}],
        }
        if options.max_tokens:
            body["max_tokens"] = options.max_tokens
        if is_stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        sent = json.dumps(body).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{options.port}\r\n"
            f"authorization: Bearer {dice.choice(self.keys)}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(sent)}\r\n\r\n"
        )
        return head.encode() + sent, is_stream


class Lane:
    """One connection's worth of calls, one after the other."""

    def __init__(self, caller: Caller, number: int) -> None:
        self.caller = caller
        self.number = number
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def run(self) -> None:
        """Call until told to stop; at a rate, each lane has its share and its own turn."""
        caller = self.caller
        rate, lanes = caller.options.rate, caller.options.lanes
        pause_s = lanes / rate if rate else 0.0
        due = time.monotonic() + pause_s * self.number / lanes
        while not caller.stopping:
            wait_s = due - time.monotonic()
            if pause_s and wait_s > 0:
                await asyncio.sleep(wait_s)
                continue
            due = max(due + pause_s, time.monotonic() - 1.0)
            await self._one()
        self.close()

    async def _one(self) -> None:
        caller = self.caller
        request, is_stream = caller.request()
        began = time.monotonic()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                call_id, upstream_id = await self._exchange(request, is_stream=is_stream)
        except (OSError, Broken, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError) as error:
            what = error.args[0] if isinstance(error, Broken) else type(error).__name__
            caller.failed[str(what)] += 1
            self.close()
            await asyncio.sleep(_PAUSE_S)
            return
        caller.slowest_s = max(caller.slowest_s, time.monotonic() - began)
        caller.count += 1
        if caller.options.remember:
            caller.answered.append((call_id, upstream_id, is_stream))

    async def _exchange(self, request: bytes, *, is_stream: bool) -> tuple[str, str]:
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.caller.options.port)
        assert self.reader is not None  # noqa: S101 - made with the writer
        reader = self.reader
        self.writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        status = head[0].split()[1]
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        body = await _chunked(reader) if "transfer-encoding" in headers else await _sized(reader, headers)
        if headers.get("connection") == "close":
            self.close()
        if status != "200":
            raise Broken(f"status {status}")
        if is_stream and b"data: [DONE]" not in body:
            raise Broken("a stream without its end")
        at = body.find(b'"id":')
        upstream_id = body[at + 5 : at + 100].split(b'"')[1].decode() if at >= 0 else ""
        return headers["x-fairlead-call-id"], upstream_id

    def close(self) -> None:
        """Drop the connection."""
        if self.writer is not None:
            self.writer.close()
            self.reader = self.writer = None


async def _sized(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    return await reader.readexactly(int(headers.get("content-length", "0")))


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    """The whole body; a stream is whole with its last chunk."""
    parts: list[bytes] = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        parts.append(await reader.readexactly(size + 2))
    await reader.readexactly(2)
    return b"".join(parts)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--lanes", type=int, default=16)
    parser.add_argument("--rate", type=float, default=0.0, help="calls a second; 0: as fast as they are answered")
    parser.add_argument("--streamed", type=float, default=0.5, help="the share of streams")
    parser.add_argument("--model", default="sim-small", help="an N in it becomes a number")
    parser.add_argument("--names", type=int, default=1, help="how many numbers")
    parser.add_argument("--max-tokens", type=int, default=0)
    parser.add_argument("--remember", action="store_true", help="keep the ids of all answers")
    parser.add_argument("--seed", type=int, default=0)
    caller = Caller(parser.parse_args())
    lines = asyncio.StreamReader(limit=16 * 1024 * 1024)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    tasks = [asyncio.create_task(Lane(caller, number).run()) for number in range(caller.options.lanes)]
    while line := (await lines.readline()).decode().split():
        if line[0] == "stop":
            break
        if line[0] == "keys":
            caller.keys = line[1:]
        print(json.dumps(caller.status()), flush=True)
    caller.stopping = True
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.gather(*tasks), _PATIENCE_S + 1)
    print(json.dumps({**caller.status(), "calls": caller.answered}), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
