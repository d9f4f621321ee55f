"""Takes guests' messages and makes bookings of them; what is no booking, a human reads.

python booking.py                                  the messages of messages.txt, with the simulator
python booking.py --model gpt-4o-mini              the same with a real model
python booking.py "A table for two tonight, Ada"   messages of your own
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationInfo, field_validator
from rich.console import Console
from rich.table import Table
from rich.text import Text

import fairlead
from fairlead.errors import FairleadError, OutputInvalid
from fairlead.fields import ISODate, Time24

FOLDER = Path(__file__).resolve().parent
SIMULATOR_SAYS = "sim:say"
"""What stands before an answer in a message."""
SIMULATORS = "sim-"
"""How the names of its models begin."""
TASK = "Read the guest's message and fill in the booking that it asks for."


@dataclass(frozen=True)
class House:
    """What the restaurant allows, whatever a model makes of a message."""

    today: date
    opens: time = time(12, 0)
    last_table: time = time(21, 30)
    seats: int = 12


class BookingResponse(BaseModel):
    """A table that a guest asks for."""

    date: ISODate
    time: Time24
    customer_name: str = Field(min_length=1)
    guests: int = Field(ge=1)

    @field_validator("date")
    @classmethod
    def is_to_come(cls, value: str, info: ValidationInfo) -> str:
        """Nobody eats yesterday."""
        today = _house(info).today
        if date.fromisoformat(value) < today:
            raise ValueError(f"{value} is over; today is {today}")
        return value

    @field_validator("time")
    @classmethod
    def is_open(cls, value: str, info: ValidationInfo) -> str:
        """The kitchen has its hours."""
        house = _house(info)
        if not house.opens <= time.fromisoformat(value) <= house.last_table:
            raise ValueError(
                f"tables are given from {house.opens:%H:%M} to {house.last_table:%H:%M}, and not at {value}"
            )
        return value

    @field_validator("guests")
    @classmethod
    def has_room(cls, value: int, info: ValidationInfo) -> int:
        """The largest party that there are seats for."""
        seats = _house(info).seats
        if value > seats:
            raise ValueError(f"there are {seats} seats, and not {value}")
        return value


@dataclass(frozen=True)
class ForAHuman:
    """A message that no booking was made of, and why."""

    reasons: Sequence[str]


def _house(info: ValidationInfo) -> House:
    if not isinstance(info.context, House):
        raise TypeError("a booking is validated with its house as `context`")
    return info.context


# --- asking ---


def for_a_human(error: FairleadError) -> ForAHuman:
    """What stands in for a booking where there is none: an invalid answer never stops the application."""
    if isinstance(error, OutputInvalid) and error.errors:
        return ForAHuman([f"{each.path.lstrip('/') or 'answer'}: {each.message}" for each in error.errors])
    return ForAHuman([error.message])


async def booked(
    llm: fairlead.Client, message: str, *, model: str, house: House
) -> fairlead.Extracted[BookingResponse | ForAHuman]:
    """The booking that a message asks for, or what a human has to read."""
    is_simulated = model.startswith(SIMULATORS)
    told = [
        {"role": "system", "content": f"{TASK} Today is {house.today:%A, %d %B %Y}."},
        {"role": "user", "content": message if is_simulated else guests_words(message)},
    ]
    return await llm.extract(
        BookingResponse,
        told,
        model=model,
        temperature=0,
        context=house,
        fallback=for_a_human,
        reasks=0 if is_simulated else 2,  # asked again the simulator makes something up
    )


# --- messages, and what becomes of them ---


def read_messages(path: Path) -> list[str]:
    """The blocks of a file, without its comments before the first one."""
    lines = path.read_text(encoding="utf-8").splitlines()
    while lines and lines[0].startswith("#"):
        del lines[0]
    return [block.strip() for block in "\n".join(lines).split("\n---\n") if block.strip()]


def guests_words(message: str) -> str:
    """What the guest wrote, without what the simulator is to say."""
    return message.partition(SIMULATOR_SAYS)[0].strip()


def store(path: Path, line: dict[str, Any]) -> None:
    """Append one JSON object."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def keep(folder: Path, message: str, value: BookingResponse | ForAHuman) -> None:
    """A booking is stored as it is; a human finds the guest's words and the reasons."""
    if isinstance(value, BookingResponse):
        store(folder / "reservations.jsonl", value.model_dump())
    else:
        store(folder / "for_a_human.jsonl", {"message": guests_words(message), "reasons": list(value.reasons)})


def outcome(value: BookingResponse | ForAHuman) -> Text:
    """One cell of the table."""
    if isinstance(value, BookingResponse):
        return Text(f"{value.date} {value.time}\n{value.customer_name}, {value.guests}", style="green")
    return Text("for a human\n" + "\n".join(value.reasons), style="yellow")


def how(answer: fairlead.Extracted[Any]) -> str:
    """What it took: the edits of an answer that was taken, the re-asks, the cost."""
    report = answer.report
    edits = [] if report is None or answer.is_fallback else [_told(edit) for edit in report.edits]
    reasks = 0 if report is None else report.reasks
    return "\n".join([*edits, *([f"asked {reasks} times more"] if reasks else [])])


def _told(edit: Any) -> str:
    if edit.before is None or edit.after is None or not edit.path:
        return str(edit.kind)
    return f"{edit.path.lstrip('/')}: {edit.before} -> {edit.after}"


def table_of(rows: Iterable[tuple[str, fairlead.Extracted[Any]]]) -> Table:
    """All messages with what became of them."""
    table = Table("guest", "became", "how", "USD", title="Bookings", show_lines=True)
    for message, answer in rows:
        table.add_row(Text(guests_words(message)), outcome(answer.value), Text(how(answer)), str(answer.cost_usd))
    return table


async def run(messages: Sequence[str], *, model: str, house: House, folder: Path) -> None:
    """Book all, four at a time, and show what became of each."""
    gate = asyncio.Semaphore(4)

    async def one(llm: fairlead.Client, message: str) -> fairlead.Extracted[Any]:
        async with gate:
            return await booked(llm, message, model=model, house=house)

    config = FOLDER / ("fairlead.toml" if model.startswith(SIMULATORS) else "openai.toml")
    async with fairlead.Client.from_file(config) as llm:
        answers = await asyncio.gather(*(one(llm, message) for message in messages))
    for message, answer in zip(messages, answers, strict=True):
        keep(folder, message, answer.value)
    Console().print(table_of(zip(messages, answers, strict=True)))


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description="Makes bookings of what guests write.")
    parser.add_argument("messages", nargs="*", help="what guests wrote; without any, those of --file")
    parser.add_argument("--file", type=Path, default=FOLDER / "messages.txt", help="messages with `---` between them")
    parser.add_argument("--model", default="sim-small", help="who reads them, such as gpt-4o-mini")
    parser.add_argument("--today", type=date.fromisoformat, default=date.today(), help="the day it is, YYYY-MM-DD")
    parser.add_argument("--folder", type=Path, default=Path(), help="where reservations.jsonl and for_a_human.jsonl go")
    told = parser.parse_args()
    messages = told.messages or read_messages(told.file)
    try:
        asyncio.run(run(messages, model=told.model, house=House(today=told.today), folder=told.folder))
    except FairleadError as error:  # such as a key that is missing
        sys.exit(f"booking.py: {error}")


if __name__ == "__main__":
    main()
