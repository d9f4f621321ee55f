"""Content codings of answers, undone piece by piece under a cap."""

from __future__ import annotations

import zlib

_PIECE_BYTES = 256 * 1024
_GZIP_OR_ZLIB = 47
_RAW_DEFLATE = -15


class DecodingError(ValueError):
    """The bytes are not of the coding, or decode to more than the cap."""


class Decoder:
    """Undoes `gzip` or `deflate`.  Its memory is bounded by what is fed and by one piece of output.

    Args:
        cap: the most bytes that may come out over the whole body.
    """

    __slots__ = ("_begun", "_cap", "_inflate", "_is_deflate", "_tail", "_total")

    def __init__(self, coding: str, cap: int) -> None:
        if coding not in {"gzip", "x-gzip", "deflate"}:
            raise DecodingError(f"the content coding {coding!r} is not known here")
        self._inflate = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._is_deflate = coding == "deflate"  # until it is known in which of its two forms
        self._begun = b""
        self._cap = cap
        self._total = 0
        self._tail = b""

    @property
    def pending(self) -> bool:
        """Whether more output waits although nothing more is fed."""
        return bool(self._tail)

    def decode(self, data: bytes = b"") -> bytes:
        """The next piece, at most 256 KiB; call again without data while `pending`.

        Raises:
            DecodingError: not of the coding, bytes after its end, or over the cap.
        """
        data = self._tail + data
        try:
            out = self._decompress(data)
        except zlib.error as error:
            raise DecodingError("the body is not of its content coding") from error
        self._tail = self._inflate.unconsumed_tail
        if self._inflate.unused_data:
            raise DecodingError("bytes follow the end of the coded body")
        self._total += len(out)
        if self._total > self._cap:
            raise DecodingError(f"the body decodes to more than {self._cap} bytes")
        return out

    def finish(self) -> None:
        """Check that the coded body is whole.

        Raises:
            DecodingError: it is cut short.
        """
        if not self._inflate.eof:
            raise DecodingError("the coded body is cut short")

    def _decompress(self, data: bytes) -> bytes:
        if self._is_deflate:
            # Some servers send `deflate` without the zlib wrapper that RFC 9110 (8.4.1.2) asks for: two bytes tell.
            data = self._begun = self._begun + data
            if len(data) < 2:
                return b""
            if not _is_wrapped(data):
                self._inflate = zlib.decompressobj(_RAW_DEFLATE)
            self._is_deflate, self._begun = False, b""
        return self._inflate.decompress(data, _PIECE_BYTES)


def _is_wrapped(data: bytes) -> bool:
    """Whether this is the header of zlib (RFC 1950, 2.2) or of gzip (RFC 1952, 2.3.1)."""
    return data[:2] == b"\x1f\x8b" or (data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0)
