"""Whom one answer is for: the dialect that is spoken, and how its providers behave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fairlead.dialects.codec import Dialect, EventEncoder
from fairlead.errors import FairleadError
from fairlead.providers.sim.manners import Manners
from fairlead.providers.sim.refusals import Refusal, by_codec
from fairlead.providers.sim.script import Script, whole
from fairlead.types import Chat

JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
SAYS_SO = {"x-fairlead-simulated": "true"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One caller in one call."""

    dialect: Dialect
    manners: Manners
    request_id: str
    key: str
    """The credential; empty without one."""

    @property
    def headers(self) -> dict[str, str]:
        """What every answer carries; the id of the request stands under its usual name, too."""
        return {**SAYS_SO, "x-request-id": self.request_id, self.manners.request_id_header: self.request_id}

    def refusal(self, error: FairleadError, more: Mapping[str, str] | None = None, *, pause_s: float = 0.0) -> Script:
        """An error as this dialect's provider sends it.

        Args:
            more: further headers.
        """
        refused = self._refused(error)
        headers = {**self.headers, **JSON, **refused.headers, **(more or {})}
        return whole(refused.status, refused.body, headers, pause_s=pause_s)

    def in_band(self, error: FairleadError, *, is_stream: bool) -> bytes:
        """The error inside a 200: as an event of a stream, or as the whole body."""
        body = self._refused(error).body
        if not is_stream:
            return body
        frame = self.manners.frame
        return self.dialect.errors.encode_event(error) if frame is None else frame(body)

    def encoder(self, chat: Chat) -> EventEncoder:
        """Writes this dialect's streams."""
        if self.manners.encoder is not None:
            return self.manners.encoder(chat)
        return self.dialect.streams.encoder(include_usage=chat.include_usage)

    def _refused(self, error: FairleadError) -> Refusal:
        return (self.manners.refuse or by_codec(self.dialect))(error, self.request_id)
