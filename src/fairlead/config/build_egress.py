"""How a provider is reached: its TLS files, and the proxy of the configuration or of the environment."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import unquote, urlsplit

from fairlead.call import Secret
from fairlead.config.rules import NO_PROXY
from fairlead.config.schema import Provider, ProviderTls
from fairlead.config.secrets import file_path, resolve, secret_path
from fairlead.errors import ConfigError, mapped
from fairlead.wire import AllowPrivate, Origin, Proxy, bypassed, client_context


@dataclass(frozen=True, slots=True, kw_only=True)
class Egress:
    """The way out to one provider; equal where connections that are open may stay open."""

    ssl_context: ssl.SSLContext | None = field(default=None, compare=False)
    """Of the TLS files; `None` for the usual one."""
    tls_digest: str = ""
    """Of what is in these files: a renewed certificate is another way out."""
    proxy: Proxy | None = None


def egress(entry: Provider, *, base_url: str | None, private: bool, root: Path, environ: Mapping[str, str]) -> Egress:
    """The way out to a provider.

    Args:
        base_url: its own or its vendor's; `None` for the simulator in process.
        private: whether it may be inside our own network, where a proxy of the environment does not lead.

    Raises:
        ConfigError: a file, a secret or a proxy that cannot be used.
    """
    if base_url is None:
        return Egress()
    origin = Origin.of(base_url)
    if entry.proxy is not None:
        auth = None if entry.proxy_auth is None else resolve(entry.proxy_auth, environ, root)
        proxy = None if entry.proxy == NO_PROXY else Proxy(origin=Origin.of(entry.proxy), auth=auth)
    else:
        proxy = None if private or not origin.is_tls else _of_environment(origin, environ)
    if entry.tls is None:
        return Egress(proxy=proxy)
    files = _files(entry.tls, root)
    return Egress(ssl_context=client_context(*files), tls_digest=_digest(files), proxy=proxy)


def networks(allow_private: bool | tuple[str, ...]) -> AllowPrivate:  # noqa: FBT001 - as the setting is
    """The setting, as the pool takes it."""
    return allow_private if isinstance(allow_private, bool) else tuple(map(ip_network, allow_private))


def _of_environment(origin: Origin, environ: Mapping[str, str]) -> Proxy | None:
    """`HTTPS_PROXY` unless `NO_PROXY` takes the origin out; lower case wins, as with curl."""
    name = next((name for name in ("https_proxy", "HTTPS_PROXY") if environ.get(name)), None)
    no_proxy = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if name is None or bypassed(origin, no_proxy):
        return None
    url = environ[name] if "://" in environ[name] else f"http://{environ[name]}"
    fault = f"the environment variable `{name}` is no proxy that can be used; give `http://[USER:PASSWORD@]HOST:PORT`"
    with mapped({ValueError: ConfigError}, fault):
        parts = urlsplit(url)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if parts.scheme != "http" or not parts.hostname:
        raise ConfigError(fault)
    place = parts.netloc.rpartition("@")[2]
    auth = Secret(f"{user}:{password}") if user or password else None
    return Proxy(origin=Origin.of(f"http://{place}"), auth=auth)


def _files(tls: ProviderTls, root: Path) -> tuple[str | None, str | None, str | None]:
    """Their paths; a file that holds a private key must not be readable by others."""
    ca = None if tls.ca is None else str(file_path(tls.ca, root))
    if tls.cert is None:
        return ca, None, None
    if tls.key is None:
        return ca, str(secret_path(tls.cert, root)), None
    return ca, str(file_path(tls.cert, root)), str(secret_path(tls.key, root))


def _digest(files: tuple[str | None, ...]) -> str:
    digest = sha256()
    for name in files:
        with mapped({OSError: ConfigError}, f"the TLS file {name!r} cannot be read"):
            digest.update(b"" if name is None else Path(name).read_bytes())
        digest.update(b"\0")
    return digest.hexdigest()
