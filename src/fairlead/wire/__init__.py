"""HTTP/1.1 on httptools, both ends: a server protocol and a pooled client."""

from fairlead.wire.client import Pool
from fairlead.wire.connection import Handler
from fairlead.wire.exchange import Exchange
from fairlead.wire.heads import HeaderBlock, head
from fairlead.wire.incoming import Incoming
from fairlead.wire.origin import AllowPrivate, Origin
from fairlead.wire.proxy import Proxy, bypassed
from fairlead.wire.refusal import ServerLimits
from fairlead.wire.server import Server
from fairlead.wire.tls import client_context, server_context

__all__ = [
    "AllowPrivate",
    "Exchange",
    "Handler",
    "HeaderBlock",
    "Incoming",
    "Origin",
    "Pool",
    "Proxy",
    "Server",
    "ServerLimits",
    "bypassed",
    "client_context",
    "head",
    "server_context",
]
