"""What must hold after every case, whatever went wrong in it; for tests of faults."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

from fairlead.ports import Ledger
from fairlead.record import Admitted, Ended, Record
from fairlead.types import Budget

_PATIENCE_S = 1.0
_STEP_S = 0.005


def assert_one_terminal_record(records: Iterable[Record]) -> None:
    """I1: every call that was admitted, and no call twice, has exactly one `Ended`, whose attempts are closed.

    A call that was refused before its first attempt has an `Ended` alone.

    Raises:
        AssertionError: says which call lacks what.
    """
    kept = list(records)
    admitted = Counter(record.call_id for record in kept if isinstance(record, Admitted))
    ended = [record for record in kept if isinstance(record, Ended)]
    ends = Counter(record.call_id for record in ended)
    wrong = [f"{call_id}: admitted {count} times" for call_id, count in admitted.items() if count > 1]
    wrong += [f"{call_id}: ended {count} times" for call_id, count in ends.items() if count > 1]
    wrong += [f"{call_id}: admitted, never ended" for call_id in admitted.keys() - ends.keys()]
    for record in ended:
        wrong += [f"{record.call_id}: {fault}" for fault in _faults(record, admitted[record.call_id])]
    if wrong:
        raise AssertionError("records are not one per call:\n" + "\n".join(wrong))


def _faults(record: Ended, admitted: int) -> list[str]:
    faults: list[str] = []
    if record.outcome == "crashed":
        return faults
    numbers = [attempt.number for attempt in record.attempts]
    if admitted and not numbers:
        faults.append("admitted, but without an attempt")
    if not admitted and any(attempt.status is not None or attempt.usage is not None for attempt in record.attempts):
        faults.append("went upstream, but was never admitted")
    if numbers != list(range(1, len(numbers) + 1)):
        faults.append(f"attempts are numbered {numbers}")
    faults += [f"attempt {attempt.number} never ended" for attempt in record.attempts if attempt.ended_ns is None]
    costs = [attempt.cost_nanousd for attempt in record.attempts]
    total = None if None in costs else sum(cost for cost in costs if cost is not None)
    if record.cost_nanousd != total:
        faults.append(f"costs {record.cost_nanousd}, its attempts {total}")
    return faults


def assert_money_conserved(ledger: Ledger, settled_nanousd: Mapping[Budget, int]) -> None:
    """I3: nothing is reserved any more, and no budget was overspent.

    Args:
        settled_nanousd: what was really spent against each budget, from a source other than the ledger if there is one.

    Raises:
        AssertionError: says what is left reserved, or which budget is over.
    """
    reserved_nanousd = ledger.reserved_nanousd()
    wrong = [f"{reserved_nanousd} nano-USD are still reserved"] if reserved_nanousd else []
    wrong += [
        f"{budget.scope!r} spent {spent} of {budget.limit_nanousd} nano-USD"
        for budget, spent in settled_nanousd.items()
        if spent > budget.limit_nanousd
    ]
    if wrong:
        raise AssertionError("money is not conserved: " + "; ".join(wrong))


@asynccontextmanager
async def baseline(**counts: Callable[[], int]) -> AsyncIterator[None]:
    """I5: tasks and open files inside the block are gone after it, and every count is what it was before.

    What closes on its own is given a second of the loop's time.  An exception from the block passes unchecked.

    Args:
        counts: further things that must return, such as `pool=lambda: pool.in_use`.

    Raises:
        AssertionError: names the tasks and files that are left.
    """
    tasks, files = asyncio.all_tasks(), _open_files()
    before = {name: count() for name, count in counts.items()}
    yield
    deadline_s = asyncio.get_running_loop().time() + _PATIENCE_S
    while wrong := _left_over(tasks, files, before, counts):
        if asyncio.get_running_loop().time() >= deadline_s:
            raise AssertionError("not back to the baseline: " + "; ".join(wrong))
        await asyncio.sleep(_STEP_S)


def _left_over(
    tasks: set[asyncio.Task[object]],
    files: Mapping[str, str],
    before: Mapping[str, int],
    counts: Mapping[str, Callable[[], int]],
) -> list[str]:
    wrong = [f"task {task.get_name()!r} still runs" for task in asyncio.all_tasks() - tasks]
    wrong += [f"file {number} is open: {what}" for number, what in _open_files().items() if files.get(number) != what]
    now = {name: count() for name, count in counts.items()}
    wrong += [f"{name} is {now[name]}, was {was}" for name, was in before.items() if now[name] != was]
    return wrong


def _open_files() -> dict[str, str]:
    """Open file descriptors of this process and what they are, as far as the system says."""
    found: dict[str, str] = {}
    for number in os.listdir("/dev/fd"):  # noqa: PTH208 - names of descriptors, not files
        path = f"/dev/fd/{number}"
        try:
            what = os.readlink(path) if os.path.islink(path) else "open"  # noqa: PTH114, PTH115
        except OSError:
            continue  # the descriptor of the listing itself
        if what != "/dev/null":  # libuv keeps one in reserve from its first server on
            found[number] = what
    return found
