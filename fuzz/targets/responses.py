"""Streams of the Responses dialect; see `fuzz.streams` for what must hold."""

from __future__ import annotations

from fairlead.dialects.openai_responses import stream
from fuzz import streams
from fuzz.plan import seed


def check(data: bytes) -> None:
    streams.check(stream, data)


def _event(kind: bytes, rest: bytes = b"", end: bytes = b"\n") -> bytes:
    return b"event: " + kind + end + b'data: {"type":"' + kind + b'","sequence_number":1' + rest + b"}" + end + end


def _delta(kind: bytes, place: int, text: bytes, index: bytes = b"content_index") -> bytes:
    where = b',"output_index":%d,"%b":0,"item_id":"i"' % (place, index)
    return _event(b"response." + kind + b".delta", where + b',"delta":"' + text + b'"')


def _item(when: bytes, place: int, item: bytes) -> bytes:
    return _event(b"response.output_item." + when, b',"output_index":%d,"item":%b' % (place, item))


_RESPONSE = b'"id":"r","object":"response","created_at":1,"model":"m"'
_START = _event(b"response.created", b',"response":{' + _RESPONSE + b"}")
_COUNTS = b'{"input_tokens":9,"output_tokens":7,"input_tokens_details":{"cached_tokens":2}}'
_END = _event(b"response.completed", b',"response":{' + _RESPONSE + b',"usage":' + _COUNTS + b"}")
_CUT = _event(b"response.incomplete", b',"response":{"incomplete_details":{"reason":"steered"}}')
_FAILED = _event(b"response.failed", b',"response":{"error":{"code":"rate_limit_exceeded","message":"no"}}')
_ERROR = (
    b'event: error\ndata: {"type":"error","code":"server_error","message":"no","param":null,"sequence_number":2}\n\n'
)
_PING = b"event: ping\ndata: {}\n\n"
_TEXT = _delta(b"output_text", 0, b"Gr\xc3\xbc\xc3\x9fe")
_CALL = b'{"type":"function_call","id":"f","call_id":"c","name":"f","arguments":""}'
_SEARCH = b'{"type":"web_search_call","id":"w","status":"completed"}'
_THOUGHT = b'{"type":"reasoning","id":"t","summary":[],"encrypted_content":"x"}'
_WHOLE = b"".join(
    [
        _START,
        _event(b"response.in_progress", b',"response":{}'),
        _item(b"added", 0, _SEARCH),
        _event(b"response.web_search_call.searching", b',"output_index":0'),
        _item(b"done", 0, _SEARCH),
        _delta(b"reasoning_summary_text", 1, b"hm", b"summary_index"),
        _item(b"done", 1, _THOUGHT),
        _PING,
        _event(b"response.content_part.added", b',"output_index":2,"content_index":0,"part":{"type":"output_text"}'),
        _delta(b"output_text", 2, b"a"),
        _delta(b"refusal", 2, b"no"),
        _item(b"added", 3, _CALL),
        _delta(b"function_call_arguments", 3, b'{\\"a\\":1}'),
        _item(b"done", 4, _CALL.replace(b'"c"', b'"d"')),
        _END,
    ]
)
SEEDS = (
    seed(_WHOLE),
    seed(_WHOLE, 1, (1, 1, 1)),
    seed(_WHOLE.replace(b"\n", b"\r\n"), 0, (7, 3, 1)),
    seed(_START + _TEXT + _ERROR, 0, (5, 0, 0)),
    seed(_START + _FAILED, 0, (2, 0, 0)),
    seed(b"event: error\ndata: x\n\n" + _TEXT, 0, (9, 1, 0)),
    seed(_TEXT + _event(b"response.new", b',"x":[1]') + _TEXT[:30], 0, (40, 0, 0)),
    seed(_START + _TEXT + _CUT, 0, (1, 0, 0)),
    seed(_delta(b"output_text", 0, b"\\ud800\\u0000") + b"data: \xff\xfe\n\n", 0, (1, 0, 0)),
)
WORDS = (
    b"data: ", b"event: ", b"event: error\n", b"event: ping\n", b": ", b"\r\n\r\n", b"\n\n", b"\r\r", b'"type":', b'"output_index":1',
    b'"delta":"x"', b'"error":{}', b'"response":{', b'"arguments":"{}"', b'"text"', b'"item":{', b'"function_call"', b'"reasoning"',
    b'"logprobs":[{}]', b"}\n\n", b"\xef\xbb\xbf", b"\\ud800", b"null", _PING, _END, _TEXT, _item(b"added", 0, _CALL),
)  # fmt: skip
