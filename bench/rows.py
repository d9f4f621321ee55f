"""The rows of the table: each a kind of request, the subjects that answer it, and how hard they are driven."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench import peers, subjects, upstreams
from bench.subjects import Subject
from bench.upstreams import LARGE_BYTES, Upstreams

Start = Callable[[Path, Upstreams], Subject]
SLOW = frozenset({"litellm", "portkey"})
"""Subjects that answer so slowly that fewer and longer rounds show as much."""


@dataclass(frozen=True, kw_only=True)
class Drive:
    """How hard subjects are driven in a window."""

    connections: int = 32
    rate: float | None = None
    """Requests a second at fixed times; `None`: as many as the subject answers."""
    warm_s: float = 0.7
    window_s: float = 2.5
    rounds: int = 5


@dataclass(frozen=True, kw_only=True)
class Row:
    """One kind of request, and who answers it.

    `floor, again` is the same program as `floor`: how far its ratio strays from 1 is how far any other can be trusted.
    """

    name: str
    title: str
    body: str
    starts: dict[str, Start]
    drive: Drive = Drive()
    slow: Drive = field(default=Drive(connections=8, warm_s=2.0, window_s=4.0, rounds=3))
    stream: bool = False
    latency: bool = False
    """Whether latency is measured too."""

    def drive_of(self, subject: str) -> Drive:
        """How hard this one is driven."""
        return self.slow if subject in SLOW else self.drive


def _small() -> Row:
    return Row(
        name="small",
        title="whole answer, small bodies",
        body=upstreams.request_body(),
        latency=True,
        starts={
            "floor": lambda folder, up: subjects.floor(folder, up.small_port),
            "floor, again": lambda folder, up: subjects.floor(folder, up.small_port),
            "fairlead": lambda folder, up: subjects.fairlead(folder, up.small_port),
            "fairlead, resilient": lambda folder, up: subjects.fairlead(folder, up.small_port, resilient=True),
            "fairlead, content hash": lambda folder, up: subjects.fairlead(folder, up.small_port, content="hash"),
            "fairlead, content off": lambda folder, up: subjects.fairlead(folder, up.small_port, content="off"),
            "nginx": lambda folder, up: upstreams.nginx_proxy(folder, up.small_port),
            "portkey": lambda folder, up: peers.portkey(folder, up.small_port),
            "litellm": lambda folder, up: peers.litellm(folder, up.small_port),
        },
    )


def _stream() -> Row:
    return Row(
        name="stream",
        title=f"stream of {upstreams.CHUNKS} chunks, one every {upstreams.CHUNK_INTERVAL_S * 1000:g} ms",
        body=upstreams.request_body(stream=True),
        stream=True,
        drive=Drive(connections=64, warm_s=1.2, window_s=2.5),
        slow=Drive(connections=8, warm_s=3.0, window_s=6.0, rounds=2),
        starts={
            "floor": lambda folder, up: subjects.floor(folder, up.stream_port, stream=True),
            "floor, again": lambda folder, up: subjects.floor(folder, up.stream_port, stream=True),
            "fairlead": lambda folder, up: subjects.fairlead(folder, up.stream_port),
            "fairlead, translated": lambda folder, up: subjects.fairlead(folder, up.stream_port, path="/v1/messages"),
            "nginx": lambda folder, up: upstreams.nginx_proxy(folder, up.stream_port, stream=True),
            "portkey": lambda folder, up: peers.portkey(folder, up.stream_port),
            "litellm": lambda folder, up: peers.litellm(folder, up.stream_port),
        },
    )


def _tls() -> Row:
    return Row(
        name="tls",
        title="whole answer, small bodies, TLS upstream",
        body=upstreams.request_body(),
        starts={
            "floor": lambda folder, up: subjects.floor(folder, up.tls_port, ca=up.ca),
            "fairlead": lambda folder, up: subjects.fairlead(folder, up.tls_port, ca=up.ca),
        },
    )


def _large() -> Row:
    return Row(
        name="large",
        title=f"whole answer, {LARGE_BYTES // 1000} KB each way, 200 a second",
        body=upstreams.request_body(LARGE_BYTES),
        # At full speed the disk, which keeps all of it, would be what is measured.
        drive=Drive(rate=200.0, window_s=3.0, rounds=3),
        slow=Drive(connections=8, warm_s=2.0, window_s=4.0, rounds=2),
        starts={
            "floor": lambda folder, up: subjects.floor(folder, up.large_port),
            "fairlead": lambda folder, up: subjects.fairlead(folder, up.large_port),
            "nginx": lambda folder, up: upstreams.nginx_proxy(folder, up.large_port),
            "portkey": lambda folder, up: peers.portkey(folder, up.large_port),
            "litellm": lambda folder, up: peers.litellm(folder, up.large_port),
        },
    )


def all_rows() -> tuple[Row, ...]:
    """In the order of the table."""
    return (_small(), _stream(), _tls(), _large())
