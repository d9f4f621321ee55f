"""One answer of the simulator as a sequence of steps, the same for the wire and in process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

End = Literal["whole", "broken", "silent"]
"""How an answer ends: as its framing says, with a broken connection, or not at all."""

Charge = Callable[[str, End | Literal["left"]], None]
"""Called once, with the text that was sent and how the answer ended; `left`: the caller went away."""


class Step(msgspec.Struct, frozen=True):
    """Bytes to send after a pause."""

    data: bytes
    text: str = ""
    """What of it the model wrote."""
    pause_s: float = 0.0


class Script:
    """An answer to be played: pause, head, steps, end.

    The player calls `sent` for each step once it is on its way, and `ended` or `left` when it is done.
    """

    __slots__ = ("_sent", "charge", "end", "headers", "pause_s", "status", "steps", "streams")

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        steps: Sequence[Step],
        *,
        end: End = "whole",
        pause_s: float = 0.0,
        streams: bool = False,
        charge: Charge | None = None,
    ) -> None:
        self.status = status
        """0: no answer; the connection breaks, or stays silent."""
        self.headers = headers
        self.steps = steps
        self.end: End = end
        self.pause_s = pause_s
        self.streams = streams
        """Whether the body's length is unknown when its head goes out."""
        self.charge = charge
        self._sent: list[str] = []

    @property
    def body(self) -> bytes:
        """All steps in one."""
        return b"".join(step.data for step in self.steps)

    def sent(self, step: Step) -> None:
        """This step has gone out."""
        self._sent.append(step.text)

    def ended(self) -> None:
        """The answer is over."""
        self._settle(self.end)

    def left(self) -> None:
        """The caller went away; harmless once the answer is over."""
        self._settle(self.end if self.end == "silent" else "left")

    def _settle(self, how: End | Literal["left"]) -> None:
        charge, self.charge = self.charge, None
        if charge is not None:
            charge("".join(self._sent), how)


def whole(status: int, body: bytes, headers: Mapping[str, str], *, pause_s: float = 0.0) -> Script:
    """An answer that costs nothing: an error, a list, a page."""
    return Script(status, headers, [Step(body)], pause_s=pause_s)
