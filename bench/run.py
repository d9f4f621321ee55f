"""A run: row after row, all subjects of a row started together and measured in turn, several times around."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench import clocks, results, upstreams
from bench.generator import Plan
from bench.measure import measure
from bench.processes import CannotStart
from bench.results import Memory, Results, Skipped, Window
from bench.rows import Drive, Row
from bench.subjects import Subject
from bench.upstreams import Upstreams

OPEN_SHARE = 0.3
_OPEN_WINDOW_S = 3.0
_DIRECT_WINDOW_S = 2.0
_LATENCY_ROUNDS = 3
_MOST_CONNECTIONS = 512

Say = Callable[[str], None]


class Run:
    """Gathers what a run shows.

    Args:
        subjects: the names to measure; `None`: all of a row.
        rounds: how many, instead of each row's own number.
        latency: whether the rows that have it measure latency.
    """

    def __init__(self, *, subjects: Sequence[str] | None, rounds: int | None, latency: bool, say: Say) -> None:
        self._wanted = subjects
        self._rounds = rounds
        self._latency = latency
        self._say = say
        self.windows: list[Window] = []
        self.memory: list[Memory] = []
        self.skipped: list[Skipped] = []

    def measure(self, rows: Sequence[Row]) -> Results:
        """Measure the rows; whatever was started is stopped at the end, and its folder is gone."""
        taken_at, machine = results.now(), results.machine()
        folder = Path(tempfile.mkdtemp(prefix="fairlead-bench-"))
        try:
            with ExitStack() as stack:
                running = upstreams.start(folder / "upstreams")
                stack.callback(running.stop)
                for row in rows:
                    self._row(row, folder / row.name, running)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return Results(
            taken_at=taken_at, machine=machine, rows={row.name: row.title for row in rows},
            windows=self.windows, memory=self.memory, skipped=self.skipped,
        )  # fmt: skip

    def _row(self, row: Row, folder: Path, running: Upstreams) -> None:
        self._say(f"{row.name}: {row.title}")
        with ExitStack() as stack:
            started: list[Subject] = []
            for name, start in row.starts.items():
                if self._wanted is not None and name not in self._wanted:
                    continue
                try:
                    subject = start(folder / name.replace(", ", "-").replace(" ", "-"), running)
                except CannotStart as error:
                    self._say(f"  {name} is left out: {error}")
                    self.skipped.append(Skipped(row=row.name, subject=name, why=str(error)))
                    continue
                subject.name = name
                stack.callback(subject.stop)
                started.append(subject)
            idle = [_rss(subject) for subject in started]
            for number, subject in self._turns(row, started):
                self._window(subject, self._plan(row, subject), row, "capacity", number)
            if row.latency and self._latency:
                self._latencies(row, started, running)
            for subject, (worker, keeper) in zip(started, idle, strict=True):
                now_worker, now_keeper = _rss(subject)
                self.memory.append(
                    Memory(
                        row=row.name, subject=subject.name, idle_worker=worker, loaded_worker=now_worker,
                        idle_keeper=keeper, loaded_keeper=now_keeper,
                    )
                )  # fmt: skip

    def _turns(self, row: Row, started: Sequence[Subject]) -> Iterator[tuple[int, Subject]]:
        """Round after round, every second one backwards, so that a drift of the machine favours nobody."""
        rounds = {each.name: self._rounds or row.drive_of(each.name).rounds for each in started}
        for number in range(max(rounds.values(), default=0)):
            for subject in started if number % 2 == 0 else reversed(started):
                if number < rounds[subject.name]:
                    yield number, subject

    def _latencies(self, row: Row, started: Sequence[Subject], running: Upstreams) -> None:
        """Open loop at a share of the subject's own capacity, and one connection; each also without the subject."""
        direct = Subject(name="", port=running.small_port, process=None, worker=())
        for number in range(min(_LATENCY_ROUNDS, self._rounds or _LATENCY_ROUNDS)):
            for subject in started:
                if "," in subject.name:
                    continue
                direct.name = subject.name
                rate = OPEN_SHARE * self._capacity(row, subject)
                if rate <= 0:
                    continue
                even = Drive(connections=_MOST_CONNECTIONS, rate=rate, window_s=_OPEN_WINDOW_S)
                alone = Drive(connections=1, warm_s=0.3, window_s=_DIRECT_WINDOW_S)
                self._window(subject, _plan(row, subject, even), row, "open", number)
                self._window(direct, _plan(row, direct, even), row, "direct open", number)
                self._window(subject, _plan(row, subject, alone), row, "one", number)
                self._window(direct, _plan(row, direct, alone), row, "direct one", number)

    def _capacity(self, row: Row, subject: Subject) -> float:
        seen = [
            each.rps for each in self.windows
            if (each.row, each.subject, each.kind) == (row.name, subject.name, "capacity")
        ]  # fmt: skip
        return statistics.median(seen) if seen else 0.0

    def _plan(self, row: Row, subject: Subject) -> Plan:
        return _plan(row, subject, row.drive_of(subject.name))

    def _window(self, subject: Subject, plan: Plan, row: Row, kind: str, number: int) -> None:
        window = measure(subject, plan, row=row.name, kind=kind, number=number)
        self.windows.append(window)
        used = "" if window.worker_us is None else f"  worker {window.worker_us:.1f} us"
        kept = "" if window.keeper_us is None else f"  keeper {window.keeper_us:.1f} us"
        faults = f"  {window.errors}" if window.errors else ""
        quantiles = " ".join(
            f"{name} {window.latency_us[name] / 1e3:.2f}" for name in ("p50", "p99") if window.answered
        )
        took = "" if kind == "capacity" else f"  {quantiles} ms"
        self._say(f"  {number + 1}  {subject.name:<22} {kind:<11} {window.rps:>8.0f}/s{used}{kept}{took}{faults}")


def _plan(row: Row, subject: Subject, drive: Drive) -> Plan:
    return Plan(
        port=subject.port, path=subject.path, headers=subject.headers, body=row.body, stream=row.stream,
        connections=drive.connections, rate=drive.rate, warm_s=drive.warm_s, window_s=drive.window_s,
    )  # fmt: skip


def _rss(subject: Subject) -> tuple[int, int]:
    return sum(map(clocks.rss_bytes, subject.worker)), sum(map(clocks.rss_bytes, subject.keeper))
