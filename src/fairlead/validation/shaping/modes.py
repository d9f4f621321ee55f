"""A request for an answer that fits a schema, as a model can be asked for it: natively, by a tool, or in words."""

from __future__ import annotations

import re
from contextlib import suppress

import msgspec

from fairlead.call import Mode, Subset, Wanted
from fairlead.types import Chat, Message, ResponseFormat, Role, TextPart, Tool, ToolChoice
from fairlead.validation.shaping.subset import Unfit, enclosed, narrowed

INSTRUCTION = (
    "Answer with one JSON value that fits the JSON Schema below, and with nothing else: no words around it, no code "
    "fence. Leave out an optional property whose value you do not know.\n\nJSON Schema:\n"
)
"""What stands before the schema where a model is asked in words; the same in every call, as caches go by beginnings."""
TOOL = "answer"
"""The tool where the schema's name cannot be that of one."""
_TOOL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")
_TOOL_SAYS = "Give the answer. Call this once, with the whole answer as arguments."
_TOOLS = frozenset({"tools", "functions", "mcp_servers"})
_SYSTEM = frozenset({"system", "developer"})
_STRICT = frozenset({"openai", "plain"})
"""The subsets that providers hold to only where `strict` is asked for."""


class Shaped(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a request."""

    chat: Chat
    """The very object that was given, where nothing had to change."""
    mode: Mode
    """How it is asked for in the end."""
    lost: tuple[str, ...] = ()
    """What of the schema the provider has no form for, as JSON Pointers into it."""
    is_whole: bool = False
    """Whether the provider is asked to hold the model to all that the schema says."""


def tool_name(wanted: Wanted) -> str:
    """The name of the tool whose arguments are the answer."""
    return wanted.name if _TOOL_NAME.fullmatch(wanted.name) else TOOL


def shaped(
    chat: Chat,
    wanted: Wanted,
    mode: Mode,
    subset: Subset = "full",
    *,
    without: frozenset[str] = frozenset(),
    unenforced: bool = False,
    asks_json: bool | None = None,
    enforce: bool = False,
) -> Shaped:
    """The request for a model that is asked in a mode, or in words where it cannot be asked so.

    Args:
        subset: what of JSON Schema the native way takes.
        without: what a request must not have for the native way, nor for a JSON object: `tools`, `stream`.
        unenforced: whether the native way takes any schema that the provider is not asked to hold the model to.
        asks_json: whether a request may ask for a JSON object, which one in words then does, too; `None`: nobody knows,
            and only what the caller says of that is left as it is.
        enforce: whether the provider is told to hold the model to the schema where the caller says nothing of that.
    """
    has_tools = _has_tools(chat)
    if ("tools" in without and has_tools) or ("stream" in without and chat.stream):
        asks_json = False
    elif asks_json is not False and chat.response_format is not None and chat.response_format.type == "json_object":
        return Shaped(chat=chat, mode="native")
    elif mode == "native":
        found = _native(chat, wanted, subset, unenforced=unenforced, enforce=enforce)
        if found is not None:
            return found
    if mode == "tool" and not has_tools and (chat.thinking is None or chat.thinking.mode == "disabled"):
        with suppress(Unfit):  # in words anything can be asked for
            return Shaped(chat=_by_tool(chat, wanted), mode="tool")
    return _prompted(chat, wanted, asks_json=asks_json is True and not has_tools)


def _has_tools(chat: Chat) -> bool:
    """Whether the caller gives the model something to call, also in a form that only the caller's dialect knows."""
    return bool(chat.tools) or not _TOOLS.isdisjoint(chat.extra)


def _native(chat: Chat, wanted: Wanted, subset: Subset, *, unenforced: bool, enforce: bool) -> Shaped | None:
    """`None`: the provider has no form for the schema."""
    form = chat.response_format
    told = form is not None and form.type == "json_schema" and form.schema is not None
    strict = form.strict if form is not None and told else None
    if subset in _STRICT and strict is False:
        # It is told what to write, and not held to it: so any schema will do.
        return Shaped(chat=_formed(chat, wanted, wanted.schema, strict=strict), mode="native")
    found = narrowed(wanted.schema, subset)
    if not found.fits:
        return _told(chat, wanted, strict=False if enforce or strict else strict) if unenforced else None
    if subset in _STRICT and (enforce or not told or found.schema is not wanted.schema):
        strict = True
    lost = tuple(each.pointer for each in found.lost)
    return Shaped(
        chat=_formed(chat, wanted, found.schema, strict=strict),
        mode="native",
        lost=lost,
        is_whole=not lost and not found.is_wider and (subset not in _STRICT or strict is True),
    )


def _told(chat: Chat, wanted: Wanted, *, strict: bool | None) -> Shaped | None:
    """The model is told what to write, and not held to it; `None`: it is no schema."""
    try:
        schema = enclosed(wanted.schema)
    except Unfit:
        return None
    return Shaped(chat=_formed(chat, wanted, schema, strict=strict), mode="native")


def _formed(chat: Chat, wanted: Wanted, schema: bytes, *, strict: bool | None) -> Chat:
    """With the response format, which stays the caller's own where it says the same."""
    form = chat.response_format
    if form is not None and form.type == "json_schema" and form.schema is not None:
        if bytes(form.schema) == schema and form.strict == strict:
            return chat
        form = msgspec.structs.replace(form, schema=msgspec.Raw(schema), strict=strict)
    else:
        form = ResponseFormat(type="json_schema", name=tool_name(wanted), schema=msgspec.Raw(schema), strict=strict)
    return msgspec.structs.replace(chat, response_format=form)


def _by_tool(chat: Chat, wanted: Wanted) -> Chat:
    name = tool_name(wanted)
    form = chat.response_format
    says = _TOOL_SAYS if form is None or not form.description else f"{_TOOL_SAYS} {form.description}"
    tool = Tool(name=name, description=says, parameters=msgspec.Raw(enclosed(wanted.schema)))
    return msgspec.structs.replace(
        chat,
        response_format=None,
        parallel_tool_calls=None,
        tools=(tool,),
        tool_choice=ToolChoice(mode="function", name=name),
    )


def _prompted(chat: Chat, wanted: Wanted, *, asks_json: bool) -> Shaped:
    """With the schema behind what the caller says to the model first, so that this stays a beginning that caches know."""
    messages = chat.messages
    place = next((index for index, each in enumerate(messages) if each.role not in _SYSTEM), len(messages))
    role: Role = messages[place - 1].role if place else "system"
    text = INSTRUCTION + _compact(wanted.schema)
    said = Message(role=role, parts=(TextPart(text=text),))
    form = ResponseFormat(type="json_object") if asks_json and _is_object(wanted.schema) else None
    changed = msgspec.structs.replace(chat, response_format=form, messages=(*messages[:place], said, *messages[place:]))
    return Shaped(chat=changed, mode="prompted")


def _compact(schema: bytes) -> str:
    """The schema without the white space between its values, which stay as they are written."""
    with suppress(ValueError, RecursionError):
        schema = msgspec.json.format(schema, indent=-1)
    return schema.decode("utf-8", "replace")


def _is_object(schema: bytes) -> bool:
    try:
        asked = msgspec.json.decode(schema)
    except (ValueError, RecursionError):
        return False
    return isinstance(asked, dict) and asked.get("type") == "object"
