"""Inline data and files of the Gemini dialect: images, sound and everything else.

A name of a file and the detail of an image have no place here and are left out.  An address goes out as it is: the
provider fetches it.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from fairlead.dialects.fields import BadField, value_of
from fairlead.dialects.gemini.objects import Fields, kept, opened, packed, rest, text_of
from fairlead.errors import InvalidRequest
from fairlead.types import AudioPart, FilePart, ImagePart, Part

_STANDARD = str.maketrans("-_", "+/")
_SOUNDS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav"}
"""Formats of sound by other names of theirs."""
_SUFFIXES = {
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "pdf": "application/pdf",
}
"""What an address without a type most likely leads to."""
_OWN = ("https://generativelanguage.googleapis.com/", "gs://")
"""How the ids of files begin that Google keeps itself."""


def decode_inline(fields: Fields, at: str) -> Part | None:
    """The part that holds `inlineData`; `None` where it has no neutral form.

    Raises:
        BadField: it lacks its type or its data.
    """
    inline = opened(fields["inlineData"], f"{at}.inlineData")
    media_type = text_of(inline, "mimeType", f"{at}.inlineData")
    # Google takes both alphabets of base64, everybody else the standard one.
    data = text_of(inline, "data", f"{at}.inlineData").translate(_STANDARD)
    extra = _extra(fields, "inlineData", rest(inline, "mimeType", "data"))
    url = f"data:{media_type};base64,{data}"
    if ";base64" in media_type:
        return None
    if media_type.startswith("image/"):
        return ImagePart(url=url, extra=extra)
    if media_type.startswith("audio/"):
        sound = media_type.removeprefix("audio/")
        return None if extra else AudioPart(data=data, format=_SOUNDS.get(sound, sound))
    text = _plain_text(data) if media_type == "text/plain" else None
    return FilePart(file_data=url, extra=extra) if text is None else FilePart(text=text, extra=extra)


def decode_file(fields: Fields, at: str) -> Part:
    """The part that holds `fileData`.

    Raises:
        BadField: it names no file.
    """
    file = opened(fields["fileData"], f"{at}.fileData")
    uri, media_type = text_of(file, "fileUri", f"{at}.fileData"), value_of(file, "mimeType")
    if media_type is not None and not isinstance(media_type, str):
        raise BadField(f"{at}.fileData.mimeType", "must be a string")
    is_own = uri.startswith(_OWN)
    follows = not is_own and media_type == _guessed(uri)
    extra = _extra(fields, "fileData", rest(file, "fileUri", *(("mimeType",) if follows else ())))
    if (media_type or "").startswith("image/"):
        return ImagePart(url="", file_id=uri, extra=extra) if is_own else ImagePart(url=uri, extra=extra)
    return FilePart(file_id=uri, extra=extra) if is_own else FilePart(url=uri, extra=extra)


def encode_media(part: ImagePart | AudioPart | FilePart) -> dict[str, Any]:
    """The part of this dialect.

    Raises:
        InvalidRequest: a file that another provider keeps, or inline media in another form than base64.
    """
    if isinstance(part, AudioPart):
        return {"inlineData": {"mimeType": f"audio/{part.format}", "data": part.data}}
    more = {name: raw for name, raw in part.extra.items() if name not in {"inlineData", "fileData"}}
    url = part.url
    if part.file_id is not None:
        if not part.file_id.startswith(_OWN):
            raise InvalidRequest("`messages` hold a file that this model's provider does not keep.", param="messages")
        return {"fileData": {"fileUri": part.file_id, **kept(part.extra, "fileData")}, **more}
    if isinstance(part, FilePart) and part.text is not None:
        url = "data:text/plain;base64," + base64.b64encode(part.text.encode("utf-8", "replace")).decode()
    elif isinstance(part, FilePart) and part.file_data is not None:
        url = part.file_data
    if url is None or not url.startswith("data:"):
        guessed = {} if _guessed(url or "") is None else {"mimeType": _guessed(url or "")}
        return {"fileData": {"fileUri": url or "", **guessed, **kept(part.extra, "fileData")}, **more}
    media_type, data = _data_url(url)
    return {"inlineData": {"mimeType": media_type, "data": data, **kept(part.extra, "inlineData")}, **more}


def _extra(fields: Fields, name: str, inner: Fields) -> dict[str, msgspec.Raw]:
    """What else the part says, and what else its data does."""
    return rest(fields, name, "thought") | ({name: packed(inner)} if inner else {})


def _guessed(url: str) -> str | None:
    path = url.partition("?")[0].partition("#")[0]
    return _SUFFIXES.get(path.rpartition(".")[2].lower())


def _plain_text(data: str) -> str | None:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _data_url(url: str) -> tuple[str, str]:
    head, comma, data = url.partition(",")
    media_type, marker, _ = head.removeprefix("data:").partition(";base64")
    if not comma or not marker:
        raise InvalidRequest("Inline media must be a `data:` URL with base64.", param="messages")
    return media_type, data
