"""Requests of the Gemini dialect."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.dialects.anthropic import request as anthropic_request
from fairlead.dialects.crossing import request_across
from fairlead.dialects.gemini import GEMINI, request
from fairlead.dialects.gemini.parts import UNSIGNED
from fairlead.dialects.openai_chat import request as openai_request
from fairlead.errors import InvalidRequest, NotFound
from fairlead.types import (
    AudioPart,
    Chat,
    FilePart,
    ImagePart,
    Message,
    OpaquePart,
    ReasoningPart,
    RefusalPart,
    ResponseFormat,
    TextPart,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
)
from gemini_generated import chats, raw
from gemini_official import check_request

HELLO = [{"role": "user", "parts": [{"text": "hello"}]}]
PATH = "/v1beta/models/m:generateContent"
MOST = 50
"""Examples of whole conversations, which are long."""
PNG = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}


def body(**fields):
    return msgspec.json.encode({"contents": HELLO, **fields})


def decoded(path=PATH, **fields):
    return request.decode(request.read(body(**fields), path).fields)


def encoded(*messages, **fields):
    return json.loads(request.encode(Chat(**{"model": "m", "messages": messages, **fields})))


def user(*parts):
    return Message(role="user", parts=parts)


def again(**fields):
    """The body that a decoded one is encoded to."""
    return json.loads(request.encode(decoded(**fields)))


def parts_of(*parts, role="user"):
    return decoded(contents=[{"role": role, "parts": list(parts)}]).messages[0].parts


@pytest.mark.parametrize(
    ("path", "model", "operation", "stream"),
    [
        ("/v1beta/models/gemini-2.5-flash:generateContent", "gemini-2.5-flash", "answer", False),
        ("/v1beta/models/gemini-2.5-flash:streamGenerateContent", "gemini-2.5-flash", "answer", True),
        ("/v1/models/m:generateContent", "m", "answer", False),
        ("/v1beta/models/m:countTokens", "m", "count", False),
        ("/v1beta/models/a%2Fb:8b:generateContent", "a/b:8b", "answer", False),
        ("/v1beta/models/a/b:streamGenerateContent", "a/b", "answer", True),
    ],
)
def test_model_and_operation_stand_in_the_path(path, model, operation, stream):
    """As if they had stood in the body."""
    read = request.read(body(model="other", stream=3), path)
    assert (read.model, read.operation, read.stream) == (model, operation, stream)
    chat = request.decode(read.fields)
    assert (chat.model, chat.stream) == (model, stream)


@pytest.mark.parametrize("path", ["", "/v1beta/models/m", "/v1beta/models/m:embedContent", "/v1/chat/completions"])
def test_any_other_path_is_not_found(path):
    """The message says what there is."""
    with pytest.raises(NotFound, match="`streamGenerateContent`"):
        request.read(body(), path)


@pytest.mark.parametrize("path", ["/v1beta/models/:generateContent", "/v1beta/models/a%0Ab:generateContent"])
def test_a_model_has_a_name(path):
    """One that can be printed."""
    with pytest.raises(InvalidRequest) as raised:
        request.read(body(), path)
    assert raised.value.param == "model"


@pytest.mark.parametrize("config", ["generationConfig", "generation_config"])
def test_the_fields_that_stages_need_are_read(config):
    """Limit, choices and tier, in either spelling; usage always comes."""
    snake = {"max_output_tokens": 9, "candidate_count": 2}
    limits = snake if "_" in config else {"maxOutputTokens": 9, "candidateCount": 2}
    read = request.read(body(**{config: limits, "serviceTier": "FLEX"}), PATH)
    assert (read.dialect, read.max_output_tokens, read.n, read.service_tier) == ("gemini", 9, 2, "flex")
    assert read.include_usage


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"contents": None}, "contents"),
        ({"contents": "hello"}, "contents"),
        ({"generationConfig": 3}, "generationConfig"),
        ({"generationConfig": {"maxOutputTokens": -1}}, "generationConfig.maxOutputTokens"),
        ({"generationConfig": {"maxOutputTokens": "9"}}, "generationConfig.maxOutputTokens"),
        ({"generationConfig": {"maxOutputTokens": 10_000_001}}, "generationConfig.maxOutputTokens"),
        ({"generationConfig": {"candidateCount": 0}}, "generationConfig.candidateCount"),
        ({"serviceTier": 1}, "serviceTier"),
        ({"api_key": "x"}, "api_key"),
    ],
)
def test_a_known_field_of_the_wrong_type_is_named(fields, param):
    """The error's `param` is the whole path of the field at fault."""
    with pytest.raises(InvalidRequest) as raised:
        request.read(body(**fields), PATH)
    assert raised.value.param == param


@pytest.mark.parametrize(
    "text",
    [
        '{"contents":[],"generationConfig":{},"generation_config":{}}',
        '{"contents":[],"generationConfig":{"maxOutputTokens":1,"maxOutputTokens":9}}',
        '{"contents":[],"generationConfig":{"maxOutputTokens":1,"max_output_tokens":9}}',
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(text):
    """A reservation goes by the limit that the provider reads."""
    with pytest.raises(InvalidRequest, match="twice"):
        request.read(text.encode(), PATH)


def test_what_wraps_a_request_counts_for_a_count_only():
    """Elsewhere a provider would read what stands outside."""
    wrapped = {"generateContentRequest": {"contents": HELLO}}
    with pytest.raises(InvalidRequest):
        request.read(msgspec.json.encode(wrapped), PATH)


def test_the_bytes_of_media_are_no_tokens():
    """Images, sound and files count as pieces, also within the result of a function; plain text is tokens."""
    data = base64.b64encode(bytes(150_000)).decode()
    image = {"inline_data": {"mime_type": "image/png", "data": data}}
    pdf = {"inlineData": {"mimeType": "application/pdf", "data": data}}
    plain = {"inlineData": {"mimeType": "text/plain", "data": "eHh4" * 1000}}
    file = {"fileData": {"fileUri": "gs://a/b"}}
    result = {"functionResponse": {"name": "f", "response": {}, "parts": [image]}}
    contents = [{"role": "user", "parts": [image, pdf, plain, file, result]}]
    read = request.read(body(contents=contents), PATH)
    assert read.images == 1 + 4 + 1 + 1
    assert 4000 < read.input_bytes < 5000


def test_a_relay_takes_out_what_the_path_says():
    """Whatever else the caller sent goes on, byte for byte."""
    read = request.read(b'{"model":"x", "contents":[ ],"new_field":{"a" : 1.0}}', PATH)
    joined = request.join(read, "gemini", ask_usage=True, defaults={"labels": raw({}), "contents": raw(1)})
    assert joined == b'{"contents":[ ],"new_field":{"a" : 1.0},"labels":{}}'


@pytest.mark.parametrize("wrapped", ["generateContentRequest", "generate_content_request"])
def test_a_count_of_tokens_may_wrap_the_request(wrapped):
    """It costs nothing, and names the model that is asked on the way out."""
    inner = {"model": "models/alias", "contents": HELLO, "system_instruction": {"parts": [{"text": "s"}]}}
    read = request.read(msgspec.json.encode({wrapped: inner}), "/v1beta/models/alias:countTokens")
    assert (read.operation, read.max_output_tokens, read.input_bytes) == ("count", 0, 0)
    assert [message.text for message in request.decode(read.fields).messages] == ["s", "hello"]
    joined = json.loads(request.join(read, "gemini", ask_usage=False))
    assert joined == {wrapped: {**inner, "model": "models/gemini"}}


def through(chat):
    verb = "streamGenerateContent" if chat.stream else "generateContent"
    return request.decode(request.read(request.encode(chat), f"/v1beta/models/{chat.model}:{verb}").fields)


@settings(max_examples=MOST)
@given(chats())
def test_a_chat_survives_the_way_out_and_back(chat):
    """Whatever both forms can express."""
    assert through(chat) == chat


@settings(max_examples=MOST)
@given(chats())
def test_what_is_encoded_is_what_the_official_models_know(chat):
    """No field that they forbid; and the same again after a way back."""
    out = request.encode(chat)
    check_request(out)
    assert request.encode(through(chat)) == out


KEYS = ["role", "parts", "text", "thought", "thoughtSignature", "inlineData", "file_data", "fileUri", "mimeType", "data",
        "functionCall", "functionResponse", "args", "id", "name", "response", "output", "error", "mode", "functionDeclarations",
        "parameters", "type", "nullable", "thinkingBudget", "thinkingConfig", "responseMimeType", "stopSequences"]  # fmt: skip
HOSTILE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-99, 99)
    | st.text(max_size=5)
    | st.sampled_from(["image/png", "text/plain", "user", "model", "AAAA", "ANY", "application/json"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from(["contents", "systemInstruction", "tools", "toolConfig", "generationConfig"]), HOSTILE)
def test_any_value_decodes_or_is_refused_by_name(field, value):
    """Never anything else; and what was encoded once is not changed by another way through."""
    try:
        once = request.encode(request.decode(request.read(body(**{field: value}), PATH).fields))
    except InvalidRequest as error:
        refused = error
    else:
        assert request.encode(request.decode(request.read(once, PATH).fields)) == once
        return
    assert refused.param


def test_what_wraps_a_request_must_be_one():
    """Also beside contents of its own."""
    read = b'{"contents":[],"generateContentRequest":3}'
    with pytest.raises(InvalidRequest) as raised:
        request.read(read, "/v1beta/models/m:countTokens")
    assert raised.value.param == "generateContentRequest"
    answer = request.read(read, PATH)
    assert request.join(answer, "m", ask_usage=True) == read


def test_the_system_prompt_is_the_first_message():
    """In either spelling, its parts in a list or alone."""
    for fields in (
        {"systemInstruction": {"parts": [{"text": "be brief"}]}},
        {"system_instruction": {"role": "user", "parts": {"text": "be brief"}}},
    ):
        assert decoded(**fields).messages[0] == Message(role="system", parts=(TextPart(text="be brief"),))
        assert again(**fields)["systemInstruction"] == {"parts": [{"text": "be brief"}]}


def test_a_system_message_further_on_is_said_by_the_user():
    """This dialect has no form for it; those at the beginning are the system prompt."""
    text = [Message(role=role, parts=(TextPart(text=role),)) for role in ("system", "developer", "user", "system")]
    out = encoded(*text)
    assert out["systemInstruction"] == {"parts": [{"text": "system"}, {"text": "developer"}]}
    assert out["contents"] == [{"role": "user", "parts": [{"text": each}]} for each in ("user", "system")]


PARTS = [
    ({"text": "a"}, TextPart(text="a")),
    ({"text": "", "thoughtSignature": "AA=="}, TextPart(text="", extra={"thoughtSignature": raw("AA==")})),
    ({"text": "hm", "thought": True}, ReasoningPart(text="hm")),
    ({"text": "hm", "thought": True, "thoughtSignature": "AA=="}, ReasoningPart(text="hm", signature="AA==")),
    (PNG, ImagePart(url="data:image/png;base64,AAAA")),
    ({"inlineData": {"mimeType": "audio/wav", "data": "AA"}}, AudioPart(data="AA", format="wav")),
    (
        {"inlineData": {"mimeType": "application/pdf", "data": "AA", "displayName": "n"}},
        FilePart(file_data="data:application/pdf;base64,AA", extra={"inlineData": raw({"displayName": "n"})}),
    ),
    ({"inlineData": {"mimeType": "text/plain", "data": "aG0="}}, FilePart(text="hm")),
    ({"inlineData": {"mimeType": "text/plain", "data": "/w=="}}, FilePart(file_data="data:text/plain;base64,/w==")),
    (
        {"fileData": {"mimeType": "image/png", "fileUri": "https://x/a"}},
        ImagePart(url="https://x/a", extra={"fileData": raw({"mimeType": "image/png"})}),
    ),
    ({"fileData": {"mimeType": "image/png", "fileUri": "https://x/a.PNG?b"}}, ImagePart(url="https://x/a.PNG?b")),
    (
        {
            "fileData": {
                "mimeType": "video/mp4",
                "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc",
            },
            "videoMetadata": {"fps": 1},
        },
        FilePart(
            file_id="https://generativelanguage.googleapis.com/v1beta/files/abc",
            extra={"fileData": raw({"mimeType": "video/mp4"}), "videoMetadata": raw({"fps": 1})},
        ),
    ),
    *(
        (part, OpaquePart(dialect="gemini", kind=kind, raw=raw(part)))
        for kind, part in (
            ("executableCode", {"executableCode": {"language": "PYTHON", "code": "1"}}),
            ("codeExecutionResult", {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}),
            ("inlineData", {**PNG, "thought": True}),
            ("invented", {"invented": {"x": [1]}, "thoughtSignature": "AA=="}),
            ("part", {"thoughtSignature": "AA=="}),
        )
    ),
]


@pytest.mark.parametrize(("part", "neutral"), PARTS)
@pytest.mark.parametrize("role", ["user", "model"])
def test_a_part_and_its_neutral_form(part, neutral, role):
    """In a turn of either side; what has no neutral form is kept as it is."""
    assert parts_of(part, {"text": "-"}, role=role) == (neutral, TextPart(text="-"))
    contents = [{"role": role, "parts": [part, {"text": "-"}]}]
    out = again(contents=contents)["contents"][0]["parts"][0]
    for name in ("inlineData", "fileData"):
        if name in out:
            assert out.pop(name).items() == part.get(name).items()
    assert out == {name: value for name, value in part.items() if name not in {"inlineData", "fileData"} or name in out}


def test_the_other_alphabet_of_base64_is_understood():
    """Google's clients write it; other providers take the standard one only."""
    assert parts_of({"inline_data": {"mime_type": "image/png", "data": "-_8="}}) == (
        ImagePart(url="data:image/png;base64,+/8="),
    )


def test_sound_has_its_common_names():
    """As other dialects know them."""
    assert parts_of({"inlineData": {"mimeType": "audio/mpeg", "data": "AA"}}) == (AudioPart(data="AA", format="mp3"),)


@pytest.mark.parametrize(
    ("contents", "param"),
    [
        ([3], "contents[0]"),
        ([{"role": "system", "parts": []}], "contents[0].role"),
        ([{"role": [], "parts": []}], "contents[0].role"),
        ([{"parts": "hello"}], "contents[0].parts"),
        ([{"parts": [{"text": 3}]}], "contents[0].parts[0].text"),
        ([{"parts": [{"inlineData": {"data": "x"}}]}], "contents[0].parts[0].inlineData.mimeType"),
        ([{"parts": [{"fileData": {"mimeType": "x"}}]}], "contents[0].parts[0].fileData.fileUri"),
        ([{"role": "model", "parts": [{"functionCall": {"args": {}}}]}], "contents[0].parts[0].functionCall.name"),
        (
            [{"role": "model", "parts": [{"functionCall": {"name": "f", "args": []}}]}],
            "contents[0].parts[0].functionCall.args",
        ),
        ([{"parts": [{"functionCall": {"name": "f"}}]}], "contents[0].parts[0].functionCall"),
        (
            [{"role": "model", "parts": [{"functionResponse": {"name": "f"}}]}],
            "contents[0].parts[0].functionResponse",
        ),
        (
            [{"parts": [{"functionResponse": {"name": "f", "response": 3}}]}],
            "contents[0].parts[0].functionResponse.response",
        ),
        ([{"parts": [{"text": "a", "thought": 1}]}], "thought"),
        ([{"parts": [{"inlineData": {}, "inline_data": {}}]}], "contents[0].parts[0].inlineData"),
    ],
)
def test_a_turn_that_cannot_be_read_is_named(contents, param):
    """By the path of what is at fault."""
    with pytest.raises(InvalidRequest) as raised:
        decoded(contents=contents)
    assert raised.value.param == param


def call(name, args=None, **more):
    return {"functionCall": {"name": name, "args": args or {}, **more}}


def result(name, response=None, **more):
    return {"functionResponse": {"name": name, "response": response or {"output": name}, **more}}


def test_calls_without_an_id_get_one_by_their_place():
    """The same in every turn of the conversation, so that results still find them."""
    contents = [
        {"role": "model", "parts": [call("f"), call("g", id="mine")]},
        {"role": "user", "parts": [result("f"), result("g", id="mine")]},
        {"role": "model", "parts": [call("f")]},
    ]
    messages = decoded(contents=contents).messages
    ids = [each.id for message in messages for each in message.tool_calls]
    assert ids == ["call_0", "mine", "call_2"]
    assert [message.tool_call_id for message in messages if message.role == "tool"] == ["call_0", "mine"]


def test_results_without_an_id_answer_the_first_open_call_of_their_name():
    """In whatever order they come; a result that nobody asked for keeps its name."""
    contents = [
        {"role": "model", "parts": [call("f"), call("g"), call("f")]},
        {"role": "function", "parts": [result("g"), result("f"), result("f"), result("h")]},
    ]
    results = decoded(contents=contents).messages[1:]
    assert [each.tool_call_id for each in results] == ["call_1", "call_0", "call_2", "call_3"]
    assert [each.name for each in results] == [None, None, None, "h"]


def test_a_models_turn_keeps_its_order():
    """Thoughts, text, and calls where they stood among them, each with its own signature."""
    parts = [
        {"text": "hm", "thought": True},
        {**call("f", {"a": 1.0}, id="1"), "thoughtSignature": "AA=="},
        {"text": "so"},
        call("g", id="2"),
    ]
    message = decoded(contents=[{"role": "model", "parts": parts}]).messages[0]
    assert message.parts == (ReasoningPart(text="hm"), TextPart(text="so"))
    first, second = message.tool_calls
    assert (first.at, first.arguments, first.extra) == (1, '{"a":1.0}', {"thoughtSignature": raw("AA==")})
    assert (second.at, second.extra) == (None, {})
    assert again(contents=[{"role": "model", "parts": parts}])["contents"][0]["parts"] == parts


def test_calls_that_nobody_signed_say_so():
    """Newer models refuse them otherwise; once for a turn, and not for one that has a signature."""
    calls = (ToolCall(id="1", name="f", arguments="{}"), ToolCall(id="2", name="g", arguments=" "))
    parts = encoded(Message(role="assistant", tool_calls=calls))["contents"][0]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == [UNSIGNED, None]
    assert parts[1]["functionCall"]["args"] == {}
    for mark in (UNSIGNED, UNSIGNED.replace("_", "/")):
        parts[0]["thoughtSignature"] = mark
        assert decoded(contents=[{"role": "model", "parts": parts}]).messages[0].tool_calls[0].extra == {}


@pytest.mark.parametrize(
    ("response", "text", "failed"),
    [
        ({"output": "fine"}, "fine", None),
        ({"output": {"a": 1}}, '{"output":{"a":1}}', None),
        ({"result": "fine"}, '{"result":"fine"}', None),
        ({"output": "a", "b": 1}, '{"output":"a","b":1}', None),
        ({"error": "no"}, "no", True),
        ({"error": {"code": 5}}, '{"code":5}', True),
    ],
)
def test_a_result_and_its_text(response, text, failed):
    """An object is the object itself, and so it comes back."""
    contents = [{"role": "user", "parts": [{"functionResponse": {"id": "1", "name": "f", "response": response}}]}]
    message = decoded(contents=contents).messages[0]
    assert (message.role, message.text, message.is_error) == ("tool", text, failed)
    assert again(contents=contents)["contents"] == contents


@pytest.mark.parametrize("text", ["{}", '{"output":"x"}', '{"error":"x"}', ' {"a":1}', "[1]", "3", '"x"', "{"])
@pytest.mark.parametrize("failed", [None, True])
def test_a_text_that_could_be_read_as_something_else_stays_text(text, failed):
    """Whatever a tool said arrives as it was."""
    message = Message(role="tool", parts=(TextPart(text=text),), name="f", tool_call_id="1", is_error=failed)
    back = request.decode(request.read(request.encode(Chat(model="m", messages=(message,))), PATH).fields)
    assert (back.messages[0].text, back.messages[0].is_error) == (text, failed)


def test_results_of_parallel_calls_make_one_turn():
    """Each under the name of its function, media beside the text."""
    calls = (ToolCall(id="1", name="f", arguments="{}"), ToolCall(id="2", name="g", arguments="{}"))
    results = [
        Message(role="tool", tool_call_id="1", parts=(TextPart(text="a"), ImagePart(url="data:image/png;base64,AAAA"))),
        Message(role="tool", tool_call_id="2"),
    ]
    turns = encoded(Message(role="assistant", tool_calls=calls), *results, user(TextPart(text="go on")))["contents"]
    assert [turn["role"] for turn in turns] == ["model", "user", "user"]
    assert turns[1]["parts"] == [
        {"functionResponse": {"id": "1", "name": "f", "response": {"output": "a"}, "parts": [PNG]}},
        {"functionResponse": {"id": "2", "name": "g", "response": {}}},
    ]


GOOGLES = {
    "type": "OBJECT",
    "property_ordering": ["a"],
    "properties": {
        "a": {"type": "STRING", "nullable": True, "enum": ["x"], "minLength": "1", "example": "x"},
        "min_items": {"type": "ARRAY", "items": {"type": "INTEGER", "format": "int32"}, "max_items": 3},
        "b": {"anyOf": [{"type": "NUMBER"}, {"type": "BOOLEAN"}], "nullable": True},
        "c": {"type": "TYPE_UNSPECIFIED", "nullable": False},
    },
    "required": ["a"],
}
STANDARD = {
    "type": "object",
    "properties": {
        "a": {"type": ["string", "null"], "enum": ["x", None], "minLength": 1, "examples": ["x"]},
        "min_items": {"type": "array", "items": {"type": "integer", "format": "int32"}, "maxItems": 3},
        "b": {"anyOf": [{"type": "number"}, {"type": "boolean"}, {"type": "null"}]},
        "c": {},
    },
    "required": ["a"],
}


def test_googles_schemas_become_json_schema():
    """Of functions and of answers, so that every provider understands them."""
    tools = [{"function_declarations": [{"name": "f", "description": "d", "parameters": GOOGLES}]}]
    config = {"responseMimeType": "application/json", "responseSchema": GOOGLES}
    chat = decoded(tools=tools, generationConfig=config)
    assert json.loads(bytes(chat.tools[0].parameters)) == STANDARD
    assert json.loads(bytes(chat.response_format.schema)) == STANDARD
    assert again(tools=tools)["tools"] == [
        {"functionDeclarations": [{"name": "f", "description": "d", "parametersJsonSchema": STANDARD}]}
    ]


def test_functions_and_tools_that_the_provider_runs():
    """Functions go out together; the others by Google's names for them."""
    tools = [
        {"googleSearch": {}, "functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]},
        {"code_execution": {}},
        {"functionDeclarations": {"name": "g", "behavior": "BLOCKING"}},
    ]
    chat = decoded(tools=tools)
    assert [tool.hosted or tool.name for tool in chat.tools] == ["googleSearch", "f", "codeExecution", "g"]
    f, g = tools[0]["functionDeclarations"][0], tools[2]["functionDeclarations"]
    assert again(tools=tools)["tools"] == [
        {"functionDeclarations": [f, g]},
        {"googleSearch": {}},
        {"codeExecution": {}},
    ]


@pytest.mark.parametrize(
    ("config", "choice"),
    [
        ({"mode": "AUTO"}, ToolChoice(mode="auto")),
        ({"mode": "NONE"}, ToolChoice(mode="none")),
        ({"mode": "ANY"}, ToolChoice(mode="required")),
        ({"mode": "ANY", "allowedFunctionNames": ["f"]}, ToolChoice(mode="function", name="f")),
        ({"mode": "ANY", "allowedFunctionNames": ["f", "g"]}, None),
        ({"mode": "VALIDATED"}, None),
    ],
)
def test_which_tools_are_called(config, choice):
    """What the neutral form cannot say is kept."""
    tool_config = {"functionCallingConfig": config, "retrievalConfig": {"languageCode": "de"}}
    assert decoded(toolConfig=tool_config).tool_choice == choice
    assert again(toolConfig=tool_config)["toolConfig"] == tool_config


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"topK": 40.0, "seed": 3}, {"top_k": 40, "seed": 3}),
        ({"responseLogprobs": True, "logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
        ({"responseMimeType": "text/plain"}, {"response_format": ResponseFormat(type="text")}),
        ({"responseMimeType": "application/json"}, {"response_format": ResponseFormat(type="json_object")}),
        ({"thinkingConfig": {"thinkingBudget": 0}}, {"thinking": Thinking(mode="disabled")}),
        ({"thinkingConfig": {"thinkingBudget": -1}}, {"thinking": Thinking(mode="adaptive")}),
        ({"thinkingConfig": {"thinkingBudget": 5}}, {"thinking": Thinking(mode="enabled", budget_tokens=5)}),
        ({"thinkingConfig": {"thinkingLevel": "LOW"}}, {"thinking": None, "reasoning_effort": "low"}),
        (
            {"thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": True}},
            {"thinking": Thinking(mode="adaptive", display="summarized"), "reasoning_effort": "high"},
        ),
    ],
)
def test_parameters(config, expected):
    """Each has its neutral form, and comes back."""
    chat = decoded(generationConfig=config)
    assert {name: getattr(chat, name) for name in expected} == expected
    assert again(generationConfig=config)["generationConfig"] == config


@pytest.mark.parametrize(
    "config",
    [
        {"responseModalities": ["TEXT"], "mediaResolution": "MEDIA_RESOLUTION_LOW"},
        {"thinkingConfig": {"thinkingLevel": "NEW"}},
        {"thinkingConfig": {"thinkingBudget": 1, "invented": True}},
    ],
)
def test_what_has_no_neutral_form_is_kept(config):
    """For the way back, and named where it does not cross."""
    assert again(generationConfig=config)["generationConfig"] == config
    assert request_across(decoded(generationConfig=config))[1] == ("generationConfig",)


@pytest.mark.parametrize(
    ("config", "param"),
    [
        ({"temperature": "hot"}, "generationConfig.temperature"),
        ({"topK": 1.5}, "generationConfig.topK"),
        ({"stopSequences": "a"}, "generationConfig.stopSequences"),
        ({"responseLogprobs": 1}, "generationConfig.responseLogprobs"),
        ({"thinkingConfig": {"thinkingBudget": "x"}}, "generationConfig.thinkingConfig.thinkingBudget"),
        ({"responseMimeType": "application/json", "responseSchema": 3}, "generationConfig.responseSchema"),
    ],
)
def test_a_parameter_of_the_wrong_type_is_named(config, param):
    """By its whole path."""
    with pytest.raises(InvalidRequest) as raised:
        decoded(generationConfig=config)
    assert raised.value.param == param


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-flash", "low", {"thinkingBudget": 1024}),
        ("models/gemini-2.5-pro", "high", {"thinkingBudget": 24576}),
        ("gemini-3-pro", "minimal", {"thinkingLevel": "MINIMAL"}),
        ("gemini-3-pro", "high", {"thinkingLevel": "HIGH"}),
        ("gemini-3-pro", "max", {"thinkingLevel": "HIGH"}),
    ],
)
def test_an_effort_is_what_the_model_understands(model, effort, expected):
    """Older ones know budgets alone."""
    out = encoded(user(TextPart(text="a")), model=model, reasoning_effort=effort)
    assert out["generationConfig"]["thinkingConfig"] == expected


HELLO_CHAT = (user(TextPart(text="a")),)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"parallel_tool_calls": False, "tools": (Tool(name="f"),)}, "parallel_tool_calls"),
        ({"tools": (Tool(name="web_search", hosted="web_search_20250305"),)}, "tools"),
        ({"messages": (user(ImagePart(url="", file_id="file-1")),)}, "messages"),
        ({"messages": (user(OpaquePart(dialect="anthropic", kind="x", raw=raw({}))),)}, "messages"),
        ({"messages": (user(ImagePart(url="data:image/png,x")),)}, "messages"),
        ({"messages": (Message(role="tool", tool_call_id="1"),)}, "messages"),
        (
            {"messages": (Message(role="assistant", tool_calls=(ToolCall(id="1", name="f", arguments="{"),)),)},
            "messages",
        ),
    ],
)
def test_what_has_no_form_here_is_refused_by_name(fields, param):
    """Rather than left out in silence."""
    with pytest.raises(InvalidRequest) as raised:
        encoded(**{"messages": HELLO_CHAT, **fields})
    assert raised.value.param == param


def test_what_only_tunes_is_left_out():
    """Names, caches, strictness, users, and reasoning that nobody can read."""
    tool = Tool(name="f", strict=True)
    message = Message(
        role="user", name="n", parts=(RefusalPart(text="no"), ReasoningPart(), ReasoningPart(encrypted="x"))
    )
    form = ResponseFormat(type="json_schema", name="n", schema=raw({}), strict=True)
    out = encoded(message, tools=(tool,), user="u", parallel_tool_calls=True, response_format=form)
    assert out == {
        "contents": [{"role": "user", "parts": [{"text": "no"}]}],
        "tools": [{"functionDeclarations": [{"name": "f"}]}],
        "generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": {}},
    }
    assert set(GEMINI.leaves_out) == {"user", "cache", "name", "detail", "strict"}


def test_media_of_other_dialects():
    """A name and a detail stay behind; an address goes out as it is, with the type that it seems to have."""
    parts = encoded(
        user(
            ImagePart(url="https://x/a.jpg", detail="low"),
            FilePart(file_data="data:application/pdf;base64,AA", filename="n.pdf"),
            FilePart(text="hm"),
        )
    )["contents"][0]["parts"]
    assert parts == [
        {"fileData": {"fileUri": "https://x/a.jpg", "mimeType": "image/jpeg"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "AA"}},
        {"inlineData": {"mimeType": "text/plain", "data": "aG0="}},
    ]


@pytest.mark.parametrize("other", [openai_request, anthropic_request])
def test_a_conversation_goes_to_other_providers(other):
    """Calls and results by the ids that were made for them."""
    contents = [
        *HELLO,
        {"role": "model", "parts": [{"text": "hm", "thought": True}, {**call("f"), "thoughtSignature": "AA=="}]},
        {"role": "user", "parts": [result("f")]},
    ]
    crossed, left_out = request_across(decoded(contents=contents))
    assert left_out == ("messages[1].thoughtSignature",)
    assert other.encode(crossed).count(b'"call_0"') == 2


def test_a_tool_that_google_runs_does_not_cross():
    """It is refused by its name, rather than by a provider that does not understand it."""
    with pytest.raises(InvalidRequest, match="googleSearch") as raised:
        request_across(decoded(tools=[{"googleSearch": {}}]))
    assert raised.value.param == "tools"


def test_a_schema_has_the_name_that_others_demand():
    """Google has none for it."""
    config = {"responseMimeType": "application/json", "responseSchema": {"type": "OBJECT"}}
    crossed, _ = request_across(decoded(generationConfig=config))
    assert json.loads(openai_request.encode(crossed))["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object"}},
    }


def test_a_prompt_that_google_keeps_is_not_bounded_by_the_bytes_of_the_body():
    """A reservation goes by the whole window then."""
    assert request.read(body(cachedContent="cachedContents/x"), PATH).is_partial
    assert not request.read(body(cachedContent=None), PATH).is_partial
