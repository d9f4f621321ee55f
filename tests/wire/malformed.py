"""Requests that two parsers could read differently, or that are none: the corpus of FAULTS H3 and H4.

Drawn from the test suites of llhttp and h11, from RFC 9112 and from published request-smuggling techniques.
"""

from __future__ import annotations

HOST = b"Host: x\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

MALFORMED = {
    # two lengths (RFC 9112, 6.3)
    "length and chunks": b"POST / HTTP/1.1\r\n"
    + HOST
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"POST / HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two equal lengths": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "two lengths": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "list of lengths": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3, 3\r\n\r\nabc",
    "signed length": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +3\r\n\r\nabc",
    "negative length": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -3\r\n\r\nabc",
    "hex length": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0x3\r\n\r\nabc",
    "empty length": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length:\r\n\r\n",
    "length beyond 64 bits": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999\r\n\r\n",
    # transfer codings other than chunked
    "chunked then identity": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "identity": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: identity\r\n\r\nabc",
    "gzip then chunked": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": b"POST / HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "almost chunked": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "vertical tab chunked": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "space before colon": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "chunked in 1.0": b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    # chunks
    "negative chunk": CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n",
    "prefixed chunk size": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "space after chunk size": CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n",
    "chunk size beyond 64 bits": CHUNKED + b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "chunk longer than said": CHUNKED + b"3\r\nabcX\r\n0\r\n\r\n",
    "bare LF in chunks": CHUNKED + b"3\nabc\n0\n\n",
    "bare LF in extension": CHUNKED + b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    "NUL in extension": CHUNKED + b"3;\0\r\nabc\r\n0\r\n\r\n",
    # line ends and folding
    "bare LF": b"GET / HTTP/1.1\nHost: x\n\n",
    "bare LF after a header": b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
    "bare LF as blank line": b"GET / HTTP/1.1\r\nHost: x\r\n\n",
    "bare CR in a value": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r c\r\n\r\n",
    "folded by space": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    "folded by tab": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\tc\r\n\r\n",
    "space before the first header": b"GET / HTTP/1.1\r\n Host: x\r\n\r\n",
    # characters
    "NUL in a value": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n",
    "control character in a value": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\x01c\r\n\r\n",
    "DEL in a value": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\x7fc\r\n\r\n",
    "space in a name": b"GET / HTTP/1.1\r\nHost: x\r\nA B: c\r\n\r\n",
    "no name": b"GET / HTTP/1.1\r\nHost: x\r\n: c\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\nHost: x\r\nfoo\r\n\r\n",
    "non-ASCII name": b"GET / HTTP/1.1\r\nHost: x\r\nA\xe9: c\r\n\r\n",
    # host
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "empty host": b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
    "slash in host": b"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n",
    "query in host": b"GET / HTTP/1.1\r\nHost: x?y\r\n\r\n",
    "fragment in host": b"GET / HTTP/1.1\r\nHost: x#y\r\n\r\n",
    "user in host": b"GET / HTTP/1.1\r\nHost: x@y\r\n\r\n",
    "list of hosts": b"GET / HTTP/1.1\r\nHost: x, y\r\n\r\n",
    # request line
    "absolute target": b"GET http://evil/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "relative target": b"GET foo HTTP/1.1\r\nHost: x\r\n\r\n",
    "fragment in target": b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n",
    "space in target": b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
    "NUL in target": b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n",
    "non-ASCII target": b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
    "unknown method": b"FOO / HTTP/1.1\r\nHost: x\r\n\r\n",
    "lower-case method": b"get / HTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    # leaving HTTP/1.1
    "CONNECT": b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\nhello",
    "websocket": b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello",
    "h2c": b"POST / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc",
}
