"""Google's log probabilities and neutral ones, which have OpenAI's form; numbers of tokens have no place there."""

from __future__ import annotations

from typing import Any

import msgspec


def decode_logprobs(value: Any) -> msgspec.Raw | None:
    """The neutral form of a `logprobsResult`; `None` where there is none."""
    if not isinstance(value, dict):
        return None
    chosen, tops = _tables(value.get("chosenCandidates")), _tables(value.get("topCandidates"))
    rows = []
    for index, each in enumerate(chosen):
        others = _tables(tops[index].get("candidates")) if index < len(tops) else []
        rows.append({**_row(each), "top_logprobs": [_row(other) for other in others]})
    return msgspec.Raw(msgspec.json.encode({"content": rows, "refusal": None}))


def encode_logprobs(raw: msgspec.Raw | None) -> dict[str, Any]:
    """The field `logprobsResult`, where there is something to say in it."""
    value = None if raw is None else msgspec.json.decode(raw)
    rows = _tables(value.get("content")) if isinstance(value, dict) else []
    if not rows:
        return {}
    tops = [{"candidates": [_candidate(each) for each in _tables(row.get("top_logprobs"))]} for row in rows]
    return {"logprobsResult": {"chosenCandidates": [_candidate(row) for row in rows], "topCandidates": tops}}


def _row(candidate: dict[str, Any]) -> dict[str, Any]:
    token = candidate.get("token")
    token = token if isinstance(token, str) else ""
    return {"token": token, "logprob": candidate.get("logProbability"), "bytes": list(token.encode())}


def _candidate(row: dict[str, Any]) -> dict[str, Any]:
    return {"token": row.get("token"), "logProbability": row.get("logprob")}


def _tables(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
