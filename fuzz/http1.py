"""A strict reading of HTTP/1.1 (RFC 9110 and 9112), as the oracle of the edge: whatever two parsers could read in two
ways is `Bad` here.  Written from the grammar and slow; it shares no line with the code that it judges.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_REQUEST_LINE = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) +([\x21-\x7e\x80-\xff]+) +HTTP/(\d)\.(\d)"
)  # RFC 9112, 3: several spaces read as one
_STATUS_LINE = re.compile(rb"HTTP/(\d)\.(\d) (\d\d\d)(?: [^\r\n]*)?")  # nobody reads the phrase
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?")


class Bad(Exception):
    """Not HTTP, or not in only one way."""


class Short(Exception):
    """The bytes end inside a message."""


@dataclass
class Message:
    """One request or answer."""

    start: tuple[bytes, ...]
    """Method and target, or the status."""
    version: str
    fields: list[tuple[bytes, bytes]]
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    until_close: bool = False

    def values(self, name: bytes) -> list[bytes]:
        """Of all fields of a name."""
        return [value for key, value in self.fields if key.lower() == name]


class Reader:
    """Goes over bytes from the front."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def line(self) -> bytes:
        """Up to the next CRLF, with no CR or LF of its own."""
        end = self.data.find(b"\r\n", self.position)
        line = self.data[self.position : end if end >= 0 else len(self.data)]
        if b"\n" in line or b"\r" in (line if end >= 0 else line[:-1]):
            raise Bad("bare CR or LF")
        if end < 0:
            raise Short
        self.position = end + 2
        return line

    def take(self, size: int) -> bytes:
        """So many bytes."""
        if self.position + size > len(self.data):
            raise Short
        taken = self.data[self.position : self.position + size]
        self.position += size
        return taken

    def fields(self) -> list[tuple[bytes, bytes]]:
        """Field lines up to the empty line."""
        found: list[tuple[bytes, bytes]] = []
        while line := self.line():
            name, colon, value = line.partition(b":")
            if not colon or not _TOKEN.fullmatch(name):
                raise Bad("field name")
            value = value.strip(b" \t")
            if not _VALUE.fullmatch(value):
                raise Bad("field value")
            found.append((name, value))
        return found

    def chunks(self) -> bytes:
        """A chunked body up to its last chunk; trailers are left."""
        body = b""
        while True:
            match = _CHUNK_LINE.fullmatch(self.line())
            if not match:
                raise Bad("chunk size")
            size = int(match[1], 16)
            if size == 0:
                return body
            body += self.take(size)
            if self.position + 2 > len(self.data):
                if not b"\r\n".startswith(self.data[self.position :]):
                    raise Bad("chunk end")
                raise Short
            if self.take(2) != b"\r\n":
                raise Bad("chunk end")


def requests(data: bytes) -> list[Message]:
    """All whole requests in order, up to the first byte that is none."""
    reader = Reader(data)
    found: list[Message] = []
    try:
        while reader.position < len(data):
            found.append(_request(reader))
    except (Short, Bad):
        pass
    return found


def _request(reader: Reader) -> Message:
    while reader.data.startswith(b"\r\n", reader.position):  # RFC 9112, 2.2: empty lines before a request
        reader.position += 2
    match = _REQUEST_LINE.fullmatch(reader.line())
    if not match:
        raise Bad("request line")
    message = Message((match[1], match[2]), f"{match[3].decode()}.{match[4].decode()}", reader.fields())
    if message.version not in {"1.0", "1.1"}:
        raise Bad("version")
    coded, length = _framing(message)
    if coded:
        if message.version == "1.0":
            raise Bad("a transfer coding in HTTP/1.0")
        message.body = reader.chunks()
        message.trailers = reader.fields()
    elif length is not None:
        message.body = reader.take(length)
    return message


def answer(data: bytes) -> Message:
    """The first final answer, its body as framed.

    Raises:
        Bad: not HTTP, or ambiguous.
        Short: the connection ended inside it.
    """
    reader = Reader(data)
    while True:
        match = _STATUS_LINE.fullmatch(reader.line())
        if not match:
            raise Bad("status line")
        status = int(match[3])
        message = Message((match[3],), f"{match[1].decode()}.{match[2].decode()}", reader.fields())
        if message.version not in {"1.0", "1.1"} or not 100 <= status <= 999 or status == 101:
            raise Bad("status or version")
        if status >= 200:
            break
    coded, length = _framing(message)
    if status in (204, 304):
        return message
    if coded:
        message.body = reader.chunks()
        message.trailers = reader.fields()
    elif length is not None:
        message.body = reader.take(length)
    else:
        message.until_close = True
        message.body = reader.data[reader.position :]
    return message


def _framing(message: Message) -> tuple[bool, int | None]:
    """Whether it is chunked, and its stated length."""
    codings, lengths = message.values(b"transfer-encoding"), message.values(b"content-length")
    if codings and ([coding.lower() for coding in codings] != [b"chunked"] or lengths):
        raise Bad("transfer coding")
    if len(lengths) > 1 or any(not length.isdigit() for length in lengths):
        raise Bad("content length")
    return bool(codings), int(lengths[0]) if lengths else None
