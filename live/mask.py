"""From what went over a connection to a cassette: nothing in it says whose account it was.

Headers go by a list of those that may stay.  In paths and bodies every trace of a credential that is known is masked,
down to a few characters of it, and what looks like a credential, an organisation, an account or a person.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from fairlead.testing.script import parse_head
from live.tape import Taped

MASK = "***"
WINDOW = 8
"""So many characters of a credential are a trace of it: answers quote beginnings and ends."""
_KEPT_SENT = frozenset({"accept", "accept-encoding", "anthropic-beta", "anthropic-version", "content-type"})
_KEPT_ANSWERED = frozenset({"content-type", "retry-after", "x-should-retry"})
_FIELDS = (
    "account|account_id|email|org|organization|organization_id|organization_name|org_id|owner|project|project_id"
    "|request_id|requestId|responseId|safety_identifier|system_fingerprint|team|team_id|user|user_id|workspace_id"
)
"""Names of fields whose text tells of an account or a request."""
_TELLTALES = re.compile(
    rf'(?P<field>\\?"(?:{_FIELDS})\\?"\s*:\s*\\?")(?:[^"\\]|\\[^"])+'
    r"|\b(?:sk|pk|gsk|xai|csk|fw|tgp|pplx|key|rk|pa)[-_][\w*.\-]{6,}"  # credentials, also with their middle starred out
    r"|\bAIza[\w\-]{8,}"
    r"|\b(?:org|organization|proj|project|user|acct|team|workspace|wrkspc|req)[-_][A-Za-z0-9]{6,}"
    r"|\bprojects/[\w\-]+"
    r"|\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b"
    r"|[\w.+\-]+@[\w\-]+(?:\.[\w\-]+)+"
)


class Leaked(Exception):
    """A cassette would hold a trace of a credential."""


class Masker:
    """Masks what was taped, with the credentials known that were in use.

    Args:
        secrets: the credentials themselves.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._traces = frozenset(trace for secret in secrets for form in _forms(secret) for trace in _traces(form))
        alternatives = "|".join(map(re.escape, sorted(self._traces, key=len, reverse=True)))
        self._found = re.compile(f"(?=({alternatives}))") if alternatives else None

    def text(self, text: str) -> str:
        """The text without credentials and what tells of an account."""
        return _TELLTALES.sub(lambda found: (found["field"] or "") + MASK, self._without_secrets(text))

    def cassette(self, title: Mapping[str, str], taped: Iterable[Taped]) -> str:
        """What was taped, as JSON.

        Args:
            title: what it is of.

        Raises:
            Leaked: a trace of a credential is left.
        """
        rows = [self._exchange(each) for each in taped]
        whole = json.dumps({**title, "exchanges": rows}, indent=1, ensure_ascii=False) + "\n"
        if any(trace in whole for trace in self._traces):
            named = self.text(" ".join(title.values()))
            raise Leaked(f"a trace of a credential is left in the cassette of {named!r}; nothing was written")
        return whole

    def _exchange(self, taped: Taped) -> dict[str, Any]:
        method, path, headers = parse_head(taped.head)
        request = {"method": method, "path": self.text(path), "headers": self._headers(headers, _KEPT_SENT)}
        request["body"] = self.text(taped.body.decode("utf-8", "replace"))
        if taped.status is None:
            return {"request": request, "answer": None}
        answer = {"status": taped.status, "headers": self._headers(taped.headers, _KEPT_ANSWERED)}
        return {"request": request, "answer": {**answer, "body": self.text(taped.answer.decode("utf-8", "replace"))}}

    def _headers(self, headers: Mapping[str, str], kept: frozenset[str]) -> dict[str, str]:
        return {name.lower(): self.text(value) for name, value in headers.items() if name.lower() in kept}

    def _without_secrets(self, text: str) -> str:
        if self._found is None:
            return text
        pieces, end = [], 0
        for found in self._found.finditer(text):
            start, stop = found.start(1), found.end(1)
            if start >= end:
                pieces += [text[end:start], MASK]
            end = max(end, stop)
        return "".join([*pieces, text[end:]])


def _forms(secret: str) -> set[str]:
    """A credential as it is, and as JSON, a URL and base64 write it."""
    plain = secret.encode()
    coded = [base64.b64encode(b"\0" * shift + plain).decode()[2 * shift : -4] for shift in range(3)]
    return {secret, json.dumps(secret)[1:-1], quote(secret, safe=""), *coded} - {""}


def _traces(form: str) -> set[str]:
    if len(form) <= WINDOW:
        return {form}
    return {form[at : at + WINDOW] for at in range(len(form) - WINDOW + 1)}
